//! The front row: those who were called, came, and found no seat. Seats go to the lowest number.
//!
//! After a rush it can hold tens of thousands, all of whom ask where they stand every second or two, so
//! a place in it must not cost a count of everybody before. Numbers are counted by blocks: a place is
//! the sum of the blocks before and a count within one.

use std::collections::BTreeMap;

use super::passes::PassId;

/// Numbers of one block: about the root of the width that a front row can have.
const BLOCK: u64 = 1_024;

/// Numbers that wait for a seat, with the passes that they will get.
#[derive(Debug, Default)]
pub struct FrontRow {
    passes: BTreeMap<u64, PassId>,
    /// How many numbers of each block are here. Never 0.
    blocks: BTreeMap<u64, u32>,
}

impl FrontRow {
    /// A number stands here from now on.
    pub fn insert(&mut self, number: u64, pass: PassId) {
        if self.passes.insert(number, pass).is_none() {
            *self.blocks.entry(number / BLOCK).or_insert(0) += 1;
        }
    }

    /// A number goes. `None` if it was not here.
    pub fn remove(&mut self, number: u64) -> Option<PassId> {
        let pass = self.passes.remove(&number)?;
        self.count_out(number);
        Some(pass)
    }

    /// The lowest number goes first.
    pub fn pop_first(&mut self) -> Option<(u64, PassId)> {
        let (number, pass) = self.passes.pop_first()?;
        self.count_out(number);
        Some((number, pass))
    }

    /// The pass that a number will get, if it stands here.
    #[must_use]
    pub fn pass(&self, number: u64) -> Option<&PassId> {
        self.passes.get(&number)
    }

    /// A number stands here.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.passes.contains_key(&number)
    }

    /// Numbers that go before this one.
    #[must_use]
    pub fn ahead_of(&self, number: u64) -> u64 {
        let block = number / BLOCK;
        let before: u64 = self.blocks.range(..block).map(|(_, count)| u64::from(*count)).sum();
        before + self.passes.range(block * BLOCK..number).count() as u64
    }

    /// The highest number here.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.passes.last_key_value().map(|(number, _)| *number)
    }

    /// How many stand here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.passes.len()
    }

    /// Nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passes.is_empty()
    }

    fn count_out(&mut self, number: u64) {
        let block = number / BLOCK;
        if let Some(count) = self.blocks.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                self.blocks.remove(&block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever comes and goes, a place is the number of those with a lower number.
        #[test]
        fn a_place_is_the_count_of_those_before(steps in prop::collection::vec((0u8..4, 0u64..9_000), 1..300)) {
            let mut row = FrontRow::default();
            let mut known = std::collections::BTreeSet::new();
            for (step, number) in steps {
                match step {
                    0 | 1 => {
                        row.insert(number, [1; 16]);
                        known.insert(number);
                    }
                    2 => prop_assert_eq!(row.remove(number).is_some(), known.remove(&number)),
                    _ => prop_assert_eq!(row.pop_first().map(|(first, _)| first), known.pop_first()),
                }
                prop_assert_eq!(row.ahead_of(number), known.range(..number).count() as u64);
                prop_assert_eq!((row.len(), row.last()), (known.len(), known.last().copied()));
                prop_assert_eq!(row.blocks.values().map(|count| *count as usize).sum::<usize>(), known.len());
            }
        }
    }
}
