//! Turns: numbers by which flows stand in the ring, and of whom the ring remembers one.

use std::collections::BTreeMap;

use super::Who;

/// Turns from here on are of the ring; those below go before it.
const RING: u64 = 1 << 63;
/// After so many newcomers in a row it is the ring's turn: new users without end keep nobody out.
const NEWCOMERS_IN_A_ROW: u32 = 4;
/// Turns of users of whom nothing waits, at most; beyond, the oldest are forgotten.
const KEPT: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: u64,
    /// Newcomers served since one of the ring was.
    newcomers: u32,
    /// The ring has come so far.
    passed: u64,
    /// Next turns of those of whom nothing waits.
    kept: BTreeMap<Who, u64>,
    kept_in_order: BTreeMap<u64, Who>,
}

impl Turns {
    /// Behind everybody.
    pub(super) fn at_the_end(&mut self) -> u64 {
        self.last += 1;
        RING | self.last
    }

    /// Of somebody of whom nothing waited.
    pub(super) fn of_newcomer(&mut self, who: Who) -> u64 {
        let kept = self.kept.remove(&who);
        if let Some(turn) = kept {
            self.kept_in_order.remove(&turn);
        }
        match (who, kept) {
            (Who::User(_), Some(turn)) if turn > self.passed => turn,
            (Who::User(_), _) => {
                self.last += 1;
                self.last
            }
            (Who::Lone(_), _) => self.at_the_end(),
        }
    }

    /// Whoever stood at `turn` was served.
    pub(super) fn served(&mut self, turn: u64) {
        if turn & RING == 0 {
            self.newcomers = self.newcomers.saturating_add(1);
        } else {
            self.newcomers = 0;
            self.passed = self.passed.max(turn);
            while let Some(first) = self.kept_in_order.first_entry().filter(|first| *first.key() <= turn) {
                self.kept.remove(&first.remove());
            }
        }
    }

    /// The first turn that counts now; if nobody stands from there on, all do.
    pub(super) fn from(&self) -> u64 {
        if self.newcomers < NEWCOMERS_IN_A_ROW { 0 } else { RING }
    }

    /// Nothing of this user waits any more; `turn` would be the next.
    pub(super) fn keep(&mut self, who: Who, turn: u64) {
        // Turns before the ring are for those who had none.
        if turn & RING == 0 || matches!(who, Who::Lone(_)) {
            return;
        }
        self.kept.insert(who, turn);
        self.kept_in_order.insert(turn, who);
        if self.kept.len() > KEPT
            && let Some((_, oldest)) = self.kept_in_order.pop_first()
        {
            self.kept.remove(&oldest);
        }
    }

    /// Nobody waits: the ring has come round for all.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
        self.kept_in_order.clear();
    }
}
