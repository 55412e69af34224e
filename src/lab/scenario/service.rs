//! What stands behind: endpoints, the pools that do their work, what is sold, and what breaks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::law::Span;

/// The method of an endpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Changes something.
    Post,
}

/// Something that can be asked of the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name.
    pub id: String,
    /// Its exact path.
    pub path: String,
    /// Its method.
    pub method: Method,
    /// The pool that does the work; without one the answer just takes its time.
    pub pool: Option<usize>,
    /// How long the work takes.
    pub service: Span,
    /// The answer belongs to the one who asked, and says whose it is.
    pub personal: bool,
    /// The answer ends the session.
    pub ends_session: bool,
    /// The client sends an `Idempotency-Key`, the same for every attempt at a step.
    pub idempotency_key: bool,
    /// The stock of which each answer hands out one unit.
    pub sells: Option<usize>,
    /// What the answer says about being stored, however wrong.
    pub cache_control: String,
    /// Size of the answer's body.
    pub bytes: usize,
}

/// Workers behind one queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub id: String,
    /// Workers.
    pub slots: usize,
    /// Most requests that wait for a worker; one more is answered 429. `None` is a queue without end.
    pub bounded: Option<usize>,
    /// Works also for those who have left. Otherwise what is still queued for them is dropped.
    pub zombies: bool,
    /// By which share work takes longer for each request that waits, over the number of workers:
    /// service · (1 + thrash · waiting / slots). 0 is never.
    pub thrash: f64,
}

/// Something of which there is only so much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Its name.
    pub id: String,
    /// How many units there are.
    pub units: u64,
}

/// Something that breaks, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// From the leg's start.
    pub at: Duration,
    /// From the leg's start; then all is as before. `None` only for a kill, after which the process is started
    /// again at once; that it stays away until then can be rehearsed, and not be written in a file.
    pub until: Option<Duration>,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens in a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// A pool has fewer (or more) workers. Played by the origin.
    Slots {
        /// Which pool.
        pool: usize,
        /// Workers meanwhile.
        slots: usize,
    },
    /// A pool begins nothing and answers nothing. Played by the origin.
    Stall {
        /// Which pool.
        pool: usize,
    },
    /// A share of a pool's answers are errors. Played by the origin.
    Errors {
        /// Which pool.
        pool: usize,
        /// Which share, and how.
        errors: Errors,
    },
    /// A pool's work takes so many times as long; what was begun before is not touched. Played by the
    /// origin.
    Slowness {
        /// Which pool.
        pool: usize,
        /// How many times.
        times: f64,
    },
    /// The origin is gone: connections are refused, open ones are reset. Played by the origin.
    OriginDead,
    /// A process is killed (SIGKILL) and started again. Played by whoever runs the leg, not by the
    /// origin.
    Kill(Victim),
}

/// Answers that are errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// Which share.
    pub share: f64,
    /// With which status.
    pub status: u16,
    /// On arrival, without a worker: so quick that it looks like health. Otherwise after the whole work.
    pub at_once: bool,
}

impl Errors {
    /// This share fails after the whole work, with 500; 0 is none.
    #[must_use]
    pub const fn of(share: f64) -> Self {
        Self { share, status: 500, at_once: false }
    }
}

/// Who can be killed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Victim {
    /// What stands between crowd and origin.
    Gateway,
}
