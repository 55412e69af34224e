//! Which place a code or a number is of.

use axum::http::StatusCode;
use serde::Deserialize;

use crate::admission::lane::{LaneFacts, LaneId, is_whole};
use crate::admission::ticket::{Claims, Kind, TEXT_LENGTH, TokenError};
use crate::proxy::Proxy;
use crate::proxy::lane::lanes;
use crate::proxy::live::{Live, Room};

/// Of which room and which of its lanes it should be.
#[derive(Debug, Deserialize)]
pub(in crate::admin) struct Asked {
    room: Option<String>,
    lane: Option<String>,
}

/// What is asked about.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) room: &'a Room,
    /// The whole one, which says its lane.
    pub(super) number: u64,
    /// What the code says, if it is one.
    pub(super) claims: Option<Claims>,
}

/// Why nothing can be told, for people.
pub(super) type Why = (StatusCode, String);

/// The place; `text` is a code or a number.
pub(super) fn find<'a>(proxy: &Proxy, live: &'a Live, asked: &Asked, text: &str) -> Result<Place<'a>, Why> {
    let names = || live.rooms.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let named = asked
        .room
        .as_deref()
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
        return Ok(Place { room, number: in_lane(room, asked.lane.as_deref(), number)?, claims: None });
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
    if let Some(named) = &asked.lane {
        let not = |is: &str| unreadable(format!("the code is of {is}, not of lane `{named}`"));
        match lane_of(room, claims.number).filter(|_| claims.number > 0) {
            Some((is, _)) if is == *named => {}
            Some((is, _)) => return Err(not(&format!("lane `{is}`"))),
            None => return Err(not("no lane")),
        }
    }
    Ok(Place { room, number: claims.number, claims: Some(claims) })
}

/// The whole number, of one that a citizen says, who knows it by lane, or that a receipt says, which is whole.
fn in_lane(room: &Room, named: Option<&str>, number: u64) -> Result<u64, Why> {
    let name = &room.line.name;
    if !is_whole(number) {
        return Err(unreadable(format!("there is no number {number}")));
    }
    let lanes = lanes(room);
    if lanes.is_empty() {
        return match named {
            Some(_) => Err(unreadable(format!("room `{name}` has one line, and no lanes"))),
            None if LaneId::of(number) == LaneId::FIRST => Ok(number),
            None => Err(unreadable(format!("there is no number {number}: room `{name}` has no lanes"))),
        };
    }
    let names = || lanes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let says_its_lane = LaneId::of(number) != LaneId::FIRST;
    let id = match named {
        Some(named) => {
            lanes.iter().find(|(name, _)| name == named).map(|(_, facts)| facts.id).ok_or_else(|| {
                (StatusCode::NOT_FOUND, format!("room `{name}` has no lane `{named}`; it has: {}", names()))
            })?
        }
        None if says_its_lane => LaneId::of(number),
        None => {
            return Err(unreadable(format!(
                "number {number} says no lane: name the lane with --lane; room `{name}` has: {}",
                names()
            )));
        }
    };
    match lanes.iter().find(|(_, facts)| facts.id == LaneId::of(number)) {
        _ if !says_its_lane => Ok(id.origin() + number),
        Some(_) if id == LaneId::of(number) => Ok(number),
        Some((is, _)) => Err(unreadable(format!(
            "number {number} is of lane `{is}`, not of `{}`",
            named.unwrap_or_default()
        ))),
        None => Err(unreadable(format!("no lane of room `{name}` has a number {number}"))),
    }
}

/// The lane of a number, and how it is; `None` where there is one line.
pub(super) fn lane_of(room: &Room, number: u64) -> Option<(String, LaneFacts)> {
    lanes(room).into_iter().find(|(_, facts)| facts.id == LaneId::of(number))
}

fn unreadable(why: String) -> Why {
    (StatusCode::UNPROCESSABLE_ENTITY, why)
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
