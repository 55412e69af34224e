//! The waiting room's part of the request path: who is inside, who comes in now, who waits.

use std::time::Duration;

use super::Proxy;
use super::asked::Asked;
use super::headers::{Told, cookie};
use super::identify::Identity;
use super::live::{Room, Route};
use super::person;
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
    /// Its number; 0 if it has none.
    pub number: u64,
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
        Self { class, pass: None, number: 0, cookie: None, straight: false, reason: "no_room" }
    }
}

/// Checks a request in at its route's room.
///
/// # Errors
/// [`Refusal::Waiting`] for whoever has to wait, [`Refusal::Closed`] where there is nothing to wait in yet,
/// [`Refusal::Ended`] where there is not any more.
pub fn check_in(
    proxy: &Proxy,
    room: &Room,
    route: &Route,
    who: &Identity,
    asked: &Asked,
    now: Moment,
) -> Result<Entry, Refusal> {
    let policy = &room.settings.policy;
    let unix = proxy.clock.unix();
    // All that takes time is done before the room is locked, once.
    let shown = who.pass.as_ref().map(|pass| ShownPass {
        id: pass.id,
        number: pass.number,
        age: unix.since(pass.time),
        finishing: asked.is_unsafe(),
        older_than_we: pass.time < proxy.started,
    });
    let comes_in = asked.navigation || who.person.is_some();
    // A person who navigates with a called ticket claims by that; scripts ask for it.
    let ticket = who.ticket.as_ref().filter(|_| comes_in);
    let claims = ticket.map(|ticket| ticket.pass(&proxy.ring, unix));
    let fresh = || {
        let (room, id) = (room.line.id, proxy.random_id());
        Claims { kind: Kind::Pass, room, epoch: 0, number: 0, index: None, time: unix, id, moves: 0 }
    };
    let door = room.line.with(|line| {
        if let Some(shown) = &shown {
            match line.touch(policy, shown, now) {
                Touch::Live => return Door::Inside(shown.id, Class::Admitted, "pass"),
                Touch::Revived => return Door::Inside(shown.id, Class::Finish, "revived"),
                Touch::Over => {}
            }
        }
        if let Some(pass) = &claims {
            match line.claim(policy, pass.number, pass.id, now) {
                Claim::Admitted => {
                    // And goes on by this request, which is what the seat is for.
                    let asks = ShownPass {
                        id: pass.id,
                        number: pass.number,
                        age: Duration::ZERO,
                        finishing: false,
                        older_than_we: false,
                    };
                    line.touch(policy, &asks, now);
                    return Door::Granted(*pass, "claimed");
                }
                Claim::Done => {}
                Claim::FrontRow { .. } | Claim::Late { .. } | Claim::Waiting { .. } | Claim::SoldOut => {
                    return Door::Waits(line.state(policy));
                }
            }
        }
        match line.state(policy) {
            RoomState::Open if !person::may_begin(room, who) => Door::Nameless,
            RoomState::Open if !comes_in => Door::Past,
            RoomState::Open => {
                let pass = fresh();
                let reason = if policy.open { "open_by_order" } else { "open" };
                if line.enter(policy, pass.id, now) {
                    Door::Granted(pass, reason)
                } else {
                    Door::Waits(line.state(policy))
                }
            }
            waits => Door::Waits(waits),
        }
    });
    match door {
        Door::Inside(pass, class, reason) => {
            let number = who.pass.map_or(0, |pass| pass.number);
            Ok(Entry { class, pass: Some(pass), number, cookie: None, straight: false, reason })
        }
        Door::Granted(claims, reason) => {
            let given = claims.id;
            let claims = if claims.number == 0 {
                settled(proxy, room, who, claims, now)
            } else {
                // A visit may end with this request, and its copies must be known by then.
                person::settle(proxy, room, &mut { *who }, None, now);
                claims
            };
            let token = proxy.ring.sign(&claims);
            let cookie = cookie("pass", &room.line.name, &token, asked.secure);
            // What another device of the person holds is not ours to take back.
            let straight = claims.number == 0 && claims.id == given;
            Ok(Entry {
                class: Class::Admitted,
                pass: Some(claims.id),
                number: claims.number,
                cookie: Some(cookie),
                straight,
                reason,
            })
        }
        Door::Past => Ok(Entry { reason: "open", ..Entry::past(route.settings.class) }),
        Door::Nameless => Err(nameless(room, asked)),
        Door::Waits(state) => Err(wait(state, asked)),
    }
}

/// The pass by which a person comes in without a number: on all devices the same.
fn settled(proxy: &Proxy, room: &Room, who: &Identity, fresh: Claims, now: Moment) -> Claims {
    let mut who = *who;
    if !person::counts(room, &who) {
        return fresh;
    }
    person::settle(proxy, room, &mut who, Some(fresh), now);
    who.pass.unwrap_or(fresh)
}

/// What the room said, in one look.
enum Door {
    /// Under this pass, which was shown.
    Inside(PassId, Class, &'static str),
    /// Comes in with this pass.
    Granted(Claims, &'static str),
    /// Goes on without one: nobody waits.
    Past,
    /// Must say first who it is.
    Nameless,
    /// Does not come in now.
    Waits(RoomState),
}

/// The request goes no further: a session that only began with it is taken back, and its seat with it.
pub fn undo(room: Option<&Room>, entry: &Entry) {
    if let (Some(room), Some(pass), true) = (room, entry.pass, entry.straight) {
        room.line.with(|line| line.take_back(&pass));
    }
}

/// What the upstream said of a session and of what is left, in its answer to a request that began at
/// `begun`. True if it ended the session.
pub fn hear(proxy: &Proxy, room: &Room, entry: &Entry, told: &Told, begun: Moment) -> bool {
    if let Some(units) = told.remaining {
        room.line.with(|line| line.remain(units, begun, proxy.clock.now()));
    }
    let (Some(pass), Some(said)) = (entry.pass, told.session.as_deref()) else { return false };
    let now = proxy.clock.now();
    match said.trim() {
        "end" | "done" | "revoke" => return room.line.with(|line| line.end(&pass, now)),
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
    false
}

/// Nothing says who this is. Where codes invite, the page asks for one, whether anybody waits or not.
pub(super) fn nameless(room: &Room, asked: &Asked) -> Refusal {
    if room.settings.invites {
        wait(room.line.facts(&room.settings.policy).state, asked)
    } else {
        Refusal::NotBelieved
    }
}

fn wait(state: RoomState, asked: &Asked) -> Refusal {
    let not_sent = asked.is_unsafe();
    match state {
        RoomState::Closed => Refusal::Closed { not_sent },
        RoomState::Ended => Refusal::Ended,
        RoomState::Held(reason) => Refusal::Waiting { held: Some(reason), not_sent },
        RoomState::Prequeue | RoomState::Open | RoomState::Queueing => {
            Refusal::Waiting { held: None, not_sent }
        }
    }
}
