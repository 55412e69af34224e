//! The lanes of a room, and which of them is next.

use std::ops::RangeInclusive;

use super::Room;
use super::lateness::LeftCalled;
use crate::admission::forecast::Forecast;
use crate::admission::front_row::FrontRow;
use crate::admission::lane::{LaneFacts, LaneId, LaneMarks, place};
use crate::admission::late::LateLane;
use crate::admission::moment::Moment;
use crate::admission::numbers::{BlockUsedUp, Numbers, RoomMarks};
use crate::admission::opening::Shut;
use crate::admission::policy::RoomPolicy;
use crate::admission::turns::{Asks, Turns};

/// One line.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: LaneId,
    /// Empty for the first.
    name: String,
    /// The policy names it, as another than its first.
    named: bool,
    pub(super) numbers: Numbers,
    /// Calls of an earlier process, whose times are not known.
    pub(super) left_called: Option<LeftCalled>,
    pub(super) late: LateLane,
    pub(super) front: FrontRow,
    pub(super) forecast: Forecast,
    /// The last number given before these quiet hours; none is, once nobody waits any more from before.
    pub(super) asleep_up_to: Option<u64>,
    /// Where its cursor should stand, after the last step.
    wanted: u64,
    called: u64,
    seated: u64,
}

impl Lane {
    fn restore(id: LaneId, name: String, marks: RoomMarks, now: Moment) -> Self {
        let numbers = Numbers::restore(marks);
        let cursor = numbers.marks().cursor;
        Self {
            id,
            name,
            named: false,
            left_called: LeftCalled::up_to(id.origin(), cursor, now),
            numbers,
            late: LateLane::default(),
            front: FrontRow::default(),
            forecast: Forecast::default(),
            asleep_up_to: None,
            wanted: cursor,
            called: 0,
            seated: 0,
        }
    }

    /// It takes part: it is the first, or the policy names it, or somebody is left in it.
    fn stands(&self) -> bool {
        self.id == LaneId::FIRST
            || self.named
            || self.numbers.waiting() > 0
            || !self.front.is_empty()
            || !self.late.is_empty()
            || self.late.called() > 0
            || self.left_called.is_some()
    }

    fn weight(&self, policy: &RoomPolicy) -> u32 {
        policy.weight((self.id != LaneId::FIRST).then_some(&self.name))
    }

    pub(super) fn facts(&self) -> LaneFacts {
        let RoomMarks { issued, cursor, .. } = self.numbers.marks();
        LaneFacts {
            id: self.id,
            cursor: place(cursor),
            issued: place(issued),
            rate: self.forecast.rate(),
            guess: self.forecast.guess(),
            spread: self.forecast.spread(),
            front_row: self.front.len(),
            late: self.late.len(),
            called: self.called,
            seated: self.seated,
        }
    }

    /// How many may be called again at this hour: who is silent may be asleep.
    fn again(&self, quiet: bool) -> u64 {
        if quiet { self.late.back() } else { self.late.len() }
    }

    /// Of the front row, those who came by a slot before the line did.
    pub(super) fn away(&self) -> u64 {
        self.front.len() as u64 - self.front.ahead_of(self.numbers.marks().cursor + 1)
    }

    /// Calls so many: of them the late lane's part, and the next in `line`, with `seats` who have a slot at most.
    fn plan(&mut self, wanted: u64, line: u64, seats: u64, quiet: bool, clock: Moment) {
        let late = self.late.part(wanted, line).min(self.again(quiet));
        self.late.call(late, clock);
        self.called += late;
        self.wanted = self.numbers.reach(wanted - late, seats);
    }
}

/// All lanes; there is always a first one.
#[derive(Debug)]
pub(super) struct Lanes {
    first: Lane,
    others: Vec<Lane>,
    calls: Turns,
    seats: Turns,
}

impl Lanes {
    pub(super) fn restore(marks: RoomMarks, now: Moment) -> Self {
        let first = Lane::restore(LaneId::FIRST, String::new(), marks, now);
        Self { first, others: Vec::new(), calls: Turns::default(), seats: Turns::default() }
    }

    pub(super) fn first(&self) -> &Lane {
        &self.first
    }

    pub(super) fn first_mut(&mut self) -> &mut Lane {
        &mut self.first
    }

    /// The lane of a number.
    pub(super) fn of(&self, number: u64) -> &Lane {
        self.others.iter().find(|lane| lane.id == LaneId::of(number)).unwrap_or(&self.first)
    }

    pub(super) fn of_mut(&mut self, number: u64) -> &mut Lane {
        self.others.iter_mut().find(|lane| lane.id == LaneId::of(number)).unwrap_or(&mut self.first)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Lane> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Numbers given and not called.
    pub(super) fn waiting(&self) -> u64 {
        self.all().map(|lane| lane.numbers.waiting()).sum()
    }

    /// How many stand in the front rows.
    pub(super) fn front(&self) -> usize {
        self.all().map(|lane| lane.front.len()).sum()
    }

    /// How many missed a call and wait to be called again; of those, how many came back.
    pub(super) fn late(&self) -> (u64, u64) {
        let both = |(len, back), lane: &Lane| (len + lane.late.len(), back + lane.late.back());
        self.all().fold((0, 0), both)
    }

    /// Whose front row gets the next seat.
    pub(super) fn next_seat(&self, policy: &RoomPolicy) -> Option<LaneId> {
        if !self.others.iter().any(Lane::stands) {
            return (!self.first.front.is_empty()).then_some(LaneId::FIRST);
        }
        let asks =
            |lane: &Lane| Asks { lane: lane.id, weight: lane.weight(policy), wants: lane.front.len() as u64 };
        self.seats.next(&self.all().map(asks).collect::<Vec<_>>())
    }

    /// Somebody of its front row took a seat.
    pub(super) fn seated(&mut self, policy: &RoomPolicy, id: LaneId) {
        let lane = self.of_mut(id.origin());
        lane.seated += 1;
        let weight = lane.weight(policy);
        self.seats.had(id, weight, 1);
    }

    /// The cursors stay where they are.
    pub(super) fn stand_still(&mut self) {
        self.all_mut().for_each(|lane| lane.wanted = lane.numbers.marks().cursor);
    }

    /// Where the first cursor should stand.
    pub(super) fn wanted(&self) -> u64 {
        self.first.wanted
    }

    /// Everybody is called.
    pub(super) fn call_all(&mut self) {
        self.all_mut().for_each(|lane| lane.wanted = lane.numbers.reach(lane.numbers.waiting(), u64::MAX));
    }

    /// Calls so many in all, each lane by its weight; in quiet hours nobody again who is silent.
    pub(super) fn call(&mut self, policy: &RoomPolicy, wanted: u64, seats: u64, quiet: bool, clock: Moment) {
        if !self.others.iter().any(Lane::stands) {
            let waiting = self.first.numbers.waiting();
            return self.first.plan(wanted, waiting, seats, quiet, clock);
        }
        let somebody = self.all().any(|lane| lane.numbers.people() > 0);
        let sum: u32 = self.all().filter(|lane| lane.stands()).map(|lane| lane.weight(policy)).sum();
        for lane in self.all_mut().filter(|lane| lane.numbers.people() == 0) {
            // Its line is empty and earns nothing: its silent ones have a tenth of what the line would have had.
            let part = f64::from(lane.weight(policy)) / f64::from(sum);
            lane.late.earn_part(part * wanted as f64);
        }
        // Who gave the number up is passed on the way, and takes nobody's turn. A call to somebody silent is
        // mostly in vain: it takes no turn from those who wait elsewhere beyond its tenth. Nor does a lane take
        // turns for those whom it cannot call in this step, behind a row of slots.
        let asks = |lane: &Lane| Asks {
            lane: lane.id,
            weight: lane.weight(policy),
            wants: lane.numbers.callable(wanted, seats)
                + if somebody { lane.late.asks() } else { u64::MAX }.min(lane.again(quiet)),
        };
        let mut asks: Vec<Asks> = self.all().map(asks).collect();
        for (id, given) in self.calls.give(&mut asks, wanted) {
            let lane = self.of_mut(id.origin());
            let callable = lane.numbers.callable(wanted, seats);
            lane.plan(given, callable, seats, quiet, clock);
            if wanted > 0 && callable == 0 {
                lane.wanted = lane.numbers.reach(lane.numbers.waiting(), seats);
            }
        }
    }
}

impl Room {
    /// The other lanes as they were left, and their numbers that were over. Once, at the start.
    pub fn restore_lanes(&mut self, lanes: Vec<LaneMarks>, now: Moment) {
        let others = lanes.into_iter().filter(|lane| lane.id != LaneId::FIRST);
        let restored = |left: LaneMarks| Lane::restore(left.id, left.name, left.marks, now);
        self.lanes.others = others.map(restored).collect();
    }

    /// The lanes that the policy names and that are new here get numbers of their own. The first of the
    /// policy is the first one here; those that it names no more stand until nobody is left in them. False if
    /// there were too many before; then those who would be theirs stand in the first.
    #[must_use]
    pub fn name_lanes(&mut self, policy: &RoomPolicy) -> bool {
        for lane in &mut self.lanes.others {
            lane.named = policy.lanes.iter().skip(1).any(|named| named.name == lane.name);
        }
        let epoch = self.marks().epoch;
        for lane in policy.lanes.iter().skip(1) {
            if self.lane_named(&lane.name).is_some() {
                continue;
            }
            let free = LaneId::all().find(|id| self.lanes.all().all(|lane| lane.id != *id));
            let Some(id) = free else { return false };
            let origin = id.origin();
            let marks = RoomMarks { epoch, issued: origin, reserved: origin, cursor: origin };
            let mut new = Lane::restore(id, lane.name.clone(), marks, self.last_step);
            new.named = true;
            // Whoever joins it in quiet hours is awake.
            new.asleep_up_to = self.lanes.first().asleep_up_to.map(|_| 0);
            self.lanes.others.push(new);
        }
        true
    }

    /// The lane with this name, other than the first.
    #[must_use]
    pub fn lane_named(&self, name: &str) -> Option<LaneId> {
        self.lanes.others.iter().find(|lane| lane.name == name).map(|lane| lane.id)
    }

    /// The name of a number's lane; `None` for the first, which the policy names.
    #[must_use]
    pub fn lane_name(&self, number: u64) -> Option<&str> {
        let lane = self.lanes.of(number);
        (lane.id != LaneId::FIRST).then_some(&lane.name)
    }

    /// Gives the next number of a lane.
    ///
    /// # Errors
    /// [`BlockUsedUp`] until the store has reserved more, and when the event is over.
    pub fn join_in(&mut self, lane: LaneId) -> Result<u64, BlockUsedUp> {
        if self.shut == Some(Shut::Ended) {
            return Err(BlockUsedUp);
        }
        self.lanes.of_mut(lane.origin()).numbers.give()
    }

    /// What must be durable of the other lanes after a step.
    #[must_use]
    pub fn lane_marks(&self) -> Vec<LaneMarks> {
        let marks = |lane: &Lane| {
            let marks = RoomMarks { cursor: lane.wanted, ..lane.numbers.marks() };
            LaneMarks { id: lane.id, name: lane.name.clone(), marks }
        };
        self.lanes.others.iter().map(marks).collect()
    }

    /// The same, as they are: nothing that is only wanted.
    #[must_use]
    pub fn lanes_as_they_are(&self) -> Vec<LaneMarks> {
        let marks =
            |lane: &Lane| LaneMarks { id: lane.id, name: lane.name.clone(), marks: lane.numbers.marks() };
        self.lanes.others.iter().map(marks).collect()
    }

    /// These marks are durable: so many numbers are reserved, and all up to the cursors are called.
    pub fn call_lanes(&mut self, durable: &[LaneMarks], now: Moment) {
        for LaneMarks { id, marks, .. } in durable {
            self.lanes.of_mut(id.origin()).numbers.reserve(marks.reserved);
            self.call_in(id.origin(), marks.cursor, now);
        }
        self.check_invariants();
    }

    /// Calls all numbers of a lane up to `cursor`.
    pub(super) fn call_in(&mut self, origin: u64, cursor: u64, now: Moment) {
        let clock = self.clock(now);
        let lane = self.lanes.of_mut(origin);
        let before = lane.numbers.marks().cursor;
        if let Some((numbers, people)) = lane.numbers.call_up_to(cursor) {
            lane.forecast.called(cursor - before);
            lane.late.earn(people);
            lane.called += people;
            self.calls.call(numbers, people, clock);
        }
    }

    /// It has more lanes than the first: that the policy names, or that somebody is left in.
    #[must_use]
    pub fn has_lanes(&self) -> bool {
        self.standing().nth(1).is_some()
    }

    /// One look at each lane that the policy names or that somebody is left in, the first one first.
    #[must_use]
    pub fn lane_facts(&self) -> Vec<LaneFacts> {
        self.standing().map(Lane::facts).collect()
    }

    /// These lanes.
    pub(super) fn standing(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.all().filter(|lane| lane.stands() || self.calls.open(lane.id) > 0)
    }

    /// One look at the lane of a number.
    #[must_use]
    pub fn facts_of_lane(&self, number: u64) -> LaneFacts {
        self.lanes.of(number).facts()
    }

    /// How many people of a lane may wait, those of numbers perhaps never given among them, and how many are
    /// called or inside.
    #[must_use]
    pub fn living(&self, lane: LaneId) -> (u64, u64) {
        let of = |number: &u64| *number > 0 && LaneId::of(*number) == lane;
        let passes = self.passes.numbers().filter(of).count();
        let absent = self.absent.keys().filter(|number| of(number)).count();
        let lane = self.lanes.of(lane.origin());
        // Those whose turn has come while they are away; the others wait.
        let away =
            self.slots.numbers().filter(|number| of(number) && lane.numbers.is_called(*number)).count();
        let open = self.calls.open(lane.id);
        let extended = self.extensions.numbers().filter(|number| {
            of(number) && self.calls.called_at(*number).is_none() && lane.late.called_at(*number).is_none()
        });
        // A restart knows of those who were called or inside before that they came, or have not come yet.
        let left = lane.left_called.iter().flat_map(LeftCalled::numbers).filter(|number| {
            let counted = self.slots.contains(*number) || self.extensions.until(*number).is_some();
            lane.numbers.is_unclaimed(*number) && lane.late.misses(*number) == 0 && !counted
        });
        let here =
            passes + absent + lane.front.len() + away + lane.late.called() + extended.count() + left.count();
        (lane.numbers.perhaps_people() + lane.late.len(), here as u64 + open)
    }

    /// The ranges that are over in one lane, for the late lanes.
    pub(super) fn miss_all(&mut self, over: impl Iterator<Item = RangeInclusive<u64>>) {
        for number in over.flatten() {
            // Whoever had a slot missed that, and no call besides.
            let has_time = self.extensions.until(number).is_some() || self.slots.contains(number);
            let lane = self.lanes.of_mut(number);
            if lane.numbers.is_unclaimed(number) && !has_time && lane.late.misses(number) == 0 {
                lane.late.miss(number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
