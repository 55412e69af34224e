//! How long something takes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::chance::Chance;
use super::seconds;

/// How long something takes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "law", rename_all = "snake_case", deny_unknown_fields)]
pub enum Span {
    /// Always the same.
    Fixed {
        /// Seconds.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        s: f64,
    },
    /// Exponential: most are short, few are long.
    Exp {
        /// Mean, in seconds.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        mean_s: f64,
    },
    /// Lognormal: about the median, with a long tail.
    Lognormal {
        /// Median, in seconds.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        median_s: f64,
        /// Standard deviation of the logarithm.
        #[schemars(range(min = 0.0, max = 5.0))]
        sigma: f64,
    },
    /// One of two times: what is at hand, and what must be fetched.
    Bimodal {
        /// The quick one, in seconds.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        fast_s: f64,
        /// The slow one, in seconds.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        slow_s: f64,
        /// Share of the slow ones.
        #[schemars(range(min = 0.0, max = 1.0))]
        slow_share: f64,
    },
}

impl Span {
    /// Always `s` seconds.
    #[must_use]
    pub const fn fixed(s: f64) -> Self {
        Self::Fixed { s }
    }

    /// One duration.
    pub fn draw(&self, chance: &mut Chance) -> Duration {
        seconds(match *self {
            Self::Fixed { s } => s,
            Self::Exp { mean_s } => chance.exponential(mean_s),
            Self::Lognormal { median_s, sigma } => chance.lognormal(median_s, sigma),
            Self::Bimodal { fast_s, slow_s, slow_share } => {
                if chance.happens(slow_share) {
                    slow_s
                } else {
                    fast_s
                }
            }
        })
    }

    /// The mean, in seconds.
    #[must_use]
    pub fn mean_s(&self) -> f64 {
        match *self {
            Self::Fixed { s } => s,
            Self::Exp { mean_s } => mean_s,
            Self::Lognormal { median_s, sigma } => median_s * (sigma * sigma / 2.0).exp(),
            Self::Bimodal { fast_s, slow_s, slow_share } => fast_s + (slow_s - fast_s) * slow_share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_the_mean_that_is_said() {
        for span in [
            Span::fixed(0.3),
            Span::Exp { mean_s: 0.3 },
            Span::Lognormal { median_s: 0.3, sigma: 0.5 },
            Span::Bimodal { fast_s: 0.1, slow_s: 1.1, slow_share: 0.2 },
        ] {
            let mut chance = Chance::new(5, 5);
            let sum: f64 = (0..50_000).map(|_| span.draw(&mut chance).as_secs_f64()).sum();
            let mean = sum / 50_000.0;
            assert!((mean / span.mean_s() - 1.0).abs() < 0.02, "{span:?}: {mean}");
        }
    }
}
