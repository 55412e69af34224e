//! What a room says of itself, and what it must be told.

use std::time::Duration;

/// Why the line stands still. Clocks stand still with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// An operator said so.
    Operator,
    /// The upstream is down or does not answer.
    Upstream,
    /// What people need on the way, a login for one, is down or does not answer.
    Dependency,
    /// State could not be made durable.
    Store,
    /// The order is not drawn yet.
    Draw,
    /// At this hour nobody is called.
    Quiet,
}

/// What a room does with those who arrive.
///
/// Before its opening a room is closed, or gives places and calls nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomState {
    /// It has not opened: nobody passes, and there are no places yet.
    Closed,
    /// It has not opened: nobody passes; people take their places.
    Prequeue,
    /// Nobody waits; people pass straight through.
    Open,
    /// People wait for seats.
    Queueing,
    /// Nobody is called.
    Held(HoldReason),
    /// It is over: nobody passes, and there are no places any more.
    Ended,
}

/// A claim was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Inside. Repeating the claim says the same.
    Admitted,
    /// Called, but no seat is free yet; so many stand before.
    FrontRow {
        /// Numbers in the front row that go first.
        ahead: u64,
    },
    /// Not called yet; so many numbers are called before.
    Waiting {
        /// Uncalled numbers that go first.
        ahead: u64,
    },
    /// Its call was missed. It is called again, in the late lane, where so many came back before.
    Late {
        /// Lower numbers that came back and wait to be called again.
        ahead: u64,
    },
    /// Nothing is left of what people wait for. The number stays good in case something comes back.
    SoldOut,
    /// The session that this number gave is over.
    Done,
}

/// What one look at the room says, for the board and for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoomFacts {
    /// See [`RoomState`].
    pub state: RoomState,
    /// Epoch of the numbering.
    pub epoch: u32,
    /// Highest number called.
    pub cursor: u64,
    /// Highest number given.
    pub issued: u64,
    /// Numbers that the line passes, a second; 0 while that is not known.
    pub rate: f64,
    /// How uncertain a wait at that pace is; see [`Forecast::spread`](super::super::forecast::Forecast).
    pub spread: Option<f64>,
    /// Part of those called that come.
    pub show_rate: f64,
    /// Passes in use.
    pub active: usize,
    /// Claims without a seat yet.
    pub front_row: usize,
    /// Calls not claimed and not expired.
    pub outstanding: u64,
    /// Missed calls that will be called again.
    pub late: u64,
    /// Seats.
    pub seats: u32,
    /// Requests in flight per active pass.
    pub kappa: f64,
    /// Units left, if the upstream said.
    pub remaining: Option<u64>,
}

/// What the room must know of its upstream at a step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// The upstream's limit.
    pub limit: u32,
    /// Requests unfinished there.
    pub in_flight: u32,
    /// Requests of people inside that wait for a permit.
    pub waiting: u32,
    /// Longest that one of them waits.
    pub wait_max: Duration,
    /// Passes of all rooms before this upstream, whose requests these are; at least this room's own.
    pub inside: usize,
    /// Why nobody may be called, if so.
    pub hold: Option<HoldReason>,
}
