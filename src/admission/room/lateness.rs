//! Calls that are missed, extended, and made again.

use std::ops::RangeInclusive;

use super::{CallTime, Room};
use crate::admission::extensions::EXTENSIONS;
use crate::admission::moment::Moment;
use crate::admission::policy::RoomPolicy;

/// Numbers of an earlier process that are looked at in one step.
const LOOKS_A_STEP: u64 = 1 << 16;

/// Calls of an earlier process. Nobody knows when they were made, so their time runs from the start of
/// this one: a restart burns no call.
#[derive(Debug)]
pub(super) struct LeftCalled {
    next: u64,
    last: u64,
    since: Moment,
}

impl LeftCalled {
    /// All from the one after `origin` up to `cursor`.
    pub(super) fn up_to(origin: u64, cursor: u64, now: Moment) -> Option<Self> {
        (cursor > origin).then_some(Self { next: origin + 1, last: cursor, since: now })
    }

    /// Those whose time is not known to be over.
    pub(super) fn numbers(&self) -> RangeInclusive<u64> {
        self.next..=self.last
    }
}

impl Room {
    /// What is left of a call's time. `None` if the number is not called now, or its call was taken.
    #[must_use]
    pub fn call_time(&self, policy: &RoomPolicy, number: u64, now: Moment) -> Option<CallTime> {
        let clock = self.clock(now);
        let until = self.call_ends(policy, number, clock)?;
        let extensions = EXTENSIONS - self.extensions.times(number);
        Some(CallTime { left: until.since(clock), extensions })
    }

    /// The holder of a call asks for more time: it is as long again as a new one, from now on. `None` if
    /// the number is not called now; after ten times nothing changes any more.
    pub fn extend_call(&mut self, policy: &RoomPolicy, number: u64, now: Moment) -> Option<CallTime> {
        let clock = self.clock(now);
        let until = self.call_ends(policy, number, clock)?.max(clock.after(policy.call));
        if self.extensions.extend(number, until) {
            self.lanes.of_mut(number).late.extend(number, clock);
        }
        self.call_time(policy, number, now)
    }

    /// Nobody else wants the seat that somebody late would take.
    pub(super) fn nobody_competes(&self, policy: &RoomPolicy) -> bool {
        let alone = self.lanes.waiting() == 0 && self.lanes.front() == 0 && self.lanes.late().1 == 0;
        policy.open || (alone && self.hold.is_none() && self.free() > 0)
    }

    /// Calls that are out of time, `over` in the lines: their numbers go to the late lanes.
    pub(super) fn miss_calls(&mut self, policy: &RoomPolicy, over: Vec<RangeInclusive<u64>>, clock: Moment) {
        for lane in self.lanes.all_mut() {
            for number in lane.late.expire(policy.call, clock) {
                self.extensions.forget(number);
            }
        }
        while let Some(number) = self.extensions.next_over(clock) {
            // The time of a slot is one with the time that was asked for in it: who misses both missed one turn.
            if !self.slots.contains(number) {
                self.miss_turn(number);
            }
        }
        let left = self.lanes.all_mut().filter_map(|lane| left_over(&mut lane.left_called, policy, clock));
        let left: Vec<_> = left.collect();
        self.miss_all(over.into_iter().chain(left));
    }

    fn call_ends(&self, policy: &RoomPolicy, number: u64, clock: Moment) -> Option<Moment> {
        let lane = self.lanes.of(number);
        if !self.is_up(number, clock) || lane.numbers.is_spent(number) || lane.late.is_late(number) {
            return None;
        }
        if let Some(ends) = self.slots.ends(number) {
            return self.extensions.until(number).or(Some(ends));
        }
        let left = lane.left_called.as_ref().filter(|left| (left.next..=left.last).contains(&number));
        let called = lane.late.called_at(number).or_else(|| self.calls.called_at(number));
        let called = called.or_else(|| left.map(|left| left.since));
        self.extensions.until(number).or_else(|| called.map(|called| called.after(policy.call)))
    }
}

/// Those of an earlier process that are out of time, some at each step.
fn left_over(
    called: &mut Option<LeftCalled>,
    policy: &RoomPolicy,
    clock: Moment,
) -> Option<RangeInclusive<u64>> {
    let left = called.as_mut().filter(|left| clock.since(left.since) >= policy.call)?;
    let range = left.next..=left.last.min(left.next + LOOKS_A_STEP - 1);
    left.next = range.end() + 1;
    if left.next > left.last {
        *called = None;
    }
    Some(range)
}
