//! Who asked to be told before their turn, by number, and when each of them is.
//!
//! A token is the body's own word for somebody: opaque, and told to nobody but the body. Kept in memory, as long
//! as the number waits. Memory: a record for each number that is registered, `MOST` at most, and a number for
//! each that was told and is not called yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lane::LaneId;

/// Longest token, in bytes.
pub const TOKEN_MAX: usize = 256;
/// Most numbers that are registered at once.
const MOST: usize = 100_000;

/// Nobody else can be registered at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// See the module.
#[derive(Debug, Default)]
pub struct Reminders {
    tokens: BTreeMap<u64, Box<str>>,
    /// Told, and not called yet: nobody is told twice.
    told: BTreeSet<u64>,
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
    /// [`Full`]; those who are registered stay so.
    pub fn register(&mut self, number: u64, token: Box<str>) -> Result<(), Full> {
        if self.told.contains(&number) {
            return Ok(());
        }
        if self.tokens.len() >= MOST && !self.tokens.contains_key(&number) {
            return Err(Full);
        }
        self.tokens.insert(number, token);
        Ok(())
    }

    /// Nobody is told.
    pub fn forget(&mut self, number: u64) {
        self.tokens.remove(&number);
    }

    /// At most `most` numbers of the lane of `cursor` that are called, or will be within `ahead` while `rate` are called a second
    /// (0: not known, then nobody's turn can be foreseen); lowest first, each once.
    pub fn due(&mut self, cursor: u64, rate: f64, ahead: Duration, most: usize) -> Vec<Turn> {
        let origin = LaneId::of(cursor).origin();
        while let Some(number) = self.told.range(origin..=cursor).next().copied() {
            self.told.remove(&number);
        }
        #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
        let soon = if rate > 0.0 { (rate * ahead.as_secs_f64()) as u64 + 1 } else { 0 };
        let last = cursor.saturating_add(soon);
        let mut due = Vec::new();
        while due.len() < most
            && let Some(number) = self.tokens.range(origin..=last).next().map(|(number, _)| *number)
            && let Some(token) = self.tokens.remove(&number)
        {
            if number > cursor {
                self.told.insert(number);
            }
            due.push(Turn { number, token });
        }
        due
    }

    /// How many wait to be told.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Nobody waits to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
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
        told.extend(numbers(&reminders.due(0, 2.0, MINUTE, 100)));
        assert_eq!(told, (1..=121).collect::<Vec<_>>());
        reminders.register(60, "again".into()).unwrap();
        assert!(reminders.due(0, 2.0, MINUTE, 100).is_empty(), "twice");
        reminders.forget(122);
        assert_eq!(numbers(&reminders.due(2, 2.0, MINUTE, 100)), [123]);
        // Called faster than was foreseen.
        assert_eq!(numbers(&reminders.due(130, 0.0, MINUTE, 100)), (124..=130).collect::<Vec<_>>());
        assert_eq!(reminders.told.len(), 0, "what is called is not kept");
        assert_eq!(reminders.len(), 370);
    }

    #[test]
    fn a_full_book_takes_nobody_else_and_loses_nobody() {
        let mut reminders = Reminders::default();
        for number in 1..=MOST as u64 {
            reminders.register(number, "x".into()).unwrap();
        }
        assert_eq!(reminders.register(MOST as u64 + 1, "y".into()), Err(Full));
        reminders.register(7, "z".into()).unwrap();
        assert_eq!(reminders.due(7, 0.0, MINUTE, MOST).last().unwrap().token, "z".into());
        assert_eq!(reminders.register(MOST as u64 + 1, "y".into()), Ok(()));
    }
}
