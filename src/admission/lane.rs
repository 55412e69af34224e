//! Lanes: several lines before one room, each with its own numbers and its own pace.
//!
//! A lane is a line of its own: numbers, calls in their order, a late lane and a front row of its own.
//! Between lanes each call, and each seat that falls free, goes by [`Turns`](super::turns::Turns): to
//! each by its weight, what one does not want to the others.
//!
//! A number says which lane it is of, so that a ticket, sealed as it is, cannot change lanes, and nothing is
//! kept for those who wait: the four bits above the 35 of the place. The first lane's numbers are those
//! of a room without lanes.

use super::numbers::RoomMarks;

const PLACE_BITS: u32 = 35;
/// Most lanes that a room ever had.
pub const LANES: usize = 16;

/// Which lane, by its index in the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(u8);

impl LaneId {
    /// Of those whom no other lane takes, and of everybody where there are no lanes.
    pub const FIRST: Self = Self(0);

    /// All that there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16).map(Self)
    }

    /// The one with this index, if there can be one.
    #[must_use]
    pub fn new(index: u8) -> Option<Self> {
        (usize::from(index) < LANES).then_some(Self(index))
    }

    /// Its index.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }

    /// The lane of a number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self(u8::try_from(number >> PLACE_BITS & 0xf).unwrap_or_default())
    }

    /// What stands before its first number.
    #[must_use]
    pub fn origin(self) -> u64 {
        u64::from(self.0) << PLACE_BITS
    }
}

/// A number as people know it: the place within its lane.
#[must_use]
pub fn place(number: u64) -> u64 {
    number & ((1 << PLACE_BITS) - 1)
}

/// It is a number of some lane: it has a place there, and nothing above.
#[must_use]
pub fn is_whole(number: u64) -> bool {
    place(number) > 0 && number == LaneId::of(number).origin() + place(number)
}

/// What survives a restart of a lane other than the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneMarks {
    /// Which.
    pub id: LaneId,
    /// Its name in the configuration.
    pub name: String,
    /// How far its numbers are.
    pub marks: RoomMarks,
}

/// What one look at a lane says. Numbers are places within the lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneFacts {
    /// Which.
    pub id: LaneId,
    /// Highest number called.
    pub cursor: u64,
    /// Highest number given.
    pub issued: u64,
    /// Numbers that the lane passes, a second; 0 while that is not known.
    pub rate: f64,
    /// The same, also where it rests on few.
    pub guess: f64,
    /// How uncertain a wait at that pace is; see [`Forecast::spread`](super::forecast::Forecast).
    pub spread: Option<f64>,
    /// Claims without a seat yet.
    pub front_row: usize,
    /// Missed calls that will be called again.
    pub late: u64,
    /// Calls made in this life, those of its late lane too.
    pub called: u64,
    /// Seats that those who were called took in this life.
    pub seated: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_its_lane_and_its_place() {
        for id in LaneId::all() {
            assert_eq!(LaneId::new(id.index()), Some(id));
            for number in [1, 42, (1 << PLACE_BITS) - 1] {
                let whole = id.origin() + number;
                assert_eq!((LaneId::of(whole), place(whole)), (id, number));
                assert!(is_whole(whole) && !is_whole(id.origin()) && !is_whole(whole + (1 << 39)));
                assert!(whole < 1 << 39, "people's places are kept in so many bits");
            }
        }
        assert_eq!((LaneId::new(16), LaneId::of(0), LaneId::FIRST.origin()), (None, LaneId::FIRST, 0));
    }
}
