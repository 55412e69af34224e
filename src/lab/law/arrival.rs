//! When the people of a class come: one law, or several with shares.
//!
//! Seconds after the leg's start, never before it. Each law can be drawn from, person by person, and
//! says which share of its people has come by a time, so that millions need not be drawn.
//!
//! `click_day` is the model of the click days that are known (see the scenarios): λ(t) =
//! N · [π·e^((t−T0)/θ)/θ before T0 + σ·e^(−(t−T0)/τ)/τ after it + (1−π−σ)·g(t)], g flat from T0 on.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::chance::Chance;
use super::seconds;

/// Share of a day's visits in each hour from midnight on, in percent: few at night, a tenth in the
/// busiest hour (an estimate, in the absence of published curves).
const ORDINARY_DAY: [f64; 24] = [
    1.0, 0.6, 0.4, 0.3, 0.3, 0.5, 1.2, 2.6, 5.0, 7.5, 10.0, 8.5, 6.0, 4.6, 5.0, 6.0, 6.4, 6.2, 6.0, 5.8, 5.6,
    4.8, 3.6, 2.1,
];
const HOUR_S: f64 = 3_600.0;

/// One law of arrivals.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "law", rename_all = "snake_case", deny_unknown_fields)]
pub enum ArrivalLaw {
    /// Anywhere between two times, equally likely.
    Uniform {
        /// Earliest.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        from_s: f64,
        /// Latest.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        to_s: f64,
    },
    /// A rush at `at_s` that thins out: exponential with this mean after it.
    ExpAfter {
        /// The rush's start.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        at_s: f64,
        /// Mean delay after it.
        #[schemars(range(max = 2_592_000.0), extend("exclusiveMinimum" = 0.0))]
        mean_s: f64,
    },
    /// A crowd that gathers towards `at_s`: exponential with this mean before it, none before the start.
    ExpBefore {
        /// What they gather for.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        at_s: f64,
        /// Mean time before it.
        #[schemars(range(max = 2_592_000.0), extend("exclusiveMinimum" = 0.0))]
        mean_s: f64,
    },
    /// Stretches one after the other, each with a steady rate. Only the ratio of the rates counts: how
    /// many come is said by `people`.
    Steps {
        /// Where the first begins.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        from_s: f64,
        /// The stretches.
        #[schemars(extend("minItems" = 1))]
        stretches: Vec<Stretch>,
    },
    /// By the hours of a day, from midnight on; day after day until `to_s`.
    Day {
        /// Earliest; second 0 is `midnight_s` after midnight.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        from_s: f64,
        /// Latest.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        to_s: f64,
        /// Time of day at the leg's start, in seconds since midnight.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 86_400.0))]
        midnight_s: f64,
    },
    /// A click day: some are there before the opening, a wave comes with it, the rest come evenly after it.
    ClickDay {
        /// The opening.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        t0_s: f64,
        /// Share that comes before it.
        #[schemars(range(min = 0.0, max = 1.0))]
        before: f64,
        /// Share of the first wave; what is left of 1 comes evenly from the opening to `to_s`.
        #[schemars(range(min = 0.0, max = 1.0))]
        first: f64,
        /// Mean time before the opening of those who come before.
        #[schemars(range(max = 2_592_000.0), extend("exclusiveMinimum" = 0.0))]
        theta_s: f64,
        /// Mean time after the opening of the first wave.
        #[schemars(range(max = 2_592_000.0), extend("exclusiveMinimum" = 0.0))]
        tau_s: f64,
        /// Until when the rest come.
        #[schemars(range(min = 0.0, max = 2_592_000.0))]
        to_s: f64,
    },
}

/// A stretch of `steps`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// How long it lasts, in seconds.
    #[schemars(range(max = 2_592_000.0), extend("exclusiveMinimum" = 0.0))]
    pub for_s: f64,
    /// Arrivals a second, relative to the other stretches.
    #[schemars(range(min = 0.0, max = 10_000_000.0))]
    pub per_s: f64,
}

/// A law, and which share of the people follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Share, between 0 and 1; all of an arrival's sum to 1.
    pub share: f64,
    /// The law.
    pub law: ArrivalLaw,
}

/// When the people of a class come. Never without a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival(pub Vec<Part>);

impl Arrival {
    /// Everybody by one law.
    #[must_use]
    pub fn one(law: ArrivalLaw) -> Self {
        Self(vec![Part { share: 1.0, law }])
    }

    /// One arrival.
    pub fn draw(&self, chance: &mut Chance) -> Duration {
        let part = match self.0.as_slice() {
            // No draw where there is no choice.
            [only] => Some(only),
            parts => {
                let shares: Vec<f64> = parts.iter().map(|part| part.share).collect();
                parts.get(chance.weighted(&shares))
            }
        };
        seconds(part.map_or(0.0, |part| part.law.draw(chance)))
    }

    /// Which share of the people has come by `t_s`, between 0 and 1.
    #[must_use]
    pub fn come_by(&self, t_s: f64) -> f64 {
        self.0.iter().map(|part| part.share * part.law.come_by(t_s)).sum::<f64>().clamp(0.0, 1.0)
    }
}

impl ArrivalLaw {
    fn draw(&self, chance: &mut Chance) -> f64 {
        match self {
            Self::Uniform { from_s, to_s } => chance.between(*from_s, *to_s),
            Self::ExpAfter { at_s, mean_s } => at_s + chance.exponential(*mean_s),
            Self::ExpBefore { at_s, mean_s } => before(*at_s, *mean_s, chance.unit()),
            Self::Steps { from_s, stretches } => {
                let weights: Vec<f64> =
                    stretches.iter().map(|stretch| stretch.for_s * stretch.per_s).collect();
                let chosen = chance.weighted(&weights);
                let begins: f64 = stretches.iter().take(chosen).map(|stretch| stretch.for_s).sum();
                let lasts = stretches.get(chosen).map_or(0.0, |stretch| stretch.for_s);
                from_s + begins + chance.between(0.0, lasts)
            }
            Self::Day { from_s, to_s, midnight_s } => {
                let (low, high) = (day_curve(midnight_s + from_s), day_curve(midnight_s + to_s));
                day_time(chance.between(low, high)) - midnight_s
            }
            Self::ClickDay { t0_s, before: early, first, theta_s, tau_s, to_s } => {
                match chance.weighted(&[*early, *first, (1.0 - early - first).max(0.0)]) {
                    0 => before(*t0_s, *theta_s, chance.unit()),
                    1 => t0_s + chance.exponential(*tau_s),
                    _ => chance.between(*t0_s, *to_s),
                }
            }
        }
    }

    fn come_by(&self, t_s: f64) -> f64 {
        let flat = |from: f64, to: f64| {
            if t_s >= to { 1.0 } else { ((t_s - from) / (to - from).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) }
        };
        match self {
            Self::Uniform { from_s, to_s } => flat(*from_s, *to_s),
            Self::ExpAfter { at_s, mean_s } => after_by(*at_s, *mean_s, t_s),
            Self::ExpBefore { at_s, mean_s } => before_by(*at_s, *mean_s, t_s),
            Self::Steps { from_s, stretches } => {
                let total: f64 = stretches.iter().map(|stretch| stretch.for_s * stretch.per_s).sum();
                let mut begins = *from_s;
                let mut come = 0.0;
                for stretch in stretches {
                    come += stretch.per_s * (t_s - begins).clamp(0.0, stretch.for_s);
                    begins += stretch.for_s;
                }
                come / total.max(f64::MIN_POSITIVE)
            }
            Self::Day { from_s, to_s, midnight_s } => {
                let (low, high) = (day_curve(midnight_s + from_s), day_curve(midnight_s + to_s));
                let now = day_curve(midnight_s + t_s.clamp(*from_s, *to_s));
                if t_s >= *to_s { 1.0 } else { (now - low) / (high - low).max(f64::MIN_POSITIVE) }
            }
            Self::ClickDay { t0_s, before, first, theta_s, tau_s, to_s } => {
                before * before_by(*t0_s, *theta_s, t_s)
                    + first * after_by(*t0_s, *tau_s, t_s)
                    + (1.0 - before - first).max(0.0) * flat(*t0_s, *to_s)
            }
        }
    }
}

/// A time before `at`, by inversion; whoever would have come before the start is drawn among the rest.
fn before(at: f64, mean: f64, unit: f64) -> f64 {
    let earliest = (-at / mean).exp();
    at + mean * (earliest + (1.0 - earliest) * (1.0 - unit)).max(f64::MIN_POSITIVE).ln()
}

fn before_by(at: f64, mean: f64, t: f64) -> f64 {
    if t >= at {
        return 1.0;
    }
    let earliest = (-at / mean).exp();
    ((((t.max(0.0) - at) / mean).exp() - earliest) / (1.0 - earliest).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

fn after_by(at: f64, mean: f64, t: f64) -> f64 {
    if t <= at { 0.0 } else { 1.0 - (-(t - at) / mean).exp() }
}

/// Visits, in days' worth, from midnight of the first day to `s` seconds after it.
fn day_curve(s: f64) -> f64 {
    let total: f64 = ORDINARY_DAY.iter().sum();
    let days = (s / 86_400.0).floor();
    let mut left = s - days * 86_400.0;
    let mut visits = 0.0;
    for share in ORDINARY_DAY {
        visits += share * (left.clamp(0.0, HOUR_S) / HOUR_S);
        left -= HOUR_S;
    }
    days + visits / total
}

/// The inverse of `day_curve`.
fn day_time(visits: f64) -> f64 {
    let total: f64 = ORDINARY_DAY.iter().sum();
    let days = visits.floor();
    let mut left = (visits - days) * total;
    let mut s = days * 86_400.0;
    for share in ORDINARY_DAY {
        if left <= share {
            return s + left / share * HOUR_S;
        }
        left -= share;
        s += HOUR_S;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laws() -> Vec<Arrival> {
        use ArrivalLaw::*;
        let stretches = vec![
            Stretch { for_s: 10.0, per_s: 11.0 },
            Stretch { for_s: 20.0, per_s: 60.0 },
            Stretch { for_s: 3.0, per_s: 180.0 },
        ];
        vec![
            Arrival::one(Uniform { from_s: 2.0, to_s: 12.0 }),
            Arrival::one(ExpAfter { at_s: 5.0, mean_s: 3.0 }),
            Arrival::one(ExpBefore { at_s: 5.0, mean_s: 3.0 }),
            Arrival::one(Steps { from_s: 1.0, stretches }),
            Arrival::one(Day { from_s: 0.0, to_s: 100_000.0, midnight_s: 20_000.0 }),
            Arrival::one(ClickDay {
                t0_s: 600.0,
                before: 0.55,
                first: 0.3,
                theta_s: 600.0,
                tau_s: 150.0,
                to_s: 7_200.0,
            }),
            Arrival(vec![
                Part { share: 0.6, law: Uniform { from_s: 0.0, to_s: 5.0 } },
                Part { share: 0.4, law: ExpAfter { at_s: 5.0, mean_s: 1.0 } },
            ]),
        ]
    }

    /// Kolmogorov and Smirnov: what is drawn follows the share that is said, for every law.
    #[test]
    fn who_is_drawn_comes_when_the_share_says() {
        for law in laws() {
            let mut chance = Chance::new(9, 1);
            let mut times: Vec<f64> = (0..20_000).map(|_| law.draw(&mut chance).as_secs_f64()).collect();
            times.sort_unstable_by(f64::total_cmp);
            let furthest = times
                .iter()
                .enumerate()
                .map(|(index, time)| (law.come_by(*time) - index as f64 / 20_000.0).abs())
                .fold(0.0, f64::max);
            // The 1 % point for 20,000 is 0.0115.
            assert!(furthest < 0.0115, "{law:?}: {furthest}");
            assert!(times[0] >= 0.0 && law.come_by(1e9) > 0.999_999, "{law:?}");
        }
    }

    #[test]
    fn nobody_comes_before_the_start_or_after_the_end() {
        for law in laws() {
            assert!(law.come_by(0.0) < 1e-9, "{law:?}");
        }
        let narrow = Arrival::one(ArrivalLaw::ExpBefore { at_s: 0.0, mean_s: 3.0 });
        assert_eq!(narrow.draw(&mut Chance::new(1, 1)), Duration::ZERO);
    }

    #[test]
    fn the_busiest_hour_has_a_tenth_of_the_day() {
        let day = Arrival::one(ArrivalLaw::Day { from_s: 0.0, to_s: 86_400.0, midnight_s: 0.0 });
        let busiest = (0..24)
            .map(|hour| f64::from(hour) * HOUR_S)
            .map(|from| day.come_by(from + HOUR_S) - day.come_by(from))
            .fold(0.0, f64::max);
        assert!((busiest - 0.1).abs() < 0.001, "{busiest}");
    }
}
