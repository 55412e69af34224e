//! What became of one number: all that a room knows of it, for whoever helps its holder.

use super::{CallTime, Claim, PassId, Room, ShownPass, VisitTime};
use crate::admission::moment::Moment;
use crate::admission::number_set::NumberSet;
use crate::admission::policy::RoomPolicy;
use crate::admission::slots::Slot;

/// How numbers ended that nobody used up. Of this process only: a restart finds that they are over, and not why.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    /// Their holders gave them up.
    left: NumberSet,
    /// An operator took them away.
    revoked: NumberSet,
}

impl Farewells {
    pub(super) fn left(&mut self, number: u64) {
        if !self.revoked.contains(number) {
            self.left.insert(number);
        }
    }

    pub(super) fn revoked(&mut self, number: u64) {
        self.left.remove(number);
        self.revoked.insert(number);
    }
}

/// How a number ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Its holder gave it up.
    Left,
    /// An operator took it away.
    Revoked,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where it stands; that it came in and is not there now counts as called.
    pub claim: Claim,
    /// Its turn has come.
    pub called: bool,
    /// It was given, or may have been: see `uncertain`.
    pub given: bool,
    /// A crash left it unknown whether it was ever given.
    pub uncertain: bool,
    /// It came in, and was not there when a seat was.
    pub absent: bool,
    /// How it ended, as far as that is known.
    pub farewell: Option<Farewell>,
    /// How many calls it missed, up to three.
    pub misses: u8,
    /// What is left of its call.
    pub call: Option<CallTime>,
    /// What is left of its visit.
    pub visit: Option<VisitTime>,
    /// The slot that it took.
    pub slot: Option<Slot>,
}

impl Room {
    /// Where a number stands. Without the `pass` that its ticket turns into, everybody inside is looked at.
    #[must_use]
    pub fn trace(&self, policy: &RoomPolicy, number: u64, pass: Option<PassId>, now: Moment) -> Trace {
        // No pass is zero: it names nobody.
        let pass = pass.or_else(|| self.passes.of(number)).unwrap_or_default();
        let farewell = if self.farewells.revoked.contains(number) {
            Some(Farewell::Revoked)
        } else {
            self.farewells.left.contains(number).then_some(Farewell::Left)
        };
        let lane = self.lanes.of(number);
        Trace {
            claim: self.look(number, &pass),
            called: number > 0 && self.may_come(number, now),
            // Before the first number of a lane stands its origin, which is nobody's.
            given: number > lane.id.origin() && number <= lane.numbers.marks().issued,
            uncertain: lane.numbers.is_uncertain(number) && !lane.numbers.is_spent(number),
            absent: self.absent.contains_key(&number),
            farewell,
            misses: lane.late.misses(number),
            call: self.call_time(policy, number, now),
            visit: self.visit_time(policy, &pass, now),
            slot: self.slot(number, now),
        }
    }

    /// A pass from before this process began, of which nothing is known, and that counts: its next request takes it up
    /// again, see [`Room::touch`].
    #[must_use]
    pub fn forgot(&self, policy: &RoomPolicy, shown: &ShownPass) -> bool {
        let is_known = self.passes.contains(&shown.id) || self.passes.is_over(&shown.id);
        let is_spent = shown.number > 0 && self.lanes.of(shown.number).numbers.is_spent(shown.number);
        let may_count = shown.older_than_we && shown.age <= policy.session && self.shut.is_none();
        may_count && !is_known && !is_spent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Bench, pass};
    use super::*;
    use crate::admission::lane::LaneId;
    use crate::admission::policy::LanePolicy;

    fn trace(bench: &Bench, number: u64) -> Trace {
        let traced = bench.room.trace(&bench.policy, number, None, bench.now);
        assert_eq!(traced, bench.room.trace(&bench.policy, number, Some(pass(number)), bench.now));
        traced
    }

    #[test]
    fn a_number_is_traced_without_its_pass_wherever_it_is() {
        let mut bench = Bench::waiting(1, 9);
        bench.call(4);
        assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
        let inside = trace(&bench, 1);
        assert_eq!((inside.claim, inside.visit.is_some(), inside.farewell), (Claim::Admitted, true, None));
        assert_eq!(trace(&bench, 2).claim, Claim::FrontRow { ahead: 0 });
        let called = trace(&bench, 3);
        assert!(called.called && called.call.is_some() && called.misses == 0);
        let waits = trace(&bench, 9);
        assert_eq!((waits.claim, waits.called, waits.given), (Claim::Waiting { ahead: 4 }, false, true));
        assert!(!trace(&bench, 10).given);
        for _ in 0..700 {
            bench.step(Duration::from_secs(1));
            bench.touch(1);
        }
        assert_eq!(trace(&bench, 3).misses, 1);
        bench.room.leave(9, &pass(9), bench.now);
        bench.room.revoke(&bench.policy, 3, &pass(3), bench.now);
        bench.room.revoke(&bench.policy, 9, &pass(9), bench.now);
        bench.room.leave(4, &pass(4), bench.now);
        bench.room.end(&pass(1), bench.now);
        let how = [1, 3, 4, 9].map(|number| (trace(&bench, number).claim, trace(&bench, number).farewell));
        let (left, revoked) = (Some(Farewell::Left), Some(Farewell::Revoked));
        assert_eq!(how, [None, revoked, left, revoked].map(|farewell| (Claim::Done, farewell)));
    }

    #[test]
    fn what_a_restart_forgot_is_what_the_next_request_takes_up() {
        let mut bench = Bench::waiting(2, 9);
        bench.call(4);
        let shown = |number| ShownPass {
            id: pass(number),
            number,
            age: Duration::from_secs(60),
            finishing: false,
            older_than_we: true,
        };
        let forgot = |bench: &Bench, shown: ShownPass| bench.room.forgot(&bench.policy, &shown);
        assert!(forgot(&bench, shown(1)) && forgot(&bench, ShownPass { number: 0, ..shown(2) }));
        let too_old = ShownPass { age: bench.policy.session + Duration::from_secs(1), ..shown(1) };
        assert!(!forgot(&bench, too_old) && !forgot(&bench, ShownPass { older_than_we: false, ..shown(1) }));
        for shown in [shown(1), ShownPass { number: 0, ..shown(2) }] {
            bench.room.touch(&bench.policy, &shown, bench.now);
            assert!(!forgot(&bench, shown), "it is known by now");
            bench.room.end(&shown.id, bench.now);
        }
        assert!(!forgot(&bench, shown(1)), "its number is used");
        bench.room.revoke(&bench.policy, 0, &pass(2), bench.now);
        assert!(!forgot(&bench, ShownPass { number: 0, ..shown(2) }), "it is revoked");
        bench.room.end_for_good();
        assert!(!forgot(&bench, shown(3)));
    }

    #[test]
    fn a_number_is_traced_in_its_own_lane_only() {
        let mut bench = Bench::waiting(1, 5);
        let lane = |name: &str| LanePolicy { name: name.to_owned(), weight: 1 };
        bench.policy.lanes = ["citizens", "offices"].map(lane).into();
        assert!(bench.room.name_lanes(&bench.policy));
        let offices = bench.room.lane_named("offices").unwrap();
        let mut lanes = bench.room.lanes_as_they_are();
        lanes.iter_mut().for_each(|lane| lane.marks.reserved += 2);
        bench.room.call_lanes(&lanes, bench.now);
        let [first, second] = [0, 1].map(|_| bench.room.join_in(offices).unwrap());
        let ahead = [5, first, second].map(|number| trace(&bench, number).claim);
        assert_eq!(ahead, [4, 0, 1].map(|ahead| Claim::Waiting { ahead }), "of its own lane");
        let nobodys = [0, offices.origin(), second + 1, LaneId::new(2).unwrap().origin() + 1];
        assert_eq!(nobodys.map(|number| trace(&bench, number).given), [false; 4]);
        bench.room.leave(second, &pass(second), bench.now);
        assert_eq!(trace(&bench, second).farewell, Some(Farewell::Left));
        assert_eq!(trace(&bench, 2).farewell, None, "the other lane's second is another place");
    }
}
