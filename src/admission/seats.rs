//! From an upstream's limit to the seats of a room.
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
}
