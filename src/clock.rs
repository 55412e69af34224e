//! The only reads of time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::admission::moment::nanos;
use crate::admission::{Moment, UnixTime};

/// Where this process counts its moments from. A value that is passed down, never a global.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting. Moment 0 is a little before, so that "one second ago" exists at once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Monotonic time since the start.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn now(&self) -> Moment {
        Moment(nanos(Instant::now().saturating_duration_since(self.start)))
    }

    /// Wall time. Before 1970 it is 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn unix(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The runtime's instant for a moment, to arm timers with.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + std::time::Duration::from_nanos(moment.0))
    }
}
