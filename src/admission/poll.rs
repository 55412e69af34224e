//! How often those who wait look at the board: the poll rule that stands on it.
//!
//! The time to the next look grows with the wait that is left, so that a nation can wait and those who are
//! next see at once that they are called: a seat stands empty for as long as its next holder does not
//! look. So when all looks together would be too many, the far end of the line pays for it, and nobody
//! ever pauses for longer than half of the wait that is left to them.

use std::time::Duration;

/// Nobody is told to sleep through more than one part in so many of the wait that is left.
const LEFT: f64 = 2.0;
/// Where no pace is known, so many people next in line look as often as they may.
const NEXT: u64 = 50;
/// Longest time between two looks of somebody in the front row.
const FRONT_ROW_MAX: Duration = Duration::from_secs(2);
/// A scale above this would be felt as silence.
const SCALE_MAX: f64 = 1_000.0;

/// With a scale `s` that is the same for all: `min(max(min, wait ÷ 2), clamp(s · wait ÷ divisor, min, s · max))`,
/// ± 30 %.
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
    /// second (0: not known yet), before jitter.
    #[must_use]
    pub fn pause(&self, ahead: u64, rate: f64, scale: f64) -> Duration {
        if rate <= 0.0 && ahead < NEXT {
            return self.min;
        }
        if rate <= 0.0 {
            return (self.min * 3).clamp(self.min, self.max).mul_f64(scale);
        }
        let (min, max) = (self.min.as_secs_f64(), self.max.as_secs_f64());
        let wait = (ahead as f64 / rate).min(1e9);
        let pause = (scale * wait / f64::from(self.divisor)).clamp(min, scale * max);
        Duration::from_secs_f64(pause.min((wait / LEFT).max(min)))
    }

    /// Time to the next look of somebody who has claimed and waits for a seat: often enough for a seat
    /// not to stand empty, seldom enough for the quota of the door.
    #[must_use]
    pub fn front_row(&self) -> Duration {
        (self.min / 2).min(FRONT_ROW_MAX)
    }

    /// The least scale at which `waiting` clients keep within the budget; at least 1. Those who are next
    /// look whatever the load, so where the line moves very fast the budget is not kept: at the largest
    /// scale there are up to `2·rate·(1 + ln(wait ÷ 2·min))` looks a second.
    #[must_use]
    pub fn scale(&self, waiting: u64, rate: f64) -> f64 {
        self.scale_of(&[(waiting, rate)])
    }

    /// The same where several lines, each of so many people at its own rate, look at one board: a lane that
    /// moves fast does not excuse the looks of one that stands still.
    #[must_use]
    pub fn scale_of(&self, lines: &[(u64, f64)]) -> f64 {
        let budget = f64::from(self.budget);
        let looks =
            |scale| lines.iter().map(|(waiting, rate)| self.looks(*waiting, *rate, scale)).sum::<f64>();
        if looks(1.0) <= budget {
            return 1.0;
        }
        // Falls with the scale, smoothly: halving the interval forty times is exact for any board.
        let (mut low, mut high) = (0.0_f64, SCALE_MAX.ln());
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if looks(middle.exp()) > budget { low = middle } else { high = middle }
        }
        high.exp()
    }

    /// Looks a second of `waiting` clients: the integral of `rate ÷ pause` over their waits. The pause is
    /// `min`, then a part of the wait, then `scale · max`.
    #[must_use]
    pub fn looks(&self, waiting: u64, rate: f64, scale: f64) -> f64 {
        if rate <= 0.0 {
            let next = waiting.min(NEXT);
            let looks = |people: u64, ahead| people as f64 / self.pause(ahead, rate, scale).as_secs_f64();
            return looks(next, 0) + looks(waiting - next, NEXT);
        }
        let longest = waiting as f64 / rate;
        let (min, max) = (self.min.as_secs_f64(), scale * self.max.as_secs_f64());
        let part = (f64::from(self.divisor) / scale).max(LEFT);
        let near = longest.min(min * part);
        let middle = longest.min(max * part);
        let between = if middle > near { part * (middle / near).ln() } else { 0.0 };
        rate * (near / min + between + (longest - middle) / max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rule(divisor: u32, budget: u32) -> PollRule {
        PollRule { min: SECOND * 5, max: SECOND * 120, divisor, budget }
    }

    #[test]
    fn those_who_are_next_look_fast_whatever_the_load() {
        let rule = rule(10, 5_000);
        let scale = rule.scale(45_000_000, 500.0);
        assert!(scale > 50.0, "{scale}");
        for wait in [0, 1, 5, 10] {
            assert_eq!(rule.pause(wait * 500, 500.0, scale), SECOND * 5);
        }
        assert_eq!(rule.pause(40 * 500, 500.0, scale), SECOND * 20, "half of what is left");
        assert!(rule.pause(30_000_000, 500.0, scale) > SECOND * 120 * 50, "the far end pays");
        assert_eq!(rule.pause(NEXT - 1, 0.0, 500.0), SECOND * 5);
        assert_eq!(rule.pause(NEXT, 0.0, 500.0), SECOND * 15 * 500);
    }

    #[test]
    fn a_lane_that_stands_still_looks_too() {
        let rule = rule(10, 1_000);
        let lines = [(1_000, 10.0), (100_000, 0.0)];
        let scale = rule.scale_of(&lines);
        let looks: f64 = lines.iter().map(|(waiting, rate)| rule.looks(*waiting, *rate, scale)).sum();
        assert!(looks <= 1_000.0 && rule.scale(101_000, 10.0) < scale, "{looks} at {scale}");
        assert!((rule.scale_of(&[]) - 1.0).abs() < f64::EPSILON);
    }

    proptest! {
        /// The closed form agrees with adding up everybody's looks, and the scale keeps the budget
        /// wherever the far end can pay for it.
        #[test]
        fn the_scale_keeps_all_looks_within_the_budget(waiting in 0u64..5_000, rate in 0.0f64..50.0, divisor in 1u32..50) {
            let rule = rule(divisor, 10);
            let looks = |scale| -> f64 {
                (0..waiting).map(|ahead| 1.0 / rule.pause(ahead, rate, scale).as_secs_f64()).sum()
            };
            let scale = rule.scale(waiting, rate);
            prop_assert!((1.0..=SCALE_MAX * 1.001).contains(&scale));
            let allowed = 10.0_f64.max(looks(SCALE_MAX)) * 1.03 + 0.5;
            // Without a pace the next fifty are not paid for by the others.
            let next = if rate > 0.0 { 0.0 } else { NEXT as f64 / 5.0 };
            prop_assert!(looks(scale) <= allowed + next, "{} at {scale}", looks(scale));
            prop_assert!(scale <= 1.0 + 1e-9 || looks(scale) >= 10.0 * 0.97 - 0.5, "{} at {scale}", looks(scale));
        }

        /// Nobody sleeps through half of what is left to them, and nobody looks more often than allowed.
        #[test]
        fn a_pause_lies_between_its_bounds(ahead in 0u64..100_000_000, rate in 0.001f64..5_000.0, scale in 1.0f64..1_000.0) {
            let rule = rule(10, 10);
            let pause = rule.pause(ahead, rate, scale).as_secs_f64();
            prop_assert!(pause >= 5.0 && pause <= (ahead as f64 / rate / 2.0).max(5.0) + 1e-6);
        }
    }
}
