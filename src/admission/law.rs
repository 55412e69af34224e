//! Laws: how samples move a limit. A law estimates; the [`Limiter`](super::limiter::Limiter) enforces.

use std::time::Duration;

use super::Outcome;
use super::moment::Moment;
use super::policy::{LawPolicy, LimitPolicy};

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
}

/// A rule that moves a limit, fed with every sample.
pub trait Law: Send + std::fmt::Debug {
    /// Takes a sample and says what the limit should be; the limiter clamps it into the policy.
    fn on_sample(&mut self, limit: f64, policy: &LimitPolicy, sample: &Sample, now: Moment) -> f64;
}

/// The law that a policy names, fresh.
#[must_use]
pub fn law(policy: &LawPolicy) -> Box<dyn Law> {
    match policy {
        LawPolicy::Fixed => Box::new(Fixed),
        LawPolicy::Aimd { .. } => Box::new(Aimd::default()),
    }
}

/// The operator's number: the policy's `initial`.
#[derive(Debug)]
pub struct Fixed;

impl Law for Fixed {
    fn on_sample(&mut self, _: f64, policy: &LimitPolicy, _: &Sample, _: Moment) -> f64 {
        f64::from(policy.initial)
    }
}

/// Additive increase, multiplicative decrease, judged window by window.
///
/// A window closes after 100 ms with ≥ 10 answers, or after 1 s. If its mean time to first byte is
/// above the policy's `latency`, or more than a tenth of its requests were dropped, the limit becomes
/// `0.9 · limit`; else, if the limit held somebody back, `limit + 1` (`1.5 · limit` until the first
/// cut, so that a cold start takes seconds). Means, not single samples: service times vary by nature.
/// Requests sent before a cut say nothing about the limit after it, and are left out.
#[derive(Debug, Default)]
pub struct Aimd {
    window: Window,
    last_cut: Option<Moment>,
}

#[derive(Debug, Default)]
struct Window {
    opened: Option<Moment>,
    answers: u32,
    drops: u32,
    total: Duration,
    limited: bool,
}

const WINDOW_MIN: Duration = Duration::from_millis(100);
const WINDOW_MAX: Duration = Duration::from_secs(1);
const WINDOW_ANSWERS: u32 = 10;
const DROPS_TOLERATED: f64 = 0.1;
const CUT: f64 = 0.9;
const FAST_START: f64 = 1.5;

impl Window {
    fn is_due(&self, opened: Moment, now: Moment) -> bool {
        let age = now.since(opened);
        age >= WINDOW_MAX || (age >= WINDOW_MIN && self.answers + self.drops >= WINDOW_ANSWERS)
    }

    fn is_overloaded(&self, latency: Duration) -> bool {
        let dropped = f64::from(self.drops) > DROPS_TOLERATED * f64::from(self.answers + self.drops);
        dropped || self.total > latency.saturating_mul(self.answers)
    }
}

impl Law for Aimd {
    fn on_sample(&mut self, limit: f64, policy: &LimitPolicy, sample: &Sample, now: Moment) -> f64 {
        let LawPolicy::Aimd { latency } = policy.law else { return limit };
        if self.last_cut.is_some_and(|cut| sample.sent < cut) {
            return limit;
        }
        match (sample.outcome, sample.first_byte) {
            (Outcome::Served, Some(first_byte)) => {
                self.window.answers += 1;
                self.window.total = self.window.total.saturating_add(first_byte);
            }
            (Outcome::Dropped, _) => self.window.drops += 1,
            _ => return limit,
        }
        self.window.limited |= sample.limited;
        let opened = *self.window.opened.get_or_insert(sample.sent);
        if !self.window.is_due(opened, now) {
            return limit;
        }
        let window = std::mem::take(&mut self.window);
        if window.is_overloaded(latency) {
            self.last_cut = Some(now);
            limit * CUT
        } else if !window.limited {
            limit
        } else if self.last_cut.is_none() {
            limit * FAST_START
        } else {
            limit + 1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> LimitPolicy {
        LimitPolicy {
            law: LawPolicy::Aimd { latency: Duration::from_millis(100) },
            initial: 20,
            floor: 2,
            ceiling: 1_000,
            wait: Duration::from_millis(100),
            stall: Duration::from_secs(3),
        }
    }

    /// Feeds answers of one latency, 5 ms apart, for `seconds`; returns the limit after.
    fn feed(law: &mut Aimd, limit: f64, start_s: u64, seconds: u64, latency_ms: u64, limited: bool) -> f64 {
        let policy = policy();
        (0..seconds * 200).fold(limit, |limit, step| {
            let now = Moment(start_s * 1_000_000_000 + step * 5_000_000 + latency_ms * 1_000_000);
            let first_byte = Duration::from_millis(latency_ms);
            let sent = Moment(now.0 - latency_ms * 1_000_000);
            let sample = Sample { sent, first_byte: Some(first_byte), outcome: Outcome::Served, limited };
            law.on_sample(limit, &policy, &sample, now)
        })
    }

    #[test]
    fn grows_only_when_it_held_somebody_back() {
        let mut law = Aimd::default();
        assert!((feed(&mut law, 20.0, 1, 5, 10, false) - 20.0).abs() < 1e-9);
        assert!(feed(&mut law, 20.0, 10, 1, 10, true) > 100.0, "a cold start is quick");
    }

    #[test]
    fn cuts_when_answers_get_slow_and_then_grows_by_one() {
        let mut law = Aimd::default();
        let cut = feed(&mut law, 20.0, 1, 2, 200, true);
        assert!(cut < 19.0, "{cut}");
        let grown = feed(&mut law, cut, 10, 1, 10, true);
        assert!(grown > cut + 3.0 && grown < cut + 12.0, "{cut} → {grown}");
    }

    #[test]
    fn answers_to_requests_sent_before_a_cut_do_not_cut_again() {
        let (mut law, policy) = (Aimd::default(), policy());
        let limit = feed(&mut law, 20.0, 1, 1, 200, true);
        let cut_at = law.last_cut.unwrap();
        let late = Sample {
            sent: Moment(cut_at.0 - 1),
            first_byte: Some(Duration::from_secs(9)),
            outcome: Outcome::Served,
            limited: true,
        };
        let after = (0..100).fold(limit, |limit, n| {
            law.on_sample(limit, &policy, &late, cut_at.after(Duration::from_secs(n)))
        });
        assert!((after - limit).abs() < 1e-9);
    }
}
