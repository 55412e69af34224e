//! A set of numbers that knows how many are below one of them, without counting them one by one.

use std::collections::BTreeMap;

use super::number_set::NumberSet;

/// Numbers of one word of the set, of one block, and of one tract: 64 words, 256 blocks.
const WORD: u64 = 64;
const BLOCK: u64 = 64 * WORD;
const TRACT: u64 = 256 * BLOCK;

/// A set of numbers, and how many there are in each block and each tract. None is zero.
#[derive(Debug, Default)]
pub struct RankedSet {
    set: NumberSet,
    blocks: BTreeMap<u64, u64>,
    tracts: BTreeMap<u64, u64>,
}

impl RankedSet {
    /// Adds a number; false if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let fresh = self.set.insert(number);
        if fresh {
            *self.blocks.entry(number / BLOCK).or_default() += 1;
            *self.tracts.entry(number / TRACT).or_default() += 1;
        }
        fresh
    }

    /// Takes a number out; false if it was not there.
    pub fn remove(&mut self, number: u64) -> bool {
        let was = self.set.remove(number);
        if was {
            count_out(&mut self.blocks, number / BLOCK);
            count_out(&mut self.tracts, number / TRACT);
        }
        was
    }

    /// Takes the lowest number out.
    pub fn pop_first(&mut self) -> Option<u64> {
        let number = self.numbers().next()?;
        self.remove(number);
        Some(number)
    }

    /// How many are below `number`.
    #[must_use]
    pub fn below(&self, number: u64) -> u64 {
        let (tract, block, word) = (number / TRACT, number / BLOCK, number / WORD);
        let tracts: u64 = self.tracts.range(..tract).map(|(_, count)| count).sum();
        let first = tract * (TRACT / BLOCK);
        let blocks: u64 = self.blocks.range(first..block).map(|(_, count)| count).sum();
        let words = self.set.count(block * (BLOCK / WORD)..word);
        let rest = self.set.word(word) & ((1 << (number % WORD)) - 1);
        tracts + blocks + words + u64::from(rest.count_ones())
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.set.len()
    }

    /// None is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.set.words().flat_map(|(at, word)| {
            (0..WORD).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * WORD + bit)
        })
    }
}

fn count_out(counts: &mut BTreeMap<u64, u64>, at: u64) {
    if let Some(count) = counts.get_mut(&at) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_as_a_set_does(
            steps in prop::collection::vec((0u8..4, 0u64..5, 0u64..5, 0u64..130), 0..200),
        ) {
            let (mut ranked, mut known) = (RankedSet::default(), BTreeSet::new());
            for (step, tract, block, number) in steps {
                let number = tract * TRACT + block * BLOCK + number;
                match step {
                    0 | 1 => prop_assert_eq!(ranked.insert(number), known.insert(number)),
                    2 => prop_assert_eq!(ranked.remove(number), known.remove(&number)),
                    _ => prop_assert_eq!(ranked.pop_first(), known.pop_first()),
                }
                for number in [number, number + 1, number + WORD, number + BLOCK, number + TRACT] {
                    prop_assert_eq!(ranked.below(number), known.range(..number).count() as u64);
                }
                prop_assert!(ranked.numbers().eq(known.iter().copied()));
            }
            prop_assert_eq!((ranked.len(), ranked.is_empty()), (known.len() as u64, known.is_empty()));
        }
    }
}
