//! Those who take a slot: they go away, and come back at the time that they were told.

use std::time::Duration;

use super::{Claim, PassId, Room, RoomState};
use crate::admission::moment::Moment;
use crate::admission::policy::RoomPolicy;
use crate::admission::slots::{Outlook, SHARE, Slot, SlotChanges, SlotRule, Window};

impl Room {
    /// The slot that the holder of a waiting number would get now. None once it has one: see [`Room::slot`].
    #[must_use]
    pub fn slot_offer(
        &self,
        policy: &RoomPolicy,
        rule: &SlotRule,
        number: u64,
        pass: &PassId,
        now: Moment,
    ) -> Option<Slot> {
        let clock = self.clock(now);
        self.window(policy, rule, number, pass, clock).map(|window| self.slots.told(window, clock))
    }

    /// The holder of a waiting number takes a slot. Idempotent: whoever has one keeps it. `None` if none
    /// is offered.
    pub fn take_slot(
        &mut self,
        policy: &RoomPolicy,
        rule: &SlotRule,
        number: u64,
        pass: &PassId,
        now: Moment,
    ) -> Option<Slot> {
        let clock = self.clock(now);
        if let Some(window) = self.window(policy, rule, number, pass, clock) {
            self.slots.take(number, window);
            self.lanes.of_mut(number).numbers.pass_over(number);
        }
        self.slot(number, now)
    }

    /// The slot of a number that has not come in by it.
    #[must_use]
    pub fn slot(&self, number: u64, now: Moment) -> Option<Slot> {
        self.slots.slot(number, self.clock(now)).filter(|_| !self.lanes.of(number).numbers.is_spent(number))
    }

    /// How many slots are taken and not over.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many slots come to be had, a second, at the pace of now.
    #[must_use]
    pub fn slots_a_second(&self) -> f64 {
        self.seats_falling_free() * SHARE
    }

    /// A number's turn has come, or its slot: its holder is let in, or stands in the front row, when it is
    /// claimed.
    #[must_use]
    pub fn may_come(&self, number: u64, now: Moment) -> bool {
        self.is_up(number, self.clock(now))
    }

    /// Slots as they were left, each with its time from `now` on. As a restart burns no call, so it burns
    /// no slot.
    pub fn restore_slots(&mut self, policy: &RoomPolicy, left: &[(u64, Slot)], now: Moment) {
        let clock = self.clock(now);
        for (number, slot) in left {
            self.slots.restore(*number, *slot, policy.call, clock);
            self.lanes.of_mut(*number).numbers.pass_over(*number);
        }
    }

    /// What must be made durable of the slots.
    #[must_use]
    pub fn unkept_slots(&self) -> SlotChanges {
        self.slots.unkept()
    }

    /// This of the slots is durable.
    pub fn kept_slots(&mut self, changes: &SlotChanges) {
        self.slots.kept(changes);
    }

    /// How many changes of slots there were in this life.
    #[must_use]
    pub fn slot_changes(&self) -> u64 {
        self.slots.changes()
    }

    /// For how long the clock of this room's slots has stood still.
    #[must_use]
    pub fn stood_still(&self) -> Duration {
        self.stood_still + self.slots.stood_still()
    }

    pub(super) fn is_up(&self, number: u64, clock: Moment) -> bool {
        let numbers = &self.lanes.of(number).numbers;
        let came_in = || numbers.is_passed_over(number) && numbers.is_spent(number);
        let has_time = || self.slots.has_begun(number, clock) || self.extensions.until(number).is_some();
        numbers.is_called(number) || came_in() || has_time()
    }

    /// Slots that are over. Whose turn has come by now missed it, though not before a call would have ended;
    /// whose turn has not waits for it like anybody.
    pub(super) fn miss_slots(&mut self, policy: &RoomPolicy, clock: Moment) {
        while let Some(number) = self.slots.next_over(clock) {
            let lane = self.lanes.of(number);
            let came = lane.front.contains(number) || self.absent.contains_key(&number);
            if came && !lane.numbers.is_called(number) {
                // A restart finds the slot of whoever came in it and has no seat yet.
                self.slots.stand_until(number, clock.after(policy.call), clock);
                continue;
            }
            let is_late = lane.late.misses(number) > 0;
            if is_late || self.extensions.until(number).is_some() || lane.numbers.is_spent(number) {
                continue;
            }
            let called = self.calls.called_at(number).map(|called| called.after(policy.call));
            match called.filter(|until| *until > clock) {
                Some(until) => self.slots.stand_until(number, until, clock),
                None => self.miss_turn(number),
            }
        }
    }

    /// A number came in. Where it was called, a restart would find that it was, and needs no slot for it.
    pub(super) fn forget_used_slot(&mut self, number: u64) {
        if self.lanes.of(number).numbers.is_called(number) {
            self.slots.forget(number);
        }
    }

    /// The time of a number is over: if its turn has come it is late, else it waits for it.
    pub(super) fn miss_turn(&mut self, number: u64) {
        let lane = self.lanes.of_mut(number);
        if lane.numbers.is_called(number) {
            lane.late.miss(number);
        } else {
            lane.numbers.wait_for(number);
        }
    }

    /// What the line passes is not who comes in where it passes over many, and who has left was not always in
    /// the line: neither alone is what falls free, a second, for those who come back.
    fn seats_falling_free(&self) -> f64 {
        self.passes.departures().min(self.lanes.first().forecast.rate() * self.calls.shows().rate())
    }

    fn window(
        &self,
        policy: &RoomPolicy,
        rule: &SlotRule,
        number: u64,
        pass: &PassId,
        clock: Moment,
    ) -> Option<Window> {
        let Claim::Waiting { ahead } = self.look(number, pass) else { return None };
        let lane = self.lanes.of(number);
        let uncalled = number > 0 && !lane.numbers.is_called(number) && !self.slots.contains(number);
        // No time is promised in one of several lines: what each takes changes what falls to the others.
        let several = self.has_lanes() || !policy.lanes.is_empty();
        if !uncalled || several || self.state(policy) != RoomState::Queueing {
            return None;
        }
        let (rate, spread) = (lane.forecast.rate(), lane.forecast.spread()?);
        let seats = self.seats_falling_free();
        // Whoever takes places and gives them up makes the line pass many, and nobody comes in any sooner.
        let pace = rate.min(seats / self.calls.shows().rate());
        let wait = Duration::try_from_secs_f64((ahead as f64 + 1.0) / pace).ok()?;
        let outlook = Outlook { wait: (wait, wait.mul_f64(1.0 + spread)), seats };
        self.slots.offer(rule, &outlook, clock)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, pass};
    use super::super::{CallTime, HoldReason};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One is inside, and of a hundred who wait number 50 has a slot from the fifth to the tenth minute.
    fn away() -> Bench {
        let mut bench = Bench::waiting(1, 100);
        bench.call(1);
        assert_eq!(bench.claim(1), Claim::Admitted);
        bench.room.slots.take(50, Window { begins_s: 300, ends_s: 600 });
        bench.room.lanes.of_mut(50).numbers.pass_over(50);
        bench
    }

    fn wait(bench: &mut Bench, seconds: u64) {
        for _ in 0..seconds {
            bench.step(SECOND);
            bench.touch(1);
        }
    }

    #[test]
    fn in_its_slot_a_number_stands_in_front_wherever_the_line_is_and_before_it_waits() {
        let mut bench = away();
        wait(&mut bench, 290);
        assert!(bench.room.marks().cursor < 50, "{:?}", bench.room.marks());
        assert!(matches!(bench.claim(50), Claim::Waiting { .. }), "too early");
        wait(&mut bench, 20);
        assert_eq!(bench.claim(50), Claim::FrontRow { ahead: 0 });
        let called = bench.claim(2);
        bench.room.end(&pass(1), bench.now);
        bench.step(SECOND);
        let (low, high) = (bench.look(2), bench.look(50));
        match called {
            Claim::FrontRow { .. } => {
                assert_eq!((low, high), (Claim::Admitted, Claim::FrontRow { ahead: 0 }))
            }
            _ => assert_eq!(high, Claim::Admitted),
        }
        bench.room.check().unwrap();
    }

    #[test]
    fn who_came_in_its_slot_stands_in_front_when_the_slot_is_over_and_after_a_restart() {
        let mut bench = away();
        wait(&mut bench, 590);
        assert_eq!(bench.claim(50), Claim::FrontRow { ahead: 0 });
        for _ in 0..700 {
            wait(&mut bench, 1);
            assert_eq!(bench.claim(50), Claim::FrontRow { ahead: 0 });
        }
        assert!(bench.room.slots.has_begun(50, bench.room.clock(bench.now)), "a restart would find it");
        assert!(!bench.room.lanes.first().numbers.is_called(50), "{:?}", bench.room.marks());
        bench.room.end(&pass(1), bench.now);
        wait(&mut bench, 1);
        assert_eq!(bench.look(50), Claim::Admitted, "it was never absent");
        for _ in 0..1_300 {
            bench.step(SECOND);
            bench.touch(50);
        }
        assert_eq!(bench.room.slots(), 0, "and keeps none once it is in");
        bench.room.check().unwrap();
    }

    #[test]
    fn who_comes_too_late_is_late_if_the_line_has_come_and_waits_for_it_if_not() {
        let mut bench = away();
        wait(&mut bench, 620);
        assert!(
            !bench.room.lanes.of_mut(50).numbers.is_passed_over(50)
                && bench.room.slot(50, bench.now).is_none()
        );
        assert!(matches!(bench.claim(50), Claim::Waiting { .. }), "{:?}", bench.room.marks());
        let mut bench = away();
        bench.room.call_up_to(60, bench.now);
        wait(&mut bench, 590);
        let left = bench.room.call_time(&bench.policy, 50, bench.now).unwrap().left;
        assert!(left <= SECOND * 11, "{left:?}");
        wait(&mut bench, 30);
        assert_eq!(bench.look(50), Claim::Late { ahead: 0 });
        assert_eq!(bench.room.lanes.of(50).late.misses(50), 1, "a slot and a call are one turn");
        bench.room.check().unwrap();
    }

    #[test]
    fn a_slot_and_the_time_that_was_asked_for_in_it_are_one_turn() {
        let mut bench = away();
        wait(&mut bench, 310);
        bench.room.call_up_to(60, bench.now);
        let time = bench.room.extend_call(&bench.policy, 50, bench.now).unwrap();
        assert_eq!(time.left, SECOND * 600);
        bench.step(SECOND * 1_000);
        assert_eq!(bench.room.lanes.first().late.misses(50), 1, "both were over in one step");
        assert_eq!(bench.look(50), Claim::Late { ahead: 0 });
        bench.room.check().unwrap();
    }

    #[test]
    fn a_slot_that_ends_when_the_line_has_just_come_stands_as_long_as_a_call() {
        let mut bench = away();
        wait(&mut bench, 550);
        bench.room.call_up_to(60, bench.now);
        wait(&mut bench, 500);
        let time = bench.room.call_time(&bench.policy, 50, bench.now);
        assert!(time.is_some_and(|CallTime { left, .. }| left > SECOND * 90), "{time:?}");
        wait(&mut bench, 120);
        assert_eq!(bench.look(50), Claim::Late { ahead: 0 });
        bench.room.check().unwrap();
    }

    #[test]
    fn a_hold_moves_slots_and_an_extension_counts_in_them() {
        let mut bench = away();
        wait(&mut bench, 200);
        bench.load.hold = Some(HoldReason::Quiet);
        wait(&mut bench, 1_000);
        bench.load.hold = None;
        let slot = bench.room.slot(50, bench.now).unwrap();
        assert!((SECOND * 99..=SECOND * 101).contains(&slot.from), "{slot:?}");
        wait(&mut bench, 120);
        let more = bench.room.extend_call(&bench.policy, 50, bench.now).unwrap();
        assert_eq!((more.left, more.extensions), (SECOND * 600, 9));
        wait(&mut bench, 590);
        assert_eq!(bench.room.slot(50, bench.now), None, "that is over");
        assert_eq!(bench.claim(50), Claim::FrontRow { ahead: 0 }, "and the time that was asked for is not");
        bench.room.check().unwrap();
    }

    #[test]
    fn in_quiet_hours_a_slot_stands_still_though_the_line_was_through_before() {
        let mut bench = away();
        bench.room.call_up_to(100, bench.now);
        wait(&mut bench, 200);
        bench.load.hold = Some(HoldReason::Quiet);
        wait(&mut bench, 1_000);
        assert_eq!(bench.room.hold, None, "nobody waits");
        let slot = bench.room.slot(50, bench.now).unwrap();
        assert!((SECOND * 99..=SECOND * 101).contains(&slot.from), "{slot:?}");
        assert!(bench.room.stood_still() >= SECOND * 999, "also for those who write it down");
        bench.load.hold = None;
        wait(&mut bench, 395);
        assert!(bench.room.slot(50, bench.now).is_some());
        let left = bench.room.call_time(&bench.policy, 50, bench.now).unwrap().left;
        assert!(left <= SECOND * 6, "{left:?}");
        wait(&mut bench, 10);
        assert_eq!(bench.room.slot(50, bench.now), None);
        bench.room.check().unwrap();
    }

    #[test]
    fn who_gives_a_place_up_gives_the_slot_up_and_a_restart_burns_none() {
        let mut bench = away();
        bench.room.leave(50, &pass(50), bench.now);
        assert_eq!((bench.look(50), bench.room.slots()), (Claim::Done, 0));
        let mut bench = Bench::waiting(1, 100);
        let over = Slot { from: Duration::ZERO, until: Duration::ZERO };
        bench.room.restore_slots(&bench.policy, &[(50, over)], bench.now);
        bench.step(SECOND);
        assert_eq!(bench.claim(50), Claim::Admitted, "its seat is free and its slot stands");
        bench.room.check().unwrap();
    }

    #[test]
    fn a_slot_is_kept_no_longer_than_a_restart_needs_it() {
        let mut bench = away();
        bench.room.call_up_to(60, bench.now);
        wait(&mut bench, 310);
        let outstanding = bench.room.calls.outstanding();
        assert!(matches!(bench.claim(50), Claim::FrontRow { .. }));
        assert_eq!(bench.room.slots(), 0, "its turn has come: that is durable");
        assert_eq!(bench.room.calls.outstanding(), outstanding, "it is in no account of calls");
        for _ in 0..700 {
            wait(&mut bench, 1);
            assert!(matches!(bench.claim(50), Claim::FrontRow { .. }));
        }
        bench.room.check().unwrap();
    }

    #[test]
    fn who_came_by_a_slot_stands_in_no_way_of_the_line_once_it_is_called() {
        let mut bench = away();
        wait(&mut bench, 310);
        assert_eq!(bench.claim(50), Claim::FrontRow { ahead: 0 });
        let demand = |bench: &Bench| bench.room.demand(&bench.policy, bench.room.clock(bench.now));
        assert_eq!((demand(&bench).front, demand(&bench).away), (1, 1));
        bench.room.call_up_to(60, bench.now);
        assert_eq!((demand(&bench).front, demand(&bench).away), (1, 0));
    }

    #[test]
    fn a_row_of_slots_is_not_called_all_at_once() {
        let mut bench = Bench::waiting(3, 200);
        for number in 1..=150 {
            bench.room.slots.take(number, Window { begins_s: 3_000, ends_s: 6_000 });
            bench.room.lanes.first_mut().numbers.pass_over(number);
        }
        for steps in 1..50 {
            bench.step(SECOND);
            assert!(bench.room.marks().cursor <= 3 * steps, "{:?} after {steps}", bench.room.marks());
        }
        wait(&mut bench, 5);
        assert!(bench.room.marks().cursor > 150, "and stops nobody: {:?}", bench.room.marks());
        bench.room.check().unwrap();
    }

    /// Seven of eight take a place and give it up: the line passes eight numbers for each seat.
    #[test]
    fn places_that_are_given_up_bring_no_slot_nearer() {
        let mut bench = Bench::waiting(4, 250);
        (1..=248)
            .filter(|number| number % 8 != 0)
            .for_each(|number| bench.room.leave(number, &pass(number), bench.now));
        let rule = SlotRule { after: SECOND, length: SECOND * 600 };
        let offer = |bench: &Bench| bench.room.slot_offer(&bench.policy, &rule, 249, &pass(249), bench.now);
        let mut offered = 0;
        for next in 1..=24 {
            bench.step(SECOND);
            (1..=bench.room.marks().cursor).for_each(|number| _ = bench.claim(number));
            if next > 4 {
                bench.room.end(&pass((next - 4) * 8), bench.now);
            }
            if let Some(slot) = offer(&bench) {
                let seats = u32::try_from(249 - bench.room.marks().cursor).unwrap();
                assert!(slot.from > SECOND * seats, "{slot:?} for {seats} numbers, one a second");
                offered += 1;
            }
        }
        assert!(offered > 0, "{:?}", bench.room.facts(&bench.policy));
    }
}
