//! What a run leaves behind, and the measures that are taken of it.

use super::setting::Setting;

/// Counts of one stretch of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bin {
    pub(crate) offered: f64,
    pub(crate) good: f64,
    pub(crate) answered: f64,
    pub(crate) refused: f64,
    pub(crate) failed: f64,
}

/// Counts by time, limits by tick, and how long answers took.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    width: f64,
    slo: f64,
    pub(crate) bins: Vec<Bin>,
    /// By gateway: time and limit.
    pub(crate) limits: Vec<Vec<(f64, u32)>>,
    /// When asked, and seconds.
    pub(crate) latencies: Vec<(f64, f32)>,
    capacities: Vec<(f64, f64)>,
}

impl Trace {
    pub(crate) fn new(setting: &Setting) -> Self {
        let width = (5.0 * setting.beat).max(setting.horizon / 4_000.0);
        let count = (setting.horizon / width).ceil() as usize + 1;
        Self {
            width,
            slo: setting.slo,
            bins: vec![Bin::default(); count],
            limits: vec![Vec::new(); setting.gateways],
            latencies: Vec::new(),
            capacities: vec![(0.0, f64::from(setting.workers) / setting.service)],
        }
    }

    fn bin(&mut self, now: f64) -> &mut Bin {
        let place = (now / self.width) as usize;
        let last = self.bins.len() - 1;
        &mut self.bins[place.min(last)]
    }

    pub(crate) fn offered(&mut self, now: f64) {
        self.bin(now).offered += 1.0;
    }

    pub(crate) fn refused(&mut self, now: f64) {
        self.bin(now).refused += 1.0;
    }

    pub(crate) fn failed(&mut self, now: f64) {
        self.bin(now).failed += 1.0;
    }

    pub(crate) fn answered(&mut self, asked: f64, now: f64) {
        let took = now - asked;
        let good = took <= self.slo;
        let bin = self.bin(now);
        bin.answered += 1.0;
        bin.good += f64::from(u8::from(good));
        self.latencies.push((now, took as f32));
    }

    pub(crate) fn capacity(&mut self, now: f64, capacity: f64) {
        self.capacities.push((now, capacity));
    }

    pub(crate) fn limit(&mut self, gateway: usize, now: f64, limit: u32) {
        self.limits[gateway].push((now, limit));
    }

    fn capacity_at(&self, now: f64) -> f64 {
        self.capacities.iter().rev().find(|(at, _)| *at <= now).map_or(0.0, |(_, capacity)| *capacity)
    }

    fn between(&self, from: f64, to: f64) -> impl Iterator<Item = (f64, &Bin)> {
        let width = self.width;
        self.bins
            .iter()
            .enumerate()
            .map(move |(place, bin)| (place as f64 * width, bin))
            .filter(move |(at, _)| *at >= from - 1e-9 && at + width <= to + 1e-9)
    }

    /// G: answers in time over what could have been answered: the lesser of the demand and the
    /// capacity, over the whole stretch. `demand` of `None` is what was offered.
    pub(crate) fn goodput(&self, from: f64, to: f64) -> f64 {
        let (mut good, mut offered, mut capacity) = (0.0, 0.0, 0.0);
        for (at, bin) in self.between(from, to) {
            good += bin.good;
            offered += bin.offered;
            capacity += self.capacity_at(at + self.width / 2.0) * self.width;
        }
        good / offered.min(capacity).max(1.0)
    }

    /// G where the demand exceeds the capacity because those refused come again.
    pub(crate) fn goodput_of_capacity(&self, from: f64, to: f64) -> f64 {
        let (mut good, mut capacity) = (0.0, 0.0);
        for (at, bin) in self.between(from, to) {
            good += bin.good;
            capacity += self.capacity_at(at + self.width / 2.0) * self.width;
        }
        good / capacity.max(1.0)
    }

    /// W: answers that came too late to be of use, over all.
    pub(crate) fn waste(&self, from: f64, to: f64) -> f64 {
        let (mut late, mut all) = (0.0, 0.0);
        for (_, bin) in self.between(from, to) {
            late += bin.answered - bin.good;
            all += bin.answered;
        }
        late / f64::max(all, 1.0)
    }

    /// The time within which this part of the answers came, seconds from asking.
    pub(crate) fn percentile(&self, from: f64, to: f64, part: f64) -> f64 {
        let mut took: Vec<f32> =
            self.latencies.iter().filter(|(at, _)| *at >= from && *at < to).map(|(_, took)| *took).collect();
        if took.is_empty() {
            return f64::NAN;
        }
        let place = ((took.len() - 1) as f64 * part) as usize;
        f64::from(*took.select_nth_unstable_by(place, f32::total_cmp).1)
    }

    /// C: seconds from an event until goodput is at least 90 % of the ideal for `steady` seconds.
    pub(crate) fn converged(&self, from: f64, to: f64, steady: f64) -> f64 {
        let mut at = from;
        while at + steady <= to {
            if self.goodput(at, at + steady) >= 0.9 {
                return at - from;
            }
            at += self.width;
        }
        f64::INFINITY
    }

    /// Limits of one gateway.
    pub(crate) fn limits(&self, gateway: usize, from: f64, to: f64) -> Vec<f64> {
        self.limits[gateway]
            .iter()
            .filter(|(at, _)| *at >= from && *at < to)
            .map(|(_, limit)| f64::from(*limit))
            .collect()
    }

    /// Mean limit of one gateway.
    pub(crate) fn mean_limit(&self, gateway: usize, from: f64, to: f64) -> f64 {
        let limits = self.limits(gateway, from, to);
        limits.iter().sum::<f64>() / (limits.len() as f64).max(1.0)
    }

    /// Limit that half of the looks were below.
    pub(crate) fn median_limit(&self, gateway: usize, from: f64, to: f64) -> f64 {
        let mut limits = self.limits(gateway, from, to);
        limits.sort_by(f64::total_cmp);
        limits.get(limits.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// O: standard deviation of the limit over its mean.
    pub(crate) fn swing(&self, from: f64, to: f64) -> f64 {
        let limits = self.limits(0, from, to);
        let mean = limits.iter().sum::<f64>() / limits.len() as f64;
        let variance = limits.iter().map(|limit| (limit - mean).powi(2)).sum::<f64>() / limits.len() as f64;
        variance.sqrt() / mean
    }
}
