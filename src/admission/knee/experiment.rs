//! Cuts that are experiments: begun, waited for, judged.

use super::class::Move;
use super::reading::Reading;
use super::trial::{COSTLY, Cause, Trial, Verdict};
use super::verdict::End;
use super::{ANSWERS, Cut, DIP_EVERY, IN_DOUBT, Knee, Moment, Next, OBVIOUS, Phase, TRIAL_MAX, seconds};

/// A dip goes to this part of what is at work; where the baselines are in doubt, to less, because the knee
/// may be far below.
pub(super) const DIP: f64 = 0.75;
const DEEP_DIP: f64 = 0.5;
/// Never below this part of the limit.
const DEEPEST: f64 = 0.35;
/// A fast start goes on after a cut if so much of what was in flight before it was worked on.
const WORKED_ON: f64 = 0.9;
/// A dip that is undone gives back at least this part.
const TRIM: f64 = 0.85;

impl Knee {
    pub(super) fn cut(&mut self, cause: Cause, before: Reading, limit: f64, to: f64, now: Moment) -> f64 {
        let is_void = |anchor| Trial::is_void(&self.price(anchor), &self.price(before));
        if self.anchor.is_none_or(|(anchor, _)| is_void(anchor)) {
            self.anchor = Some((before, limit));
        }
        self.trial = Some(Trial { cause, before, limit_before: limit });
        self.last_cut = Some(Cut { cause, verdict: None, from: limit, to });
        self.growth = 0;
        if cause == Cause::Dip {
            self.put_off = 0;
        }
        self.climbs.cut(cause, to / limit, self.beat, self.hold, now);
        self.settle(Next::Probe, now);
        to
    }

    /// Until those sent before are answered, long ones too.
    pub(super) fn settle(&mut self, then: Next, now: Moment) {
        let wait = self.patience().max(self.beats(1.0));
        self.phase = Phase::Settle { until: now.after(seconds(wait)), then };
        self.window = None;
    }

    /// Where a dip goes.
    pub(super) fn dip(&self, at_work: f64, limit: f64) -> f64 {
        let part = if self.doubt > IN_DOUBT { DEEP_DIP } else { DIP };
        (part * at_work).floor().max(DEEPEST * limit).max(1.0)
    }

    /// The next dip comes after so many seconds, or later.
    pub(super) fn schedule_dip(&mut self, experiment: f64, now: Moment) {
        let soonest = if self.doubt > IN_DOUBT {
            self.beats(DIP_EVERY.0 / 4.0).max(2.0 * self.hold)
        } else {
            self.beats(self.dip_every).max(10.0 * self.hold)
        };
        let pause = soonest.max(experiment) * self.jitter();
        self.next_dip = now.after(seconds(pause));
    }

    /// What is in flight is all worked on: what answers take now is what they cost.
    pub(super) fn learn(&mut self, reading: &Reading, gain: f64) {
        let bounds = if reading.wait > 0.0 { (1.0, 2.5) } else { (0.5, 1.0) };
        self.shift(Move { gain, bounds });
    }

    /// Ends an experiment, with its verdict or without.
    pub(super) fn conclude(&mut self, verdict: Option<Verdict>, limit: f64) {
        if let Some(trial) = self.trial.take() {
            self.cuts.add(trial.cause, verdict);
            let from = trial.limit_before;
            self.last_cut = Some(Cut { cause: trial.cause, verdict, from, to: limit });
        }
        self.looked = None;
        self.phase = Phase::Run;
    }

    pub(super) fn judge(&mut self, reading: Reading, limit: f64, now: Moment) -> f64 {
        let Some(trial) = self.trial.map(|trial| self.priced(trial)) else {
            self.phase = Phase::Run;
            return limit;
        };
        let looked_before = self.looked.is_some();
        let seen = self.looked.take().map_or(reading, |first| first.and(&reading));
        let reading = self.price(seen);
        let tells = reading.limited || trial.is_spared(&reading);
        if !tells || reading.answers < ANSWERS / 2 {
            // The demand has gone: nothing was learnt. Where all waited before, that they did still stands.
            self.voided = None;
            let all_waited = trial.cause == Cause::Latency && trial.before.saturated;
            let back = if all_waited { limit } else { trial.limit_before };
            self.conclude(None, back);
            self.schedule_dip(0.0, now);
            if trial.cause == Cause::Climb {
                self.break_climb_off(now);
            }
            return back;
        }
        let voided = self.voided.take();
        if trial.cause == Cause::Climb {
            return self.judge_climb(&trial, &reading, limit, now);
        }
        // Twice in a row it would be the cut after all.
        let seems_slower = voided.is_none() && trial.seems_slower(&reading);
        let soon = self.beats(TRIAL_MAX).max(6.0 * self.hold);
        if seems_slower && !looked_before && trial.cause == Cause::Latency && reading.seconds < soon {
            // A second look costs less than a second cut.
            self.looked = Some(seen);
            return limit;
        }
        if seems_slower && (!looked_before || trial.got_slower(&reading)) {
            // More waits at half as much in flight: whatever made the upstream slower, it was not the cut.
            let back = if trial.cause == Cause::Dip { trial.limit_before } else { limit };
            self.voided = Some(trial.limit_before);
            self.conclude(None, back);
            self.anchor = None;
            self.crew.forget();
            self.schedule_dip(trial.before.seconds + reading.seconds, now);
            return back;
        }
        let is_dip = trial.cause == Cause::Dip;
        let high = self.high(reading.in_flight - reading.queue.max(0.0));
        let mut verdict = trial.elasticity(&reading).verdict();
        if verdict != Verdict::Costly && !is_dip && trial.fell(&reading) {
            // The knee is above where the limit is now, whatever the waits say.
            verdict = Verdict::Costly;
        }
        // A reload may have put the floor above where the limit stood before.
        let aim = self.aimed_at(trial.at_work(&reading), &reading).min(trial.limit_before).max(limit);
        let goes_on = self.fast_start && trial.at_work(&reading) >= WORKED_ON * trial.before.in_flight;
        let mut back = if goes_on {
            trial.limit_before
        } else if is_dip {
            // Where the limit stood above the knee all along, it comes down little by little.
            aim.max(TRIM * trial.limit_before)
        } else {
            aim
        };
        if let Some((anchor, limit_before)) = self.anchor
            && verdict == Verdict::Free
            && Trial::over(&self.price(anchor), &reading).is_some_and(|value| value >= COSTLY)
        {
            (verdict, back) = (Verdict::Costly, limit_before);
        }
        if let Some(from) = voided.filter(|_| !is_dip && verdict == Verdict::Costly) {
            // Two cuts in a row took what was worked on: the first was not void after all.
            back = back.max(from);
        }
        let end = End {
            trial,
            reading,
            limit,
            aim,
            back,
            goes_on,
            still_waits: reading.saturated || reading.queue - OBVIOUS * reading.queue_error > high,
        };
        match verdict {
            Verdict::Costly => self.costly(&end, now),
            Verdict::Free => self.free(&end, now),
            Verdict::Unclear => self.unclear(&end, now),
        }
    }
}
