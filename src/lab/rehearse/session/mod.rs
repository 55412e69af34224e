//! The session level: people join, are called, claim, have a session, and end, by the tens of millions.
//!
//! What is the gateway's own is the gateway's own code: the room with its numbers, calls, seats and
//! passes, under the operator's policy; the poll rule; the estimate on the page. What is modelled is
//! said: the limiter (`limit.rs`), the pool (one queue, work of a session in two halves), looks at the
//! board (by their law, not one by one). What is not there in the gateway is not here either.
//!
//! One seed is one day, to the byte: all chance is drawn from it, all time is virtual.

mod binding;
mod crowd;
mod day;
mod findings;
mod limit;
mod looks;
mod more;
mod outcome;
mod read;
mod summary;
mod witness;
mod works;
mod world;

pub use binding::{Binding, Spent};
pub use day::{Day, Door, Errand, GROUPS_MAX, Group, Pool, Step};
pub use findings::{figures, findings};
pub use limit::NOTE;
pub use more::more;
pub use outcome::{Announced, Outcome, SIGHTS_MAX, Sight, Times};
pub use summary::summary;

/// Shortest and longest time between two steps of the room, in seconds: the gateway's own beat, and
/// what a day of hours can afford.
const BEAT_S: (f64, f64) = (0.1, 1.0);
/// Steps of a day, about.
const BEATS: f64 = 20_000.0;

/// The beat for a day of this length, in seconds.
#[must_use]
pub fn beat_s(horizon_s: f64) -> f64 {
    (horizon_s / BEATS).clamp(BEAT_S.0, BEAT_S.1)
}

/// Rehearses a day. `progress` hears the share of the horizon that is done.
#[must_use]
pub fn rehearse(day: &Day, progress: impl FnMut(f64)) -> Outcome {
    world::World::new(day).play(progress)
}

#[cfg(test)]
mod fit;
#[cfg(test)]
mod tests;
