//! Why somebody did not get what they asked for: the one word that log, metric, JSON and page share.

use http::StatusCode;

/// The reason of a refusal or fault, as the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The room makes people wait.
    Waiting,
    /// The room stands still.
    Held,
    /// As many pass by the room as may.
    BypassSpent,
    /// The upstream holds as many requests as it can.
    Saturated,
    /// The upstream cannot be reached.
    UpstreamDown,
    /// The user, or the user's network, asked for more than its quota.
    OverQuota,
    /// The proof of who asks is not good: forged, for another service, or out of date.
    NotBelieved,
    /// A request that changes something came without a valid pass and was not forwarded.
    NotSent,
    /// The room is over.
    Ended,
    /// The room is not open yet.
    Closed,
    /// A claim before the call.
    NotCalled,
    /// No valid ticket where one is needed.
    NoTicket,
    /// The request cannot be judged safely.
    BadRequest,
    /// The host is not one that this connection's certificate is for.
    Misdirected,
    /// No route, or no such endpoint.
    NotFound,
    /// Our endpoint exists, the method does not.
    MethodNotAllowed,
    /// The body is longer than the route allows.
    TooLarge,
    /// The upstream's answer was broken.
    BadGateway,
    /// The upstream did not answer in time.
    GatewayTimeout,
    /// The fault is ours.
    Internal,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 20] = [
        Self::Waiting,
        Self::Held,
        Self::BypassSpent,
        Self::Saturated,
        Self::UpstreamDown,
        Self::OverQuota,
        Self::NotBelieved,
        Self::NotSent,
        Self::Ended,
        Self::Closed,
        Self::NotCalled,
        Self::NoTicket,
        Self::BadRequest,
        Self::Misdirected,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::BadGateway,
        Self::GatewayTimeout,
        Self::Internal,
    ];

    /// The word in JSON, logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::BypassSpent => "bypass_spent",
            Self::Saturated => "saturated",
            Self::UpstreamDown => "upstream_down",
            Self::OverQuota => "over_quota",
            Self::NotBelieved => "not_believed",
            Self::NotSent => "not_sent",
            Self::Ended => "ended",
            Self::Closed => "closed",
            Self::NotCalled => "not_called",
            Self::NoTicket => "no_ticket",
            Self::BadRequest => "bad_request",
            Self::Misdirected => "misdirected",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::BadGateway => "bad_gateway",
            Self::GatewayTimeout => "gateway_timeout",
            Self::Internal => "internal",
        }
    }

    /// The status. An ended room is 403 and not 410: crawlers forget what is gone, and the service
    /// may open again tomorrow.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Waiting
            | Self::Held
            | Self::BypassSpent
            | Self::Saturated
            | Self::UpstreamDown
            | Self::NotSent
            | Self::Closed => StatusCode::SERVICE_UNAVAILABLE,
            Self::OverQuota => StatusCode::TOO_MANY_REQUESTS,
            Self::NotBelieved => StatusCode::UNAUTHORIZED,
            Self::Ended => StatusCode::FORBIDDEN,
            Self::NotCalled => StatusCode::CONFLICT,
            Self::NoTicket | Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the remedy is to join the room.
    pub(super) fn joins(self) -> bool {
        matches!(self, Self::Waiting | Self::Held | Self::NotSent | Self::NoTicket)
    }

    /// Which notice tells it to people, as a key of the texts. Those who wait normally see the
    /// waiting page instead; this is what remains when a request cannot show it.
    pub(super) fn notice(self) -> &'static str {
        match self {
            Self::Waiting | Self::Held | Self::BypassSpent => "saturated",
            Self::NotCalled | Self::NoTicket | Self::MethodNotAllowed => "not_found",
            Self::Misdirected => "bad_request",
            other => other.code(),
        }
    }

    /// Whether opening the same address again makes sense.
    pub(super) fn again(self) -> bool {
        matches!(
            self,
            Self::Waiting
                | Self::Held
                | Self::BypassSpent
                | Self::Saturated
                | Self::UpstreamDown
                | Self::OverQuota
                | Self::Closed
                | Self::Internal
        )
    }
}
