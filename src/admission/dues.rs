//! When to look at whom: of very many, those whose time may be over, soonest first.
//!
//! Whoever is looked at too early is entered again; nobody is looked at too late if every time that comes
//! nearer is entered. An entry that another one replaced stays until it is due, and then fits nobody.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::moment::Moment;

/// Nanoseconds of one stretch of time, as a power of two: 134 ms. Only what falls into the next stretch is
/// sorted. One heap of all would be as slow as memory is, at a hundred thousand entries.
const STRETCH: u32 = 27;

/// Entries by the moment at which they are looked at.
#[derive(Debug)]
pub struct Dues<T> {
    /// All before `sorted_until`.
    sorted: BinaryHeap<Reverse<(Moment, T)>>,
    /// The number of a stretch.
    sorted_until: u64,
    /// Those of later stretches, as they came.
    later: BTreeMap<u64, Vec<(Moment, T)>>,
    len: usize,
}

impl<T: Ord> Default for Dues<T> {
    fn default() -> Self {
        Self { sorted: BinaryHeap::new(), sorted_until: 0, later: BTreeMap::new(), len: 0 }
    }
}

impl<T: Ord> Dues<T> {
    /// This one is looked at after `when`.
    pub fn enter(&mut self, when: Moment, what: T) {
        let stretch = when.0 >> STRETCH;
        if stretch < self.sorted_until {
            self.sorted.push(Reverse((when, what)));
        } else {
            self.later.entry(stretch).or_default().push((when, what));
        }
        self.len += 1;
    }

    /// The soonest entry, if its time has passed at `clock`.
    pub fn next(&mut self, clock: Moment) -> Option<(Moment, T)> {
        while self.sorted.is_empty() {
            let stretch = self.later.first_entry().filter(|stretch| *stretch.key() <= clock.0 >> STRETCH)?;
            self.sorted_until = stretch.key() + 1;
            self.sorted = stretch.remove().into_iter().map(Reverse).collect();
        }
        let Reverse((when, _)) = self.sorted.peek()?;
        if clock <= *when {
            return None;
        }
        self.len -= 1;
        self.sorted.pop().map(|Reverse(entry)| entry)
    }

    /// So many entries were replaced that beginning anew is cheaper, with `live` to look at.
    #[must_use]
    pub fn are_stale(&self, live: usize) -> bool {
        self.len > 3 * live + 1_024
    }
}

impl<T: Ord> FromIterator<(Moment, T)> for Dues<T> {
    fn from_iter<I: IntoIterator<Item = (Moment, T)>>(entries: I) -> Self {
        let mut dues = Self::default();
        entries.into_iter().for_each(|(when, what)| dues.enter(when, what));
        dues
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_soonest_comes_first_and_nobody_before_it_has_passed() {
        let mut dues: Dues<u8> = [(Moment(5), 1), (Moment(3), 2)].into_iter().collect();
        dues.enter(Moment(4), 3);
        assert_eq!(dues.next(Moment(3)), None);
        let all: Vec<_> = std::iter::from_fn(|| dues.next(Moment(5))).map(|(_, what)| what).collect();
        assert_eq!((all, dues.next(Moment(6))), (vec![2, 3], Some((Moment(5), 1))));
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_list(steps in prop::collection::vec((any::<bool>(), 0u64..40, any::<u8>()), 0..200)) {
            let (mut dues, mut list, mut clock) = (Dues::default(), Vec::new(), 0);
            for (enters, by, what) in steps {
                if enters {
                    let when = Moment(clock + (by << (STRETCH - 3)));
                    dues.enter(when, what);
                    list.push((when, what));
                    list.sort();
                } else {
                    clock += by << (STRETCH - 4);
                    let due = list.first().copied().filter(|(when, _)| *when < Moment(clock));
                    due.iter().for_each(|_| _ = list.remove(0));
                    prop_assert_eq!(dues.next(Moment(clock)), due);
                }
                prop_assert_eq!(dues.are_stale(0), list.len() > 1_024);
            }
        }
    }
}
