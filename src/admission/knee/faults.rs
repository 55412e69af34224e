//! An upstream that answers badly, or not at all.

use super::crew::Crew;
use super::reading::Reading;
use super::trial::Cause;
use super::{Cut, Knee, Load, Moment, seconds};

/// Beats without an answer, at least.
const STALL_MIN: f64 = 6.0;
/// Beats for which errors that did not fall with the limit are left alone.
const FORGET_ERRORS: f64 = 200.0;
/// Drops over all that ended, and how many in one window, from which on the limit is cut.
const DROPS_TOLERATED: f64 = 0.05;
const DROPS_MIN: u32 = 3;

/// A stall under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    pub(super) limit_before: f64,
    /// Answers came again at; those of before are void.
    pub(super) over: Option<Moment>,
}

/// Errors that a cut was to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errors {
    pub(super) limit_before: f64,
    pub(super) share_before: f64,
    pub(super) cuts: u32,
}

impl Knee {
    /// Where the limit stood before an experiment that is broken off.
    fn stood(&self, limit: f64) -> f64 {
        self.trial.map_or(limit, |trial| trial.limit_before)
    }

    pub(super) fn drops(&mut self, reading: &Reading, limit: f64, now: Moment) -> Option<f64> {
        self.error_share += 0.3 * (reading.dropped - self.error_share);
        if self.error_share <= DROPS_TOLERATED || reading.drops < DROPS_MIN {
            if self.error_share <= DROPS_TOLERATED {
                self.errors = None;
            }
            return None;
        }
        if now < self.ignore_errors_until {
            return None;
        }
        let share = self.error_share;
        let stood = self.stood(limit);
        let errors = self.errors.get_or_insert(Errors { limit_before: stood, share_before: share, cuts: 0 });
        if errors.cuts >= 3 && share > 0.7 * errors.share_before {
            // They do not fall with the limit: not load, and the circuit breaker's business.
            let back = errors.limit_before;
            self.errors = None;
            self.ignore_errors_until = now.after(seconds(self.beats(FORGET_ERRORS)));
            return Some(back);
        }
        errors.cuts += 1;
        // What it works on at once is not what it bears.
        self.crew = Crew::default();
        self.fast_start = false;
        self.cuts.add(Cause::Errors, None);
        let to = 0.75 * limit;
        self.last_cut = Some(Cut { cause: Cause::Errors, verdict: None, from: limit, to });
        Some(to)
    }

    /// Nothing comes back, or comes back again.
    pub(super) fn stalled(&mut self, limit: f64, load: &Load, now: Moment) -> Option<f64> {
        match self.stall {
            None => {
                let last = self.last_success?;
                let silent = now.since(last).as_secs_f64();
                let gap = 10.0 / self.last.throughput.max(1e-9);
                let patience = self
                    .beats(STALL_MIN)
                    .max(4.0 * self.hold * (1.0 + self.last.spread))
                    .max(if self.last.throughput > 0.0 { gap } else { 0.0 });
                if f64::from(load.unanswered) < 0.5 * limit || silent < patience || !self.is_born() {
                    return None;
                }
                let before = self.stood(limit);
                self.conclude(None, before);
                self.stall = Some(Stall { limit_before: before, over: None });
                self.cuts.add(Cause::Stall, None);
                let to = 0.5 * limit;
                self.last_cut = Some(Cut { cause: Cause::Stall, verdict: None, from: limit, to });
                self.window = None;
                Some(to)
            }
            Some(Stall { limit_before, over: None }) => {
                if self.last_success.is_some_and(|last| now.since(last).as_secs_f64() < self.beats(2.0)) {
                    self.stall = Some(Stall { limit_before, over: Some(now) });
                    self.void_before = now;
                }
                Some(limit)
            }
            // The first answer to something sent since ends it, see `on_sample`.
            Some(Stall { limit_before, over: Some(over) }) => {
                if self.last_success.is_some_and(|last| last >= over) && self.window.is_some() {
                    self.stall = None;
                    let back = 0.8 * limit_before;
                    return Some(back.max(limit));
                }
                Some(limit)
            }
        }
    }
}
