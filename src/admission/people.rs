//! One person, one place: which place of a room each identified person holds.
//!
//! Kept by a keyed hash of the person, whose key lives and goes with the room: nothing here can be traced
//! back to anybody. A place is its ticket, or the pass of whoever came in without waiting. People may come
//! with several tickets, taken in several browsers before anybody knew who they were; of these they keep
//! one, see [`keep`]. Where lots are drawn a place is kept by its index in the log, from which its number
//! follows when there is one.
//!
//! Memory: 36 bytes a person in a B-tree, and a bit a number. Order is by number, or by index: whoever joined
//! first, never whoever was drawn first.
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
/// A place as it is kept: id (16), number or index (5, little endian, the highest bit is set of a pass, that above
/// 34 of an index), epoch (1), joined in unix seconds (4), tens of seconds
/// from then to when it was first seen inside (2), 0 if it was not.
pub type PlaceBytes = [u8; LENGTH];

const PASS: u64 = 1 << 39;
/// No lane gives so many numbers.
const LOT: u64 = 1 << 34;
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
        (Stage::Waits, Stage::Waits) if held.entered.is_none() && came_before(shown, &held.claims) => {
            Keep::Shown
        }
        (Stage::Waits, Stage::Waits) => Keep::Held,
        (Stage::Over, _) => match held.entered {
            Some(entered) if shown.time < entered => Keep::Held,
            _ => Keep::Shown,
        },
    }
}

/// Numbers of two lanes tell nothing of who was first, and those that were drawn tell nothing at all: of lots the
/// one that was entered first is, and whoever has none came later.
fn came_before(one: &Claims, other: &Claims) -> bool {
    match (one.index, other.index) {
        (Some(one), Some(other)) => one < other,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => LaneId::of(one.number) == LaneId::of(other.number) && one.number < other.number,
    }
}

/// Everybody's place in one room.
#[derive(Debug, Default)]
pub struct People {
    places: BTreeMap<RoomKey, PlaceBytes>,
    /// Numbers that are somebody's.
    numbers: NumberSet,
    /// Lots that are, by index.
    lots: NumberSet,
    /// Passes without a number that are somebody's: half of their ids.
    doors: BTreeSet<u64>,
    /// Whose place changed and is not durable yet, and which change was the last.
    unkept: BTreeMap<RoomKey, u64>,
    changes: u64,
}

/// By what a place is known to be somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Its number.
    Number(u64),
    /// Its index in the log of those who came before the opening.
    Lot(u32),
    /// Half of the id of a pass without a number.
    Door(u64),
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
        let mut people = Self::default();
        places.iter().for_each(|(_, bytes)| people.know(bytes));
        Self { places: places.into_iter().collect(), ..people }
    }

    fn know(&mut self, bytes: &PlaceBytes) {
        match known(bytes) {
            Some(Known::Number(number)) => self.numbers.insert(number),
            Some(Known::Lot(index)) => self.lots.insert(index.into()),
            Some(Known::Door(half)) => self.doors.insert(half),
            None => false,
        };
    }

    fn forget(&mut self, bytes: &PlaceBytes) {
        match known(bytes) {
            Some(Known::Number(number)) => self.numbers.remove(number),
            Some(Known::Lot(index)) => self.lots.remove(index.into()),
            Some(Known::Door(half)) => self.doors.remove(&half),
            None => false,
        };
    }

    /// The place of a person. That of a lot has no number: it follows from the draw.
    #[must_use]
    pub fn place(&self, key: RoomKey, room: RoomId) -> Option<Place> {
        self.places.get(&key).map(|bytes| read(bytes, room))
    }

    /// Whether a place is known to be somebody's. `lot` is its index in the log, if it has one.
    #[must_use]
    pub fn is_held(&self, claims: &Claims, lot: Option<u32>) -> bool {
        match (lot, claims.number, claims.kind) {
            (Some(index), ..) => self.lots.contains(index.into()),
            (None, 0, Kind::Pass) => self.doors.contains(&half(&claims.id)),
            (None, 0, Kind::Ticket) => false,
            (None, number, _) => self.numbers.contains(number),
        }
    }

    /// Whether such a place is not beyond what can be kept.
    #[must_use]
    pub fn can_hold(claims: &Claims) -> bool {
        written(claims).is_some()
    }

    /// Gives a person this place. False, and nothing changes, if it is beyond what can be kept.
    pub fn hold(&mut self, key: RoomKey, claims: &Claims) -> bool {
        let Some(bytes) = written(claims) else { return false };
        if let Some(old) = self.places.insert(key, bytes) {
            self.forget(&old);
        }
        self.know(&bytes);
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

fn known(bytes: &PlaceBytes) -> Option<Known> {
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _] = bytes;
    match number(bytes) {
        0 => None,
        PASS => Some(Known::Door(half(id))),
        lot if lot & LOT != 0 => index(lot).map(Known::Lot),
        number => Some(Known::Number(number & !PASS)),
    }
}

/// The index that is kept in place of a number.
fn index(number: u64) -> Option<u32> {
    u32::try_from(number & !LOT).ok()
}

fn number(bytes: &PlaceBytes) -> u64 {
    let [.., a, b, c, d, e, _, _, _, _, _, _, _] = *bytes;
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
}

fn written(claims: &Claims) -> Option<PlaceBytes> {
    let pass = if claims.kind == Kind::Pass { PASS } else { 0 };
    let number = match claims.index {
        Some(index) => LOT | u64::from(index),
        None if claims.number < PASS && claims.number & LOT == 0 => claims.number | pass,
        None => return None,
    };
    let number = number.to_le_bytes();
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
    let index = if number & LOT == 0 { None } else { index(number) };
    let number = if index.is_some() { 0 } else { number & !PASS };
    let time = UnixTime(seconds * 1_000);
    let tens = u64::from(u16::from_le_bytes([low, high]));
    let entered = (tens > 0).then(|| UnixTime(time.0 + tens * TEN_SECONDS_MS));
    // How often it moved is not kept here: see `moves`.
    let claims = Claims { kind, room, epoch: epoch.into(), number, index, time, id, moves: 0 };
    Place { claims, entered }
}

#[cfg(test)]
mod tests;
