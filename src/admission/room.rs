//! The line of one room: who is next, who is called, who is inside.
//!
//! First come, first served. A number is given once and never changes; the cursor, the highest number
//! called, only rises. Being called uses nothing up: only a *claim* takes a seat, once. A claim that
//! finds no seat joins the front row, in number order, and gets the next one. A call that its holder
//! misses expires for the accounts only: the number stays good, and a late claim stands in the front
//! row by its number. So silence costs nobody a place.
//!
//! Memory: counters, one bit per *called* number, a record per pass. Nothing per waiting person.
//! The parts: [`Numbers`] (given, called, used), [`Calls`] (on their way), [`FrontRow`] (here), [`Passes`]
//! (inside), and [`Seats`].
//!
//! Invariants: `cursor ≤ issued`; passes given out by the line never exceed the seats at that moment;
//! the front row is empty or no seat is free after a step; a number is let in at most once. A seat that
//! falls to somebody of the front row who does not look goes back unheard, and the number stays good.

use std::collections::BTreeSet;
use std::time::Duration;

use super::calls::Calls;
use super::front_row::FrontRow;
use super::moment::{Moment, nanos};
use super::numbers::Numbers;
use super::passes::Passes;
use super::policy::RoomPolicy;
use super::seats::Seats;

pub use super::numbers::{BlockUsedUp, RoomMarks};
pub use super::passes::{PassId, ShownPass, Touch};

/// Why the line stands still. Clocks stand still with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// An operator said so.
    Operator,
    /// The upstream is down or does not answer.
    Upstream,
    /// State could not be made durable.
    Store,
}

/// What a room does with those who arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomState {
    /// Nobody waits; people pass straight through.
    Open,
    /// People wait for seats.
    Queueing,
    /// Nobody is called.
    Held(HoldReason),
}

/// A claim was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Inside. Repeating the claim says the same.
    Admitted,
    /// Called, but no seat is free yet; so many stand before.
    FrontRow {
        /// Numbers in the front row that go first.
        ahead: u64,
    },
    /// Not called yet; so many numbers are called before.
    Waiting {
        /// Uncalled numbers that go first.
        ahead: u64,
    },
    /// The session that this number gave is over.
    Done,
}

/// What one look at the room says, for the board and for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoomFacts {
    /// See [`RoomState`].
    pub state: RoomState,
    /// Epoch of the numbering.
    pub epoch: u32,
    /// Highest number called.
    pub cursor: u64,
    /// Highest number given.
    pub issued: u64,
    /// Numbers called a second.
    pub rate: f64,
    /// Part of those called that come.
    pub show_rate: f64,
    /// Passes in use.
    pub active: usize,
    /// Claims without a seat yet.
    pub front_row: usize,
    /// Calls not claimed and not expired.
    pub outstanding: u64,
    /// Seats.
    pub seats: u32,
    /// Requests in flight per active pass.
    pub kappa: f64,
    /// Units left, if the upstream said.
    pub remaining: Option<u64>,
}

/// What the room must know of its upstream at a step.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The upstream's limit.
    pub limit: u32,
    /// Requests unfinished there.
    pub in_flight: u32,
    /// Why nobody may be called, if so.
    pub hold: Option<HoldReason>,
}

/// The state of one room. The policy is an argument of each step.
#[derive(Debug)]
pub struct Room {
    numbers: Numbers,
    calls: Calls,
    front: FrontRow,
    /// Numbers whose seat went back because their holders were not there to hear of it.
    unheard: BTreeSet<u64>,
    passes: Passes,
    seats: Seats,
    remaining: Option<u64>,
    hold: Option<HoldReason>,
    stood_still: Duration,
    last_step: Moment,
}

/// Calls of which nothing is known yet may be this many times the seats, or `2 ÷ show rate` times if
/// that is more: the front row stays bounded even if everybody turns up in the same second. Calls
/// judged missing do not count, or a line of no-shows would stand still until their time is over.
const CALLS_PER_SEAT: f64 = 4.0;
const COMERS_PER_SEAT: f64 = 2.0;

/// Longest pauses of the poll rule after which whoever was called and did not come counts as missing.
const LOOKS_BEFORE_MISSING: u32 = 4;

impl Room {
    /// A room as it was left, at `now`; see [`Numbers::restore`].
    #[must_use]
    pub fn restore(policy: &RoomPolicy, marks: RoomMarks, now: Moment) -> Self {
        Self {
            numbers: Numbers::restore(marks),
            calls: Calls::new(policy.poll.min),
            front: FrontRow::default(),
            unheard: BTreeSet::new(),
            passes: Passes::default(),
            seats: Seats::default(),
            remaining: None,
            hold: None,
            stood_still: Duration::ZERO,
            last_step: now,
        }
    }

    /// What must be durable for [`Room::restore`].
    #[must_use]
    pub fn marks(&self) -> RoomMarks {
        self.numbers.marks()
    }

    /// Numbers up to `reserved` are durably ours to give.
    pub fn reserve(&mut self, reserved: u64) {
        self.numbers.reserve(reserved);
    }

    /// Gives the next number.
    ///
    /// # Errors
    /// [`BlockUsedUp`] until the store has reserved more.
    pub fn join(&mut self) -> Result<u64, BlockUsedUp> {
        self.numbers.give()
    }

    /// A holder gives the number up.
    pub fn leave(&mut self, number: u64, pass: &PassId, now: Moment) {
        if !self.numbers.is_called(number) {
            self.numbers.give_up(number);
        } else if self.front.remove(number).is_none()
            && !self.unheard.remove(&number)
            && !self.end(pass, now)
            && self.numbers.mark_used(number)
        {
            self.close_call(number);
        }
    }

    /// The holder of a called number comes in, or asks again. Idempotent.
    pub fn claim(&mut self, policy: &RoomPolicy, number: u64, pass: PassId, now: Moment) -> Claim {
        let clock = self.clock(now);
        if !self.numbers.is_called(number) {
            return self.look(number, &pass);
        }
        if self.passes.tell(&pass, clock) {
            return Claim::Admitted;
        }
        if !self.front.contains(number) {
            if self.numbers.mark_used(number) {
                self.take_up_call(number, clock);
            } else if !self.unheard.remove(&number) {
                return Claim::Done;
            }
            self.front.insert(number, pass);
            self.seat_front_row(policy, clock);
            self.passes.tell(&pass, clock);
        }
        self.front_place(number)
    }

    /// Where a number stands, changing nothing.
    #[must_use]
    pub fn look(&self, number: u64, pass: &PassId) -> Claim {
        if self.passes.contains(pass) {
            Claim::Admitted
        } else if self.front.contains(number) {
            self.front_place(number)
        } else if self.numbers.is_spent(number) && !self.unheard.contains(&number) {
            Claim::Done
        } else {
            Claim::Waiting { ahead: number.saturating_sub(self.marks().cursor + 1) }
        }
    }

    /// Lets somebody through who never waited, if nobody waits and a seat is free.
    pub fn enter(&mut self, policy: &RoomPolicy, pass: PassId, now: Moment) -> bool {
        let straight = self.state(policy) == RoomState::Open;
        if straight {
            // Known to its holder only when it comes back: not everything that navigates keeps cookies.
            self.passes.begin(policy, pass, 0, self.clock(now));
        }
        straight
    }

    /// A request under a pass that verified. One unknown to us was given before a restart and is taken
    /// up again, also from the front row. `finishing` is a request that would lose work (an unsafe
    /// method): on a pass that ran out a short while ago it is let through once more.
    pub fn touch(&mut self, policy: &RoomPolicy, shown: &ShownPass, now: Moment) -> Touch {
        if let Some(known) = self.passes.touch(shown, self.clock(now)) {
            return known;
        }
        // Given at the open door and then let go because nobody came back with it: good again while the
        // door is open. Else passes could be hoarded there and used all at once past the line.
        let at_the_door = shown.number == 0 && !shown.older_than_we;
        if at_the_door && self.state(policy) != RoomState::Open {
            return Touch::Over;
        }
        let in_front = self.front.pass(shown.number) == Some(&shown.id);
        if shown.age > policy.session || !(in_front || self.numbers.mark_used(shown.number)) {
            return Touch::Over;
        }
        self.front.remove(shown.number);
        self.admit(policy, shown.id, shown.number, now);
        Touch::Live
    }

    /// The upstream or its holder ends a session; its seat is free. False if there is none.
    pub fn end(&mut self, pass: &PassId, now: Moment) -> bool {
        self.passes.end(pass, self.clock(now))
    }

    /// A session that its holder never heard of is taken back.
    pub fn take_back(&mut self, pass: &PassId) {
        self.passes.take_back(pass);
    }

    /// The upstream lets a session last `longer`.
    pub fn extend(&mut self, pass: &PassId, longer: Duration, now: Moment) {
        self.passes.extend(pass, longer, self.clock(now));
    }

    /// The upstream said how many units are left.
    pub fn remain(&mut self, units: u64) {
        self.remaining = Some(units);
    }

    /// One step of the room, a few times a second: clocks, seats, front row. Returns the cursor that
    /// should be published; the store makes it durable and then says [`Room::call_up_to`].
    ///
    /// A hold stops calls and clocks. Seats that are free go to those who were called before it. An
    /// open room calls and seats everybody, in order, whatever the seats.
    pub fn step(&mut self, policy: &RoomPolicy, load: Load, now: Moment) -> u64 {
        let elapsed = now.since(self.last_step);
        self.last_step = now;
        self.passes.step(elapsed);
        self.calls.step(elapsed);
        self.seats.observe(load.in_flight, self.passes.len(), elapsed);
        self.seats.follow(policy, load.limit, elapsed);
        self.hold = match (policy.hold, policy.open) {
            (true, _) => Some(HoldReason::Operator),
            (false, true) => None,
            (false, false) => load.hold,
        };
        if self.hold.is_some() {
            self.stood_still += elapsed;
        }
        let clock = self.clock(now);
        if self.hold.is_none() {
            let needed = !self.front.is_empty() || self.numbers.waiting() > 0;
            self.unheard.extend(self.passes.expire(policy, needed, clock));
            self.calls.judge(policy.call, policy.poll.max * LOOKS_BEFORE_MISSING, clock);
        }
        self.seat_front_row(policy, clock);
        if self.hold.is_some() {
            return self.marks().cursor;
        }
        let wanted = if policy.open { self.numbers.waiting() } else { self.calls_wanted(clock) };
        let sold_out = self.remaining.is_some_and(|units| units <= self.inside());
        if sold_out && !policy.open { self.marks().cursor } else { self.numbers.reach(wanted) }
    }

    /// Calls all numbers up to `cursor`, which is durable by now.
    pub fn call_up_to(&mut self, cursor: u64, now: Moment) {
        if let Some((numbers, people)) = self.numbers.call_up_to(cursor) {
            self.calls.call(numbers, people, self.clock(now));
        }
        self.check_invariants();
    }

    /// What the board and the metrics show.
    #[must_use]
    pub fn facts(&self, policy: &RoomPolicy) -> RoomFacts {
        let RoomMarks { epoch, issued, cursor, .. } = self.marks();
        RoomFacts {
            state: self.state(policy),
            epoch,
            cursor,
            issued,
            rate: self.calls.per_second(),
            show_rate: self.calls.shows().rate(),
            active: self.passes.len(),
            front_row: self.front.len(),
            outstanding: self.calls.outstanding(),
            seats: self.seats.seats(),
            kappa: self.seats.kappa(),
            remaining: self.remaining,
        }
    }

    /// What the room does with those who arrive now.
    #[must_use]
    pub fn state(&self, policy: &RoomPolicy) -> RoomState {
        if policy.hold {
            return RoomState::Held(HoldReason::Operator);
        }
        if let Some(reason) = self.hold {
            return RoomState::Held(reason);
        }
        let nobody_waits = self.numbers.waiting() == 0 && self.front.is_empty();
        if policy.open || nobody_waits && self.free() > self.calls.outstanding() {
            RoomState::Open
        } else {
            RoomState::Queueing
        }
    }

    fn free(&self) -> u64 {
        u64::from(self.seats.seats()).saturating_sub(self.passes.len() as u64)
    }

    /// Time as this room's clocks count it: it stands still while nobody can be called.
    fn clock(&self, now: Moment) -> Moment {
        Moment(now.0.saturating_sub(nanos(self.stood_still)))
    }

    /// People to call now: enough that, at the measured show rate, the free seats fill up and those
    /// that fall free while the called are on their way as well (`departures · claim delay`), less
    /// those already on their way.
    fn calls_wanted(&self, clock: Moment) -> u64 {
        let shows = self.calls.shows();
        let falling_free = self.passes.departures() * shows.delay().as_secs_f64();
        let on_their_way = self.calls.on_their_way(clock);
        let needed = self.free() as f64 + falling_free - self.front.len() as f64 - on_their_way;
        let per_seat = CALLS_PER_SEAT.max(COMERS_PER_SEAT / shows.rate());
        let fresh_max = whole(per_seat * f64::from(self.seats.seats()));
        let wanted = whole((needed / shows.rate()).max(0.0))
            .min(fresh_max.saturating_sub(self.calls.fresh()))
            .min(self.numbers.waiting());
        self.remaining.map_or(wanted, |units| wanted.min(units.saturating_sub(self.inside())))
    }

    /// Those who have or may take one of the units that remain.
    fn inside(&self) -> u64 {
        self.passes.len() as u64 + self.front.len() as u64 + self.calls.outstanding()
    }

    fn front_place(&self, number: u64) -> Claim {
        if !self.front.contains(number) {
            return Claim::Admitted;
        }
        Claim::FrontRow { ahead: self.front.ahead_of(number) }
    }

    fn seat_front_row(&mut self, policy: &RoomPolicy, clock: Moment) {
        while policy.open || self.free() > 0 {
            let Some((number, pass)) = self.front.pop_first() else { break };
            self.passes.begin(policy, pass, number, clock);
        }
    }

    /// Somebody comes in, and knows it.
    fn admit(&mut self, policy: &RoomPolicy, pass: PassId, number: u64, now: Moment) {
        let clock = self.clock(now);
        self.passes.begin(policy, pass, number, clock);
        self.passes.tell(&pass, clock);
    }

    /// Numbers that were perhaps never given stand in no account, whoever turns up.
    fn take_up_call(&mut self, number: u64, clock: Moment) {
        if !self.numbers.is_uncertain(number) {
            self.calls.claimed(number, clock);
        }
    }

    fn close_call(&mut self, number: u64) {
        if !self.numbers.is_uncertain(number) {
            self.calls.close(number);
        }
    }

    /// Checked at the end of what moves the cursor, in debug builds.
    pub fn check_invariants(&self) {
        let marks = self.marks();
        debug_assert!(marks.cursor <= marks.issued, "called a number that was not given");
        debug_assert!(marks.issued <= marks.reserved, "gave a number that is not durable");
        debug_assert!(self.front.last().is_none_or(|number| number <= marks.cursor), "uncalled in front");
    }
}

/// Rounds down; what is beyond any line saturates.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
    let whole = number as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::policy::PollRule;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(seats: u32) -> RoomPolicy {
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
        }
    }

    fn pass(number: u64) -> PassId {
        [u8::try_from(number).unwrap(); 16]
    }

    /// A room in the hands of its store, its disk never failing.
    struct Bench {
        room: Room,
        policy: RoomPolicy,
        load: Load,
        now: Moment,
    }

    impl Bench {
        fn new(seats: u32, marks: RoomMarks) -> Self {
            let (policy, now) = (policy(seats), Moment(1));
            let load = Load { limit: 100, in_flight: 0, hold: None };
            Self { room: Room::restore(&policy, marks, now), policy, load, now }
        }

        /// So many wait, and none is called.
        fn waiting(seats: u32, people: u64) -> Self {
            Self::new(seats, RoomMarks { epoch: 1, issued: people, reserved: people, cursor: 0 })
        }

        fn step(&mut self, later: Duration) {
            self.now = self.now.after(later);
            let cursor = self.room.step(&self.policy, self.load, self.now);
            self.room.call_up_to(cursor, self.now);
        }

        fn call(&mut self, cursor: u64) {
            self.room.step(&self.policy, self.load, self.now);
            self.room.call_up_to(cursor, self.now);
        }

        fn claim(&mut self, number: u64) -> Claim {
            self.room.claim(&self.policy, number, pass(number), self.now)
        }

        fn look(&self, number: u64) -> Claim {
            self.room.look(number, &pass(number))
        }

        fn touch(&mut self, number: u64) -> Touch {
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

    #[test]
    fn a_late_claim_stands_by_its_number() {
        let mut bench = Bench::waiting(1, 5);
        bench.call(5);
        assert_eq!((bench.claim(4), bench.claim(5)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
        for _ in 0..700 {
            bench.step(SECOND);
            assert_eq!(bench.touch(4), Touch::Live);
        }
        assert_eq!(bench.room.facts(&bench.policy).outstanding, 0, "all calls are past their time");
        assert_eq!(bench.claim(2), Claim::FrontRow { ahead: 0 });
        assert_eq!(bench.claim(5), Claim::FrontRow { ahead: 1 });
    }

    #[test]
    fn a_seat_that_nobody_heard_of_goes_back_and_the_number_stays_good() {
        let mut bench = Bench::waiting(1, 3);
        bench.call(3);
        assert_eq!((bench.claim(1), bench.claim(2)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
        bench.room.end(&pass(1), bench.now);
        bench.step(SECOND);
        assert_eq!((bench.look(2), bench.claim(3)), (Claim::Admitted, Claim::FrontRow { ahead: 0 }));
        bench.step(SECOND * 61);
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
    fn calls_and_people_inside_never_exceed_what_is_left() {
        let mut bench = Bench::waiting(50, 200);
        bench.room.remain(5);
        bench.step(SECOND);
        assert_eq!(bench.room.marks().cursor, 5);
        bench.room.remain(0);
        bench.step(SECOND);
        assert_eq!(bench.room.marks().cursor, 5);
    }
}
