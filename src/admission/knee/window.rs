//! What was seen between two moments, and Little's law on it.

use crate::admission::law::{Load, ROUTE_CLASSES};
use crate::admission::moment::Moment;

use super::class::Cost;

/// Sums of one window.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) opened: Moment,
    at: Load,
    /// Answers with a known baseline.
    answers: u32,
    at_cap: u32,
    excess: f64,
    excess_squared: f64,
    /// Requests finished well, and those dropped.
    pub(super) served: u32,
    /// The same, by class.
    kinds: [u32; ROUTE_CLASSES],
    pub(super) drops: u32,
    plain: f64,
    plain_squared: f64,
    baseline: f64,
}

/// A window in the terms that decide.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// Seconds that it lasted.
    pub(super) seconds: f64,
    /// Answers that tell a wait.
    pub(super) answers: u32,
    /// Requests served a second.
    pub(super) throughput: f64,
    /// The same, each counted by what one of its class costs: what is compared, because after a moment
    /// people may ask for dearer things. See [`Reading::priced`].
    pub(super) output: f64,
    /// Standard deviation of these costs over their mean.
    pub(super) unlike: f64,
    /// Requests served, by class.
    pub(super) kinds: Kinds,
    /// Mean unfinished.
    pub(super) in_flight: f64,
    /// Mean number of those in flight that wait at the upstream instead of being worked on; below 0 if
    /// answers are quicker than the baselines say.
    pub(super) queue: f64,
    /// Standard error of it.
    pub(super) queue_error: f64,
    /// Mean wait, seconds.
    pub(super) wait: f64,
    /// Most answers took longer than can be told apart.
    pub(super) saturated: bool,
    /// Standard deviation of times to first byte over their mean.
    pub(super) spread: f64,
    /// Mean of the baselines that count, seconds.
    pub(super) baseline: f64,
    /// The limit held somebody back.
    pub(super) limited: bool,
    /// Part of the time in which less than the limit was in flight.
    pub(super) slack: f64,
    /// Drops over all that ended.
    pub(super) dropped: f64,
    pub(super) drops: u32,
}

impl Reading {
    /// Mean number of those in flight that were worked on; never 0.
    pub(super) fn at_work(&self) -> f64 {
        (self.in_flight - self.queue.max(0.0)).max(0.1)
    }

    /// The same window with its output at these prices, one for each class. A class whose price is not known
    /// costs as much as the others in the window do on average.
    pub(super) fn priced(mut self, prices: &Prices) -> Self {
        let known = || {
            let priced = self.kinds.0.iter().zip(prices.0);
            priced.filter_map(|(count, price)| price.map(|price| (f64::from(*count), price)))
        };
        let count = known().map(|(count, _)| count).sum::<f64>();
        let mean = if count > 0.0 {
            known().map(|(count, price)| count * price).sum::<f64>() / count
        } else {
            prices.on_average()
        };
        let squares = known().map(|(count, price)| count * (price - mean).powi(2)).sum::<f64>();
        self.unlike = (squares / count.max(1.0)).sqrt() / mean;
        self.output = self.throughput * mean;
        self
    }
}

/// What a request of each class costs, where that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prices(pub(super) [Option<f64>; ROUTE_CLASSES]);

impl Prices {
    /// Of those that are known; 1 if none is. Never 0.
    fn on_average(&self) -> f64 {
        let known = || self.0.iter().flatten();
        let count = known().count();
        if count == 0 { 1.0 } else { (known().sum::<f64>() / count as f64).max(1e-9) }
    }
}

/// How many requests of each class were served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds([u32; ROUTE_CLASSES]);

impl Default for Kinds {
    fn default() -> Self {
        Self([0; ROUTE_CLASSES])
    }
}

/// Full for this part of the window: limited.
const FULL: f64 = 0.3;

impl Window {
    pub(super) fn new(opened: Moment, at: Load) -> Self {
        Self {
            opened,
            at,
            answers: 0,
            at_cap: 0,
            excess: 0.0,
            excess_squared: 0.0,
            served: 0,
            kinds: [0; ROUTE_CLASSES],
            drops: 0,
            plain: 0.0,
            plain_squared: 0.0,
            baseline: 0.0,
        }
    }

    /// A request of a class was served.
    pub(super) fn serve(&mut self, class: usize) {
        self.served += 1;
        if let Some(kind) = self.kinds.get_mut(class) {
            *kind += 1;
        }
    }

    /// An answer that took so many seconds.
    pub(super) fn answer(&mut self, seconds: f64, cost: Option<Cost>) {
        self.plain += seconds;
        self.plain_squared += seconds * seconds;
        let Some(cost) = cost else { return };
        let excess = cost.capped - cost.baseline;
        self.answers += 1;
        self.at_cap += u32::from(cost.at_cap);
        self.excess += excess;
        self.excess_squared += excess * excess;
        self.baseline += cost.baseline;
    }

    pub(super) fn seconds(&self, now: Moment) -> f64 {
        now.since(self.opened).as_secs_f64()
    }

    /// The window as it stands.
    pub(super) fn read(&self, load: &Load, now: Moment) -> Reading {
        let seconds = self.seconds(now).max(1e-9);
        let count = f64::from(self.answers).max(1.0);
        let served = f64::from(self.served);
        let (throughput, in_flight) = (served / seconds, (load.area - self.at.area) / seconds);
        // A wait shows whole in every answer below the cap, and not at all in the others.
        let telling = (1.0 - f64::from(self.at_cap) / count).max(0.25);
        let mean = self.excess / count;
        let deviation = (self.excess_squared / count - mean * mean).max(0.0).sqrt();
        let wait = mean / telling;
        let plain = self.plain / served.max(1.0);
        let variance = (self.plain_squared / served.max(1.0) - plain * plain).max(0.0);
        Reading {
            seconds,
            answers: self.answers,
            throughput,
            output: throughput,
            unlike: 0.0,
            kinds: Kinds(self.kinds),
            in_flight,
            queue: (throughput * wait).min(in_flight),
            queue_error: throughput * deviation / telling / count.sqrt(),
            wait,
            saturated: self.answers > 0 && f64::from(self.at_cap) > 0.7 * count,
            spread: if plain > 0.0 { variance.sqrt() / plain } else { 0.0 },
            baseline: self.baseline / count,
            limited: load.held_back > self.at.held_back || (load.full - self.at.full) / seconds > FULL,
            slack: (1.0 - (load.full - self.at.full) / seconds).clamp(0.0, 1.0),
            dropped: f64::from(self.drops) / f64::from((self.drops + self.served).max(1)),
            drops: self.drops,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A second in which so many of each class were served.
    fn second<const N: usize>(served: [usize; N]) -> Reading {
        let mut window = Window::new(Moment(0), Load::default());
        for (class, count) in served.into_iter().enumerate() {
            (0..count).for_each(|_| window.serve(class));
        }
        window.read(&Load::default(), Moment(0).after(Duration::from_secs(1)))
    }

    fn prices<const N: usize>(first: [Option<f64>; N]) -> Prices {
        Prices(std::array::from_fn(|class| first.get(class).copied().flatten()))
    }

    #[test]
    fn half_as_many_that_cost_twice_as_much_are_as_much() {
        let (cheap, dear) = (second([90, 5]), second([10, 45]));
        let priced = |reading: Reading| reading.priced(&prices([Some(1.0), Some(2.0)])).output;
        assert!((priced(cheap) - priced(dear)).abs() < 1e-9);
        assert!((dear.output - 55.0).abs() < 1e-9 && (cheap.throughput - 95.0).abs() < 1e-9);
        assert!(priced(second([0, 0])).abs() < 1e-9);
    }

    #[test]
    fn what_has_no_price_yet_costs_what_others_do_and_moves_nothing() {
        let prices = prices([Some(0.02), Some(2.0), None]);
        let without = second([300, 0, 0]).priced(&prices);
        let with = second([297, 0, 3]).priced(&prices);
        assert!((without.output - with.output).abs() < 1e-9, "as if the idle dear class were not there");
        assert!(without.unlike < 1e-9);
        let none = second([5, 0, 0]).priced(&Prices([None; ROUTE_CLASSES]));
        assert!((none.output - 5.0).abs() < 1e-9);
    }

    #[test]
    fn one_dear_answer_among_a_thousand_makes_the_output_doubtful() {
        let priced = second([1_000, 1]).priced(&prices([Some(0.02), Some(10.0)]));
        assert!((10.0..11.0).contains(&priced.unlike), "{}", priced.unlike);
    }
}
