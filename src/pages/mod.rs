//! Turns a refusal into bytes: waiting page, place page, notices, problem+json, rate-limit fields.
//!
//! A leaf: it knows plain facts (a number, a path, a language), never the proxy or the store. What is
//! the same for everybody is rendered once at a reload and handed out as shared bytes; only the place
//! page, the reference code of a notice and `Retry-After` are made at request time.
//!
//! Languages: all are in every page, the negotiated one shown first. The others are reached by links
//! to a fragment that CSS answers with `:target`, so the switch needs no JavaScript, no cookie and no
//! parameter in an address that belongs to the service. With JavaScript the same links switch in
//! place and leave the service's own fragment alone.

mod coding;
mod estimate;
mod language;
mod layout;
mod negotiate;
mod notice;
mod place;
mod prepared;
mod problem;
mod rate_limit;
mod reason;
mod retry_after;
mod return_path;
mod text;
mod waiting;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::Response;

pub use coding::Coding;
pub use estimate::Estimate;
pub use language::Language;
pub use negotiate::{is_html_form, is_navigation, wants_html};
pub use place::{CallMinutes, PlaceFacts, PlaceState, Standstill};
pub use problem::Problem;
pub use rate_limit::RateLimit;
pub use reason::Reason;
pub use retry_after::RetryAfter;
pub use return_path::{ReturnPath, place_link};
pub use waiting::RoomPage;

use layout::Layout;
use notice::Notices;
use waiting::Waiting;

/// Every page of one configuration.
#[derive(Debug)]
pub struct Pages {
    layout: Layout,
    waiting: Waiting,
    notices: Notices,
}

impl Pages {
    /// Renders everything that is the same for everybody.
    ///
    /// # Errors
    /// A text or template that cannot be used, in words for the operator.
    pub fn build(rooms: &[RoomPage]) -> Result<Self, String> {
        let layout = Layout::load()?;
        let waiting = Waiting::build(&layout, rooms)?;
        let notices = Notices::build(&layout)?;
        Ok(Self { layout, waiting, notices })
    }

    /// The waiting page of `room`: shared bytes. `None` if no such room was built.
    #[must_use]
    pub fn waiting(
        &self,
        room: &str,
        language: Language,
        coding: Coding,
        retry: RetryAfter,
    ) -> Option<Response<Bytes>> {
        Some(self.waiting.page(room, language, coding)?.response(Some(retry)))
    }

    /// A page that says what happened and what to do, with a reference code for the help desk.
    #[must_use]
    pub fn notice(
        &self,
        reason: Reason,
        language: Language,
        reference: &str,
        retry: Option<RetryAfter>,
    ) -> Response<Bytes> {
        self.notices.page(reason, language, reference, retry)
    }

    /// The personal page of one place, for browsers without JavaScript.
    ///
    /// # Errors
    /// A template that failed, in words for the log; answer [`Reason::Internal`].
    pub fn place(&self, facts: &PlaceFacts<'_>) -> Result<Response<Bytes>, String> {
        place::render(&self.layout, self.waiting.room(facts.room), facts)
    }

    /// An answer for programs (RFC 9457).
    #[must_use]
    pub fn problem(&self, problem: &Problem<'_>) -> Response<Bytes> {
        problem.response()
    }
}
