//! The line of one room: who is next, who is called, who is inside.
//!
//! First come, first served. A number is given once and never changes; the cursor, the highest number
//! called, only rises. Being called uses nothing up: only a *claim* takes a seat, once. A claim that
//! finds no seat joins the front row, in number order, and gets the next one. A call that its holder
//! misses is lost, the number is not: it is called again in the late lane. A call can be extended. Whoever
//! takes a slot goes away until then, and the line passes over the number.
//! All this holds within a lane; between the lanes of a room calls and seats go by weight.
//!
//! Memory: counters, some bits per *called* number, a record per pass, extension and slot. Nothing per waiting
//! person. The parts: of each lane its numbers (given, called, used), its late lane (missed), its front
//! row (here) and its forecast (how long it may take); [`Calls`] (on their way), [`Passes`] (inside), [`Seats`].
//!
//! Calls go ahead of the free seats by the time that people take to come, so that the next of the front row
//! is there when a seat falls free. Where what people wait for is counted, passes, front row and calls
//! together are never more than what is left when somebody is called, and nobody is seated beyond it.
//!
//! Invariants: `cursor ≤ issued`; passes given out by the line never exceed the seats at that moment;
//! the front row is empty or no seat is free after a step; a number is let in at most once. A seat that
//! falls to somebody of the front row who does not look goes back, and the number stays good.

mod calling;
mod ending;
mod facts;
mod habits;
mod invariants;
mod lanes;
mod lateness;
mod night;
mod returns;
mod tally;
mod trace;
mod visits;

use std::collections::BTreeMap;
use std::time::Duration;

use super::calls::Calls;
use super::extensions::Extensions;
use super::front_row::Next;
use super::lane::LaneId;
use super::moment::{Moment, UnixTime, nanos};
use super::number_set::NumberSet;
use super::opening::Shut;
use super::passes::Passes;
use super::policy::RoomPolicy;
use super::seats::Seats;
use super::slots::Slots;

use calling::Demand;
pub use facts::{Claim, HoldReason, Load, RoomFacts, RoomState};
pub use habits::Habits;
use lanes::{Lane, Lanes};
pub use tally::Tally;
use trace::Farewells;
pub use trace::{Farewell, Trace};

pub use super::extensions::{CallTime, VisitTime};
pub use super::numbers::{BlockUsedUp, Ends, RoomMarks};
pub use super::passes::{PassId, ShownPass, Touch};

/// The state of one room. The policy is an argument of each step.
#[derive(Debug)]
pub struct Room {
    lanes: Lanes,
    calls: Calls,
    extensions: Extensions,
    slots: Slots,
    farewells: Farewells,
    /// Numbers that were heard and whose holders were not there when it was their turn, and when they
    /// looked last.
    absent: BTreeMap<u64, Moment>,
    passes: Passes,
    seats: Seats,
    /// Units that are left, and when that was heard.
    remaining: Option<u64>,
    remaining_heard: Moment,
    hold: Option<HoldReason>,
    /// It has not opened yet.
    shut: Option<Shut>,
    opening: Option<UnixTime>,
    stood_still: Duration,
    last_step: Moment,
}

/// Longest pauses of the poll rule after which whoever was called and did not come counts as missing.
const LOOKS_BEFORE_MISSING: u32 = 4;

impl Room {
    /// A room as it was left, at `now`; see [`Numbers::restore`](super::numbers::Numbers). These are the marks of
    /// its first lane, see [`Room::restore_lanes`] for others.
    #[must_use]
    pub fn restore(policy: &RoomPolicy, marks: RoomMarks, now: Moment) -> Self {
        Self {
            lanes: Lanes::restore(marks, now),
            calls: Calls::new(policy.poll.min),
            extensions: Extensions::default(),
            slots: Slots::default(),
            farewells: Farewells::default(),
            absent: BTreeMap::new(),
            passes: Passes::default(),
            seats: Seats::default(),
            remaining: None,
            remaining_heard: now,
            hold: None,
            shut: None,
            opening: None,
            stood_still: Duration::ZERO,
            last_step: now,
        }
    }

    /// What must be durable for [`Room::restore`].
    #[must_use]
    pub fn marks(&self) -> RoomMarks {
        self.lanes.first().numbers.marks()
    }

    /// These numbers were over when the room was left: given up, or their sessions ended for good.
    pub fn restore_over(&mut self, over: &NumberSet) {
        for lane in self.lanes.all_mut() {
            let own = over.words().filter(|(at, _)| LaneId::of(at.saturating_mul(64)) == lane.id);
            lane.numbers.restore_over(NumberSet::of_words(own));
        }
    }

    /// What must be durable of the numbers that are over, besides the marks.
    #[must_use]
    pub fn unkept(&self) -> Ends {
        let mut all = Ends::default();
        for ends in self.lanes.all().map(|lane| lane.numbers.unkept()) {
            all.words.extend(ends.words);
            all.count += ends.count;
        }
        all
    }

    /// These ends are durable.
    pub fn kept(&mut self, ends: &Ends) {
        self.lanes.all_mut().for_each(|lane| lane.numbers.kept(ends));
    }

    /// How many numbers went over in this life.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.lanes.all().map(|lane| lane.numbers.ended()).sum()
    }

    /// Numbers up to `reserved` are durably ours to give.
    pub fn reserve(&mut self, reserved: u64) {
        self.lanes.first_mut().numbers.reserve(reserved);
    }

    /// See [`Numbers::begin_after`](super::numbers::Numbers::begin_after).
    pub fn begin_after(&mut self, drawn: u64) {
        self.lanes.first_mut().numbers.begin_after(drawn);
    }

    /// See [`Numbers::close_block`](super::numbers::Numbers::close_block).
    pub fn close_block(&mut self) {
        self.lanes.all_mut().for_each(|lane| lane.numbers.close_block());
    }

    /// Whether it has opened. A room in which somebody has come in is never shut again: a clock that goes
    /// back sends nobody out.
    ///
    /// `opening` is the one that it is shut until, or was: another one counts whoever is there.
    pub fn shut(&mut self, shut: Option<Shut>, opening: Option<UnixTime>) {
        if self.shut == Some(Shut::Ended) {
            return;
        }
        let came_in = !self.passes.is_empty() || self.lanes.front() > 0;
        if self.shut.is_some() || !came_in || self.opening != opening {
            (self.shut, self.opening) = (shut, opening);
        }
    }

    /// Gives the next number of the first lane.
    ///
    /// # Errors
    /// [`BlockUsedUp`] until the store has reserved more, and when the event is over.
    pub fn join(&mut self) -> Result<u64, BlockUsedUp> {
        self.join_in(LaneId::FIRST)
    }

    /// A holder gives the number up.
    pub fn leave(&mut self, number: u64, pass: &PassId, now: Moment) {
        let lane = self.lanes.of_mut(number);
        if LaneId::of(number) != lane.id || number > lane.numbers.marks().issued {
            // A ticket of a newer state than this one: the number is somebody else's when it is given.
            return;
        }
        self.extensions.forget(number);
        lane.late.forget(number);
        if !lane.numbers.is_called(number) && !lane.numbers.is_spent(number) {
            lane.numbers.give_up(number);
        } else if lane.front.remove(number).is_none()
            && self.absent.remove(&number).is_none()
            && !self.end(pass, now)
            && self.lanes.of_mut(number).numbers.mark_used(number)
        {
            self.close_call(number);
        }
        self.slots.forget(number);
        self.farewells.left(number);
        self.lanes.of_mut(number).numbers.end(number);
    }

    /// An operator takes a place away: whatever became of it, it is over, and a pass of it as well.
    pub fn revoke(&mut self, policy: &RoomPolicy, number: u64, pass: &PassId, now: Moment) {
        if number > 0 {
            self.leave(number, pass, now);
            self.farewells.revoked(number);
        }
        self.passes.revoke(policy, *pass, number, self.clock(now));
        self.note_ends();
    }

    /// The holder of a called number comes in, or asks again. Idempotent.
    pub fn claim(&mut self, policy: &RoomPolicy, number: u64, pass: PassId, now: Moment) -> Claim {
        let clock = self.clock(now);
        if self.shut.is_some() || number == 0 || !self.may_come(number, now) {
            return self.look(number, &pass);
        }
        if self.passes.tell(&pass, clock) {
            return Claim::Admitted;
        }
        if !self.lanes.of_mut(number).front.look(number, clock) {
            let seen = self.absent.get(&number).copied();
            if self.lanes.of(number).numbers.is_spent(number) && seen.is_none() {
                return Claim::Done;
            }
            if self.is_sold_out() {
                return Claim::SoldOut;
            }
            if self.lanes.of(number).late.is_late(number) && !self.nobody_competes(policy) {
                let late = &mut self.lanes.of_mut(number).late;
                late.come_back(number);
                return Claim::Late { ahead: late.ahead_of(number) };
            }
            if self.lanes.of_mut(number).numbers.mark_used(number) {
                self.take_up_call(number, clock);
                self.forget_used_slot(number);
            }
            self.extensions.forget(number);
            self.absent.remove(&number);
            let lane = self.lanes.of_mut(number);
            lane.late.forget(number);
            lane.front.insert(number, pass, seen, clock);
        }
        self.seat_front_row(policy, clock);
        self.passes.tell(&pass, clock);
        self.front_place(number)
    }

    /// Where a number stands, changing nothing.
    #[must_use]
    pub fn look(&self, number: u64, pass: &PassId) -> Claim {
        let lane = self.lanes.of(number);
        if self.passes.contains(pass) {
            Claim::Admitted
        } else if lane.front.contains(number) {
            self.front_place(number)
        } else if lane.numbers.is_spent(number) && !self.absent.contains_key(&number) {
            Claim::Done
        } else if self.is_sold_out() {
            Claim::SoldOut
        } else if lane.late.is_late(number) {
            Claim::Late { ahead: lane.late.ahead_of(number) }
        } else {
            Claim::Waiting { ahead: number.saturating_sub(lane.numbers.marks().cursor + 1) }
        }
    }

    /// Lets somebody through who never waited, if nobody waits and a seat is free.
    pub fn enter(&mut self, policy: &RoomPolicy, pass: PassId, now: Moment) -> bool {
        let straight = self.state(policy) == RoomState::Open;
        if straight {
            // Known to its holder only when it comes back: not everything that navigates keeps cookies.
            self.passes.begin(policy, pass, 0, policy.idle, self.clock(now));
        }
        straight
    }

    /// A request under a pass that verified. One unknown to us was given before a restart and is taken
    /// up again, also from the front row. `finishing` is a request that would lose work (an unsafe
    /// method): on a pass that ran out a short while ago it is let through once more.
    pub fn touch(&mut self, policy: &RoomPolicy, shown: &ShownPass, now: Moment) -> Touch {
        let clock = self.clock(now);
        if self.shut.is_some() {
            return Touch::Over;
        }
        self.seats.asked();
        if let Some(known) = self.passes.touch(shown, clock) {
            return known;
        }
        if shown.age > policy.session {
            return Touch::Over;
        }
        if let Some(seen) = self.absent.remove(&shown.number) {
            self.lanes.of_mut(shown.number).front.insert(shown.number, shown.id, Some(seen), clock);
        }
        let in_front = self.lanes.of(shown.number).front.pass(shown.number) == Some(&shown.id);
        if in_front && !shown.older_than_we {
            // Its seat went back because it was never used. It stands by its number, as others do.
            self.lanes.of_mut(shown.number).front.look(shown.number, clock);
            self.seat_front_row(policy, clock);
            return self.passes.touch(shown, clock).unwrap_or(Touch::Over);
        }
        // Given at the open door and then let go because nobody came back with it: good again while the
        // door is open. Else passes could be hoarded there and used all at once past the line.
        let at_the_door = shown.number == 0 && !shown.older_than_we;
        if at_the_door && self.state(policy) != RoomState::Open {
            return Touch::Over;
        }
        let lane = self.lanes.of_mut(shown.number);
        if !(in_front || lane.numbers.mark_used(shown.number)) {
            return Touch::Over;
        }
        lane.numbers.pass_over(shown.number);
        lane.front.remove(shown.number);
        lane.late.forget(shown.number);
        self.extensions.forget(shown.number);
        self.passes.take_up(policy, shown, clock);
        Touch::Live
    }

    /// The upstream or its holder ends a session; its seat is free. False if there is none.
    pub fn end(&mut self, pass: &PassId, now: Moment) -> bool {
        let ended = self.passes.end(pass, self.clock(now));
        self.note_ends();
        ended
    }

    /// A session that its holder never heard of is taken back.
    pub fn take_back(&mut self, pass: &PassId) {
        self.passes.take_back(pass);
    }

    /// The upstream lets a session last `longer`.
    pub fn extend(&mut self, pass: &PassId, longer: Duration, now: Moment) {
        self.passes.extend(pass, longer, self.clock(now));
    }

    /// The upstream said how many units are left, in the answer to a request that began at `begun`.
    ///
    /// Answers overtake one another. That more are left than was said before is therefore believed only of
    /// a request that began after that was heard; else the last unit would be sold twice.
    pub fn remain(&mut self, units: u64, begun: Moment, now: Moment) {
        let is_more = self.remaining.is_some_and(|known| units > known);
        if !is_more || begun >= self.remaining_heard {
            (self.remaining, self.remaining_heard) = (Some(units), now);
        }
    }

    /// One step of the room, a few times a second: clocks, seats, front row. Returns the cursor that
    /// should be published; the store makes it durable and then says [`Room::call_up_to`]. That one is of the
    /// first lane: [`Room::lane_marks`] says the same of others, and [`Room::call_lanes`] calls there.
    ///
    /// A hold stops calls and clocks. Seats that are free go to those who were called before it. An
    /// open room calls and seats everybody, in order, whatever the seats.
    pub fn step(&mut self, policy: &RoomPolicy, load: Load, now: Moment) -> u64 {
        let elapsed = now.since(self.last_step);
        self.last_step = now;
        self.lanes.stand_still();
        self.hold = match (policy.hold, policy.open) {
            (true, _) => Some(HoldReason::Operator),
            (false, true) => None,
            (false, false) => self.wake(load.hold),
        };
        if self.shut.is_some() {
            self.stand_still(elapsed);
            self.seats.follow(policy, load.limit, elapsed);
            return self.marks().cursor;
        }
        if self.hold.is_some() {
            self.stand_still(elapsed);
            self.seats.follow(policy, load.limit, elapsed);
            self.seat_front_row(policy, self.clock(now));
            return self.marks().cursor;
        }
        if load.hold == Some(HoldReason::Quiet) {
            self.slots.stand_still(elapsed);
        }
        // Learnt while the line moves: a service that is down has nothing in flight, and needs no seats.
        self.seats.observe(&load, self.passes.len(), elapsed);
        self.seats.follow(policy, load.limit, elapsed);
        self.passes.step(elapsed);
        self.calls.step(elapsed);
        let clock = self.clock(now);
        let waits = self.lanes.waiting() > 0;
        let needed = self.lanes.front() > 0 || waits || self.lanes.late().1 > 0;
        self.absent.extend(self.passes.expire(policy, needed, clock));
        self.note_ends();
        let over = self.calls.judge(policy.call, policy.poll.max * LOOKS_BEFORE_MISSING, clock);
        self.miss_calls(policy, over, clock);
        self.miss_slots(policy, clock);
        self.seat_front_row(policy, clock);
        let full = self.free() == 0;
        for lane in self.lanes.all_mut() {
            let line = lane.numbers.waiting() > 0;
            lane.forecast.step(elapsed, line, full);
        }
        if policy.open {
            self.lanes.call_all();
        } else {
            let wanted = self.demand(policy, clock).calls(self.calls.shows());
            let (seats, quiet) = (self.seats.seats().into(), load.hold == Some(HoldReason::Quiet));
            self.lanes.call(policy, wanted, seats, quiet, clock);
        }
        self.lanes.wanted()
    }

    /// Calls all numbers of the first lane up to `cursor`, which is durable by now.
    pub fn call_up_to(&mut self, cursor: u64, now: Moment) {
        self.call_in(LaneId::FIRST.origin(), cursor, now);
        self.check_invariants();
    }

    /// What the board and the metrics show; of all lanes together. How long a wait is can be said of one line only.
    #[must_use]
    pub fn facts(&self, policy: &RoomPolicy) -> RoomFacts {
        let (mut cursor, mut issued, mut rate, mut spread) = (0, 0, 0.0, None);
        for (index, lane) in self.standing().map(Lane::facts).enumerate() {
            (cursor, issued, rate) = (cursor + lane.cursor, issued + lane.issued, rate + lane.rate);
            spread = lane.spread.filter(|_| index == 0);
        }
        RoomFacts {
            state: self.state(policy),
            epoch: self.marks().epoch,
            cursor,
            issued,
            rate,
            spread,
            show_rate: self.calls.shows().rate(),
            active: self.passes.len(),
            front_row: self.lanes.front(),
            outstanding: self.calls.outstanding(),
            late: self.lanes.late().0,
            seats: self.seats.seats(),
            kappa: self.seats.kappa(),
            remaining: self.remaining,
        }
    }

    /// Passes that hold a seat.
    #[must_use]
    pub fn active(&self) -> usize {
        self.passes.len()
    }

    /// What the room does with those who arrive now.
    #[must_use]
    pub fn state(&self, policy: &RoomPolicy) -> RoomState {
        match self.shut {
            Some(Shut::Closed) => return RoomState::Closed,
            Some(Shut::Prequeue) => return RoomState::Prequeue,
            Some(Shut::Draw) => return RoomState::Held(HoldReason::Draw),
            Some(Shut::Ended) => return RoomState::Ended,
            None => {}
        }
        if policy.hold {
            return RoomState::Held(HoldReason::Operator);
        }
        if let Some(reason) = self.hold {
            return RoomState::Held(reason);
        }
        let nobody_waits = self.lanes.waiting() == 0 && self.lanes.front() == 0 && self.lanes.late().1 == 0;
        if policy.open || nobody_waits && self.free() > self.calls.fresh() {
            RoomState::Open
        } else {
            RoomState::Queueing
        }
    }

    fn stand_still(&mut self, elapsed: Duration) {
        self.stood_still += elapsed;
        self.calls.stand_still(elapsed);
    }

    fn note_ends(&mut self) {
        for number in self.passes.take_over() {
            self.lanes.of_mut(number).numbers.end(number);
        }
    }

    /// Seats that nobody is on, as far as there is something left for those who sit down.
    fn free(&self) -> u64 {
        let seats = u64::from(self.seats.seats());
        let inside = self.seats.inside(self.passes.len());
        self.remaining.map_or(seats, |units| seats.min(units)).saturating_sub(inside)
    }

    fn is_sold_out(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Time as this room's clocks count it: it stands still while nobody can be called.
    fn clock(&self, now: Moment) -> Moment {
        Moment(now.0.saturating_sub(nanos(self.stood_still)))
    }

    fn demand(&self, policy: &RoomPolicy, clock: Moment) -> Demand {
        // Nothing is kept for a call that was judged missing, be it the first or another: the last units
        // would wait for its end.
        let judged = self.calls.judged_within(policy.poll.max * LOOKS_BEFORE_MISSING);
        let shows = self.calls.shows();
        let again: u64 = self.lanes.all().map(|lane| lane.late.fresh(judged, clock)).sum();
        let late_coming: f64 = self.lanes.all().map(|lane| lane.late.on_their_way(shows, clock)).sum();
        let front = self.lanes.front() as u64;
        let taken = self.passes.len() as u64 + front + self.calls.fresh() + again;
        Demand {
            seats: u64::from(self.seats.seats()),
            free: self.free(),
            departures: self.passes.departures(),
            front,
            away: self.lanes.all().map(Lane::away).sum(),
            on_their_way: self.calls.on_their_way(clock) + late_coming,
            fresh: self.calls.fresh() + again,
            waiting: self.lanes.waiting() + self.lanes.late().0,
            unclaimed: self.remaining.map(|units| units.saturating_sub(taken)),
        }
    }

    fn front_place(&self, number: u64) -> Claim {
        let front = &self.lanes.of(number).front;
        if !front.contains(number) {
            Claim::Admitted
        } else if self.is_sold_out() {
            Claim::SoldOut
        } else {
            Claim::FrontRow { ahead: front.ahead_of(number) }
        }
    }

    /// Free seats go to the lowest numbers of those who are there, of each lane by its weight.
    fn seat_front_row(&mut self, policy: &RoomPolicy, clock: Moment) {
        while policy.open || self.free() > 0 {
            let Some(id) = self.lanes.next_seat(policy) else { break };
            match self.lanes.of_mut(id.origin()).front.next(policy.poll.front_row(), clock) {
                None => break,
                Some(Next::Absent(number, seen)) => _ = self.absent.insert(number, seen),
                Some(Next::Present(number, pass, heard_within)) => {
                    self.lanes.seated(policy, id);
                    self.passes.begin(policy, pass, number, heard_within, clock);
                }
            }
        }
    }

    /// Numbers that were perhaps never given stand in no account, whoever turns up, and no more do those
    /// with a slot.
    fn take_up_call(&mut self, number: u64, clock: Moment) {
        if !self.lanes.of(number).numbers.is_uncertain(number) && !self.slots.contains(number) {
            self.calls.claimed(number, clock);
        }
    }

    fn close_call(&mut self, number: u64) {
        if !self.lanes.of(number).numbers.is_uncertain(number) && !self.slots.contains(number) {
            self.calls.close(number);
        }
    }
}

#[cfg(test)]
mod tests;
