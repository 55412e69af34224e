//! Where a place stands, for the help desk: by the code that its holder reads out, or by its number.
//!
//! Nothing is told of whoever holds it but what the place itself says.

mod asked;

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use self::asked::{Asked, Place, find, lane_of};
use super::Shared;
use crate::admission::lane;
use crate::admission::moment::UnixTime;
use crate::admission::passes::{PassId, ShownPass};
use crate::admission::room::{Claim, Farewell, RoomState, Trace};
use crate::admission::ticket::{Claims, Kind};
use crate::config::quiet;
use crate::pages::Estimate;
use crate::proxy::Proxy;
use crate::proxy::board::state;

/// The place as JSON.
pub(super) async fn explain(State((desk, _)): Shared, Query(asked): Query<Asked>, body: Bytes) -> Response {
    let live = desk.proxy.live.load_full();
    let text = String::from_utf8_lossy(&body);
    match find(&desk.proxy, &live, &asked, text.trim()) {
        Ok(place) => Json(tell(&desk.proxy, &place)).into_response(),
        Err((status, why)) => (status, format!("{why}\n")).into_response(),
    }
}

fn tell(proxy: &Proxy, place: &Place<'_>) -> Value {
    let (settings, line) = (&place.room.settings, &place.room.line);
    let (now, unix) = (proxy.clock.now(), proxy.clock.unix());
    let pass: Option<PassId> = place.claims.map(|claims| match claims.kind {
        Kind::Ticket => claims.pass(&proxy.ring, claims.time).id,
        Kind::Pass => claims.id,
    });
    let shown = shown(proxy, place, unix);
    let (facts, pace, trace, forgotten) = line.with(|line| {
        let trace = line.trace(&settings.policy, place.number, pass, now);
        let forgotten = shown.is_some_and(|shown| line.forgot(&settings.policy, &shown));
        (line.facts(&settings.policy), line.facts_of_lane(place.number), trace, forgotten)
    });
    let epoch = place.claims.map_or(facts.epoch, |claims| claims.epoch);
    let (word, ahead) = match standing(place, &trace, facts.state, epoch == facts.epoch) {
        // A pass whose place moved never was: whose it is now has another one.
        ("done" | "called", _) if forgotten && !place.claims.is_some_and(|claims| line.is_gone(&claims)) => {
            ("forgotten", 0)
        }
        standing => standing,
    };
    // Lanes are numbered anew with the room: of an earlier numbering nobody knows whose lane it was.
    let lane = lane_of(place.room, place.number).filter(|_| place.number > 0 && epoch == facts.epoch);
    let at = |wait: Duration| quiet::over(&settings.quiet, unix, wait).0;
    let wait =
        (word == "waiting").then(|| Estimate::of(ahead, pace.rate, pace.spread)).flatten().map(|wait| {
            wait.past(|minutes| {
                let wait = Duration::from_secs(minutes.saturating_mul(60));
                UnixTime(at(wait)).since(unix).as_secs() / 60
            })
        });
    let (room_state, reason) = state(facts.state);
    json!({
        "room": line.name, "lane": lane.map(|(name, _)| name), "epoch": epoch,
        "number": (place.number > 0).then(|| lane::place(place.number)),
        "by": place.claims.map_or("number", |claims| match claims.kind {
            Kind::Ticket => "ticket",
            Kind::Pass => "pass",
        }),
        "joined_ms": place.claims.filter(|claims| claims.kind == Kind::Ticket).map(|claims| claims.time.0),
        "moved": place.claims.is_some_and(|claims| line.is_gone(&claims)),
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

/// The code as a request would show it, if it is a pass that counts.
fn shown(proxy: &Proxy, place: &Place<'_>, now: UnixTime) -> Option<ShownPass> {
    let opening = place.room.settings.opening;
    let counts =
        |pass: &Claims| pass.kind == Kind::Pass && opening.is_none_or(|opening| pass.time >= opening.at);
    let pass = place.claims.filter(counts)?;
    Some(ShownPass {
        id: pass.id,
        number: pass.number,
        age: now.since(pass.time),
        finishing: false,
        older_than_we: pass.time < proxy.started,
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
