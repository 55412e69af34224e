//! From what is seen of a room to what its log says: what was counted since the last line, and what changed.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{CHANGES_MAX, State};
use crate::admission::Moment;
use crate::admission::room::{RoomFacts, Tally};
use crate::proof::hex;
use crate::proof::log::{Counts, Event, Refused, Stood};

/// A room that flickers between held and not is told of this often at most.
const PAUSE: Duration = Duration::from_secs(1);
/// The state of a room whose event is over.
const ENDED: &str = "ended";

/// Why a request was answered no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It asked more often than the quota allows.
    Abuse,
    /// It showed no good proof of who asks.
    Unproven,
    /// It could not be read, or was too long.
    Unreadable,
    /// It was told to wait.
    Wait,
    /// The room is not open.
    Closed,
    /// There was no permit in time.
    Busy,
    /// The service was down or failed.
    Failed,
}

impl Why {
    /// How many there are.
    pub const COUNT: usize = 7;
}

/// What is seen of a room at one look.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Its name.
    pub room: &'a str,
    /// State and reason, as the board says them.
    pub state: (&'static str, Option<&'static str>),
    /// How it stands.
    pub facts: RoomFacts,
    /// What was counted.
    pub tally: Tally,
    /// Who came before the opening, durably, in all lives.
    pub drawn: u64,
    /// Requests that may be unfinished behind it.
    pub limit: u32,
    /// An operator lets everybody in.
    pub open: bool,
    /// Statements of its draw.
    pub statements: &'a [String],
    /// What was erased when its event ended, if it did.
    pub erased: Option<&'a [String]>,
}

/// What was said in this life.
#[derive(Debug, Default)]
pub(super) struct Told {
    totals: Counts,
    /// Who came before the opening when this life began.
    drawn_before: Option<u64>,
    state: Option<(&'static str, Option<&'static str>)>,
    state_at: Moment,
    open: bool,
    epoch: Option<u32>,
    statements: u32,
    ended: bool,
    closed: bool,
}

impl Told {
    /// What the last line of an earlier life said.
    pub(super) fn restore(stood: &Stood) -> Self {
        let ended = stood.state == ENDED;
        Self {
            epoch: Some(stood.epoch),
            statements: stood.statements,
            ended,
            closed: ended,
            ..Self::default()
        }
    }

    /// What was counted and is not said.
    pub(super) fn counts(&self, seen: &Seen<'_>, refused: Refused) -> Counts {
        let (Tally { given, straight, seated, over, .. }, said) = (seen.tally, self.totals);
        let queued = given + seen.drawn.saturating_sub(self.drawn_before.unwrap_or(seen.drawn));
        let new = |total: u64, said: u64| total.saturating_sub(said);
        // With the line that tells of the end all who came are counted.
        let come = |total: u64, said: u64| if self.closed { 0 } else { new(total, said) };
        Counts {
            arrived: come(queued + straight, said.arrived),
            queued: come(queued, said.queued),
            admitted: come(straight + seated, said.admitted),
            done: new(over, said.done),
            refused: Refused {
                abuse: new(refused.abuse, said.refused.abuse),
                unproven: new(refused.unproven, said.refused.unproven),
                unreadable: new(refused.unreadable, said.refused.unreadable),
                wait: new(refused.wait, said.refused.wait),
                closed: new(refused.closed, said.refused.closed),
                busy: new(refused.busy, said.refused.busy),
                failed: new(refused.failed, said.refused.failed),
            },
        }
    }

    /// The same, and it is said now.
    pub(super) fn take(&mut self, seen: &Seen<'_>, refused: Refused) -> Counts {
        self.drawn_before.get_or_insert(seen.drawn);
        let counts = self.counts(seen, refused);
        self.totals += counts;
        self.closed = self.ended;
        counts
    }

    pub(super) fn stood(&self, seen: &Seen<'_>) -> Stood {
        let RoomFacts { epoch, cursor, issued, seats, active, remaining, .. } = seen.facts;
        Stood {
            state: seen.state.0.to_owned(),
            reason: seen.state.1.map(str::to_owned),
            epoch,
            cursor,
            issued,
            seats,
            inside: active as u64,
            limit: seen.limit,
            remaining,
            statements: self.statements,
        }
    }
}

impl State {
    /// Finds what changed since the last look, as far as there is room to tell it.
    pub(super) fn note_changes(&mut self, seen: &Seen<'_>, now: Moment) {
        let Self { told, changes, .. } = self;
        if changes.len() >= CHANGES_MAX {
            return;
        }
        if let Some(statement) = seen.statements.get(told.statements as usize) {
            changes.push_back(draw(statement));
            told.statements += 1;
        }
        if told.epoch.replace(seen.facts.epoch).is_some_and(|epoch| epoch != seen.facts.epoch) {
            changes.push_back(Event::Epoch { epoch: seen.facts.epoch });
        }
        if told.open != seen.open {
            changes.push_back(if seen.open { Event::OpenByOrder } else { Event::OrderEnded });
            told.open = seen.open;
        }
        if let Some(erased) = seen.erased.filter(|_| !told.ended) {
            changes.push_back(Event::Ended { erased: erased.to_vec() });
            told.ended = true;
        }
        if told.state == Some(seen.state) || told.state.is_some() && now.since(told.state_at) < PAUSE {
            return;
        }
        changes.extend(turn(told.state, seen.state).filter(|_| !told.ended));
        (told.state, told.state_at) = (Some(seen.state), now);
    }
}

/// Between moving along and not moving along.
fn turn(
    before: Option<(&'static str, Option<&'static str>)>,
    now: (&'static str, Option<&'static str>),
) -> Option<Event> {
    let is_shut = |state: &str| matches!(state, "closed" | "prequeue");
    match (before, now) {
        (_, ("held", reason)) => Some(Event::Held { reason: reason.unwrap_or_default().to_owned() }),
        (Some(("held", _)), (state, _)) if !is_shut(state) => Some(Event::Released),
        (Some((before, _)), (state, _)) if is_shut(before) && !is_shut(state) => Some(Event::Opened),
        _ => None,
    }
}

fn draw(statement: &str) -> Event {
    let name = statement.strip_prefix("{\"").and_then(|rest| rest.split_once('"'));
    let sha256 = hex(&Sha256::digest(statement.as_bytes()));
    Event::Draw { statement: name.map_or("", |(name, _)| name).to_owned(), sha256 }
}
