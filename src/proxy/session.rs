//! The waiting room's part of the request path: who is inside, who comes in now, who waits.

use std::time::Duration;

use super::Proxy;
use super::asked::Asked;
use super::headers::{Told, cookie};
use super::identify::Identity;
use super::live::{Room, Route};
use crate::admission::room::{Claim, PassId, RoomState, ShownPass, Touch};
use crate::admission::ticket::{Claims, Kind};
use crate::admission::{Class, Moment, Refusal};

/// How a request came in.
#[derive(Debug)]
pub struct Entry {
    /// How much it matters.
    pub class: Class,
    /// The session that it belongs to.
    pub pass: Option<PassId>,
    /// A cookie that the answer sets.
    pub cookie: Option<String>,
    /// Its session begins with this request, without a number.
    pub straight: bool,
    /// Why, for the log.
    pub reason: &'static str,
}

impl Entry {
    /// Past the room, or where there is none.
    #[must_use]
    pub fn past(class: Class) -> Self {
        Self { class, pass: None, cookie: None, straight: false, reason: "no_room" }
    }
}

/// Checks a request in at its route's room.
///
/// # Errors
/// [`Refusal::Waiting`] for whoever has to wait.
pub fn check_in(
    proxy: &Proxy,
    room: &Room,
    route: &Route,
    who: &Identity,
    asked: &Asked,
    now: Moment,
) -> Result<Entry, Refusal> {
    let policy = &room.settings.policy;
    if let Some(pass) = &who.pass {
        let age = proxy.clock.unix().since(pass.time);
        let shown = ShownPass {
            id: pass.id,
            number: pass.number,
            age,
            finishing: asked.is_unsafe(),
            older_than_we: pass.time < proxy.started,
        };
        match room.line.with(|line| line.touch(policy, &shown, now)) {
            Touch::Live => return Ok(inside(pass.id, Class::Admitted, "pass")),
            Touch::Revived => return Ok(inside(pass.id, Class::Finish, "revived")),
            Touch::Over => {}
        }
    }
    let grant = |claims: &Claims, reason| {
        let token = proxy.ring.sign(claims);
        let cookie = cookie("pass", &room.line.name, &token, asked.secure);
        let straight = claims.number == 0;
        Entry { class: Class::Admitted, pass: Some(claims.id), cookie: Some(cookie), straight, reason }
    };
    // A person who navigates with a called ticket claims by that; scripts ask for it.
    if let Some(ticket) = who.ticket.as_ref().filter(|_| asked.navigation || who.person) {
        let pass = ticket.pass(&proxy.ring, proxy.clock.unix());
        let claim = room.line.with(|line| line.claim(policy, ticket.number, pass.id, now));
        if claim == Claim::Admitted {
            return Ok(grant(&pass, "claimed"));
        }
        if claim != Claim::Done {
            return Err(wait(state(room), asked));
        }
    }
    let now_is = state(room);
    if now_is != RoomState::Open {
        return Err(wait(now_is, asked));
    }
    if !asked.navigation && !who.person {
        return Ok(Entry { reason: "open", ..Entry::past(route.settings.class) });
    }
    let (time, id) = (proxy.clock.unix(), proxy.random_id());
    let fresh = Claims { kind: Kind::Pass, room: room.line.id, epoch: 0, number: 0, time, id };
    if room.line.with(|line| line.enter(policy, fresh.id, now)) {
        Ok(grant(&fresh, if policy.open { "open_by_order" } else { "open" }))
    } else {
        Err(wait(state(room), asked))
    }
}

/// The request goes no further: a session that only began with it is taken back, and its seat with it.
pub fn undo(room: Option<&Room>, entry: &Entry) {
    if let (Some(room), Some(pass), true) = (room, entry.pass, entry.straight) {
        room.line.with(|line| line.take_back(&pass));
    }
}

/// What the upstream said of a session and of what is left.
pub fn hear(proxy: &Proxy, room: &Room, entry: &Entry, told: &Told) {
    if let Some(units) = told.remaining {
        room.line.with(|line| line.remain(units));
    }
    let (Some(pass), Some(said)) = (entry.pass, told.session.as_deref()) else { return };
    let now = proxy.clock.now();
    match said.trim() {
        "end" | "done" | "revoke" => {
            room.line.with(|line| line.end(&pass, now));
        }
        said => match said.strip_prefix("extend=").map(str::parse::<jiff::SignedDuration>) {
            Some(Ok(longer)) => {
                let longer = Duration::try_from(longer).unwrap_or_default();
                room.line.with(|line| line.extend(&pass, longer, now));
            }
            _ => tracing::warn!(
                room = room.line.name,
                said,
                "Tornello-Session not understood; known: end, revoke, extend=10m"
            ),
        },
    }
}

fn inside(pass: PassId, class: Class, reason: &'static str) -> Entry {
    Entry { class, pass: Some(pass), cookie: None, straight: false, reason }
}

fn state(room: &Room) -> RoomState {
    room.line.with(|line| line.state(&room.settings.policy))
}

fn wait(state: RoomState, asked: &Asked) -> Refusal {
    let held = match state {
        RoomState::Held(reason) => Some(reason),
        RoomState::Open | RoomState::Queueing => None,
    };
    Refusal::Waiting { held, not_sent: asked.is_unsafe() }
}
