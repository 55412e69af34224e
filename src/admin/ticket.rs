//! Where a place stands, for the help desk: by the code that its holder reads out, or by its number.
//!
//! Nothing is told of whoever holds it but what the place itself says.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, is_from_a_page};
use crate::admission::moment::UnixTime;
use crate::admission::passes::PassId;
use crate::admission::room::{Claim, Farewell, RoomState, Trace};
use crate::admission::ticket::{Claims, Kind, TEXT_LENGTH, TokenError};
use crate::config::quiet;
use crate::pages::Estimate;
use crate::proxy::Proxy;
use crate::proxy::board::state;
use crate::proxy::live::{Live, Room};

/// Which room a number is of.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    room: Option<String>,
}

/// What is asked about.
#[derive(Debug)]
struct Place<'a> {
    room: &'a Room,
    number: u64,
    /// What the code says, if it is one.
    claims: Option<Claims>,
}

/// Why nothing can be told, for people.
type Why = (StatusCode, String);

/// The place as JSON.
pub(super) async fn explain(
    State((desk, _)): Shared,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if is_from_a_page(&headers) {
        return (StatusCode::FORBIDDEN, "not from a web page\n").into_response();
    }
    let live = desk.proxy.live.load_full();
    let text = String::from_utf8_lossy(&body);
    match find(&desk.proxy, &live, asked.room.as_deref(), text.trim()) {
        Ok(place) => Json(tell(&desk.proxy, &place)).into_response(),
        Err((status, why)) => (status, format!("{why}\n")).into_response(),
    }
}

fn find<'a>(proxy: &Proxy, live: &'a Live, room: Option<&str>, text: &str) -> Result<Place<'a>, Why> {
    let unreadable = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, why);
    let names = || live.rooms.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let named = room
        .map(|room| {
            live.rooms.get(room).ok_or_else(|| {
                (StatusCode::NOT_FOUND, format!("there is no room `{room}`; there are: {}", names()))
            })
        })
        .transpose()?;
    if !text.is_empty() && text.len() < TEXT_LENGTH && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<u64>().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| unreadable(format!("there is no number {text}")))?;
        let only = || live.rooms.values().next().filter(|_| live.rooms.len() == 1);
        let room = named.or_else(only).ok_or_else(|| {
            unreadable(format!("a number says no room: name it with --room; there are: {}", names()))
        })?;
        return Ok(Place { room, number, claims: None });
    }
    let claims = read(proxy, text).map_err(unreadable)?;
    let room = live.rooms.values().find(|room| room.line.id == claims.room);
    let room = room
        .ok_or_else(|| (StatusCode::NOT_FOUND, "the code is of a room that is not configured".to_owned()))?;
    if let Some(other) = named.filter(|named| named.line.id != claims.room) {
        let (is, not) = (&room.line.name, &other.line.name);
        return Err(unreadable(format!("the code is of room `{is}`, not of `{not}`")));
    }
    let claims = room.line.resolve(claims);
    Ok(Place { room, number: claims.number, claims: Some(claims) })
}

/// Reads a code; why it is none, in words that help to find what was misheard.
fn read(proxy: &Proxy, text: &str) -> Result<Claims, String> {
    let is_of_codes = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if let Some(other) = text.chars().find(|c| !is_of_codes(*c)) {
        return Err(format!("a code has letters, digits, - and _ only, and no {other:?}"));
    }
    if text.len() != TEXT_LENGTH {
        let count = text.len();
        return Err(format!(
            "a code has {TEXT_LENGTH} characters, and this has {count}; a number has digits only"
        ));
    }
    let verify = |kind| proxy.ring.verify(kind, text.as_bytes());
    verify(Kind::Ticket).or_else(|wrong| verify(Kind::Pass).map_err(|_| wrong)).map_err(|wrong| match wrong {
        TokenError::Malformed | TokenError::Forged => {
            "this gateway gave no such code: a letter may be misheard (capitals count; O and 0, I, l and 1, - and _ \
             differ), or its key was taken out since"
                .to_owned()
        }
    })
}

fn tell(proxy: &Proxy, place: &Place<'_>) -> Value {
    let (settings, line) = (&place.room.settings, &place.room.line);
    let (now, unix) = (proxy.clock.now(), proxy.clock.unix());
    let pass: Option<PassId> = place.claims.map(|claims| match claims.kind {
        Kind::Ticket => claims.pass(&proxy.ring, claims.time).id,
        Kind::Pass => claims.id,
    });
    let (facts, trace) = line
        .with(|line| (line.facts(&settings.policy), line.trace(&settings.policy, place.number, pass, now)));
    let epoch = place.claims.map_or(facts.epoch, |claims| claims.epoch);
    let (word, ahead) = standing(place, &trace, facts.state, epoch == facts.epoch);
    let at = |wait: Duration| quiet::over(&settings.quiet, unix, wait).0;
    let wait =
        (word == "waiting").then(|| Estimate::of(ahead, facts.rate, facts.spread)).flatten().map(|wait| {
            wait.past(|minutes| {
                let wait = Duration::from_secs(minutes.saturating_mul(60));
                UnixTime(at(wait)).since(unix).as_secs() / 60
            })
        });
    let (room_state, reason) = state(facts.state);
    json!({
        "room": line.name, "epoch": epoch, "number": (place.number > 0).then_some(place.number),
        "by": place.claims.map_or("number", |claims| match claims.kind {
            Kind::Ticket => "ticket",
            Kind::Pass => "pass",
        }),
        "joined_ms": place.claims.filter(|claims| claims.kind == Kind::Ticket).map(|claims| claims.time.0),
        "state": word, "ahead": ahead, "misses": trace.misses, "uncertain": trace.uncertain,
        "wait_minutes": wait.map(|wait| [wait.low, wait.high]),
        "call": trace.call.filter(|_| word == "called").map(|call| json!({
            "ends_in_ms": millis(call.left), "extensions": call.extensions,
        })),
        "visit": trace.visit.filter(|_| word == "admitted").map(|visit| json!({
            "ends_in_ms": millis(visit.left), "idle_in_ms": millis(visit.idle), "extensions": visit.extensions,
        })),
        "slot": trace.slot.filter(|_| matches!(word, "slot" | "called")).map(|slot| json!({
            "from_ms": at(slot.from), "until_ms": at(slot.until),
        })),
        "room_state": room_state, "room_reason": reason, "opens_ms": place.room.opens(unix).map(|at| at.0),
        "time_ms": unix.0,
    })
}

/// The word for where a place stands, and how many go in before it.
fn standing(place: &Place<'_>, trace: &Trace, room: RoomState, same_epoch: bool) -> (&'static str, u64) {
    let ticket = place.claims.is_none_or(|claims| claims.kind == Kind::Ticket);
    match (trace.claim, trace.farewell) {
        _ if room == RoomState::Ended => ("ended", 0),
        (Claim::Admitted, _) => ("admitted", 0),
        _ if place.number == 0 && ticket => ("prequeue", 0),
        _ if place.number == 0 => ("done", 0),
        _ if !same_epoch || !trace.given => ("unknown", 0),
        (Claim::Done, Some(Farewell::Revoked)) => ("revoked", 0),
        (Claim::Done, Some(Farewell::Left)) => ("left", 0),
        (Claim::Done, None) => ("done", 0),
        (Claim::SoldOut, _) => ("sold_out", 0),
        (Claim::FrontRow { ahead }, _) => ("front_row", ahead),
        (Claim::Late { ahead }, _) => ("late", ahead),
        _ if trace.absent => ("absent", 0),
        (Claim::Waiting { .. }, _) if trace.called => ("called", 0),
        (Claim::Waiting { ahead }, _) if trace.slot.is_some() => ("slot", ahead),
        (Claim::Waiting { ahead }, _) => ("waiting", ahead),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
