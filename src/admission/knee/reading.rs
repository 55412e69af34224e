//! A window in the terms that decide.

use super::price::{Kinds, Prices};

/// Relative standard error of what was served that is small enough for comparisons.
const COUNTED: f64 = 0.06;

/// Part of the answers at the cap from which on all are taken to wait.
pub(super) const SATURATED: f64 = 0.7;

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
    /// Part of the answers that took longer than can be told apart.
    pub(super) capped: f64,
    /// Most did.
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
    /// This window and the one after it, as one.
    pub(super) fn and(&self, after: &Self) -> Self {
        let seconds = self.seconds + after.seconds;
        let part = after.seconds / seconds.max(1e-9);
        let mean = |this: f64, that: f64| this + part * (that - this);
        let mut kinds = self.kinds;
        for (count, more) in kinds.0.iter_mut().zip(after.kinds.0) {
            *count += more;
        }
        Self {
            seconds,
            answers: self.answers + after.answers,
            throughput: mean(self.throughput, after.throughput),
            output: mean(self.output, after.output),
            unlike: mean(self.unlike, after.unlike),
            kinds,
            in_flight: mean(self.in_flight, after.in_flight),
            queue: mean(self.queue, after.queue),
            queue_error: ((1.0 - part) * self.queue_error).hypot(part * after.queue_error),
            wait: mean(self.wait, after.wait),
            capped: mean(self.capped, after.capped),
            saturated: mean(self.capped, after.capped) > SATURATED,
            spread: mean(self.spread, after.spread),
            baseline: mean(self.baseline, after.baseline),
            limited: self.limited && after.limited,
            slack: mean(self.slack, after.slack),
            dropped: mean(self.dropped, after.dropped),
            drops: self.drops + after.drops,
        }
    }

    /// So many were served that their number can be compared.
    pub(super) fn is_counted(&self) -> bool {
        self.throughput * self.seconds >= (self.spread.clamp(0.3, 2.0) / COUNTED).powi(2)
    }

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
