//! TCP Vegas for requests, as published.

use super::{Law, Sample};
use crate::admission::Outcome;
use crate::admission::chance::Chance;
use crate::admission::moment::Moment;
use crate::admission::policy::LimitPolicy;

/// `VegasLimit` of Netflix's concurrency-limits (commit 78a74b9), per sample and with its defaults:
/// `queue = ⌈limit · (1 − rtt_noload / rtt)⌉`, α = 3·lg, β = 6·lg, threshold = step = lg with
/// `lg = max(1, ⌊log10 limit⌋)`. A drop: limit − lg. Less than half of the limit in flight: no change.
/// `queue ≤ threshold`: limit + β; `< α`: limit + lg; `> β`: limit − lg. `rtt_noload` is the least ever
/// seen, and the sample of the moment again every `30 · limit · U(0.5, 1)` samples.
#[derive(Debug)]
pub struct Vegas {
    least: Option<f64>,
    samples: f64,
    jitter: f64,
    chance: Chance,
}

const PROBE_MULTIPLIER: f64 = 30.0;

impl Vegas {
    /// A law that has seen nothing.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { least: None, samples: 0.0, jitter: 0.75, chance: Chance::new(seed) }
    }
}

impl Law for Vegas {
    fn on_sample(&mut self, limit: f64, _: &LimitPolicy, sample: &Sample, _: Moment) -> f64 {
        let lg = limit.max(1.0).log10().floor().max(1.0);
        let rtt = match (sample.outcome, sample.first_byte) {
            (Outcome::Ignored, _) | (Outcome::Served, None) => return limit,
            (Outcome::Dropped, _) => return (limit - lg).max(1.0),
            (Outcome::Served, Some(first_byte)) => first_byte.as_secs_f64().max(1e-9),
        };
        self.samples += 1.0;
        if self.samples >= PROBE_MULTIPLIER * limit * self.jitter {
            self.samples = 0.0;
            self.jitter = 0.5 + 0.5 * self.chance.part();
            self.least = Some(rtt);
            return limit;
        }
        let least = *self.least.get_or_insert(rtt);
        if rtt <= least {
            self.least = Some(rtt);
            return limit;
        }
        if f64::from(sample.in_flight) * 2.0 < limit {
            return limit;
        }
        let queue = (limit * (1.0 - least / rtt)).ceil();
        let wanted = if queue <= lg {
            limit + 6.0 * lg
        } else if queue < 3.0 * lg {
            limit + lg
        } else if queue > 6.0 * lg {
            limit - lg
        } else {
            limit
        };
        wanted.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::policy::LawPolicy;

    fn step(law: &mut Vegas, limit: f64, millis: u64) -> f64 {
        let policy = LimitPolicy {
            law: LawPolicy::Vegas,
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
            outcome: Outcome::Served,
            limited: true,
            class: 0,
            rank: 1,
            place: 1,
            ended: 0,
            in_flight: 50,
        };
        law.on_sample(limit, &policy, &sample, Moment(1))
    }

    #[test]
    fn the_estimated_queue_decides() {
        let mut law = Vegas::new(1);
        assert!((step(&mut law, 50.0, 100) - 50.0).abs() < 1e-9, "the least of all");
        assert!((step(&mut law, 50.0, 102) - 56.0).abs() < 1e-9, "a queue of 1: quickly up");
        assert!((step(&mut law, 50.0, 104) - 51.0).abs() < 1e-9, "a queue of 2: one up");
        assert!((step(&mut law, 50.0, 110) - 50.0).abs() < 1e-9, "a queue of 5: stay");
        assert!((step(&mut law, 50.0, 200) - 49.0).abs() < 1e-9, "a queue of 25: one down");
    }
}
