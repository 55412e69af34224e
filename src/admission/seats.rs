//! From an upstream's limit to the seats of a room.
//!
//! Seats follow Little's law at the level of sessions: `seats = wanted · share / κ`, where κ is the number
//! of requests that a session holds at the upstream on average, when it need not wait for permits (research
//! note on adaptive concurrency, §6.4, where waits are left in and `wanted = 0.75 · limit`). Of `active`
//! sessions those that wait for a permit do nothing else, so `κ = in flight ÷ (active − waiting)`: the same
//! whether the limit is reached or not.
//!
//! At any moment each session asks with probability κ, so that what is asked for swings about its mean by
//! the root of a binomial law, `√(limit · (1 − κ))`. Were only as much wanted as the limit bears, half of
//! the time less would be: with a limit of 13 for 12 workers a sixth of their time went by idle, though
//! people waited outside. So a tenth more is wanted and a root and a half: who has no permit yet waits for
//! it here, in the fair queue, and not at the upstream, whose limit needs the less room for chance.
//!
//! Until something is measured, κ is 1: a pass is assumed to keep one request unfinished all the time, the
//! most cautious guess. What is learnt of people is counted in *cycles*, the time from one request of a
//! session to its next: after one cycle the load of those who came in last can be seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::RoomPolicy;
use super::room::Load;
use super::tempo::Tempo;

/// What those inside may want at once, of the limit: a part, and of the root by which it swings.
const WANTED: (f64, f64) = (1.1, 1.5);
/// Of the longest wait for a permit, how much may be spent because a root more is wanted.
const WAITS: f64 = 0.5;
/// Of those inside at least this part is taken not to wait: with several requests at once per session,
/// more may wait than are inside.
const NOT_WAITING: f64 = 0.125;
/// Memory of κ in cycles, and at least and at most.
const KAPPA_CYCLES: f64 = 10.0;
const KAPPA_MEMORY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));
/// Memory of how often people ask.
const PACE_MEMORY: Duration = Duration::from_secs(2);
/// What the first guess of κ weighs, as time of measuring.
const KAPPA_GUESS: Duration = Duration::from_secs(1);
/// What was learnt before a restart weighs as much.
const TAKEN_UP_WEIGHS: Duration = Duration::from_secs(10);
/// People come back after a restart within about a cycle, at least and at most this long.
const CYCLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// κ below this would promise more seats than a browser's parallel requests allow.
const KAPPA_MIN: f64 = 0.01;
/// Seats may grow by this part of themselves in a cycle (and by one a second), and shrink at once.
const GROWTH_PER_CYCLE: f64 = 0.3;
/// And by this part of themselves a second, at least and at most.
const GROWTH_PER_SECOND: (f64, f64) = (0.1, 1.0);

/// How much of a new measurement counts after `elapsed`, for a memory of `memory`.
fn weight(elapsed: Duration, memory: Duration) -> f64 {
    1.0 - (-elapsed.as_secs_f64() / memory.as_secs_f64()).exp()
}

fn people(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The seats of one room.
#[derive(Clone, Debug)]
pub struct Seats {
    kappa: Option<f64>,
    /// Time over which κ was learnt.
    learnt: Duration,
    /// Requests of those inside.
    asked: Tempo,
    active: f64,
    /// Longest that a request of theirs waits for a permit.
    wait_max: Duration,
    /// Inside an earlier process, and not yet given up.
    returning: f64,
    cycle: Duration,
    seats: f64,
}

/// What a room has learnt of the people inside it, and may take up again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Insiders {
    /// Requests in flight of each who does not wait for a permit.
    pub kappa: f64,
    /// How many they are.
    pub active: f64,
    /// Seconds from one request of a session to its next.
    pub cycle_s: f64,
}

impl Insiders {
    /// The same after `age`: of those who have not come back since, fewer and fewer will.
    #[must_use]
    pub fn after(self, age: Duration) -> Self {
        let cycles = age.as_secs_f64() / self.cycle_s.max(CYCLE.0.as_secs_f64());
        Self { active: self.active * (-cycles).exp(), ..self }
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            kappa: None,
            learnt: Duration::ZERO,
            asked: Tempo::new(PACE_MEMORY),
            active: 0.0,
            wait_max: Duration::ZERO,
            returning: 0.0,
            cycle: Duration::ZERO,
            seats: 0.0,
        }
    }
}

impl Seats {
    /// What was learnt, once something was.
    #[must_use]
    pub fn insiders(&self) -> Option<Insiders> {
        let (least, most) = (CYCLE.0.as_secs_f64(), CYCLE.1.as_secs_f64());
        // Of those who are still to come back after a restart nothing newer is known.
        let cycle_s = if self.returning > self.active {
            self.cycle.as_secs_f64()
        } else {
            self.active / self.asked.per_second().max(f64::MIN_POSITIVE)
        };
        let (kappa, active) = (self.kappa?, self.active.max(self.returning));
        Some(Insiders { kappa, active, cycle_s: cycle_s.clamp(least, most) })
    }

    /// Goes on from what an earlier process had learnt. Those who were inside come back by and by, each
    /// with its next request; until then their seats are kept.
    pub fn take_up(&mut self, insiders: &Insiders) {
        let Insiders { kappa, active, cycle_s } = *insiders;
        if kappa.is_finite() && kappa > 0.0 && active.is_finite() && active >= 0.0 {
            (self.kappa, self.learnt) = (Some(kappa), TAKEN_UP_WEIGHS);
            let (least, most) = CYCLE;
            let cycle = Duration::try_from_secs_f64(cycle_s).unwrap_or(most);
            (self.returning, self.cycle) = (active, cycle.clamp(least, most));
        }
    }

    /// How many are inside, `active` of them known: after a restart the others are still to come back.
    #[must_use]
    pub fn inside(&self, active: usize) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "not negative, and no more than there were")]
        let returning = self.returning as u64;
        returning.max(active as u64)
    }

    /// Somebody inside asked for something.
    pub fn asked(&mut self) {
        self.asked.add(1);
    }

    /// Takes one look: what goes on at the room's upstream, `active` passes, `elapsed` since the last
    /// look. Nothing is learnt while nobody is inside. Where rooms share an upstream, nobody knows whose a
    /// request there is: people of one room are taken to ask for as much as those of another.
    pub fn observe(&mut self, load: &Load, active: usize, elapsed: Duration) {
        self.asked.step(elapsed);
        if self.returning > 0.0 {
            self.returning *= 1.0 - weight(elapsed, self.cycle);
            self.returning = if self.returning < 1.0 { 0.0 } else { self.returning };
        }
        self.active = people(active);
        self.wait_max = load.wait_max;
        if active == 0 {
            return;
        }
        let inside = self.active.max(people(load.inside));
        let going = (inside - f64::from(load.waiting)).max(NOT_WAITING * inside);
        let measured = f64::from(load.in_flight) / going;
        let old = self.kappa();
        // The first guess weighs as much as a few seconds of measuring; then the memory grows.
        let memory = self.memory().min(KAPPA_GUESS + self.learnt);
        self.learnt = self.learnt.saturating_add(elapsed);
        self.kappa = Some(old + weight(elapsed, memory) * (measured - old));
    }

    /// Moves the seats towards what the limit bears and returns them, within floor and ceiling.
    pub fn follow(&mut self, policy: &RoomPolicy, limit: u32, elapsed: Duration) -> u32 {
        let target = self.wanted(f64::from(limit), policy.share) / self.kappa().max(KAPPA_MIN);
        let (floor, ceiling) = (f64::from(policy.seats_floor), f64::from(policy.seats_ceiling));
        let reach = if self.seats < 1.0 {
            target
        } else {
            self.seats + (1.0 + self.growth() * self.seats) * elapsed.as_secs_f64()
        };
        self.seats = target.min(reach).clamp(floor, ceiling);
        self.seats()
    }

    /// Requests that those inside may want at once, so that chance seldom leaves their share of the limit
    /// unreached. The root is left out as far as they would wait too long because of it.
    fn wanted(&self, limit: f64, share: f64) -> f64 {
        let (part, root) = WANTED;
        let swing = (limit * (1.0 - self.kappa()).max(0.0)).sqrt();
        // After a restart those who come back ask as they did.
        let back = self.returning / self.cycle.as_secs_f64().max(1.0);
        let in_time = WAITS * self.wait_max.as_secs_f64() * self.asked.per_second().max(back);
        part * limit * share + (root * swing * share).min(in_time)
    }

    /// How long back κ is learnt from.
    fn memory(&self) -> Duration {
        let (least, most) = KAPPA_MEMORY;
        let cycle = self.active / self.asked.per_second().max(f64::MIN_POSITIVE);
        Duration::try_from_secs_f64(KAPPA_CYCLES * cycle).unwrap_or(most).clamp(least, most)
    }

    /// Part of themselves by which the seats may grow in a second.
    fn growth(&self) -> f64 {
        let (least, most) = GROWTH_PER_SECOND;
        (GROWTH_PER_CYCLE * self.asked.per_second() / self.active.max(1.0)).clamp(least, most)
    }

    /// Seats as last followed; rounded down.
    #[must_use]
    pub fn seats(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to two u32")]
        let whole = self.seats as u32;
        whole
    }

    /// Requests in flight per session that does not wait for a permit; 1 until measured.
    #[must_use]
    pub fn kappa(&self) -> f64 {
        self.kappa.unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::policy::PollRule;

    const SECOND: Duration = Duration::from_secs(1);

    fn load(in_flight: u32, waiting: u32) -> Load {
        Load { in_flight, waiting, wait_max: SECOND, ..Load::default() }
    }

    fn policy() -> RoomPolicy {
        RoomPolicy {
            seats_floor: 2,
            seats_ceiling: 500,
            share: 0.5,
            call: SECOND,
            idle: SECOND,
            session: SECOND,
            poll: PollRule { min: SECOND, max: SECOND, divisor: 10, budget: 1_000 },
            hold: false,
            open: false,
            lanes: Vec::new(),
        }
    }

    #[test]
    fn a_second_restart_knows_how_soon_people_come_back() {
        let mut seats = Seats::default();
        let before = Insiders { kappa: 0.3, active: 90.0, cycle_s: 10.0 };
        seats.take_up(&before);
        assert_eq!(seats.insiders(), Some(before), "nobody has asked yet");
        seats.observe(&load(0, 0), 0, SECOND);
        let left = seats.insiders().unwrap();
        assert!((left.cycle_s - 10.0).abs() < 1e-9 && (80.0..90.0).contains(&left.active), "{left:?}");
    }

    #[test]
    fn seats_follow_the_limit_down_at_once_and_up_by_and_by() {
        let (mut seats, policy) = (Seats::default(), policy());
        let always = "1.1 · 80 · 0.5 / 1: who always asks does not swing";
        assert_eq!(seats.follow(&policy, 80, SECOND), 44, "{always}");
        assert_eq!(seats.follow(&policy, 40, SECOND), 22);
        assert_eq!(seats.follow(&policy, 80, SECOND), 25, "one, and a tenth");
        assert_eq!(seats.follow(&policy, 0, SECOND), 2, "the floor");
        (0..1_000).for_each(|_| _ = seats.follow(&policy, 1_000_000, SECOND));
        assert_eq!(seats.seats(), 500, "the ceiling");
    }

    #[test]
    fn those_who_think_between_requests_leave_room_for_others() {
        let (mut seats, policy) = (Seats::default(), RoomPolicy { seats_ceiling: 1_000, ..policy() });
        seats.observe(&load(0, 0), 0, SECOND * 100);
        assert!((seats.kappa() - 1.0).abs() < 1e-9, "an empty room teaches nothing");
        (0..300).for_each(|_| seats.observe(&load(10, 0), 100, SECOND));
        assert!((seats.kappa() - 0.1).abs() < 0.01, "{}", seats.kappa());
        (0..300).for_each(|_| _ = seats.follow(&policy, 80, SECOND));
        assert!((430..=440).contains(&seats.seats()), "{}: nobody is known to ask", seats.seats());
        let mut after = |load: &Load, asked: u32| {
            for _ in 0..3_000 {
                (0..asked / 10).for_each(|_| seats.asked());
                seats.observe(load, 100, SECOND / 10);
                seats.follow(&policy, 80, SECOND / 10);
            }
            f64::from(seats.seats()) - 440.0
        };
        let (often, root) = (load(10, 0), 1.5 * 72.0_f64.sqrt() * 0.5 / 0.1);
        assert!((after(&often, 50) - root).abs() < 10.0, "by chance eight more or fewer ask");
        let soon = Load { wait_max: SECOND / 10, ..often };
        assert!((after(&soon, 50) - 25.0).abs() < 5.0, "50 a second, of whom none waits 50 ms");
    }

    #[test]
    fn a_limit_that_is_reached_looks_like_no_other_session() {
        let kappa = |in_flight, waiting, active| {
            let mut seats = Seats::default();
            (0..300).for_each(|_| seats.observe(&load(in_flight, waiting), active, SECOND));
            seats.kappa()
        };
        let free = kappa(10, 0, 100);
        assert!((kappa(8, 20, 100) - free).abs() < 0.01, "8 of 80 that do not wait are the same part");
        let many = kappa(10, 300, 100);
        assert!(many.is_finite() && many <= 0.81, "several requests at once each: {many}");
    }

    #[test]
    fn after_a_restart_those_who_were_inside_keep_their_seats_for_a_while() {
        let (mut before, mut after) = (Seats::default(), Seats::default());
        for _ in 0..1_000 {
            (0..2).for_each(|_| before.asked());
            before.observe(&load(10, 0), 100, SECOND / 10);
        }
        let insiders = before.insiders().unwrap();
        assert!((insiders.cycle_s - 5.0).abs() < 0.5 && insiders.active > 99.9, "{insiders:?}");
        after.take_up(&insiders);
        assert!((after.kappa() - before.kappa()).abs() < 1e-9);
        assert_eq!((after.inside(0), after.inside(120)), (100, 120));
        after.observe(&load(0, 0), 0, Duration::ZERO);
        assert_eq!(after.follow(&policy(), 80, SECOND), before.follow(&policy(), 80, SECOND));
        (0..5).for_each(|_| after.observe(&load(0, 0), 0, SECOND));
        assert!((30..45).contains(&after.inside(0)), "{}", after.inside(0));
        (0..50).for_each(|_| after.observe(&load(0, 0), 0, SECOND));
        assert_eq!(after.inside(0), 0);
        after.take_up(&Insiders { kappa: f64::NAN, active: f64::INFINITY, cycle_s: -1.0 });
        assert_eq!(after.inside(0), 0, "nonsense is not taken up");
    }

    #[test]
    fn rooms_before_one_upstream_count_its_requests_once() {
        let mut seats = Seats::default();
        let shared = Load { inside: 100, ..load(30, 0) };
        (0..300).for_each(|_| seats.observe(&shared, 25, SECOND));
        assert!((seats.kappa() - 0.3).abs() < 0.01, "30 of the 100, not of its own 25: {}", seats.kappa());
    }

    #[test]
    fn seats_grow_by_the_cycle_of_those_inside() {
        let policy = RoomPolicy { seats_ceiling: 100_000, ..policy() };
        let tenfold = |asked_per_second: u64| {
            let mut seats = Seats::default();
            let mut seconds = 0;
            seats.follow(&policy, 40, SECOND);
            while seats.seats() < 220 {
                (0..asked_per_second).for_each(|_| seats.asked());
                seats.observe(&load(10, 0), 10, SECOND);
                seats.follow(&policy, 4_000, SECOND);
                seconds += 1;
            }
            seconds
        };
        let (slow, quick) = (tenfold(1), tenfold(20));
        assert!((15..=25).contains(&slow), "a request of each every ten seconds: {slow} s");
        assert!((4..=8).contains(&quick), "two a second: {quick} s");
    }
}
