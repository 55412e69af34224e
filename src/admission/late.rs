//! The late lane: numbers whose call was missed.
//!
//! A missed call costs nobody the number. It is called again, in order of number, from a tenth of all
//! calls, so that those who are here are held up by a tenth at most; after the third missed call not
//! unasked any more. Whoever comes back says so, and stands before those who are silent: a call is of use
//! to somebody who hears it. Where nobody else waits, the lane has all calls.
//!
//! Times are of the room's clock. Memory: some bits for each number that missed a call, a record for each
//! that came back or is called again.
//!
//! Invariants: a number that is called again, or has come back, missed a call, and is not `due` as well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::calls::HOPELESS_AFTER_DELAYS;
use super::moment::Moment;
use super::number_set::NumberSet;
use super::ranked_set::RankedSet;
use super::shows::ShowRate;

/// The lane's part of all calls.
pub const SHARE: f64 = 0.1;
/// After so many missed calls a number is not called unasked.
pub const CALLS_UNASKED: u8 = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct LateLane {
    /// How many calls a number missed, up to three: the low bit and the high bit.
    missed: [NumberSet; 2],
    /// To be called again unasked.
    due: NumberSet,
    /// Came back.
    back: RankedSet,
    /// Called again, and when.
    called: BTreeMap<u64, Moment>,
    called_in_order: BTreeMap<Moment, BTreeSet<u64>>,
    /// Calls that the lane may make.
    credit: f64,
}

impl LateLane {
    /// A number's call was missed.
    pub fn miss(&mut self, number: u64) {
        self.uncall(number);
        self.back.remove(number);
        let misses = (self.misses(number) + 1).min(CALLS_UNASKED);
        self.set_misses(number, misses);
        if misses < CALLS_UNASKED {
            self.due.insert(number);
        } else {
            self.due.remove(number);
        }
    }

    /// Whether a number missed its call and is not called again yet.
    #[must_use]
    pub fn is_late(&self, number: u64) -> bool {
        self.misses(number) > 0 && !self.called.contains_key(&number)
    }

    /// The holder of a late number is back and asks to be called.
    pub fn come_back(&mut self, number: u64) {
        if self.is_late(number) {
            self.due.remove(number);
            self.back.insert(number);
        }
    }

    /// It is not of this lane any more: it claims, or was given up.
    pub fn forget(&mut self, number: u64) {
        self.uncall(number);
        self.back.remove(number);
        self.due.remove(number);
        self.set_misses(number, 0);
    }

    /// So many were called in the line: a tenth as many may be called here.
    pub fn earn(&mut self, called: u64) {
        self.earn_part(called as f64);
    }

    /// The same for calls that are counted in parts.
    pub fn earn_part(&mut self, called: f64) {
        self.credit += SHARE * called;
        // What nobody asks for is not saved up against those who come later.
        self.credit = self.credit.min((self.len() as f64).max(1.0));
    }

    /// How many of `wanted` calls are this lane's, where `line` others wait for one.
    #[must_use]
    pub fn part(&self, wanted: u64, line: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
        let credit = self.credit as u64;
        credit.max(wanted.saturating_sub(line)).min(wanted).min(self.len())
    }

    /// How many calls it asks for where others wait elsewhere: for all who came back, and for the silent what it has
    /// earned.
    #[must_use]
    pub fn asks(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
        let credit = self.credit as u64;
        (self.back() + credit).min(self.len())
    }

    /// Calls so many again: those who came back, then those who are silent, each in order of number.
    pub fn call(&mut self, people: u64, clock: Moment) {
        for _ in 0..people {
            let Some(number) = self.back.pop_first().or_else(|| self.due.pop_first()) else { break };
            self.note_call(number, clock);
            self.credit = (self.credit - 1.0).max(0.0);
        }
    }

    /// Calls that are out of time are missed once more. Returns their numbers.
    pub fn expire(&mut self, call: Duration, clock: Moment) -> Vec<u64> {
        let mut missed = Vec::new();
        while let Some((called, numbers)) = self.called_in_order.first_key_value()
            && clock.since(*called) >= call
        {
            let numbers = numbers.clone();
            numbers.iter().for_each(|number| self.miss(*number));
            missed.extend(numbers);
        }
        missed
    }

    /// The time of a call of this lane begins anew.
    pub fn extend(&mut self, number: u64, clock: Moment) {
        if self.called.contains_key(&number) {
            self.uncall(number);
            self.note_call(number, clock);
        }
    }

    /// When a number was called again, if it is.
    #[must_use]
    pub fn called_at(&self, number: u64) -> Option<Moment> {
        self.called.get(&number).copied()
    }

    /// Calls of this lane that are younger than `age`: their holders may be on their way.
    #[must_use]
    pub fn fresh(&self, age: Duration, clock: Moment) -> u64 {
        let oldest = Moment(clock.0.saturating_sub(super::moment::nanos(age)));
        self.called_in_order.range(oldest..).map(|(_, numbers)| numbers.len() as u64).sum()
    }

    /// People expected from these calls. They come like others who are called; that they missed a call
    /// once says less of those who came back for it.
    #[must_use]
    pub fn on_their_way(&self, shows: &ShowRate, clock: Moment) -> f64 {
        let expected = |(called, numbers): (&Moment, &BTreeSet<u64>)| {
            numbers.len() as f64 * shows.still_expected(clock.since(*called), shows.delay())
        };
        let oldest = shows.delay() * HOPELESS_AFTER_DELAYS;
        let recent =
            self.called_in_order.iter().rev().take_while(|(called, _)| clock.since(**called) <= oldest);
        recent.map(expected).sum()
    }

    /// Those who came back and go first.
    #[must_use]
    pub fn ahead_of(&self, number: u64) -> u64 {
        self.back.below(number)
    }

    /// How many came back and wait to be called.
    #[must_use]
    pub fn back(&self) -> u64 {
        self.back.len()
    }

    /// How many are called again, and the time of their calls is not over.
    #[must_use]
    pub fn called(&self) -> usize {
        self.called.len()
    }

    /// How many wait to be called, there or not.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.due.len() + self.back()
    }

    /// Nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many calls a number missed, as far as they are counted.
    #[must_use]
    pub fn misses(&self, number: u64) -> u8 {
        let [low, high] = &self.missed;
        u8::from(low.contains(number)) + 2 * u8::from(high.contains(number))
    }

    fn set_misses(&mut self, number: u64, misses: u8) {
        let [low, high] = &mut self.missed;
        for (bits, is) in [(low, misses & 1 != 0), (high, misses & 2 != 0)] {
            if is {
                bits.insert(number)
            } else {
                bits.remove(number)
            };
        }
    }

    fn uncall(&mut self, number: u64) {
        if let Some(called) = self.called.remove(&number) {
            let Some(numbers) = self.called_in_order.get_mut(&called) else { return };
            numbers.remove(&number);
            if numbers.is_empty() {
                self.called_in_order.remove(&called);
            }
        }
    }

    fn note_call(&mut self, number: u64, clock: Moment) {
        self.called.insert(number, clock);
        self.called_in_order.entry(clock).or_default().insert(number);
    }

    /// The numbers that came back or are called again.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.back.numbers().chain(self.called.keys().copied())
    }

    /// What must hold after each step; says what does not.
    ///
    /// # Errors
    /// The first thing that is broken, in words.
    pub fn check(&self, cursor: u64) -> Result<(), String> {
        for number in self.numbers() {
            if self.misses(number) == 0 || self.due.contains(number) {
                return Err(format!("{number} is in the late lane twice, or missed no call"));
            }
        }
        if self.back.numbers().any(|number| self.called.contains_key(&number)) {
            return Err("somebody is called again and waits for it".to_owned());
        }
        if self.called.len() != self.called_in_order.values().map(BTreeSet::len).sum::<usize>() {
            return Err("the calls of the late lane are in disorder".to_owned());
        }
        let known = self.missed.iter().chain([&self.due]).filter_map(NumberSet::last);
        if known.max().is_some_and(|last| last > cursor) {
            return Err("somebody is late who was not called".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_tenth_of_the_calls_is_the_lanes_and_all_of_them_where_nobody_else_waits() {
        let mut lane = LateLane::default();
        (1..=100).for_each(|number| lane.miss(number));
        assert_eq!(lane.part(50, 1_000), 0, "nothing was called yet");
        lane.earn(55);
        assert_eq!((lane.part(50, 1_000), lane.part(3, 1_000)), (5, 3));
        assert_eq!((lane.part(50, 10), lane.part(500, 0)), (40, 100));
        lane.call(5, Moment(1));
        assert_eq!((lane.part(50, 1_000), lane.len()), (0, 95));
    }

    #[test]
    fn who_came_back_goes_before_the_silent_and_both_by_number() {
        let mut lane = LateLane::default();
        [3, 5, 7, 9].into_iter().for_each(|number| lane.miss(number));
        lane.come_back(9);
        lane.come_back(5);
        lane.come_back(4);
        assert_eq!((lane.ahead_of(9), lane.back(), lane.len()), (1, 2, 4), "4 missed nothing");
        lane.call(3, Moment(5));
        assert!([5, 9, 3].into_iter().all(|number| lane.called_at(number) == Some(Moment(5))));
        assert!(lane.is_late(7) && !lane.is_late(5));
        lane.check(9).unwrap();
    }

    #[test]
    fn after_three_missed_calls_nobody_is_called_unasked_and_whoever_asks_is() {
        let (mut lane, mut clock) = (LateLane::default(), Moment(1));
        lane.miss(1);
        for misses in 1..CALLS_UNASKED {
            assert_eq!((lane.misses(1), lane.len()), (misses, 1));
            lane.call(1, clock);
            clock = clock.after(SECOND * 10);
            assert_eq!(lane.expire(SECOND * 10, clock), [1]);
        }
        assert_eq!((lane.misses(1), lane.len()), (3, 0));
        lane.come_back(1);
        assert_eq!(lane.len(), 1);
        lane.call(1, clock);
        assert_eq!(lane.fresh(SECOND, clock), 1);
        let shows = ShowRate::new(SECOND);
        assert!((lane.on_their_way(&shows, clock) - shows.rate()).abs() < 1e-9, "like any call");
        assert!(lane.on_their_way(&shows, clock.after(SECOND * 100)) < 1e-9);
        assert_eq!(lane.expire(SECOND * 10, clock.after(SECOND * 10)), [1]);
        assert_eq!((lane.misses(1), lane.len()), (3, 0), "silent again");
        lane.come_back(1);
        assert!(lane.is_late(1) && lane.back() == 1, "and again welcome");
        lane.forget(1);
        assert!(!lane.is_late(1) && lane.is_empty());
        lane.check(1).unwrap();
    }
}
