//! Calls whose holders asked for more time, and what holders are told of the time of calls and visits.
//!
//! Times are of the room's clock. Memory: a record for each call that was extended and is not claimed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::moment::Moment;

/// How often one call, and one visit, may be extended (WCAG 2.2.1 asks for ten times).
pub const EXTENSIONS: u8 = 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Extensions {
    until: BTreeMap<u64, (Moment, u8)>,
    in_order: BTreeSet<(Moment, u64)>,
}

impl Extensions {
    /// A call stands until `until`; false if it was extended too often.
    pub fn extend(&mut self, number: u64, until: Moment) -> bool {
        let times = self.times(number);
        if times >= EXTENSIONS {
            return false;
        }
        self.forget(number);
        self.until.insert(number, (until, times + 1));
        self.in_order.insert((until, number));
        true
    }

    /// How often a call was extended.
    #[must_use]
    pub fn times(&self, number: u64) -> u8 {
        self.until.get(&number).map_or(0, |(_, times)| *times)
    }

    /// Until when a call stands, if it was extended.
    #[must_use]
    pub fn until(&self, number: u64) -> Option<Moment> {
        self.until.get(&number).map(|(until, _)| *until)
    }

    /// The numbers whose calls were extended.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.until.keys().copied()
    }

    /// Claimed, or given up.
    pub fn forget(&mut self, number: u64) {
        if let Some((until, _)) = self.until.remove(&number) {
            self.in_order.remove(&(until, number));
        }
    }

    /// A number whose time is over; it is not extended any more.
    pub fn next_over(&mut self, clock: Moment) -> Option<u64> {
        let (until, number) = self.in_order.first().copied()?;
        if until > clock {
            return None;
        }
        self.forget(number);
        Some(number)
    }
}

/// What the holder of a call is told of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallTime {
    /// What is left of it. It stands still while the room is held.
    pub left: Duration,
    /// How often it may still be extended.
    pub extensions: u8,
}

/// What somebody inside is told of the visit's time. It stands still while the room is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitTime {
    /// What is left of the longest time that it may last.
    pub left: Duration,
    /// What is left until it counts as idle, and may end if somebody needs the seat.
    pub idle: Duration,
    /// How often it may still be extended.
    pub extensions: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_extended_ten_times_and_ends_once() {
        let mut extensions = Extensions::default();
        for time in 1..=u64::from(EXTENSIONS) {
            assert!(extensions.extend(7, Moment(100 * time)));
        }
        assert!(!extensions.extend(7, Moment(9_999)));
        assert_eq!(extensions.until(7), Some(Moment(1_000)));
        assert_eq!((extensions.next_over(Moment(999)), extensions.next_over(Moment(1_000))), (None, Some(7)));
        assert_eq!((extensions.next_over(Moment(9_999)), extensions.times(7)), (None, 0));
    }
}
