//! The fast start: up with every answer, until answers wait or throughput stops growing.

use super::class::Cost;
use super::experiment::DIP;
use super::growth::SEEN_CALM;
use super::reading::Reading;
use super::trial::{Cause, Trial};
use super::{HIGH, Knee, Moment, Next, Phase, SURE, band};

/// An answer raises the limit if it took less than so many baselines.
const QUICK: f64 = 2.0;
/// The limit grows to at most so many times what it was at the last look.
const REACH: f64 = 2.0;
/// A fast start whose throughput grows by less than this power of what is in flight is over.
const STAGNANT: f64 = 0.4;

/// What a fast start has seen.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// The first reading.
    first: Option<Reading>,
    /// One against which later ones are held.
    mark: Option<Reading>,
    /// Throughput did not grow with the limit.
    suspect: bool,
    /// How far the limit may go before the next look.
    reach: f64,
}

impl Start {
    /// Answers were looked at when the limit was this.
    pub(super) fn look(&mut self, limit: f64) {
        self.reach = REACH * limit;
    }

    /// The limit after one more quick answer.
    pub(super) fn grow(&self, limit: f64) -> f64 {
        (limit + 1.0).min(self.reach.max(limit))
    }
}

/// Whether an answer did not wait as long as it was worked on. Of a class without a baseline that cannot be
/// told.
pub(super) fn is_quick(took: f64, cost: Option<Cost>) -> bool {
    cost.is_none_or(|cost| took < QUICK * cost.baseline)
}

impl Knee {
    /// A window of the fast start.
    pub(super) fn start(&mut self, reading: Reading, limit: f64, now: Moment) -> f64 {
        let at_work = reading.at_work();
        let recheck = self.phase == Phase::Recheck;
        let first = *self.start.first.get_or_insert(reading);
        if Trial::grew(&self.price(first), &self.price(reading)) {
            self.doubt = self.doubt.min(SEEN_CALM);
        }
        // Twice as many in flight, and hardly more answers: all beyond was queue, whatever the baselines
        // say.
        let mark = *self.start.mark.get_or_insert(reading);
        if reading.in_flight >= 2.0 * mark.in_flight {
            self.start.mark = Some(reading);
            let power = Trial::over(&self.price(mark), &self.price(reading));
            self.start.suspect |= power.is_some_and(|value| value < STAGNANT);
        }
        let excess = reading.queue - band(at_work, HIGH, 1.0);
        if recheck {
            if reading.saturated || excess > 0.0 || std::mem::take(&mut self.start.suspect) {
                // Somewhere between here and half of it is the knee, or the baselines are too low.
                let to = (DIP * at_work).floor().min(limit).max(self.lowest(&reading, limit)).max(1.0);
                return self.cut(Cause::Latency, reading, limit, to, now);
            }
            // Some wait, and not too many: here it is.
            self.fast_start = reading.queue <= Self::low(&reading);
        } else if reading.saturated || excess > SURE * reading.queue_error || self.start.suspect {
            // The counts of a growing limit cannot be compared.
            self.settle(Next::Recheck, now);
        }
        limit
    }
}
