//! Lanes when the configuration changes: weights change at once, new lanes get numbers of their own, and
//! a lane in which somebody has a place stays.

use serde_json::{Value, json};

use crate::admission::lane::{LANES, LaneId};
use crate::admission::policy::LanePolicy;
use crate::config::settings::{Belongs, RoomSettings, Settings};
use crate::proxy::live::{Live, Room};

const KEEP: &str = "keep the lane, with a lower `weight` if need be; it can go when it is empty";

/// Refuses a configuration that would take away somebody's lane.
pub(super) fn keep(old: &Live, new: &Settings) -> Result<(), String> {
    for (name, room) in &old.rooms {
        let Some(settings) = new.rooms.get(name) else { continue };
        let (told, lanes) = (&room.settings.policy.lanes, &settings.policy.lanes);
        let known = room.line.with(|line| line.lanes_as_they_are());
        for lane in &known {
            let stays = lanes.iter().skip(1).any(|new| new.name == lane.name);
            if lanes.first().is_some_and(|first| first.name == lane.name) {
                let what =
                    format!("room.{name}.lanes: `{}` takes everybody else, which it did not", lane.name);
                is_empty(
                    room,
                    lane.id,
                    &what,
                    "keep the first lane first; they can change places when both are empty",
                )?;
            } else if !stays {
                is_empty(room, lane.id, &format!("room.{name}.lanes: `{}` is gone", lane.name), KEEP)?;
            }
        }
        let other = told.first().zip(lanes.first()).filter(|(old, new)| old.name != new.name);
        if let Some((old, new)) = other {
            let what = format!(
                "room.{name}.lanes: `{}` takes everybody else in the place of `{}`",
                new.name, old.name
            );
            is_empty(room, LaneId::FIRST, &what, KEEP)?;
        }
        let fresh = |lane: &&LanePolicy| known.iter().all(|known| known.name != lane.name);
        if known.len() + 1 + lanes.iter().skip(1).filter(fresh).count() > LANES {
            return Err(format!(
                "error: room.{name}.lanes: there were {} lanes in this room already\n  help: use one of their names again; {LANES} is all that a room can have in its life",
                known.len() + 1
            ));
        }
    }
    Ok(())
}

fn is_empty(room: &Room, lane: LaneId, what: &str, help: &str) -> Result<(), String> {
    let (waiting, here) = room.line.with(|line| line.living(lane));
    if waiting + here == 0 {
        return Ok(());
    }
    Err(format!(
        "error: {what}, but up to {waiting} people wait in it and {here} are called or inside\n  help: {help}"
    ))
}

/// Lanes that are new get their numbers. The configuration was [found good](keep) before.
pub(super) fn name(new: &Live) {
    new.rooms.values().for_each(|room| give_numbers(room));
}

fn give_numbers(room: &Room) {
    if !room.line.name_lanes(&room.settings.policy) {
        tracing::error!(
            room = room.line.name,
            "there are too many lanes: who would be in the last ones stands in the first"
        );
    }
}

/// The lanes among the rules of a room: who belongs in each by what proves it, and its weight. Whose addresses
/// they are is nobody's business.
pub(super) fn told(room: &RoomSettings) -> Value {
    let lane = |lane: &LanePolicy| {
        let settings = room.lanes.iter().find(|known| known.name == lane.name);
        let by = match settings.map(|settings| &settings.belongs) {
            Some(Belongs::Claim(_)) => "claim",
            Some(Belongs::Header { .. }) => "header",
            Some(Belongs::Addresses(_)) => "address",
            None => "everybody_else",
        };
        json!({ "name": lane.name, "weight": lane.weight, "by": by })
    };
    room.policy.lanes.iter().map(lane).collect()
}

/// After a start: lanes get their numbers. Says which ones the configuration names no more though somebody
/// waits there; they are called with a weight of one.
pub(super) fn begin(room: &Room) {
    give_numbers(room);
    for lane in room.line.with(|line| line.lanes_as_they_are()) {
        let named = room.settings.policy.lanes.iter().skip(1).any(|known| known.name == lane.name);
        let (waiting, _) = room.line.with(|line| line.living(lane.id));
        if !named && waiting > 0 {
            tracing::warn!(
                room = room.line.name,
                lane = lane.name,
                waiting,
                "people wait in a lane that the configuration names no more; it counts with a weight of 1"
            );
        }
    }
}
