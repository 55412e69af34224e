//! The lanes of a room beside the first, as they are made durable: numbers reserved ahead, cursors kept
//! before they are published.

use std::sync::{MutexGuard, PoisonError};

use super::line::{Line, reserved};
use crate::admission::lane::{LaneId, LaneMarks};
use crate::admission::policy::RoomPolicy;
use crate::admission::room::{Room, RoomMarks};

impl Line {
    /// Lanes that are new in the policy get numbers. False if there were too many in the life of the room.
    #[must_use]
    pub fn name_lanes(&self, policy: &RoomPolicy) -> bool {
        self.with(|room| room.name_lanes(policy))
    }

    /// What must be durable of the lanes that a step of `room` moved.
    pub(super) fn plan_lanes(&self, room: &Room) -> Vec<LaneMarks> {
        let durable = self.durable_lanes();
        let ahead = |mut lane: LaneMarks| {
            let known = durable.iter().find(|known| known.id == lane.id);
            let nothing = RoomMarks { epoch: lane.marks.epoch, ..fresh(lane.id) };
            let known_marks = known.map_or(nothing, |known| known.marks);
            lane.marks.reserved = reserved(&lane.marks, &known_marks);
            (known != Some(&lane)).then_some(lane)
        };
        room.lane_marks().into_iter().filter_map(ahead).collect()
    }

    /// These are on the disk.
    pub(super) fn keep_lanes(&self, kept: &[LaneMarks]) {
        let mut durable = self.durable_lanes();
        for lane in kept {
            durable.retain(|known| known.id != lane.id);
            durable.push(lane.clone());
        }
    }

    /// Marks of the lanes for a clean stop, after the first's.
    #[must_use]
    pub fn final_lanes(&self) -> Vec<LaneMarks> {
        self.with(|room| room.lanes_as_they_are())
    }

    fn durable_lanes(&self) -> MutexGuard<'_, Vec<LaneMarks>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fresh(id: LaneId) -> RoomMarks {
    let origin = id.origin();
    RoomMarks { epoch: 1, issued: origin, reserved: origin, cursor: origin }
}
