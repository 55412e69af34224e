//! How long the wait may be: a range as wide as the pace of a line is uncertain, which the board says.
//! The same rule stands in `waiting_view.js`, so that page and place page never contradict each other.

/// A wait in whole minutes, `low <= high`, `high >= 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Rounded down.
    pub low: u64,
    /// Rounded up.
    pub high: u64,
}

impl Estimate {
    /// The wait of somebody with `ahead` people in front, when the line passes `rate` numbers per second:
    /// that wait divided and multiplied by one plus `spread`. `None` while that is not known: nothing is
    /// better than a guess.
    #[must_use]
    pub fn of(ahead: u64, rate: f64, spread: Option<f64>) -> Option<Self> {
        let spread = spread.filter(|_| rate.is_finite() && rate > 0.0)?;
        #[allow(clippy::cast_precision_loss, reason = "a line of 2^52 people is not exact to a person")]
        let ahead = ahead.saturating_add(1) as f64;
        let wait = ahead / rate / 60.0;
        let grain = match wait {
            _ if wait < 20.0 => 1.0,
            _ if wait < 60.0 => 5.0,
            _ if wait < 240.0 => 15.0,
            _ => 60.0,
        };
        let low = (wait / (1.0 + spread) / grain).floor() * grain;
        let high = (wait * (1.0 + spread) / grain).ceil() * grain;
        Some(Self { low: whole(low), high: whole(high).max(1) })
    }
}

impl Estimate {
    /// The same wait where it does not go on all the time: `later` says after how many minutes.
    #[must_use]
    pub fn past(self, later: impl Fn(u64) -> u64) -> Self {
        Self { low: later(self.low), high: later(self.high) }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is never negative"
)]
fn whole(minutes: f64) -> u64 {
    minutes as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_lines() {
        let of = |ahead, rate| Estimate::of(ahead, rate, Some(0.25)).map(|it| (it.low, it.high));
        assert_eq!(Estimate::of(1200, 2.0, None), None);
        assert_eq!(of(1200, 0.0), None);
        assert_eq!(of(1200, f64::NAN), None);
        assert_eq!(of(0, 10.0), Some((0, 1)));
        assert_eq!(of(1199, 2.0), Some((8, 13)));
        assert_eq!(of(3599, 12.5), Some((3, 6)));
        assert_eq!(of(u64::MAX, f64::MIN_POSITIVE).unwrap().1, u64::MAX);
    }

    proptest! {
        #[test]
        fn the_pace_of_now_lies_inside(ahead in 0u64..1_000_000, rate in 0.001f64..1000.0, spread in 0.0f64..2.0) {
            let it = Estimate::of(ahead, rate, Some(spread)).unwrap();
            let wait = (ahead + 1) as f64 / rate / 60.0;
            prop_assert!(it.low as f64 <= wait && wait <= it.high as f64, "{it:?} {wait}");
        }
    }
}
