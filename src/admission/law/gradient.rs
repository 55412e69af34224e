//! Gradient2, as published.

use super::{Law, Load, Sample};
use crate::admission::Outcome;
use crate::admission::moment::Moment;
use crate::admission::policy::LimitPolicy;

/// `Gradient2Limit` of Netflix's concurrency-limits (commit 78a74b9) behind its `WindowedLimit`, with
/// the published defaults: windows of 1 s with at least 10 answers, their mean `short`; `long` the
/// moving mean of `short` (factor 2/601, the plain mean of the first ten), times 0.95 when it is above
/// `2 · short`. Less than half of the limit in flight: no change. Else
/// `limit = 0.8 · limit + 0.2 · (limit · clamp(1.5 · long / short, 0.5, 1) + 4)`. Drops are ignored.
/// Published bounds: 20 to 200; ours are the policy's.
#[derive(Debug, Default)]
pub struct Gradient2 {
    opened: Option<Moment>,
    answers: u32,
    total: f64,
    peak: u32,
    long: f64,
    windows: f64,
}

const WINDOW_NS: u64 = 1_000_000_000;
const WINDOW_ANSWERS: u32 = 10;
const WARM_UP: f64 = 10.0;
const FACTOR: f64 = 2.0 / 601.0;
const TOLERANCE: f64 = 1.5;
const SMOOTHING: f64 = 0.2;
const QUEUE: f64 = 4.0;

impl Gradient2 {
    fn close(&mut self, limit: f64) -> f64 {
        let short = (self.total / f64::from(self.answers)).max(1e-9);
        let peak = f64::from(self.peak);
        (self.opened, self.answers, self.total, self.peak) = (None, 0, 0.0, 0);
        self.windows += 1.0;
        self.long += (short - self.long) * if self.windows <= WARM_UP { 1.0 / self.windows } else { FACTOR };
        if self.long / short > 2.0 {
            self.long *= 0.95;
        }
        if peak < limit / 2.0 {
            return limit;
        }
        let gradient = (TOLERANCE * self.long / short).clamp(0.5, 1.0);
        limit * (1.0 - SMOOTHING) + SMOOTHING * (limit * gradient + QUEUE)
    }
}

impl Law for Gradient2 {
    fn on_sample(&mut self, limit: f64, _: &LimitPolicy, sample: &Sample, now: Moment) -> f64 {
        let (Outcome::Served, Some(first_byte)) = (sample.outcome, sample.first_byte) else { return limit };
        let opened = *self.opened.get_or_insert(now);
        self.answers += 1;
        self.total += first_byte.as_secs_f64();
        self.peak = self.peak.max(sample.in_flight);
        let is_due = now.0.saturating_sub(opened.0) >= WINDOW_NS && self.answers >= WINDOW_ANSWERS;
        if is_due { self.close(limit) } else { limit }
    }

    fn on_tick(&mut self, limit: f64, _: &LimitPolicy, _: &Load, _: Moment) -> f64 {
        limit
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::policy::LawPolicy;

    fn feed(law: &mut Gradient2, limit: f64, seconds: std::ops::Range<u64>, millis: u64) -> f64 {
        let policy = LimitPolicy {
            law: LawPolicy::Gradient2,
            initial: 20,
            floor: 1,
            ceiling: 1_000,
            wait: Duration::ZERO,
            stall: Duration::from_secs(3),
        };
        seconds.flat_map(|second| (0..20).map(move |step| second * 1_000 + step * 50)).fold(
            limit,
            |limit, at| {
                let sample = Sample {
                    sent: Moment(0),
                    first_byte: Some(Duration::from_millis(millis)),
                    outcome: Outcome::Served,
                    limited: true,
                    class: 0,
                    rank: 1,
                    place: 1,
                    ended: 0,
                    in_flight: 100,
                };
                law.on_sample(limit, &policy, &sample, Moment(at * 1_000_000))
            },
        )
    }

    #[test]
    fn it_grows_by_less_than_one_a_second_and_shrinks_when_answers_get_slow() {
        let mut law = Gradient2::default();
        let grown = feed(&mut law, 20.0, 0..30, 50);
        assert!(grown > 40.0 && grown <= 20.0 + 0.8 * 30.0 + 1e-9, "{grown}");
        let shrunk = feed(&mut law, grown, 30..40, 500);
        assert!(shrunk < 25.0, "{shrunk}");
    }
}
