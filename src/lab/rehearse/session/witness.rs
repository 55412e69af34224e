//! What is watched on a sample of people: whether the order was kept, and whether the wait was announced
//! as it came. And on every step: what the room must never do.

use std::collections::HashMap;

use super::crowd::Who;
use super::outcome::Announced;
use crate::admission::room::RoomFacts;
use crate::lab::chance::mix;
use crate::pages::Estimate;

/// People in the sample of a day that is larger than it, about.
const SAMPLE: u64 = 200_000;
/// Numbers of one block when those who got in are counted.
const BLOCK: u64 = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct Witness {
    /// One of so many people is in the sample.
    stride: u64,
    /// What the page said to those of the sample who still wait.
    told: HashMap<Who, Option<Estimate>>,
    announced: Announced,
    /// Numbers that got in, one bit each, and how many of each block.
    inside: Vec<u64>,
    blocks: Vec<u64>,
    admitted: u64,
    overtakes_max: u64,
    last: (u64, u64),
}

impl Witness {
    pub(super) fn new(people: u64) -> Self {
        Self {
            stride: people.div_ceil(SAMPLE).max(1),
            told: HashMap::new(),
            announced: Announced::default(),
            inside: Vec::new(),
            blocks: Vec::new(),
            admitted: 0,
            overtakes_max: 0,
            last: (0, 0),
        }
    }

    fn samples(&self, who: Who) -> bool {
        mix(u64::from(who)).is_multiple_of(self.stride)
    }

    /// Somebody takes a number, and the page tells how long the wait may be.
    pub(super) fn joins(&mut self, who: Who, number: u64, board: &RoomFacts) {
        if self.samples(who) {
            let ahead = number.saturating_sub(board.cursor + 1);
            self.told.insert(who, Estimate::of(ahead, board.rate, board.spread));
        }
    }

    /// Somebody has a seat and knows it.
    pub(super) fn gets_in(&mut self, who: Who, number: u64, waited_s: f64) {
        let (word, bit, block) = (number / 64, 1_u64 << (number % 64), number / BLOCK);
        let (word, block) = (usize::try_from(word).unwrap_or(0), usize::try_from(block).unwrap_or(0));
        grow(&mut self.inside, word);
        grow(&mut self.blocks, block);
        if let Some(bits) = self.inside.get_mut(word) {
            *bits |= bit;
        }
        if let Some(count) = self.blocks.get_mut(block) {
            *count += 1;
        }
        self.admitted += 1;
        if !self.samples(who) {
            return;
        }
        self.overtakes_max = self.overtakes_max.max(self.above(number, word, block));
        let Some(told) = self.told.remove(&who) else { return };
        let Some(Estimate { low, high }) = told else {
            self.announced.untold += 1;
            return;
        };
        let (low, high) = (low as f64 * 60.0, high as f64 * 60.0);
        self.announced.told += 1;
        self.announced.earlier += u64::from(waited_s < low);
        self.announced.later += u64::from(waited_s > high);
        self.announced.inside += u64::from((low..=high).contains(&waited_s));
        self.announced.error_s += waited_s - (low + high) / 2.0;
    }

    /// Who got in with a higher number.
    fn above(&self, number: u64, word: usize, block: usize) -> u64 {
        let words_of_block = usize::try_from(BLOCK / 64).unwrap_or(1);
        let same = self.inside.get(word).map_or(0, |bits| bits >> (number % 64) >> 1);
        let next_block = (block + 1) * words_of_block;
        let in_block: u64 = (word + 1..next_block)
            .map_while(|word| self.inside.get(word))
            .map(|bits| u64::from(bits.count_ones()))
            .sum();
        u64::from(same.count_ones()) + in_block + self.blocks.iter().skip(block + 1).sum::<u64>()
    }

    /// `(place in the order of arrival, place in the order of admission)` of one of the sample.
    pub(super) fn order(&self, who: Who) -> Option<(u64, u64)> {
        self.samples(who).then_some((u64::from(who), self.admitted))
    }

    /// What must hold after every step, whatever the day.
    pub(super) fn step(&mut self, facts: &RoomFacts) {
        let now = (facts.issued, facts.cursor);
        debug_assert!(
            now.0 >= self.last.0 && now.1 >= self.last.1,
            "a mark fell: {:?} to {now:?}",
            self.last
        );
        debug_assert!(facts.cursor <= facts.issued, "called a number that was not given");
        self.last = now;
    }

    /// What was found: the announcements, most overtakes, and one of how many people was watched.
    pub(super) fn word(&self) -> (Announced, u64, u64) {
        (self.announced, self.overtakes_max, self.stride)
    }
}

fn grow(list: &mut Vec<u64>, index: usize) {
    if list.len() <= index {
        list.resize(index + 1, 0);
    }
}
