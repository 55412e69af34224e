//! Refusals in gRPC's own words: a call always ends in HTTP 200 and says in `grpc-status` how.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::Answer;
use crate::pages::Reason;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The status code of gRPC for a reason, by which its libraries decide whether to try again.
fn status(reason: Reason) -> u16 {
    match reason {
        Reason::OverQuota | Reason::BypassSpent | Reason::TooLarge => 8, // RESOURCE_EXHAUSTED
        Reason::NotBelieved => 16,                                       // UNAUTHENTICATED
        Reason::BadRequest | Reason::BadGateway => 13,                   // INTERNAL
        Reason::NotFound | Reason::MethodNotAllowed => 12,               // UNIMPLEMENTED
        Reason::GatewayTimeout => 4,                                     // DEADLINE_EXCEEDED
        Reason::Ended | Reason::NoTicket | Reason::NotCalled => 9,       // FAILED_PRECONDITION
        Reason::Waiting
        | Reason::Held
        | Reason::Saturated
        | Reason::UpstreamDown
        | Reason::NotSent
        | Reason::Closed
        | Reason::Misdirected
        | Reason::Internal => 14, // UNAVAILABLE
    }
}

/// A call that ends before it began: head and trailers in one.
#[must_use]
pub fn refusal(reason: Reason) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(None));
    *answer.status_mut() = StatusCode::OK;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(STATUS, status(reason).into());
    headers.insert(MESSAGE, HeaderValue::from_static(reason.code()));
    answer
}
