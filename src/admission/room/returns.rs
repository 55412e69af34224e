//! Those who take a slot: they go away, and come back at the time that they were told.

use std::time::Duration;

use super::{Claim, PassId, Room, RoomState};
use crate::admission::moment::Moment;
use crate::admission::policy::RoomPolicy;
use crate::admission::slots::{Outlook, Slot, SlotChanges, SlotRule, Window};

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
        self.window(policy, rule, number, pass, clock).map(|window| window.told(clock))
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
            self.numbers.pass_over(number);
        }
        self.slot(number, now)
    }

    /// The slot of a number that has not come in by it.
    #[must_use]
    pub fn slot(&self, number: u64, now: Moment) -> Option<Slot> {
        self.slots.slot(number, self.clock(now)).filter(|_| !self.numbers.is_spent(number))
    }

    /// How many slots are taken and not over.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
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
            self.numbers.pass_over(*number);
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

    /// For how long this room's clocks have stood still.
    #[must_use]
    pub fn stood_still(&self) -> Duration {
        self.stood_still
    }

    pub(super) fn is_up(&self, number: u64, clock: Moment) -> bool {
        let has_time = || self.slots.has_begun(number, clock) || self.extensions.until(number).is_some();
        self.numbers.is_called(number) || has_time()
    }

    /// Slots that are over. Whose turn has come by now missed it, though not before a call would have ended;
    /// whose turn has not waits for it like anybody.
    pub(super) fn miss_slots(&mut self, policy: &RoomPolicy, clock: Moment) {
        while let Some(number) = self.slots.next_over(clock) {
            if self.extensions.until(number).is_some() || self.numbers.is_spent(number) {
                continue;
            }
            let called = self.calls.called_at(number).map(|called| called.after(policy.call));
            match called.filter(|until| *until > clock) {
                Some(until) => self.slots.stand_until(number, until, clock),
                None => self.miss_turn(number),
            }
        }
    }

    /// The time of a number is over: if its turn has come it is late, else it waits for it.
    pub(super) fn miss_turn(&mut self, number: u64) {
        if self.numbers.is_called(number) {
            self.late.miss(number);
        } else {
            self.numbers.wait_for(number);
        }
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
        let uncalled = number > 0 && !self.numbers.is_called(number) && !self.slots.contains(number);
        if !uncalled || self.state(policy) != RoomState::Queueing {
            return None;
        }
        let (rate, spread) = (self.forecast.rate(), self.forecast.spread()?);
        let wait = Duration::try_from_secs_f64((ahead as f64 + 1.0) / rate).ok()?;
        // What the line passes is not who comes in where it passes over many, and who has left was not always in
        // the line: neither alone is what falls free for those who come back.
        let seats = self.passes.departures().min(rate * self.calls.shows().rate());
        let outlook = Outlook { wait: (wait, wait.mul_f64(1.0 + spread)), seats };
        self.slots.offer(rule, &outlook, clock)
    }
}
