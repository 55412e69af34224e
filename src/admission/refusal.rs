//! Refusals: we said no, with the facts. `pages` turns them into answers; nothing here knows HTTP.

use std::time::Duration;

use super::room::HoldReason;

/// Why a request does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The target can be read in more than one way, or is no legal target.
    Ambiguous(&'static str),
    /// The host is not one that the connection's certificate is for.
    Misdirected,
    /// No route matches.
    Unrouted,
    /// It shows a proof of who asks that is not good.
    NotBelieved,
    /// The user's or the network's bucket is empty.
    OverQuota {
        /// Time until a token has grown back.
        retry_after: Duration,
        /// Tokens of a full bucket.
        burst: u32,
        /// Time in which an empty bucket fills up.
        window: Duration,
    },
    /// The room is full: take a place, or keep it.
    Waiting {
        /// The line stands still, for this reason.
        held: Option<HoldReason>,
        /// The request carried something that was not sent on.
        not_sent: bool,
    },
    /// The room has not opened, and gives no places yet.
    Closed {
        /// The request carried something that was not sent on.
        not_sent: bool,
    },
    /// It might pass by the room, and as many as may do so are under way.
    BypassSpent {
        /// When to try again.
        retry_after: Duration,
    },
    /// The event is over.
    Ended,
    /// No permit within the time that the short queue allows.
    Saturated {
        /// When to try again.
        retry_after: Duration,
    },
    /// No address of the upstream takes requests.
    UpstreamDown,
    /// The body is longer than the route allows.
    BodyTooLong,
}

impl Refusal {
    /// The reason code for logs, metrics and machines.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ambiguous(_) => "bad_request",
            Self::Misdirected => "misdirected",
            Self::Unrouted => "not_found",
            Self::NotBelieved => "not_believed",
            Self::OverQuota { .. } => "over_quota",
            Self::Waiting { held: Some(_), .. } => "held",
            Self::Waiting { held: None, .. } => "waiting",
            Self::Closed { .. } => "closed",
            Self::BypassSpent { .. } => "bypass_spent",
            Self::Ended => "ended",
            Self::Saturated { .. } => "saturated",
            Self::UpstreamDown => "upstream_down",
            Self::BodyTooLong => "body_too_long",
        }
    }
}
