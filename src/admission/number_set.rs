//! A set of numbers that come in runs: one bit each, one word for 64 neighbours.

use std::collections::BTreeMap;

/// Numbers of one word.
const WORD: u64 = 64;

/// A set of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSet {
    /// Never zero.
    words: BTreeMap<u64, u64>,
    len: u64,
}

impl NumberSet {
    /// Adds a number; false if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let word = self.words.entry(number / WORD).or_insert(0);
        let bit = 1 << (number % WORD);
        let fresh = *word & bit == 0;
        *word |= bit;
        self.len += u64::from(fresh);
        fresh
    }

    /// Takes a number out; false if it was not there.
    pub fn remove(&mut self, number: u64) -> bool {
        let at = number / WORD;
        let Some(word) = self.words.get_mut(&at) else { return false };
        let bit = 1 << (number % WORD);
        let was = *word & bit != 0;
        *word &= !bit;
        self.len -= u64::from(was);
        if *word == 0 {
            self.words.remove(&at);
        }
        was
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.words.get(&(number / WORD)).is_some_and(|word| word & (1 << (number % WORD)) != 0)
    }

    /// Takes the lowest number out.
    pub fn pop_first(&mut self) -> Option<u64> {
        let (at, word) = self.words.first_key_value()?;
        let number = at * WORD + u64::from(word.trailing_zeros());
        self.remove(number);
        Some(number)
    }

    /// The highest number.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        let (at, word) = self.words.last_key_value()?;
        Some(at * WORD + u64::from(word.ilog2()))
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// None is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words that are not zero, each with its place: number = 64 · place + bit.
    pub fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        self.words.iter().map(|(at, word)| (*at, *word))
    }

    /// How many numbers are in the words of these places.
    pub fn count(&self, places: std::ops::Range<u64>) -> u64 {
        self.words.range(places).map(|(_, word)| u64::from(word.count_ones())).sum()
    }

    /// The word at `at`: 64 numbers from `64 · at` on.
    #[must_use]
    pub fn word(&self, at: u64) -> u64 {
        self.words.get(&at).copied().unwrap_or(0)
    }

    /// A set of words as [`NumberSet::words`] gives them.
    #[must_use]
    pub fn of_words(words: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let words: BTreeMap<u64, u64> = words.into_iter().filter(|(_, word)| *word != 0).collect();
        let len = words.values().map(|word| u64::from(word.count_ones())).sum();
        Self { words, len }
    }
}

/// Of very many at once, in any order: sorted first, so that each word is met once.
impl FromIterator<u64> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut numbers: Vec<u64> = numbers.into_iter().collect();
        numbers.sort_unstable();
        let word = |some: &[u64]| {
            let bits = some.iter().fold(0, |word, number| word | 1 << (number % WORD));
            some.first().map(|first| (first / WORD, bits))
        };
        Self::of_words(numbers.chunk_by(|one, next| one / WORD == next / WORD).filter_map(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0u8..4, 0u64..300), 0..300)) {
            let (mut numbers, mut known) = (NumberSet::default(), BTreeSet::new());
            for (step, number) in steps {
                match step {
                    0 | 1 => prop_assert_eq!(numbers.insert(number), known.insert(number)),
                    2 => prop_assert_eq!(numbers.remove(number), known.remove(&number)),
                    _ => prop_assert_eq!(numbers.pop_first(), known.pop_first()),
                }
                prop_assert_eq!(numbers.contains(number), known.contains(&number));
                prop_assert_eq!((numbers.len(), numbers.last()), (known.len() as u64, known.last().copied()));
            }
            prop_assert_eq!(&NumberSet::of_words(numbers.words()), &numbers);
            prop_assert_eq!(known.into_iter().rev().collect::<NumberSet>(), numbers);
        }
    }
}
