//! Slots: numbers whose holders went away and come back at a time that they were told.
//!
//! Nobody has to stand by for an hour. Whoever waits for longer than the operator says may take a slot: a
//! window that begins when the number is expected to be called at the latest. The number stays the same,
//! and the line passes over it: its turn goes to whoever is there. Its holder comes in the window and
//! stands in the front row by the number, which by then is among the lowest; or comes earlier, and waits by
//! the number as before; or comes later, and has missed a call like anybody who does.
//!
//! A window that was told is kept even where the line has not come so far: then its holder goes in before
//! some who hold lower numbers. So that those who come back find a seat within a minute, and nobody else
//! waits much longer for it, the windows that begin in one minute (in one thirtieth of a shorter window than
//! half an hour) are no more than half of the seats that fall free in it; and none is given where too few
//! fall free.
//!
//! Times are of the room's clock: while the room is held, windows move, and so they do in quiet hours in which
//! the line goes on. Memory: 32 bytes for each slot in
//! two B-trees, and 8 for each second in which one begins.
//!
//! Invariants: the order holds each number once, by its end; `begins` counts the windows by their beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::moment::{Moment, nanos};

/// Windows begin once a minute, or so many times in a window if that is more often.
const MINUTE_S: u32 = 60;
const BEGINNINGS: u32 = 30;
/// The part of the seats falling free that may be promised to those who come back.
pub const SHARE: f64 = 0.5;
/// Fewest seats a minute of which any is promised: where seats fall free at random, one of these is taken
/// within a minute 98 times in a hundred.
const SEATS_A_MINUTE_MIN: f64 = 4.0;
/// So many beginnings later than expected a window may begin, where those before are full.
const LATER_MAX: u32 = 240;
/// Most slots at once.
const MOST: usize = 1_000_000;

/// When the operator offers slots, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRule {
    /// Offered to whoever is expected to wait longer.
    pub after: Duration,
    /// How long a window stands open.
    pub length: Duration,
}

/// A window as its holder is told of it. It stands still while the room is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Time until it begins; zero once it has.
    pub from: Duration,
    /// Time until it ends.
    pub until: Duration,
}

/// A window in whole seconds of the room's clock, less the time for which slots alone stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// It begins.
    pub begins_s: u32,
    /// It ends.
    pub ends_s: u32,
}

/// Slots that were taken, and slots that are over, as they are made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotChanges {
    /// Each number with its window; `None` if it has none any more.
    pub windows: Vec<(u64, Option<Window>)>,
    /// How many changes there had been by then.
    pub count: u64,
}

/// What is known of the line when somebody asks for a slot.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    /// The wait at the pace of now, and the longest that is told.
    pub wait: (Duration, Duration),
    /// Seats that fall free, a second.
    pub seats: f64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Slots {
    taken: BTreeMap<u64, Window>,
    by_end: BTreeSet<(u32, u64)>,
    /// How many windows begin in a second.
    begins: BTreeMap<u32, u32>,
    /// Numbers of which the last word is not durable yet.
    unkept: BTreeSet<u64>,
    changes: u64,
    /// For how long they stood still while the room did not.
    stood_still: Duration,
}

impl Slots {
    /// The window that somebody would get now; none where the wait is short, or no seat can be promised.
    #[must_use]
    pub fn offer(&self, rule: &SlotRule, outlook: &Outlook, clock: Moment) -> Option<Window> {
        let ((wait, longest), clock) = (outlook.wait, self.own(clock));
        let a_minute = outlook.seats * f64::from(MINUTE_S);
        if wait <= rule.after || a_minute < SEATS_A_MINUTE_MIN || self.taken.len() >= MOST {
            return None;
        }
        let length = u32::try_from(rule.length.as_secs()).ok()?;
        let step = (length / BEGINNINGS).clamp(1, MINUTE_S);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturates")]
        let most = (outlook.seats * f64::from(step) * SHARE) as u32;
        let first = seconds(clock.after(longest)).div_ceil(step);
        let begin = |later: u32| first.checked_add(later)?.checked_mul(step);
        // One walk over what is taken, however much of it is full.
        let mut taken = self.begins.range(first.checked_mul(step)?..).peekable();
        let is_free = |begins_s: &u32| {
            let mut same = 0;
            while let Some((_, count)) = taken.next_if(|(begins, _)| **begins - begins_s < step) {
                same += count;
            }
            same < most
        };
        let begins_s = (0..=LATER_MAX).map_while(begin).find(is_free)?;
        Some(Window { begins_s, ends_s: begins_s.checked_add(length)? })
    }

    /// A number has this window from now on, if it has none.
    pub fn take(&mut self, number: u64, window: Window) {
        if !self.taken.contains_key(&number) {
            self.put(number, window);
            self.note(number);
        }
    }

    /// As it was left, at `clock`; it stands for `least` at least. Of a window that began before this
    /// process nothing but its end matters.
    pub fn restore(&mut self, number: u64, slot: Slot, least: Duration, clock: Moment) {
        let clock = self.own(clock);
        let begins_s = seconds(clock.after(slot.from));
        let ends_s = seconds(clock.after(slot.until.max(least))).max(begins_s);
        self.put(number, Window { begins_s, ends_s });
    }

    /// The number needs no slot any more: it is called like any other, or over.
    pub fn forget(&mut self, number: u64) {
        let Some(window) = self.taken.remove(&number) else { return };
        self.by_end.remove(&(window.ends_s, number));
        if let Some(count) = self.begins.get_mut(&window.begins_s) {
            *count -= 1;
            if *count == 0 {
                self.begins.remove(&window.begins_s);
            }
        }
        self.note(number);
    }

    /// A number whose window has ended; it has none any more.
    pub fn next_over(&mut self, clock: Moment) -> Option<u64> {
        let (ends_s, number) = self.by_end.first().copied()?;
        if seconds(self.own(clock)) < ends_s {
            return None;
        }
        self.forget(number);
        Some(number)
    }

    /// A window that has ended stands again, until then.
    pub fn stand_until(&mut self, number: u64, until: Moment, clock: Moment) {
        let begins_s = seconds(self.own(clock));
        let ends_s = seconds(self.own(until)).saturating_add(1).max(begins_s.saturating_add(1));
        self.take(number, Window { begins_s, ends_s });
    }

    /// A number has a slot.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.taken.contains_key(&number)
    }

    /// Its window has begun, and not ended.
    #[must_use]
    pub fn has_begun(&self, number: u64, clock: Moment) -> bool {
        self.taken.get(&number).is_some_and(|window| window.begins_s <= seconds(self.own(clock)))
    }

    /// When its window ends.
    #[must_use]
    pub fn ends(&self, number: u64) -> Option<Moment> {
        self.taken.get(&number).map(|window| at(window.ends_s).after(self.stood_still))
    }

    /// The slot of a number.
    #[must_use]
    pub fn slot(&self, number: u64, clock: Moment) -> Option<Slot> {
        self.taken.get(&number).map(|window| self.told(*window, clock))
    }

    /// The numbers that have one.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.taken.keys().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// What must be made durable.
    #[must_use]
    pub fn unkept(&self) -> SlotChanges {
        let window = |number: &u64| (*number, self.taken.get(number).copied());
        SlotChanges { windows: self.unkept.iter().map(window).collect(), count: self.changes }
    }

    /// This is durable by now.
    pub fn kept(&mut self, changes: &SlotChanges) {
        for (number, window) in &changes.windows {
            if self.taken.get(number) == window.as_ref() {
                self.unkept.remove(number);
            }
        }
    }

    /// How many changes there were.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What must hold after each step; says what does not.
    ///
    /// # Errors
    /// The first thing that is broken, in words.
    pub fn check(&self) -> Result<(), String> {
        let ordered = |(number, window): (&u64, &Window)| self.by_end.contains(&(window.ends_s, *number));
        if self.by_end.len() != self.taken.len() || !self.taken.iter().all(ordered) {
            return Err("the slots are in disorder".to_owned());
        }
        let counted: usize = self.begins.values().map(|count| *count as usize).sum();
        if counted != self.taken.len() || self.begins.values().any(|count| *count == 0) {
            return Err(format!("{counted} windows begin, and {} were taken", self.taken.len()));
        }
        Ok(())
    }

    /// In quiet hours slots stand still also where the line moves.
    pub fn stand_still(&mut self, elapsed: Duration) {
        self.stood_still += elapsed;
    }

    /// For how long they stood still while the room did not.
    #[must_use]
    pub fn stood_still(&self) -> Duration {
        self.stood_still
    }

    /// A window as its holder is told of it.
    #[must_use]
    pub fn told(&self, window: Window, clock: Moment) -> Slot {
        let clock = self.own(clock);
        Slot { from: at(window.begins_s).since(clock), until: at(window.ends_s).since(clock) }
    }

    fn own(&self, clock: Moment) -> Moment {
        Moment(clock.0.saturating_sub(nanos(self.stood_still)))
    }

    fn put(&mut self, number: u64, window: Window) {
        self.taken.insert(number, window);
        self.by_end.insert((window.ends_s, number));
        *self.begins.entry(window.begins_s).or_default() += 1;
    }

    fn note(&mut self, number: u64) {
        self.unkept.insert(number);
        self.changes += 1;
    }
}

fn at(seconds: u32) -> Moment {
    Moment(0).after(Duration::from_secs(seconds.into()))
}

/// Whole seconds of the clock, which runs for 136 years.
fn seconds(clock: Moment) -> u32 {
    u32::try_from(clock.0 / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const RULE: SlotRule = SlotRule { after: Duration::from_secs(900), length: Duration::from_secs(1_800) };

    fn outlook(minutes: u32, seats: f64) -> Outlook {
        let wait = MINUTE * minutes;
        Outlook { wait: (wait, wait.mul_f64(1.4)), seats }
    }

    #[test]
    fn a_slot_begins_when_the_wait_may_be_over_at_the_latest_and_never_where_it_is_short() {
        let slots = Slots::default();
        assert_eq!(slots.offer(&RULE, &outlook(15, 1.0), Moment(1)), None, "as long as that one can stay");
        let window = slots.offer(&RULE, &outlook(50, 1.0), Moment(1)).unwrap();
        assert_eq!((window.begins_s, window.ends_s), (70 * 60, 100 * 60));
        let told = slots.told(window, at(80 * 60));
        assert_eq!((told.from, told.until), (Duration::ZERO, MINUTE * 20));
        assert_eq!(slots.offer(&RULE, &outlook(50, 0.05), Moment(1)), None, "three seats a minute");
    }

    #[test]
    fn no_more_windows_begin_in_a_minute_than_half_of_the_seats_that_fall_free_in_it() {
        let mut slots = Slots::default();
        for number in 1..=90 {
            let window = slots.offer(&RULE, &outlook(50, 1.0), Moment(1)).unwrap();
            assert_eq!(window.begins_s / 60, 70 + u32::try_from((number - 1) / 30).unwrap());
            slots.take(number, window);
        }
        slots.forget(7);
        assert_eq!(slots.offer(&RULE, &outlook(50, 1.0), Moment(1)).unwrap().begins_s, 70 * 60);
        for number in 100..100 + 30 * 239 {
            if let Some(window) = slots.offer(&RULE, &outlook(50, 1.0), Moment(1)) {
                slots.take(number, window);
            }
        }
        assert_eq!(slots.offer(&RULE, &outlook(50, 1.0), Moment(1)), None, "none is told for next week");
        slots.check().unwrap();
    }

    #[test]
    fn a_window_is_kept_once_and_ends_once() {
        let mut slots = Slots::default();
        let (window, later) = (Window { begins_s: 60, ends_s: 120 }, Window { begins_s: 600, ends_s: 900 });
        slots.take(5, window);
        slots.take(5, later);
        assert_eq!(slots.slot(5, at(30)), Some(Slot { from: MINUTE / 2, until: MINUTE * 3 / 2 }));
        let changes = slots.unkept();
        assert_eq!((changes.windows.as_slice(), changes.count), ([(5, Some(window))].as_slice(), 1));
        slots.kept(&changes);
        assert!(slots.unkept().windows.is_empty());
        assert_eq!((slots.has_begun(5, at(59)), slots.has_begun(5, at(60))), (false, true));
        assert_eq!((slots.next_over(at(119)), slots.next_over(at(120))), (None, Some(5)));
        assert_eq!(slots.unkept().windows, [(5, None)]);
        slots.kept(&changes);
        assert_eq!(slots.unkept().windows, [(5, None)], "what was written before is not that it ended");
        assert!(slots.is_empty() && slots.next_over(at(9_999)).is_none());
    }

    #[test]
    fn after_a_restart_a_window_stands_for_as_long_as_a_call_at_least() {
        let mut slots = Slots::default();
        slots.restore(1, Slot { from: Duration::ZERO, until: Duration::ZERO }, MINUTE * 10, at(5));
        slots.restore(2, Slot { from: MINUTE, until: MINUTE * 31 }, MINUTE * 10, at(5));
        assert!(slots.has_begun(1, at(5)) && !slots.has_begun(2, at(5)));
        assert_eq!((slots.ends(1), slots.ends(2)), (Some(at(605)), Some(at(5 + 31 * 60))));
        assert!(slots.unkept().windows.is_empty(), "it is on the disk");
        slots.check().unwrap();
    }

    proptest! {
        #[test]
        fn whatever_is_taken_and_forgotten_the_books_are_in_order(
            steps in prop::collection::vec((0u8..4, 0u64..40, 0u32..9_000, 1u32..3_000), 1..200),
        ) {
            let mut slots = Slots::default();
            for (step, number, begins_s, length) in steps {
                match step {
                    0 | 1 => slots.take(number, Window { begins_s, ends_s: begins_s + length }),
                    2 => slots.forget(number),
                    _ => {
                        let over = slots.next_over(at(begins_s));
                        prop_assert!(over.is_none_or(|over| !slots.contains(over)));
                    }
                }
                prop_assert_eq!(slots.check(), Ok(()));
            }
        }
    }
}
