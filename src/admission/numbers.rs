//! The numbers of one room: given, called, given up, used.
//!
//! A number is given once, from a block that is durable before. Memory: one bit per *called* number, an
//! entry per number that was given up before its call, or has a slot; nothing per waiting person.
//!
//! Invariant: `cursor ≤ issued ≤ reserved`, and none of the three ever falls, but `reserved` when the block is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::number_set::NumberSet;

/// What survives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomMarks {
    /// Epoch of the numbering; the first is 1.
    pub epoch: u32,
    /// Highest number known to be given.
    pub issued: u64,
    /// Numbers up to here may have been given: the end of the durable block.
    pub reserved: u64,
    /// Highest number called.
    pub cursor: u64,
}

/// Numbers that are over, as they are made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Words of a [`NumberSet`], whole.
    pub words: Vec<(u64, u64)>,
    /// How many numbers had gone over by then.
    pub count: u64,
}

/// The durable block is used up: the store must reserve another before numbers can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockUsedUp;

/// Why the line passes over a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// It was given up.
    Left,
    /// Its holder has a slot, and is not waited for.
    Away,
}

/// Numbers, from the first one given to the last one reserved.
#[derive(Debug)]
pub struct Numbers {
    marks: RoomMarks,
    uncertain: RangeInclusive<u64>,
    used: NumberSet,
    /// Uncalled numbers that are passed on the way and cost nothing.
    passed: BTreeMap<u64, Passed>,
    /// Given up, or ended for good: what must stay so after a restart.
    over: NumberSet,
    /// The words of `over` that may not be durable yet.
    unkept: BTreeSet<u64>,
    /// How many numbers went over.
    ended: u64,
    /// How many were given in this life.
    given: u64,
}

impl Numbers {
    /// The numbers as a room was left.
    ///
    /// Those between what is known to be given and the end of the durable block may or may not have
    /// been given before a crash. They are never given again, and when called they count as nobody.
    #[must_use]
    pub fn restore(marks: RoomMarks) -> Self {
        let issued = marks.issued.max(marks.reserved);
        let cursor = marks.cursor.min(issued);
        Self {
            marks: RoomMarks { epoch: marks.epoch.max(1), issued, reserved: issued, cursor },
            uncertain: marks.issued + 1..=marks.reserved,
            used: NumberSet::default(),
            passed: BTreeMap::new(),
            over: NumberSet::default(),
            unkept: BTreeSet::new(),
            ended: 0,
            given: 0,
        }
    }

    /// These numbers were over when the room was left, and are.
    pub fn restore_over(&mut self, over: NumberSet) {
        for (at, mut word) in over.words() {
            while word != 0 {
                let number = at * 64 + u64::from(word.trailing_zeros());
                word &= word - 1;
                if self.is_called(number) {
                    self.used.insert(number);
                } else {
                    self.passed.insert(number, Passed::Left);
                }
            }
        }
        self.over = over;
    }

    /// A number is over for good.
    pub fn end(&mut self, number: u64) {
        if number > 0 && self.over.insert(number) {
            self.unkept.insert(number / 64);
            self.ended += 1;
        }
    }

    /// What must be made durable of the numbers that are over.
    #[must_use]
    pub fn unkept(&self) -> Ends {
        let words = self.unkept.iter().map(|at| (*at, self.over.word(*at))).collect();
        Ends { words, count: self.ended }
    }

    /// These are durable by now.
    pub fn kept(&mut self, ends: &Ends) {
        for (at, word) in &ends.words {
            if self.over.word(*at) == *word {
                self.unkept.remove(at);
            }
        }
    }

    /// How many numbers went over in this life.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// What must be durable for [`Numbers::restore`].
    #[must_use]
    pub fn marks(&self) -> RoomMarks {
        self.marks
    }

    /// No number is given any more: what was reserved and not given is free for the next process.
    pub fn close_block(&mut self) {
        self.marks.reserved = self.marks.issued;
    }

    /// Numbers up to `reserved` are durably ours to give.
    pub fn reserve(&mut self, reserved: u64) {
        self.marks.reserved = self.marks.reserved.max(reserved);
    }

    /// Numbers up to `drawn` were drawn by lot: whoever comes now stands behind them.
    pub fn begin_after(&mut self, drawn: u64) {
        self.marks.issued = self.marks.issued.max(drawn);
        self.marks.reserved = self.marks.reserved.max(drawn);
    }

    /// Gives the next number.
    ///
    /// # Errors
    /// [`BlockUsedUp`] until the store has reserved more.
    pub fn give(&mut self) -> Result<u64, BlockUsedUp> {
        if self.marks.issued >= self.marks.reserved {
            return Err(BlockUsedUp);
        }
        self.marks.issued += 1;
        self.given += 1;
        Ok(self.marks.issued)
    }

    /// Numbers given in this life.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Numbers given and not called.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.marks.issued - self.marks.cursor
    }

    /// Those of them that were not given up: people who wait or are away, and numbers that were perhaps never given.
    #[must_use]
    pub fn perhaps_people(&self) -> u64 {
        // After a step back to older marks, numbers beyond those given may be over.
        let given = self.passed.range(..=self.marks.issued);
        self.waiting().saturating_sub(given.filter(|(_, why)| **why == Passed::Left).count() as u64)
    }

    /// People who wait: those numbers, without the ones that the line passes over or that were perhaps never given.
    #[must_use]
    pub fn people(&self) -> u64 {
        let unsure = overlap(&self.uncertain, self.marks.cursor + 1, self.marks.issued);
        let gone = self.passed.len() as u64;
        let both = if unsure > 0 { self.passed.range(self.uncertain.clone()).count() as u64 } else { 0 };
        (self.waiting() + both).saturating_sub(unsure + gone)
    }

    /// Of `wanted` people, how many one step can call; of those with a slot it passes over `away`, see
    /// [`Numbers::reach`].
    #[must_use]
    pub fn callable(&self, wanted: u64, away: u64) -> u64 {
        let (first, last) = (self.marks.cursor + 1, self.reach(wanted.min(self.waiting()), away));
        let passed = self.passed.range(first..(last + 1).max(first)).map(|(number, _)| *number);
        let nobody = passed.filter(|number| !self.is_uncertain(*number)).count() as u64;
        (last + 1 - first).saturating_sub(nobody + overlap(&self.uncertain, first, last))
    }

    /// Its turn has come.
    #[must_use]
    pub fn is_called(&self, number: u64) -> bool {
        number <= self.marks.cursor
    }

    /// It may never have been given.
    #[must_use]
    pub fn is_uncertain(&self, number: u64) -> bool {
        self.uncertain.contains(&number)
    }

    /// Somebody was called by it and it is not used: its turn has come and nobody took it.
    #[must_use]
    pub fn is_unclaimed(&self, number: u64) -> bool {
        self.is_called(number) && !self.is_uncertain(number) && !self.is_spent(number)
    }

    /// The holder of an uncalled number gives it up.
    pub fn give_up(&mut self, number: u64) {
        self.passed.insert(number, Passed::Left);
        self.end(number);
    }

    /// The line does not wait for the holder of an uncalled number: it has a slot, or came in by one.
    pub fn pass_over(&mut self, number: u64) {
        if !self.is_called(number) {
            self.passed.entry(number).or_insert(Passed::Away);
        }
    }

    /// The holder of an uncalled number did not come in its slot: it is called like any other.
    pub fn wait_for(&mut self, number: u64) {
        if self.is_passed_over(number) && !self.is_spent(number) {
            self.passed.remove(&number);
        }
    }

    /// The line passes over an uncalled number that was not given up.
    #[must_use]
    pub fn is_passed_over(&self, number: u64) -> bool {
        self.passed.get(&number) == Some(&Passed::Away)
    }

    /// Given up before its call, or used since.
    #[must_use]
    pub fn is_spent(&self, number: u64) -> bool {
        self.used.contains(number) || self.passed.get(&number) == Some(&Passed::Left)
    }

    /// Marks a called number as used; false if it was already. 0 is no number and is never used up.
    pub fn mark_used(&mut self, number: u64) -> bool {
        number == 0 || self.used.insert(number)
    }

    /// The lowest number that somebody waits by to be called.
    #[must_use]
    pub fn first_waiting(&self) -> Option<u64> {
        let certain = |number| if self.is_uncertain(number) { self.uncertain.end() + 1 } else { number };
        let mut first = certain(self.marks.cursor + 1);
        for number in self.passed.range(first..).map(|(number, _)| *number) {
            if number > first {
                break;
            }
            if number == first {
                first = certain(first + 1);
            }
        }
        (first <= self.marks.issued).then_some(first)
    }

    /// Where the cursor stands after calling `wanted` people. Numbers that were given up, those with a
    /// slot, and those that were perhaps never given, are passed on the way and cost nothing. Of those with a
    /// slot, `away` at most: they may come in from then on, and shall not do so all at once.
    #[must_use]
    pub fn reach(&self, wanted: u64, away: u64) -> u64 {
        let first = self.marks.cursor + 1;
        let over_uncertain = |last: u64| {
            // Also where they stand next in line and nobody is to be called: whoever may hold one of
            // them is next anyway, and nobody else should count them as people ahead.
            if last + 1 < *self.uncertain.start() {
                last
            } else {
                last + overlap(&self.uncertain, first, u64::MAX)
            }
        };
        let (mut last, mut away) = (self.marks.cursor + wanted, away);
        for (number, why) in self.passed.range(first..) {
            if *number > over_uncertain(last) {
                break;
            }
            if *why == Passed::Away && !self.used.contains(*number) {
                let Some(rest) = away.checked_sub(1) else { return number - 1 };
                away = rest;
            }
            last += u64::from(!self.is_uncertain(*number));
        }
        over_uncertain(last).min(self.marks.issued)
    }

    /// Moves the cursor; returns the numbers called and how many people that may be. `None` if they
    /// were called before, or never given.
    pub fn call_up_to(&mut self, cursor: u64) -> Option<(RangeInclusive<u64>, u64)> {
        let first = self.marks.cursor + 1;
        if cursor < first || cursor > self.marks.issued {
            return None;
        }
        let later = self.passed.split_off(&(cursor + 1));
        let gone = std::mem::replace(&mut self.passed, later);
        for number in gone.iter().filter(|(_, why)| **why == Passed::Left).map(|(number, _)| number) {
            self.mark_used(*number);
        }
        let gone = gone.keys().filter(|number| !self.is_uncertain(**number)).count() as u64;
        self.marks.cursor = cursor;
        debug_assert!(self.marks.issued <= self.marks.reserved, "gave a number that is not durable");
        Some((first..=cursor, (cursor - first + 1) - overlap(&self.uncertain, first, cursor) - gone))
    }
}

fn overlap(range: &RangeInclusive<u64>, first: u64, last: u64) -> u64 {
    let (from, to) = ((*range.start()).max(first), (*range.end()).min(last));
    if range.is_empty() || from > to { 0 } else { to - from + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = u64::MAX;

    fn restored(issued: u64, reserved: u64, cursor: u64) -> Numbers {
        Numbers::restore(RoomMarks { epoch: 1, issued, reserved, cursor })
    }

    #[test]
    fn a_number_is_given_from_a_durable_block_only_and_never_twice() {
        let mut numbers = restored(0, 0, 0);
        assert_eq!(numbers.give(), Err(BlockUsedUp));
        numbers.reserve(2);
        assert_eq!((numbers.give(), numbers.give(), numbers.give()), (Ok(1), Ok(2), Err(BlockUsedUp)));
        let mut after_a_crash = restored(0, 2, 0);
        after_a_crash.reserve(10);
        assert_eq!(after_a_crash.give(), Ok(3));
    }

    #[test]
    fn numbers_perhaps_never_given_cost_no_call() {
        let mut numbers = restored(12, 1_000, 10);
        numbers.reserve(2_000);
        (0..5).for_each(|_| assert!(numbers.give().is_ok()));
        assert_eq!(numbers.reach(1, ALL), 11, "those who are certain come first");
        assert_eq!(
            numbers.reach(2, ALL),
            1_000,
            "those who are perhaps nobody count as nobody, ahead of nobody"
        );
        assert_eq!(numbers.reach(3, ALL), 1_001);
        assert_eq!(numbers.call_up_to(1_001), Some((11..=1_001, 3)));
        assert_eq!(numbers.call_up_to(1_001), None);
    }

    #[test]
    fn what_is_over_is_so_after_a_restart() {
        let mut numbers = restored(200, 200, 100);
        [70, 99].into_iter().for_each(|number| _ = numbers.mark_used(number));
        numbers.end(70);
        numbers.give_up(150);
        let ends = numbers.unkept();
        assert_eq!((ends.words.len(), ends.count), (2, 2));
        numbers.give_up(151);
        numbers.kept(&ends);
        assert_eq!(numbers.unkept().words.len(), 1, "the word of 151 is not kept yet");
        let mut again = restored(200, 200, 100);
        again.restore_over(NumberSet::of_words(ends.words));
        assert!(again.is_spent(70) && again.is_spent(150));
        assert!(!again.is_spent(99), "whoever was inside goes on");
        assert_eq!(again.unkept().words, []);
        assert_eq!(again.call_up_to(151).map(|(_, people)| people), Some(50));
    }

    #[test]
    fn what_is_over_beyond_what_was_given_is_nobody() {
        let mut numbers = restored(10, 10, 10);
        numbers.restore_over(NumberSet::of_words([(1, 1)]));
        assert_eq!((numbers.perhaps_people(), numbers.people()), (0, 0));
    }

    #[test]
    fn one_step_can_call_those_before_a_row_of_slots() {
        let mut numbers = restored(12, 20, 0);
        numbers.give_up(1);
        (5..=8).for_each(|number| numbers.pass_over(number));
        assert_eq!((numbers.callable(ALL, 3), numbers.callable(2, 3), numbers.callable(0, 3)), (3, 2, 0));
        assert_eq!(numbers.callable(ALL, 4), 7, "without those who were perhaps never given");
        assert_eq!(numbers.callable(ALL, ALL), numbers.people());
    }

    #[test]
    fn numbers_given_up_cost_no_call() {
        let mut numbers = restored(100, 100, 0);
        (1..=50).for_each(|number| numbers.give_up(number));
        assert_eq!(numbers.reach(0, ALL), 0);
        assert_eq!(numbers.reach(1, ALL), 51);
        assert_eq!(numbers.call_up_to(51), Some((1..=51, 1)));
        assert!(numbers.is_spent(50) && !numbers.is_spent(51));
        numbers.give_up(100);
        assert_eq!(numbers.reach(49, ALL), 100, "never beyond what was given");
    }

    #[test]
    fn who_waits_first_is_neither_gone_nor_away_nor_perhaps_nobody() {
        let mut numbers = restored(12, 100, 10);
        numbers.reserve(200);
        assert_eq!(numbers.first_waiting(), Some(11));
        numbers.give_up(11);
        numbers.pass_over(12);
        numbers.give_up(50);
        assert_eq!(numbers.first_waiting(), None);
        assert_eq!((numbers.give(), numbers.give()), (Ok(101), Ok(102)));
        numbers.pass_over(101);
        assert_eq!(numbers.first_waiting(), Some(102));
        numbers.wait_for(12);
        assert_eq!(numbers.first_waiting(), Some(12));
    }

    #[test]
    fn numbers_with_a_slot_cost_no_call_and_stay_good() {
        let mut numbers = restored(100, 100, 0);
        (1..=50).for_each(|number| numbers.pass_over(number));
        numbers.give_up(2);
        numbers.wait_for(3);
        assert!(numbers.is_spent(2) && !numbers.is_spent(1) && numbers.is_passed_over(1));
        assert_eq!((numbers.reach(1, ALL), numbers.reach(2, ALL)), (3, 51), "3 waits again");
        assert_eq!(numbers.call_up_to(50), Some((1..=50, 1)));
        assert!(numbers.is_unclaimed(1) && !numbers.is_unclaimed(2) && !numbers.is_passed_over(1));
        numbers.pass_over(60);
        assert!(numbers.mark_used(60), "came in before the line came so far");
        numbers.wait_for(60);
        assert_eq!(numbers.call_up_to(60), Some((51..=60, 9)));
    }

    #[test]
    fn of_those_with_a_slot_the_line_passes_some_at_once_and_the_next_later() {
        let mut numbers = restored(1_000, 1_000, 0);
        (2..=900).for_each(|number| numbers.pass_over(number));
        (2..=11).for_each(|number| _ = numbers.mark_used(number));
        numbers.give_up(12);
        assert_eq!(numbers.reach(2, 100), 112, "who came in already and who has left is none of them");
        assert_eq!(numbers.reach(1, 0), 1);
        assert_eq!(numbers.call_up_to(112), Some((1..=112, 1)));
        assert_eq!((numbers.reach(1, 100), numbers.reach(1, 787)), (212, 899));
        assert_eq!((numbers.reach(1, 788), numbers.reach(0, 100)), (901, 112));
    }
}
