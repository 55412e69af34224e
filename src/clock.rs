//! The only reads of time: the machine's, or that of a runtime whose clock is turned by hand.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::admission::moment::nanos;
use crate::admission::{Moment, UnixTime};

/// Where this process counts its moments from. A value that is passed down, never a global.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Machine,
    /// The runtime's clock, which counts from this wall time.
    Runtime(UnixTime),
}

impl Clock {
    /// Starts counting. Moment 0 is a little before, so that "one second ago" exists at once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self { start: Instant::now(), source: Source::Machine }
    }

    /// Starts counting by the clock of the runtime that this is called in, which may be paused and
    /// turned by hand; wall time counts from `wall`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn of_runtime(wall: UnixTime) -> Self {
        Self { start: tokio::time::Instant::now().into_std(), source: Source::Runtime(wall) }
    }

    /// Monotonic time since the start.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn now(&self) -> Moment {
        let now = match self.source {
            Source::Machine => Instant::now(),
            Source::Runtime(_) => tokio::time::Instant::now().into_std(),
        };
        Moment(nanos(now.saturating_duration_since(self.start)))
    }

    /// Wall time. Before 1970 it is 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn unix(&self) -> UnixTime {
        if let Source::Runtime(UnixTime(wall)) = self.source {
            return UnixTime(wall.saturating_add(self.now().0 / 1_000_000));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The runtime's instant for a moment, to arm timers with.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + std::time::Duration::from_nanos(moment.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_is_turned_by_hand_is_followed() {
        let clock = Clock::of_runtime(UnixTime(1_000));
        assert_eq!((clock.now(), clock.unix()), (Moment(0), UnixTime(1_000)));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!((clock.now(), clock.unix()), (Moment(3_600_000_000_000), UnixTime(3_601_000)));
        let due = clock.instant(clock.now().after(Duration::from_secs(1)));
        tokio::time::sleep_until(due).await;
        assert_eq!(clock.now(), Moment(3_601_000_000_000));
    }
}
