//! Whether a queue stands: even the luckiest waited too long, for a whole interval.
//!
//! A queue that forms and goes again carries a burst and does good; one that stands only adds its length
//! to everybody's wait (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012). As in folly's
//! `Codel`: the shortest wait of an interval tells which of the two it is.

use std::time::Duration;

use crate::admission::moment::Moment;

/// Shortest interval, and shortest wait that is too long.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const TARGET_MIN: Duration = Duration::from_millis(20);

/// What is long for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A queue in which everybody waits longer than this stands.
    pub target: Duration,
    /// For how long that must be so.
    pub interval: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { target: TARGET_MIN, interval: INTERVAL_MIN }
    }
}

impl Pace {
    /// For an upstream that answers in `baseline` when nobody waits, in a queue bounded by `wait`: half of
    /// the one, at most half of the other; twice the one.
    #[must_use]
    pub fn of(baseline: Duration, wait: Duration) -> Self {
        Self {
            target: (baseline / 2).max(TARGET_MIN).min(wait / 2),
            interval: (baseline * 2).max(INTERVAL_MIN),
        }
    }
}

/// The state of one queue.
#[derive(Debug, Default)]
pub struct Standing {
    shortest: Option<Duration>,
    until: Moment,
    stands: bool,
}

impl Standing {
    /// Somebody got through it after `waited`; zero if nobody is left in it.
    pub fn served(&mut self, waited: Duration) {
        self.shortest = Some(self.shortest.map_or(waited, |shortest| shortest.min(waited)));
    }

    /// Judges the interval, if it is over. `first` is how long the next in turn has waited, `None` if
    /// nobody waits.
    pub fn look(&mut self, first: Option<Duration>, pace: Pace, now: Moment) {
        let Some(first) = first else {
            *self = Self { shortest: None, until: now.after(pace.interval), stands: false };
            return;
        };
        if now < self.until {
            return;
        }
        // Where nobody got through, the next in turn has waited longest of all who will.
        self.stands = self.shortest.take().unwrap_or(first) > pace.target;
        self.until = now.after(pace.interval);
    }

    /// It stands.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_does_not_stand_and_a_queue_that_nobody_passes_quickly_does() {
        let (pace, mut queue, mut now) = (Pace::default(), Standing::default(), Moment(0));
        queue.look(None, pace, now);
        let mut after = |queue: &mut Standing, waits: &[u64], first: Option<u64>| {
            now = now.after(pace.interval);
            waits.iter().for_each(|wait| queue.served(millis(*wait)));
            queue.look(first.map(millis), pace, now);
            queue.stands()
        };
        assert!(!after(&mut queue, &[90, 5, 80], Some(70)), "somebody passed quickly");
        assert!(after(&mut queue, &[90, 21, 80], Some(70)));
        assert!(!after(&mut queue, &[90, 0, 80], Some(70)), "it was empty once");
        assert!(after(&mut queue, &[], Some(100)), "nobody passed at all");
        assert!(!after(&mut queue, &[], Some(10)), "nobody passed, but nobody waited long");
        assert!(after(&mut queue, &[30], Some(30)));
        assert!(!after(&mut queue, &[30], None), "nobody waits any more");
    }

    #[test]
    fn what_is_long_follows_the_upstream_within_the_wait_that_is_allowed() {
        assert_eq!(Pace::of(millis(4), millis(400)), Pace { target: millis(20), interval: millis(100) });
        assert_eq!(Pace::of(millis(200), millis(400)), Pace { target: millis(100), interval: millis(400) });
        assert_eq!(Pace::of(millis(2_000), millis(400)).target, millis(200));
        assert_eq!(Pace::of(millis(4), millis(10)).target, millis(5));
    }
}
