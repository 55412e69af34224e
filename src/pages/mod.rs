//! Turns a refusal into bytes: waiting page, place page, notices, problem+json, rate-limit fields.
//!
//! A leaf: it knows plain facts (a number, a path, a language), never the proxy or the store. What is
//! the same for everybody is rendered once and handed out as shared bytes: waiting pages and notices at a
//! reload, rules when they are asked for first, the status once a second at most; only the place
//! page, the reference code of a notice and `Retry-After` are made at request time.
//!
//! Languages: the waiting page and the place page hold one, so that they stay small, and lead to the
//! others by links to addresses of ours; a notice, which may stand anywhere, holds all of them and links
//! to a fragment that CSS answers with `:target`. So the switch needs no JavaScript, no cookie and no
//! parameter in an address that belongs to the service. With JavaScript the waiting page fetches itself in
//! the other language and switches in place; a cookie keeps the choice.

mod calendar;
mod coding;
mod estimate;
mod kept;
mod language;
mod layout;
mod look;
mod negotiate;
mod notice;
mod overlay;
mod place;
mod prepared;
mod problem;
mod proof;
mod rate_limit;
mod reason;
mod retry_after;
mod return_path;
mod rules;
mod status;
mod text;
mod visit;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;
use http::{Response, StatusCode};

pub use calendar::CalendarFacts;
pub use coding::Coding;
pub use estimate::Estimate;
pub use language::Language;
pub use look::{Look, Theme};
pub use negotiate::{is_html_form, is_navigation, wants_html};
pub use place::{CallMinutes, Moving, PlaceFacts, PlaceState, SlotTimes, Standstill};
pub use problem::Problem;
pub use rate_limit::RateLimit;
pub use reason::Reason;
pub use retry_after::RetryAfter;
pub use return_path::{ReturnPath, place_link, query_value, queue_link};
pub use rules::RuleFacts;
pub use status::{Health, RoomStatus, StatusFacts};
pub use waiting::RoomPage;

use kept::Kept;
use layout::Layout;
use notice::Notices;
use visit::VisitScripts;
use waiting::Waiting;

/// Every page of one configuration.
#[derive(Debug)]
pub struct Pages {
    layout: Layout,
    waiting: Waiting,
    visits: VisitScripts,
    notices: Notices,
    status: Kept,
    rules: HashMap<String, Kept>,
}

impl Pages {
    /// Renders everything that is the same for everybody.
    ///
    /// # Errors
    /// A text or template that cannot be used, in words for the operator.
    pub fn build(rooms: &[RoomPage], look: &Look) -> Result<Self, String> {
        let layout = Layout::load(look)?;
        let waiting = Waiting::build(&layout, rooms)?;
        let visits = VisitScripts::build(&layout, rooms)?;
        let notices = Notices::build(&layout)?;
        let status = Kept::build()?;
        let rules = rooms.iter().map(|room| Ok((room.name.clone(), Kept::build()?)));
        let rules = rules.collect::<Result<_, String>>()?;
        let pages = Self { layout, waiting, visits, notices, status, rules };
        if look.folder.is_some() {
            proof::every_page(&pages, rooms)?;
        }
        Ok(pages)
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

    /// The same page at an address of its own, where a language can be named: [`queue_link`].
    #[must_use]
    pub fn queue(&self, room: &str, language: Language, coding: Coding) -> Option<Response<Bytes>> {
        let mut page = self.waiting.page(room, language, coding)?.clone();
        page.status = StatusCode::OK;
        Some(page.into_response(None))
    }

    /// The script by which pages of the service warn before a visit ends. `None` if no such room was built.
    #[must_use]
    pub fn visit_script(&self, room: &str) -> Option<Response<Bytes>> {
        self.visits.of(room)
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

    /// A slot, for a calendar.
    #[must_use]
    pub fn calendar(&self, facts: &CalendarFacts<'_>) -> Response<Bytes> {
        calendar::entry(&self.layout, facts)
    }

    /// Whether the service answers, and its queues move.
    ///
    /// # Errors
    /// A template that failed, in words for the log; answer [`Reason::Internal`].
    pub fn status(&self, facts: &StatusFacts<'_>) -> Result<Response<Bytes>, String> {
        Ok(status::render(&self.layout, facts)?.into_response(None))
    }

    /// The same, rendered once for a `second`.
    ///
    /// # Errors
    /// As [`Pages::status`].
    pub fn status_at<'a>(
        &self,
        second: u64,
        language: Language,
        facts: impl FnOnce() -> StatusFacts<'a>,
    ) -> Result<Response<Bytes>, String> {
        self.status.page(language, second, || status::render(&self.layout, &facts()))
    }

    /// The rules of a room in force.
    ///
    /// # Errors
    /// A template that failed, in words for the log; answer [`Reason::Internal`].
    pub fn rules(&self, facts: &RuleFacts<'_>) -> Result<Response<Bytes>, String> {
        Ok(rules::render(&self.layout, facts)?.into_response(None))
    }

    /// The same for a room of this configuration, rendered once.
    ///
    /// # Errors
    /// As [`Pages::rules`].
    pub fn rules_in_force(&self, facts: &RuleFacts<'_>) -> Result<Response<Bytes>, String> {
        match self.rules.get(facts.room) {
            Some(kept) => kept.page(facts.language, 0, || rules::render(&self.layout, facts)),
            None => self.rules(facts),
        }
    }

    /// An answer for programs (RFC 9457).
    #[must_use]
    pub fn problem(&self, problem: &Problem<'_>) -> Response<Bytes> {
        problem.response()
    }
}
