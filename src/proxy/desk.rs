//! Our own endpoints under `/.tornello/`: the waiting protocol.
//!
//! GET, HEAD and OPTIONS change nothing. What changes state pays at the door: identity and network.
//! Joining and claiming are idempotent: asked twice, they answer the same.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use serde_json::json;

use super::Proxy;
use super::asked::Asked;
use super::body::Answer;
use super::handle::{sources, spend};
use super::headers::{cookie, set_cookie};
use super::identify::{Identity, identify};
use super::live::{Live, Room};
use super::record::{Decision, Label, Record};
use super::refuse;
use crate::admission::Moment;
use crate::admission::room::Claim;
use crate::admission::room::{HoldReason, RoomState};
use crate::admission::ticket::{Claims, Kind};
use crate::pages::{
    Estimate, Language, PlaceFacts, PlaceState, Reason, ReturnPath, Standstill, is_html_form, place_link,
};

const ROOT: &str = "/.tornello/";
const NOT_DURABLE: &str = "Places cannot be given at the moment; nothing is lost, ask again.";
const CROSS_SITE: &str = "A page of another site must not take or use up a place.";
/// Longest time between two looks of somebody in the front row.
const FRONT_ROW_POLL_MAX: std::time::Duration = std::time::Duration::from_secs(2);
/// Longest form that is read.
const FORM_MAX: usize = 4 * 1024;
/// Longest time that sending one may take.
const FORM_TIME: std::time::Duration = std::time::Duration::from_secs(2);

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
    now: Moment,
}

/// Where a number stands, with what its holder should do next.
struct Standing {
    ticket: Claims,
    claim: Claim,
    called: bool,
}

/// Answers a request to one of our own endpoints.
pub async fn answer<B>(
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
        (Some("v1"), Some("keys"), None, None) => {
            let keys = json!({ "keys": [{ "id": "b1", "alg": "Ed25519", "key": proxy.board_key.public() }] });
            return own(record, "keys", json_answer(StatusCode::OK, &keys));
        }
        _ => return refuse::problem(live, asked, record, Reason::NotFound, None),
    };
    let Some(room) = live.rooms.get(name) else {
        return refuse::problem(live, asked, record, Reason::NotFound, None);
    };
    let named = Some((room.line.name.as_str(), room.line.id));
    let who = identify(request.headers(), asked.peer, asked.client, named, &sources(proxy, live, asked));
    record.user = who.user;
    let visit = Visit { proxy, live, asked, room, who, now: proxy.clock.now() };
    let look = matches!(asked.method, Method::GET | Method::HEAD);
    match (endpoint, look) {
        ("board", true) => own(record, "board", board(room)),
        ("messages", true) => own(record, "messages", shared_json(Bytes::clone(&room.messages))),
        ("ticket", true) => match visit.standing() {
            Some(standing) => own(record, "ticket", visit.told(StatusCode::OK, &standing)),
            None => refuse::problem(live, asked, record, Reason::NoTicket, None),
        },
        ("place", true) => visit.place(record),
        ("tickets" | "claims", false) if asked.method == Method::POST => {
            visit.change(endpoint, request, record).await
        }
        ("ticket", false) if asked.method == Method::DELETE => visit.change("leave", request, record).await,
        ("board" | "messages" | "ticket" | "place" | "tickets" | "claims", _) => {
            let mut refused = refuse::problem(live, asked, record, Reason::MethodNotAllowed, None);
            let allowed = match endpoint {
                "tickets" | "claims" => "POST",
                "ticket" => "GET, HEAD, DELETE",
                _ => "GET, HEAD",
            };
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            refused
        }
        _ => refuse::problem(live, asked, record, Reason::NotFound, None),
    }
}

impl Visit<'_> {
    /// The steps that change something, behind the door.
    async fn change<B>(&self, step: &str, request: Request<B>, record: Record) -> Response<Answer>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err(refusal) = spend(self.proxy, self.live, &self.live.door, &self.who, self.now) {
            return refuse::refuse(self.live, &refusal, self.asked, record);
        }
        if is_cross_site(request.headers(), self.asked) {
            return refuse::problem(self.live, self.asked, record, Reason::BadRequest, Some(CROSS_SITE));
        }
        let form = is_html_form(request.headers());
        let form = match read_form(request, form).await {
            Ok(form) => form,
            Err(reason) => return refuse::problem(self.live, self.asked, record, reason, None),
        };
        match step {
            "tickets" => self.join(form.as_ref(), record).await,
            "claims" => self.claim(form.as_ref(), record),
            _ => self.leave(record),
        }
    }

    async fn join(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        let standing = self.standing().filter(|standing| standing.claim != Claim::Done);
        let (status, standing) = match standing {
            Some(standing) => (StatusCode::OK, standing),
            None => {
                let Some(number) = self.room.line.join().await else {
                    return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
                };
                (StatusCode::CREATED, self.give(number))
            }
        };
        let token = self.proxy.ring.sign(&standing.ticket);
        let mut answer = form.map_or_else(|| self.told(status, &standing), |form| self.to_place(form));
        let cookie = cookie("ticket", &self.room.line.name, &token, self.asked.secure);
        set_cookie(answer.headers_mut(), &cookie);
        own(record, if status == StatusCode::CREATED { "joined" } else { "kept" }, answer)
    }

    fn give(&self, number: u64) -> Standing {
        let ticket = Claims {
            kind: Kind::Ticket,
            room: self.room.line.id,
            epoch: self.room.line.facts(&self.room.settings.policy).epoch,
            number,
            time: self.proxy.clock.unix(),
            id: self.proxy.random_id(),
        };
        self.stand(ticket)
    }

    fn claim(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        let Some(ticket) = self.who.ticket else {
            return match form {
                // The place page says what may have become of the ticket, and offers another.
                Some(form) => own(record, "no_ticket", self.to_place(form)),
                None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
            };
        };
        let pass = ticket.pass(&self.proxy.ring, self.proxy.clock.unix());
        let policy = &self.room.settings.policy;
        let claim = self.room.line.with(|line| line.claim(policy, ticket.number, pass.id, self.now));
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
            (Claim::Waiting { ahead }, None) => {
                let body = json!({
                    "type": "about:blank", "title": "Not called yet", "status": 409, "reason": "not_called",
                    "room": self.room.line.name, "ahead": ahead, "poll_after_ms": self.poll_after_ms(ahead),
                });
                (problem_answer(StatusCode::CONFLICT, &body), "not_called")
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

    fn leave(&self, record: Record) -> Response<Answer> {
        let Some(ticket) = self.who.ticket else {
            return refuse::problem(self.live, self.asked, record, Reason::NoTicket, None);
        };
        let pass = ticket.pass(&self.proxy.ring, self.proxy.clock.unix());
        self.room.line.with(|line| line.leave(ticket.number, &pass.id, self.now));
        let body = json!({ "room": self.room.line.name, "state": "left", "number": ticket.number });
        own(record, "left", json_answer(StatusCode::OK, &body))
    }

    fn standing(&self) -> Option<Standing> {
        self.who.ticket.map(|ticket| self.stand(ticket))
    }

    fn stand(&self, ticket: Claims) -> Standing {
        let pass = ticket.pass(&self.proxy.ring, ticket.time);
        let claim = self.room.line.with(|line| line.look(ticket.number, &pass.id));
        let cursor = self.room.line.facts(&self.room.settings.policy).cursor;
        Standing { ticket, claim, called: ticket.number <= cursor }
    }

    /// The state of a ticket, as JSON.
    fn told(&self, status: StatusCode, standing: &Standing) -> Response<Answer> {
        let (state, ahead) = match standing.claim {
            Claim::Admitted => ("admitted", 0),
            Claim::FrontRow { ahead } => ("front_row", ahead),
            Claim::Waiting { .. } if standing.called => ("called", 0),
            Claim::Waiting { ahead } => ("waiting", ahead),
            Claim::Done => ("done", 0),
        };
        let poll = if standing.called { self.front_row_poll_ms() } else { self.poll_after_ms(ahead) };
        let body = json!({
            "room": self.room.line.name, "state": state, "epoch": standing.ticket.epoch,
            "number": standing.ticket.number, "ticket": self.proxy.ring.sign(&standing.ticket),
            "ahead": ahead, "poll_after_ms": poll,
        });
        json_answer(status, &body)
    }

    /// The poll rule of the board, applied for those who do not compute it themselves.
    fn poll_after_ms(&self, ahead: u64) -> u64 {
        let rule = &self.room.settings.policy.poll;
        let facts = self.room.line.facts(&self.room.settings.policy);
        // Nobody was called yet, and few are ahead: the first call may come at once.
        let soon = facts.rate <= 0.0 && ahead < u64::from(facts.seats);
        let pause = if soon { rule.min } else { rule.pause(ahead, facts.rate) };
        let scaled = pause.mul_f64(rule.scale(facts.issued - facts.cursor, facts.rate));
        u64::try_from(scaled.as_millis()).unwrap_or(u64::MAX)
    }

    fn front_row_poll_ms(&self) -> u64 {
        // Often enough for a seat not to stand empty, seldom enough for the door's quota.
        let pause = (self.room.settings.policy.poll.min / 2).min(FRONT_ROW_POLL_MAX);
        u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// The personal page for those without JavaScript.
    fn place(&self, record: Record) -> Response<Answer> {
        let query = self.asked.query.as_deref().unwrap_or_default();
        let back = query_value(query, "return").and_then(|path| ReturnPath::parse(&path)).unwrap_or_default();
        let language = query_value(query, "lang").and_then(|tag| Language::from_tag(&tag));
        let standing = self.standing();
        let facts = self.room.line.facts(&self.room.settings.policy);
        let (state, ahead) = match standing.as_ref().map(|standing| (standing.claim, standing.called)) {
            None => (PlaceState::Unknown, 0),
            Some((Claim::Admitted, _)) => (PlaceState::Admitted, 0),
            Some((Claim::Done, _)) => (PlaceState::Done, 0),
            Some((Claim::FrontRow { ahead }, _)) => (PlaceState::FrontRow, ahead),
            Some((Claim::Waiting { .. }, true)) => (PlaceState::Called, 0),
            Some((Claim::Waiting { ahead }, false)) => (PlaceState::Waiting, ahead),
        };
        let place = PlaceFacts {
            room: &self.room.line.name,
            state,
            number: standing.map_or(0, |standing| standing.ticket.number),
            ahead,
            wait: Estimate::of(ahead, facts.rate),
            standstill: standstill(facts.state),
            time: None,
            back: &back,
            language: language.unwrap_or(self.asked.language),
        };
        match self.live.pages.place(&place) {
            Ok(page) => own(record, "place", page.map(|body| Answer::Own(Some(body)))),
            Err(error) => {
                tracing::error!(%error, "the place page could not be made");
                refuse::problem(self.live, self.asked, record, Reason::Internal, None)
            }
        }
    }

    fn to_place(&self, form: &Form) -> Response<Answer> {
        see_other(&place_link(&self.room.line.name, &form.back, form.language))
    }
}

fn standstill(state: RoomState) -> Option<Standstill> {
    match state {
        RoomState::Held(HoldReason::Operator) => Some(Standstill::Operator),
        RoomState::Held(HoldReason::Upstream) => Some(Standstill::Upstream),
        RoomState::Held(HoldReason::Store) => Some(Standstill::Recovery),
        RoomState::Open | RoomState::Queueing => None,
    }
}

/// The board's bytes: the one answer of ours that any cache may carry.
fn board(room: &Room) -> Response<Answer> {
    shared_json(room.line.board())
}

fn shared_json(body: Bytes) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(Some(body)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    answer
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    typed(status, body, "application/json")
}

fn problem_answer(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    typed(status, body, "application/problem+json")
}

fn typed(status: StatusCode, body: &serde_json::Value, kind: &'static str) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(Some(Bytes::from(body.to_string()))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn see_other(path: &str) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(None));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(LOCATION, path);
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn own(mut record: Record, reason: &'static str, answer: Response<Answer>) -> Response<Answer> {
    record.decided(Decision::Own, reason, answer.status());
    record.sent(answer.body().own_length());
    answer
}

/// A page of another site must not take or use up somebody's place.
fn is_cross_site(fields: &HeaderMap, asked: &Asked) -> bool {
    let field = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    if field("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return true;
    }
    let foreign = |origin: &str| {
        let host = origin.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.parse::<http::uri::Authority>();
        host.map_or(true, |host| !host.host().eq_ignore_ascii_case(&asked.host))
    };
    field("origin").is_some_and(foreign)
}

/// What a form without JavaScript says.
struct Form {
    /// Where to go when inside: its `return` field, else the page that it stood on.
    back: ReturnPath,
    /// The language in which it was read.
    language: Option<Language>,
}

/// Reads a form; `None` if none was asked for. Any other small body is read and dropped, so that the
/// connection can be kept.
async fn read_form<B>(request: Request<B>, form: bool) -> Result<Option<Form>, Reason>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let reading = Limited::new(body, FORM_MAX).collect();
    let read = tokio::time::timeout(FORM_TIME, reading).await.map_err(|_| Reason::BadRequest)?;
    let bytes = read.map_err(|_| Reason::TooLarge)?.to_bytes();
    if !form {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let named = query_value(&text, "return").and_then(|path| ReturnPath::parse(&path));
    let back = named.or_else(|| ReturnPath::from_referer(&parts.headers, host)).unwrap_or_default();
    let language = query_value(&text, "lang").and_then(|tag| Language::from_tag(&tag));
    Ok(Some(Form { back, language }))
}

/// The first value of `name` in an `application/x-www-form-urlencoded` text.
fn query_value(text: &str, name: &str) -> Option<String> {
    let pair = text.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?;
    let mut bytes = pair.1.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_value_is_read_back() {
        assert_eq!(query_value("a=1&return=%2Fwallet%3Fx%3D1", "return").as_deref(), Some("/wallet?x=1"));
        assert_eq!(query_value("return=%zz", "return"), None);
    }
}
