//! What a window says while no experiment is under way: grow, stay, or look closer.

use super::class::Move;
use super::reading::Reading;
use super::trial::Cause;
use super::{ANSWERS, Knee, LONG, LimitPolicy, Moment, Phase, SURE, band};

/// Below this queue the limit grows; what is aimed at is little more.
const LOW: (f64, f64) = (0.04, 0.7);
/// Beyond what is known to be worked on at once the first steps of growth are smaller by this factor, until
/// so many came in a row.
const HESITANT: f64 = 0.5;
pub(super) const OFTEN: u32 = 3;
/// Standard error of baselines that answered while part of the upstream was idle.
pub(super) const SEEN_CALM: f64 = 0.2;
/// Where workers are back the limit goes up to what they were, at most by this factor at a time.
const BACK: f64 = 2.0;
/// Small cuts that may come before a dip that is due.
const PUT_OFF: u32 = 3;
/// Beats for which the most in flight is remembered while nobody is held back.
const QUIET: f64 = 200.0;

/// The largest step of growth.
fn largest_step(limit: f64) -> f64 {
    (0.25 * limit).max(1.0)
}

impl Knee {
    /// The queue below which the limit grows.
    pub(super) fn low(&self, reading: &Reading) -> f64 {
        band(reading.at_work(), LOW, self.slack_of(reading))
    }

    /// The queue above which it is cut.
    fn long(&self, reading: &Reading) -> f64 {
        band(reading.at_work(), LONG, self.slack_of(reading))
    }

    pub(super) fn grow(&mut self, reading: &Reading, limit: f64) -> f64 {
        self.growth += 1;
        if self.growth >= 3 {
            self.anchor = None;
        }
        let step = (0.5 * limit.sqrt()).max(1.0);
        let faster = 1.5_f64.powi(i32::try_from(self.growth / 2).unwrap_or(0).min(20));
        let step = (step * faster).min(largest_step(limit));
        let Some(known) = self.crew.at_work().map(|crew| self.aimed_at(crew, reading)) else {
            return limit + step;
        };
        // Up to what is known there is no need to feel one's way. Beyond it a short queue is chance, until
        // it is seen again and again.
        let step = if limit >= known && self.growth < OFTEN { HESITANT * step } else { step };
        (limit + step).max(known.min(1.5 * limit))
    }

    /// Workers that had gone are back: no experiment of before tells anything of that, and one need not feel
    /// one's way up to as many as there were.
    pub(super) fn come_back(&mut self, reading: &Reading, limit: f64, now: Moment) -> f64 {
        let is = |cause| self.trial.filter(|trial| trial.cause == cause);
        let from = is(Cause::Dip).map_or(limit, |trial| trial.limit_before.max(limit));
        if is(Cause::Climb).is_some() {
            self.break_climb_off(now);
        }
        let known = self.crew.at_work().map_or(from, |crew| self.aimed_at(crew, reading));
        let to = known.min(BACK * from).max(from);
        self.conclude(None, to);
        (self.anchor, self.voided) = (None, None);
        self.growth = OFTEN;
        self.schedule_dip(0.0, now);
        to
    }

    pub(super) fn run(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.answers < ANSWERS / 2 || !self.is_born() {
            return limit;
        }
        let at_work = reading.at_work();
        if !reading.limited {
            self.growth = 0;
            return self.rest(reading, limit, policy, now);
        }
        // While the limit grows, answers that are back are mostly the short ones.
        let is_steady = now.since(self.changed).as_secs_f64() > 2.0 * self.patience() + reading.seconds;
        // Chance is looked at in every window, and moves them one way only: it must be rare.
        if is_steady && !self.fast_start && reading.queue + 3.0 * reading.queue_error < 0.0 {
            self.shift(Move { gain: 0.3, bounds: (0.5, 1.0) });
        }
        if self.calm.take_if(|calm| at_work > 2.0 * *calm).is_some() {
            // Twice as many can be worked on as when the baselines were last seen: they hold no wait.
            self.doubt = self.doubt.min(SEEN_CALM);
        }
        if self.fast_start {
            return self.start(reading, limit, now);
        }
        let recheck = self.phase == Phase::Recheck;
        // A dip that small cuts have put off for long tells more than they do.
        let is_put_off = now >= self.next_dip && self.put_off >= PUT_OFF;
        let high = if is_put_off { self.high(at_work) } else { self.long(&reading) };
        let excess = reading.queue - high;
        let is_over = reading.saturated || excess > 0.0;
        if recheck && is_over {
            return self.cut(Cause::Latency, reading, limit, self.to_the_knee(&reading, limit), now);
        }
        if is_over && (reading.saturated || excess > SURE * reading.queue_error) {
            // Chance shows itself in the highest of many looks, and what was served while the upstream changed
            // is no measure of a cut: look once more before acting.
            self.phase = Phase::Recheck;
            return limit;
        }
        if now >= self.next_dip {
            self.phase = Phase::Reference;
        }
        // Also on the way up: where it creeps because every other window shows a short queue by chance, a climb
        // tells more than a step.
        let to = if self.phase == Phase::Run { self.climb(reading, limit, policy, now) } else { limit };
        if to > limit {
            return to;
        }
        if reading.queue < self.low(&reading) {
            let to = self.grow(&reading, limit);
            return self.paced(limit, to, largest_step(limit), now);
        }
        self.growth = 0;
        limit
    }

    /// Nobody is held back: nothing tells more than what answers cost now.
    pub(super) fn rest(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.in_flight < 0.5 * limit {
            self.shift(Move { gain: 0.1, bounds: (0.9, 1.05) });
            self.calm = Some(reading.in_flight).filter(|_| reading.answers >= ANSWERS);
        }
        if now.since(self.peak_since).as_secs_f64() < self.beats(QUIET) {
            return limit;
        }
        let peak = std::mem::take(&mut self.peak);
        self.peak_since = now;
        if peak < limit / 4.0 && limit > f64::from(policy.initial) {
            return (0.9 * limit).max(4.0 * peak).max(f64::from(policy.initial));
        }
        limit
    }
}
