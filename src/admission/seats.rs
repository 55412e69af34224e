//! From an upstream's limit to the seats of a room, and what is learnt about those who are called.
//!
//! Seats follow Little's law at the level of sessions: `seats = 0.75 · limit · share / κ`, where κ is
//! the measured number of requests in flight per active pass (research note on adaptive concurrency,
//! §6.4). A quarter of the limit stays free for bursts. Until something is measured, κ is 1: a pass
//! is assumed to keep one request unfinished all the time, the most cautious guess.

use std::time::Duration;

use super::policy::RoomPolicy;

/// Part of the limit that sessions may fill.
const UTILISATION: f64 = 0.75;
/// Memory of κ.
const KAPPA_MEMORY: Duration = Duration::from_secs(30);
/// What the first guess of κ weighs, as time of measuring.
const KAPPA_GUESS: Duration = Duration::from_secs(2);
/// κ below this would promise more seats than a browser's parallel requests allow.
const KAPPA_MIN: f64 = 0.01;
/// Seats may grow by this part of themselves a second (and by one), and shrink at once.
const GROWTH_PER_SECOND: f64 = 0.1;

/// How much of a new measurement counts after `elapsed`, for a memory of `memory`.
fn weight(elapsed: Duration, memory: Duration) -> f64 {
    1.0 - (-elapsed.as_secs_f64() / memory.as_secs_f64()).exp()
}

/// The seats of one room.
#[derive(Clone, Debug, Default)]
pub struct Seats {
    kappa: Option<f64>,
    /// Time over which κ was learnt.
    learnt: Duration,
    seats: f64,
}

impl Seats {
    /// Takes one look: `in_flight` requests of this room's upstream, `active` passes, `elapsed` since
    /// the last look. Nothing is learnt while nobody is inside.
    pub fn observe(&mut self, in_flight: u32, active: usize, elapsed: Duration) {
        if active == 0 {
            return;
        }
        let active = u32::try_from(active).unwrap_or(u32::MAX);
        let measured = f64::from(in_flight) / f64::from(active);
        let old = self.kappa();
        // The first guess weighs as much as a few seconds of measuring; then the memory grows.
        let memory = KAPPA_MEMORY.min(KAPPA_GUESS + self.learnt);
        self.learnt = self.learnt.saturating_add(elapsed);
        self.kappa = Some(old + weight(elapsed, memory) * (measured - old));
    }

    /// Moves the seats towards what the limit bears and returns them, within floor and ceiling.
    pub fn follow(&mut self, policy: &RoomPolicy, limit: u32, elapsed: Duration) -> u32 {
        let target = UTILISATION * f64::from(limit) * policy.share / self.kappa().max(KAPPA_MIN);
        let (floor, ceiling) = (f64::from(policy.seats_floor), f64::from(policy.seats_ceiling));
        let reach = if self.seats < 1.0 {
            target
        } else {
            self.seats + (1.0 + GROWTH_PER_SECOND * self.seats) * elapsed.as_secs_f64()
        };
        self.seats = target.min(reach).clamp(floor, ceiling);
        self.seats()
    }

    /// Seats as last followed; rounded down.
    #[must_use]
    pub fn seats(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to two u32")]
        let whole = self.seats as u32;
        whole
    }

    /// Requests in flight per active pass; 1 until measured.
    #[must_use]
    pub fn kappa(&self) -> f64 {
        self.kappa.unwrap_or(1.0)
    }
}

/// What part of those called come, and how soon.
///
/// Begins as if 8 of 10 had come; evidence, this too, fades by 2 % with each call judged, so that about
/// the last fifty calls speak. The delay is a moving mean of the time from call to claim.
#[derive(Clone, Debug)]
pub struct ShowRate {
    came: f64,
    missed: f64,
    judged: u64,
    delay_s: f64,
}

const PRIOR_CAME: f64 = 8.0;
const PRIOR_MISSED: f64 = 2.0;
const FADE: f64 = 0.98;
const SHOW_RATE_MIN: f64 = 0.05;
/// Below 1, or nobody who is late would ever be given up.
const SHOW_RATE_MAX: f64 = 0.95;
const DELAY_WEIGHT: f64 = 0.05;

impl ShowRate {
    /// Starts from the prior, with calls expected to be claimed after `delay`.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self { came: PRIOR_CAME, missed: PRIOR_MISSED, judged: 0, delay_s: delay.as_secs_f64().max(0.001) }
    }

    /// The holder of a call came.
    pub fn came(&mut self) {
        self.came = self.came * FADE + 1.0;
        self.missed *= FADE;
        self.judged += 1;
    }

    /// So many calls were judged, and their holders did not come.
    pub fn missed(&mut self, calls: u64) {
        let fade = FADE.powf(calls as f64);
        self.came *= fade;
        self.missed = self.missed * fade + (1.0 - fade) / (1.0 - FADE);
        self.judged += calls;
    }

    /// Calls judged so far; what [`ShowRate::correct`] needs to know of a judgement.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// Somebody who was judged missing, when so many calls were judged, came after all. Only what has
    /// not faded of that judgement changes sides.
    pub fn correct(&mut self, judged: u64) {
        let moved = FADE.powf(self.judged.saturating_sub(judged) as f64).min(self.missed);
        self.missed -= moved;
        self.came += moved;
    }

    /// A claim came this long after its call.
    pub fn claimed_after(&mut self, delay: Duration) {
        self.delay_s += DELAY_WEIGHT * (delay.as_secs_f64() - self.delay_s);
        self.delay_s = self.delay_s.max(0.001);
    }

    /// Expected part of calls that are claimed, between 0.05 and 0.95.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let (came, missed) = (self.came, self.missed);
        (came / (came + missed)).clamp(SHOW_RATE_MIN, SHOW_RATE_MAX)
    }

    /// Mean time from call to claim.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_s)
    }

    /// Chance that a call of this age, not yet claimed, still will be: with the show rate `s` and a
    /// share `g` of claims coming later than `age`, `s·g / (1 − s·(1 − g))`.
    #[must_use]
    pub fn still_expected(&self, age: Duration) -> f64 {
        let later = (-age.as_secs_f64() / self.delay_s).exp();
        let rate = self.rate();
        rate * later / (1.0 - rate * (1.0 - later))
    }
}

/// Events per second, as a moving mean over about ten seconds.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    pending: u64,
    per_second: Option<f64>,
}

const PACE_MEMORY: Duration = Duration::from_secs(10);

impl Pace {
    /// `count` more events happened.
    pub fn add(&mut self, count: u64) {
        self.pending += count;
    }

    /// Closes a step of `elapsed`.
    pub fn step(&mut self, elapsed: Duration) {
        if elapsed.is_zero() {
            return;
        }
        let now = std::mem::take(&mut self.pending) as f64 / elapsed.as_secs_f64();
        let old = self.per_second.unwrap_or(0.0);
        self.per_second = Some(old + weight(elapsed, PACE_MEMORY) * (now - old));
    }

    /// Events per second; 0 until something was measured.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::policy::PollRule;

    const SECOND: Duration = Duration::from_secs(1);

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
        }
    }

    #[test]
    fn seats_follow_the_limit_down_at_once_and_up_by_and_by() {
        let (mut seats, policy) = (Seats::default(), policy());
        assert_eq!(seats.follow(&policy, 80, SECOND), 30, "0.75 · 80 · 0.5 / 1");
        assert_eq!(seats.follow(&policy, 40, SECOND), 15);
        assert_eq!(seats.follow(&policy, 80, SECOND), 17, "one, and a tenth");
        assert_eq!(seats.follow(&policy, 0, SECOND), 2, "the floor");
        (0..1_000).for_each(|_| _ = seats.follow(&policy, 1_000_000, SECOND));
        assert_eq!(seats.seats(), 500, "the ceiling");
    }

    #[test]
    fn those_who_think_between_requests_leave_room_for_others() {
        let (mut seats, policy) = (Seats::default(), policy());
        seats.observe(0, 0, SECOND * 100);
        assert!((seats.kappa() - 1.0).abs() < 1e-9, "an empty room teaches nothing");
        (0..300).for_each(|_| seats.observe(10, 100, SECOND));
        assert!((seats.kappa() - 0.1).abs() < 0.01, "{}", seats.kappa());
        (0..300).for_each(|_| _ = seats.follow(&policy, 80, SECOND));
        assert!((290..=300).contains(&seats.seats()), "{}", seats.seats());
    }

    #[test]
    fn the_show_rate_comes_to_what_is_seen_and_stays_between_its_bounds() {
        let mut shows = ShowRate::new(SECOND);
        assert!((shows.rate() - 0.8).abs() < 1e-9);
        (0..100).for_each(|_| {
            shows.came();
            shows.missed(9);
        });
        assert!((shows.rate() - 0.1).abs() < 0.03, "{}", shows.rate());
        shows.missed(1_000_000);
        assert!((shows.rate() - SHOW_RATE_MIN).abs() < 1e-9);
        (0..1_000).for_each(|_| shows.came());
        assert!((shows.rate() - SHOW_RATE_MAX).abs() < 1e-9);
    }

    #[test]
    fn missing_many_at_once_is_missing_them_one_by_one() {
        let (mut at_once, mut one_by_one) = (ShowRate::new(SECOND), ShowRate::new(SECOND));
        at_once.missed(7);
        (0..7).for_each(|_| one_by_one.missed(1));
        assert!((at_once.rate() - one_by_one.rate()).abs() < 1e-9);
    }

    #[test]
    fn a_late_correction_weighs_no_more_than_the_judgement_that_it_corrects() {
        let mut shows = ShowRate::new(SECOND);
        shows.missed(10);
        let (then, wrong) = (shows.judged(), shows.rate());
        let mut at_once = shows.clone();
        at_once.correct(then);
        assert!(at_once.rate() > wrong + 0.04, "{wrong} to {}", at_once.rate());
        (0..500).for_each(|_| shows.missed(1));
        let before = shows.rate();
        (0..10).for_each(|_| shows.correct(then));
        assert!(shows.rate() - before < 0.001, "{before} to {}", shows.rate());
    }

    #[test]
    fn an_unclaimed_call_is_expected_less_and_less_and_never_more_than_at_first() {
        let shows = ShowRate::new(SECOND);
        let at = |seconds| shows.still_expected(SECOND * seconds);
        assert!((at(0) - shows.rate()).abs() < 1e-9);
        assert!((0..100).all(|age| at(age) > at(age + 1) && at(age + 1).is_finite()));
        assert!(at(1_000_000) < 1e-9, "finite however old");
    }

    #[test]
    fn a_pace_forgets_in_ten_seconds() {
        let mut pace = Pace::default();
        for _ in 0..600 {
            pace.add(2);
            pace.step(SECOND / 10);
        }
        assert!((pace.per_second() - 20.0).abs() < 0.1, "{}", pace.per_second());
        (0..100).for_each(|_| pace.step(SECOND / 10));
        assert!(pace.per_second() > 5.0 && pace.per_second() < 9.0, "{}", pace.per_second());
        pace.add(1);
        pace.step(Duration::ZERO);
        assert!(pace.per_second().is_finite());
    }
}
