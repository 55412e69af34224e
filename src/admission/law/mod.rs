//! Laws: how samples move a limit. A law estimates; the [`Limiter`](super::limiter::Limiter) enforces.
//!
//! Every law is a pure function of what it was told and when: same samples, same times, same seed, same
//! limits. `knee` is ours; `aimd`, `vegas` and `gradient2` are here in their published form, so that
//! anybody can compare laws on one gateway.

mod aimd;
mod gradient;
mod vegas;

use std::time::Duration;

use super::Outcome;
use super::knee::{Knee, KneeFacts};
use super::moment::Moment;
use super::policy::{LawPolicy, LimitPolicy};

pub use aimd::Aimd;
pub use gradient::Gradient2;
pub use vegas::Vegas;

/// Classes of routes that one limiter tells apart; routes beyond share the last one.
pub const ROUTE_CLASSES: usize = 64;

/// What one finished request says about its upstream.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was sent.
    pub sent: Moment,
    /// From sending to the first byte of the answer; `None` if no head came.
    pub first_byte: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the limit held anybody back while it was under way.
    pub limited: bool,
    /// The kind of work that it was: requests of one class cost about the same.
    pub class: u8,
    /// How many were unfinished when it was let through, itself included.
    pub rank: u32,
    /// How many were let through before it since the limiter began, itself included.
    pub place: u64,
    /// How many had ended before it did, since the limiter began.
    pub ended: u64,
    /// How many are unfinished now, itself included.
    pub in_flight: u32,
}

impl Sample {
    /// At least so many of those that were let through no later, itself included, had not ended before it; never
    /// more than `rank`. Whoever is done before others who came sooner was worked on beside them, for a queue
    /// is served in order. Not so where the upstream has several queues or serves the last first: then it only
    /// says how many were unfinished.
    #[must_use]
    pub fn beside(&self) -> u32 {
        u32::try_from(self.place.saturating_sub(self.ended)).unwrap_or(u32::MAX)
    }
}

/// What the limiter counted since it began. Differences of two looks are what counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Requests unfinished, added up over time: request-seconds.
    pub area: f64,
    /// Seconds in which as many as the limit were unfinished.
    pub full: f64,
    /// Requests that found no room at once.
    pub held_back: u64,
    /// Most unfinished at once since the last tick.
    pub peak: u32,
    /// Requests unfinished now.
    pub in_flight: u32,
    /// Those of them whose answer has not begun.
    pub unanswered: u32,
}

/// A rule that moves a limit, fed with every sample and, about twenty times a second, with a look.
///
/// What it returns is what the limit should be; the limiter clamps it into the policy.
pub trait Law: Send + std::fmt::Debug {
    /// Takes a sample. On the path of every request: constant time, and no allocation but for the first few.
    fn on_sample(&mut self, limit: f64, policy: &LimitPolicy, sample: &Sample, now: Moment) -> f64;

    /// Takes a look at the counters.
    fn on_tick(&mut self, limit: f64, _policy: &LimitPolicy, _load: &Load, _now: Moment) -> f64 {
        limit
    }

    /// The limit that those may count on who plan for longer than a moment: a short experiment by which
    /// the law asks whether less would do is left out of it.
    fn standing(&self, limit: f64) -> f64 {
        limit
    }

    /// Seconds that a request of each class of routes takes when nobody waits, as far as that is known; the
    /// limit and this are what outlives a restart.
    fn baselines(&self) -> Vec<Option<f64>> {
        Vec::new()
    }

    /// Goes on from what an earlier process had learnt.
    fn take_up(&mut self, _baselines: &[Option<f64>], _now: Moment) {}

    /// What the law believes, if it believes more than a limit.
    fn facts(&self) -> Option<KneeFacts> {
        None
    }
}

/// The law that a policy names, fresh. `seed` keeps the experiments of several gateways apart.
#[must_use]
pub fn law(policy: &LawPolicy, seed: u64) -> Box<dyn Law> {
    match policy {
        LawPolicy::Knee => Box::new(Knee::new(seed)),
        LawPolicy::Fixed => Box::new(Fixed),
        LawPolicy::Aimd { .. } => Box::new(Aimd),
        LawPolicy::Vegas => Box::new(Vegas::new(seed)),
        LawPolicy::Gradient2 => Box::new(Gradient2::default()),
    }
}

/// The operator's number: the policy's `initial`.
#[derive(Debug)]
pub struct Fixed;

impl Law for Fixed {
    fn on_sample(&mut self, _: f64, policy: &LimitPolicy, _: &Sample, _: Moment) -> f64 {
        f64::from(policy.initial)
    }

    fn on_tick(&mut self, _: f64, policy: &LimitPolicy, _: &Load, _: Moment) -> f64 {
        f64::from(policy.initial)
    }
}
