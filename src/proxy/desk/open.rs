//! What is public of the service, without a room's line: its status, and the rules of its rooms.

use bytes::Bytes;
use http::{Method, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Proxy;
use super::super::asked::Asked;
use super::super::board::state;
use super::super::body::Answer;
use super::super::live::{Live, Room};
use super::super::record::Record;
use super::super::refuse;
use super::answers::{personal_json, shared_json};
use super::own;
use crate::admission::extensions::EXTENSIONS;
use crate::admission::room::RoomState;
use crate::config::quiet::QuietHours;
use crate::config::settings::OnePlacePer;
use crate::pages::{Health, Language, Reason, RoomStatus, RuleFacts, StatusFacts, query_value};

fn language(asked: &Asked) -> Language {
    let named = query_value(asked.query.as_deref().unwrap_or_default(), "lang");
    named.and_then(|tag| Language::from_tag(&tag)).unwrap_or(asked.language)
}

fn shown(
    live: &Live,
    asked: &Asked,
    record: Record,
    reason: &'static str,
    page: Result<Response<Bytes>, String>,
) -> Response<Answer> {
    match page {
        Ok(page) => own(record, reason, page.map(|body| Answer::Own(Some(body)))),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            refuse::problem(live, asked, record, Reason::Internal, None)
        }
    }
}

/// The status of the service: a page for people, JSON for programs and for everybody under `/v1/`.
pub(super) fn status(proxy: &Proxy, live: &Live, asked: &Asked, record: Record) -> Response<Answer> {
    if !matches!(asked.method, Method::GET | Method::HEAD) {
        return super::not_allowed(live, asked, record, "GET, HEAD");
    }
    let health = || {
        let down = live.clusters.values().filter(|cluster| cluster.is_down()).count();
        match down {
            0 => Health::Up,
            all if all == live.clusters.len() => Health::Down,
            _ => Health::Partly,
        }
    };
    let rooms = || {
        live.rooms.iter().map(|(name, room)| {
            let facts = room.line.facts(&room.settings.policy);
            let (state, reason) = state(facts.state);
            let title = room.settings.title.as_str();
            let over = facts.state == RoomState::Ended;
            let waiting = if over { 0 } else { facts.issued.saturating_sub(facts.cursor) };
            (name.as_str(), RoomStatus { title, state, reason, waiting })
        })
    };
    let now = proxy.clock.unix().0;
    if asked.html && !asked.path.contains("/v1/") {
        let language = language(asked);
        let facts = || {
            let time =
                Timestamp::from_millisecond(i64::try_from(now).unwrap_or_default()).unwrap_or_default();
            let time = time.strftime("%H:%M:%S UTC").to_string();
            StatusFacts { health: health(), rooms: rooms().map(|(_, room)| room).collect(), time, language }
        };
        return shown(live, asked, record, "status", live.pages.status_at(now / 1000, language, facts));
    }
    let rooms: Vec<Value> = rooms()
        .map(|(name, room)| {
            json!({
                "room": name, "title": room.title, "state": room.state, "reason": room.reason,
                "waiting": room.waiting, "board": format!("/.tornello/v1/rooms/{name}/board"),
            })
        })
        .collect();
    let body = json!({ "v": 1, "service": health().word(), "rooms": rooms, "time_ms": now });
    let body = Bytes::from(body.to_string());
    // The other address is a page as well, by what is asked for: no cache may give one for the other.
    let one_form = asked.path.contains("/v1/");
    own(record, "status", if one_form { shared_json(body) } else { personal_json(body) })
}

/// The page with the rules of a room, from the configuration in force.
pub(super) fn rules(live: &Live, asked: &Asked, room: &Room, record: Record) -> Response<Answer> {
    let policy = &room.settings.policy;
    let quiet: Vec<String> = room.settings.quiet.iter().map(QuietHours::text).collect();
    let facts = RuleFacts {
        room: &room.line.name,
        title: &room.settings.title,
        call: policy.call,
        idle: policy.idle,
        session: policy.session,
        extensions: EXTENSIONS,
        seats: (policy.seats_floor, policy.seats_ceiling),
        poll: (policy.poll.min, policy.poll.max),
        lanes: &policy.lanes,
        slots: room.settings.slots.offer.then_some({
            let rule = &room.settings.slots.rule;
            (rule.after, rule.length)
        }),
        quiet: &quiet.join(", "),
        lots: room.settings.draw.is_some(),
        person: room.settings.one_place_per == OnePlacePer::Person,
        language: language(asked),
    };
    shown(live, asked, record, "rules", live.pages.rules_in_force(&facts))
}
