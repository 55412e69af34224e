//! What a window says while no experiment is under way: grow, stay, or look closer.

use super::class::Move;
use super::experiment::DIP;
use super::reading::Reading;
use super::trial::{Cause, Trial};
use super::{ANSWERS, HIGH, Knee, LimitPolicy, Moment, Next, OBVIOUS, Phase, SURE, band};

/// Below this queue the limit grows.
const LOW: (f64, f64) = (0.04, 0.7);
/// Beyond what is known to be worked on at once the first steps of growth are smaller by this factor, until
/// so many came in a row.
const HESITANT: f64 = 0.5;
const OFTEN: u32 = 3;
/// A fast start whose throughput grows by less than this power of what is in flight is over.
const STAGNANT: f64 = 0.4;
/// That of baselines that answered while half of the upstream was idle.
const SEEN_CALM: f64 = 0.2;
/// Beats for which the most in flight is remembered while nobody is held back.
const QUIET: f64 = 200.0;

impl Knee {
    pub(super) fn grow(&mut self, reading: &Reading, limit: f64) -> f64 {
        self.growth += 1;
        if self.growth >= 3 {
            self.anchor = None;
        }
        let step = (0.5 * limit.sqrt()).max(1.0);
        let faster = 1.5_f64.powi(i32::try_from(self.growth / 2).unwrap_or(0).min(20));
        let step = (step * faster).min((0.25 * limit).max(1.0));
        let Some(known) = self.crew.at_work().map(|crew| Self::aimed_at(crew, reading)) else {
            return limit + step;
        };
        // Up to what is known there is no need to feel one's way. Beyond it a short queue is chance, until
        // it is seen again and again.
        let step = if limit >= known && self.growth < OFTEN { HESITANT * step } else { step };
        (limit + step).max(known.min(1.5 * limit))
    }

    pub(super) fn run(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        if reading.answers < ANSWERS / 2 || !self.is_born() {
            return limit;
        }
        let at_work = reading.at_work();
        let (low, high) = (band(at_work, LOW, reading.slack), band(at_work, HIGH, 1.0));
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
        let recheck = self.phase == Phase::Recheck;
        let excess = reading.queue - high;
        if self.fast_start {
            // Twice as many in flight, and hardly more answers: all beyond was queue, whatever the
            // baselines say.
            let mark = *self.mark.get_or_insert(reading);
            if reading.in_flight >= 2.0 * mark.in_flight {
                self.mark = Some(reading);
                if Trial::over(&self.price(mark), &self.price(reading)).is_some_and(|value| value < STAGNANT)
                {
                    self.suspect = true;
                }
            }
            if recheck && (reading.queue > low || reading.saturated || std::mem::take(&mut self.suspect)) {
                // Somewhere between here and half of it is the knee, or the baselines are too low.
                let to = (DIP * at_work).floor().min(limit).max(Self::lowest(&reading, limit)).max(1.0);
                return self.cut(Cause::Latency, reading, limit, to, now);
            }
            let queues = reading.queue > low + SURE * reading.queue_error || reading.saturated;
            if !recheck && (queues || self.suspect) {
                // The counts of a growing limit cannot be compared.
                self.settle(Next::Recheck, now);
            }
            return limit;
        }
        if reading.saturated || excess > OBVIOUS * reading.queue_error || (recheck && excess > 0.0) {
            return self.cut(Cause::Latency, reading, limit, self.to_the_knee(&reading, limit), now);
        }
        if !recheck && excess > SURE * reading.queue_error {
            // Chance shows itself in the highest of many looks: look once more before acting.
            self.phase = Phase::Recheck;
            return limit;
        }
        if now >= self.next_dip {
            self.phase = Phase::Reference;
        }
        if reading.queue < low {
            return self.grow(&reading, limit);
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
