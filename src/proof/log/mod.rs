//! The public log of a room: what happened in it, a signed line a minute, each bound to the one before.
//!
//! A line says how many came, went in and went since the line before, how the room stood at its end, and,
//! where the rules of the day changed, what changed. Whoever keeps one line, or the board that names it,
//! can show later that another one was put in its place. Nothing in it names anybody: no address, no
//! ticket, no number of one person.

pub mod event;
pub mod head;
pub mod verify;
pub mod wrong;

pub use event::Event;
pub use head::Head;
pub use wrong::LogError;

use std::fmt;
use std::ops::AddAssign;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hex;
use super::sealed::seal;

/// What a line of the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Always `log`.
    pub kind: String,
    /// Version of this form.
    pub v: u8,
    /// The room.
    pub room: String,
    /// Which line, from 0.
    pub index: u64,
    /// SHA-256 of the entry before, in hex; zeros in the first.
    pub prev: String,
    /// The counts are of the time from here, in milliseconds since 1970,
    pub from_ms: u64,
    /// to here, when the line was written.
    pub to_ms: u64,
    /// How many.
    pub counts: Counts,
    /// How the room stood at the end.
    pub stood: Stood,
    /// What changed with this line, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// How many, between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Came: were given a place, or went in without one.
    pub arrived: u64,
    /// Were given a place.
    pub queued: u64,
    /// Went in.
    pub admitted: u64,
    /// Went, or their visit was over.
    pub done: u64,
    /// Requests that were answered no.
    pub refused: Refused,
}

/// Requests that were answered no, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Asked more often than the quota allows.
    pub abuse: u64,
    /// Showed a proof of who they are that is not good, or none where one is needed.
    pub unproven: u64,
    /// Could not be read, or were too long.
    pub unreadable: u64,
    /// Were told to wait: the waiting page.
    pub wait: u64,
    /// Came before the opening or after the end.
    pub closed: u64,
    /// Found no room at the service within the time that the short queue allows.
    pub busy: u64,
    /// Found the service down, or it failed while it answered.
    pub failed: u64,
}

/// How a room stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stood {
    /// As on the board.
    pub state: String,
    /// Why, where it stands still.
    pub reason: Option<String>,
    /// Epoch of the numbering.
    pub epoch: u32,
    /// Highest number called.
    pub cursor: u64,
    /// Highest number given.
    pub issued: u64,
    /// People who may be inside at once.
    pub seats: u32,
    /// People inside.
    pub inside: u64,
    /// Requests that may be unfinished at the service at once.
    pub limit: u32,
    /// Units left, if the service says.
    pub remaining: Option<u64>,
    /// Statements of its draw that this log has named.
    pub statements: u32,
}

impl Entry {
    /// The kind of this statement.
    pub const KIND: &'static str = "log";

    /// Signs it. Returns the line, and its hash, by which the next one names it.
    #[must_use]
    pub fn seal(&self, key: &SigningKey) -> (String, [u8; 32]) {
        // Numbers and strings only: this cannot fail.
        let body = serde_json::to_string(self).unwrap_or_default();
        (seal("entry", &body, key), hash(&body))
    }
}

/// The name of an entry: SHA-256 of the bytes that say it.
fn hash(body: &str) -> [u8; 32] {
    Sha256::digest(body.as_bytes()).into()
}

/// What stands before the first line.
#[must_use]
pub fn nothing() -> String {
    hex(&[0; 32])
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.arrived += more.arrived;
        self.queued += more.queued;
        self.admitted += more.admitted;
        self.done += more.done;
        self.refused += more.refused;
    }
}

impl AddAssign for Refused {
    fn add_assign(&mut self, more: Self) {
        self.abuse += more.abuse;
        self.unproven += more.unproven;
        self.unreadable += more.unreadable;
        self.wait += more.wait;
        self.closed += more.closed;
        self.busy += more.busy;
        self.failed += more.failed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arrived, queued, admitted, done, refused } = self;
        let Refused { abuse, unproven, unreadable, wait, closed, busy, failed } = refused;
        write!(f, "arrived {arrived}, queued {queued}, admitted {admitted}, done {done}; ")?;
        write!(f, "requests refused: abuse {abuse}, unproven {unproven}, unreadable {unreadable}, ")?;
        write!(f, "wait {wait}, closed {closed}, busy {busy}, failed {failed}")
    }
}

#[cfg(test)]
mod tests;
