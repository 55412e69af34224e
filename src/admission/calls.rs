//! Calls under way: who was called when, how many of them are still to come, what that teaches.
//!
//! Times are of the room's clock, which stands still while the room is held. A batch is what one step
//! called. A call is *judged* after four mean claim delays: whether its holder came by then is evidence
//! (a later claim corrects it), and if not, nothing is kept for the holder any more, neither a seat nor
//! a unit of what is sold. It *expires* after the policy's `call`, which is bookkeeping only. The number
//! stays good through both: whoever comes late stands in the front row by it.
//!
//! After a restart those who looked meanwhile come back by and by, and no call is judged before they are all
//! back: else people who were cut off count as missing, the show rate falls to nothing, and ten times as many
//! are called as seats are free.
//!
//! Invariants: `outstanding` is the sum of the open calls of all batches, `fresh` that of the batches
//! not judged.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::lane::LaneId;
use super::moment::{Moment, nanos};
use super::shows::{ShowRate, Shown};

/// A call is judged missing after this many mean claim delays.
const JUDGED_AFTER_DELAYS: u32 = 4;
/// Whoever looked in vain looks again after two seconds, twice that, and so on, give or take three tenths, at
/// most after a minute: that is the rule of the page. So the last one is back so long after the line is, and
/// so long for each second that it was not.
const BACK: Duration = Duration::from_millis(2_600);
const BACK_PER_SECOND: u32 = 2;
const BACK_MAX: Duration = Duration::from_secs(78);
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
    /// Those who were cut off by a restart are all back by then.
    back: Moment,
}

impl Calls {
    /// No calls yet; claims are expected `delay` after their calls until measured.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self {
            batches: BTreeMap::new(),
            outstanding: 0,
            fresh: 0,
            shows: ShowRate::new(delay),
            back: Moment(0),
        }
    }

    /// Goes on from what an earlier process had learnt of calls.
    pub fn take_up(&mut self, shown: &Shown) {
        self.shows.take_up(shown);
    }

    /// Nobody was answered for the `down` before `clock`. Of those who were cut off earlier the last was still to
    /// come back by `before`.
    pub fn cut_off(&mut self, down: Duration, before: Duration, clock: Moment) {
        let back = BACK.saturating_add(down.saturating_mul(BACK_PER_SECOND)).saturating_add(before);
        self.back = clock.after(back.min(BACK_MAX));
    }

    /// How long it takes until those who were cut off are all back.
    #[must_use]
    pub fn until_back(&self, clock: Moment) -> Duration {
        self.back.since(clock)
    }

    /// The room's clock stood still for `elapsed`; people came back meanwhile.
    pub fn stand_still(&mut self, elapsed: Duration) {
        self.back = Moment(self.back.0.saturating_sub(nanos(elapsed)));
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
        // How long they take who were cut off says nothing of those who were not.
        if batch.called >= self.back {
            // One who is hours late says that tails are long, not that the mean is hours.
            self.shows.claimed_after(clock.since(batch.called).min(judged_after));
        }
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
        // Nobody is missing who may look for the first time since the restart.
        let judged_after = if clock < self.back { expiry } else { self.judged_within(looks).min(expiry) };
        let is_old = |batch: &&mut Batch| clock.since(batch.called) >= judged_after;
        let fresh = self.batches.values_mut().flatten().filter(|batch| batch.judged.is_none());
        for batch in fresh.filter(is_old) {
            // Who was called and gave the number up did not come, either.
            self.shows.judge(batch.came, batch.people.saturating_sub(batch.came));
            self.fresh -= batch.open;
            batch.judged = Some(self.shows.faded());
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
        let usual = self.shows.delay();
        let aged = |batch: &Batch| {
            let delay = usual.max(self.back.since(batch.called) / JUDGED_AFTER_DELAYS);
            (batch.open, clock.since(batch.called), delay)
        };
        let expected = |(open, age, delay)| open as f64 * self.shows.still_expected(age, delay);
        let of_line = |line: &VecDeque<Batch>| -> f64 {
            let recent = line.iter().rev().map(aged);
            recent.take_while(|(_, age, delay)| *age <= *delay * HOPELESS_AFTER_DELAYS).map(expected).sum()
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
    fn who_was_cut_off_is_waited_for_and_teaches_nothing_of_others() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(1));
        calls.take_up(&Shown { came: 40.0, missed: 10.0, delay_s: 0.1, claims: 50.0 });
        calls.cut_off(SECOND / 2, Duration::ZERO, start);
        calls.call(1..=100, 100, start);
        let at = |ms| start.after(Duration::from_millis(ms));
        calls.judge(SECOND * 60, SECOND * 60, at(3_500));
        assert_eq!(calls.fresh(), 100, "the last of them looks again within 3.6 s");
        assert!((calls.shows().rate() - 0.8).abs() < 1e-9);
        assert!(calls.on_their_way(at(900)) > 55.0, "{}", calls.on_their_way(at(900)));
        (1..=80).for_each(|number| calls.claimed(number, at(3_500)));
        assert_eq!(calls.shows().delay(), SECOND / 10);
        calls.judge(SECOND * 60, SECOND * 60, at(3_600));
        assert_eq!(calls.fresh(), 0);
        assert!((calls.shows().rate() - 0.8).abs() < 1e-9, "{}", calls.shows().rate());
        // Who is called when all are back is waited for as always.
        calls.call(101..=200, 100, at(3_600));
        assert!(calls.on_their_way(at(3_900)) < 20.0, "{}", calls.on_their_way(at(3_900)));
        calls.judge(SECOND * 60, SECOND * 60, at(4_000));
        assert!(calls.fresh() == 0 && calls.shows().rate() < 0.5, "{}", calls.shows().rate());
    }

    #[test]
    fn nobody_is_waited_for_beyond_the_longest_pause_of_the_page() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(1));
        calls.cut_off(SECOND * 100_000, SECOND * 100_000, start);
        calls.call(1..=9, 9, start);
        calls.call(10..=19, 10, start.after(BACK_MAX - SECOND * 5));
        assert!(calls.on_their_way(start.after(BACK_MAX - SECOND)) < 3.0, "{calls:?}");
        calls.judge(SECOND * 600, SECOND * 600, start.after(BACK_MAX));
        assert_eq!(calls.fresh(), 0);
        calls.cut_off(SECOND * 100, Duration::ZERO, start.after(BACK_MAX));
        calls.call(20..=29, 10, start.after(BACK_MAX));
        calls.judge(SECOND * 30, SECOND * 600, start.after(BACK_MAX + SECOND * 30));
        assert_eq!((calls.fresh(), calls.outstanding()), (0, 0), "a call that is over is over");
    }

    #[test]
    fn people_come_back_while_the_clock_of_the_room_stands_still() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(nanos(SECOND)));
        calls.cut_off(SECOND * 10, Duration::ZERO, start);
        assert_eq!(calls.until_back(start), SECOND * 20 + BACK);
        calls.stand_still(SECOND * 20);
        assert_eq!(calls.until_back(start), BACK);
        // A second restart: those of the first are not back yet.
        calls.cut_off(SECOND, calls.until_back(start), start);
        assert_eq!(calls.until_back(start), SECOND * 2 + BACK * 2);
    }

    #[test]
    fn one_who_is_very_late_does_not_stretch_the_delay() {
        let (mut calls, start) = (Calls::new(SECOND), Moment(1));
        calls.call(1..=1, 1, start);
        calls.claimed(1, start.after(SECOND * 500));
        assert!(calls.shows().delay() < SECOND * 2, "{:?}", calls.shows().delay());
    }
}
