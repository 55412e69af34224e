//! Whether what must not matter did not: admissions per person, chances by trait, what bots got.

use std::collections::BTreeMap;

use super::summary::{Group, Parity};

/// Fewer people than this in a group say nothing of its chances.
const GROUP_MIN: u64 = 30;

/// Jain's index (Σx)² / (n·Σx²): 1 when everybody has the same, 1/n when one has all. `None` when
/// nobody has anything.
#[must_use]
pub fn jain(shares: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum, squares) =
        shares.fold((0.0, 0.0, 0.0), |(n, sum, squares), x| (n + 1.0, sum + x, squares + x * x));
    (squares > 0.0).then(|| sum * sum / (n * squares))
}

/// One person, as parity needs them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// Time to the goal of who reached it, in seconds.
    pub wait_s: Option<f64>,
    /// Ranks of arrival and admission of who was let in.
    pub ranks: Option<(u32, u32)>,
}

/// Chances by one trait: `people` with the name of the group that each belongs to.
#[must_use]
pub fn parity(by: &str, people: impl Iterator<Item = (String, Chance)>) -> Parity {
    #[derive(Default)]
    struct Sum {
        people: u64,
        served: u64,
        wait_s: f64,
        arrival: f64,
        admission: f64,
    }
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for (name, chance) in people {
        let sum = sums.entry(name).or_default();
        sum.people += 1;
        if let Some(wait_s) = chance.wait_s {
            sum.served += 1;
            sum.wait_s += wait_s;
        }
        if let Some((arrival, admission)) = chance.ranks {
            sum.arrival += f64::from(arrival);
            sum.admission += f64::from(admission);
        }
    }
    let group = |(name, sum): (String, Sum)| Group {
        name,
        people: sum.people,
        served: sum.served,
        mean_wait_s: (sum.served > 0).then(|| sum.wait_s / sum.served as f64),
        rank: (sum.arrival > 0.0).then(|| sum.admission / sum.arrival),
    };
    let groups: Vec<Group> = sums.into_iter().map(group).collect();
    let (mut served, mut rank) = (None, None);
    let big: Vec<&Group> = groups.iter().filter(|group| group.people >= GROUP_MIN).collect();
    if big.len() > 1 {
        served = least_over_most(big.iter().map(|group| Some(group.served as f64 / group.people as f64)));
        rank = least_over_most(big.iter().map(|group| group.rank));
    }
    Parity { by: by.to_owned(), groups, served, rank }
}

fn least_over_most(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    let values = values?;
    let most = values.iter().copied().fold(0.0, f64::max);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (most > 0.0).then(|| least / most)
}

/// Share of bots in what was handed out, over their share of identities.
#[must_use]
pub fn bot_gain(bots_got: f64, all_got: f64, bot_identities: u64, identities: u64) -> Option<f64> {
    if bot_identities == 0 || all_got <= 0.0 || identities == 0 {
        return None;
    }
    Some((bots_got / all_got) / (bot_identities as f64 / identities as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jain_is_one_for_equals_and_one_nth_for_a_king() {
        assert_eq!(jain([3.0; 7].into_iter()), Some(1.0));
        assert_eq!(jain([0.0, 0.0, 5.0, 0.0].into_iter()), Some(0.25));
        assert_eq!(jain([0.0; 4].into_iter()), None);
        assert_eq!(jain(std::iter::empty()), None);
    }

    fn crowd() -> impl Iterator<Item = (String, Chance)> {
        // Half of the forty with one device are served and late, all of the forty with two and early.
        (0_u32..80).map(|i| {
            let two = i % 2 == 0;
            let served = two || i % 4 == 1;
            let ranks = (i, if two { i / 2 } else { 40 + i / 2 });
            let name = if two { "2" } else { "1" };
            let chance = Chance { wait_s: served.then_some(4.0), ranks: Some(ranks) };
            (name.to_owned(), chance)
        })
    }

    #[test]
    fn unequal_chances_are_seen() {
        let parity = parity("devices", crowd());
        assert_eq!(parity.served, Some(0.5));
        assert!(parity.rank.unwrap() < 0.4, "{parity:?}");
        assert_eq!((parity.groups[0].people, parity.groups[0].served), (40, 20));
        assert_eq!(parity.groups[0].mean_wait_s, Some(4.0));
    }

    #[test]
    fn few_people_prove_nothing() {
        let parity = parity("devices", crowd().take(50));
        assert_eq!((parity.served, parity.rank), (None, None));
        assert_eq!(parity.groups.len(), 2);
    }

    #[test]
    fn bots_gain_what_their_numbers_do_not_give_them() {
        // A hundredth of the identities took half of it.
        assert_eq!(bot_gain(500.0, 1_000.0, 10, 1_000), Some(50.0));
        assert_eq!(bot_gain(0.0, 1_000.0, 10, 1_000), Some(0.0));
        assert_eq!(bot_gain(5.0, 10.0, 0, 1_000), None);
    }
}
