//! Calls under way: who was called when, how many of them are still to come, what that teaches.
//!
//! Times are of the room's clock, which stands still while the room is held. A batch is what one step
//! called. A call is *judged* missing after four mean claim delays, which is evidence only (a later claim
//! corrects it), and *expires* after the policy's `call`, which is bookkeeping only: the number stays good.
//!
//! Invariant: `outstanding` is the sum of the open calls of all batches.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::moment::Moment;
use super::seats::{Pace, ShowRate};

/// A call is judged missing after this many mean claim delays.
const JUDGED_AFTER_DELAYS: u32 = 4;

#[derive(Debug)]
struct Batch {
    numbers: RangeInclusive<u64>,
    called: Moment,
    open: u64,
    /// When it was judged, as a count of calls judged by then.
    judged: Option<u64>,
}

/// The calls of one room.
#[derive(Debug)]
pub struct Calls {
    batches: VecDeque<Batch>,
    outstanding: u64,
    shows: ShowRate,
    pace: Pace,
}

impl Calls {
    /// No calls yet; claims are expected `delay` after their calls until measured.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self { batches: VecDeque::new(), outstanding: 0, shows: ShowRate::new(delay), pace: Pace::default() }
    }

    /// These numbers were called, `people` of them to somebody.
    pub fn call(&mut self, numbers: RangeInclusive<u64>, people: u64, clock: Moment) {
        self.pace.add(people);
        self.outstanding += people;
        self.batches.push_back(Batch { numbers, called: clock, open: people, judged: None });
    }

    /// The holder of a number claims, for the first time.
    pub fn claimed(&mut self, number: u64, clock: Moment) {
        let judged_after = self.judged_after();
        let Some(batch) = Self::batch(&mut self.batches, number) else { return };
        // One who is hours late says that tails are long, not that the mean is hours.
        self.shows.claimed_after(clock.since(batch.called).min(judged_after));
        match batch.judged {
            Some(judged) => self.shows.correct(judged),
            None => self.shows.came(),
        }
        self.close(number);
    }

    /// A call will not be claimed any more, or was.
    pub fn close(&mut self, number: u64) {
        if let Some(batch) = Self::batch(&mut self.batches, number).filter(|batch| batch.open > 0) {
            batch.open -= 1;
            self.outstanding -= 1;
        }
    }

    /// Learns from calls that are old enough, at the latest after `looks`, in which whoever follows the
    /// poll rule has looked several times; and closes the accounts of those past `expiry`.
    pub fn judge(&mut self, expiry: Duration, looks: Duration, clock: Moment) {
        let judged_after = self.judged_after().min(looks).min(expiry);
        for batch in self.batches.iter_mut().filter(|batch| batch.judged.is_none()) {
            if clock.since(batch.called) >= judged_after {
                self.shows.missed(batch.open);
                batch.judged = Some(self.shows.judged());
            }
        }
        while let Some(oldest) = self.batches.front()
            && clock.since(oldest.called) >= expiry
        {
            self.outstanding -= oldest.open;
            self.batches.pop_front();
        }
    }

    /// Closes a step of `elapsed`.
    pub fn step(&mut self, elapsed: Duration) {
        self.pace.step(elapsed);
    }

    /// Calls not claimed and not expired.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Of these, those that nothing is known of yet: not judged missing.
    #[must_use]
    pub fn fresh(&self) -> u64 {
        self.batches.iter().filter(|batch| batch.judged.is_none()).map(|batch| batch.open).sum()
    }

    /// People expected from the calls that are out.
    #[must_use]
    pub fn on_their_way(&self, clock: Moment) -> f64 {
        let open = self.batches.iter().filter(|batch| batch.open > 0);
        open.map(|batch| batch.open as f64 * self.shows.still_expected(clock.since(batch.called))).sum()
    }

    /// What part of those called come, and how soon.
    #[must_use]
    pub fn shows(&self) -> &ShowRate {
        &self.shows
    }

    /// Numbers called a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.pace.per_second()
    }

    fn judged_after(&self) -> Duration {
        self.shows.delay() * JUDGED_AFTER_DELAYS
    }

    /// Batches follow one another in number order.
    fn batch(batches: &mut VecDeque<Batch>, number: u64) -> Option<&mut Batch> {
        let at = batches.partition_point(|batch| *batch.numbers.end() < number);
        batches.get_mut(at).filter(|batch| batch.numbers.contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn accounts_are_opened_judged_and_closed_once() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(1));
        calls.call(1..=10, 10, start);
        calls.call(11..=12, 2, start.after(SECOND));
        calls.claimed(11, start.after(SECOND * 2));
        assert_eq!((calls.outstanding(), calls.fresh()), (11, 11));
        calls.judge(SECOND * 60, SECOND * 60, start.after(SECOND * 30));
        assert_eq!((calls.outstanding(), calls.fresh()), (11, 0));
        calls.judge(SECOND * 60, SECOND * 60, start.after(SECOND * 60));
        assert_eq!(calls.outstanding(), 1, "the first batch is past its time");
        calls.close(3);
        assert_eq!(calls.outstanding(), 1, "a late claim closes no other account");
    }

    #[test]
    fn silence_is_learnt_and_corrected() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(1));
        let prior = calls.shows().rate();
        calls.call(1..=100, 100, start);
        calls.judge(SECOND * 600, SECOND * 600, start.after(SECOND * 30));
        let silent = calls.shows().rate();
        assert!(silent < 0.2 && silent < prior, "{silent}");
        (1..=100).for_each(|number| calls.claimed(number, start.after(SECOND * 31)));
        assert!(calls.shows().rate() > 0.8, "{}", calls.shows().rate());
    }

    #[test]
    fn one_who_is_very_late_does_not_stretch_the_delay() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(1));
        calls.call(1..=1, 1, start);
        calls.claimed(1, start.after(SECOND * 500));
        assert!(calls.shows().delay() < SECOND * 2, "{:?}", calls.shows().delay());
    }
}
