//! What was seen between two moments, and Little's law on it.

use crate::admission::law::{Load, ROUTE_CLASSES};
use crate::admission::moment::Moment;

use super::class::Cost;
use super::price::Kinds;
use super::reading::{Reading, SATURATED};

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
            capped: f64::from(self.at_cap) / count,
            saturated: self.answers > 0 && f64::from(self.at_cap) > SATURATED * count,
            spread: if plain > 0.0 { variance.sqrt() / plain } else { 0.0 },
            baseline: self.baseline / count,
            limited: load.held_back > self.at.held_back || (load.full - self.at.full) / seconds > FULL,
            slack: (1.0 - (load.full - self.at.full) / seconds).clamp(0.0, 1.0),
            dropped: f64::from(self.drops) / f64::from((self.drops + self.served).max(1)),
            drops: self.drops,
        }
    }
}
