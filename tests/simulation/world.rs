//! The world around one room: a crowd, an upstream, a disk, an operator, and a gateway that is killed.
//!
//! Virtual time in nanoseconds; one event at a time, in order of time, so that one seed is one story.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tornello::admission::limiter::Limiter;
use tornello::admission::number_set::NumberSet;
use tornello::admission::policy::{LawPolicy, LimitPolicy, PollRule, RoomPolicy};
use tornello::admission::room::{
    Claim, Ends, Habits, HoldReason, Load, Room, RoomFacts, RoomMarks, ShownPass, Touch,
};
use tornello::admission::slots::{Slot, SlotRule};
use tornello::admission::{Moment, Outcome};

use crate::dice::Dice;
use crate::person::{Doing, Person, pass_of};
use crate::upstream::{Job, Upstream};
use crate::witness::{Witness, must};

pub(crate) const BEAT: Duration = Duration::from_millis(100);

/// A fault planted between the world and the room, to show that the witness sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk says that marks are durable and keeps old ones.
    DiskLies,
    /// Numbers are given from a block that was never made durable.
    BlockNotDurable,
    /// Numbers are called while the room is held.
    CallsWhileHeld,
    /// A repeated claim comes with another pass.
    PassNotDerived,
    /// Claims are heard as if the pass had been given already: nobody counts seats.
    SeatsNotCounted,
    /// A claim from the front row is heard as if its pass had been given already.
    Overtakes,
    /// A request goes out without a permit.
    NoPermit,
    /// A permit is never given back.
    PermitLeaks,
    /// What the room wants to call is not called.
    CallsLost,
    /// Somebody's ticket is given up by somebody else.
    StrangerLeaves,
    /// The disk keeps no note of numbers that are over.
    EndsForgotten,
    /// Calls stand for a quarter of the time that was promised.
    CallsBurnt,
    /// Time runs for those who are called while nobody can come in.
    ClockRunsWhileHeld,
    /// Slots are told and not made durable.
    SlotsForgotten,
}

/// How a world is made.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) people: u64,
    pub(crate) rush: Duration,
    pub(crate) trickle: Duration,
    pub(crate) no_show: f64,
    pub(crate) jumping: bool,
    /// Kills, holds, reloads, hangs, disk failures.
    pub(crate) troubles: bool,
    /// People who leave, vanish, hammer, idle.
    pub(crate) manners: bool,
    /// So many times as often as they are told every other one of the crowd looks.
    pub(crate) eager: f64,
    pub(crate) workers: usize,
    pub(crate) service_ms: (u64, u64),
    pub(crate) think_ms: (u64, u64),
    pub(crate) errand: (u32, u32),
    pub(crate) block: u64,
    pub(crate) policy: RoomPolicy,
    pub(crate) limits: LimitPolicy,
    pub(crate) slots: SlotRule,
    /// Units of which everybody who is done has taken one, if they are counted.
    pub(crate) stock: Option<u64>,
    pub(crate) fault: Option<Fault>,
}

/// The default mostly, or another.
fn any_law(dice: &mut Dice) -> LawPolicy {
    match dice.between(0, 5) {
        0 => LawPolicy::Aimd { latency: dice.millis(100, 800) },
        1 => LawPolicy::Vegas,
        2 => LawPolicy::Gradient2,
        _ => LawPolicy::Knee,
    }
}

impl Setting {
    /// A world that differs from seed to seed.
    pub(crate) fn of(dice: &mut Dice) -> Self {
        let workers = dice.between(1, 12);
        let limit = u32::try_from(workers).unwrap() * 2;
        Self {
            people: dice.between(50, 2_500),
            rush: dice.millis(1, 20_000),
            trickle: dice.millis(50, 2_000),
            no_show: dice.part() * 0.9,
            jumping: dice.chance(0.5),
            troubles: dice.chance(0.8),
            manners: dice.chance(0.9),
            eager: 1.0,
            workers: usize::try_from(workers).unwrap(),
            service_ms: (20, dice.between(40, 300)),
            think_ms: (50, dice.between(100, 3_000)),
            errand: (1, dice.count(2, 12)),
            block: dice.between(20, 1_000),
            policy: RoomPolicy {
                seats_floor: dice.count(1, 3),
                seats_ceiling: dice.count(4, 60),
                share: 1.0 - dice.part() * 0.7,
                call: dice.millis(4_000, 60_000),
                idle: dice.millis(3_000, 20_000),
                session: dice.millis(15_000, 90_000),
                poll: PollRule {
                    min: dice.millis(400, 2_000),
                    max: dice.millis(3_000, 20_000),
                    divisor: dice.count(2, 10),
                    budget: 1_000,
                },
                hold: false,
                open: false,
                lanes: Vec::new(),
            },
            limits: LimitPolicy {
                law: any_law(dice),
                initial: limit,
                floor: dice.count(1, 2),
                ceiling: limit * 4,
                wait: Duration::ZERO,
                stall: Duration::from_secs(3),
            },
            slots: SlotRule { after: dice.millis(500, 20_000), length: dice.millis(2_000, 40_000) },
            stock: None,
            fault: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Beat,
    Arrives,
    Wakes(usize),
    Finishes(Job),
    Trouble,
    HangEnds,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) let_in: u64,
    pub(crate) kills: u32,
    /// How often somebody was told that the call was missed.
    pub(crate) late: u64,
    /// Slots taken, and people let in by theirs before the line came so far.
    pub(crate) slots: [u64; 2],
    pub(crate) front_row: usize,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) setting: Setting,
    pub(crate) room: Room,
    pub(crate) upstream: Upstream,
    pub(crate) tally: Tally,
    pub(crate) durable: RoomMarks,
    dice: Dice,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    sequence: u64,
    people: Vec<Person>,
    /// Until when calls may be out that an open room made.
    calls_of_the_open_door: Moment,
    /// When the gateway of this life began.
    born: Moment,
    limiter: Limiter,
    witness: Witness,
    board: RoomFacts,
    /// Units left, and when the last one went.
    pub(crate) left: Option<u64>,
    pub(crate) sold_out: Option<Moment>,
    pub(crate) no_show: f64,
    /// Who was let in, and by which number, in order.
    pub(crate) seated: Vec<(usize, u64)>,
    life: u32,
    hung: bool,
    disk_fails_until: Moment,
    held_until: Moment,
    /// What the room wants to publish once the disk is done, at that moment.
    writing: Option<(Moment, RoomMarks, Ends)>,
    /// Numbers that are durably over.
    over: NumberSet,
    /// Numbers of which it was said, when that was durable, that they are over.
    told_over: NumberSet,
    /// Slots that are durable: by number, when each begins and ends, by the room's clock of this life.
    slots: BTreeMap<u64, (Duration, Duration)>,
    /// Time for which the room's clocks stood still.
    still: Duration,
    last_beat: Moment,
}

impl World {
    pub(crate) fn new(setting: Setting, dice: Dice) -> Self {
        let now = Moment(1);
        let durable = RoomMarks { epoch: 1, ..RoomMarks::default() };
        let room = Room::restore(&setting.policy, durable, now);
        let mut world = Self {
            now,
            born: now,
            calls_of_the_open_door: now,
            board: room.facts(&setting.policy),
            room,
            upstream: Upstream::new(setting.workers),
            tally: Tally::default(),
            durable,
            dice,
            events: BinaryHeap::new(),
            sequence: 0,
            people: Vec::new(),
            limiter: Limiter::new(&setting.limits, 1, now),
            witness: Witness::default(),
            left: setting.stock,
            sold_out: None,
            no_show: setting.no_show,
            seated: Vec::new(),
            life: 1,
            hung: false,
            disk_fails_until: now,
            held_until: now,
            writing: None,
            over: NumberSet::default(),
            told_over: NumberSet::default(),
            slots: BTreeMap::new(),
            still: Duration::ZERO,
            last_beat: now,
            setting,
        };
        if let Some(units) = world.setting.stock {
            world.room.remain(units, now, now);
        }
        world.after(Duration::ZERO, Event::Beat);
        world.after(Duration::from_millis(150), Event::Arrives);
        if world.setting.troubles {
            world.after(Duration::from_secs(2), Event::Trouble);
        }
        world
    }

    /// Takes one step and checks what must hold after it.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        let Some(Reverse((at, _, event))) = self.events.pop() else {
            return Err("nothing happens".to_owned());
        };
        self.now = at;
        match event {
            Event::Beat => self.beat()?,
            Event::Arrives => self.arrive(),
            Event::Wakes(person) => self.wake(person)?,
            Event::Finishes(job) => self.finish(job),
            Event::Trouble => self.trouble()?,
            Event::HangEnds => self.hung = false,
        }
        self.witness.marks(self.room.marks(), self.durable)?;
        self.room.check()?;
        let (counted, really) = (self.limiter.in_flight(), self.upstream.unfinished);
        must!(counted == really, "{counted} permits for {really} unfinished requests");
        Ok(())
    }

    /// Steps until `end`.
    pub(crate) fn run_until(&mut self, end: Moment) -> Result<(), String> {
        while self.now < end {
            self.step()?;
        }
        Ok(())
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now.after(wait), self.sequence, event)));
    }

    fn plants(&self, fault: Fault) -> bool {
        self.setting.fault == Some(fault)
    }

    fn facts(&self) -> RoomFacts {
        self.room.facts(&self.setting.policy)
    }

    /// The room's clock, kept by ourselves.
    fn clock(&self) -> Duration {
        self.now.since(Moment(0)).saturating_sub(self.still)
    }

    fn hold(&self) -> Option<HoldReason> {
        if self.now < self.disk_fails_until {
            Some(HoldReason::Store)
        } else if self.hung || self.limiter.is_stalled(&self.setting.limits, self.now) {
            Some(HoldReason::Upstream)
        } else {
            None
        }
    }

    /// As the pulse does it: step, disk, publish. A slow disk lets beats fall out.
    fn beat(&mut self) -> Result<(), String> {
        self.after(BEAT, Event::Beat);
        self.limiter.tick(&self.setting.limits, self.now);
        match self.writing.take() {
            Some(slow) if self.now < slow.0 => {
                self.writing = Some(slow);
                return Ok(());
            }
            Some((_, marks, ends)) => self.publish(marks, &ends),
            None => {}
        }
        self.setting.policy.hold = self.now < self.held_until;
        let load = Load {
            limit: self.limiter.limit(&self.setting.limits),
            in_flight: self.limiter.in_flight(),
            hold: self.hold(),
            ..Load::default()
        };
        // An emergency `open` overrides what holds a room, but not its operator.
        let held = self.setting.policy.hold || (!self.setting.policy.open && load.hold.is_some());
        let before = self.facts();
        let mut policy = self.setting.policy.clone();
        if self.plants(Fault::CallsBurnt) {
            policy.call /= 4;
        }
        if held && self.plants(Fault::ClockRunsWhileHeld) {
            self.room.step(
                &RoomPolicy { hold: false, ..policy.clone() },
                Load { hold: None, ..load },
                self.now,
            );
        }
        let cursor = self.room.step(&policy, load, self.now);
        if held {
            self.still += self.now.since(self.last_beat);
            must!(cursor == before.cursor, "calls up to {cursor} from {} while held", before.cursor);
        }
        let elapsed = self.now.since(std::mem::replace(&mut self.last_beat, self.now));
        let after = self.facts();
        let fell = RoomFacts { active: after.active.min(before.active), ..before };
        if !self.setting.policy.open {
            self.witness.seats(&fell, &after)?;
        }
        if (after.active, after.front_row) != (before.active, before.front_row) {
            self.witness.front_row_moved(&self.room)?;
        }
        let RoomPolicy { call, poll, .. } = &self.setting.policy;
        let patience = (*call).min(poll.max * 4) + Duration::from_secs(5);
        // An open room calls everybody; until those calls are out of time nobody else need be called.
        if self.setting.policy.open {
            self.calls_of_the_open_door = self.now.after(self.setting.policy.call);
        }
        // And nobody is called for nothing.
        let excused = held || self.left == Some(0) || self.now < self.calls_of_the_open_door;
        self.witness.beat(&after, excused, elapsed, patience)?;
        self.tally.front_row = self.tally.front_row.max(after.front_row);
        self.write(cursor, held)
    }

    /// What the store does with a step: reserves ahead, writes, and only then publishes.
    fn write(&mut self, cursor: u64, held: bool) -> Result<(), String> {
        let marks = self.room.marks();
        let spare = self.durable.reserved.saturating_sub(marks.issued);
        let block = self.setting.block;
        let reserved = if spare < block / 2 { marks.issued + block } else { self.durable.reserved };
        let mut wanted = RoomMarks { reserved, cursor, ..marks };
        if self.plants(Fault::CallsLost) {
            wanted.cursor = marks.cursor;
        }
        if self.plants(Fault::BlockNotDurable) {
            self.room.reserve(reserved + block);
        }
        if self.now < self.disk_fails_until {
            return Ok(());
        }
        let slow = self.setting.troubles && self.dice.chance(0.02);
        let took = if slow { self.dice.millis(1, 900) } else { Duration::ZERO };
        let ends = self.room.unkept();
        if took.is_zero() {
            self.publish(wanted, &ends);
        } else {
            self.writing = Some((self.now.after(took), wanted, ends));
        }
        if held && self.plants(Fault::CallsWhileHeld) {
            let marks = self.room.marks();
            self.durable.cursor = (marks.cursor + 1).min(marks.issued);
            self.room.call_up_to(self.durable.cursor, self.now);
            self.called(marks.cursor + 1);
        }
        let called = self.room.marks().cursor;
        must!(!held || called == marks.cursor, "called {} to {called} while held", marks.cursor);
        self.board = self.facts();
        Ok(())
    }

    fn publish(&mut self, marks: RoomMarks, ends: &Ends) {
        self.durable = marks;
        self.keep(ends);
        self.room.kept(ends);
        self.keep_slots();
        self.told_over = NumberSet::of_words(self.told_over.words().chain(ends.words.iter().copied()));
        self.room.reserve(marks.reserved);
        let before = self.room.marks().cursor;
        self.room.call_up_to(marks.cursor, self.now);
        self.called(before + 1);
    }

    /// What is over is on the disk.
    fn keep(&mut self, ends: &Ends) {
        if !self.plants(Fault::EndsForgotten) {
            self.over = NumberSet::of_words(self.over.words().chain(ends.words.iter().copied()));
        }
    }

    /// Those from this number on who are called: their time begins.
    fn called(&mut self, first: u64) {
        let (clock, call, last) = (self.clock(), self.setting.policy.call, self.room.marks().cursor);
        let called = |person: &&mut Person| (first..=last).contains(&person.number);
        for person in self.people.iter_mut().filter(called) {
            (person.called, person.call) = (clock, call);
        }
    }

    fn arrive(&mut self) {
        let errand = self.dice.count(self.setting.errand.0, self.setting.errand.1);
        let person = self.people.len();
        let mut pass = *b"straight in.....";
        pass[12..].copy_from_slice(&u32::try_from(person).unwrap().to_le_bytes());
        self.people.push(Person::new(pass, errand));
        self.after(Duration::ZERO, Event::Wakes(person));
        let rushing = (person as u64) < self.setting.people;
        let mean = if rushing {
            self.setting.rush / u32::try_from(self.setting.people).unwrap()
        } else {
            self.setting.trickle
        };
        let gap = mean.mul_f64(self.dice.part() * 2.0);
        self.after(gap, Event::Arrives);
    }

    fn wake(&mut self, who: usize) -> Result<(), String> {
        match self.people[who].doing {
            Doing::Arriving => self.come(who),
            Doing::Waiting => self.wait(who),
            Doing::InFront | Doing::Late => self.claim(who),
            Doing::Away => self.return_to(who),
            Doing::Inside => self.ask(who),
            Doing::Asking | Doing::Gone => Ok(()),
        }
    }

    fn come(&mut self, who: usize) -> Result<(), String> {
        let before = self.facts();
        if self.room.enter(&self.setting.policy, self.people[who].pass, self.now) {
            let after = self.facts();
            let nobody_waits = before.cursor == before.issued && before.front_row == 0;
            must!(self.setting.policy.open || nobody_waits, "straight past those who wait: {before:?}");
            if !self.setting.policy.open {
                self.witness.seats(&before, &after)?;
            }
            self.sit_down(who);
            return Ok(());
        }
        let Ok(number) = self.room.join() else {
            self.after(Duration::from_millis(200), Event::Wakes(who));
            return Ok(());
        };
        self.witness.given(number)?;
        let person = &mut self.people[who];
        person.number = number;
        person.pass = pass_of(number);
        person.doing = Doing::Waiting;
        self.look_again(who);
        Ok(())
    }

    /// The poll rule of the board.
    fn look_again(&mut self, who: usize) {
        let (number, poll) = (self.people[who].number, self.setting.policy.poll);
        let ahead = number.saturating_sub(self.board.cursor + 1);
        let wait = if self.board.rate > 0.01 {
            Duration::from_secs_f64(ahead as f64 / self.board.rate / f64::from(poll.divisor))
        } else {
            poll.min * 3
        };
        let wait = wait.clamp(poll.min, poll.max).mul_f64(0.7 + 0.6 * self.dice.part());
        self.after(wait.div_f64(self.eagerness(who)), Event::Wakes(who));
    }

    fn eagerness(&self, who: usize) -> f64 {
        if who.is_multiple_of(2) { self.setting.eager } else { 1.0 }
    }

    fn wait(&mut self, who: usize) -> Result<(), String> {
        let Person { number, pass, missed_call, .. } = self.people[who];
        if self.setting.manners && self.dice.chance(0.002) {
            return self.leave(who);
        }
        if number > self.board.cursor {
            let looked = self.room.look(number, &pass);
            must!(looked != Claim::Done, "{number} waits and is told that it is done");
            if self.setting.manners && self.dice.chance(0.02) {
                let claimed = self.room.claim(&self.setting.policy, number, pass, self.now);
                let early = !self.room.may_come(number, self.now);
                must!(!early || matches!(claimed, Claim::Waiting { .. }), "{number} uncalled: {claimed:?}");
                if claimed == Claim::Admitted {
                    self.sit_down(who);
                    return self.witness.let_in(number);
                }
            }
            if self.setting.manners && self.dice.chance(0.1) {
                return self.take_slot(who);
            }
            self.look_again(who);
            return Ok(());
        }
        if !missed_call && self.setting.manners && self.dice.chance(0.1) {
            let (before, policy) = (self.facts(), &self.setting.policy);
            let told = self.room.call_time(policy, number, self.now);
            let more = self.room.extend_call(policy, number, self.now);
            must!(told.is_some() == more.is_some(), "{number} is called: {told:?}, then {more:?}");
            must!(more.is_none_or(|more| more.left >= policy.call), "{number} asked for more: {more:?}");
            must!(self.facts() == before, "asking for more time changed the room");
        }
        if !missed_call && self.dice.chance(self.no_show) {
            self.people[who].missed_call = true;
            if self.setting.manners && self.dice.chance(0.3) {
                let late = self.setting.policy.call.mul_f64(self.dice.part() * 3.0);
                self.after(late, Event::Wakes(who));
            } else {
                self.people[who].doing = Doing::Gone;
            }
            return Ok(());
        }
        self.claim(who)
    }

    /// Who is offered a slot takes it, twice by chance, and is answered when that is durable.
    fn take_slot(&mut self, who: usize) -> Result<(), String> {
        let Person { number, pass, .. } = self.people[who];
        let (policy, rule) = (&self.setting.policy, &self.setting.slots);
        let offered = self.room.slot_offer(policy, rule, number, &pass, self.now);
        let taken = self.room.take_slot(policy, rule, number, &pass, self.now);
        let again = self.room.take_slot(policy, rule, number, &pass, self.now);
        must!(again == taken, "{number} took {taken:?}, then {again:?}");
        must!(offered.is_none() || offered == taken, "{number} was offered {offered:?} and got {taken:?}");
        let Some(slot) = taken.filter(|_| self.now >= self.disk_fails_until && self.writing.is_none()) else {
            self.look_again(who);
            return Ok(());
        };
        self.keep_slots();
        self.tally.slots[0] += 1;
        let comes = match self.dice.between(0, 9) {
            // Never, too late, or too early.
            0..=2 => {
                self.people[who].doing = Doing::Gone;
                return Ok(());
            }
            3 => slot.until.mul_f64(1.0 + self.dice.part()),
            4 => slot.from.mul_f64(self.dice.part()),
            _ => slot.from + (slot.until - slot.from).mul_f64(self.dice.part()),
        };
        self.people[who].doing = Doing::Away;
        self.people[who].slot = (self.clock() + slot.from, self.clock() + slot.until);
        self.after(comes, Event::Wakes(who));
        Ok(())
    }

    /// What was taken of slots, and what is over, is on the disk.
    fn keep_slots(&mut self) {
        let changes = self.room.unkept_slots();
        self.room.kept_slots(&changes);
        if self.plants(Fault::SlotsForgotten) {
            return;
        }
        for (number, window) in changes.windows {
            let seconds = |count: u32| Duration::from_secs(count.into());
            match window {
                Some(window) => {
                    self.slots.insert(number, (seconds(window.begins_s), seconds(window.ends_s)));
                }
                None => _ = self.slots.remove(&number),
            }
        }
    }

    /// Back from wherever: in time, too early, or too late.
    fn return_to(&mut self, who: usize) -> Result<(), String> {
        let Person { number, slot: (slot, _), .. } = self.people[who];
        let told = self.room.slot(number, self.now);
        let called = number <= self.room.marks().cursor;
        let early = self.clock() < slot;
        must!(
            told.is_none_or(|told| early || called || told.from <= Duration::from_secs(1)),
            "{number} comes in its slot and is told to come in {told:?}"
        );
        let before = self.room.marks().cursor;
        self.people[who].doing = Doing::Waiting;
        if self.room.may_come(number, self.now) {
            self.tally.slots[1] += u64::from(number > before);
            return self.claim(who);
        }
        must!(early || told.is_none(), "{number} comes in its slot {told:?} and may not come in");
        self.look_again(who);
        Ok(())
    }

    fn leave(&mut self, who: usize) -> Result<(), String> {
        let Person { number, pass, .. } = self.people[who];
        self.room.leave(number, &pass, self.now);
        let looked = self.room.look(number, &pass);
        must!(looked == Claim::Done, "{number} left and is told {looked:?}");
        let claimed = self.room.claim(&self.setting.policy, number, pass, self.now);
        must!(claimed == Claim::Done, "{number} left, claims and is told {claimed:?}");
        self.people[who].doing = Doing::Gone;
        self.people[who].left = true;
        Ok(())
    }

    fn claim(&mut self, who: usize) -> Result<(), String> {
        let Person { number, mut pass, doing, .. } = self.people[who];
        let first = self.witness.front.first().is_none_or(|first| *first == number);
        if self.plants(Fault::Overtakes) && doing == Doing::InFront && !first {
            let shown =
                ShownPass { id: pass, number, age: Duration::ZERO, finishing: false, older_than_we: true };
            self.room.touch(&self.setting.policy, &shown, self.now);
        }
        if self.plants(Fault::StrangerLeaves) && self.dice.chance(0.05) {
            self.room.leave(number, &pass, self.now);
        }
        if self.plants(Fault::SeatsNotCounted) {
            let shown =
                ShownPass { id: pass, number, age: Duration::ZERO, finishing: false, older_than_we: true };
            let before = self.facts();
            self.room.touch(&self.setting.policy, &shown, self.now);
            self.witness.seats(&before, &self.facts())?;
        }
        let times = if self.setting.manners && self.dice.chance(0.1) { 3 } else { 1 };
        let mut said = None;
        for _ in 0..times {
            if self.plants(Fault::PassNotDerived) && said.is_some() {
                pass[0] = self.dice.roll().to_le_bytes()[0];
            }
            let before = self.facts();
            let claimed = self.room.claim(&self.setting.policy, number, pass, self.now);
            let after = self.facts();
            if !self.setting.policy.open {
                self.witness.seats(&before, &after)?;
            }
            if matches!(claimed, Claim::FrontRow { .. }) {
                self.witness.front.insert(number);
            }
            if after.active != before.active {
                self.witness.front_row_moved(&self.room)?;
            }
            let same = said.is_none_or(|said| said == claimed);
            must!(same, "{number} claimed and was told {said:?}, then {claimed:?}");
            said = Some(claimed);
        }
        match said {
            Some(Claim::Admitted) => {
                self.sit_down(who);
                self.witness.let_in(number)?;
            }
            Some(Claim::FrontRow { ahead }) => {
                must!(ahead < self.facts().front_row as u64, "{ahead} ahead of {number} in the front row");
                self.people[who].doing = Doing::InFront;
                // Some look away for long; the seat that they get meanwhile must not be their loss.
                let away = self.setting.manners && doing == Doing::InFront && self.dice.chance(0.03);
                let wait = if away { self.setting.policy.idle * 3 } else { Duration::from_millis(900) };
                let wait = wait.mul_f64(0.5 + self.dice.part()).div_f64(self.eagerness(who));
                self.after(wait, Event::Wakes(who));
            }
            Some(Claim::Late { ahead }) => {
                must!(ahead < self.facts().late, "{ahead} ahead of {number} in the late lane");
                self.late(who)?;
            }
            Some(Claim::Waiting { .. }) => {
                must!(!self.room.may_come(number, self.now), "{number} is called and told to wait");
                self.look_again(who);
            }
            Some(Claim::SoldOut) => {
                must!(self.left == Some(0), "{number} is told that nothing is left of {:?}", self.left);
                self.people[who].doing = Doing::Gone;
            }
            Some(Claim::Done) | None => {
                must!(false, "{number} never was inside, never left, and is told that it is done");
            }
        }
        Ok(())
    }

    /// Told that the call was missed: then it stood for its whole time, as the room's clock counts it.
    fn late(&mut self, who: usize) -> Result<(), String> {
        let Person { number, called, call, .. } = self.people[who];
        let (stood, promised) = (self.clock().saturating_sub(called), call.min(self.setting.policy.call));
        must!(stood + BEAT * 2 >= promised, "the call of {number} was burnt after {stood:?} of {promised:?}");
        self.tally.late += 1;
        self.people[who].doing = Doing::Late;
        let wait = Duration::from_millis(900).mul_f64(0.5 + self.dice.part());
        self.after(wait.div_f64(self.eagerness(who)), Event::Wakes(who));
        Ok(())
    }

    fn sit_down(&mut self, who: usize) {
        let (clock, session) = (self.clock(), self.setting.policy.session);
        let person = &mut self.people[who];
        person.doing = Doing::Inside;
        person.told_inside = true;
        person.signed = self.now;
        person.begun = clock;
        person.used = clock;
        person.cap = session;
        self.seated.push((who, person.number));
        self.tally.let_in += 1;
        let think = self.dice.millis(self.setting.think_ms.0, self.setting.think_ms.1);
        self.after(think, Event::Wakes(who));
    }

    fn ask(&mut self, who: usize) -> Result<(), String> {
        let Person { number, pass, signed, begun, used, cap, errand, revived_in, .. } = self.people[who];
        let finishing = self.setting.manners && self.dice.chance(0.3);
        let shown = ShownPass {
            id: pass,
            number,
            age: self.now.since(signed),
            finishing,
            older_than_we: signed < self.born,
        };
        let touched = self.room.touch(&self.setting.policy, &shown, self.now);
        let clock = self.clock();
        let idled = clock.saturating_sub(used) + BEAT * 2 >= self.setting.policy.idle;
        let ran_out = clock.saturating_sub(begun) + BEAT * 2 >= cap;
        let too_old = shown.age > self.setting.policy.session;
        match touched {
            Touch::Live => {}
            Touch::Revived => {
                must!(finishing && revived_in != self.life, "a pass was revived twice");
                self.people[who].revived_in = self.life;
                self.people[who].begun = clock;
                self.people[who].cap = Duration::from_secs(120);
            }
            Touch::Over => {
                must!(
                    idled || ran_out || too_old,
                    "the pass of {number} is over after {:?}",
                    clock.saturating_sub(begun)
                );
                return self.outside_again(who);
            }
        }
        self.people[who].used = clock;
        if errand == 0 {
            return self.go_home(who);
        }
        let (in_flight, limit) = (self.limiter.in_flight(), self.limiter.limit(&self.setting.limits));
        let permit = self.limiter.try_acquire(&self.setting.limits, 0, self.now);
        must!(permit.is_none() || in_flight < limit, "let through at {in_flight} of {limit}");
        let forced = permit.is_none() && self.plants(Fault::NoPermit);
        if permit.is_none() && !forced {
            let retry = self.dice.millis(200, 400);
            self.after(retry, Event::Wakes(who));
            return Ok(());
        }
        self.people[who].dispatch = permit;
        self.people[who].doing = Doing::Asking;
        let begins = self.upstream.take(Job { person: who, life: self.life });
        begins.into_iter().for_each(|job| self.work(job));
        Ok(())
    }

    /// The session is over and its holder knows: the number must not open the door again.
    fn outside_again(&mut self, who: usize) -> Result<(), String> {
        let Person { number, pass, .. } = self.people[who];
        self.people[who].doing = Doing::Gone;
        if number == 0 {
            return Ok(());
        }
        let claimed = self.room.claim(&self.setting.policy, number, pass, self.now);
        match claimed {
            Claim::Admitted => {
                self.sit_down(who);
                self.witness.let_in(number)
            }
            Claim::FrontRow { .. } | Claim::Late { .. } => {
                // Only after a kill before its end was durable.
                must!(self.life > 1, "{number} is in the front row after its session");
                self.room.leave(number, &pass, self.now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn go_home(&mut self, who: usize) -> Result<(), String> {
        let Person { number, pass, .. } = self.people[who];
        if let Some(left) = &mut self.left {
            must!(*left > 0, "{number} was let in, and there was nothing left");
            *left -= 1;
            self.room.remain(*left, self.now, self.now);
            self.sold_out = self.sold_out.or((*left == 0).then_some(self.now));
        }
        let manner = if self.setting.manners { self.dice.between(0, 9) } else { 0 };
        match manner {
            // Forgets the window, and comes back.
            0 if self.setting.manners => {
                self.people[who].errand = 1;
                let idle = self.setting.policy.idle.mul_f64(0.5 + self.dice.part() * 2.0);
                self.after(idle, Event::Wakes(who));
                return Ok(());
            }
            // Closes the window and says nothing.
            1 => {}
            2 if number > 0 => self.leave(who)?,
            _ => {
                let before = self.facts().active;
                must!(self.room.end(&pass, self.now), "a live session could not be ended");
                must!(self.facts().active + 1 == before, "a session ended and its seat is not free");
                let shown =
                    ShownPass { id: pass, number, age: Duration::ZERO, finishing: true, older_than_we: true };
                let touched = self.room.touch(&self.setting.policy, &shown, self.now);
                must!(touched == Touch::Over, "a session that was ended on purpose is {touched:?}");
            }
        }
        self.people[who].doing = Doing::Gone;
        Ok(())
    }

    fn work(&mut self, job: Job) {
        let service = self.dice.millis(self.setting.service_ms.0, self.setting.service_ms.1);
        self.after(service, Event::Finishes(job));
    }

    fn finish(&mut self, job: Job) {
        if self.hung {
            self.after(BEAT * 5, Event::Finishes(job));
            return;
        }
        if let Some(next) = self.upstream.finish(job, self.life) {
            self.work(next);
        }
        if job.life != self.life || (self.plants(Fault::PermitLeaks) && self.dice.chance(0.01)) {
            return;
        }
        let outcome = match self.dice.between(0, 99) {
            0 if self.setting.troubles => Outcome::Dropped,
            1 => Outcome::Ignored,
            _ => Outcome::Served,
        };
        let person = &mut self.people[job.person];
        if let Some(mut dispatch) = person.dispatch.take() {
            self.limiter.head(&mut dispatch, self.now);
            self.limiter.release(&self.setting.limits, &dispatch, outcome, self.now);
        }
        if person.doing == Doing::Asking {
            person.doing = Doing::Inside;
            person.errand = person.errand.saturating_sub(1);
            let think = self.dice.millis(self.setting.think_ms.0, self.setting.think_ms.1);
            self.after(think, Event::Wakes(job.person));
        }
    }

    fn trouble(&mut self) -> Result<(), String> {
        let next = self.dice.millis(300, 6_000);
        self.after(next, Event::Trouble);
        let policy = &mut self.setting.policy;
        match self.dice.between(0, 11) {
            0 | 1 => self.kill(self.dice_coin()),
            2 => self.held_until = self.now.after(self.dice.millis(500, 40_000)),
            3 => {
                self.hung = true;
                let hang = self.dice.millis(500, 30_000);
                self.after(hang, Event::HangEnds);
            }
            4 => self.disk_fails_until = self.now.after(self.dice.millis(200, 8_000)),
            5 => {
                policy.seats_floor = self.dice.count(1, 5);
                policy.seats_ceiling = policy.seats_floor + self.dice.count(0, 60);
            }
            6 => policy.open = !policy.open && self.dice.chance(0.3),
            7 => {
                let limits = &mut self.setting.limits;
                limits.floor = self.dice.count(1, 4);
                limits.ceiling = limits.floor + self.dice.count(0, 60);
            }
            8 => self.setting.limits.law = any_law(&mut self.dice),
            9 => {
                policy.call = self.dice.millis(3_000, 60_000);
                self.people.iter_mut().for_each(|person| person.call = person.call.min(policy.call));
            }
            _ if self.setting.jumping => self.no_show = self.dice.part() * 0.9,
            _ => policy.open = false,
        }
        self.check_nobody_lost()
    }

    fn dice_coin(&self) -> bool {
        self.now.0.is_multiple_of(2)
    }

    /// kill -9: what is durable stays, and what the disk was just writing may or may not be there.
    pub(crate) fn kill(&mut self, written: bool) {
        if let Some((_, marks, ends)) = self.writing.take().filter(|_| written) {
            self.durable = marks;
            self.keep(&ends);
        }
        let (clock, mut found) = (self.clock(), self.durable);
        if self.plants(Fault::DiskLies) {
            found.reserved = found.issued.saturating_sub(5);
            found.issued = found.reserved;
            found.cursor = found.cursor.min(found.issued);
        }
        self.life += 1;
        self.tally.kills += 1;
        let habits = self.room.habits(self.now).filter(|_| self.dice_coin());
        self.room = Room::restore(&self.setting.policy, found, self.now);
        self.room.restore_over(&self.over);
        // Who was inside keeps no seat here: a seat is free where nobody is on it.
        habits.iter().for_each(|habits| self.room.take_up(&Habits { insiders: None, ..*habits }));
        if self.room.is_waited_in() {
            let before = habits.map_or(0.0, |habits| habits.back_s);
            self.room.cut_off(Duration::ZERO, Duration::from_secs_f64(before), self.now);
        }
        let left = |time: Duration| time.saturating_sub(clock);
        let slots: Vec<(u64, Slot)> = (self.slots.iter())
            .map(|(number, (from, until))| (*number, Slot { from: left(*from), until: left(*until) }))
            .collect();
        self.room.restore_slots(&self.setting.policy, &slots, self.now);
        self.born = self.now;
        self.limiter = Limiter::new(&self.setting.limits, 1, self.now);
        self.upstream.gateway_died();
        self.witness.restarted();
        let was = clock;
        self.still = Duration::ZERO;
        self.last_beat = self.now;
        self.called(1);
        let clock = self.clock();
        let began_anew = |time: Duration| clock + time.saturating_sub(was);
        for (from, until) in self.slots.values_mut() {
            (*from, *until) = (began_anew(*from), began_anew(*until));
        }
        for who in 0..self.people.len() {
            let person = &mut self.people[who];
            person.dispatch = None;
            // What idle time and session were is forgotten; the age of the pass is not, and what was over for good.
            if !self.over.contains(person.number) {
                (person.begun, person.used) = (clock, clock);
            }
            person.revived_in = 0;
            person.slot = (began_anew(person.slot.0), began_anew(person.slot.1));
            if person.doing == Doing::Asking {
                person.doing = Doing::Inside;
                self.after(Duration::from_millis(500), Event::Wakes(who));
            }
        }
    }

    /// Everybody who waits and looks is told a place.
    fn check_nobody_lost(&self) -> Result<(), String> {
        for person in self.people.iter().filter(|person| self.told_over.contains(person.number)) {
            let looked = self.room.look(person.number, &person.pass);
            must!(looked == Claim::Done, "{} was over and is told {looked:?}", person.number);
        }
        for Person { number, .. } in self.people.iter().filter(|person| {
            person.doing == Doing::Away && person.slot.1 > self.clock() + Duration::from_secs(1)
        }) {
            must!(self.room.slot(*number, self.now).is_some(), "{number} took a slot and has none");
        }
        for person in &self.people {
            if !matches!(person.doing, Doing::Waiting | Doing::InFront | Doing::Late | Doing::Away) {
                continue;
            }
            let looked = self.room.look(person.number, &person.pass);
            must!(looked != Claim::Done, "{} waits and is told that it is done", person.number);
            must!(person.number <= self.room.marks().issued, "{} is not known any more", person.number);
        }
        Ok(())
    }

    /// Those who hold a ticket and are not inside.
    pub(crate) fn waiting(&self) -> usize {
        let outside =
            |person: &&Person| matches!(person.doing, Doing::Waiting | Doing::InFront | Doing::Late);
        self.people.iter().filter(outside).count()
    }
}
