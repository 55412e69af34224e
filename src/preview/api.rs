//! What a gateway would answer the waiting page in each state, invented.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::sheet::Sheet;
use crate::clock::Clock;

/// What the operator says.
pub(super) const MESSAGE: [(&str, &str); 5] = [
    ("it", "I fondi bastano per tutte le domande che arrivano entro le 18 di venerdì."),
    ("en", "There is enough for every application that arrives by 18:00 on Friday."),
    ("de", "Es reicht für alle Anträge, die bis Freitag, 18 Uhr, eingehen."),
    ("fr", "Il y en a pour toutes les demandes qui arrivent avant vendredi 18 h."),
    ("sl", "Dovolj je za vse vloge, ki prispejo do petka do 18. ure."),
];

pub(super) fn answer(sheet: &Sheet, method: &Method, end: &str) -> Response<Bytes> {
    let (status, body) = match (end, method == Method::POST) {
        ("tickets", true) => ticket(sheet.name),
        ("ticket", false) => ticket(sheet.name),
        ("claims", true) => claim(sheet.name),
        ("slot", true) => (StatusCode::OK, json!({ "state": "slot", "number": 4711, "slot": slot() })),
        ("extension", true) => (StatusCode::OK, json!({ "state": "called", "call": call(600_000, 9) })),
        ("board", false) => (StatusCode::OK, json!({ "board": board(sheet) })),
        ("messages", false) => (StatusCode::OK, json!({ "id": "m1", "text": message() })),
        _ => problem(StatusCode::NOT_FOUND, "not_found", &json!({})),
    };
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn message() -> serde_json::Map<String, Value> {
    MESSAGE.iter().map(|(tag, text)| ((*tag).to_owned(), Value::from(*text))).collect()
}

fn problem(status: StatusCode, reason: &str, more: &Value) -> (StatusCode, Value) {
    let mut body = json!({ "status": status.as_u16(), "reason": reason });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    (status, body)
}

fn ticket(name: &str) -> (StatusCode, Value) {
    let state = match name {
        "closed" => return problem(StatusCode::SERVICE_UNAVAILABLE, "closed", &json!({})),
        "ended" => return problem(StatusCode::FORBIDDEN, "ended", &json!({})),
        "moved" => return problem(StatusCode::GONE, "moved", &json!({})),
        "invitation" => return problem(StatusCode::FORBIDDEN, "no_invitation", &json!({})),
        "trouble" => return problem(StatusCode::SERVICE_UNAVAILABLE, "held", &json!({})),
        "prequeue" | "late" | "slot" | "called" | "done" => name,
        "drawing" | "redraw" => "prequeue",
        "front" => "front_row",
        "call" => "called",
        _ => "waiting",
    };
    let ahead = if name == "next" { 1 } else { 1032 };
    let place = json!({
        "state": state, "epoch": 1, "number": 4711, "ticket": "invented", "ahead": ahead, "poll_after_ms": 5000,
        "call": (state == "called").then(|| call(420_000, 10)), "slot": (state == "slot").then(slot),
    });
    (StatusCode::OK, place)
}

/// Taken, and begins soon.
fn slot() -> Value {
    let from_ms = Clock::start().unix().0 + 3_000_000;
    json!({ "state": "taken", "from_ms": from_ms, "until_ms": from_ms + 1_800_000 })
}

fn call(ends_in_ms: u64, extensions: u8) -> Value {
    json!({ "ends_in_ms": ends_in_ms, "extensions": extensions })
}

fn claim(name: &str) -> (StatusCode, Value) {
    match name {
        "front" => (StatusCode::ACCEPTED, json!({ "state": "front_row", "ahead": 3, "poll_after_ms": 5000 })),
        "called" => (StatusCode::OK, json!({ "state": "admitted" })),
        _ => problem(StatusCode::CONFLICT, "not_called", &json!({ "state": name, "poll_after_ms": 5000 })),
    }
}

fn board(sheet: &Sheet) -> Value {
    let is_void = sheet.name.ends_with("redraw");
    let held = match sheet.name {
        "drawing" | "redraw" | "held-redraw" => Some("draw"),
        name => name.strip_prefix("held-"),
    };
    let state = match sheet.name {
        "closed" | "prequeue" | "draining" => sheet.name,
        _ if held.is_some() => "held",
        _ => "queueing",
    };
    let now = Clock::start().unix().0;
    let known = sheet.name != "unknown" && held.is_none();
    json!({
        "v": 1, "room": sheet.name, "epoch": 1, "state": state, "reason": held,
        "cursor": if sheet.name == "next" { 4709 } else { 3678 }, "issued": 12_345,
        "rate": if known { 1.2 } else { 0.0 }, "spread": known.then_some(0.25), "show_rate": 0.9,
        "remaining": (sheet.name == "sold_out").then_some(0),
        "message": sheet.says_something().then_some("m1"),
        "poll": { "min_ms": 5000, "max_ms": 120_000, "divisor": 10, "scale": 1.0 },
        "generation": 1, "time_ms": now, "opens_ms": held.is_none().then_some(now + 3_725_000),
        "redraw_ms": is_void.then_some(now + 600_000),
    })
}
