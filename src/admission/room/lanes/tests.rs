//! Lanes in the hands of their store.

use std::time::Duration;

use super::super::tests::{pass, policy as one_line};
use super::*;
use crate::admission::number_set::NumberSet;
use crate::admission::policy::LanePolicy;
use crate::admission::room::{Claim, Load, Touch};
use crate::admission::slots::{Slot, SlotRule, Window};

const SECOND: Duration = Duration::from_secs(1);

fn policy(seats: u32, weights: &[(&str, u32)]) -> RoomPolicy {
    let lane = |(name, weight): &(&str, u32)| LanePolicy { name: (*name).to_owned(), weight: *weight };
    RoomPolicy { lanes: weights.iter().map(lane).collect(), ..one_line(seats) }
}

struct Bench {
    room: Room,
    policy: RoomPolicy,
    now: Moment,
}

impl Bench {
    fn new(seats: u32, weights: &[(&str, u32)]) -> Self {
        let policy = policy(seats, weights);
        let mut room = Room::restore(&policy, RoomMarks { epoch: 1, ..RoomMarks::default() }, Moment(1));
        assert!(room.name_lanes(&policy));
        Self { room, policy, now: Moment(1) }
    }

    /// Joins, its disk never failing.
    fn join(&mut self, lane: &str) -> u64 {
        let id = self.room.lane_named(lane).unwrap_or_default();
        self.room.reserve(self.room.marks().issued + 1);
        let mut lanes = self.room.lanes_as_they_are();
        lanes.iter_mut().for_each(|lane| lane.marks.reserved = lane.marks.issued + 1);
        self.room.call_lanes(&lanes, self.now);
        self.room.join_in(id).unwrap()
    }

    fn step(&mut self, later: Duration) {
        self.now = self.now.after(later);
        let load = Load { limit: 1_000, ..Load::default() };
        let cursor = self.room.step(&self.policy, load, self.now);
        let lanes = self.room.lane_marks();
        self.room.call_up_to(cursor, self.now);
        self.room.call_lanes(&lanes, self.now);
        self.room.check().unwrap();
    }

    fn claim(&mut self, number: u64) -> Claim {
        self.room.claim(&self.policy, number, pass(number), self.now)
    }

    /// Everybody who is called comes, and goes at the next step.
    fn keep_moving(&mut self, steps: u64) {
        let mut inside: Vec<u64> = Vec::new();
        for _ in 0..steps {
            self.step(SECOND);
            inside.iter().for_each(|number| _ = self.room.end(&pass(*number), self.now));
            let called = self.room.marks().cursor;
            inside = (1..=called).filter(|number| self.claim(*number) == Claim::Admitted).collect();
        }
    }

    fn is_offered_a_slot(&self, number: u64) -> bool {
        let rule = SlotRule { after: SECOND * 10, length: SECOND * 600 };
        self.room.slot_offer(&self.policy, &rule, number, &pass(number), self.now).is_some()
    }

    /// They have slots, much later.
    fn send_away(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.room.slots.take(*number, Window { begins_s: 3_000, ends_s: 6_000 });
            self.room.lanes.of_mut(*number).numbers.pass_over(*number);
        }
    }

    /// What a store would find after a kill.
    fn kill(&mut self) {
        let (marks, lanes) = (self.room.marks(), self.room.lanes_as_they_are());
        let over = NumberSet::of_words(self.room.unkept().words);
        self.room = Room::restore(&self.policy, marks, self.now);
        self.room.restore_lanes(lanes, self.now);
        self.room.restore_over(&over);
        assert!(self.room.name_lanes(&self.policy));
    }
}

#[test]
fn each_lane_has_its_own_numbers_and_its_part_of_the_calls() {
    let mut bench = Bench::new(40, &[("citizens", 3), ("offices", 1)]);
    let citizens: Vec<u64> = (0..500).map(|_| bench.join("citizens")).collect();
    let offices: Vec<u64> = (0..500).map(|_| bench.join("offices")).collect();
    assert_eq!((citizens[0], place(offices[0])), (1, 1));
    assert_ne!(offices[0], 1, "a number is of one lane only");
    assert_eq!(bench.room.look(offices[9], &pass(0)), Claim::Waiting { ahead: 9 }, "of its own lane");
    bench.step(SECOND);
    let cursors: Vec<u64> = bench.room.lane_facts().iter().map(|lane| lane.cursor).collect();
    assert!(cursors[0] + cursors[1] >= 40, "{cursors:?}");
    assert!(cursors[0].abs_diff(3 * cursors[1]) <= 3, "{cursors:?}");
    let called = usize::try_from(cursors[1]).unwrap();
    assert_eq!(bench.claim(offices[called - 1]), Claim::Admitted);
    assert_eq!(bench.claim(offices[called]), Claim::Waiting { ahead: 0 });
    // Whoever has one lane's ticket has no place in another.
    assert_eq!(bench.room.lane_name(offices[0]), Some("offices"));
    assert_eq!(bench.room.lane_name(citizens[0]), None);
    let facts = bench.room.facts(&bench.policy);
    assert_eq!((facts.issued, facts.cursor), (1_000, cursors.iter().sum()));
}

#[test]
fn seats_go_by_weight_too_and_within_a_lane_by_number() {
    let mut bench = Bench::new(4, &[("citizens", 3), ("offices", 1)]);
    let citizens: Vec<u64> = (0..40).map(|_| bench.join("citizens")).collect();
    let offices: Vec<u64> = (0..40).map(|_| bench.join("offices")).collect();
    bench.step(SECOND);
    bench.policy.seats_ceiling = 1;
    bench.policy.seats_floor = 1;
    bench.step(SECOND);
    let mut standing: Vec<u64> = citizens.iter().chain(&offices).copied().collect();
    standing.reverse();
    let here: Vec<u64> = standing
        .into_iter()
        .filter(|number| !matches!(bench.claim(*number), Claim::Waiting { .. }))
        .collect();
    assert!(here.len() >= 4, "{here:?}");
    let mut seated = Vec::new();
    for _ in 0..4 * here.len() {
        bench.step(SECOND);
        for number in &here {
            if bench.claim(*number) == Claim::Admitted {
                seated.push(*number);
                bench.room.end(&pass(*number), bench.now);
            }
        }
    }
    // Of each lane in order of number, but for those who got in before there was a front row.
    for lane in [LaneId::FIRST, LaneId::new(1).unwrap()] {
        let mut own: Vec<u64> = seated.iter().copied().filter(|number| LaneId::of(*number) == lane).collect();
        assert!(!own.is_empty(), "{seated:?}");
        let in_turn = own.split_off(own.len().min(3));
        assert!(in_turn.is_sorted(), "{in_turn:?}");
    }
}

#[test]
fn a_kill_keeps_everybodys_lane_and_place() {
    let mut bench = Bench::new(10, &[("citizens", 2), ("offices", 1)]);
    (0..30).for_each(|_| _ = bench.join("citizens"));
    let offices: Vec<u64> = (0..30).map(|_| bench.join("offices")).collect();
    bench.step(SECOND);
    let first = offices[0];
    assert_eq!(bench.claim(first), Claim::Admitted);
    bench.room.end(&pass(first), bench.now);
    bench.room.leave(offices[20], &pass(offices[20]), bench.now);
    let before: Vec<Claim> = offices.iter().map(|number| bench.room.look(*number, &pass(*number))).collect();
    bench.kill();
    let after: Vec<Claim> = offices.iter().map(|number| bench.room.look(*number, &pass(*number))).collect();
    assert_eq!(before, after);
    assert_eq!((after[0], after[20]), (Claim::Done, Claim::Done));
    assert_eq!(bench.room.lane_name(first), Some("offices"));
    // Also where the configuration names it no more: nobody is lost, it has a weight of one.
    bench.policy = policy(10, &[]);
    bench.kill();
    let called = bench.room.facts_of_lane(first).cursor;
    bench.step(SECOND);
    (0..40).for_each(|_| {
        bench.step(SECOND);
        for number in offices.iter().chain(&(1..=30).collect::<Vec<_>>()) {
            if bench.claim(*number) == Claim::Admitted {
                bench.room.end(&pass(*number), bench.now);
            }
        }
    });
    assert!(bench.room.facts_of_lane(first).cursor > called);
    assert_eq!(bench.room.lanes.waiting(), 0);
}

#[test]
fn those_who_gave_up_take_nobodys_turn() {
    let mut bench = Bench::new(8, &[("citizens", 1), ("offices", 1)]);
    let citizens: Vec<u64> = (0..200).map(|_| bench.join("citizens")).collect();
    let offices: Vec<u64> = (0..200).map(|_| bench.join("offices")).collect();
    for number in &offices {
        bench.room.leave(*number, &pass(*number), bench.now);
    }
    bench.step(SECOND);
    let facts = bench.room.lane_facts();
    assert!(facts[0].cursor >= 8, "{facts:?}");
    assert_eq!((facts[0].called, facts[1].called), (facts[0].cursor, 0));
    assert_eq!(facts[1].cursor, 200, "the line of nobody is passed over at once");
    assert_eq!(bench.room.living(facts[1].id), (0, 0));
    assert_eq!(bench.room.living(LaneId::FIRST).0, 200 - facts[0].cursor);
    assert_eq!(bench.claim(citizens[0]), Claim::Admitted);
    assert_eq!(bench.room.living(LaneId::FIRST).1, facts[0].cursor, "called or inside");
}

#[test]
fn a_late_number_is_called_again_from_a_tenth_of_its_own_lane() {
    let mut bench = Bench::new(20, &[("citizens", 1), ("offices", 1)]);
    bench.policy.call = SECOND * 5;
    (0..4_000).for_each(|_| _ = bench.join("citizens"));
    let offices: Vec<u64> = (0..4_000).map(|_| bench.join("offices")).collect();
    bench.step(SECOND);
    (0..8).for_each(|_| bench.step(SECOND));
    let late = bench.room.lane_facts();
    assert!(late[0].late > 0 && late[1].late > 0, "{late:?}");
    let missed = |number: &&u64| matches!(bench.room.look(**number, &pass(**number)), Claim::Late { .. });
    let missed = *offices.iter().find(missed).unwrap();
    assert_eq!(bench.claim(missed), Claim::Late { ahead: 0 }, "nobody of its lane came back before");
    for _ in 0..200 {
        bench.step(SECOND);
        if bench.claim(missed) == Claim::Admitted {
            return;
        }
    }
    panic!("never called again: {:?}", bench.room.lane_facts());
}

#[test]
fn a_pass_of_a_lane_is_taken_up_after_a_restart() {
    let mut bench = Bench::new(10, &[("citizens", 1), ("offices", 1)]);
    let office = bench.join("offices");
    bench.step(SECOND);
    assert_eq!(bench.claim(office), Claim::Admitted);
    bench.kill();
    let shown = crate::admission::room::ShownPass {
        id: pass(office),
        number: office,
        age: SECOND,
        finishing: false,
        older_than_we: true,
    };
    assert_eq!(bench.room.touch(&bench.policy, &shown, bench.now), Touch::Live);
    assert_eq!(bench.room.touch(&bench.policy, &shown, bench.now), Touch::Live);
    bench.room.check().unwrap();
}

#[test]
fn there_are_only_so_many_lanes() {
    let mut bench = Bench::new(10, &[("citizens", 1)]);
    for round in 0..15 {
        bench.policy = policy(10, &[("citizens", 1), (&format!("lane-{round}"), 1)]);
        assert!(bench.room.name_lanes(&bench.policy), "{round}");
    }
    bench.policy = policy(10, &[("citizens", 1), ("one-more", 1)]);
    assert!(!bench.room.name_lanes(&bench.policy));
}

#[test]
fn a_slot_outlives_that_its_room_gets_lanes_and_none_is_offered_there() {
    let mut bench = Bench::new(10, &[]);
    (0..1_000).for_each(|_| _ = bench.join("citizens"));
    bench.keep_moving(40);
    let cursor = bench.room.marks().cursor;
    assert!(bench.is_offered_a_slot(cursor + 500), "while there is one line");
    let (away, window) = (cursor + 20, Slot { from: SECOND * 30, until: SECOND * 600 });
    bench.room.restore_slots(&bench.policy, &[(away, window)], bench.now);
    bench.policy = policy(10, &[("citizens", 1), ("offices", 1)]);
    assert!(bench.room.name_lanes(&bench.policy));
    let office = bench.join("offices");
    let offered = [cursor + 500, office].map(|number| bench.is_offered_a_slot(number));
    assert_eq!(offered, [false, false]);
    bench.kill();
    bench.room.restore_slots(&bench.policy, &[(away, window)], bench.now);
    bench.policy.hold = true;
    bench.step(SECOND * 60);
    bench.policy.hold = false;
    assert!(matches!(bench.claim(away), Claim::Waiting { .. }), "a hold moves it in lanes as well");
    assert!(bench.room.living(LaneId::FIRST).0 > 0);
    for _ in 0..31 {
        bench.step(SECOND);
    }
    assert!(matches!(bench.claim(away), Claim::Admitted | Claim::FrontRow { .. }), "{:?}", bench.claim(away));
    bench.room.check().unwrap();
}

#[test]
fn at_its_end_all_lanes_are_over_and_what_was_counted_stays() {
    let mut bench = Bench::new(1, &[("citizens", 1), ("offices", 1)]);
    let numbers = ["citizens", "offices", "citizens", "offices"].map(|lane| bench.join(lane));
    (0..5).for_each(|_| bench.step(SECOND));
    let claims = numbers.map(|number| bench.claim(number));
    assert!(
        claims.contains(&Claim::Admitted) && claims.contains(&Claim::FrontRow { ahead: 0 }),
        "{claims:?}"
    );
    let before = bench.room.facts(&bench.policy);
    assert_eq!((bench.room.tally().given, before.issued), (4, 4), "of both lanes");
    bench.room.end_for_good();
    bench.step(SECOND);
    let after = bench.room.facts(&bench.policy);
    assert_eq!((after.active, after.front_row, bench.room.active()), (0, 0, 0));
    assert_eq!((after.cursor, after.issued), (before.cursor, before.issued));
    let offices = bench.room.lane_named("offices").unwrap();
    assert!([LaneId::FIRST, offices].into_iter().all(|lane| bench.room.join_in(lane).is_err()));
    assert!(numbers.into_iter().all(|number| bench.claim(number) != Claim::Admitted));
    assert_eq!(bench.room.tally().given, 4);
    bench.room.check().unwrap();
}

#[test]
fn a_row_of_slots_in_one_lane_is_not_called_all_at_once() {
    let mut bench = Bench::new(3, &[("citizens", 1), ("offices", 1)]);
    let offices: Vec<u64> = (0..150).map(|_| bench.join("offices")).collect();
    bench.send_away(&offices);
    for steps in 1..=50 {
        bench.step(SECOND);
        let cursor = bench.room.facts_of_lane(offices[0]).cursor;
        assert!(cursor <= 3 * steps, "{cursor} after {steps}");
    }
    assert_eq!(bench.room.facts_of_lane(offices[0]).cursor, 150, "and stops nobody");
}

#[test]
fn a_lane_takes_no_turns_for_those_behind_a_row_of_slots() {
    let mut bench = Bench::new(2, &[("citizens", 1), ("offices", 1)]);
    (0..500).for_each(|_| _ = bench.join("citizens"));
    let offices: Vec<u64> = (0..200).map(|_| bench.join("offices")).collect();
    bench.send_away(&offices[1..100]);
    let mut called = Vec::new();
    for _ in 0..52 {
        bench.room.lanes.call(&bench.policy, 8, 2, false, bench.now);
        let (cursor, lanes) = (bench.room.lanes.wanted(), bench.room.lane_marks());
        bench.room.call_up_to(cursor, bench.now);
        bench.room.call_lanes(&lanes, bench.now);
        called.push(bench.room.lane_facts().iter().map(|lane| lane.called).collect::<Vec<_>>());
    }
    assert_eq!((&called[0][..], &called[1][..]), (&[7, 1][..], &[15, 1][..]), "what one cannot use is lent");
    assert!(
        called.iter().zip(1..).all(|(called, steps)| called.iter().sum::<u64>() == 8 * steps),
        "{called:?}"
    );
    assert_eq!(called[51][1] - called[50][1], 4, "and it makes up for nothing: {called:?}");
}

#[test]
fn a_lane_that_is_taken_away_is_a_line_while_somebody_is_left_in_it() {
    let mut bench = Bench::new(10, &[("citizens", 1), ("offices", 1)]);
    (0..1_000).for_each(|_| _ = bench.join("citizens"));
    let office = bench.join("offices");
    bench.policy = policy(10, &[]);
    assert!(bench.room.name_lanes(&bench.policy) && bench.room.has_lanes(), "somebody waits there");
    bench.step(SECOND);
    assert!(bench.room.has_lanes() && bench.room.lane_facts()[1].called == 1, "is called");
    assert_eq!(bench.claim(office), Claim::Admitted);
    bench.room.end(&pass(office), bench.now);
    let is_one_line = |bench: &Bench| !bench.room.has_lanes() && bench.room.lane_facts().len() == 1;
    assert!(is_one_line(&bench), "{:?}", bench.room.lane_facts());
    bench.keep_moving(40);
    let (facts, marks) = (bench.room.facts(&bench.policy), bench.room.marks());
    assert!(facts.spread.is_some(), "{facts:?}");
    assert_eq!(
        (facts.cursor, facts.issued),
        (marks.cursor, marks.issued),
        "people's numbers are of this line"
    );
    assert!(bench.is_offered_a_slot(facts.cursor + 300), "there is one line again");
    bench.kill();
    bench.step(bench.policy.call);
    assert!(is_one_line(&bench), "and so it stays: {:?}", bench.room.lane_facts());
    bench.policy = policy(10, &[("citizens", 1), ("desk", 1)]);
    assert!(bench.room.name_lanes(&bench.policy));
    let desk = bench.join("desk");
    assert_ne!(LaneId::of(desk), LaneId::of(office), "its numbers are nobody else's");
    bench.policy = policy(10, &[("citizens", 1), ("offices", 1)]);
    assert!(bench.room.name_lanes(&bench.policy));
    assert_eq!(bench.room.lane_named("offices"), Some(LaneId::of(office)), "it can come back");
}

#[test]
fn no_slot_is_offered_beside_a_lane_that_the_policy_names_no_more() {
    let mut bench = Bench::new(10, &[]);
    (0..1_000).for_each(|_| _ = bench.join("citizens"));
    bench.keep_moving(40);
    let far = bench.room.marks().cursor + 500;
    assert!(bench.is_offered_a_slot(far));
    bench.policy = policy(10, &[("citizens", 1), ("offices", 1)]);
    assert!(bench.room.name_lanes(&bench.policy));
    bench.join("offices");
    bench.policy = policy(10, &[]);
    assert!(bench.room.name_lanes(&bench.policy));
    assert!(!bench.is_offered_a_slot(far), "somebody waits in the other");
}

#[test]
fn the_weight_of_everybody_else_is_not_that_of_another_lane_of_the_name() {
    let mut bench = Bench::new(10, &[("citizens", 1), ("offices", 2)]);
    bench.join("offices");
    bench.policy = policy(10, &[("offices", 9), ("citizens", 3)]);
    bench.kill();
    let weights: Vec<u32> = bench.room.lanes.all().map(|lane| lane.weight(&bench.policy)).collect();
    assert_eq!(weights, [9, 1, 3]);
}

#[test]
fn whoever_was_called_before_a_restart_lives_in_the_lane() {
    let mut bench = Bench::new(10, &[("citizens", 1), ("offices", 1)]);
    let offices = [bench.join("offices"), bench.join("offices"), bench.join("offices")];
    bench.step(SECOND);
    assert_eq!(bench.claim(offices[0]), Claim::Admitted);
    bench.room.leave(offices[2], &pass(offices[2]), bench.now);
    let lane = LaneId::of(offices[0]);
    assert_eq!(bench.room.living(lane), (0, 2));
    bench.kill();
    assert_eq!(bench.room.living(lane), (0, 2), "one is inside, one is called, one has left");
    bench.step(SECOND);
    assert_eq!(bench.claim(offices[1]), Claim::Admitted);
    assert_eq!(bench.room.living(lane), (0, 2), "each counts once");
}

#[test]
fn a_number_that_was_never_given_is_not_given_up() {
    let mut bench = Bench::new(1, &[("citizens", 1), ("offices", 1)]);
    let office = bench.join("offices");
    let never = [7, office + 1, LaneId::new(9).unwrap().origin() + 1];
    never.into_iter().for_each(|number| bench.room.leave(number, &pass(number), bench.now));
    assert_eq!((bench.room.ended(), bench.room.living(LaneId::of(office)).0), (0, 1));
    assert_eq!(bench.join("offices"), office + 1);
    assert!(matches!(bench.room.look(office + 1, &pass(office + 1)), Claim::Waiting { .. }));
}
