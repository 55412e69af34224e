//! What must be true after every step, whatever happened. Each check says in words what was broken.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tornello::admission::room::{Claim, Room, RoomFacts, RoomMarks};

use crate::person::pass_of;

/// Ends a run with what was seen.
macro_rules! must {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
pub(crate) use must;

/// Remembers what the room must not contradict.
#[derive(Default)]
pub(crate) struct Witness {
    cursor: u64,
    given: u64,
    /// Numbers that were let in, in this life.
    pub(crate) seated: HashSet<u64>,
    /// Numbers that were told to stand in the front row.
    pub(crate) front: BTreeSet<u64>,
    /// The line has stood still here for so long, unheld, with seats free and people waiting.
    stuck_at: u64,
    stuck_for: Duration,
}

impl Witness {
    /// The cursor and the marks, after any step.
    pub(crate) fn marks(&mut self, marks: RoomMarks, durable: RoomMarks) -> Result<(), String> {
        must!(marks.cursor >= self.cursor, "the cursor fell from {} to {}", self.cursor, marks.cursor);
        must!(marks.cursor <= marks.issued, "called {} of {} given", marks.cursor, marks.issued);
        must!(marks.issued <= durable.reserved, "gave {} beyond {durable:?}", marks.issued);
        must!(marks.cursor <= durable.cursor, "called {} before it was durable", marks.cursor);
        self.cursor = marks.cursor;
        Ok(())
    }

    /// A number was given. Ever rising, so given once, over all restarts.
    pub(crate) fn given(&mut self, number: u64) -> Result<(), String> {
        must!(number > self.given, "gave {number} after {}", self.given);
        self.given = number;
        Ok(())
    }

    /// Somebody with this number, who was outside, was told to be inside.
    pub(crate) fn let_in(&mut self, number: u64) -> Result<(), String> {
        must!(self.seated.insert(number), "number {number} was let in twice");
        Ok(())
    }

    /// Somebody of the front row got a seat: those who got in were before those who did not.
    pub(crate) fn front_row_moved(&mut self, room: &Room) -> Result<(), String> {
        let mut first = None;
        let mut overtaken = None;
        self.front.retain(|number| match room.look(*number, &pass_of(*number)) {
            Claim::FrontRow { .. } => {
                first = first.or(Some(*number));
                true
            }
            Claim::Admitted => {
                overtaken = overtaken.or(first.map(|first| (*number, first)));
                false
            }
            _ => false,
        });
        must!(overtaken.is_none(), "(number, lower one still in front): {overtaken:?} was seated before");
        Ok(())
    }

    /// Seats, after something that may have let people in from the line.
    pub(crate) fn seats(&self, before: &RoomFacts, after: &RoomFacts) -> Result<(), String> {
        let grew = after.active > before.active || after.front_row < before.front_row;
        let within = after.active <= after.seats as usize;
        must!(!grew || within, "{} inside on {} seats, {} before", after.active, after.seats, before.active);
        Ok(())
    }

    /// The front row gets every free seat, and the line never stands still for long without a reason.
    pub(crate) fn beat(
        &mut self,
        facts: &RoomFacts,
        held: bool,
        elapsed: Duration,
        patience: Duration,
    ) -> Result<(), String> {
        let free = (facts.seats as usize).saturating_sub(facts.active);
        must!(facts.front_row == 0 || free == 0, "{} in front of {free} free seats", facts.front_row);
        let stuck = free > 0 && facts.cursor < facts.issued && facts.cursor == self.stuck_at;
        self.stuck_at = facts.cursor;
        if !stuck {
            self.stuck_for = Duration::ZERO;
        } else if !held {
            self.stuck_for += elapsed;
        }
        must!(
            self.stuck_for <= patience,
            "{free} free seats, nobody called for {:?}: {facts:?}",
            self.stuck_for
        );
        Ok(())
    }

    /// The gateway was killed: bits of used numbers and the front row are lost, as documented.
    pub(crate) fn restarted(&mut self) {
        self.seated.clear();
        self.front.clear();
        self.stuck_for = Duration::ZERO;
    }
}
