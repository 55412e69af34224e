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
/// Before there is a baseline the limit grows while so much of it was seen to be worked on at once.
const BESIDE: f64 = 0.5;
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
    /// How many requests have ended.
    ended: u32,
    /// How many were seen to be worked on at once.
    beside: u32,
}

impl Start {
    /// A request ended that had found so many unfinished, itself among them, at this limit.
    ///
    /// Whoever is done before others who were let through sooner was worked on beside them: a queue is served
    /// in order, and few overtake many only where many are worked on.
    pub(super) fn end(&mut self, rank: u32, limit: f64) {
        if self.ended == 0 {
            self.look(limit);
        }
        self.beside = self.beside.max(rank.saturating_sub(self.ended));
        self.ended = self.ended.saturating_add(1);
    }

    /// Most of what is in flight is no queue, though nobody knows yet what an answer costs.
    pub(super) fn is_worked_on(&self, limit: f64) -> bool {
        f64::from(self.beside) >= BESIDE * limit
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of twenty are known to be worked on at once when they end in this order.
    fn beside(ranks: impl IntoIterator<Item = u32>) -> u32 {
        let mut start = Start::default();
        ranks.into_iter().for_each(|rank| start.end(rank, 20.0));
        start.beside
    }

    #[test]
    fn who_overtakes_was_worked_on_beside_the_overtaken() {
        assert_eq!(beside([11, 3]), 11, "ten were let through sooner, and are still at it");
        assert_eq!(beside([1, 12]), 11, "of eleven one had ended");
        assert_eq!(beside(1..=20), 1, "in order, as a queue is served");
        assert_eq!(beside([2, 1, 4, 3, 6, 5]), 2, "two workers");
    }

    #[test]
    fn before_there_is_a_baseline_half_of_the_limit_must_be_worked_on() {
        let mut start = Start::default();
        start.end(9, 20.0);
        assert!(!start.is_worked_on(20.0));
        start.end(11, 20.0);
        assert!(start.is_worked_on(20.0) && !start.is_worked_on(21.0));
        assert!((start.grow(20.0) - 21.0).abs() < 1e-9 && (start.grow(40.0) - 40.0).abs() < 1e-9);
    }
}
