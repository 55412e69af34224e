//! Who asked to be told before their turn, by number, and when each of them is.
//!
//! A token is the body's own word for somebody: opaque, and told to nobody but the body. Kept until the body was
//! told or the place is over; that somebody was told, until the number is called. Both outlive the process, once the
//! store has kept what changed: who is being told when it ends is told by the next one.
//!
//! Memory: a record for each number that is registered, `MOST` at most, and a number for each that was told and
//! is not called yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lane::LaneId;

/// Longest token, in bytes.
pub const TOKEN_MAX: usize = 256;
/// Most numbers that are registered at once.
const MOST: usize = 100_000;

/// Why somebody cannot be registered, or forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Not {
    /// Nobody else can be at the moment.
    Full,
    /// The body was told of this number, or is being told.
    Told,
}

/// What must outlive the process of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is to be told, by this token.
    Wanted(Box<str>),
    /// It was told, and is not called yet.
    Told,
}

/// What must be made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReminderChanges {
    /// Each number with what must be kept of it; `None` if that is nothing any more.
    pub numbers: Vec<(u64, Option<Kept>)>,
    /// So many changes are durable with these: none where not all fit.
    pub count: u64,
    /// How many there had been.
    pub seen: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reminders {
    tokens: BTreeMap<u64, Box<str>>,
    /// The body is being told of these.
    under_way: BTreeMap<u64, Box<str>>,
    /// Told, and not called yet: nobody is told twice.
    told: BTreeSet<u64>,
    /// Not durable yet, and which change was the last.
    unkept: BTreeMap<u64, u64>,
    /// The same where nobody waits for it: these are written when there is room.
    anew: BTreeMap<u64, u64>,
    changes: u64,
}

/// A number whose turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The number.
    pub number: u64,
    /// Whom to tell.
    pub token: Box<str>,
}

impl Reminders {
    /// The holder of a number that is not called yet is to be told; of several tokens the last one counts.
    ///
    /// # Errors
    /// [`Not`]; those who are registered stay so.
    pub fn register(&mut self, number: u64, token: Box<str>) -> Result<(), Not> {
        self.is_untold(number)?;
        if self.tokens.len() >= MOST && !self.tokens.contains_key(&number) {
            return Err(Not::Full);
        }
        self.tokens.insert(number, token);
        self.changed(number);
        Ok(())
    }

    /// Nobody is told.
    ///
    /// # Errors
    /// [`Not::Told`]: it is too late.
    pub fn forget(&mut self, number: u64) -> Result<(), Not> {
        self.is_untold(number)?;
        if self.tokens.remove(&number).is_some() {
            self.changed(number);
        }
        Ok(())
    }

    fn is_untold(&self, number: u64) -> Result<(), Not> {
        let told = self.told.contains(&number) || self.under_way.contains_key(&number);
        if told { Err(Not::Told) } else { Ok(()) }
    }

    /// The place is somebody else's now: whoever had it is told nothing more, and who has it may ask.
    pub fn forget_place(&mut self, number: u64) {
        let known = self.tokens.remove(&number).is_some() | self.under_way.remove(&number).is_some();
        if self.told.remove(&number) | known {
            self.changed(number);
        }
    }

    /// Places that are over need not be told: words of 64 numbers, as [`NumberSet::words`] gives them.
    ///
    /// [`NumberSet::words`]: super::number_set::NumberSet::words
    pub fn forget_over(&mut self, words: &[(u64, u64)]) {
        if self.is_empty() {
            return;
        }
        for (at, word) in words {
            let numbers = at * 64..=at * 64 + 63;
            let wanted = self.tokens.range(numbers.clone()).map(|(number, _)| *number);
            let here = wanted.chain(self.told.range(numbers).copied());
            for number in here.filter(|number| word >> (number % 64) & 1 == 1).collect::<Vec<_>>() {
                self.tokens.remove(&number);
                self.told.remove(&number);
                self.changed(number);
            }
        }
    }

    /// Nobody is registered any more, and nobody was told.
    pub fn clear(&mut self) {
        let known = self.numbers();
        (self.tokens, self.under_way, self.told) = Default::default();
        self.write_anew(known);
    }

    /// As an earlier process left it.
    pub fn restore(&mut self, number: u64, kept: Kept) {
        match kept {
            Kept::Wanted(token) => _ = self.tokens.insert(number, token),
            Kept::Told => _ = self.told.insert(number),
        }
    }

    /// At most `most` numbers of the lane of `cursor` that are called, or will be within `ahead` while `rate` are called a second
    /// (0: not known, then nobody's turn can be foreseen); lowest first, each once.
    pub fn due(&mut self, cursor: u64, rate: f64, ahead: Duration, most: usize) -> Vec<Turn> {
        let origin = LaneId::of(cursor).origin();
        while let Some(number) = self.told.range(origin..=cursor).next().copied() {
            self.told.remove(&number);
            self.changed(number);
        }
        #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
        let soon = if rate > 0.0 { (rate * ahead.as_secs_f64()) as u64 + 1 } else { 0 };
        let last = cursor.saturating_add(soon);
        let mut due = Vec::new();
        while due.len() < most
            && let Some(number) = self.tokens.range(origin..=last).next().map(|(number, _)| *number)
            && let Some(token) = self.tokens.remove(&number)
        {
            self.under_way.insert(number, token.clone());
            due.push(Turn { number, token });
        }
        due
    }

    /// Of these nobody need be told any more: the body was, or it is given up.
    pub fn settle(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            if self.under_way.remove(&number).is_some() {
                self.told.insert(number);
                self.changed(number);
            }
        }
    }

    /// Nobody knows whether the body was told of these: they are to be told as before.
    pub fn give_back(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            if let Some(token) = self.under_way.remove(&number) {
                self.tokens.entry(number).or_insert(token);
            }
        }
    }

    /// How many wait to be told.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Nobody waits to be told, and nobody was who is not called yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.under_way.is_empty() && self.told.is_empty()
    }

    /// How often something changed that must be kept.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What must be made durable, of `most` numbers at most: first those for which somebody waits.
    #[must_use]
    pub fn unkept(&self, most: usize) -> ReminderChanges {
        let anew = self.anew.keys().filter(|number| !self.unkept.contains_key(number));
        let numbers = self.unkept.keys().chain(anew).take(most);
        let numbers = numbers.map(|number| (*number, self.kept_of(*number))).collect();
        let count = if self.unkept.len() <= most { self.changes } else { 0 };
        ReminderChanges { numbers, count, seen: self.changes }
    }

    /// These are durable by now. What changed again since is written again, even if back to the same: somebody
    /// waits for that change.
    pub fn kept(&mut self, changes: &ReminderChanges) {
        for (number, _) in &changes.numbers {
            for unkept in [&mut self.unkept, &mut self.anew] {
                if unkept.get(number).is_some_and(|change| *change <= changes.seen) {
                    unkept.remove(number);
                }
            }
        }
    }

    /// Everything must be made durable anew.
    pub fn keep_anew(&mut self) {
        let known = self.numbers();
        self.write_anew(known);
    }

    /// What is durable of these numbers is not what it should be.
    pub fn write_anew(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            self.changes += 1;
            self.anew.insert(number, self.changes);
        }
    }

    fn changed(&mut self, number: u64) {
        self.changes += 1;
        self.unkept.insert(number, self.changes);
    }

    fn kept_of(&self, number: u64) -> Option<Kept> {
        let wanted = self.tokens.get(&number).or_else(|| self.under_way.get(&number));
        let wanted = wanted.map(|token| Kept::Wanted(token.clone()));
        wanted.or_else(|| self.told.contains(&number).then_some(Kept::Told))
    }

    fn numbers(&self) -> Vec<u64> {
        let wanted = self.tokens.keys().chain(self.under_way.keys());
        wanted.chain(&self.told).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn numbers(turns: &[Turn]) -> Vec<u64> {
        turns.iter().map(|turn| turn.number).collect()
    }

    #[test]
    fn each_is_told_once_when_the_turn_is_as_near_as_asked_for() {
        let mut reminders = Reminders::default();
        for number in 1..=500 {
            reminders.register(number, format!("p{number}").into()).unwrap();
        }
        assert_eq!(numbers(&reminders.due(0, 0.0, MINUTE, 100)), Vec::<u64>::new(), "no pace is known");
        // Two a second: number 121 has 120 people in front, a minute.
        let mut told = numbers(&reminders.due(0, 2.0, MINUTE, 100));
        assert_eq!(reminders.register(60, "again".into()), Err(Not::Told), "on its way");
        assert_eq!(reminders.forget(60), Err(Not::Told), "on its way");
        told.extend(numbers(&reminders.due(0, 2.0, MINUTE, 100)));
        reminders.settle(told.iter().copied());
        assert_eq!(told, (1..=121).collect::<Vec<_>>());
        assert_eq!(reminders.register(60, "again".into()), Err(Not::Told));
        assert!(reminders.due(0, 2.0, MINUTE, 100).is_empty(), "twice");
        reminders.forget(122).unwrap();
        assert_eq!(numbers(&reminders.due(2, 2.0, MINUTE, 100)), [123]);
        // Called faster than was foreseen.
        let called = numbers(&reminders.due(130, 0.0, MINUTE, 100));
        assert_eq!(called, (124..=130).collect::<Vec<_>>());
        reminders.settle(called.into_iter().chain([123]));
        assert!(reminders.due(130, 0.0, MINUTE, 100).is_empty());
        assert_eq!((reminders.told.len(), reminders.under_way.len()), (0, 0), "what is called is not kept");
        assert_eq!(reminders.len(), 370);
    }

    /// What a disk holds that takes every change.
    fn write(disk: &mut BTreeMap<u64, Kept>, reminders: &mut Reminders) {
        let changes = reminders.unkept(MOST);
        for (number, kept) in &changes.numbers {
            match kept {
                Some(kept) => _ = disk.insert(*number, kept.clone()),
                None => _ = disk.remove(number),
            }
        }
        reminders.kept(&changes);
        let nothing =
            ReminderChanges { numbers: Vec::new(), count: reminders.changes(), seen: reminders.changes() };
        assert_eq!(reminders.unkept(MOST), nothing);
    }

    fn restart(disk: &BTreeMap<u64, Kept>) -> Reminders {
        let mut reminders = Reminders::default();
        disk.iter().for_each(|(number, kept)| reminders.restore(*number, kept.clone()));
        assert!(reminders.unkept(MOST).numbers.is_empty());
        reminders
    }

    #[test]
    fn who_was_not_told_is_told_by_the_next_process_and_who_was_is_not() {
        let (mut disk, mut reminders) = (BTreeMap::new(), Reminders::default());
        for number in 1..=200 {
            reminders.register(number, format!("p{number}").into()).unwrap();
        }
        write(&mut disk, &mut reminders);
        let told = numbers(&reminders.due(0, 1.0, MINUTE, 30));
        reminders.settle(told);
        write(&mut disk, &mut reminders);
        // These are being told when the process ends.
        assert_eq!(reminders.due(0, 1.0, MINUTE, 30).len(), 30);
        write(&mut disk, &mut reminders);
        let mut reminders = restart(&disk);
        assert_eq!(reminders.register(7, "again".into()), Err(Not::Told));
        let rest = numbers(&reminders.due(0, 1.0, MINUTE, 100));
        assert_eq!(rest, (31..=61).collect::<Vec<_>>());
        reminders.settle(rest);
        // Called, given up, taken back: nothing of them is left.
        assert_eq!(numbers(&reminders.due(100, 0.0, MINUTE, 100)), (62..=100).collect::<Vec<_>>());
        reminders.settle(62..=100);
        assert!(reminders.due(100, 0.0, MINUTE, 100).is_empty());
        reminders.forget_over(&[(1, 1 << 63 | 1), (2, 1)]);
        reminders.forget(199).unwrap();
        write(&mut disk, &mut reminders);
        let left = (101..=200).filter(|number| ![127, 128, 199].contains(number)).collect::<Vec<_>>();
        assert_eq!(disk.keys().copied().collect::<Vec<_>>(), left);
        let mut reminders = restart(&disk);
        reminders.clear();
        write(&mut disk, &mut reminders);
        assert!(disk.is_empty() && reminders.is_empty());
    }

    #[test]
    fn what_changes_while_it_is_written_is_written_again() {
        let mut reminders = Reminders::default();
        reminders.register(3, "first".into()).unwrap();
        let writing = reminders.unkept(MOST);
        reminders.register(3, "second".into()).unwrap();
        reminders.kept(&writing);
        let kept = Some(Kept::Wanted("second".into()));
        assert_eq!(reminders.unkept(MOST), ReminderChanges { numbers: vec![(3, kept)], count: 2, seen: 2 });
        let again = reminders.unkept(MOST);
        reminders.kept(&again);
        assert!(reminders.unkept(MOST).numbers.is_empty());
        reminders.keep_anew();
        assert_eq!(reminders.unkept(MOST).numbers, again.numbers);
    }

    #[test]
    fn who_changes_back_while_it_is_written_is_told_that_it_is_durable() {
        let mut reminders = Reminders::default();
        reminders.register(3, "same".into()).unwrap();
        let writing = reminders.unkept(MOST);
        reminders.forget(3).unwrap();
        reminders.register(3, "same".into()).unwrap();
        reminders.kept(&writing);
        let again = reminders.unkept(MOST);
        assert_eq!((again.numbers.len(), again.count), (1, reminders.changes()), "the last change waits");
        // And so does what must be written anew while the same is written as before.
        reminders.keep_anew();
        reminders.kept(&again);
        assert_eq!(reminders.unkept(MOST).numbers, again.numbers);
    }

    #[test]
    fn of_many_a_part_is_written_at_a_time_and_those_who_wait_go_first() {
        let mut reminders = Reminders::default();
        for number in 1..=10 {
            reminders.register(number, "x".into()).unwrap();
        }
        let part = reminders.unkept(4);
        assert_eq!((part.numbers.len(), part.count), (4, 0), "nothing is said to be durable before all is");
        reminders.kept(&part);
        let rest = reminders.unkept(6);
        reminders.kept(&rest);
        reminders.keep_anew();
        reminders.register(11, "y".into()).unwrap();
        let part = reminders.unkept(4);
        let numbers = part.numbers.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!((numbers, part.count), (vec![11, 1, 2, 3], reminders.changes()));
        reminders.kept(&part);
        assert_eq!(reminders.unkept(MOST).numbers.len(), 7);
    }

    #[test]
    fn whose_place_moved_is_told_nothing_and_who_has_it_may_ask() {
        let mut reminders = Reminders::default();
        let mut disk = BTreeMap::new();
        for number in 1..=3 {
            reminders.register(number, "before".into()).unwrap();
        }
        let told = numbers(&reminders.due(1, 0.0, MINUTE, 1));
        reminders.settle(told);
        assert_eq!(numbers(&reminders.due(2, 0.0, MINUTE, 1)), [2]);
        write(&mut disk, &mut reminders);
        (1..=3).for_each(|number| reminders.forget_place(number));
        write(&mut disk, &mut reminders);
        assert!(disk.is_empty() && reminders.is_empty());
        reminders.register(2, "after".into()).unwrap();
        reminders.settle([2]);
        assert_eq!(reminders.due(2, 0.0, MINUTE, 9)[0].token, "after".into());
    }

    #[test]
    fn who_is_given_back_is_told_as_before() {
        let mut reminders = Reminders::default();
        reminders.register(3, "p3".into()).unwrap();
        let told = reminders.due(3, 0.0, MINUTE, 9);
        reminders.give_back(numbers(&told));
        assert_eq!(reminders.due(3, 0.0, MINUTE, 9), told);
        reminders.settle([3]);
        reminders.give_back([3]);
        assert!(reminders.due(3, 0.0, MINUTE, 9).is_empty());
    }

    #[test]
    fn a_full_book_takes_nobody_else_and_loses_nobody() {
        let mut reminders = Reminders::default();
        for number in 1..=MOST as u64 {
            reminders.register(number, "x".into()).unwrap();
        }
        assert_eq!(reminders.register(MOST as u64 + 1, "y".into()), Err(Not::Full));
        reminders.register(7, "z".into()).unwrap();
        assert_eq!(reminders.due(7, 0.0, MINUTE, MOST).last().unwrap().token, "z".into());
        assert_eq!(reminders.register(MOST as u64 + 1, "y".into()), Ok(()));
    }
}
