//! How values are spread: percentiles, bars, and fewer points where there are too many.

use super::summary::{BINS, Bin};

/// Narrowest bar, in seconds.
const WIDTH_LEAST_S: f64 = 1.0 / 1_024.0;

/// The smallest value that at least `percent` % of all do not exceed. Values in rising order.
#[must_use]
pub fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The values in rising order.
#[must_use]
pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Bars of equal width from zero to beyond the greatest value, at most `BINS`. The width is a power of
/// two, so that bars of several legs can be laid on each other. None for no values.
#[must_use]
pub fn bins(values: &[f64]) -> Vec<Bin> {
    let most = values.iter().copied().fold(0.0, f64::max);
    if values.is_empty() {
        return Vec::new();
    }
    let mut width = WIDTH_LEAST_S;
    while most >= width * BINS as f64 {
        width *= 2.0;
    }
    let mut bins: Vec<Bin> = Vec::new();
    while bins.last().is_none_or(|bin| bin.to_s <= most) {
        let from_s = bins.len() as f64 * width;
        bins.push(Bin { from_s, to_s: from_s + width, people: 0 });
    }
    for value in values {
        let index = bins.partition_point(|bin| bin.to_s <= *value);
        if let Some(bin) = bins.get_mut(index) {
            bin.people += 1;
        }
    }
    bins
}

/// The same bars, `width_s` wide: a multiple of their own width.
#[must_use]
pub fn widened(bins: &[Bin], width_s: f64) -> Vec<Bin> {
    let mut wide: Vec<Bin> = Vec::new();
    for bin in bins {
        while wide.last().is_none_or(|last| last.to_s <= bin.from_s) {
            let from_s = wide.len() as f64 * width_s;
            wide.push(Bin { from_s, to_s: from_s + width_s, people: 0 });
        }
        if let Some(last) = wide.last_mut() {
            last.people += bin.people;
        }
    }
    wide
}

/// At most `most` of the items, evenly spread, the last among them.
#[must_use]
pub fn thinned<T: Clone>(items: &[T], most: usize) -> Vec<T> {
    let step = items.len().div_ceil(most.max(1)).max(1);
    let skip = (items.len().max(1) - 1) % step;
    items.iter().skip(skip).step_by(step).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), Some(100.0));
        assert_eq!(percentile(&values, 99), Some(198.0));
        assert_eq!(percentile(&values, 100), Some(200.0));
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(sorted([3.0, 1.0, 2.0].into_iter()), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn every_value_is_in_one_bar() {
        let values = [0.0, 0.5, 29.9, 30.0, 1.0];
        let bars = bins(&values);
        assert!(bars.len() <= BINS && bars.last().unwrap().to_s > 30.0);
        assert_eq!(bars.iter().map(|bar| bar.people).sum::<u64>(), 5);
        for bar in &bars {
            let inside = values.iter().filter(|value| (bar.from_s..bar.to_s).contains(value));
            assert_eq!(bar.people, inside.count() as u64, "{bar:?}");
        }
        assert!(bins(&[]).is_empty());
        assert_eq!(bins(&[0.0]).iter().map(|bar| bar.people).sum::<u64>(), 1);
    }

    #[test]
    fn bars_are_widened_without_losing_anybody() {
        let bars = bins(&[0.0, 0.5, 29.9, 30.0, 1.0]);
        let width = bars[0].to_s * 4.0;
        let wide = widened(&bars, width);
        assert_eq!(wide.iter().map(|bar| bar.people).sum::<u64>(), 5);
        assert_eq!((wide[0].people, wide[0].to_s), (3, width));
        assert_eq!(widened(&bars, bars[0].to_s), bars);
    }

    #[test]
    fn thinning_keeps_the_last() {
        let items: Vec<u32> = (0..1_001).collect();
        let few = thinned(&items, 100);
        assert!(few.len() <= 100 && few.len() > 80 && few.last() == Some(&1_000), "{}", few.len());
        assert_eq!(thinned(&items, 5_000), items);
        assert!(thinned::<u32>(&[], 5).is_empty());
    }
}
