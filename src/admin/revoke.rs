//! Takes a place or a pass away: for whoever sold one, or has two.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Shared;
use crate::admission::lane::place;
use crate::admission::ticket::{Claims, Kind};

/// The ticket, or the pass that it turned into, of `room`: the session ends, the number is not called.
pub(super) async fn revoke(State((desk, _)): Shared, Path(room): Path<String>, token: Bytes) -> Response {
    let proxy = &desk.proxy;
    let live = proxy.live.load_full();
    let Some(room) = live.rooms.get(&room) else {
        return (StatusCode::NOT_FOUND, "there is no such room\n").into_response();
    };
    let token = token.trim_ascii();
    let read = |kind| proxy.ring.verify(kind, token).ok().filter(|claims| claims.room == room.line.id);
    let read = |kind| read(kind).map(|claims| room.line.resolve(claims));
    if read(Kind::Ticket).or_else(|| read(Kind::Pass)).is_some_and(|shown| room.line.is_gone(&shown)) {
        let why = "this place has moved to another device; revoke it by the code that counts there\n";
        return (StatusCode::CONFLICT, why).into_response();
    }
    let pass: Option<Claims> = match read(Kind::Ticket) {
        Some(ticket) => Some(ticket.pass(&proxy.ring, proxy.clock.unix())),
        None => read(Kind::Pass),
    };
    if pass.is_some_and(|pass| pass.number == 0) && read(Kind::Ticket).is_some() {
        let why = "its number is not drawn yet; revoke it after the draw\n";
        return (StatusCode::CONFLICT, why).into_response();
    }
    let Some(pass) = pass else {
        let why = "neither a ticket nor a pass of this room\n";
        return (StatusCode::UNPROCESSABLE_ENTITY, why).into_response();
    };
    let (policy, now) = (&room.settings.policy, proxy.clock.now());
    room.line.with(|line| line.revoke(policy, pass.number, &pass.id, now));
    if !room.line.ends_kept().await {
        let why = "revoked, but not written down yet: the disk fails; it is tried again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    }
    tracing::warn!(room = room.line.name, number = pass.number, "revoked by an operator");
    Json(json!({ "room": room.line.name, "number": place(pass.number), "state": "revoked" })).into_response()
}
