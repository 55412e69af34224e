//! How well one order was kept in another: Kendall's rank correlation.
//!
//! τ = (concordant − discordant) / (n·(n−1)/2), pairs tied in either order counting as neither. 1 is
//! the same order, 0 is none, −1 the reverse. Knight's method: sort by the first, count the
//! inversions of the second while merging; O(n log n).

use std::cmp::Ordering;

/// τ of pairs (first, second). `None` for fewer than two pairs.
#[must_use]
pub fn kendall_tau<T: Ord + Copy>(pairs: &[(T, T)]) -> Option<f64> {
    let all = choose_two(pairs.len());
    if all == 0 {
        return None;
    }
    let mut sorted = pairs.to_vec();
    sorted.sort_unstable();
    let tied_first = tied(&sorted, |a, b| a.0 == b.0);
    let tied_both = tied(&sorted, |a, b| a == b);
    let mut seconds: Vec<T> = sorted.iter().map(|pair| pair.1).collect();
    let discordant = inversions(&mut seconds);
    // The merge sort left them in order.
    let tied_second = tied(&seconds, |a, b| a == b);
    let untied = all + tied_both - tied_first - tied_second;
    let concordant = untied - discordant;
    Some((concordant as f64 - discordant as f64) / all as f64)
}

/// Most pairs that came later and were let in before one: the worst that happened to anybody. Pairs as
/// above; equal times are no overtaking.
#[must_use]
pub fn overtakes_max<T: Ord + Copy>(pairs: &[(T, T)]) -> u64 {
    let mut by_arrival = pairs.to_vec();
    by_arrival.sort_unstable();
    let mut seconds: Vec<T> = pairs.iter().map(|pair| pair.1).collect();
    seconds.sort_unstable();
    seconds.dedup();
    // A Fenwick tree over the second order, filled from the last to arrive to the first.
    let mut tree = vec![0_u64; seconds.len() + 1];
    let mut worst = 0;
    for together in by_arrival.chunk_by(|a, b| a.0 == b.0).rev() {
        for pair in together {
            let mut index = seconds.partition_point(|second| *second < pair.1);
            let mut before = 0;
            while index > 0 {
                before += tree.get(index).copied().unwrap_or(0);
                index &= index - 1;
            }
            worst = worst.max(before);
        }
        for pair in together {
            let mut index = seconds.partition_point(|second| *second < pair.1) + 1;
            while let Some(count) = tree.get_mut(index) {
                *count += 1;
                index += index & index.wrapping_neg();
            }
        }
    }
    worst
}

/// Ranks from 0 of the first and of the second, in the order of `pairs`; equal ones in their order.
#[must_use]
pub fn ranks<T: Ord + Copy>(pairs: &[(T, T)]) -> Vec<(u32, u32)> {
    let ranked = |key: fn(&(T, T)) -> T| {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|index| pairs.get(*index).map(key));
        let mut ranks = vec![0_u32; pairs.len()];
        for (rank, index) in (0..).zip(order) {
            if let Some(place) = ranks.get_mut(index) {
                *place = rank;
            }
        }
        ranks
    };
    ranked(|pair| pair.0).into_iter().zip(ranked(|pair| pair.1)).collect()
}

fn choose_two(n: usize) -> u64 {
    let n = n as u64;
    n * n.saturating_sub(1) / 2
}

/// Pairs of equal neighbours' runs in a sorted slice.
fn tied<T>(sorted: &[T], equal: impl Fn(&T, &T) -> bool) -> u64 {
    sorted.chunk_by(equal).map(|run| choose_two(run.len())).sum()
}

/// Pairs that stand in strictly falling order; sorts the slice on the way.
fn inversions<T: Ord + Copy>(items: &mut [T]) -> u64 {
    if items.len() < 2 {
        return 0;
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    let mut count = inversions(left) + inversions(right);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    while let (Some(a), Some(b)) = (l.peek(), r.peek()) {
        if a.cmp(b) == Ordering::Greater {
            count += l.len() as u64;
            merged.extend(r.next());
        } else {
            merged.extend(l.next());
        }
    }
    merged.extend(l);
    merged.extend(r);
    items.copy_from_slice(&merged);
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::chance::Chance;

    fn slow(pairs: &[(u64, u64)]) -> f64 {
        let mut sum = 0_i64;
        for (i, a) in pairs.iter().enumerate() {
            for b in &pairs[i + 1..] {
                sum += match (a.0.cmp(&b.0), a.1.cmp(&b.1)) {
                    (Ordering::Equal, _) | (_, Ordering::Equal) => 0,
                    (x, y) if x == y => 1,
                    _ => -1,
                };
            }
        }
        sum as f64 / choose_two(pairs.len()) as f64
    }

    #[test]
    fn the_extremes() {
        let up: Vec<(u64, u64)> = (0..100).map(|i| (i, i)).collect();
        let down: Vec<(u64, u64)> = (0..100).map(|i| (i, 100 - i)).collect();
        assert!((kendall_tau(&up).unwrap() - 1.0).abs() < 1e-12);
        assert!((kendall_tau(&down).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(kendall_tau::<u64>(&[]), None);
        assert_eq!(kendall_tau(&[(1, 1)]), None);
    }

    #[test]
    fn one_swap_of_neighbours_costs_two_over_all_pairs() {
        let pairs = [(1, 1), (2, 3), (3, 2), (4, 4)];
        assert!((kendall_tau(&pairs).unwrap() - (5.0 - 1.0) / 6.0).abs() < 1e-12);
    }

    #[test]
    fn the_worst_overtaken_is_found() {
        let slow = |pairs: &[(u64, u64)]| {
            let before = |a: &(u64, u64)| pairs.iter().filter(|b| b.0 > a.0 && b.1 < a.1).count() as u64;
            pairs.iter().map(before).max().unwrap_or(0)
        };
        assert_eq!(overtakes_max(&[(1, 9), (2, 2), (3, 3), (4, 9), (5, 5)]), 3);
        assert_eq!(overtakes_max::<u64>(&[]), 0);
        for stream in 0..50 {
            let mut chance = Chance::new(4, stream);
            let pairs: Vec<(u64, u64)> =
                (0..60).map(|_| (chance.below(30) as u64, chance.below(30) as u64)).collect();
            assert_eq!(overtakes_max(&pairs), slow(&pairs));
        }
    }

    #[test]
    fn ranks_are_places_in_line() {
        assert_eq!(ranks(&[(5, 50), (3, 70), (9, 10)]), [(1, 1), (0, 2), (2, 0)]);
    }

    #[test]
    fn it_agrees_with_the_definition_ties_included() {
        for stream in 0..50 {
            let mut chance = Chance::new(3, stream);
            let pairs: Vec<(u64, u64)> =
                (0..60).map(|_| (chance.below(30) as u64, chance.below(30) as u64)).collect();
            assert!((kendall_tau(&pairs).unwrap() - slow(&pairs)).abs() < 1e-12);
        }
    }
}
