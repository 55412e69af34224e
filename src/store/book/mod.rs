//! The public log of one room: counts, what is signed and waits for the disk, and what is published.
//!
//! A line is signed once, kept as it is until it is on the disk, and shown only then: whatever the disk
//! does, two different lines never have one index. What is counted while lines cannot be written is in the
//! next one. After a crash the log goes on from its last line, with a start that says what is lost.
//!
//! A minute in which nothing was counted and nothing changed has no line of its own; the next one says
//! since when.

mod shelf;
mod tell;

pub use shelf::{NoPart, PART, Shelf};
pub use tell::{Seen, Why};

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{SigningKey, VerifyingKey};

use super::journal::{Journal, JournalError};
use crate::admission::{Moment, UnixTime};
use crate::proof::hex;
use crate::proof::log::{Counts, Entry, Event, Head, Refused, nothing};
use crate::proof::sealed::ProofError;
use tell::Told;

/// A line is written at the end of a minute,
const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_MS: u64 = 60_000;
/// and if nothing happened, after an hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// Most lines that wait for the disk. Beyond it counts wait for a line.
const WAITING_MAX: usize = 32;
/// Most changes that wait to be told; those beyond are only in the operator's log.
const CHANGES_MAX: usize = 32;

/// A signed line, and its index.
pub type Line = (u64, String);

/// The public log of one room.
#[derive(Default)]
pub struct Book {
    refused: [AtomicU64; Why::COUNT],
    state: Mutex<State>,
    shelf: Shelf,
}

#[derive(Debug, Default)]
struct State {
    /// The index of the next line, and the hash of the last.
    next: u64,
    prev: Option<[u8; 32]>,
    /// Nothing was said in this life yet.
    begun: bool,
    /// The life before did not end with its last line: what it had counted since is lost.
    lost: bool,
    /// Nothing more is said.
    closed: bool,
    /// Where the line before ended.
    from_ms: u64,
    from: Moment,
    /// What was said in this life.
    told: Told,
    /// Changes that are to be told.
    changes: VecDeque<Event>,
    /// Signed, and not known to be on the disk.
    sealed: VecDeque<Line>,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("state", &*self.lock()).finish_non_exhaustive()
    }
}

/// A log cannot be gone on with.
#[derive(Debug)]
pub enum BookError {
    /// It cannot be read.
    Journal(JournalError),
    /// What stands in it is none of ours, so that nothing can be bound to it.
    Line(ProofError),
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Line(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BookError {}

impl Book {
    /// The log of `room` as the journal has it.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn open(journal: &Arc<Journal>, room: &str) -> Result<Self, BookError> {
        let end = journal.log_end(room).map_err(BookError::Journal)?;
        let lines = end.map(|last| journal.log(room, last / PART * PART, PART)).transpose();
        let lines = lines.map_err(BookError::Journal)?.unwrap_or_default();
        let seed = journal.board_seed().map_err(BookError::Journal)?.unwrap_or_default();
        let key = SigningKey::from_bytes(&seed).verifying_key();
        Self::restore(journal, room, lines, &key).map_err(BookError::Line)
    }

    /// When the last line of an earlier life ended, by the clock of then.
    #[must_use]
    pub fn left_at(&self) -> Option<UnixTime> {
        let state = self.lock();
        (!state.begun && state.next > 0).then_some(UnixTime(state.from_ms))
    }

    fn restore(
        journal: &Arc<Journal>,
        room: &str,
        lines: Vec<Line>,
        key: &VerifyingKey,
    ) -> Result<Self, ProofError> {
        let mut state = State::default();
        let mut head = None;
        for (index, line) in &lines {
            let (entry, named) = crate::proof::log::verify::own(line, key)?;
            if named.index != *index || entry.room != room {
                return Err(ProofError::Wrong(format!("line {index} of the log is not at its place")));
            }
            (state.next, state.prev, state.from_ms) = (index + 1, Some(named.hash), entry.to_ms);
            state.lost = !matches!(entry.event, Some(Event::Stop));
            state.told = Told::restore(&entry.stood);
            head = Some(named);
        }
        let shelf = Shelf::restore(journal, room, lines, head);
        Ok(Self { refused: Default::default(), state: Mutex::new(state), shelf })
    }

    /// A request was answered no.
    pub fn refuse(&self, why: Why) {
        if let Some(count) = self.refused.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Something changed the rules of the day.
    pub fn tell(&self, event: Event) {
        let mut state = self.lock();
        if state.changes.len() < CHANGES_MAX && !state.closed {
            state.changes.push_back(event);
        }
    }

    /// What must be written at `now`, by what is `seen` of the room.
    pub fn due(&self, seen: &Seen<'_>, key: &SigningKey, now: Moment, unix: UnixTime) -> Vec<Line> {
        let refused = self.refusals();
        let mut state = self.lock();
        if !state.closed {
            state.open(seen, now, unix);
            state.note_changes(seen, now);
            while state.sealed.len() < WAITING_MAX
                && let Some(event) = state.changes.pop_front()
            {
                state.seal(seen, refused, Some(event), key, now, unix);
            }
            let waited = now.since(state.from);
            let minute_ended = unix.0 / MINUTE_MS > state.from_ms / MINUTE_MS || waited >= MINUTE;
            let is_news = || state.told.counts(seen, refused) != Counts::default();
            if state.sealed.len() < WAITING_MAX && minute_ended && (waited >= HOUR || is_news()) {
                state.seal(seen, refused, None, key, now, unix);
            }
        }
        state.sealed.iter().cloned().collect()
    }

    /// The last lines of this life: everything was counted.
    pub fn close(&self, seen: &Seen<'_>, key: &SigningKey, now: Moment, unix: UnixTime) -> Vec<Line> {
        let refused = self.refusals();
        let mut state = self.lock();
        if !state.closed {
            state.open(seen, now, unix);
            state.changes.push_back(Event::Stop);
            while let Some(event) = state.changes.pop_front() {
                state.seal(seen, refused, Some(event), key, now, unix);
            }
            state.closed = true;
        }
        state.sealed.iter().cloned().collect()
    }

    /// These lines are on the disk.
    pub fn publish(&self, room: &str, lines: &[Line], key: &VerifyingKey) {
        let Some((last, line)) = lines.last() else { return };
        let mut state = self.lock();
        state.sealed.retain(|(index, _)| index > last);
        drop(state);
        match crate::proof::log::verify::own(line, key) {
            Ok((_, head)) => self.shelf.add(lines, head),
            Err(error) => tracing::error!(room, %error, "what was written of the log is not believed"),
        }
    }

    /// The last line that is published.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.shelf.head()
    }

    /// The lines of a part, and whether none will be added to it.
    ///
    /// # Errors
    /// [`NoPart`].
    pub async fn part(&self, part: u64) -> Result<(Bytes, bool), NoPart> {
        self.shelf.part(part).await
    }

    fn refusals(&self) -> Refused {
        let [abuse, unproven, unreadable, wait, closed, busy, failed] =
            self.refused.each_ref().map(|count| count.load(Ordering::Relaxed));
        Refused { abuse, unproven, unreadable, wait, closed, busy, failed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first look of a life: counts begin here.
    fn open(&mut self, seen: &Seen<'_>, now: Moment, UnixTime(unix_ms): UnixTime) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        // Time never runs backwards in a log, whatever the clock does.
        (self.from_ms, self.from) = (self.from_ms.max(unix_ms), now);
        self.changes.push_front(Event::Start { clean: !self.lost, rules: Some(seen.rules.to_owned()) });
    }

    fn seal(
        &mut self,
        seen: &Seen<'_>,
        refused: Refused,
        event: Option<Event>,
        key: &SigningKey,
        now: Moment,
        UnixTime(unix_ms): UnixTime,
    ) {
        let counts = self.told.take(seen, refused);
        let entry = Entry {
            kind: Entry::KIND.to_owned(),
            v: 1,
            room: seen.room.to_owned(),
            index: self.next,
            prev: self.prev.map_or_else(nothing, |hash| hex(&hash)),
            from_ms: self.from_ms,
            to_ms: self.from_ms.max(unix_ms),
            counts,
            stood: self.told.stood(seen),
            event,
        };
        let (line, hash) = entry.seal(key);
        self.sealed.push_back((self.next, line));
        (self.next, self.prev) = (self.next + 1, Some(hash));
        (self.from_ms, self.from) = (entry.to_ms, now);
    }
}

#[cfg(test)]
mod tests;
