//! The draw of one room while it is held: those who came, and what was said of them.
//!
//! The one sequencer of a room. A place before the opening is an index in the log, given when it is on the
//! disk; a statement is shown when it is on the disk, and taken only then. What was written is read again
//! after a restart, by the steps that others check it by. Closing and being committed to are one: nobody is
//! added from the moment a commitment is made out, whether it can be written or not.

use std::sync::Arc;

use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::admission::UnixTime;
use crate::admission::draw::Draw;
use crate::admission::draw::log::{JoinLog, Leaf, LogFull};
use crate::proof::draw::ceremony::{Ceremony, Statement, Step};
use crate::proof::draw::rules::Rules;
use crate::proof::draw::{DrawError, document};
use crate::proof::receipt::leaf;

/// What must be written of a draw.
#[derive(Clone, Debug, Default)]
pub struct LotsNews {
    /// Those who came, by index.
    pub leaves: Vec<(u32, Leaf)>,
    /// The next statement, and which it is.
    pub line: Option<(u32, String)>,
    /// With it so many are committed to: whoever comes now stands behind them.
    pub closes: Option<u32>,
}

impl LotsNews {
    /// Nothing is new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty() && self.line.is_none()
    }
}

/// A draw whose rules are frozen.
#[derive(Debug)]
pub struct Lots {
    ceremony: Ceremony,
    key: VerifyingKey,
    log: Arc<JoinLog>,
    /// So many of the log are durable.
    kept: u32,
    /// What was said, durable.
    lines: Vec<String>,
    closed: bool,
    /// Randomness that was given and is not written down yet.
    offered: Option<String>,
}

/// Everybody has a number.
#[derive(Debug)]
pub struct Drawn {
    draw: Draw,
    log: Arc<JoinLog>,
    /// By index. There are no more than there are indices.
    numbers: Vec<u32>,
    /// By number, from the first one on.
    indices: Vec<u32>,
}

impl Drawn {
    /// Draws all numbers, which takes its time for a million.
    #[must_use]
    pub fn new(draw: Draw, log: Arc<JoinLog>) -> Self {
        let numbers: Vec<u32> = draw.numbers().filter_map(|number| u32::try_from(number).ok()).collect();
        let mut indices = vec![0; numbers.len()];
        for (number, index) in numbers.iter().zip(0..) {
            if let Some(at) = indices.get_mut(*number as usize - 1) {
                *at = index;
            }
        }
        Self { numbers, indices, draw, log }
    }

    /// The number of an index.
    #[must_use]
    pub fn number(&self, index: u32) -> Option<u64> {
        self.numbers.get(usize::try_from(index).ok()?).copied().map(u64::from)
    }

    /// The index of a number; `None` of one that was given later, to whoever came after.
    #[must_use]
    pub fn index(&self, number: u64) -> Option<u32> {
        self.indices.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }

    /// How many were drawn.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.draw.count
    }

    /// The lines of some of those who came, from an index on.
    #[must_use]
    pub fn lines(&self, from: u32, most: u32) -> String {
        let some = from..self.count().min(from.saturating_add(most));
        let leaf = |index: u32| self.log.leaves().get(usize::try_from(index).ok()?);
        let line = |index| Some(document::line(index, leaf(index)?, self.number(index)?) + "\n");
        some.filter_map(line).collect()
    }
}

/// Where a leaf stands in what was committed to.
#[derive(Clone, Debug)]
pub struct Inclusion {
    /// How many were committed to.
    pub count: u32,
    /// The Merkle root.
    pub root: [u8; 32],
    /// The hashes that lead from the leaf to it.
    pub path: Vec<[u8; 32]>,
}

impl Lots {
    /// As they were left.
    ///
    /// # Errors
    /// [`DrawError`]: what is written contradicts itself.
    pub fn restore(lines: Vec<String>, leaves: Vec<Leaf>, key: VerifyingKey) -> Result<Self, DrawError> {
        let (rules, told) = lines.split_first().map_or(("", [].as_slice()), |(rules, told)| (rules, told));
        let mut ceremony = Ceremony::open(rules, &key)?;
        told.iter().try_for_each(|line| ceremony.take(line, &key))?;
        let mut log = JoinLog::default();
        for leaf in leaves {
            log.append(leaf).map_err(|LogFull| DrawError::Root)?;
        }
        let closed = ceremony.commitment().is_some();
        if let Some(commitment) = ceremony.commitment()
            && (commitment.count, &commitment.root) != (log.count(), &crate::proof::hex(&log.root()))
        {
            return Err(DrawError::Root);
        }
        Ok(Self { ceremony, key, kept: log.count(), log: Arc::new(log), lines, closed, offered: None })
    }

    /// The rules, frozen.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.ceremony.rules().said
    }

    /// Somebody comes. `None` when it is too late for the draw.
    pub(super) fn enter(&mut self, id: &[u8; 16]) -> Option<u32> {
        if self.closed {
            return None;
        }
        let index = self.log.count();
        Arc::make_mut(&mut self.log).append(leaf(id, index.into())).ok()
    }

    /// So many are durable.
    #[must_use]
    pub fn kept(&self) -> u32 {
        self.kept
    }

    /// Those who came are committed to, durably.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        self.ceremony.commitment().is_some()
    }

    /// How many were committed to, if they are.
    #[must_use]
    pub fn committed(&self) -> Option<u32> {
        self.ceremony.commitment().map(|commitment| commitment.count)
    }

    /// The hash of the commitment to those who came, in hex.
    #[must_use]
    pub fn commitment(&self) -> Option<String> {
        self.ceremony.commitment_hash().map(|hash| crate::proof::hex(&hash))
    }

    /// When what decides comes out, if the first draw is void and nothing is decided yet.
    #[must_use]
    pub fn redraw(&self) -> Option<UnixTime> {
        self.ceremony.redraw()
    }

    /// What was said, a line each.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What is due at `now`, to be written.
    pub(super) fn due(&mut self, now: UnixTime, key: &SigningKey) -> LotsNews {
        let news = |line: Option<String>| {
            let at = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
            line.map(|line| (at, line))
        };
        let (line, closes) = match self.ceremony.step(&self.log, now) {
            Step::Say(statement) => {
                let closes = matches!(statement, Statement::Commitment(_)).then(|| self.log.count());
                (news(Some(statement.seal(key))), closes)
            }
            Step::Wait(_) => (news(self.offered.clone()), None),
            Step::Gather | Step::Drawn(_) => (None, None),
        };
        self.closed |= closes.is_some();
        LotsNews { line, closes, ..self.unkept() }
    }

    /// Those who came and are not on the disk yet.
    pub(super) fn unkept(&self) -> LotsNews {
        let leaves = (self.kept..).zip(self.log.leaves().iter().skip(self.kept as usize).copied());
        LotsNews { leaves: leaves.collect(), ..LotsNews::default() }
    }

    /// These are written.
    pub(super) fn publish(&mut self, news: &LotsNews) -> Result<(), DrawError> {
        if let Some((last, _)) = news.leaves.last() {
            self.kept = self.kept.max(last + 1);
        }
        let Some((_, line)) = news.line.as_ref().filter(|(at, _)| *at as usize == self.lines.len()) else {
            return Ok(());
        };
        self.ceremony.take(line, &self.key)?;
        self.offered = self.offered.take().filter(|offered| offered != line);
        self.lines.push(line.clone());
        Ok(())
    }

    /// Randomness is given; it is judged now, and counts when it is written down.
    ///
    /// # Errors
    /// [`DrawError`]: it is not what the rules ask for, or it is too early.
    pub fn offer(&mut self, line: &str) -> Result<(), DrawError> {
        self.ceremony.clone().take(line, &self.key)?;
        self.offered = Some(line.to_owned());
        Ok(())
    }

    /// How it was decided, and of whom.
    #[must_use]
    pub fn decided(&self) -> Option<(Draw, Arc<JoinLog>)> {
        self.ceremony.decided().ok().map(|(_, draw)| (draw, Arc::clone(&self.log)))
    }

    /// Where an index stands in what was committed to; `None` before that.
    #[must_use]
    pub fn inclusion(&self, index: u32) -> Option<Inclusion> {
        self.ceremony.commitment()?;
        Some(Inclusion { count: self.log.count(), root: self.log.root(), path: self.log.path(index)? })
    }
}

#[cfg(test)]
mod tests;
