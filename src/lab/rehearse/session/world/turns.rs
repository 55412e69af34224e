//! Calls, and what those do who hear them: come for a seat, find one or stand in the front row, or are
//! not there any more.

use super::{Deed, Place, State, What, World, at, pass_of, shown};
use crate::admission::room::{Claim, Load};
use crate::lab::rehearse::session::crowd::Who;

impl World<'_> {
    /// How far the room wants to call, once it knows of everybody who gave up on the way there. The
    /// step is repeated in no time until nobody new is found.
    pub(super) fn cursor(&mut self, load: Load, now_s: f64) -> u64 {
        let from = self.room.marks().cursor;
        // About as far as last time, and some more: mostly that is enough, and one step does.
        let mut known = from + self.advance + self.advance / 2 + 16;
        self.give_up(from, known, now_s);
        loop {
            let cursor = self.room.step(&self.day.room, load, at(now_s));
            if cursor <= known {
                self.advance = cursor - from;
                return cursor;
            }
            let reach = cursor + (cursor - from) / 2 + 16;
            self.give_up(known, reach, now_s);
            known = reach;
        }
    }

    /// Tells the room who of these numbers has given up.
    fn give_up(&mut self, after: u64, until: u64, now_s: f64) {
        for number in after + 1..=until.min(self.room.marks().issued) {
            let Some(place) = self.place(number) else { break };
            let gone =
                self.state(place.who) != State::Waiting || self.beat_of(self.leaves_s(place)) <= self.beat;
            if gone && !self.crowd.leaves_silently(place.who, number) {
                self.room.leave(number, &pass_of(number), at(now_s));
            }
        }
    }

    /// A number is called: whoever holds it sees it with the next look, or is not there to see it.
    pub(super) fn call(&mut self, number: u64, now_s: f64) {
        self.out.called += 1;
        let Some(place) = self.place(number) else { return };
        let leaves_s = self.leaves_s(place);
        let since_s = f64::from(place.since_ms) / 1_000.0;
        let gone = self.state(place.who) != State::Waiting || self.beat_of(leaves_s) <= self.beat;
        if gone {
            // Silent, or given up and passed over.
            self.out.given_up += u64::from(!self.crowd.leaves_silently(place.who, number));
            return;
        }
        let mut at_s = now_s + self.looks.delay_s(now_s - since_s);
        if let Some((from_s, to_s)) = self.crowd.away_s(place.who, since_s, now_s)
            && (from_s..to_s).contains(&at_s)
        {
            at_s = to_s;
        }
        self.called_s.insert(number, now_s);
        let delayed = self.looks.are_delayed();
        self.unseen += 1;
        self.delayed += u64::from(delayed);
        let claims = Deed { at_s, number, what: What::Claims, delayed };
        let leaves = Deed { at_s: leaves_s, what: What::Leaves, ..claims };
        self.plan(if leaves_s < at_s { leaves } else { claims });
    }

    /// Nothing is left: the board says so, and all who wait are told with their next look.
    pub(super) fn tell_exhausted(&mut self, now_s: f64) {
        self.out.told_exhausted += self.waiting;
        self.out.ended_s = now_s;
        (self.waiting, self.waiting_devices) = (0, 0);
        self.leaving.iter_mut().for_each(|beat| *beat = (0, 0));
        for person in self.people.iter_mut().filter(|person| **person == State::Waiting) {
            *person = State::Gone;
        }
    }

    /// Whoever looks and sees the call, or goes.
    pub(super) fn act(&mut self, deed: Deed) {
        let Deed { at_s, number, what, delayed } = deed;
        if what != What::LooksUp {
            self.unseen -= 1;
            self.delayed -= u64::from(delayed);
        }
        let Some(place) = self.place(number) else { return };
        let gone = self.beat_of(self.leaves_s(place)) <= self.beat;
        let elsewhere = self.state(place.who) != State::Waiting;
        if what == What::Leaves || gone || elsewhere {
            // Another device got in, or nobody is there: some say so.
            self.called_s.remove(&number);
            if !self.crowd.leaves_silently(place.who, number) {
                self.front.remove(&number);
                self.room.leave(number, &pass_of(number), at(at_s));
            }
            return;
        }
        self.door += 1;
        self.out.claimed += u64::from(what == What::Claims);
        let claim = self.room.claim(&self.day.room, number, pass_of(number), at(at_s));
        match claim {
            Claim::Admitted => {
                self.room.touch(&self.day.room, &shown(number, false), at(at_s));
                self.seat(place, number, at_s);
            }
            Claim::FrontRow { .. } | Claim::Late { .. } => {
                self.front.insert(number, at_s);
            }
            Claim::SoldOut => {}
            Claim::Waiting { .. } | Claim::Done => self.out.lost_places += 1,
        }
    }

    fn seat(&mut self, place: Place, number: u64, at_s: f64) {
        let since_s = f64::from(place.since_ms) / 1_000.0;
        self.wait(place.who, self.leaves_s(place), false);
        self.front.remove(&number);
        if let Some(called_s) = self.called_s.remove(&number) {
            self.out.call_to_seat.add(at_s - called_s);
        }
        self.witness.gets_in(place.who, number, at_s - since_s);
        if since_s >= self.day.opens_s {
            self.out.order.extend(self.witness.order(place.who));
        }
        self.begin(place.who, number, since_s, at_s);
    }

    pub(super) fn begin(&mut self, who: Who, number: u64, since_s: f64, at_s: f64) {
        self.set(who, State::Inside);
        self.out.waits.add(at_s - since_s);
        self.out.last_seat_s = at_s;
        self.works.begin(who, number, self.crowd.visit(who));
    }

    /// Seats that fell free went to the lowest of the front row, who see it with their next look.
    pub(super) fn seat_front_row(&mut self, now_s: f64) {
        let left = self.facts_now().front_row;
        while self.front.len() > left {
            let Some((number, _)) = self.front.pop_first() else { break };
            let at_s = now_s + self.looks.front_row_s() * 0.5;
            self.plan(Deed { at_s, number, what: What::LooksUp, delayed: false });
        }
    }

    fn plan(&mut self, deed: Deed) {
        let beat = self.beat_of(deed.at_s).max(self.beat + 1);
        if let Some(deeds) = self.deeds.get_mut(beat) {
            deeds.push(deed);
        }
    }
}
