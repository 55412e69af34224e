//! What the holder of a ticket does with it besides joining and claiming: gives it up, asks for more time, also
//! inside.

use http::{Response, StatusCode};
use serde_json::json;

use super::answers::{json_answer, personal_json, see_other};
use super::form::Form;
use super::{NOT_DURABLE, Visit, own, told_time, told_visit};
use crate::admission;
use crate::admission::lane::place;
use crate::admission::room::{PassId, ShownPass, VisitTime};
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
        let Some(ticket) = self.who.ticket else { return self.no_ticket(form, record) };
        let name = &self.room.line.name;
        let pass = ticket.pass(&self.proxy.ring, self.proxy.clock.unix());
        // Who leaves before the draw stays in the log, which only grows: the number is called in vain.
        if ticket.number > 0 {
            self.room.line.with(|line| line.leave(ticket.number, &pass.id, self.now));
        }
        if !self.room.line.ends_kept().await {
            return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
        }
        let body = json!({ "room": name, "state": "left", "number": place(ticket.number) });
        let answer = match form {
            Some(form) => see_other(&format!("{}&left=1", place_link(name, &form.back, form.language))),
            None => json_answer(StatusCode::OK, &body),
        };
        own(record, "left", self.forget(answer))
    }

    /// The browser shows neither ticket nor pass any more.
    pub(super) fn forget(&self, mut answer: Response<Answer>) -> Response<Answer> {
        for kind in ["ticket", "pass"] {
            let cookie = cookie(kind, &self.room.line.name, "", self.asked.secure);
            set_cookie(answer.headers_mut(), &format!("{cookie}; Max-Age=0"));
        }
        answer
    }

    /// Nothing that is shown is a ticket of this room.
    pub(super) fn no_ticket(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        match form {
            Some(form) => own(record, "no_ticket", self.to_place(form)),
            None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
        }
    }

    /// The passes under which this visitor may be inside: the one that was shown, and that of the ticket.
    fn passes(&self) -> impl Iterator<Item = PassId> {
        let own = |ticket: Claims| ticket.pass(&self.proxy.ring, ticket.time).id;
        self.who.pass.map(|pass| pass.id).into_iter().chain(self.who.ticket.map(own))
    }

    /// What the room says of the visit of whoever shows a pass. A good one that it does not know of, after a
    /// restart or where nobody came back with it yet, is taken up as by a request of the service.
    fn of_visit(
        &self,
        ask: impl Fn(&mut admission::room::Room, &PassId) -> Option<VisitTime>,
    ) -> Option<VisitTime> {
        let unix = self.proxy.clock.unix();
        let shown = self.who.pass.map(|pass| ShownPass {
            id: pass.id,
            number: pass.number,
            age: unix.since(pass.time),
            finishing: false,
            older_than_we: pass.time < self.proxy.started,
        });
        let passes: Vec<PassId> = self.passes().collect();
        self.room.line.with(|line| {
            passes.iter().find_map(|pass| ask(line, pass)).or_else(|| {
                let shown = shown.as_ref()?;
                line.touch(&self.room.settings.policy, shown, self.now);
                ask(line, &shown.id)
            })
        })
    }

    /// What is left of the visit.
    pub(super) fn visit_time(&self) -> Option<VisitTime> {
        let policy = &self.room.settings.policy;
        self.of_visit(|line, pass| line.visit_time(policy, pass, self.now))
    }

    /// How long a visit may still last.
    pub(super) fn inside(&self, record: Record) -> Response<Answer> {
        let time = self.visit_time();
        let room = &self.room.line.name;
        let Some(time) = time else {
            if self.has_moved() {
                return self.moved(None, record);
            }
            return self.refusal((StatusCode::NOT_FOUND, "no_visit", "Not inside"), record);
        };
        let body = json!({ "room": room, "state": "admitted", "visit": told_visit(time) });
        own(record, "visit", json_answer(StatusCode::OK, &body))
    }

    /// A call stands for longer, or a visit lasts longer.
    pub(super) fn extend(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        if self.who.ticket.is_none() && self.who.pass.is_none() {
            return match form {
                Some(form) => own(record, "no_ticket", self.to_place(form)),
                None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
            };
        }
        let policy = &self.room.settings.policy;
        let call = self
            .who
            .ticket
            .and_then(|ticket| self.room.line.with(|line| line.extend_call(policy, ticket.number, self.now)));
        let visit = || self.of_visit(|line, pass| line.extend_visit(policy, pass, self.now));
        let room = &self.room.line.name;
        let time = match call {
            Some(time) => Some(json!({ "room": room, "state": "called", "call": told_time(time) })),
            None => {
                visit().map(|time| json!({ "room": room, "state": "admitted", "visit": told_visit(time) }))
            }
        };
        match (form, time) {
            (Some(form), _) if self.coded => self.place_of(Some(form), record),
            (Some(form), _) => own(record, "extended", self.to_place(form)),
            (None, Some(body)) => own(record, "extended", json_answer(StatusCode::OK, &body)),
            (None, None) => self.refusal(
                (StatusCode::CONFLICT, "no_call", "There is neither a call nor a visit to extend"),
                record,
            ),
        }
    }
}
