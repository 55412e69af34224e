//! The end of the event: everybody is out, and nobody comes in any more.

use super::Room;
use crate::admission::extensions::Extensions;
use crate::admission::front_row::FrontRow;
use crate::admission::late::LateLane;
use crate::admission::moment::Moment;
use crate::admission::opening::Shut;

impl Room {
    /// Ends every visit, and shuts the room for good.
    pub fn end_for_good(&mut self) {
        self.shut = Some(Shut::Ended);
        self.passes.end_all();
        for lane in self.lanes.all_mut() {
            (lane.front, lane.late) = (FrontRow::default(), LateLane::default());
        }
        self.absent.clear();
        self.extensions = Extensions::default();
        // One after the other: each counts as a change, for whoever waits until it is durable.
        while self.slots.next_over(Moment(u64::MAX)).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Bench, pass};
    use super::super::{Claim, RoomState};
    use crate::admission::slots::Slot;

    #[test]
    fn with_the_end_nobody_has_a_visit_a_call_or_a_slot_any_more() {
        let mut bench = Bench::waiting(1, 100);
        let hour = Duration::from_secs(3_600);
        let slots = [(50, Slot { from: hour, until: hour * 2 }), (60, Slot { from: hour, until: hour * 2 })];
        bench.room.restore_slots(&bench.policy, &slots, bench.now);
        bench.call(9);
        assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
        bench.room.extend_call(&bench.policy, 3, bench.now).unwrap();
        for _ in 0..700 {
            bench.step(Duration::from_secs(1));
            bench.touch(1);
        }
        let before = bench.room.slot_changes();
        assert!(bench.room.facts(&bench.policy).late > 0 && bench.room.slots() == 2);
        bench.room.end_for_good();
        bench.step(hour * 3);
        let facts = bench.room.facts(&bench.policy);
        assert_eq!((facts.state, facts.active, facts.front_row, facts.late), (RoomState::Ended, 0, 0, 0));
        assert_eq!((bench.room.slots(), bench.room.slot(50, bench.now)), (0, None));
        assert!(bench.room.slot_changes() >= before + 2, "whoever waits for the disk hears of it");
        assert_eq!(bench.room.extensions.numbers().count(), 0);
        assert_ne!(bench.room.look(1, &pass(1)), Claim::Admitted);
        bench.room.check().unwrap();
    }
}
