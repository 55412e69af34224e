//! One of the crowd: what it is up to, and what it was told.

use std::time::Duration;

use tornello::admission::Moment;
use tornello::admission::limiter::Dispatch;
use tornello::admission::room::PassId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// On the way in.
    Arriving,
    /// Holds a ticket and looks at the board.
    Waiting,
    /// Claimed, and waits for a seat.
    InFront,
    /// Missed the call, and waits for another.
    Late,
    /// Took a slot, and went away.
    Away,
    /// Holds a pass.
    Inside,
    /// Holds a pass and waits for an answer.
    Asking,
    /// Never comes back.
    Gone,
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) doing: Doing,
    /// 0 while there is none.
    pub(crate) number: u64,
    pub(crate) pass: PassId,
    /// Requests until the errand is done.
    pub(crate) errand: u32,
    pub(crate) dispatch: Option<Dispatch>,
    pub(crate) missed_call: bool,
    /// By the room's clock, when its slot begins and ends.
    pub(crate) slot: (Duration, Duration),
    /// The room's clock when it was seen to be called first, in this life of the gateway, and how long a
    /// call stood then.
    pub(crate) called: Duration,
    pub(crate) call: Duration,
    /// Was told that it is inside, in this life of the gateway.
    pub(crate) told_inside: bool,
    pub(crate) left: bool,
    /// The life of the gateway in which its pass was revived; 0 if it was not.
    pub(crate) revived_in: u32,
    /// Wall time at which its pass was signed.
    pub(crate) signed: Moment,
    /// The room's clock at the beginning of the session and at its last use.
    pub(crate) begun: Duration,
    pub(crate) used: Duration,
    pub(crate) cap: Duration,
}

impl Person {
    pub(crate) fn new(pass: PassId, errand: u32) -> Self {
        Self {
            doing: Doing::Arriving,
            number: 0,
            pass,
            errand,
            dispatch: None,
            missed_call: false,
            slot: (Duration::ZERO, Duration::ZERO),
            called: Duration::ZERO,
            call: Duration::ZERO,
            told_inside: false,
            left: false,
            revived_in: 0,
            signed: Moment(0),
            begun: Duration::ZERO,
            used: Duration::ZERO,
            cap: Duration::MAX,
        }
    }
}

/// The pass that a number turns into: always the same one.
pub(crate) fn pass_of(number: u64) -> PassId {
    let mut pass = *b"ticket..........";
    pass[8..].copy_from_slice(&number.to_le_bytes());
    pass
}
