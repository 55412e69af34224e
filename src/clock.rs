//! The only reads of time.

use std::sync::OnceLock;
use std::time::Instant;

use crate::admission::Moment;
use crate::admission::moment::nanos;

/// Monotonic time since the first call in this process.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this file is where time is read")]
pub fn now() -> Moment {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    Moment(nanos(BEGAN.get_or_init(Instant::now).elapsed()))
}
