//! The probability laws that a scenario names: when people come, how long a service takes, how long
//! somebody thinks. Seconds, as in the file.

use std::time::Duration;

use serde::Deserialize;

use super::chance::Chance;

/// When the people of a class come, in seconds after the leg's start.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "law", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrival {
    /// Anywhere between two times, equally likely.
    Uniform {
        /// Earliest.
        from_s: f64,
        /// Latest.
        to_s: f64,
    },
    /// A rush at `at_s` that thins out: exponential with this mean after it.
    ExpAfter {
        /// The rush's start.
        at_s: f64,
        /// Mean delay after it.
        mean_s: f64,
    },
}

impl Arrival {
    /// One arrival.
    pub fn draw(&self, chance: &mut Chance) -> Duration {
        seconds(match *self {
            Self::Uniform { from_s, to_s } => chance.between(from_s, to_s),
            Self::ExpAfter { at_s, mean_s } => at_s + chance.exponential(mean_s),
        })
    }

    /// What is wrong with the parameters, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match *self {
            Self::Uniform { from_s, to_s } if !(from_s >= 0.0 && to_s >= from_s && to_s.is_finite()) => {
                Some("a uniform arrival needs 0 ≤ from_s ≤ to_s")
            }
            Self::ExpAfter { at_s, mean_s }
                if !(at_s >= 0.0 && mean_s > 0.0 && at_s.is_finite() && mean_s.is_finite()) =>
            {
                Some("an exp_after arrival needs at_s ≥ 0 and mean_s > 0")
            }
            _ => None,
        }
    }
}

/// How long something takes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(tag = "law", rename_all = "snake_case", deny_unknown_fields)]
pub enum Span {
    /// Always the same.
    Fixed {
        /// Seconds.
        s: f64,
    },
    /// Exponential.
    Exp {
        /// Mean, in seconds.
        mean_s: f64,
    },
    /// Lognormal.
    Lognormal {
        /// Median, in seconds.
        median_s: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

impl Span {
    /// One duration.
    pub fn draw(&self, chance: &mut Chance) -> Duration {
        seconds(match *self {
            Self::Fixed { s } => s,
            Self::Exp { mean_s } => chance.exponential(mean_s),
            Self::Lognormal { median_s, sigma } => chance.lognormal(median_s, sigma),
        })
    }

    /// The mean, in seconds.
    #[must_use]
    pub fn mean_s(&self) -> f64 {
        match *self {
            Self::Fixed { s } => s,
            Self::Exp { mean_s } => mean_s,
            Self::Lognormal { median_s, sigma } => median_s * (sigma * sigma / 2.0).exp(),
        }
    }

    /// What is wrong with the parameters, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let ok = match *self {
            Self::Fixed { s } => (0.0..=3600.0).contains(&s),
            Self::Exp { mean_s } => (0.0..=3600.0).contains(&mean_s),
            Self::Lognormal { median_s, sigma } => {
                (0.0..=3600.0).contains(&median_s) && (0.0..=5.0).contains(&sigma)
            }
        };
        (!ok).then_some("durations lie between 0 and 3600 seconds, sigma between 0 and 5")
    }
}

/// Seconds as a duration; nothing negative, and never more than a day, however far a law's tail reaches.
#[must_use]
pub fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.clamp(0.0, 86_400.0)).unwrap_or_default()
}
