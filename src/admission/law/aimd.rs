//! Additive increase, multiplicative decrease, as published.

use super::{Law, Sample};
use crate::admission::Outcome;
use crate::admission::moment::Moment;
use crate::admission::policy::{LawPolicy, LimitPolicy};

/// `AIMDLimit` of Netflix's concurrency-limits (commit 78a74b9): per sample, a drop or a time to first
/// byte above the policy's `latency` (published: 5 s) makes the limit `0.9 · limit`; else, if at least
/// half of the limit is in flight, `limit + 1`. Published bounds: 20 to 200; ours are the policy's.
#[derive(Debug)]
pub struct Aimd;

const BACKOFF: f64 = 0.9;

impl Law for Aimd {
    fn on_sample(&mut self, limit: f64, policy: &LimitPolicy, sample: &Sample, _: Moment) -> f64 {
        let LawPolicy::Aimd { latency } = policy.law else { return limit };
        let too_slow = match (sample.outcome, sample.first_byte) {
            (Outcome::Ignored, _) | (Outcome::Served, None) => return limit,
            (Outcome::Dropped, _) => true,
            (Outcome::Served, Some(first_byte)) => first_byte > latency,
        };
        if too_slow {
            // The published form counts in whole requests.
            (limit * BACKOFF).floor()
        } else if f64::from(sample.in_flight) * 2.0 >= limit {
            limit + 1.0
        } else {
            limit
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn step(limit: f64, millis: u64, outcome: Outcome, in_flight: u32) -> f64 {
        let policy = LimitPolicy {
            law: LawPolicy::Aimd { latency: Duration::from_millis(100) },
            initial: 20,
            floor: 1,
            ceiling: 1_000,
            wait: Duration::ZERO,
            stall: Duration::from_secs(3),
        };
        let first_byte = Some(Duration::from_millis(millis));
        let sample = Sample {
            sent: Moment(0),
            first_byte,
            outcome,
            limited: false,
            class: 0,
            rank: 1,
            place: 1,
            ended: 0,
            in_flight,
        };
        Aimd.on_sample(limit, &policy, &sample, Moment(1))
    }

    #[test]
    fn one_more_while_quick_and_in_use_a_tenth_less_when_slow_or_dropped() {
        assert!((step(20.0, 10, Outcome::Served, 10) - 21.0).abs() < 1e-9);
        assert!((step(20.0, 10, Outcome::Served, 9) - 20.0).abs() < 1e-9, "half of it is not in use");
        assert!((step(20.0, 101, Outcome::Served, 20) - 18.0).abs() < 1e-9);
        assert!((step(20.0, 10, Outcome::Dropped, 20) - 18.0).abs() < 1e-9);
        assert!((step(20.0, 500, Outcome::Ignored, 20) - 20.0).abs() < 1e-9);
    }
}
