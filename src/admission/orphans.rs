//! What a process that ended had sent, and what its upstream may still be at work on.
//!
//! Nobody awaits these requests and nobody can count them, but the upstream does (promise 1). As many
//! as the limit are taken to have been there, ending as answers do that take about so long: of `n`
//! exponential ones `n · exp(-t / mean)` are left after `t`.

use super::moment::Moment;

/// Requests take this many times as long as when nobody waits: under the limit some wait at the upstream.
const BUSY: f64 = 2.0;
/// And so many seconds more: those of one class are far from alike, and the long ones are what is left.
const LONG_S: f64 = 0.1;
/// Longest mean that is believed, in seconds: a gate that is kept narrow is dear.
const MEAN_MAX_S: f64 = 10.0;
/// Fewer than this are none: a chance of one in twenty that one is left.
const NONE: f64 = 0.05;

/// The unfinished requests of an earlier process.
#[derive(Clone, Copy, Debug)]
pub struct Orphans {
    most: f64,
    mean_s: f64,
    since: Moment,
}

impl Orphans {
    /// As many as `limit`, of requests that take `baselines` seconds by class when nobody waits.
    #[must_use]
    pub fn of(limit: f64, baselines: &[Option<f64>], now: Moment) -> Self {
        let slowest =
            baselines.iter().flatten().copied().filter(|seconds| seconds.is_finite()).fold(0.0, f64::max);
        let mean_s = (BUSY * slowest + LONG_S).min(MEAN_MAX_S);
        Self { most: limit.clamp(0.0, f64::from(u32::MAX)).ceil(), mean_s, since: now }
    }

    /// Most that are still unfinished. None: they need not be thought of any more.
    #[must_use]
    pub fn left(&self, now: Moment) -> Option<u32> {
        let left = self.most * (-now.since(self.since).as_secs_f64() / self.mean_s).exp();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a u32")]
        let whole = (left - NONE).ceil() as u32;
        (left > NONE).then_some(whole.max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fewer_are_left_the_longer_it_is_ago_and_in_the_end_none() {
        let orphans = Orphans::of(19.4, &[Some(0.002), None, Some(0.05)], Moment(0));
        let left = |ms| orphans.left(Moment(0).after(Duration::from_millis(ms)));
        assert_eq!([0, 139, 600, 1_190].map(left), [Some(20), Some(10), Some(1), Some(1)]);
        assert_eq!(left(1_199), None);
    }

    #[test]
    fn nothing_that_was_learnt_keeps_a_gate_shut_for_ever() {
        for (limit, seconds) in [(f64::NAN, 0.1), (f64::INFINITY, f64::NAN), (-1.0, 1e9), (0.0, 0.0)] {
            let orphans = Orphans::of(limit, &[Some(seconds)], Moment(0));
            let later = Moment(0).after(Duration::from_secs(300));
            assert_eq!(orphans.left(later), None, "{limit} {seconds}");
        }
    }
}
