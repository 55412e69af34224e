//! Quiet hours: who waits when they begin sleeps, and nobody is called until they are over. Whoever comes in
//! them is awake: once nobody waits any more who came before, the line moves as by day.

use super::lanes::Lane;
use super::{HoldReason, Room};

impl Room {
    /// The reason for a hold, as far as it holds this room.
    pub(super) fn wake(&mut self, hold: Option<HoldReason>) -> Option<HoldReason> {
        if hold.is_none() {
            self.lanes.all_mut().for_each(|lane| lane.asleep_up_to = None);
        }
        // Before it opens nobody is called anyway: who came before the opening came before these hours.
        if hold != Some(HoldReason::Quiet) || self.shut.is_some() {
            return hold;
        }
        // Of all lanes: what one does not want at night would else go to another in which all sleep.
        let mut sleeps = false;
        for lane in self.lanes.all_mut() {
            sleeps |= lane.sleeps();
        }
        if !sleeps {
            self.lanes.all_mut().for_each(|lane| lane.asleep_up_to = Some(0));
        }
        sleeps.then_some(HoldReason::Quiet)
    }
}

impl Lane {
    /// Somebody waits here from before these quiet hours.
    fn sleeps(&mut self) -> bool {
        let last = *self.asleep_up_to.get_or_insert(self.numbers.marks().issued);
        // Numbers that were given up, that have a slot or that nobody may hold wait for nothing, and who missed
        // a call and is silent does not, either.
        self.numbers.first_waiting().is_some_and(|first| first <= last) || self.late.ahead_of(last + 1) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Bench, pass};
    use super::super::{Claim, RoomState};
    use super::*;
    use crate::admission::policy::LanePolicy;

    const SECOND: Duration = Duration::from_secs(1);

    /// Two seats, nobody waits, and it is night.
    fn night() -> Bench {
        let mut bench = Bench::waiting(2, 0);
        bench.step(SECOND);
        bench.load.hold = Some(HoldReason::Quiet);
        bench.step(SECOND);
        bench
    }

    fn join(bench: &mut Bench) -> u64 {
        bench.room.reserve(100);
        bench.room.join().unwrap()
    }

    #[test]
    fn who_comes_in_quiet_hours_is_awake_and_closes_no_room() {
        let mut bench = night();
        assert_eq!(bench.room.state(&bench.policy), RoomState::Open);
        let number = join(&mut bench);
        bench.step(SECOND);
        assert_eq!(bench.claim(number), Claim::Admitted, "a seat is free");
        let silent = join(&mut bench);
        (0..700).for_each(|_| {
            bench.step(SECOND);
            bench.touch(number);
        });
        assert_eq!(bench.room.lanes.first().late.misses(silent), 1, "it never came");
        assert!(
            bench.room.lanes.first().late.called_at(silent).is_none(),
            "and is not called again at night"
        );
        assert_eq!(bench.room.state(&bench.policy), RoomState::Open);
        bench.load.hold = None;
        bench.step(SECOND);
        assert!(bench.room.lanes.first().late.called_at(silent).is_some(), "but in the morning");
        bench.room.check().unwrap();
    }

    #[test]
    fn who_waits_when_they_begin_is_not_called_and_nobody_is_past_them() {
        let mut bench = Bench::waiting(1, 3);
        bench.call(1);
        assert_eq!(bench.claim(1), Claim::Admitted);
        bench.load.hold = Some(HoldReason::Quiet);
        bench.step(SECOND);
        let later = join(&mut bench);
        bench.room.end(&pass(1), bench.now);
        (0..100).for_each(|_| bench.step(SECOND));
        assert_eq!(bench.room.state(&bench.policy), RoomState::Held(HoldReason::Quiet));
        assert_eq!((bench.room.marks().cursor, later), (1, 4));
        // Both who slept give their places up.
        (2..=3).for_each(|number| bench.room.leave(number, &pass(number), bench.now));
        bench.step(SECOND);
        assert_eq!(bench.claim(later), Claim::Admitted);
        bench.room.check().unwrap();
    }

    #[test]
    fn in_quiet_hours_no_lane_is_called_while_one_sleeps_and_a_new_one_is_awake() {
        let mut bench = Bench::waiting(2, 0);
        let lane = |name: &str| LanePolicy { name: name.to_owned(), weight: 1 };
        bench.policy.lanes = ["citizens", "offices"].map(lane).into();
        assert!(bench.room.name_lanes(&bench.policy));
        let joins = |bench: &mut Bench, name: &str| {
            let id = bench.room.lane_named(name).unwrap();
            let mut lanes = bench.room.lanes_as_they_are();
            lanes.iter_mut().for_each(|lane| lane.marks.reserved += 1);
            bench.room.call_lanes(&lanes, bench.now);
            bench.room.join_in(id).unwrap()
        };
        let step = |bench: &mut Bench| {
            bench.step(SECOND);
            let marks = bench.room.lane_marks();
            bench.room.call_lanes(&marks, bench.now);
        };
        let asleep = joins(&mut bench, "offices");
        bench.load.hold = Some(HoldReason::Quiet);
        step(&mut bench);
        let awake = join(&mut bench);
        step(&mut bench);
        assert_eq!(bench.room.state(&bench.policy), RoomState::Held(HoldReason::Quiet), "an office sleeps");
        assert!(matches!(bench.claim(awake), Claim::Waiting { .. }));
        bench.room.leave(asleep, &pass(asleep), bench.now);
        step(&mut bench);
        assert_eq!(bench.claim(awake), Claim::Admitted);
        bench.policy.lanes.push(lane("desk"));
        assert!(bench.room.name_lanes(&bench.policy));
        let new = joins(&mut bench, "desk");
        step(&mut bench);
        assert_eq!(bench.claim(new), Claim::Admitted, "a lane of this night has nobody from before");
        // It misses a call: nobody calls the silent again at night, of whichever lane.
        bench.room.end(&pass(new), bench.now);
        let silent = joins(&mut bench, "desk");
        (0..700).for_each(|_| {
            step(&mut bench);
            bench.touch(awake);
        });
        assert_eq!(bench.room.lanes.of(silent).late.misses(silent), 1);
        assert!(bench.room.lanes.of(silent).late.called_at(silent).is_none());
        bench.load.hold = None;
        step(&mut bench);
        assert!(bench.room.lanes.of(silent).late.called_at(silent).is_some());
        bench.room.check().unwrap();
    }
}
