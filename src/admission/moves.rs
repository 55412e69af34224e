//! Places that moved to another device: which tickets and passes of them still count.
//!
//! A ticket says how often its place had moved when it was given, and a pass as its ticket. Of a place that
//! moved only the last ones count, and of one that never did nothing is kept. The number stays, and all that
//! the room knows by it. A move counts from when it is durable; until then the old ticket does, so that there
//! is no moment at which nobody holds the place.
//!
//! Memory: about twenty bytes for each place that moved.

use std::collections::BTreeMap;
use std::time::Duration;

use super::UnixTime;
use super::handoff::Mark;
use super::ticket::{Claims, Said};

/// For how long after a restart whoever was not answered can ask again.
const ANSWERED_WITHIN: Duration = super::handoff::LASTS;

/// A move, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// How often the place has moved.
    pub moves: u8,
    /// The ticket that counts now.
    pub ticket: Said,
    /// Of what was typed to get it, if it can be told.
    pub mark: Option<Mark>,
    /// When.
    pub at: UnixTime,
}

/// What must be made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveNews {
    /// By number, as tickets hold it.
    pub moves: Vec<(u64, Move)>,
    /// How many changes there had been by then.
    pub count: u64,
}

/// A place moved as often as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften;

/// See the module.
#[derive(Debug, Default)]
pub struct Moves {
    moved: BTreeMap<u64, u8>,
    /// Not durable yet.
    asked: BTreeMap<u64, Move>,
    /// What an earlier process may not have answered.
    before: BTreeMap<Mark, (UnixTime, Said)>,
    changes: u64,
}

impl Moves {
    /// As they were left.
    #[must_use]
    pub fn restore(left: &[(u64, Move)]) -> Self {
        let moved = left.iter().map(|(place, one)| (*place, one.moves)).collect();
        let before = left.iter().filter_map(|(_, one)| Some((one.mark?, (one.at, one.ticket)))).collect();
        Self { moved, before, ..Self::default() }
    }

    /// No place moved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    /// How often a place has moved. Of somebody who was drawn, also before that.
    #[must_use]
    pub fn of(&self, claims: &Claims) -> u8 {
        let of = |place| self.moved.get(&place).copied().unwrap_or_default();
        let drawn = if claims.number > 0 { of(claims.number) } else { 0 };
        of(claims.written_number()).max(drawn)
    }

    /// Whether this ticket or pass is of a place that has moved since.
    #[must_use]
    pub fn is_gone(&self, claims: &Claims) -> bool {
        claims.moves < self.of(claims)
    }

    /// Moves a place: the ticket that will count when this is durable. Asked again before that, it is the same.
    ///
    /// # Errors
    /// [`TooOften`].
    pub fn ask(&mut self, ticket: &Claims, mark: Option<Mark>, at: UnixTime) -> Result<Claims, TooOften> {
        let moves = self.of(ticket).checked_add(1).ok_or(TooOften)?;
        let moved = Claims { moves, ..*ticket };
        self.write(&moved, mark, at);
        Ok(moved)
    }

    /// The move was not durable in time and nobody was told of it: the ticket that counted goes on to.
    pub fn forgo(&mut self, ticket: &Claims, at: UnixTime) {
        // What is being written at this moment is written over.
        self.write(&Claims { moves: self.of(ticket), ..*ticket }, None, at);
    }

    fn write(&mut self, ticket: &Claims, mark: Option<Mark>, at: UnixTime) {
        // By the number, where there is one: a pass has no other.
        let place = if ticket.number > 0 { ticket.number } else { ticket.written_number() };
        self.asked.insert(place, Move { moves: ticket.moves, ticket: ticket.said(), mark, at });
        self.changes += 1;
    }

    /// The ticket that somebody was to get who typed this before a restart, and may have got no answer.
    #[must_use]
    pub fn unanswered(&self, mark: Mark, now: UnixTime) -> Option<Claims> {
        let (at, said) = self.before.get(&mark)?;
        let ticket = Claims::of_ticket(said)?;
        (now.since(*at) <= ANSWERED_WITHIN).then_some(ticket)
    }

    /// How many changes there were in this life.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What must be made durable.
    #[must_use]
    pub fn unkept(&self) -> MoveNews {
        let moves = self.asked.iter().map(|(place, one)| (*place, *one)).collect();
        MoveNews { moves, count: self.changes }
    }

    /// These are durable by now, and count. Returns which places are somebody else's with that.
    pub fn kept(&mut self, news: &MoveNews) -> Vec<u64> {
        let mut moved = Vec::new();
        for (place, one) in &news.moves {
            // What was asked for since is another one, and not written yet.
            if self.asked.get(place) == Some(one) {
                self.asked.remove(place);
                let before = self.moved.insert(*place, one.moves);
                moved.extend((before.unwrap_or_default() < one.moves).then_some(*place));
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::admission::ticket::{Kind, RoomId};

    const NOW: UnixTime = UnixTime(1_793_318_400_000);

    fn ticket(number: u64) -> Claims {
        let room = RoomId(1);
        Claims { kind: Kind::Ticket, room, epoch: 1, number, index: None, time: NOW, id: [7; 16], moves: 0 }
    }

    #[test]
    fn the_old_ticket_counts_until_the_move_is_durable_and_then_the_new_one() {
        let mut moves = Moves::default();
        let old = ticket(4);
        let new = moves.ask(&old, Some(9), NOW).unwrap();
        assert_eq!((new.number, new.id, new.time, new.moves), (4, old.id, old.time, 1));
        assert!(!moves.is_gone(&old) && !moves.is_gone(&new));
        let news = moves.unkept();
        assert_eq!(moves.kept(&news), [4]);
        assert!(moves.is_gone(&old) && !moves.is_gone(&new) && !moves.is_gone(&ticket(5)));
        assert!(moves.unkept().moves.is_empty());
        let restored = Moves::restore(&news.moves);
        assert!(restored.is_gone(&old) && !restored.is_gone(&new));
        assert_eq!(restored.unanswered(9, NOW), Some(new));
        assert_eq!(restored.unanswered(8, NOW), None);
        assert_eq!(restored.unanswered(9, UnixTime(NOW.0 + 300_001)), None);
    }

    #[test]
    fn a_move_that_was_given_up_in_the_middle_of_its_write_leaves_the_place_where_it_was() {
        let mut moves = Moves::default();
        let old = ticket(4);
        moves.ask(&old, None, NOW).unwrap();
        let written = moves.unkept();
        moves.forgo(&old, NOW);
        moves.kept(&written);
        assert!(!moves.is_gone(&old));
        let over = moves.unkept();
        moves.kept(&over);
        assert!(!moves.is_gone(&old));
        let both: Vec<_> = written.moves.into_iter().chain(over.moves).collect();
        assert!(!Moves::restore(&both[1..]).is_gone(&old), "the last one written counts");
        let new = moves.ask(&old, None, NOW).unwrap();
        moves.kept(&moves.unkept());
        assert!(moves.is_gone(&old) && !moves.is_gone(&new), "and it can be tried again");
    }

    #[test]
    fn who_is_drawn_has_moved_as_often_after_the_draw() {
        let mut moves = Moves::default();
        let undrawn = Claims { number: 0, index: Some(3), ..ticket(0) };
        let new = moves.ask(&undrawn, None, NOW).unwrap();
        moves.kept(&moves.unkept());
        let drawn = |ticket: Claims| Claims { number: 3, ..ticket };
        assert!(moves.is_gone(&drawn(undrawn)) && !moves.is_gone(&drawn(new)));
        assert!(!moves.is_gone(&ticket(3)), "a number is no index");
        let third = moves.ask(&drawn(new), None, NOW).unwrap();
        moves.kept(&moves.unkept());
        let pass = |ticket: Claims| Claims { kind: Kind::Pass, index: None, ..ticket };
        assert!(moves.is_gone(&drawn(new)) && moves.is_gone(&pass(drawn(new))));
        assert!(!moves.is_gone(&third) && !moves.is_gone(&pass(third)));
    }

    #[test]
    fn a_place_moves_255_times() {
        let (mut moves, mut held) = (Moves::default(), ticket(4));
        for _ in 0..255 {
            held = moves.ask(&held, None, NOW).unwrap();
            moves.kept(&moves.unkept());
        }
        assert_eq!(moves.ask(&held, None, NOW), Err(TooOften));
        assert!(!moves.is_gone(&held));
    }

    proptest! {
        /// Whatever is asked, given up, written and lost: of a place exactly the last ticket counts that was told.
        #[test]
        fn a_place_has_one_holder(steps in prop::collection::vec((0u64..3, 0u8..4), 1..100)) {
            let mut moves = Moves::default();
            let mut disk: BTreeMap<u64, Move> = BTreeMap::new();
            let mut told: BTreeMap<u64, Vec<Claims>> = (0..3).map(|place| (place, vec![ticket(place + 1)])).collect();
            for (place, step) in steps {
                let held = *told[&place].last().unwrap();
                match step {
                    // A move that is written before it is told; a place that moved too often stays.
                    0 => if let Ok(new) = moves.ask(&held, None, NOW) {
                        let news = moves.unkept();
                        disk.extend(news.moves.iter().copied());
                        moves.kept(&news);
                        told.get_mut(&place).unwrap().push(new);
                    },
                    // One that the disk did not take in time, whether it comes to be there or not.
                    1 | 2 => if moves.ask(&held, None, NOW).is_ok() {
                        let news = moves.unkept();
                        moves.forgo(&held, NOW);
                        if step == 1 {
                            disk.extend(news.moves.iter().copied());
                            moves.kept(&news);
                        }
                    },
                    // What is there to be written is, and the process is killed.
                    _ => {
                        let news = moves.unkept();
                        disk.extend(news.moves.iter().copied());
                        let left: Vec<_> = disk.iter().map(|(place, one)| (*place, *one)).collect();
                        moves = Moves::restore(&left);
                    }
                }
                for tickets in told.values() {
                    let (last, before) = tickets.split_last().unwrap();
                    prop_assert!(!moves.is_gone(last));
                    prop_assert!(before.iter().all(|old| moves.is_gone(old)));
                }
            }
        }
    }
}
