//! The day, beat by beat, through the same room that the gateway keeps.
//!
//! In each beat: people come and take numbers; those who look find themselves called and claim; the
//! pool works; the room takes its step and calls. Of somebody who waits, eight bytes are kept: who it
//! is and since when. Whoever gives a number up before its call is told to the room when the cursor
//! comes near, which is the same to everybody else, and costs the rehearsal no memory.

mod books;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::crowd::{Coming, Crowd, Who};
use super::day::Day;
use super::limit::{self, LimitModel};
use super::looks::Looks;
use super::outcome::{Outcome, SIGHTS_MAX};
use super::witness::Witness;
use super::works::{Session, Staff, Turn, Works};
use crate::admission::Moment;
use crate::admission::passes::ShownPass;
use crate::admission::room::{HoldReason, Load, PassId, Room, RoomFacts, RoomMarks, Touch};

/// Where a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Inside,
    Gone,
}

/// A place in the line.
#[derive(Clone, Copy, Debug)]
struct Place {
    who: Who,
    /// Arrival of the person, in milliseconds of the day.
    since_ms: u32,
}

/// Something that the holder of a called number does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Deed {
    at_s: f64,
    number: u64,
    what: What,
    /// The board's scale makes it later than its poll rule would.
    delayed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum What {
    /// Sees the call.
    Claims,
    /// Looks, in the front row, and sees the seat.
    LooksUp,
    /// Loses patience after the call.
    Leaves,
}

/// See the module.
pub(super) struct World<'a> {
    day: &'a Day,
    room: Room,
    crowd: Crowd<'a>,
    looks: Looks,
    works: Works,
    limit: LimitModel,
    places: Vec<Place>,
    people: Vec<State>,
    /// People and devices that lose patience, by beat.
    leaving: Vec<(u64, u64)>,
    /// What called people do, by beat.
    deeds: Vec<Vec<Deed>>,
    /// Those in the front row, and when they were called.
    front: BTreeMap<u64, f64>,
    called_s: HashMap<u64, f64>,
    stock: Option<u64>,
    facts: RoomFacts,
    waiting: u64,
    waiting_devices: u64,
    stalled_s: f64,
    /// Calls that nobody has seen yet, and how many of them the board's scale delays.
    unseen: u64,
    delayed: u64,
    beat: usize,
    /// How far the cursor went in the last step.
    advance: u64,
    witness: Witness,
    out: Outcome,
    door: u64,
}

/// Sessions that have a seat from the open door begin their numbers here.
const STRAIGHT_IN: u64 = 1 << 40;

impl<'a> World<'a> {
    pub(super) fn new(day: &'a Day) -> Self {
        let room = Room::restore(&day.room, RoomMarks { epoch: 1, ..RoomMarks::default() }, Moment(0));
        let facts = room.facts(&day.room);
        let beats = index(day.horizon_s / day.beat_s) + 2;
        Self {
            day,
            room,
            crowd: Crowd::new(day),
            looks: Looks::new(day.room.poll, day.seed),
            works: Works::default(),
            limit: LimitModel::new(&day.limit),
            places: Vec::new(),
            people: Vec::new(),
            leaving: vec![(0, 0); beats],
            deeds: (0..beats).map(|_| Vec::new()).collect(),
            front: BTreeMap::new(),
            called_s: HashMap::new(),
            stock: day.stock,
            facts,
            waiting: 0,
            waiting_devices: 0,
            stalled_s: 0.0,
            unseen: 0,
            delayed: 0,
            beat: 0,
            advance: 0,
            witness: Witness::new(day.people()),
            out: Outcome::default(),
            door: 0,
        }
    }

    /// Plays the day. `progress` hears the share of the horizon that is done.
    pub(super) fn play(mut self, mut progress: impl FnMut(f64)) -> Outcome {
        let mut every = 1;
        while self.ends_s() <= self.day.horizon_s + self.day.beat_s / 2.0 && !self.is_over() {
            self.play_beat();
            if self.beat.is_multiple_of(every) {
                self.out.sights.push(self.sight());
                progress(self.ends_s() / self.day.horizon_s);
            }
            if self.out.sights.len() >= SIGHTS_MAX {
                let sights = std::mem::take(&mut self.out.sights);
                self.out.sights = sights.into_iter().skip(1).step_by(2).collect();
                every *= 2;
            }
        }
        self.finish()
    }

    /// The end of the beat that is played.
    fn ends_s(&self) -> f64 {
        (self.beat + 1) as f64 * self.day.beat_s
    }

    fn is_over(&self) -> bool {
        self.crowd.is_over() && self.waiting == 0 && self.works.inside() == 0
    }

    fn play_beat(&mut self) {
        let ends_s = self.ends_s();
        self.door = 0;
        let coming = self.crowd.come();
        for coming in coming {
            self.come(coming);
        }
        let mut deeds = self.deeds.get_mut(self.beat).map(std::mem::take).unwrap_or_default();
        deeds.sort_by(|a, b| a.at_s.total_cmp(&b.at_s).then(a.number.cmp(&b.number)));
        for deed in deeds {
            self.act(deed);
        }
        self.lose_patience();
        self.work(ends_s);
        self.step(ends_s);
        self.account(ends_s);
        // What is over is written down here at once.
        self.room.kept(&self.room.unkept());
        self.beat += 1;
    }

    fn come(&mut self, coming: Coming) {
        let Coming { at_s, who, first, .. } = coming;
        if first {
            self.people.push(State::Waiting);
            self.out.arrived += 1;
        } else if self.state(who) != State::Waiting {
            return;
        }
        if self.stock == Some(0) {
            if first {
                self.set(who, State::Gone);
                self.out.told_exhausted += 1;
            }
            return;
        }
        let pass = pass_of(STRAIGHT_IN + u64::from(who));
        if first && self.room.enter(&self.day.room, pass, at(at_s)) {
            self.room.touch(&self.day.room, &shown(STRAIGHT_IN + u64::from(who), false), at(at_s));
            self.out.straight_in += 1;
            self.begin(who, STRAIGHT_IN + u64::from(who), at_s, at_s);
            return;
        }
        self.room.reserve(self.room.marks().issued + 1);
        let Ok(number) = self.room.join() else { return };
        self.door += 1;
        self.places.push(Place { who, since_ms: millis(coming.since_s) });
        if first {
            let leaves_s = f64::from(millis(at_s)) / 1_000.0 + self.crowd.patience_s(who);
            self.wait(who, leaves_s, true);
            self.witness.joins(who, number, &self.facts);
        }
    }

    /// Counts somebody among those who wait, or no longer; and when patience will be over.
    fn wait(&mut self, who: Who, leaves_s: f64, begins: bool) {
        let devices = self.crowd.devices(who);
        let sign =
            |count: &mut u64, by: u64| *count = if begins { *count + by } else { count.saturating_sub(by) };
        sign(&mut self.waiting, 1);
        sign(&mut self.waiting_devices, devices);
        let beat = self.beat_of(leaves_s);
        if let Some((people, places)) = self.leaving.get_mut(beat) {
            sign(people, 1);
            sign(places, devices);
        }
    }

    fn beat_of(&self, at_s: f64) -> usize {
        index(at_s / self.day.beat_s)
    }

    /// Those whose patience ends in this beat and who have not got in are no longer there.
    fn lose_patience(&mut self) {
        let (people, places) = self.leaving.get(self.beat).copied().unwrap_or_default();
        self.waiting -= people.min(self.waiting);
        self.waiting_devices -= places.min(self.waiting_devices);
        self.out.left += people;
        if people > 0 {
            self.out.ended_s = self.ends_s();
        }
    }

    fn state(&self, who: Who) -> State {
        self.people.get(who as usize).copied().unwrap_or(State::Gone)
    }

    fn set(&mut self, who: Who, state: State) {
        if let Some(person) = self.people.get_mut(who as usize) {
            *person = state;
        }
    }

    fn place(&self, number: u64) -> Option<Place> {
        self.places.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    fn leaves_s(&self, place: Place) -> f64 {
        f64::from(place.since_ms) / 1_000.0 + self.crowd.patience_s(place.who)
    }

    fn work(&mut self, until_s: f64) {
        let slots = self.day.pool.slots_at(until_s);
        let useful = limit::useful(&self.day.limit, slots);
        let staff = Staff { slots, limit: self.limit.limit(), thrash: self.day.pool.thrash, useful };
        let Self { works, room, crowd, out, people, day, places, stock, .. } = self;
        works.work(at(until_s), staff, |session: &Session, turn, now| {
            let Session { who, number, .. } = *session;
            let since_s = match usize::try_from(number).ok().and_then(|n| places.get(n.checked_sub(1)?)) {
                Some(place) => f64::from(place.since_ms) / 1_000.0,
                None => now.0 as f64 / 1e9,
            };
            let now_s = now.0 as f64 / 1e9;
            let touched = room.touch(&day.room, &shown(number, turn == Turn::AsksAgain), now);
            let errand = crowd.errand(who);
            match turn {
                Turn::AsksAgain => {
                    let goes_on = touched != Touch::Over && now_s < since_s + crowd.patience_s(who).max(1.0);
                    if !goes_on {
                        out.left_inside += 1;
                        out.turned_out += u64::from(touched == Touch::Over);
                        end(people, who);
                        room.leave(number, &pass_of(number), now);
                    }
                    goes_on
                }
                Turn::Done => {
                    end(people, who);
                    out.served += 1;
                    out.goals.add(now_s - since_s);
                    out.ended_s = now_s;
                    if let (Some(units), Some(errand)) = (stock.as_mut(), errand) {
                        out.oversold += errand.units.saturating_sub(*units);
                        *units = units.saturating_sub(errand.units);
                    }
                    if errand.is_some_and(|errand| errand.ends) {
                        room.end(&pass_of(number), now);
                    }
                    false
                }
            }
        });
    }

    /// The room's own step.
    fn step(&mut self, now_s: f64) {
        let now = at(now_s);
        let slots = self.day.pool.slots_at(now_s);
        let service_s = self.day.work_s() / self.day.scarce_requests().max(f64::MIN_POSITIVE);
        self.limit.follow(&self.day.limit, slots, service_s, self.works.asking(), self.day.beat_s);
        self.stalled_s = if slots == 0 { self.stalled_s + self.day.beat_s } else { 0.0 };
        let limit = self.limit.limit();
        let stalled = self.stalled_s > self.day.limit.stall.as_secs_f64();
        let asking = u32::try_from(self.works.asking()).unwrap_or(u32::MAX);
        let (in_flight, waiting) = (asking.min(limit), asking.saturating_sub(limit));
        let (wait_max, hold) = (self.day.limit.wait, stalled.then_some(HoldReason::Upstream));
        let load = Load { limit, in_flight, waiting, wait_max, inside: 0, hold };
        if let Some(units) = self.stock {
            self.room.remain(units, now, now);
        }
        let cursor = self.cursor(load, now_s);
        let before = self.room.marks().cursor;
        self.room.call_up_to(cursor, now);
        for number in before + 1..=self.room.marks().cursor {
            self.call(number, now_s);
        }
        self.seat_front_row(now_s);
        self.facts = self.facts_now();
        let scale = self.day.room.poll.scale(self.facts.issued - self.facts.cursor, self.facts.rate);
        self.looks.follow(scale);
        self.witness.step(&self.facts);
        if self.stock == Some(0) && self.waiting > 0 {
            self.tell_exhausted(now_s);
        }
    }

    fn facts_now(&self) -> RoomFacts {
        self.room.facts(&self.day.room)
    }
}

fn end(people: &mut [State], who: Who) {
    if let Some(person) = people.get_mut(who as usize) {
        *person = State::Gone;
    }
}

fn at(seconds: f64) -> Moment {
    Moment(0).after(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

fn millis(seconds: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "not negative, saturates after 49 days")]
    let ms = (seconds * 1_000.0).max(0.0) as u32;
    ms
}

fn index(number: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "not negative, saturates")]
    let whole = number.max(0.0) as usize;
    whole
}

fn pass_of(number: u64) -> PassId {
    (u128::from(number) | 1 << 127).to_le_bytes()
}

fn shown(number: u64, finishing: bool) -> ShownPass {
    let given_for = if number >= STRAIGHT_IN { 0 } else { number };
    ShownPass { id: pass_of(number), number: given_for, age: Duration::ZERO, finishing, older_than_we: false }
}
