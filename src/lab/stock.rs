//! What is sold unit by unit. A step of a person that has bought one keeps it, however often it asks.
//!
//! Invariant: sold + left = units; never more are sold than there are.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::pool::StepKey;

/// Something of which there is only so much.
#[derive(Debug)]
pub(super) struct Shelf(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u64,
    bought: HashSet<StepKey>,
}

/// The answer to somebody who wants a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sale {
    /// Whether they have one now.
    pub(super) has: bool,
    /// Whether it was sold just now, and not before.
    pub(super) new: bool,
    /// How many are left.
    pub(super) left: u64,
}

impl Shelf {
    pub(super) fn new(units: u64) -> Self {
        Self(Mutex::new(State { left: units, bought: HashSet::new() }))
    }

    /// Sells a unit, if there is one. Without a key nobody can tell a repeat from a wish for another.
    pub(super) fn sell(&self, key: Option<StepKey>) -> Sale {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if key.is_some_and(|key| state.bought.contains(&key)) {
            return Sale { has: true, new: false, left: state.left };
        }
        let new = state.left > 0;
        if new {
            state.left -= 1;
            state.bought.extend(key);
        }
        Sale { has: new, new, left: state.left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sold_twice_and_nothing_that_is_not_there() {
        let shelf = Shelf::new(2);
        assert_eq!(shelf.sell(Some((1, 1))), Sale { has: true, new: true, left: 1 });
        assert_eq!(shelf.sell(Some((1, 1))), Sale { has: true, new: false, left: 1 });
        assert_eq!(shelf.sell(Some((1, 2))), Sale { has: true, new: true, left: 0 });
        assert_eq!(shelf.sell(Some((2, 1))), Sale { has: false, new: false, left: 0 });
        assert!(shelf.sell(Some((1, 2))).has, "who has one keeps it");
    }
}
