//! The room in the hands of its store.

use super::*;
use crate::admission::policy::PollRule;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn policy(seats: u32) -> RoomPolicy {
    RoomPolicy {
        seats_floor: seats,
        seats_ceiling: seats,
        share: 1.0,
        call: SECOND * 600,
        idle: SECOND * 60,
        session: SECOND * 3_600,
        poll: PollRule { min: SECOND, max: SECOND * 10, divisor: 10, budget: 1_000 },
        hold: false,
        open: false,
        lanes: Vec::new(),
    }
}

pub(super) fn pass(number: u64) -> PassId {
    u128::from(number).to_le_bytes()
}

/// A room in the hands of its store, its disk never failing.
pub(super) struct Bench {
    pub(super) room: Room,
    pub(super) policy: RoomPolicy,
    pub(super) load: Load,
    pub(super) now: Moment,
}

impl Bench {
    fn new(seats: u32, marks: RoomMarks) -> Self {
        let (policy, now) = (policy(seats), Moment(1));
        let load = Load { limit: 100, ..Load::default() };
        Self { room: Room::restore(&policy, marks, now), policy, load, now }
    }

    /// So many wait, and none is called.
    pub(super) fn waiting(seats: u32, people: u64) -> Self {
        Self::new(seats, RoomMarks { epoch: 1, issued: people, reserved: people, cursor: 0 })
    }

    pub(super) fn step(&mut self, later: Duration) {
        self.now = self.now.after(later);
        let cursor = self.room.step(&self.policy, self.load, self.now);
        self.room.call_up_to(cursor, self.now);
    }

    pub(super) fn call(&mut self, cursor: u64) {
        self.room.step(&self.policy, self.load, self.now);
        self.room.call_up_to(cursor, self.now);
    }

    pub(super) fn claim(&mut self, number: u64) -> Claim {
        self.room.claim(&self.policy, number, pass(number), self.now)
    }

    pub(super) fn look(&self, number: u64) -> Claim {
        self.room.look(number, &pass(number))
    }

    pub(super) fn touch(&mut self, number: u64) -> Touch {
        let shown =
            ShownPass { id: pass(number), number, age: SECOND, finishing: false, older_than_we: true };
        self.room.touch(&self.policy, &shown, self.now)
    }
}

#[test]
fn a_claim_repeated_says_the_same_and_takes_one_seat() {
    let mut bench = Bench::waiting(2, 10);
    assert_eq!(bench.claim(1), Claim::Waiting { ahead: 0 }, "not called yet");
    bench.call(3);
    assert_eq!((bench.claim(1), bench.claim(1)), (Claim::Admitted, Claim::Admitted));
    assert_eq!(bench.room.facts(&bench.policy).active, 1);
    bench.claim(2);
    assert_eq!(
        (bench.claim(3), bench.claim(3)),
        (Claim::FrontRow { ahead: 0 }, Claim::FrontRow { ahead: 0 })
    );
    bench.room.end(&pass(1), bench.now);
    assert_eq!(bench.claim(1), Claim::Done);
    assert_eq!(bench.claim(5), Claim::Waiting { ahead: 1 });
}

#[test]
fn the_front_row_is_seated_by_number_however_they_came() {
    let mut bench = Bench::waiting(1, 9);
    bench.call(9);
    assert_eq!(bench.claim(9), Claim::Admitted);
    assert_eq!(bench.claim(7), Claim::FrontRow { ahead: 0 });
    assert_eq!(bench.claim(3), Claim::FrontRow { ahead: 0 });
    assert_eq!(bench.claim(7), Claim::FrontRow { ahead: 1 });
    bench.room.end(&pass(9), bench.now);
    assert_eq!(bench.claim(5), Claim::FrontRow { ahead: 0 }, "the seat goes to 3");
    assert_eq!((bench.look(3), bench.look(7)), (Claim::Admitted, Claim::FrontRow { ahead: 1 }));
}

/// One is inside, and nine stand in front of the only seat when the calls of 2 to 5 are out of time.
fn missed() -> Bench {
    let mut bench = Bench::waiting(1, 100);
    bench.call(15);
    assert_eq!(bench.claim(1), Claim::Admitted);
    for _ in 0..700 {
        bench.step(SECOND);
        bench.touch(1);
        (6..=15).for_each(|number| _ = bench.claim(number));
    }
    bench
}

#[test]
fn a_missed_call_keeps_its_number_and_is_called_again_from_a_tenth_of_the_calls() {
    let mut bench = missed();
    assert_eq!(bench.room.facts(&bench.policy).outstanding, 0, "all calls are past their time");
    assert_eq!(bench.look(3), Claim::Late { ahead: 0 });
    assert_eq!((bench.claim(4), bench.claim(3)), (Claim::Late { ahead: 0 }, Claim::Late { ahead: 0 }));
    assert_eq!(bench.claim(4), Claim::Late { ahead: 1 });
    assert_eq!(bench.room.call_time(&bench.policy, 3, bench.now), None);
    let mut in_order = Vec::new();
    let mut last = 1;
    for _ in 0..40 {
        bench.room.end(&pass(last), bench.now);
        bench.step(SECOND);
        let called = bench.room.marks().cursor;
        (3..=4).chain(6..=called).for_each(|number| _ = bench.claim(number));
        last = (2..=called).find(|number| bench.look(*number) == Claim::Admitted).unwrap();
        in_order.push(last);
    }
    let at = |number| in_order.iter().position(|it| *it == number);
    assert!(at(3) < at(4) && at(3).is_some() && at(6) < at(7), "{in_order:?}");
    assert!(at(3) > at(13), "not before those who came when they were called: {in_order:?}");
    bench.room.check().unwrap();
}

#[test]
fn where_nobody_else_waits_who_is_late_goes_in_at_once() {
    let mut bench = Bench::waiting(2, 3);
    bench.call(3);
    assert_eq!(bench.claim(1), Claim::Admitted);
    let wait = |bench: &mut Bench| {
        for _ in 0..700 {
            bench.step(SECOND);
            bench.touch(1);
        }
    };
    wait(&mut bench);
    assert_eq!(bench.look(2), Claim::Waiting { ahead: 0 }, "missed, and called again");
    (0..3).for_each(|_| wait(&mut bench));
    assert_eq!(bench.look(2), Claim::Late { ahead: 0 }, "missed three times");
    assert_eq!(bench.claim(2), Claim::Admitted);
    assert_eq!(bench.claim(3), Claim::Late { ahead: 0 }, "no seat is free");
    bench.room.end(&pass(2), bench.now);
    bench.step(SECOND);
    assert_eq!(bench.claim(3), Claim::Admitted);
}

#[test]
fn a_call_is_extended_ten_times_and_stands_still_while_the_room_is_held() {
    let mut bench = Bench::waiting(1, 20);
    bench.call(2);
    assert_eq!(bench.claim(1), Claim::Admitted);
    let left = |bench: &Bench| bench.room.call_time(&bench.policy, 2, bench.now);
    assert_eq!(left(&bench), Some(CallTime { left: SECOND * 600, extensions: 10 }));
    bench.load.hold = Some(HoldReason::Dependency);
    for _ in 0..900 {
        bench.step(SECOND);
    }
    assert_eq!(left(&bench).unwrap().left, SECOND * 600, "a login that is down burns no call");
    bench.load.hold = None;
    for times in (0..10).rev() {
        for _ in 0..500 {
            bench.step(SECOND);
            bench.touch(1);
        }
        let more = bench.room.extend_call(&bench.policy, 2, bench.now);
        assert_eq!(more, Some(CallTime { left: SECOND * 600, extensions: times }));
    }
    assert_eq!(bench.room.extend_call(&bench.policy, 99, bench.now), None, "not called");
    let seconds = (0..).take_while(|_| {
        bench.step(SECOND);
        bench.touch(1);
        bench.room.extend_call(&bench.policy, 2, bench.now);
        bench.room.lanes.first().late.misses(2) == 0
    });
    assert_eq!(seconds.count(), 599, "ten times, not more");
    bench.room.check().unwrap();
}

#[test]
fn a_restart_burns_no_call() {
    let mut bench = Bench::new(1, RoomMarks { epoch: 1, issued: 9, reserved: 9, cursor: 5 });
    let left = |bench: &Bench, number| bench.room.call_time(&bench.policy, number, bench.now);
    assert_eq!(left(&bench, 4).map(|time| time.left), Some(SECOND * 600));
    assert_eq!(left(&bench, 6), None);
    for _ in 0..599 {
        bench.step(SECOND);
    }
    assert_eq!(bench.claim(1), Claim::Admitted);
    bench.step(SECOND * 2);
    assert_eq!(bench.look(4), Claim::Late { ahead: 0 });
}

/// Its name, and how it is planted.
type Plant = (&'static str, fn(&mut Bench));

/// Each is a bug of one line that was planted where the room keeps its people.
#[test]
fn the_checker_finds_what_is_planted() {
    let plants: [Plant; 7] = [
        ("let in uncalled", |bench| bench.room.passes.begin(&bench.policy, pass(90), 90, SECOND, bench.now)),
        ("in front and inside", |bench| {
            bench.room.lanes.first_mut().front.insert(1, pass(1), None, bench.now)
        }),
        ("inside twice", |bench| bench.room.passes.begin(&bench.policy, pass(77), 1, SECOND, bench.now)),
        ("away and in front", |bench| _ = bench.room.absent.insert(7, bench.now)),
        ("late and in front", |bench| {
            bench.room.lanes.first_mut().late.miss(7);
            bench.room.lanes.first_mut().late.come_back(7);
        }),
        ("late and uncalled", |bench| bench.room.lanes.first_mut().late.miss(99)),
        ("extended and inside", |bench| _ = bench.room.extensions.extend(1, bench.now)),
    ];
    for (name, plant) in plants {
        let mut bench = missed();
        bench.claim(3);
        bench.room.check().unwrap();
        plant(&mut bench);
        let found = bench.room.check();
        println!("{name}: {found:?}");
        assert!(found.is_err(), "{name} was not found");
    }
}

#[test]
fn a_seat_that_nobody_heard_of_goes_back_and_the_number_stays_good() {
    let mut bench = Bench::waiting(1, 3);
    bench.call(3);
    assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
    bench.room.end(&pass(1), bench.now);
    bench.step(SECOND);
    assert_eq!((bench.look(2), bench.claim(3)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
    for _ in 0..4 {
        bench.step(SECOND);
        bench.claim(3);
    }
    assert_eq!((bench.look(3), bench.look(2)), (Claim::Admitted, Claim::Waiting { ahead: 0 }));
    assert_eq!(bench.claim(2), Claim::FrontRow { ahead: 0 });
    bench.room.leave(2, &pass(2), bench.now);
    assert_eq!(bench.claim(2), Claim::Done, "who left has left");
}

#[test]
fn numbers_perhaps_never_given_stop_nobody_and_are_still_good() {
    let mut bench = Bench::new(2, RoomMarks { epoch: 1, issued: 1, reserved: 200, cursor: 0 });
    bench.room.reserve(210);
    assert_eq!(bench.room.join(), Ok(201));
    for _ in 0..10 {
        bench.step(SECOND);
    }
    assert_eq!(bench.room.marks().cursor, 201);
    assert!(bench.room.facts(&bench.policy).outstanding <= 2, "{:?}", bench.room.facts(&bench.policy));
    assert_eq!((bench.claim(150), bench.claim(1)), (Claim::Admitted, Claim::Admitted));
}

#[test]
fn a_pass_from_before_a_restart_is_taken_up_again_also_from_the_front_row() {
    let mut bench = Bench::new(1, RoomMarks { epoch: 1, issued: 9, reserved: 9, cursor: 9 });
    bench.call(9);
    assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
    assert_eq!((bench.touch(2), bench.touch(3)), (Touch::Live, Touch::Live));
    assert_eq!((bench.claim(2), bench.claim(3)), (Claim::Admitted, Claim::Admitted));
}

#[test]
fn a_hold_stops_calls_and_all_clocks() {
    let mut bench = Bench::waiting(2, 50);
    bench.call(3);
    assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::Admitted));
    let before = bench.room.facts(&bench.policy);
    bench.load.hold = Some(HoldReason::Upstream);
    for _ in 0..100 {
        bench.step(SECOND * 60);
    }
    let held = bench.room.facts(&bench.policy);
    assert_eq!(held.state, RoomState::Held(HoldReason::Upstream));
    assert_eq!((held.cursor, held.outstanding, held.active), (3, before.outstanding, 2));
    bench.load.hold = None;
    bench.step(SECOND);
    assert_eq!((bench.touch(1), bench.touch(2)), (Touch::Live, Touch::Live), "nobody idled");
}

#[test]
fn a_seat_that_falls_free_under_a_hold_goes_to_the_front_row() {
    let mut bench = Bench::waiting(1, 2);
    bench.call(2);
    assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
    bench.policy.hold = true;
    bench.room.end(&pass(1), bench.now);
    bench.step(SECOND);
    assert_eq!(bench.look(2), Claim::Admitted);
}

#[test]
fn a_line_of_no_shows_does_not_stand_still_until_their_calls_are_over() {
    let mut bench = Bench::waiting(2, 200);
    for _ in 0..100 {
        bench.step(SECOND);
    }
    assert_eq!(bench.room.marks().cursor, 200);
}

#[test]
fn people_pass_straight_through_while_nobody_waits() {
    let mut bench = Bench::waiting(2, 0);
    bench.step(SECOND);
    assert!(bench.room.enter(&bench.policy, pass(101), bench.now));
    assert!(bench.room.enter(&bench.policy, pass(102), bench.now));
    assert!(!bench.room.enter(&bench.policy, pass(103), bench.now), "no seat is free");
    bench.policy.open = true;
    assert!(bench.room.enter(&bench.policy, pass(103), bench.now), "an emergency");
}

#[test]
fn who_does_not_look_is_passed_over_and_is_first_again_when_they_do() {
    let mut bench = Bench::waiting(1, 4);
    bench.call(4);
    bench.claim(4);
    assert_eq!(
        (bench.claim(1), bench.claim(2)),
        (Claim::FrontRow { ahead: 0 }, Claim::FrontRow { ahead: 1 })
    );
    for _ in 0..10 {
        bench.step(SECOND);
        bench.claim(2);
    }
    bench.room.end(&pass(4), bench.now);
    bench.step(SECOND);
    assert_eq!((bench.look(2), bench.look(1)), (Claim::Admitted, Claim::Waiting { ahead: 0 }));
    bench.claim(3);
    assert_eq!((bench.claim(1), bench.look(3)), (Claim::FrontRow { ahead: 0 }, Claim::FrontRow { ahead: 1 }));
}

#[test]
fn a_pass_that_was_claimed_and_never_used_gives_its_seat_back_and_stands_first() {
    let mut bench = Bench::waiting(1, 4);
    bench.call(4);
    assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
    for _ in 0..13 {
        bench.step(SECOND);
        bench.claim(2);
    }
    assert_eq!(bench.look(2), Claim::Admitted, "idle is a minute, a fifth of it is enough");
    let shown = ShownPass { id: pass(1), number: 1, age: SECOND, finishing: false, older_than_we: false };
    assert_eq!(bench.room.touch(&bench.policy, &shown, bench.now), Touch::Over);
    assert_eq!(bench.room.touch(&bench.policy, &shown, bench.now), Touch::Over, "no seat is free");
    assert_eq!(bench.look(1), Claim::FrontRow { ahead: 0 });
    bench.room.end(&pass(2), bench.now);
    assert_eq!(bench.room.touch(&bench.policy, &shown, bench.now), Touch::Live);
}

#[test]
fn a_call_that_nobody_takes_keeps_no_unit_and_whoever_is_late_takes_what_is_left() {
    let mut bench = Bench::waiting(50, 200);
    bench.room.remain(5, bench.now, bench.now);
    let mut most = 0;
    for _ in 0..60 {
        bench.step(SECOND);
        most = most.max(bench.room.calls.fresh());
    }
    assert!(bench.room.marks().cursor > 15, "{}", bench.room.marks().cursor);
    assert_eq!(most, 5, "never more than what is left");
    for number in 1..=5 {
        assert_eq!(bench.claim(number), Claim::Admitted);
    }
    assert_eq!(bench.claim(6), Claim::FrontRow { ahead: 0 }, "fifty seats, and five units");
    bench.room.remain(4, bench.now, bench.now);
    bench.room.end(&pass(1), bench.now);
    assert_eq!(bench.claim(6), Claim::FrontRow { ahead: 0 }, "four are inside for four");
    bench.room.end(&pass(2), bench.now);
    assert_eq!(bench.claim(6), Claim::Admitted);
    bench.room.remain(0, bench.now, bench.now);
    assert_eq!((bench.claim(7), bench.look(150)), (Claim::SoldOut, Claim::SoldOut));
    bench.room.remain(9, bench.now, bench.now);
    assert_eq!(bench.claim(7), Claim::Admitted, "the number stayed good");
}

#[test]
fn an_older_word_on_what_is_left_that_comes_late_is_not_believed() {
    let mut bench = Bench::waiting(50, 200);
    let [first, second, heard, later] = [0, 10, 20, 30].map(|ms| bench.now.after(Duration::from_millis(ms)));
    bench.room.remain(0, second, heard);
    bench.room.remain(1, first, later);
    assert_eq!(bench.look(150), Claim::SoldOut, "one was left before that, not after");
    bench.room.remain(1, heard, later);
    assert_ne!(bench.look(150), Claim::SoldOut, "somebody gave one back");
    bench.room.remain(0, first, later);
    assert_eq!(bench.look(150), Claim::SoldOut, "fewer is believed of anybody");
}

#[test]
fn calls_and_people_inside_never_exceed_what_is_left() {
    let mut bench = Bench::waiting(50, 200);
    bench.room.remain(5, bench.now, bench.now);
    bench.step(SECOND);
    assert_eq!(bench.room.marks().cursor, 5);
    bench.room.remain(0, bench.now, bench.now);
    bench.step(SECOND);
    assert_eq!(bench.room.marks().cursor, 5);
}

#[test]
fn before_its_opening_a_room_calls_and_seats_nobody() {
    let mut bench = Bench::new(10, RoomMarks::default());
    bench.room.reserve(100);
    for (shut, state) in [(Shut::Closed, RoomState::Closed), (Shut::Prequeue, RoomState::Prequeue)] {
        bench.room.shut(Some(shut), None);
        bench.policy.open = true;
        bench.step(SECOND);
        bench.policy.open = false;
        bench.step(SECOND);
        assert_eq!(bench.room.state(&bench.policy), state);
        assert!(!bench.room.enter(&bench.policy, pass(90), bench.now), "also not by the open door");
    }
    (1..=3).for_each(|number| assert_eq!(bench.room.join(), Ok(number)));
    bench.step(SECOND * 60);
    assert_eq!((bench.room.marks().cursor, bench.claim(1)), (0, Claim::Waiting { ahead: 0 }));
    let earlier = ShownPass { id: pass(80), number: 0, age: SECOND, finishing: true, older_than_we: true };
    assert_eq!(bench.room.touch(&bench.policy, &earlier, bench.now), Touch::Over);
    bench.room.shut(None, None);
    bench.step(SECOND);
    assert_eq!(bench.claim(1), Claim::Admitted);
    bench.room.shut(Some(Shut::Prequeue), None);
    bench.step(SECOND);
    assert_ne!(
        bench.room.state(&bench.policy),
        RoomState::Prequeue,
        "a clock that goes back sends nobody out"
    );
    bench.room.shut(Some(Shut::Prequeue), Some(UnixTime(9)));
    assert_eq!(bench.room.state(&bench.policy), RoomState::Prequeue, "another opening does");
    assert_eq!(bench.claim(1), Claim::Admitted);
}

#[test]
fn who_is_called_again_and_silent_keeps_no_unit_longer_than_who_is_called_first() {
    let mut bench = Bench::waiting(10, 100);
    bench.call(20);
    (1..=3).for_each(|number| bench.room.lanes.first_mut().late.miss(number));
    bench.step(SECOND * 30);
    let clock = bench.room.clock(bench.now);
    bench.room.lanes.first_mut().late.call(3, clock);
    bench.room.remain(3, bench.now, bench.now);
    let cursor = bench.room.marks().cursor;
    bench.step(SECOND);
    assert_eq!(bench.room.marks().cursor, cursor, "all that is left is kept for those three");
    bench.step(bench.room.calls.judged_within(SECOND * 600));
    assert!(bench.room.marks().cursor > cursor, "and not for longer: {:?}", bench.room.marks());
    bench.room.check().unwrap();
}
