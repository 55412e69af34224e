//! The decisions: who may go on, who waits, and where.
//!
//! Pure. No clock, lock, async, HTTP, TOML or metric: `now`, the policy and random bytes are
//! arguments, so that every rule here can be tested by property and by seeded simulation without
//! sleeping. Nothing here imports anything else of ours; a test checks it.
//!
//! The checks stand in this order because each is dearer than the one before and protects the next:
//! a bucket keeps floods out of the line, the line keeps the crowd off the limit, the limit keeps
//! the upstream alive.

pub mod calls;
pub mod chance;
pub mod draw;
pub mod dues;
pub mod extensions;
pub mod forecast;
pub mod front_row;
pub mod handoff;
pub mod knee;
pub mod lane;
pub mod late;
pub mod law;
pub mod limiter;
pub mod moment;
pub mod moves;
pub mod number_set;
pub mod numbers;
pub mod opening;
pub mod orphans;
pub mod pace;
pub mod passes;
pub mod people;
pub mod policy;
pub mod poll;
pub mod queue;
pub mod ranked_set;
pub mod refusal;
pub mod reminders;
pub mod room;
pub mod seats;
pub mod shows;
pub mod slots;
pub mod tempo;
pub mod ticket;
pub mod token_bucket;
pub mod turns;

pub use moment::{Moment, UnixTime};
pub use refusal::Refusal;

/// Who asks, as a keyed hash: never an identity in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(pub u64);

/// A person, as a keyed hash of what proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonKey(pub [u8; 16]);

impl PersonKey {
    /// The person's bucket.
    #[must_use]
    pub fn user(&self) -> UserKey {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        UserKey(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// Where a request comes from, as a keyed hash of its address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrefixKey(pub u64);

/// How much a request matters when not all can be served. Lower goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// P0: finish what was begun (payment, commit, callback).
    Finish,
    /// P1: holds a pass.
    Admitted,
    /// P2: entry and browsing.
    #[default]
    Entry,
    /// P3: bots and prefetch.
    Bulk,
}

impl Class {
    /// From the one that goes first to the one that goes last.
    pub const ALL: [Self; 4] = [Self::Finish, Self::Admitted, Self::Entry, Self::Bulk];

    /// The class's name in metrics and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Finish => "p0",
            Self::Admitted => "p1",
            Self::Entry => "p2",
            Self::Bulk => "p3",
        }
    }
}

/// How a permit ended, as the limiter must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream answered; its time to first byte is a sample.
    Served,
    /// Says nothing about the upstream (the client left while sending, we failed, a tunnel).
    Ignored,
    /// The upstream failed or was too slow: overload, or worse.
    Dropped,
}
