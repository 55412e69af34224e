//! What operators decide, once validated: quotas, limits and room rules.
//!
//! A policy is always an argument, never a field of the state it governs, so that a reload is one
//! pointer store and every bucket, line, limit and pass lives on under the new rules. Constructors
//! refuse nonsense; there is no `0` that means "unlimited".

use std::num::NonZeroU32;
use std::time::Duration;

/// A rate and a burst: at most `burst` tokens at once, refilled one every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    interval: Duration,
    burst: NonZeroU32,
}

impl Quota {
    /// A quota of one token every `interval`, holding at most `burst`.
    ///
    /// Returns `None` for an interval of zero (which would be no limit at all) or one beyond a day.
    #[must_use]
    pub fn new(interval: Duration, burst: NonZeroU32) -> Option<Self> {
        let legal = !interval.is_zero() && interval <= Duration::from_secs(86_400);
        legal.then_some(Self { interval, burst })
    }

    /// Nanoseconds in which one token grows back (GCRA's emission interval, `T`). Never zero.
    #[must_use]
    pub fn interval_ns(&self) -> u64 {
        u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Tokens that a full bucket holds.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// Nanoseconds in which an empty bucket fills up (`burst · T`).
    #[must_use]
    pub fn depth_ns(&self) -> u64 {
        self.interval_ns().saturating_mul(u64::from(self.burst.get()))
    }
}

/// The law that moves an upstream's limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LawPolicy {
    /// Where more in flight would only wait longer; see [`Knee`](super::knee::Knee).
    Knee,
    /// The operator's number, whatever is measured.
    Fixed,
    /// Additive increase, multiplicative decrease; see [`Aimd`](super::law::Aimd).
    Aimd {
        /// Time to the first byte above which the upstream counts as overloaded.
        latency: Duration,
    },
    /// See [`Vegas`](super::law::Vegas).
    Vegas,
    /// See [`Gradient2`](super::law::Gradient2).
    Gradient2,
}

impl LawPolicy {
    /// The law's name in configurations.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Knee => "knee",
            Self::Fixed => "fixed",
            Self::Aimd { .. } => "aimd",
            Self::Vegas => "vegas",
            Self::Gradient2 => "gradient2",
        }
    }
}

/// How many requests may be unfinished at an upstream, and how long others may wait for room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitPolicy {
    /// The law that moves the limit between `floor` and `ceiling`.
    pub law: LawPolicy,
    /// Where the limit starts.
    pub initial: u32,
    /// The limit never falls below this; at least 1.
    pub floor: u32,
    /// The limit never rises above this.
    pub ceiling: u32,
    /// Longest wait for a permit in the queue before the upstream.
    pub wait: Duration,
    /// No answer for this long while requests are unfinished: stalled, and no new calls go out.
    pub stall: Duration,
}

/// How often a waiting client looks at the board: `clamp(min, max, wait / divisor) · scale`, ± 30 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollRule {
    /// Shortest time between two looks.
    pub min: Duration,
    /// Longest time between two looks.
    pub max: Duration,
    /// The expected wait is divided by this.
    pub divisor: u32,
    /// Looks a second that all waiting clients together may take; more, and all look less often.
    pub budget: u32,
}

impl PollRule {
    /// Time to the next look of somebody with `ahead` people in front, while `rate` are called a
    /// second (0: not known yet), before scale and jitter.
    #[must_use]
    pub fn pause(&self, ahead: u64, rate: f64) -> Duration {
        if rate <= 0.0 {
            return (self.min * 3).clamp(self.min, self.max);
        }
        let wait = Duration::try_from_secs_f64(ahead as f64 / rate).unwrap_or(Duration::MAX);
        (wait / self.divisor).clamp(self.min, self.max)
    }

    /// What all pauses are multiplied by, so that `waiting` clients keep within the budget: their
    /// looks a second over the budget, at least 1.
    ///
    /// With `p = rate · divisor`, the first `min·p` people look every `min`, the next up to `max·p`
    /// every `ahead / p`, the rest every `max`: in sum `p·(1 + ln(max/min))` and `1/max` for the rest.
    #[must_use]
    pub fn scale(&self, waiting: u64, rate: f64) -> f64 {
        let (min, max, waiting) = (self.min.as_secs_f64(), self.max.as_secs_f64(), waiting as f64);
        let looks = if rate > 0.0 {
            let pace = rate * f64::from(self.divisor);
            let near = waiting.min(min * pace);
            let middle = waiting.min(max * pace);
            let between = if middle > near { pace * (middle / near).ln() } else { 0.0 };
            near / min + between + (waiting - middle) / max
        } else {
            waiting / self.pause(0, 0.0).as_secs_f64()
        };
        (looks / f64::from(self.budget)).max(1.0)
    }
}

/// The rules of a waiting room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomPolicy {
    /// Fewest seats, whatever is measured; at least 1.
    pub seats_floor: u32,
    /// Most seats, whatever is measured.
    pub seats_ceiling: u32,
    /// This room's part of its upstream's limit, in (0, 1].
    pub share: f64,
    /// How long a call stands before its holder counts as late. The number is kept.
    pub call: Duration,
    /// A pass unused for this long may be ended, if somebody needs the seat.
    pub idle: Duration,
    /// Hard cap of a pass.
    pub session: Duration,
    /// How often clients poll.
    pub poll: PollRule,
    /// No calls while set; the text of the reason is the operator's message.
    pub hold: bool,
    /// Emergency: everybody passes through, counted and logged.
    pub open: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The closed form agrees with adding up everybody's looks, and the scale keeps the budget.
        #[test]
        fn the_scale_keeps_all_looks_within_the_budget(waiting in 0u64..5_000, rate in 0.0f64..50.0, divisor in 1u32..50) {
            let rule = PollRule { min: Duration::from_secs(5), max: Duration::from_secs(120), divisor, budget: 10 };
            let looks: f64 = (0..waiting).map(|ahead| 1.0 / rule.pause(ahead, rate).as_secs_f64()).sum();
            let scale = rule.scale(waiting, rate);
            prop_assert!(scale >= 1.0);
            prop_assert!(looks / scale <= 10.0 * 1.02 + 0.3, "{looks} / {scale}");
            prop_assert!((scale - 1.0).abs() < 1e-9 || looks / scale >= 10.0 * 0.98 - 0.3, "{looks} / {scale}");
        }
    }
}
