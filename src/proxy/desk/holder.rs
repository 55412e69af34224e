//! What the holder of a ticket does with it besides joining and claiming: gives it up, asks for more time.

use http::{Response, StatusCode};
use serde_json::json;

use super::answers::{json_answer, personal_json, problem_answer, see_other};
use super::form::Form;
use super::{NOT_DURABLE, Visit, own, told_time};
use crate::admission::ticket::Claims;
use crate::pages::{Reason, place_link};
use crate::proxy::body::Answer;
use crate::proxy::headers::{cookie, set_cookie};
use crate::proxy::record::Record;
use crate::proxy::refuse;

impl Visit<'_> {
    /// A signed receipt of the place.
    pub(super) fn receipt(&self, ticket: &Claims) -> Response<Answer> {
        let room = self.room;
        personal_json(self.proxy.board_key.receipt(&room.line.name, &room.rules_hash, ticket))
    }

    /// The place is given up, and the browser forgets it.
    pub(super) async fn leave(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        let Some(ticket) = self.who.ticket else {
            return match form {
                Some(form) => own(record, "no_ticket", self.to_place(form)),
                None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
            };
        };
        let (name, secure) = (&self.room.line.name, self.asked.secure);
        let pass = ticket.pass(&self.proxy.ring, self.proxy.clock.unix());
        self.room.line.with(|line| line.leave(ticket.number, &pass.id, self.now));
        if !self.room.line.ends_kept().await {
            return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
        }
        let body = json!({ "room": name, "state": "left", "number": ticket.number });
        let mut answer = match form {
            Some(form) => see_other(&format!("{}&left=1", place_link(name, &form.back, form.language))),
            None => json_answer(StatusCode::OK, &body),
        };
        for kind in ["ticket", "pass"] {
            let forgotten = format!("{}; Max-Age=0", cookie(kind, name, "", secure));
            set_cookie(answer.headers_mut(), &forgotten);
        }
        own(record, "left", answer)
    }

    /// A call stands for longer.
    pub(super) fn extend(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        let Some(ticket) = self.who.ticket else {
            return match form {
                Some(form) => own(record, "no_ticket", self.to_place(form)),
                None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
            };
        };
        let policy = &self.room.settings.policy;
        let time = self.room.line.with(|line| line.extend_call(policy, ticket.number, self.now));
        let room = &self.room.line.name;
        match (form, time) {
            (Some(form), _) => own(record, "extended", self.to_place(form)),
            (None, Some(time)) => {
                let body = json!({ "room": room, "state": "called", "call": told_time(time) });
                own(record, "extended", json_answer(StatusCode::OK, &body))
            }
            (None, None) => {
                let body = json!({
                    "type": "about:blank", "title": "There is no call to extend", "status": 409,
                    "reason": "no_call", "room": room,
                });
                own(record, "no_call", problem_answer(StatusCode::CONFLICT, &body))
            }
        }
    }
}
