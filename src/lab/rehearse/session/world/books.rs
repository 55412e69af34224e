//! What is written down of each beat, and what the day came to.

use super::{Place, State, World};
use crate::admission::policy::RoomPolicy;
use crate::admission::room::RoomState;
use crate::lab::rehearse::session::binding::{Binding, Signs};
use crate::lab::rehearse::session::limit;
use crate::lab::rehearse::session::outcome::{Outcome, Sight};

impl World<'_> {
    pub(super) fn account(&mut self, now_s: f64) {
        let (busy_s, beat_s) = (self.works.busy_s(), self.day.beat_s);
        let used_s = busy_s - self.out.busy_s;
        self.out.busy_s = busy_s;
        let looks = self.looks.per_second(self.waiting_devices, self.facts.rate);
        self.out.looks += looks * beat_s;
        self.out.looks_peak = self.out.looks_peak.max(looks);
        self.out.waiting_peak = self.out.waiting_peak.max(self.waiting);
        self.out.door_peak = self.out.door_peak.max(self.door as f64 / beat_s);
        if self.waiting == 0 {
            return;
        }
        let policy: &RoomPolicy = &self.day.room;
        let slots = self.day.pool.slots_at(now_s);
        let scale = policy.poll.scale(self.facts.issued - self.facts.cursor, self.facts.rate);
        self.out.scale_peak = self.out.scale_peak.max(scale);
        self.out.wanted_s += slots as f64 * beat_s;
        self.out.wanted_busy_s += used_s * limit::useful(&self.day.limit, slots);
        let signs = Signs {
            held: matches!(self.facts.state, RoomState::Held(_)),
            sold_out: self.stock.is_some_and(|units| units <= self.facts.active as u64),
            busy: used_s / (slots as f64 * beat_s).max(f64::MIN_POSITIVE),
            pressed: self.works.asking() as f64 / f64::from(self.limit.limit().max(1)),
            active: self.facts.active as u64,
            at_work: self.works.inside() as u64,
            seats: u64::from(self.facts.seats),
            ceiling: u64::from(policy.seats_ceiling),
            floor: u64::from(policy.seats_floor),
            slots: slots as u64,
            delayed: self.delayed as f64 / self.unseen.max(1) as f64,
            show_rate: self.facts.show_rate,
        };
        self.out.spent.add(Binding::of(&signs), beat_s);
    }

    pub(super) fn sight(&self) -> Sight {
        let at_s = self.beat as f64 * self.day.beat_s;
        let scale = self.day.room.poll.scale(self.facts.issued - self.facts.cursor, self.facts.rate);
        Sight {
            at_s,
            arrived: self.out.arrived,
            waiting: self.waiting,
            served: self.out.served,
            left: self.out.left + self.out.left_inside + self.out.told_exhausted,
            issued: self.facts.issued,
            called: self.facts.cursor,
            seats: u64::from(self.facts.seats),
            active: self.facts.active as u64,
            limit: u64::from(self.limit.limit()),
            in_flight: self.works.asking().min(u64::from(self.limit.limit())),
            slots: self.day.pool.slots_at(at_s) as u64,
            busy_s: self.works.busy_s(),
            looks_per_s: self.looks.per_second(self.waiting_devices, self.facts.rate),
            scale,
            show_rate: self.facts.show_rate,
        }
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.out.sights.push(self.sight());
        self.out.still_waiting = self.waiting;
        self.out.still_inside = self.works.inside() as u64;
        if self.waiting > 0 || self.works.inside() > 0 {
            self.out.ended_s = self.beat as f64 * self.day.beat_s;
        }
        self.out.not_come = self.day.people() - self.out.arrived;
        self.out.places = self.places.len() as u64;
        self.out.bytes_per_place = size_of::<Place>() as f64
            + self.people.len() as f64 * size_of::<State>() as f64 / self.out.places.max(1) as f64;
        (self.out.announced, self.out.overtakes_max, self.out.sampled) = self.witness.word();
        self.out
    }
}
