//! Axes: a range, its ticks, and how they are labelled.

use super::show::thousands;

/// What an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things.
    Count,
    /// Seconds; long ones are written as minutes or hours.
    Seconds,
    /// Shares, as percent.
    Share,
}

/// One axis from `least` to `most`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// What it shows, in words.
    pub(super) label: String,
    /// In which unit.
    pub(super) unit: Unit,
    /// Where it begins.
    pub(super) least: f64,
    /// Where it ends.
    pub(super) most: f64,
    /// Whether each step is ten times the last.
    pub(super) log: bool,
}

impl Axis {
    /// From zero to a round number at or above `most`.
    #[must_use]
    pub(super) fn linear(label: &str, unit: Unit, most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let scale = scale(unit, most).0;
        let step = step(most / scale) * scale;
        Self { label: label.to_owned(), unit, least: 0.0, most: (most / step).ceil() * step, log: false }
    }

    /// In decades that hold all of `values` above zero.
    #[must_use]
    pub(super) fn decades(label: &str, unit: Unit, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| *value > 0.0 && value.is_finite())
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
        let least = 10_f64.powf((low.log10() + 1e-9).floor());
        let most = 10_f64.powf((high.log10() - 1e-9).ceil()).max(least * 10.0);
        Self { label: label.to_owned(), unit, least, most, log: true }
    }

    /// Where a value lies, 0 at the beginning and 1 at the end; what is outside lies on the edge.
    #[must_use]
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.least) / self.least).ln() / (self.most / self.least).ln()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        share.clamp(0.0, 1.0)
    }

    /// The ticks with their labels.
    #[must_use]
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let (scale, suffix) = scale(self.unit, self.most);
        if self.log {
            let decades = (self.most / self.least).log10().round();
            let every = (decades / 6.0).ceil().max(1.0);
            let at = |n: f64| self.least * 10_f64.powf(n * every);
            let tick = |n: u32| (at(f64::from(n)), label_log(self.unit, at(f64::from(n))));
            return (0..=6).map(tick).filter(|(at, _)| *at <= self.most * 1.001).collect();
        }
        let step = step(self.most / scale) * scale;
        let digits = usize::from(step / scale < 0.95) + usize::from(step / scale < 0.095);
        (0..=12)
            .map(|n| f64::from(n) * step)
            .filter(|at| *at <= self.most * 1.001)
            .map(|at| {
                let number = match self.unit {
                    Unit::Count => thousands_of(at),
                    Unit::Seconds | Unit::Share => format!("{:.digits$}", at / scale),
                };
                (at, format!("{number}{suffix}"))
            })
            .collect()
    }

    /// The label with the unit.
    #[must_use]
    pub(super) fn title(&self) -> String {
        let unit = match (self.unit, self.log) {
            (Unit::Seconds, false) => match scale(self.unit, self.most).0 {
                s if s < 1.5 => " (s)",
                s if s < 100.0 => " (min)",
                _ => " (h)",
            },
            (Unit::Seconds | Unit::Count | Unit::Share, _) => "",
        };
        format!("{}{unit}", self.label)
    }
}

/// By what ticks are divided, and what is written behind each.
fn scale(unit: Unit, most: f64) -> (f64, &'static str) {
    match unit {
        Unit::Count => (1.0, ""),
        Unit::Share => (0.01, " %"),
        Unit::Seconds if most <= 180.0 => (1.0, ""),
        Unit::Seconds if most <= 3.0 * 3_600.0 => (60.0, ""),
        Unit::Seconds => (3_600.0, ""),
    }
}

/// A round step that divides `most` into four to eight.
fn step(most: f64) -> f64 {
    let rough = most / 5.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let digit = rough / decade;
    let round = match digit {
        digit if digit <= 1.0 => 1.0,
        digit if digit <= 2.0 => 2.0,
        digit if digit <= 5.0 => 5.0,
        _ => 10.0,
    };
    round * decade
}

fn label_log(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => thousands_of(value),
        Unit::Share => format!("{} %", value * 100.0),
        Unit::Seconds if value < 0.000_95 => format!("{:.0} µs", value * 1e6),
        Unit::Seconds if value < 0.95 => format!("{:.0} ms", value * 1e3),
        Unit::Seconds => format!("{value:.0} s"),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ticks are whole, small and not negative"
)]
fn thousands_of(value: f64) -> String {
    match value {
        value if value >= 1e6 && (value / 1e5).fract().abs() < 1e-6 => {
            let millions = value / 1e6;
            if millions.fract() < 1e-6 { format!("{millions:.0} M") } else { format!("{millions:.1} M") }
        }
        value if value < 1.0 && value > 0.0 => format!("{value:.1}"),
        value => thousands(value.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_reach_the_end() {
        let axis = Axis::linear("people", Unit::Count, 1_136.0);
        assert_eq!(labels(&axis), ["0", "500", "1,000", "1,500"]);
        assert!((axis.ticks().last().unwrap().0 - axis.most).abs() < 1e-9);
        let share = Axis::linear("goodput", Unit::Share, 1.0);
        assert_eq!(labels(&share), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        let few = Axis::linear("people", Unit::Count, 0.0);
        assert!(few.most > 0.0);
    }

    #[test]
    fn long_times_are_in_longer_units() {
        let day = Axis::linear("time", Unit::Seconds, 25_000.0);
        assert_eq!((labels(&day)[1].as_str(), day.title().as_str()), ("2", "time (h)"));
        let minute = Axis::linear("time", Unit::Seconds, 42.0);
        assert_eq!((labels(&minute)[1].as_str(), minute.title().as_str()), ("10", "time (s)"));
        let hour = Axis::linear("time", Unit::Seconds, 3_000.0);
        assert_eq!((labels(&hour)[1].as_str(), hour.title().as_str()), ("10", "time (min)"));
    }

    #[test]
    fn decades_hold_all_values() {
        let axis = Axis::decades("latency", Unit::Seconds, [0.004, 31.0, 0.0].into_iter());
        assert_eq!(labels(&axis), ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]);
        assert!(axis.place(0.0) < 1e-9 && axis.place(1e9) > 0.999);
        assert!((axis.place(0.1) - 0.4).abs() < 1e-9);
        assert!(labels(&Axis::decades("n", Unit::Count, std::iter::empty())).len() >= 2);
        let wide = Axis::decades("n", Unit::Count, [1.0, 1e12].into_iter());
        assert!(labels(&wide).len() <= 7);
    }
}
