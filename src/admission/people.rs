//! One person, one place: which place of a room each identified person holds.
//!
//! Kept by a keyed hash of the person, whose key lives and goes with the room: nothing here can be traced
//! back to anybody. A place is its ticket, or the pass of whoever came in without waiting. People may come
//! with several tickets, taken in several browsers before anybody knew who they were; of these they keep
//! one, see [`keep`].
//!
//! Memory: 36 bytes a person in a B-tree, and a bit a number. Order is by number: whoever joined first.
//! Two people meet in one key with a probability of n² / 2⁶⁵: 3 in 10⁸ for a million.

use std::collections::{BTreeMap, BTreeSet};

use super::lane::LaneId;
use super::number_set::NumberSet;
use super::ticket::{Claims, Kind, RoomId};
use super::{PersonKey, UnixTime};

/// A person in one room.
pub type RoomKey = u64;

/// Bytes of a place.
pub const LENGTH: usize = 28;
/// A place as it is kept: id (16), number (5, little endian, the highest bit is set of a pass), epoch (1),
/// joined in unix seconds (4), tens of seconds
/// from then to when it was first seen inside (2), 0 if it was not.
pub type PlaceBytes = [u8; LENGTH];

const PASS: u64 = 1 << 39;
const TEN_SECONDS_MS: u64 = 10_000;

/// What a person holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The ticket or pass, its time in whole seconds.
    pub claims: Claims,
    /// When its holder was first seen inside, rounded up to ten seconds.
    pub entered: Option<UnixTime>,
}

/// How far a place has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits, is called, late, or in the front row.
    Waits,
    /// Its holder is inside.
    Inside,
    /// It was used or given up.
    Over,
}

/// Which of two places of one person stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The one that the person held; the other is given up.
    Held,
    /// The one that the person shows; the one held is given up.
    Shown,
}

/// Of two places the one that is inside stays, else the one that was joined first. A place that was taken
/// before the other one got in is a copy of it, even if that is over by now: else people with many
/// browsers would go in once with each. One that was taken later is another visit.
#[must_use]
pub fn keep(held: &Place, held_is: Stage, shown: &Claims, shown_is: Stage) -> Keep {
    match (held_is, shown_is) {
        (_, Stage::Over) | (Stage::Inside, _) => Keep::Held,
        (Stage::Waits, Stage::Inside) => Keep::Shown,
        // What was inside once may be so still: a process that was killed knows of no visits.
        // Numbers of two lanes tell nothing of who was first.
        (Stage::Waits, Stage::Waits)
            if held.entered.is_none()
                && LaneId::of(shown.number) == LaneId::of(held.claims.number)
                && shown.number < held.claims.number =>
        {
            Keep::Shown
        }
        (Stage::Waits, Stage::Waits) => Keep::Held,
        (Stage::Over, _) => match held.entered {
            Some(entered) if shown.time < entered => Keep::Held,
            _ => Keep::Shown,
        },
    }
}

/// Everybody's place in one room.
#[derive(Debug, Default)]
pub struct People {
    places: BTreeMap<RoomKey, PlaceBytes>,
    /// Numbers that are somebody's.
    numbers: NumberSet,
    /// Passes without a number that are somebody's: half of their ids.
    doors: BTreeSet<u64>,
    /// Whose place changed and is not durable yet, and which change was the last.
    unkept: BTreeMap<RoomKey, u64>,
    changes: u64,
}

/// What must be made durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The places, as they are now.
    pub places: Vec<(RoomKey, PlaceBytes)>,
    /// How many changes there had been by then.
    pub count: u64,
}

impl People {
    /// As they were left.
    #[must_use]
    pub fn restore(places: Vec<(RoomKey, PlaceBytes)>) -> Self {
        let of_numbers = places.iter().map(|(_, bytes)| number(bytes) & !PASS);
        let numbers = of_numbers.filter(|number| *number > 0).collect();
        let doors = places.iter().filter_map(|(_, bytes)| door(bytes)).collect();
        Self { places: places.into_iter().collect(), numbers, doors, ..Self::default() }
    }

    /// The place of a person.
    #[must_use]
    pub fn place(&self, key: RoomKey, room: RoomId) -> Option<Place> {
        self.places.get(&key).map(|bytes| read(bytes, room))
    }

    /// Whether a place is known to be somebody's.
    #[must_use]
    pub fn is_held(&self, claims: &Claims) -> bool {
        match (claims.number, claims.kind) {
            (0, Kind::Pass) => self.doors.contains(&half(&claims.id)),
            (0, Kind::Ticket) => false,
            (number, _) => self.numbers.contains(number),
        }
    }

    /// Gives a person this place. False, and nothing changes, if it is beyond what can be kept.
    pub fn hold(&mut self, key: RoomKey, claims: &Claims) -> bool {
        let Some(bytes) = written(claims) else { return false };
        let old = self.places.insert(key, bytes);
        if let Some(old) = old.as_ref().and_then(door) {
            self.doors.remove(&old);
        }
        self.doors.extend(door(&bytes));
        if let Some(old) = old.map(|old| number(&old) & !PASS).filter(|old| *old > 0) {
            self.numbers.remove(old);
        }
        if claims.number > 0 {
            self.numbers.insert(claims.number);
        }
        self.changed(key);
        true
    }

    /// The person is seen inside. Only the first time counts.
    pub fn enter(&mut self, key: RoomKey, now: UnixTime) {
        let Some(bytes) = self.places.get_mut(&key) else { return };
        let [.., a, b, c, d, low, high] = bytes;
        if (*low, *high) != (0, 0) {
            return;
        }
        let joined = UnixTime(u64::from(u32::from_le_bytes([*a, *b, *c, *d])) * 1_000);
        let tens = now.0.saturating_sub(joined.0) / TEN_SECONDS_MS + 1;
        [*low, *high] = u16::try_from(tens).unwrap_or(u16::MAX).to_le_bytes();
        self.changed(key);
    }

    fn changed(&mut self, key: RoomKey) {
        self.changes += 1;
        self.unkept.insert(key, self.changes);
    }

    /// How many changes there were in this life.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How many people have a place, or had one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Nobody was identified yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What must be made durable.
    #[must_use]
    pub fn unkept(&self) -> Changes {
        let place = |key: &RoomKey| Some((*key, *self.places.get(key)?));
        Changes { places: self.unkept.keys().filter_map(place).collect(), count: self.changes }
    }

    /// These are durable by now. Who changed again since is written again, even if back to the same: somebody
    /// waits for that change.
    pub fn kept(&mut self, changes: &Changes) {
        for (key, _) in &changes.places {
            if self.unkept.get(key).is_some_and(|change| *change <= changes.count) {
                self.unkept.remove(key);
            }
        }
    }
}

/// A person in a room: the hash changes with the room's key.
#[must_use]
pub fn room_key(secret: &[u8; 32], person: &PersonKey) -> RoomKey {
    use hmac::{Hmac, KeyInit, Mac};
    let mac: Hmac<sha2::Sha256> = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
    let full: [u8; 32] =
        mac.chain_update(b"tornello-person-v1").chain_update(person.0).finalize().into_bytes().into();
    let [a, b, c, d, e, f, g, h, ..] = full;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A time as it is kept with a place, so that a ticket is the same bytes whenever it is made.
#[must_use]
pub fn whole_seconds(time: UnixTime) -> UnixTime {
    UnixTime(time.0 / 1_000 * 1_000)
}

fn half(id: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Half of its id, if it is a pass without a number.
fn door(bytes: &PlaceBytes) -> Option<u64> {
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _] = bytes;
    (number(bytes) == PASS).then(|| half(id))
}

fn number(bytes: &PlaceBytes) -> u64 {
    let [.., a, b, c, d, e, _, _, _, _, _, _, _] = *bytes;
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
}

fn written(claims: &Claims) -> Option<PlaceBytes> {
    let pass = if claims.kind == Kind::Pass { PASS } else { 0 };
    let number = (claims.number < PASS).then(|| (claims.number | pass).to_le_bytes())?;
    let (epoch, seconds) = (u8::try_from(claims.epoch).ok()?, u32::try_from(claims.time.0 / 1_000).ok()?);
    let mut bytes = [0; LENGTH];
    let parts = claims.id.iter().chain(number.iter().take(5)).copied();
    let parts = parts.chain([epoch]).chain(seconds.to_le_bytes());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    Some(bytes)
}

fn read(bytes: &PlaceBytes, room: RoomId) -> Place {
    let [id @ .., _, _, _, _, _, epoch, a, b, c, d, low, high] = *bytes;
    let (number, seconds) = (number(bytes), u64::from(u32::from_le_bytes([a, b, c, d])));
    let kind = if number & PASS == 0 { Kind::Ticket } else { Kind::Pass };
    let (number, time) = (number & !PASS, UnixTime(seconds * 1_000));
    let tens = u64::from(u16::from_le_bytes([low, high]));
    let entered = (tens > 0).then(|| UnixTime(time.0 + tens * TEN_SECONDS_MS));
    // How often it moved is not kept here: see `moves`.
    let claims = Claims { kind, room, epoch: epoch.into(), number, index: None, time, id, moves: 0 };
    Place { claims, entered }
}

#[cfg(test)]
mod tests;
