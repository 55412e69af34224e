//! How fast the limit goes up.
//!
//! What it rises by within a second comes to the upstream on top of what it serves in that second. A step of growth, a
//! dip that is undone and a climb may come right one after another, each of them small: together they are a wave,
//! worst for an upstream that was down a moment ago. What is undone goes back at once; what comes on top of it waits.
//! Where workers are seen to be back (`crew.rs`) it does not: what comes is theirs to work on.

use std::collections::VecDeque;

use super::{Knee, Moment};

/// Beats that are looked back over: a second, at the usual beat.
const SPAN: f64 = 20.0;
/// Of what is served in that time the limit may rise by this part: a tenth more is what an upstream must bear, and
/// permits that lay idle are taken in the same second.
const PART: f64 = 0.07;

/// How low the limit was of late.
#[derive(Debug, Default)]
pub(super) struct Lows(VecDeque<(Moment, f64)>);

impl Lows {
    /// The limit is this from now on. Of those before that were not lower nothing need be known.
    pub(super) fn see(&mut self, limit: f64, now: Moment) {
        while self.0.pop_back_if(|(_, before)| *before >= limit).is_some() {}
        self.0.push_back((now, limit));
    }

    /// The lowest that the limit was set to in the last so many seconds, or the last.
    fn lowest(&mut self, seconds: f64, now: Moment) -> Option<f64> {
        let is_over = |(at, _): &mut (Moment, f64)| now.since(*at).as_secs_f64() > seconds;
        while self.0.len() > 1 && self.0.pop_front_if(is_over).is_some() {}
        self.0.front().map(|(_, limit)| *limit)
    }
}

impl Knee {
    /// How high the limit may go now on its way to there. By as much as one `step` it always may within a second.
    pub(super) fn paced(&mut self, limit: f64, to: f64, step: f64, now: Moment) -> f64 {
        let span = self.beats(SPAN);
        let lowest = self.lows.lowest(span, now).unwrap_or(limit);
        let most = (PART * self.last.throughput * span).max(step);
        to.min((lowest + most).max(limit))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Reading;
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(0).after(Duration::from_millis(millis))
    }

    /// A law that serves so many a second, whose limit was this at each of these milliseconds.
    fn after(throughput: f64, limits: &[(u64, f64)]) -> Knee {
        let mut knee = Knee::new(1);
        knee.last = Reading { throughput, ..Reading::default() };
        limits.iter().for_each(|(millis, limit)| knee.lows.see(*limit, at(*millis)));
        knee
    }

    #[test]
    fn a_dip_that_is_undone_and_what_comes_on_top_of_it_are_one_rise() {
        let mut knee = after(45.0, &[(0, 9.0), (2_000, 6.0), (2_600, 9.0)]);
        let most = 6.0 + PART * 45.0;
        assert!((knee.paced(9.0, 11.0, 2.25, at(2_900)) - most).abs() < 1e-9);
        assert!((knee.paced(10.0, 13.0, 3.0, at(2_900)) - 10.0).abs() < 1e-9, "what is up stays up");
        assert!((knee.paced(9.0, 11.0, 2.25, at(3_700)) - 11.0).abs() < 1e-9, "a second later it may");
    }

    #[test]
    fn one_step_may_come_however_slow_the_upstream_is() {
        let mut knee = after(0.5, &[(0, 4.0)]);
        assert!((knee.paced(4.0, 6.0, 2.0, at(500)) - 6.0).abs() < 1e-9);
        assert!((knee.paced(4.0, 7.0, 2.0, at(500)) - 6.0).abs() < 1e-9);
    }

    #[test]
    fn where_much_is_served_much_may_come() {
        let mut knee = after(2_000.0, &[(0, 50.0)]);
        assert!((knee.paced(50.0, 150.0, 12.5, at(100)) - 150.0).abs() < 1e-9);
    }
}
