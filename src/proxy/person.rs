//! One person, one place: what a browser shows and what its person holds become one.
//!
//! In rooms with one place per person, whoever is identified stands by the place of that person, whatever
//! the browser shows. A place that the browser took before is merged with it, and one of the two is given
//! up. A ticket or pass that is known to be somebody else's counts as none: the next user of a shared
//! computer does not stand in the place of the last one. Where lots are drawn a place has its person from the
//! moment when it is entered, and nothing is left to merge: see [`Line::enter`](crate::store::line::Line::enter).

use super::Proxy;
use super::identify::{EventKey, Identity};
use super::live::Room;
use crate::admission::lane::LaneId;
use crate::admission::people::{Keep, People, Place, RoomKey, Stage, keep, whole_seconds};
use crate::admission::room::{Claim, PassId, Room as State};
use crate::admission::ticket::{Claims, Kind};
use crate::admission::{Moment, PersonKey, UnixTime};
use crate::config::settings::OnePlacePer;

/// The person whom a request is from, where that counts.
fn of(room: &Room, who: &Identity) -> Option<PersonKey> {
    who.person.filter(|_| room.settings.one_place_per == OnePlacePer::Person)
}

/// What the person is called in this room, where that counts.
pub(super) fn key(room: &Room, who: &Identity) -> Option<RoomKey> {
    of(room, who).map(|person| room.line.key_of(&person))
}

/// Whether a place is this person's, and not only this browser's.
pub(super) fn counts(room: &Room, who: &Identity) -> bool {
    of(room, who).is_some()
}

/// Whether nobody may come in or take a place whom nothing identifies. A ticket or pass was given to
/// somebody who was.
pub(super) fn must_say_who(room: &Room, who: &Identity) -> bool {
    let known = who.person.is_some() || who.ticket.is_some() || who.pass.is_some();
    room.settings.require_identity && !known
}

/// Whether something new may begin: a place, or a visit without one. What an ended ticket or pass was once
/// given to is nobody in particular.
pub(super) fn may_begin(room: &Room, who: &Identity) -> bool {
    !room.settings.require_identity || who.person.is_some()
}

/// A ticket's time, so that it is the same bytes on every device.
pub(super) fn joined(room: &Room, who: &Identity, now: UnixTime) -> UnixTime {
    of(room, who).map_or(now, |_| whole_seconds(now))
}

/// Where the person stands, changing nothing.
pub(super) fn look(room: &Room, who: &mut Identity, event: &EventKey) {
    let Some(key) = key(room, who) else { return };
    let (held, foreign) = room.line.with_people(|people, _| {
        let held = place(people, room, key);
        (held, foreign(people, room, held.as_ref(), who))
    });
    stand_by(room, who, held, foreign);
    room.recognise(who, event);
}

/// The ticket of a person who has none yet, with the next number of the lane; of one who has, that. Whoever is
/// inside without one is told so by no ticket.
///
/// # Errors
/// [`NoNumber`] if none came in time.
pub(super) async fn take_number(
    proxy: &Proxy,
    room: &Room,
    who: &Identity,
    lane: LaneId,
    ticket: Claims,
) -> Result<Option<Claims>, NoNumber> {
    let Some(key) = key(room, who) else {
        let number = room.line.join(lane).await.ok_or(NoNumber)?;
        return Ok(Some(Claims { number, ..ticket }));
    };
    let taken = room.line.join_as(|people, line| {
        let held = place(people, room, key).map(|held| held.claims);
        let is_over = |held: &Claims| stage(line, held, &pass_of(proxy, held)) == Stage::Over;
        if let Some(held) = held.filter(|held| !is_over(held)) {
            return Ok(Some(held).filter(|held| held.kind == Kind::Ticket));
        }
        let fresh = Claims { number: line.join_in(lane)?, ..ticket };
        people.hold(key, &fresh);
        Ok(Some(fresh))
    });
    taken.await.ok_or(NoNumber)
}

/// No number was durable in time.
#[derive(Debug)]
pub(super) struct NoNumber;

/// The pass of a ticket, or this one.
fn pass_of(proxy: &Proxy, claims: &Claims) -> PassId {
    match claims.kind {
        Kind::Ticket => claims.pass(&proxy.ring, claims.time).id,
        Kind::Pass => claims.id,
    }
}

/// Merges what is shown, and the pass `fresh` that was only now given, with what the person holds. True if that
/// changed anything.
pub(super) fn settle(
    proxy: &Proxy,
    room: &Room,
    who: &mut Identity,
    fresh: Option<Claims>,
    now: Moment,
) -> bool {
    let Some(key) = key(room, who) else { return false };
    let unix = proxy.clock.unix();
    let pass_of = |claims: &Claims| pass_of(proxy, claims);
    let (held, foreign, changed) = room.line.with_people(|people, line| {
        let before = people.changes();
        let foreign = foreign(people, room, place(people, room, key).as_ref(), who);
        let shown = [who.ticket.filter(|_| !foreign.0), who.pass.filter(|_| !foreign.1), fresh];
        // Looked at here, where nobody can begin to move it meanwhile: what is another device's is not this person's.
        let stays = |shown: &Claims| !room.line.is_gone(shown) && !room.line.is_moving(shown);
        for shown in shown.into_iter().flatten().filter(stays) {
            let shown_is = stage(line, &shown, &pass_of(&shown));
            let Some(held) = place(people, room, key) else {
                if shown_is != Stage::Over {
                    people.hold(key, &shown);
                }
                continue;
            };
            if is_same(&held.claims, &shown) {
                continue;
            }
            let held_is = stage(line, &held.claims, &pass_of(&held.claims));
            let comes_again = held_is == Stage::Over && Some(shown) == fresh;
            let lost = match keep(&held, held_is, &shown, shown_is) {
                Keep::Held if !comes_again => shown,
                _ if people.hold(key, &shown) => held.claims,
                _ => shown,
            };
            give_up(line, &lost, &pass_of(&lost), now);
        }
        let held = place(people, room, key);
        if held.is_some_and(|held| stage(line, &held.claims, &pass_of(&held.claims)) == Stage::Inside) {
            people.enter(key, unix);
        }
        (held, foreign, people.changes() != before)
    });
    stand_by(room, who, held, foreign);
    room.recognise(who, &proxy.event);
    changed
}

/// The person's place; of a lot with the number that was drawn for it.
fn place(people: &People, room: &Room, key: RoomKey) -> Option<Place> {
    let place = people.place(key, room.line.id)?;
    Some(Place { claims: room.line.resolve(place.claims), ..place })
}

/// Whether the ticket and the pass that are shown are known to be another person's.
fn foreign(people: &People, room: &Room, held: Option<&Place>, who: &Identity) -> (bool, bool) {
    let is = |shown: Option<Claims>| {
        shown.is_some_and(|shown| {
            people.is_held(&shown, room.line.lot_of(&shown))
                && !held.is_some_and(|held| is_same(&held.claims, &shown))
        })
    };
    (is(who.ticket), is(who.pass))
}

/// One place: a ticket, its copies and its pass. A lot is the same before it has a number and after it.
pub(super) fn is_same(one: &Claims, other: &Claims) -> bool {
    match (one.index, other.index) {
        (Some(one), Some(other)) => one == other,
        _ if one.number > 0 || other.number > 0 => one.number == other.number,
        _ => one.id == other.id,
    }
}

fn stage(line: &State, claims: &Claims, pass: &PassId) -> Stage {
    match line.look(claims.number, pass) {
        Claim::Admitted => Stage::Inside,
        Claim::Done => Stage::Over,
        _ if claims.kind == Kind::Pass => Stage::Over,
        _ => Stage::Waits,
    }
}

fn give_up(line: &mut State, claims: &Claims, pass: &PassId, now: Moment) {
    if claims.number > 0 {
        line.leave(claims.number, pass, now);
    } else {
        line.end(pass, now);
    }
}

fn stand_by(room: &Room, who: &mut Identity, held: Option<Place>, (ticket, pass): (bool, bool)) {
    who.ticket = who.ticket.filter(|_| !ticket);
    who.pass = who.pass.filter(|_| !pass);
    // A lot that is not on the disk is told to nobody yet: whoever joins waits for it.
    let Some(Place { claims, .. }) = held.filter(|held| room.line.is_there(&held.claims)) else { return };
    // Before they signed in it may have moved; since then it is theirs wherever they are.
    let claims = room.line.at_last(claims);
    let mine = who.pass.filter(|pass| is_same(pass, &claims));
    match claims.kind {
        Kind::Ticket => (who.ticket, who.pass) = (Some(claims), mine),
        Kind::Pass => (who.ticket, who.pass) = (None, mine.or(Some(claims))),
    }
}
