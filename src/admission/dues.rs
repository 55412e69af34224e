//! When to look at whom: of very many, those whose time may be over, soonest first.
//!
//! Whoever is looked at too early is entered again; nobody is looked at too late if every time that comes
//! nearer is entered. An entry that another one replaced stays until it is due, and then fits nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::moment::Moment;
use super::passes::PassId;

/// Times to look at passes.
#[derive(Debug, Default)]
pub struct Dues(BinaryHeap<Reverse<(Moment, PassId)>>);

impl Dues {
    /// Look at `id` once `when` has passed.
    pub fn enter(&mut self, when: Moment, id: PassId) {
        self.0.push(Reverse((when, id)));
    }

    /// The next whose time has passed, and which time that was.
    pub fn next(&mut self, clock: Moment) -> Option<(Moment, PassId)> {
        let Reverse((when, _)) = self.0.peek()?;
        if clock <= *when {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }

    /// Most entries fit nobody any more, of `live` passes: they cost more than entering all anew.
    #[must_use]
    pub fn are_stale(&self, live: usize) -> bool {
        self.0.len() > 3 * live + 1_024
    }
}

impl FromIterator<(Moment, PassId)> for Dues {
    fn from_iter<T: IntoIterator<Item = (Moment, PassId)>>(entries: T) -> Self {
        Self(entries.into_iter().map(Reverse).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_comes_first_and_nobody_before_it_has_passed() {
        let mut dues: Dues = [(Moment(5), [1; 16]), (Moment(3), [2; 16])].into_iter().collect();
        dues.enter(Moment(4), [3; 16]);
        assert_eq!(dues.next(Moment(3)), None);
        let all: Vec<_> = std::iter::from_fn(|| dues.next(Moment(5))).map(|(_, [id, ..])| id).collect();
        assert_eq!((all, dues.next(Moment(6))), (vec![2, 3], Some((Moment(5), [1; 16]))));
    }
}
