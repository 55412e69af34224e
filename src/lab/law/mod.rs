//! The laws of chance that a scenario names: when people come, how long a service takes, how long
//! somebody thinks. Seconds, as in the file.

mod arrival;
mod span;

use std::time::Duration;

pub use arrival::{Arrival, ArrivalLaw, Part, Stretch};
pub use span::Span;

/// Longest duration that a scenario may speak of: thirty days.
pub const LONGEST_S: f64 = 30.0 * 86_400.0;

/// Seconds as a duration; nothing negative, and never more than [`LONGEST_S`], however far a law's
/// tail reaches.
#[must_use]
pub fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.clamp(0.0, LONGEST_S)).unwrap_or_default()
}
