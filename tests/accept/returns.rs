//! M21: those who come back at the time that they were told, in the pure core and in virtual time.
//!
//! A room of fixed seats, and a crowd that is hard on it: most of those who lose patience leave without a word,
//! and from the middle on many more, or many fewer, come when they are called. Of those who wait for long
//! some take a slot; of these some never return, some come too early or too late, and the others within their
//! slot, many of them just when it begins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tornello::admission::Moment;
use tornello::admission::policy::{PollRule, RoomPolicy};
use tornello::admission::room::{Claim, Load, PassId, Room, RoomMarks, ShownPass};
use tornello::admission::slots::{Slot, SlotRule};

use super::row::Judged;

const SECOND: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_millis(100);
const SEEDS: u64 = 4;
/// A day ends then, whoever still waits.
const LONGEST: Duration = Duration::from_secs(8 * 3_600);
/// The line has formed by then: the first seats are taken while people arrive.
const WARM: Duration = Duration::from_secs(120);

/// What is hard about a crowd.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    name: &'static str,
    /// Who comes in the rush.
    people: u64,
    seats: u32,
    /// Mean time of a visit.
    visit_s: f64,
    /// Part of those called who come, before the middle of the line and after it.
    show: (f64, f64),
    /// Part of those who are offered a slot who take it.
    take: f64,
    /// Part of those who took one who never come back.
    silent: f64,
    /// The upstream is out for so long, when half of them were called.
    held: Duration,
}

const CROWDS: [Crowd; 5] = [
    Crowd {
        name: "half leave silently",
        people: 6_000,
        seats: 100,
        visit_s: 90.0,
        show: (0.5, 0.5),
        take: 0.3,
        silent: 0.5,
        held: Duration::ZERO,
    },
    Crowd {
        name: "of ten who came three do, then all",
        people: 6_000,
        seats: 100,
        visit_s: 90.0,
        show: (0.3, 1.0),
        take: 0.4,
        silent: 0.3,
        held: Duration::ZERO,
    },
    Crowd {
        name: "all come, then a third",
        people: 4_000,
        seats: 100,
        visit_s: 90.0,
        show: (1.0, 0.33),
        take: 0.5,
        silent: 0.67,
        held: Duration::ZERO,
    },
    Crowd {
        name: "few seats, and nearly all take a slot",
        people: 1_500,
        seats: 15,
        visit_s: 45.0,
        show: (0.7, 0.5),
        take: 0.9,
        silent: 0.3,
        held: Duration::ZERO,
    },
    Crowd {
        name: "out for twenty minutes",
        people: 5_000,
        seats: 100,
        visit_s: 90.0,
        show: (0.6, 0.9),
        take: 0.4,
        silent: 0.3,
        held: Duration::from_secs(1_200),
    },
];

const RULE: SlotRule = SlotRule { after: Duration::from_secs(900), length: Duration::from_secs(1_800) };

/// What became of a crowd.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    slots: u64,
    returned: u64,
    in_time: u64,
    slowest: Duration,
    let_in: u64,
    /// Seats that nobody was on while somebody waited, and all seats meanwhile, in seat-seconds.
    idle: f64,
    all: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    Arrives,
    Looks,
    Returns,
    Leaves,
}

/// Chance by a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((bits ^ (bits >> 31)) >> 11) as f64) / (1u64 << 53) as f64
    }

    fn is(&mut self, part: f64) -> bool {
        self.part() < part
    }

    /// Exponential.
    fn about(&mut self, mean_s: f64) -> Duration {
        Duration::from_secs_f64(-mean_s * (1.0 - self.part()).ln())
    }
}

#[derive(Clone, Copy, Debug)]
struct Person {
    number: u64,
    /// Decided when it is called first: whether it comes at all.
    comes: Option<bool>,
    asked: bool,
    /// Came back within its slot then, and is not inside yet.
    returned: Option<Moment>,
    over: bool,
}

struct Day {
    crowd: Crowd,
    policy: RoomPolicy,
    chance: Chance,
    room: Room,
    now: Moment,
    people: Vec<Person>,
    events: BinaryHeap<Reverse<(Moment, usize, Doing)>>,
    came: Came,
    held: Option<Moment>,
}

fn policy(seats: u32) -> RoomPolicy {
    RoomPolicy {
        seats_floor: seats,
        seats_ceiling: seats,
        share: 1.0,
        call: SECOND * 600,
        idle: SECOND * 600,
        session: SECOND * 3_600,
        poll: PollRule { min: SECOND * 5, max: SECOND * 120, divisor: 10, budget: 5_000 },
        hold: false,
        open: false,
        lanes: Vec::new(),
    }
}

fn pass(number: u64) -> PassId {
    u128::from(number).to_le_bytes()
}

impl Day {
    fn new(crowd: Crowd, seed: u64) -> Self {
        let (policy, now) = (policy(crowd.seats), Moment(1));
        let mut day = Self {
            crowd,
            room: Room::restore(&policy, RoomMarks { epoch: 1, ..RoomMarks::default() }, now),
            policy,
            chance: Chance(seed),
            now,
            people: Vec::new(),
            events: BinaryHeap::new(),
            came: Came::default(),
            held: None,
        };
        day.room.reserve(crowd.people);
        for who in 0..crowd.people {
            day.people.push(Person { number: 0, comes: None, asked: false, returned: None, over: false });
            let at = now.after(Duration::from_secs_f64(day.chance.part() * 60.0));
            day.events.push(Reverse((at, usize::try_from(who).unwrap(), Doing::Arrives)));
        }
        day
    }

    fn run(mut self) -> Result<Came, String> {
        let end = self.now.after(LONGEST);
        while self.now < end && !(self.now.since(Moment(1)) > WARM && self.nobody_waits()) {
            let beat = self.now.after(BEAT);
            while let Some(Reverse((at, who, doing))) = self.events.pop() {
                if at > beat {
                    self.events.push(Reverse((at, who, doing)));
                    break;
                }
                self.now = at.max(self.now);
                self.act(who, doing);
            }
            self.now = beat;
            self.beat()?;
        }
        if self.people.iter().any(|person| person.returned.is_some()) {
            return Err(format!("{}: somebody came back and was never let in", self.crowd.name));
        }
        Ok(self.came)
    }

    /// Nobody is in the line or in the front row, and nobody will come back.
    fn nobody_waits(&self) -> bool {
        let facts = self.room.facts(&self.policy);
        let line = facts.issued > facts.cursor || facts.front_row > 0;
        !line && !self.events.iter().any(|Reverse((_, _, doing))| *doing == Doing::Returns)
    }

    fn beat(&mut self) -> Result<(), String> {
        let facts = self.room.facts(&self.policy);
        let half = facts.cursor * 2 > self.crowd.people;
        if half && self.held.is_none() {
            self.held = Some(self.now);
        }
        let out = self.held.is_some_and(|since| self.now.since(since) < self.crowd.held);
        let hold = out.then_some(tornello::admission::room::HoldReason::Upstream);
        let load = Load { limit: self.crowd.seats, inside: facts.active, hold, ..Load::default() };
        let cursor = self.room.step(&self.policy, load, self.now);
        self.room.call_up_to(cursor, self.now);
        self.room.check()?;
        // Those who wait can be called: who is behind the cursor, or in front, and there at all.
        let somebody = facts.issued > facts.cursor || facts.front_row > 0;
        if somebody && !out && self.now.since(Moment(1)) > WARM {
            let seats = f64::from(self.crowd.seats);
            self.came.idle += (seats - facts.active as f64).max(0.0) * BEAT.as_secs_f64();
            self.came.all += seats * BEAT.as_secs_f64();
        }
        Ok(())
    }

    fn later(&mut self, who: usize, wait: Duration, doing: Doing) {
        self.events.push(Reverse((self.now.after(wait), who, doing)));
    }

    fn act(&mut self, who: usize, doing: Doing) {
        match doing {
            Doing::Arrives => {
                self.people[who].number = self.room.join().unwrap();
                self.look_again(who);
            }
            Doing::Looks => self.look(who),
            Doing::Returns => self.come_back(who),
            Doing::Leaves => _ = self.room.end(&pass(self.people[who].number), self.now),
        }
    }

    fn look_again(&mut self, who: usize) {
        let facts = self.room.facts(&self.policy);
        let ahead = self.people[who].number.saturating_sub(facts.cursor + 1);
        let pause = self.policy.poll.pause(ahead, facts.rate, 1.0).mul_f64(0.7 + 0.6 * self.chance.part());
        self.later(who, pause, Doing::Looks);
    }

    fn look(&mut self, who: usize) {
        let Person { number, comes, asked, returned, over, .. } = self.people[who];
        if over {
            return;
        }
        if !self.room.may_come(number, self.now) {
            if !asked && returned.is_none() && self.wants_slot(who) {
                return;
            }
            return self.look_again(who);
        }
        // Whoever came back is there; of the others some have gone without a word.
        let second = self.room.marks().cursor * 2 > self.crowd.people;
        let show = if second { self.crowd.show.1 } else { self.crowd.show.0 };
        let comes = comes.unwrap_or_else(|| returned.is_some() || self.chance.is(show));
        self.people[who].comes = Some(comes);
        if comes { self.claim(who) } else { self.people[who].over = true }
    }

    /// Offered a slot, some take it and go.
    fn wants_slot(&mut self, who: usize) -> bool {
        let number = self.people[who].number;
        let offer = self.room.slot_offer(&self.policy, &RULE, number, &pass(number), self.now);
        if offer.is_none() {
            return false;
        }
        self.people[who].asked = true;
        if !self.chance.is(self.crowd.take) {
            return false;
        }
        let taken = self.room.take_slot(&self.policy, &RULE, number, &pass(number), self.now);
        let Some(Slot { from, until }) = taken else { return false };
        self.came.slots += 1;
        if self.chance.is(self.crowd.silent) {
            self.people[who].over = true;
            return true;
        }
        let length = until.saturating_sub(from);
        let at = match self.chance.part() {
            early if early < 0.1 => from.mul_f64(self.chance.part()),
            late if late < 0.2 => until + length.mul_f64(self.chance.part()),
            // The calendar reminded them.
            sharp if sharp < 0.5 => from + SECOND * 60,
            _ => from + length.mul_f64(self.chance.part()),
        };
        self.later(who, at, Doing::Returns);
        true
    }

    fn come_back(&mut self, who: usize) {
        let number = self.people[who].number;
        let slot = self.room.slot(number, self.now);
        if slot.is_some_and(|slot| slot.from.is_zero()) {
            self.came.returned += 1;
            self.people[who].returned = Some(self.now);
        }
        self.people[who].comes = Some(true);
        if self.room.may_come(number, self.now) { self.claim(who) } else { self.look_again(who) }
    }

    fn claim(&mut self, who: usize) {
        let number = self.people[who].number;
        match self.room.claim(&self.policy, number, pass(number), self.now) {
            Claim::Admitted => self.go_in(who),
            Claim::FrontRow { .. } | Claim::Late { .. } => {
                let pause = self.policy.poll.front_row().mul_f64(0.7 + 0.6 * self.chance.part());
                self.later(who, pause, Doing::Looks);
            }
            Claim::Waiting { .. } => self.look_again(who),
            Claim::SoldOut | Claim::Done => self.people[who].over = true,
        }
    }

    fn go_in(&mut self, who: usize) {
        let number = self.people[who].number;
        self.people[who].over = true;
        self.came.let_in += 1;
        if let Some(since) = self.people[who].returned.take() {
            let waited = self.now.since(since);
            self.came.in_time += u64::from(waited <= SECOND * 60);
            self.came.slowest = self.came.slowest.max(waited);
        }
        let shown = ShownPass {
            id: pass(number),
            number,
            age: Duration::ZERO,
            finishing: false,
            older_than_we: false,
        };
        self.room.touch(&self.policy, &shown, self.now);
        let visit = self.chance.about(self.crowd.visit_s);
        self.later(who, visit, Doing::Leaves);
    }
}

/// Each crowd with several seeds: the worst of all counts.
pub(crate) fn m21() -> Result<Judged, String> {
    let (mut worst_time, mut worst_idle, mut slowest) = (1.0_f64, 0.0_f64, Duration::ZERO);
    let (mut slots, mut returned, mut days) = (0, 0, 0);
    for crowd in CROWDS {
        for seed in 1..=SEEDS {
            let came = Day::new(crowd, seed).run()?;
            if came.returned < 50 {
                return Err(format!("{}: only {} came back in their slot", crowd.name, came.returned));
            }
            let (in_time, idle) = (came.in_time as f64 / came.returned as f64, came.idle / came.all);
            println!(
                "     {}, seed {seed}: {} slots, {} back in theirs, {:.2} % in ≤ 60 s, the slowest {:.0} s; {} let in, {:.2} % idle",
                crowd.name,
                came.slots,
                came.returned,
                in_time * 100.0,
                came.slowest.as_secs_f64(),
                came.let_in,
                idle * 100.0
            );
            (worst_time, worst_idle) = (worst_time.min(in_time), worst_idle.max(idle));
            (slots, returned, slowest) =
                (slots + came.slots, returned + came.returned, slowest.max(came.slowest));
            days += 1;
        }
    }
    Ok(Judged::new(
        worst_time >= 0.95 && worst_idle <= 0.02,
        format!(
            "{days} days of {} crowds, {slots} slots, {returned} back in theirs: at worst {:.1} % in ≤ 60 s, the slowest {:.0} s; at worst {:.2} % idle",
            CROWDS.len(),
            worst_time * 100.0,
            slowest.as_secs_f64(),
            worst_idle * 100.0
        ),
    ))
}
