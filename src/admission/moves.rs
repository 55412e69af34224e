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

/// For how long whoever was not answered can ask again, also after a restart.
const ANSWERED_WITHIN: Duration = super::handoff::LASTS;
/// So many moves are remembered for that at least before the old ones are looked for.
const ANSWERS: usize = 1_024;

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

/// Why a place does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMoved {
    /// As often as it may it has.
    TooOften,
    /// It is about to, to somebody else.
    Busy,
    /// It has moved since this ticket was given.
    Gone,
    /// It is somebody's who has signed in.
    Held,
    /// The disk did not take it in time.
    NotKept,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Moves {
    moved: BTreeMap<u64, u8>,
    /// Not durable yet.
    asked: BTreeMap<u64, Move>,
    /// What may not have been answered: of the last minutes, and of an earlier process.
    answers: BTreeMap<Mark, (UnixTime, Said)>,
    /// When there are so many of those, the old ones are forgotten.
    answers_most: usize,
    changes: u64,
}

impl Moves {
    /// As they were left.
    #[must_use]
    pub fn restore(left: &[(u64, Move)]) -> Self {
        let moved = left.iter().map(|(place, one)| (*place, one.moves)).collect();
        let answers = left.iter().filter_map(|(_, one)| Some((one.mark?, (one.at, one.ticket)))).collect();
        let mut moves = Self { moved, answers, ..Self::default() };
        // By now it is at least that late.
        let last = left.iter().map(|(_, one)| one.at).max();
        moves.forget_old(last.unwrap_or_default());
        moves
    }

    fn forget_old(&mut self, now: UnixTime) {
        self.answers.retain(|_, (at, _)| now.since(*at) <= ANSWERED_WITHIN);
        self.answers_most = ANSWERS.max(self.answers.len() * 2);
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

    /// Whether the place of this ticket or pass is about to move: not durable yet, and perhaps never.
    #[must_use]
    pub fn is_moving(&self, claims: &Claims) -> bool {
        self.pending(claims).is_some()
    }

    /// The move of a place that is not durable yet.
    fn pending(&self, claims: &Claims) -> Option<&Move> {
        let of = self.of(claims);
        let at = |place| self.asked.get(&place).filter(|one| one.moves > of);
        at(claims.written_number()).or_else(|| at(claims.number).filter(|_| claims.number > 0))
    }

    /// Moves a place: the ticket that will count when this is durable. Asked again by the same mark it is the same,
    /// and by nobody else meanwhile.
    ///
    /// # Errors
    /// [`NotMoved`].
    pub fn ask(&mut self, ticket: &Claims, mark: Option<Mark>, at: UnixTime) -> Result<Claims, NotMoved> {
        if self.is_gone(ticket) {
            let last = Claims { moves: self.of(ticket), ..*ticket };
            return if mark.is_some() && self.is_answer(&last, mark) {
                Ok(last)
            } else {
                Err(NotMoved::Gone)
            };
        }
        if let Some(pending) = self.pending(ticket) {
            let again = mark.is_some() && pending.mark == mark;
            let moved = Claims { moves: pending.moves, ..*ticket };
            return if again { Ok(moved) } else { Err(NotMoved::Busy) };
        }
        let moves = self.of(ticket).checked_add(1).ok_or(NotMoved::TooOften)?;
        let moved = Claims { moves, ..*ticket };
        self.write(&moved, mark, at);
        Ok(moved)
    }

    /// What became of a move that was asked for, when nobody waits for it any longer: it counts, or it is given up and
    /// the ticket that counted goes on to.
    #[must_use]
    pub fn decide(&mut self, moved: &Claims, mark: Option<Mark>, at: UnixTime) -> bool {
        let of = self.of(moved);
        if of >= moved.moves {
            // Without a mark nobody else asked for the same. Whoever was told before may have moved it on.
            return of == moved.moves && (mark.is_none() || self.is_answer(moved, mark));
        }
        // It may have been given up before, and another one asked for since.
        if self.pending(moved).is_some_and(|pending| pending.mark == mark) {
            self.forgo(moved, at);
        }
        false
    }

    /// What is being written at this moment is written over.
    fn forgo(&mut self, ticket: &Claims, at: UnixTime) {
        self.write(&Claims { moves: self.of(ticket), ..*ticket }, None, at);
    }

    fn write(&mut self, ticket: &Claims, mark: Option<Mark>, at: UnixTime) {
        // By the number, where there is one: a pass has no other.
        let place = if ticket.number > 0 { ticket.number } else { ticket.written_number() };
        self.asked.insert(place, Move { moves: ticket.moves, ticket: ticket.said(), mark, at });
        self.changes += 1;
    }

    /// Whether this is the ticket that was got by this mark.
    fn is_answer(&self, ticket: &Claims, mark: Option<Mark>) -> bool {
        let answer = mark.and_then(|mark| self.answers.get(&mark));
        answer.is_some_and(|(_, said)| *said == ticket.said())
    }

    /// The ticket that somebody was to get who typed this, and may have got no answer.
    #[must_use]
    pub fn unanswered(&self, mark: Mark, now: UnixTime) -> Option<Claims> {
        let (at, said) = self.answers.get(&mark)?;
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
                self.answers.extend(one.mark.map(|mark| (mark, (one.at, one.ticket))));
                if self.answers.len() > self.answers_most.max(ANSWERS) {
                    self.forget_old(one.at);
                }
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
        let late = moves.ask(&old, None, NOW).unwrap();
        assert!(moves.is_moving(&old) && !moves.is_gone(&old));
        let written = moves.unkept();
        assert!(!moves.decide(&late, None, NOW) && !moves.is_moving(&old));
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
        assert_eq!(moves.ask(&held, None, NOW), Err(NotMoved::TooOften));
        assert!(!moves.is_gone(&held));
    }

    #[test]
    fn two_who_ask_for_one_place_at_once_do_not_both_get_it() {
        let (mut moves, old) = (Moves::default(), ticket(4));
        let one = moves.ask(&old, Some(1), NOW).unwrap();
        assert_eq!(moves.ask(&old, Some(2), NOW), Err(NotMoved::Busy));
        assert_eq!(moves.ask(&old, None, NOW), Err(NotMoved::Busy));
        let again = moves.ask(&old, Some(1), NOW).unwrap();
        assert_eq!(again, one);
        // The first of the two waits no longer, a third comes, and the second looks what became of it.
        assert!(!moves.decide(&one, Some(1), NOW));
        let third = moves.ask(&old, Some(3), NOW).unwrap();
        assert!(
            !moves.decide(&again, Some(1), NOW) && moves.is_moving(&old),
            "the third is not given up by it"
        );
        moves.kept(&moves.unkept());
        assert!(moves.decide(&third, Some(3), NOW), "it has the place");
        assert!(!moves.decide(&again, Some(1), NOW), "and nobody else, though the ticket would be the same");
        assert_eq!(moves.ask(&old, Some(3), NOW), Ok(third), "whose answer was lost has it");
        assert_eq!(moves.ask(&old, Some(1), NOW), Err(NotMoved::Gone));
    }

    #[test]
    fn what_was_answered_long_ago_is_forgotten() {
        let mut moves = Moves::default();
        let count = u64::try_from(ANSWERS).unwrap();
        for place in 1..=count * 3 {
            let at = UnixTime(NOW.0 + place * 1_000);
            moves.ask(&ticket(place), Some(place.into()), at).unwrap();
            moves.kept(&moves.unkept());
        }
        assert!(moves.answers.len() <= ANSWERS + 1, "{}", moves.answers.len());
        let left = |number: u64, at: u64| {
            let (said, at) = (ticket(number).said(), UnixTime(NOW.0 + at));
            (number, Move { moves: 1, ticket: said, mark: Some(number.into()), at })
        };
        let restored = Moves::restore(&[left(1, 0), left(2, 300_001), left(3, 400_000)]);
        assert_eq!(restored.answers.keys().copied().collect::<Vec<_>>(), [2, 3]);
        assert!(restored.is_gone(&ticket(1)), "that it moved is not");
    }

    /// A move that somebody waits for: by which mark, from which ticket, to which.
    type Waits = (Mark, Claims, Claims);

    proptest! {
        /// Whatever is asked, by one or several at once, given up, written and lost: of a place exactly the last
        /// ticket counts that was told, and each was told to one.
        #[test]
        fn a_place_has_one_holder(steps in prop::collection::vec((0u64..3, 0u8..9), 1..200)) {
            let mut moves = Moves::default();
            let mut disk: BTreeMap<u64, Move> = BTreeMap::new();
            let mut told: BTreeMap<u64, Vec<Claims>> = (0..3).map(|place| (place, vec![ticket(place + 1)])).collect();
            let mut told_to: BTreeMap<(u64, u8), Mark> = BTreeMap::new();
            let mut waits: BTreeMap<u64, Vec<Waits>> = BTreeMap::new();
            let (mut writing, mut last_mark) = (MoveNews::default(), 0);
            for (place, step) in steps {
                let held = *told[&place].last().unwrap();
                let mut tells: Vec<(u64, Mark, Claims)> = Vec::new();
                match step {
                    // Somebody else asks.
                    0 | 1 => {
                        last_mark += 1;
                        if let Ok(new) = moves.ask(&held, Some(last_mark), NOW) {
                            waits.entry(place).or_default().push((last_mark, held, new));
                        }
                    },
                    // Somebody asks once more who waits.
                    2 => if let Some(&(mark, from, to)) = waits.get(&place).and_then(|waits| waits.last())
                        && let Ok(new) = moves.ask(&from, Some(mark), NOW)
                    {
                        prop_assert_eq!(to, new);
                        waits.entry(place).or_default().push((mark, from, new));
                    },
                    // A write begins, is on the disk, and is known to be.
                    3 => writing = moves.unkept(),
                    4 => disk.extend(writing.moves.iter().copied()),
                    5 => {
                        disk.extend(writing.moves.iter().copied());
                        moves.kept(&std::mem::take(&mut writing));
                    },
                    // Somebody looks what became of it, in time or too late.
                    6 | 7 => if let Some((mark, _, to)) = waits.get_mut(&place).and_then(Vec::pop)
                        && moves.decide(&to, Some(mark), NOW)
                    {
                        tells.push((place, mark, to));
                    },
                    // What is there to be written is, and the process is killed; who waits asks again.
                    _ => {
                        disk.extend(moves.unkept().moves);
                        let left: Vec<_> = disk.iter().map(|(place, one)| (*place, *one)).collect();
                        moves = Moves::restore(&left);
                        writing = MoveNews::default();
                        for (place, waits) in std::mem::take(&mut waits) {
                            for (mark, _, to) in waits {
                                let got = moves.unanswered(mark, NOW).filter(|got| !moves.is_gone(got));
                                prop_assert!(got.is_none_or(|got| got == to));
                                tells.extend(got.map(|got| (place, mark, got)));
                            }
                        }
                    }
                }
                for (place, mark, new) in tells {
                    prop_assert_eq!(*told_to.entry((place, new.moves)).or_insert(mark), mark, "two have it");
                    let told = told.get_mut(&place).unwrap();
                    if *told.last().unwrap() != new {
                        told.push(new);
                    }
                }
                for (place, tickets) in &told {
                    let (last, before) = tickets.split_last().unwrap();
                    // Until whoever asked looks, it may be theirs already.
                    let waited = waits.get(place).is_some_and(|waits| !waits.is_empty());
                    prop_assert!(waited || !moves.is_gone(last));
                    prop_assert!(before.iter().all(|old| moves.is_gone(old)));
                }
            }
        }
    }
}
