//! Calls under way: who was called when, how many of them are still to come, what that teaches.
//!
//! Times are of the room's clock, which stands still while the room is held. A batch is what one step
//! called. A call is *judged* after four mean claim delays: whether its holder came by then is evidence
//! (a later claim corrects it), and if not, nothing is kept for the holder any more, neither a seat nor
//! a unit of what is sold. It *expires* after the policy's `call`, which is bookkeeping only. The number
//! stays good through both: whoever comes late stands in the front row by it.
//!
//! Invariants: `outstanding` is the sum of the open calls of all batches, `fresh` that of the batches
//! not judged.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::lane::LaneId;
use super::moment::Moment;
use super::shows::ShowRate;

/// A call is judged missing after this many mean claim delays.
const JUDGED_AFTER_DELAYS: u32 = 4;
/// A call so many mean claim delays old is not expected to be claimed at all.
pub(super) const HOPELESS_AFTER_DELAYS: u32 = 30;

#[derive(Debug)]
struct Batch {
    numbers: RangeInclusive<u64>,
    called: Moment,
    people: u64,
    open: u64,
    /// Claims before it was judged.
    came: u64,
    /// When it was judged, as [`ShowRate::faded`] says it.
    judged: Option<f64>,
}

/// The calls of one room.
#[derive(Debug)]
pub struct Calls {
    /// Of each lane that was called.
    batches: BTreeMap<LaneId, VecDeque<Batch>>,
    outstanding: u64,
    fresh: u64,
    shows: ShowRate,
}

impl Calls {
    /// No calls yet; claims are expected `delay` after their calls until measured.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self { batches: BTreeMap::new(), outstanding: 0, fresh: 0, shows: ShowRate::new(delay) }
    }

    /// These numbers were called, `people` of them to somebody.
    pub fn call(&mut self, numbers: RangeInclusive<u64>, people: u64, clock: Moment) {
        self.outstanding += people;
        self.fresh += people;
        let line = self.batches.entry(LaneId::of(*numbers.end())).or_default();
        line.push_back(Batch { numbers, called: clock, people, open: people, came: 0, judged: None });
    }

    /// The holder of a number claims, for the first time.
    pub fn claimed(&mut self, number: u64, clock: Moment) {
        let judged_after = self.judged_after();
        let Some(batch) = Self::batch(&mut self.batches, number) else { return };
        // One who is hours late says that tails are long, not that the mean is hours.
        self.shows.claimed_after(clock.since(batch.called).min(judged_after));
        match batch.judged {
            Some(judged) => self.shows.correct(judged),
            None => batch.came += 1,
        }
        self.close(number);
    }

    /// A call will not be claimed any more, or was.
    pub fn close(&mut self, number: u64) {
        if let Some(batch) = Self::batch(&mut self.batches, number).filter(|batch| batch.open > 0) {
            batch.open -= 1;
            self.outstanding -= 1;
            self.fresh -= u64::from(batch.judged.is_none());
        }
    }

    /// Learns from calls that are old enough, at the latest after `looks`, in which whoever follows the
    /// poll rule has looked several times; and closes the accounts of those past `expiry`. Returns the
    /// numbers of those.
    pub fn judge(&mut self, expiry: Duration, looks: Duration, clock: Moment) -> Vec<RangeInclusive<u64>> {
        let judged_after = self.judged_within(looks).min(expiry);
        for batch in self.batches.values_mut().flatten().filter(|batch| batch.judged.is_none()) {
            if clock.since(batch.called) >= judged_after {
                // Who was called and gave the number up did not come, either.
                self.shows.judge(batch.came, batch.people.saturating_sub(batch.came));
                self.fresh -= batch.open;
                batch.judged = Some(self.shows.faded());
            }
        }
        let mut over = Vec::new();
        for line in self.batches.values_mut() {
            while let Some(oldest) = line.pop_front_if(|batch| clock.since(batch.called) >= expiry) {
                self.outstanding -= oldest.open;
                over.push(oldest.numbers);
            }
        }
        over
    }

    /// When a number was called, if its call is not past its time.
    #[must_use]
    pub fn called_at(&self, number: u64) -> Option<Moment> {
        let line = self.batches.get(&LaneId::of(number))?;
        let at = line.partition_point(|batch| *batch.numbers.end() < number);
        line.get(at).filter(|batch| batch.numbers.contains(&number)).map(|batch| batch.called)
    }

    /// Closes a step of `elapsed`.
    pub fn step(&mut self, elapsed: Duration) {
        self.shows.step(elapsed);
    }

    /// Calls not claimed and not expired.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Of these, those that nothing is known of yet: not judged missing.
    #[must_use]
    pub fn fresh(&self) -> u64 {
        self.fresh
    }

    /// People expected from the calls that are out.
    #[must_use]
    pub fn on_their_way(&self, clock: Moment) -> f64 {
        let oldest = self.shows.delay() * HOPELESS_AFTER_DELAYS;
        let expected = |(open, age)| open as f64 * self.shows.still_expected(age);
        let of_line = |line: &VecDeque<Batch>| -> f64 {
            let recent = line.iter().rev().map(|batch| (batch.open, clock.since(batch.called)));
            recent.take_while(|(_, age)| *age <= oldest).map(expected).sum()
        };
        self.batches.values().map(of_line).sum()
    }

    /// Calls of one lane not claimed and not expired.
    #[must_use]
    pub fn open(&self, lane: LaneId) -> u64 {
        self.batches.get(&lane).map_or(0, |line| line.iter().map(|batch| batch.open).sum())
    }

    /// What part of those called come, and how soon.
    #[must_use]
    pub fn shows(&self) -> &ShowRate {
        &self.shows
    }

    /// Age from which on nothing is kept for a call that was not claimed, where whoever is there looks
    /// within `looks`.
    #[must_use]
    pub fn judged_within(&self, looks: Duration) -> Duration {
        self.judged_after().min(looks)
    }

    fn judged_after(&self) -> Duration {
        self.shows.delay() * JUDGED_AFTER_DELAYS
    }

    /// Batches of a lane follow one another in number order.
    fn batch(batches: &mut BTreeMap<LaneId, VecDeque<Batch>>, number: u64) -> Option<&mut Batch> {
        let line = batches.get_mut(&LaneId::of(number))?;
        let at = line.partition_point(|batch| *batch.numbers.end() < number);
        line.get_mut(at).filter(|batch| batch.numbers.contains(&number))
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
