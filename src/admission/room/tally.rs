//! How many came, stood in line, went in and went, for the public log.
//!
//! Counted where it happens, and read in one look, so that at every look `over ≤ begun + taken up` and
//! `begun ≤ arrived`. A visit that is taken back, or whose seat goes back unused, did not begin: a total may
//! fall by that, and whoever tells it waits until it has risen again.

use super::Room;

/// Totals of one life of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Places given by the line.
    pub given: u64,
    /// Visits begun at the open door, without a place.
    pub straight: u64,
    /// Visits begun by a place.
    pub seated: u64,
    /// Visits of an earlier life that were gone on with.
    pub taken_up: u64,
    /// Visits that are over, whoever ended them.
    pub over: u64,
}

impl Room {
    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let given = self.lanes.all().map(|lane| lane.numbers.given()).sum();
        Tally { given, ..self.passes.tally() }
    }
}
