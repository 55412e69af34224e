//! What lies between the crowd, the gateway and the origin: a model of the network, in few numbers.
//!
//! The clock of a rehearsal ticks in milliseconds, as the timers of the runtime do. A shorter delay is
//! no delay or a whole tick, as often as makes up its mean.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::lab::chance::Chance;

/// One way between two processes of one machine, the time to wake the other up included.
pub(super) const HOP: Duration = Duration::from_micros(60);
/// Round trips that a new connection takes before its first request.
pub(super) const SET_UP_ROUND_TRIPS: u32 = 1;

const TICK: Duration = Duration::from_millis(1);

/// One client's way to the other side.
#[derive(Debug)]
pub(super) struct Way {
    chance: Chance,
    hop: Duration,
}

impl Way {
    /// A way with delays of its own.
    pub(super) fn new(seed: u64, number: u64, hop: Duration) -> Self {
        Self { chance: Chance::new(seed, number), hop }
    }

    /// The delay of one way, now.
    pub(super) fn delay(&mut self) -> Duration {
        self.whole_ticks(self.hop)
    }

    /// The delay before a new connection can be used.
    pub(super) fn set_up(&mut self) -> Duration {
        self.whole_ticks(self.hop * 2 * SET_UP_ROUND_TRIPS)
    }

    fn whole_ticks(&mut self, delay: Duration) -> Duration {
        let whole = Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        let rest = (delay - whole).as_secs_f64() / TICK.as_secs_f64();
        if self.chance.happens(rest) { whole + TICK } else { whole }
    }
}

/// The delays of one exchange: there and back.
pub(super) fn both_ways(way: &Mutex<Way>) -> (Duration, Duration) {
    let mut way = way.lock().unwrap_or_else(PoisonError::into_inner);
    (way.delay(), way.delay())
}

/// Waits so long; nothing at all for no delay.
pub(super) async fn pass(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_delays_have_their_mean() {
        for hop in [Duration::from_micros(60), Duration::from_micros(2_300)] {
            let mut way = Way::new(1, 1, hop);
            let sum: Duration = (0..100_000).map(|_| way.delay()).sum();
            let mean = sum / 100_000;
            assert!(mean.abs_diff(hop) < Duration::from_micros(10), "{mean:?}");
        }
    }
}
