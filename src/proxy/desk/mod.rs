//! Our own endpoints under `/.tornello/`: the waiting protocol.
//!
//! GET, HEAD and OPTIONS change nothing, except that a pass whose visit is asked for is known from then
//! on. What changes state pays at the door: identity and network.
//! Joining and claiming are idempotent: asked twice, they answer the same.

mod answers;
mod booking;
mod cors;
mod draw;
mod form;
mod handoff;
mod holder;
mod invited;
mod log;
mod open;
mod remind;
mod slot;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, COOKIE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Body;
use serde_json::json;

use super::Proxy;
use super::asked::Asked;
use super::body::Answer;
use super::handle::{sources, spend};
use super::headers::{cookie, set_cookie};
use super::identify::{Identity, PASS_HEADER, TICKET_HEADER, identify};
use super::lane;
use super::live::{Live, Room};
use super::person::{self, NoNumber};
use super::record::{Decision, Label, Record};
use super::refuse;
use crate::admission::lane::{LaneFacts, LaneId, place};
use crate::admission::late::SHARE;
use crate::admission::room::{CallTime, Claim, HoldReason, RoomFacts, RoomState, VisitTime};
use crate::admission::ticket::{Claims, Kind};
use crate::admission::{Moment, Refusal};
use crate::config::quiet;
use crate::pages::{
    CallMinutes, Estimate, Language, Moving, PlaceFacts, PlaceState, Reason, RetryAfter, ReturnPath,
    Standstill, is_html_form, place_link, query_value, queue_link,
};
use crate::proof::hex;
use crate::store::line::Entered;
use answers::{json_answer, problem_answer, see_other, shared_json};
use form::{Form, Sent, is_cross_site, read_form};
use invited::Outside;
use slot::PlaceSlot;

const ROOT: &str = "/.tornello/";
/// The protocol, for programs that write programs.
const OPENAPI: &str = include_str!("openapi.json");
const NOT_DURABLE: &str = "Nothing can be written down at the moment; nothing is lost, ask again.";
/// How soon whoever asks before there are places asks again.
const CLOSED_WAIT_MIN: Duration = Duration::from_secs(1);
const CLOSED_WAIT_MAX: Duration = Duration::from_secs(60);
const CROSS_SITE: &str = "A page of another site must not take or use up a place.";
/// Whether a path is one of ours.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    path.starts_with(ROOT) || path == "/.tornello"
}

/// One visit to the desk.
struct Visit<'a> {
    proxy: &'a Proxy,
    live: &'a Live,
    asked: &'a Asked,
    room: &'a Room,
    who: Identity,
    /// Where it takes a place, if it takes one.
    lane: LaneId,
    now: Moment,
    /// Its browser may keep no cookies, and has shown a code or wants one.
    coded: bool,
    /// Shows what it has in fields of its own: its cookies may be another page's.
    by_field: bool,
    /// What the page says of moving the place to another device.
    moving: Option<Moving>,
}

/// Where a number stands, with what its holder should do next.
struct Standing {
    ticket: Claims,
    claim: Claim,
    called: bool,
    /// What is left of its call.
    time: Option<CallTime>,
    /// What is left of its visit.
    visit: Option<VisitTime>,
    slot: Option<PlaceSlot>,
    facts: RoomFacts,
    /// Of its lane.
    line: LaneFacts,
    /// What that is called, where there are several.
    lane: Option<String>,
}

impl Standing {
    /// It came before the opening and has no number yet.
    fn is_undrawn(&self) -> bool {
        self.ticket.number == 0
    }
}

/// Answers a request to one of our own endpoints.
pub async fn answer<B>(
    proxy: &Arc<Proxy>,
    live: &Arc<Live>,
    asked: &Asked,
    mut request: Request<B>,
    record: Record,
) -> Response<Answer>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(origin) = cors::allowed(live, asked, request.headers()) else {
        return served(proxy, live, asked, request, record).await;
    };
    if is_cross_site(request.headers(), asked) {
        // A page of another origin acts for the ticket that it shows, never by the cookies of a visitor.
        request.headers_mut().remove(COOKIE);
    }
    let answer = match cors::preflight(asked, request.headers()) {
        Some(answer) => own(record, "preflight", answer),
        None => served(proxy, live, asked, request, record).await,
    };
    cors::open_to(origin, answer)
}

async fn served<B>(
    proxy: &Arc<Proxy>,
    live: &Arc<Live>,
    asked: &Asked,
    request: Request<B>,
    mut record: Record,
) -> Response<Answer>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    record.route = Label::Ours("tornello");
    let path = asked.path.strip_prefix(ROOT).unwrap_or_default();
    let mut parts = path.splitn(4, '/');
    let (first, second, third, fourth) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (name, endpoint) = match (first, second, third, fourth) {
        (Some("v1"), Some("rooms"), Some(name), Some(endpoint)) => (name, endpoint),
        (Some("rooms"), Some(name), Some("place"), None) => (name, "place"),
        (Some("rooms"), Some(name), Some("queue"), None) => (name, "queue"),
        (Some("rooms"), Some(name), Some("rules"), None) => (name, "rules-page"),
        (Some("status"), None, None, None) | (Some("v1"), Some("status"), None, None) => {
            return open::status(proxy, live, asked, record);
        }
        (Some("v1"), Some("keys" | "openapi.json"), None, None)
            if !matches!(asked.method, Method::GET | Method::HEAD) =>
        {
            return not_allowed(live, asked, record, "GET, HEAD");
        }
        (Some("v1"), Some("openapi.json"), None, None) => {
            return own(record, "openapi", shared_json(Bytes::from_static(OPENAPI.as_bytes())));
        }
        (Some("v1"), Some("keys"), None, None) => {
            let keys = json!({ "keys": [{ "id": "b1", "alg": "Ed25519", "key": proxy.board_key.public() }] });
            return own(record, "keys", json_answer(StatusCode::OK, &keys));
        }
        _ => return refuse::problem(live, asked, record, Reason::NotFound, None),
    };
    let Some(room) = live.rooms.get(name) else {
        return refuse::problem(live, asked, record, Reason::NotFound, None);
    };
    record.room = Some(Arc::clone(room));
    let named = Some((room.line.name.as_str(), room.line.id));
    let look = matches!(asked.method, Method::GET | Method::HEAD);
    let mut sources = sources(proxy, live, asked);
    let word = endpoint.split('/').next().unwrap_or_default();
    if look && matches!(word, "board" | "log" | "messages" | "rules" | "rules-page" | "visit.js" | "queue") {
        // The same for everybody: nobody's signature is verified for it.
        sources.jwt = None;
    }
    let mut who = identify(request.headers(), asked.peer, asked.client, named, &sources);
    room.recognise(&mut who, &proxy.event);
    record.user = who.user;
    // What is the same for everybody is nobody's.
    if look && matches!(endpoint, "ticket" | "receipt" | "visit" | "place" | "slot.ics" | "draw/proof") {
        person::look(room, &mut who, &proxy.event);
    }
    let lane = if look { LaneId::FIRST } else { lane::lane(live, room, &who, asked, request.headers()) };
    let by_field = [TICKET_HEADER, PASS_HEADER].iter().any(|field| request.headers().contains_key(*field));
    let now = proxy.clock.now();
    let visit = Visit { proxy, live, asked, room, who, lane, now, coded: false, by_field, moving: None };
    match (endpoint, look) {
        ("board", true) => own(record, "board", shared_json(room.line.board())),
        ("messages", true) => own(record, "messages", shared_json(Bytes::clone(&room.messages))),
        ("rules", true) => own(record, "rules", shared_json(Bytes::clone(&room.rules))),
        ("receipt", true) => match &visit.who.ticket {
            Some(ticket) => own(record, "receipt", visit.receipt(ticket)),
            None if visit.has_moved() => visit.moved(None, record),
            None => refuse::problem(live, asked, record, Reason::NoTicket, None),
        },
        ("ticket", true) => match visit.standing() {
            Some(standing) => own(record, "ticket", visit.told(StatusCode::OK, &standing)),
            None if visit.has_moved() => visit.moved(None, record),
            None => refuse::problem(live, asked, record, Reason::NoTicket, None),
        },
        ("draw", true) => visit.draw("", record),
        ("log", true) => visit.log(record),
        (of, true) if of.starts_with("log/") => visit.log_part(of.trim_start_matches("log/"), record).await,
        (of, true) if of.starts_with("draw/") => visit.draw(of.trim_start_matches("draw/"), record),
        ("visit", true) => visit.inside(record),
        ("visit.js", true) => match live.pages.visit_script(name) {
            Some(script) => own(record, "visit_script", script.map(|body| Answer::Own(Some(body)))),
            None => refuse::problem(live, asked, record, Reason::NotFound, None),
        },
        ("place", true) => visit.place(record),
        ("slot.ics", true) => visit.calendar(ReturnPath::of_page(request.headers()), None, record),
        ("rules-page", true) => {
            let Visit { room, .. } = visit;
            open::rules(live, asked, room, record)
        }
        ("queue", true) => visit.queue(request.headers(), record),
        ("tickets" | "claims" | "extension" | "leave" | "slot" | "handoff" | "arrival", false)
            if asked.method == Method::POST =>
        {
            visit.change(endpoint, request, record).await
        }
        // A form of ours carries the code of whoever keeps no cookies; to programs it is a file.
        ("slot.ics", false) if asked.method == Method::POST && is_html_form(request.headers()) => {
            visit.change(endpoint, request, record).await
        }
        ("reminder", false) if matches!(asked.method, Method::POST | Method::DELETE) => {
            visit.change(endpoint, request, record).await
        }
        ("reminder", _) => not_allowed(live, asked, record, "POST, DELETE"),
        ("ticket", false) if asked.method == Method::DELETE => visit.change("leave", request, record).await,
        ("tickets" | "claims" | "extension" | "leave" | "slot" | "handoff" | "arrival", _) => {
            not_allowed(live, asked, record, "POST")
        }
        ("ticket", _) => not_allowed(live, asked, record, "GET, HEAD, DELETE"),
        (
            "board" | "draw" | "log" | "messages" | "visit" | "visit.js" | "place" | "queue" | "rules"
            | "rules-page" | "receipt" | "slot.ics",
            _,
        ) => not_allowed(live, asked, record, "GET, HEAD"),
        (of, _) if of.starts_with("log/") || of.starts_with("draw/") => {
            not_allowed(live, asked, record, "GET, HEAD")
        }
        _ => refuse::problem(live, asked, record, Reason::NotFound, None),
    }
}

fn not_allowed(live: &Live, asked: &Asked, record: Record, methods: &'static str) -> Response<Answer> {
    let mut refused = refuse::problem(live, asked, record, Reason::MethodNotAllowed, None);
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    refused
}

impl Visit<'_> {
    /// The steps that change something, behind the door.
    async fn change<B>(mut self, step: &str, request: Request<B>, record: Record) -> Response<Answer>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if self.who.not_believed {
            return refuse::refuse(self.live, &Refusal::NotBelieved, self.asked, record);
        }
        if let Err(refusal) = spend(self.proxy, self.live, &self.live.door, &self.who, self.now) {
            return refuse::refuse(self.live, &refusal, self.asked, record);
        }
        let trusted = cors::allowed(self.live, self.asked, request.headers()).is_some();
        if !trusted && is_cross_site(request.headers(), self.asked) {
            return refuse::problem(self.live, self.asked, record, Reason::BadRequest, Some(CROSS_SITE));
        }
        if self.room_state() == RoomState::Ended {
            return refuse::problem(self.live, self.asked, record, Reason::Ended, None);
        }
        if step == "reminder" {
            person::look(self.room, &mut self.who, &self.proxy.event);
            return self.remind(request, record).await;
        }
        let said = |name| request.headers().get(name).and_then(|code| code.to_str().ok()).map(str::to_owned);
        let [invitation, typed, word] = [invited::HEADER, handoff::HEADER, handoff::TRY_HEADER].map(said);
        let form = is_html_form(request.headers());
        let Sent { form, from_ms } = match read_form(request, form).await {
            Ok(sent) => sent,
            Err(reason) => return refuse::problem(self.live, self.asked, record, reason, None),
        };
        self.look_again();
        let shown = form.as_ref().and_then(|form| form.code.clone()).filter(|code| handoff::is_short(code));
        if step == "arrival" || shown.is_some() {
            let typed = shown.or(typed).unwrap_or_default();
            let word = form.as_ref().and_then(|form| form.word.clone()).or(word);
            return self.arrive(&typed, word.as_deref(), form.as_ref(), record).await;
        }
        // A code counts where the browser shows no ticket of its own.
        if let Some(code) =
            form.as_ref().and_then(|form| form.code.as_deref()).filter(|_| self.who.ticket.is_none())
        {
            let ticket = self.proxy.ring.verify(Kind::Ticket, code.as_bytes()).ok();
            let ticket = ticket.filter(|ticket| ticket.room == self.room.line.id);
            self.who.ticket = ticket.map(|ticket| self.room.line.resolve(ticket));
            // What counts is the code, whatever became of what the browser had before.
            self.who.moved &= code.is_empty();
            self.room.dismiss(&mut self.who, &self.proxy.event);
            self.coded = true;
            if self.who.moved {
                return self.moved(form.as_ref(), record);
            }
            if self.who.ticket.is_none() && !code.is_empty() {
                return self.place_of(form.as_ref(), record);
            }
        }
        let invitation = form.as_ref().and_then(|form| form.invitation.clone()).or(invitation);
        if let Some(code) = invitation.filter(|_| step == "tickets" && self.asks_for_code())
            && let Err(outside) = self.let_in_by_code(&code)
        {
            return self.outside(&outside, form.as_ref(), record);
        }
        // What is given up is the person's place, whatever is shown.
        let leaves = step == "leave";
        if leaves {
            person::look(self.room, &mut self.who, &self.proxy.event);
        }
        let merged = !leaves && person::settle(self.proxy, self.room, &mut self.who, None, self.now);
        if merged && !(self.place_kept().await && self.room.line.ends_kept().await) {
            return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
        }
        if self.has_moved() {
            let told = self.moved(form.as_ref(), record);
            return if step == "leave" && form.is_none() { self.forget(told) } else { told };
        }
        match step {
            "handoff" => self.hand_off(form.as_ref(), record),
            "tickets" => self.join(form.as_ref(), record).await,
            "claims" => self.claim(form.as_ref(), record),
            "extension" => self.extend(form.as_ref(), record),
            "slot" => self.take_slot(form.as_ref(), from_ms, record).await,
            "slot.ics" => self.calendar(None, form.as_ref(), record),
            _ => self.leave(form.as_ref(), record).await,
        }
    }

    /// Waits until the person's place is durable. Meanwhile another device of the same person may have come with
    /// one that was taken before, and this one was given up for it: then that one is waited for, and counts. False
    /// if the disk did not take it in time.
    async fn place_kept(&mut self) -> bool {
        loop {
            let ticket = self.who.ticket;
            if !self.room.line.people_kept().await {
                return false;
            }
            person::look(self.room, &mut self.who, &self.proxy.event);
            if self.who.ticket == ticket {
                return true;
            }
        }
    }

    /// While a body came in slowly, the place may have moved to another device.
    fn look_again(&mut self) {
        self.room.recognise(&mut self.who, &self.proxy.event);
    }

    async fn join(&mut self, form: Option<&Form>, record: Record) -> Response<Answer> {
        // Who came in without a ticket needs none.
        if self.who.person.is_some() && self.who.ticket.is_none() && self.visit_time().is_some() {
            return self.came_in(form, record);
        }
        let standing = self.standing();
        if self.coded && standing.as_ref().is_some_and(|standing| standing.claim == Claim::Done) {
            // Whoever shows a code wants that place: another one is given only when it is asked for.
            return self.place_in((PlaceState::UsedCode, 0), form, standing.as_ref(), record);
        }
        let standing = standing.filter(|standing| standing.claim != Claim::Done);
        let (status, standing) = match standing {
            Some(standing) => (StatusCode::OK, standing),
            None if !person::may_begin(self.room, &self.who) && self.room.settings.invites => {
                return self.outside(&Outside::Asked, form, record);
            }
            None if !person::may_begin(self.room, &self.who) => {
                return refuse::refuse(self.live, &Refusal::NotBelieved, self.asked, record);
            }
            None if self.room_state() == RoomState::Closed => return self.closed(record),
            None => {
                let Ok(given) = self.take_place().await else {
                    return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
                };
                person::look(self.room, &mut self.who, &self.proxy.event);
                // A lot is on the disk by now, and whose it is with it.
                let is_number = given.as_ref().is_none_or(|given| given.ticket.index.is_none());
                if person::counts(self.room, &self.who) && is_number && !self.place_kept().await {
                    return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
                }
                // What the person holds counts: another device may have been quicker.
                let place = if self.who.person.is_some() { self.standing() } else { None };
                let place = place.filter(|place| place.claim != Claim::Done).or(given);
                let Some(place) = place else { return self.came_in(form, record) };
                (StatusCode::CREATED, place)
            }
        };
        let token = self.proxy.ring.sign(&standing.ticket);
        let reason = if status == StatusCode::CREATED { "joined" } else { "kept" };
        let mut answer = if self.coded {
            self.place_with(form, Some(&standing), record)
        } else {
            let answer = form.map_or_else(|| self.told(status, &standing), |form| self.to_place(form));
            own(record, reason, answer)
        };
        let cookie = cookie("ticket", &self.room.line.name, &token, self.asked.secure);
        set_cookie(answer.headers_mut(), &cookie);
        answer
    }

    /// Who is inside without a ticket.
    fn came_in(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        match form {
            Some(form) => own(record, "kept", self.to_place(form)),
            None => self.inside(record),
        }
    }

    fn room_state(&self) -> RoomState {
        self.room.line.facts(&self.room.settings.policy).state
    }

    /// There are no places yet. Those who ask come back soon after there are.
    fn closed(&self, record: Record) -> Response<Answer> {
        let first = self.room.settings.opening.map_or_else(Default::default, |opening| opening.first_place());
        let wait = first.since(self.proxy.clock.unix()).clamp(CLOSED_WAIT_MIN, CLOSED_WAIT_MAX);
        let (live, asked) = (self.live, self.asked);
        refuse::problem_until(live, asked, record, Reason::Closed, None, Some(RetryAfter::after(wait)))
    }

    /// A place among those who will be drawn, else the next number; none for a person who is inside without one. An
    /// error if nothing could be written down.
    async fn take_place(&self) -> Result<Option<Standing>, NoNumber> {
        let line = &self.room.line;
        let ticket = Claims {
            kind: Kind::Ticket,
            room: line.id,
            epoch: line.facts(&self.room.settings.policy).epoch,
            number: 0,
            index: None,
            time: person::joined(self.room, &self.who, self.proxy.clock.unix()),
            id: self.proxy.random_id(),
            moves: 0,
        };
        if line.is_undrawn() {
            match line.enter(ticket, person::key(self.room, &self.who)).await {
                Entered::Drawn(ticket) => return Ok(Some(self.stand(ticket))),
                Entered::NotKept => return Err(NoNumber),
                Entered::Behind => {}
            }
        }
        let taken = person::take_number(self.proxy, self.room, &self.who, self.lane, ticket).await?;
        Ok(taken.map(|ticket| self.stand(ticket)))
    }

    fn claim(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        if let Some(form) = form.filter(|_| self.coded) {
            return self.not_from_here(form, record);
        }
        let Some(ticket) = self.who.ticket else {
            return match form {
                // The place page says what may have become of the ticket, and offers another.
                Some(form) => own(record, "no_ticket", self.to_place(form)),
                None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
            };
        };
        let pass = ticket.pass(&self.proxy.ring, self.proxy.clock.unix());
        let policy = &self.room.settings.policy;
        let (claim, line) = self.room.line.with(|line| {
            let claim = line.claim(policy, ticket.number, pass.id, self.now);
            (claim, line.facts_of_lane(ticket.number))
        });
        let (mut answer, reason) = match (claim, form) {
            (Claim::Admitted, Some(form)) => (see_other(form.back.as_str()), "claimed"),
            (_, Some(form)) => (self.to_place(form), "not_yet"),
            (Claim::Admitted, None) => {
                let token = self.proxy.ring.sign(&pass);
                let body = json!({ "room": self.room.line.name, "state": "admitted", "pass": token });
                (json_answer(StatusCode::OK, &body), "claimed")
            }
            (Claim::FrontRow { ahead }, None) => {
                let body = json!({
                    "room": self.room.line.name, "state": "front_row", "ahead": ahead,
                    "poll_after_ms": self.front_row_poll_ms(),
                });
                (json_answer(StatusCode::ACCEPTED, &body), "front_row")
            }
            (Claim::Late { ahead }, None) => {
                let body = json!({
                    "room": self.room.line.name, "state": "late", "ahead": ahead,
                    "poll_after_ms": self.late_poll_ms(ahead, &line),
                });
                (json_answer(StatusCode::ACCEPTED, &body), "late")
            }
            (Claim::Waiting { ahead }, None) => {
                let slot = self.slot_of(&ticket);
                let state = match slot {
                    _ if ticket.number == 0 => "prequeue",
                    Some(PlaceSlot::Taken(_)) => "slot",
                    _ => "waiting",
                };
                let body = json!({
                    "type": "about:blank", "title": "Not called yet", "status": 409, "reason": "not_called",
                    "room": self.room.line.name, "state": state, "ahead": ahead,
                    "slot": slot.map(|slot| self.told_slot(slot)),
                    "poll_after_ms": self.poll_after_ms(ahead, &line),
                });
                (problem_answer(StatusCode::CONFLICT, &body), "not_called")
            }
            (Claim::SoldOut, None) => {
                let body = json!({
                    "type": "about:blank", "title": "Nothing is left", "status": 410, "reason": "sold_out",
                    "room": self.room.line.name, "state": "sold_out",
                });
                (problem_answer(StatusCode::GONE, &body), "sold_out")
            }
            (Claim::Done, None) => {
                let body = json!({
                    "type": "about:blank", "title": "This number was used", "status": 410, "reason": "done",
                    "room": self.room.line.name,
                });
                (problem_answer(StatusCode::GONE, &body), "done")
            }
        };
        if claim == Claim::Admitted {
            let token = self.proxy.ring.sign(&pass);
            let cookie = cookie("pass", &self.room.line.name, &token, self.asked.secure);
            set_cookie(answer.headers_mut(), &cookie);
        }
        own(record, reason, answer)
    }

    /// Where a code is shown and no cookie, the pass would be lost with the answer, and the seat used up by nobody:
    /// nothing is claimed, and the page says what is missing.
    fn not_from_here(&self, form: &Form, record: Record) -> Response<Answer> {
        let standing = self.standing();
        let state = match self.state_of(standing.as_ref()) {
            (PlaceState::Called | PlaceState::FrontRow | PlaceState::Late, _) => (PlaceState::NoCookies, 0),
            other => other,
        };
        self.place_in(state, Some(form), standing.as_ref(), record)
    }

    fn standing(&self) -> Option<Standing> {
        self.who.ticket.map(|ticket| self.stand(ticket))
    }

    fn stand(&self, ticket: Claims) -> Standing {
        let pass = ticket.pass(&self.proxy.ring, ticket.time);
        let policy = &self.room.settings.policy;
        self.room.line.with(|line| {
            let time = line.call_time(policy, ticket.number, self.now);
            let visit = line.visit_time(policy, &pass.id, self.now);
            let called = ticket.number > 0 && line.may_come(ticket.number, self.now);
            let slot = self.slot_in(line, ticket.number, &pass.id);
            let (claim, facts) = (line.look(ticket.number, &pass.id), line.facts(policy));
            let lane = lane::name(self.room, line, ticket.number);
            let line = line.facts_of_lane(ticket.number);
            Standing { ticket, claim, called, time, visit, slot, facts, line, lane }
        })
    }

    /// The state of a ticket, as JSON.
    fn told(&self, status: StatusCode, standing: &Standing) -> Response<Answer> {
        let (state, ahead) = match standing.claim {
            _ if standing.facts.state == RoomState::Ended => ("ended", 0),
            _ if standing.is_undrawn() => ("prequeue", 0),
            Claim::Admitted => ("admitted", 0),
            Claim::FrontRow { ahead } => ("front_row", ahead),
            Claim::Waiting { .. } if standing.called => ("called", 0),
            Claim::Waiting { ahead } if standing.is_away() => ("slot", ahead),
            Claim::Waiting { ahead } => ("waiting", ahead),
            Claim::Late { ahead } => ("late", ahead),
            Claim::SoldOut => ("sold_out", 0),
            Claim::Done => ("done", 0),
        };
        let waits = !standing.called || standing.claim == Claim::SoldOut;
        let poll = match standing.claim {
            _ if standing.is_undrawn() => millis(self.room.settings.policy.poll.max),
            Claim::Late { .. } => self.late_poll_ms(ahead, &standing.line),
            _ if let Some(slot) = standing.slot.filter(|_| standing.is_away()) => self.away_ms(slot),
            _ if waits => self.poll_after_ms(ahead, &standing.line),
            _ => self.front_row_poll_ms(),
        };
        let mut body = json!({
            "room": self.room.line.name, "state": state, "epoch": standing.ticket.epoch,
            "number": place(standing.ticket.number), "ticket": self.proxy.ring.sign(&standing.ticket),
            "ahead": ahead, "poll_after_ms": poll, "call": standing.time.map(told_time),
            "visit": standing.visit.map(told_visit),
            "slot": standing.slot.map(|slot| self.told_slot(slot)),
        });
        if let (Some(lane), Some(body)) = (&standing.lane, body.as_object_mut()) {
            body.insert("lane".to_owned(), lane.as_str().into());
        }
        json_answer(status, &body)
    }

    /// The poll rule of the board, applied for those who do not compute it themselves.
    fn poll_after_ms(&self, ahead: u64, line: &LaneFacts) -> u64 {
        let rule = &self.room.settings.policy.poll;
        millis(rule.pause(ahead, line.rate, self.room.line.poll_scale()))
    }

    /// The lane of those who missed their call has a tenth of all calls.
    fn late_poll_ms(&self, ahead: u64, line: &LaneFacts) -> u64 {
        millis(self.room.settings.policy.poll.pause(ahead, line.rate * SHARE, 1.0))
    }

    fn front_row_poll_ms(&self) -> u64 {
        millis(self.room.settings.policy.poll.front_row()).max(1)
    }

    /// The waiting page by its own address. Who comes by a link of a page without scripts is first led to
    /// an address that knows the way back.
    fn queue(&self, fields: &HeaderMap, record: Record) -> Response<Answer> {
        let query = self.asked.query.as_deref().unwrap_or_default();
        let language = query_value(query, "lang").and_then(|tag| Language::from_tag(&tag));
        let language = language.unwrap_or(self.asked.language);
        let name = &self.room.line.name;
        if query_value(query, "return").is_none() {
            let back = ReturnPath::of_page(fields).unwrap_or_default();
            return own(record, "queue", see_other(&queue_link(name, language, Some(&back))));
        }
        match self.live.pages.queue(name, language, self.asked.coding) {
            Some(page) => own(record, "queue", page.map(|body| Answer::Own(Some(body)))),
            None => refuse::problem(self.live, self.asked, record, Reason::NotFound, None),
        }
    }

    /// The personal page for those without JavaScript.
    fn place(&self, record: Record) -> Response<Answer> {
        self.place_of(None, record)
    }

    fn place_of(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        self.place_with(form, self.standing().as_ref(), record)
    }

    fn place_with(
        &self,
        form: Option<&Form>,
        standing: Option<&Standing>,
        record: Record,
    ) -> Response<Answer> {
        self.place_in(self.state_of(standing), form, standing, record)
    }

    /// What the place page says of somebody, and how many go in before.
    fn state_of(&self, standing: Option<&Standing>) -> (PlaceState, u64) {
        let query = self.asked.query.as_deref().unwrap_or_default();
        match standing.map(|standing| (standing.claim, standing.called)) {
            _ if self.room_state() == RoomState::Ended => (PlaceState::Ended, 0),
            // Who came in by the open door has a pass and no ticket.
            None if self.visit_time().is_some() => (PlaceState::Admitted, 0),
            None if self.who.moved => (PlaceState::Moved, 0),
            None if query_value(query, "left").is_some() => (PlaceState::Left, 0),
            None => (PlaceState::Unknown, 0),
            // Their lot is theirs again as soon as they come back, and they asked to leave.
            Some(_) if standing.is_some_and(Standing::is_undrawn) && query_value(query, "left").is_some() => {
                (PlaceState::Left, 0)
            }
            Some(_) if standing.is_some_and(Standing::is_undrawn) => (PlaceState::Prequeue, 0),
            Some((Claim::Admitted, _)) => (PlaceState::Admitted, 0),
            Some((Claim::Done, _)) => (PlaceState::Done, 0),
            Some((Claim::SoldOut, _)) => (PlaceState::SoldOut, 0),
            Some((Claim::FrontRow { ahead }, _)) => (PlaceState::FrontRow, ahead),
            Some((Claim::Late { ahead }, _)) => (PlaceState::Late, ahead),
            Some((Claim::Waiting { .. }, true)) => (PlaceState::Called, 0),
            Some((Claim::Waiting { ahead }, false)) if standing.is_some_and(Standing::is_away) => {
                (PlaceState::Slot, ahead)
            }
            Some((Claim::Waiting { ahead }, false)) => (PlaceState::Waiting, ahead),
        }
    }

    /// The page for what the address or the form asks; with the code of the place where a code was shown.
    fn place_in(
        &self,
        (state, ahead): (PlaceState, u64),
        form: Option<&Form>,
        standing: Option<&Standing>,
        record: Record,
    ) -> Response<Answer> {
        let query = self.asked.query.as_deref().unwrap_or_default();
        let back = || query_value(query, "return").and_then(|path| ReturnPath::parse(&path));
        let back = form.map(|form| form.back.clone()).or_else(back).unwrap_or_default();
        let language = form.map_or_else(
            || query_value(query, "lang").and_then(|tag| Language::from_tag(&tag)),
            |form| form.language,
        );
        // A code that is used up leads nowhere: it is not carried on.
        let used = matches!(state, PlaceState::Done | PlaceState::UsedCode);
        let code =
            standing.filter(|_| self.coded && !used).map(|standing| self.proxy.ring.sign(&standing.ticket));
        let facts = match standing {
            Some(standing) => standing.facts,
            None => self.room.line.facts(&self.room.settings.policy),
        };
        let visit = if state == PlaceState::Admitted { self.visit_time() } else { None };
        let time = standing.and_then(|standing| standing.time);
        let slot = standing.and_then(|standing| standing.slot).map(|slot| self.written_slot(slot));
        let redraw = self.room.line.with_lots(|lots| lots.redraw()).flatten();
        let redraw = redraw.map(|time| self.written_with_zone(time));
        let written = self.written_with_zone(self.proxy.clock.unix());
        let word = hex(&self.proxy.random_id());
        let place = PlaceFacts {
            room: &self.room.line.name,
            state,
            number: standing.map_or(0, |standing| place(standing.ticket.number)),
            lane: standing.and_then(|standing| standing.lane.as_deref()),
            ahead,
            wait: standing
                .and_then(|standing| Estimate::of(ahead, standing.line.rate, standing.line.spread))
                .map(|wait| self.through_the_night(wait)),
            call: time
                .map(|time| CallMinutes { minutes: time.left.as_secs() / 60, more: time.extensions > 0 }),
            visit: visit
                .map(|time| CallMinutes { minutes: time.left.as_secs() / 60, more: time.extensions > 0 }),
            slot: slot.as_ref(),
            code: code.as_deref().or(self.coded.then_some("")),
            standstill: standstill(facts.state),
            redraw: redraw.as_deref(),
            opens_in: self.opens_in(),
            time: Some(&written),
            moving: self.moving.as_ref(),
            word: &word,
            back: &back,
            language: language.unwrap_or(self.asked.language),
        };
        match self.live.pages.place(&place) {
            Ok(page) if state == PlaceState::Moved => {
                self.forget(own(record, "moved", page.map(|body| Answer::Own(Some(body)))))
            }
            Ok(page) => own(record, "place", page.map(|body| Answer::Own(Some(body)))),
            Err(error) => {
                tracing::error!(%error, "the place page could not be made");
                refuse::problem(self.live, self.asked, record, Reason::Internal, None)
            }
        }
    }

    /// Minutes to the opening, begun ones among them.
    fn opens_in(&self) -> Option<u64> {
        let now = self.proxy.clock.unix();
        self.room.opens(now).map(|at| at.since(now).as_secs().div_ceil(60).max(1))
    }

    /// A wait that nobody is called in for a part of.
    fn through_the_night(&self, wait: Estimate) -> Estimate {
        let unix = self.proxy.clock.unix();
        wait.past(|minutes| {
            let wait = Duration::from_secs(minutes.saturating_mul(60));
            quiet::over(&self.room.settings.quiet, unix, wait).since(unix).as_secs() / 60
        })
    }

    fn to_place(&self, form: &Form) -> Response<Answer> {
        see_other(&place_link(&self.room.line.name, &form.back, form.language))
    }
}

fn told_visit(time: VisitTime) -> serde_json::Value {
    json!({
        "ends_in_ms": millis(time.left), "idle_in_ms": millis(time.idle), "extensions": time.extensions,
    })
}

fn told_time(time: CallTime) -> serde_json::Value {
    json!({ "ends_in_ms": millis(time.left), "extensions": time.extensions })
}

fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

fn standstill(state: RoomState) -> Option<Standstill> {
    match state {
        RoomState::Held(HoldReason::Operator) => Some(Standstill::Operator),
        RoomState::Held(HoldReason::Upstream) => Some(Standstill::Upstream),
        RoomState::Held(HoldReason::Dependency) => Some(Standstill::Dependency),
        RoomState::Held(HoldReason::Store) => Some(Standstill::Recovery),
        RoomState::Held(HoldReason::Draw) => Some(Standstill::Draw),
        RoomState::Held(HoldReason::Quiet) => Some(Standstill::Quiet),
        RoomState::Closed
        | RoomState::Prequeue
        | RoomState::Open
        | RoomState::Queueing
        | RoomState::Ended => None,
    }
}

fn own(mut record: Record, reason: &'static str, answer: Response<Answer>) -> Response<Answer> {
    record.decided(Decision::Own, reason, answer.status());
    record.sent(answer.body().own_length());
    answer
}
