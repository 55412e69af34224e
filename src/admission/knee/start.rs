//! The fast start: up with every answer, until answers wait or throughput stops growing.
//!
//! Whoever overtakes others was worked on beside them ([`Sample::beside`](crate::admission::law::Sample)).
//! Before anybody knows what an answer costs, that is reason enough to let more through; and where answers
//! are uneven enough to overtake each other, a limit of more than two and a half times as many as are seen
//! to be worked on is reason to feel one's way.

use super::class::Cost;
use super::experiment::DIP;
use super::growth::SEEN_CALM;
use super::reading::Reading;
use super::trial::{Cause, Trial};
use super::{Knee, Moment, Next, Phase, SURE};

/// An answer raises the limit if it took less than so many baselines.
const QUICK: f64 = 2.0;
/// The limit grows to at most so many times what it was at the last look.
const REACH: f64 = 2.0;
/// Before there is a baseline, to at most so many times that: a queue that is not served in order looks like
/// many that are worked on.
const BLIND: f64 = 4.0;
/// Before there is a baseline the limit grows while so much of it was seen to be worked on at once; after
/// that it grows with every answer only while so much of it was.
const BESIDE: (f64, f64) = (0.5, 0.4);
/// Standard deviation of times, over their mean, from which on answers overtake each other by themselves,
/// and not only those that were let through in the same moment.
const UNEVEN: f64 = 0.3;
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
    /// How many were seen to be worked on at once.
    beside: u32,
    /// That number tells how many can be.
    tells: Option<bool>,
}

impl Start {
    /// A request was answered beside so many, itself among them.
    pub(super) fn end(&mut self, beside: u32, limit: f64) {
        self.beside = self.beside.max(beside);
        if self.reach <= 0.0 {
            self.look(limit);
        }
    }

    fn is_worked_on(&self, limit: f64, part: f64) -> bool {
        f64::from(self.beside) >= part * limit
    }

    /// Answers were looked at when the limit was this.
    pub(super) fn look(&mut self, limit: f64) {
        self.reach = REACH * limit;
    }

    /// The limit after one more answer of which nobody knows yet what it costs: up while most of what is in
    /// flight is no queue.
    pub(super) fn grow_blind(&self, limit: f64) -> f64 {
        if self.is_worked_on(limit, BESIDE.0) {
            (limit + 1.0).min((BLIND * self.reach).max(limit))
        } else {
            limit
        }
    }

    /// Too few were seen to be worked on at once to go up with every answer; `spread` is that of times.
    fn is_held(&mut self, limit: f64, spread: f64) -> bool {
        let told = self.is_worked_on(limit, BESIDE.1);
        let tells = *self.tells.get_or_insert(spread > UNEVEN && told);
        tells && !told
    }

    /// The limit after one more quick answer.
    pub(super) fn grow(&mut self, limit: f64, spread: f64) -> f64 {
        if self.is_held(limit, spread) {
            return limit;
        }
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
        let is_short = !recheck && !self.start.suspect && reading.queue < self.low(&reading);
        if is_short && self.start.is_held(limit, self.spread) {
            return self.grow(&reading, limit);
        }
        self.growth = 0;
        let excess = reading.queue - self.high(at_work);
        if recheck {
            if reading.saturated || excess > 0.0 || std::mem::take(&mut self.start.suspect) {
                // Somewhere between here and half of it is the knee, or the baselines are too low.
                let to = (DIP * at_work).floor().min(limit).max(self.lowest(&reading, limit)).max(1.0);
                return self.cut(Cause::Latency, reading, limit, to, now);
            }
            // Some wait, and not too many: here it is.
            self.fast_start = reading.queue <= self.low(&reading);
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

    #[test]
    fn before_there_is_a_baseline_half_of_the_limit_must_be_worked_on() {
        let mut start = Start::default();
        start.end(9, 20.0);
        assert!((start.grow_blind(20.0) - 20.0).abs() < 1e-9);
        start.end(11, 20.0);
        assert!((start.grow_blind(20.0) - 21.0).abs() < 1e-9);
        assert!((start.grow_blind(23.0) - 23.0).abs() < 1e-9);
        start.end(500, 20.0);
        assert!(
            (start.grow_blind(159.5) - 160.0).abs() < 1e-9 && (start.grow_blind(160.0) - 160.0).abs() < 1e-9
        );
    }

    #[test]
    fn answers_that_overtake_each_other_hold_a_start_that_is_far_beyond_them() {
        let grown = |spread| {
            let mut start = Start::default();
            start.end(10, 100.0);
            start.grow(20.0, spread);
            start.grow(30.0, spread)
        };
        assert!((grown(0.5) - 30.0).abs() < 1e-9, "ten of thirty");
        assert!((grown(0.1) - 31.0).abs() < 1e-9, "even times: only a burst is overtaken");
    }

    #[test]
    fn nothing_is_held_where_nobody_ever_overtook() {
        let mut start = Start::default();
        start.end(1, 100.0);
        assert!((start.grow(20.0, 0.5) - 21.0).abs() < 1e-9);
        assert!((start.grow(200.0, 0.5) - 200.0).abs() < 1e-9, "twice the limit at the last look");
    }
}
