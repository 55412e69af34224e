//! The draw against what others compute, and against itself.

use super::*;
use crate::proof::hex;
use log::{JoinLog, is_in};
use proptest::prelude::*;
use shuffle::{all, shuffled};

fn digest(places: &[u32]) -> String {
    let mut hash = Sha256::new();
    places.iter().for_each(|place| hash.update(place.to_le_bytes()));
    hex(&hash.finalize())
}

/// What `ComputeShuffledIndex` and `unshuffleList` of the npm package `@chainsafe/swap-or-not-shuffle`
/// 1.2.1 (Lodestar's) say for a seed of SHA-256 of a letter.
#[test]
fn the_shuffle_is_that_of_an_independent_implementation() {
    let known: [(&str, u32, &[u32], &str); 6] = [
        ("b", 2, &[1, 0], "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8"),
        (
            "c",
            33,
            &[11, 26, 31, 19, 18, 24, 13, 15],
            "f66b49bc7ec8d13e6ad2d24632d845126cccb2933c9f4ac8e2ddefb640680f0b",
        ),
        (
            "e",
            256,
            &[179, 214, 10, 91, 136, 86, 132, 231],
            "a524fbf3cd6e9613c4651843ab52ed9c9c78cac41f0910370ab6cd01af5b4ad8",
        ),
        (
            "f",
            257,
            &[79, 163, 121, 247, 135, 102, 68, 31],
            "5292ced1a7a4700eb550b847078436048ef83e864133d038e7011af288384a82",
        ),
        (
            "h",
            10_000,
            &[7001, 16, 7422, 5368, 5341, 6727, 6837, 3633],
            "af992be9f8c47afa3c3e5d7bc67ee4bc86d387f3a7279b8337be398d8c78a2b7",
        ),
        (
            "i",
            70_000,
            &[34_854, 55_341, 22_214, 5_744, 5_705, 1_250, 62_269, 50_000],
            "9fb20c796437a9cd277fabb505430eef9086e6cb658a5f276388418bb6e37c1e",
        ),
    ];
    for (letter, count, first, whole) in known {
        let places = all(count, &Sha256::digest(letter).into());
        assert_eq!((&places[..first.len()], digest(&places).as_str()), (first, whole), "{letter}");
    }
}

#[test]
fn a_seed_depends_on_every_part() {
    let fixed = Fixed { rules: [1; 32], count: 7, root: [2; 32] };
    let others = [
        fixed.draw(&[4; 32]),
        Fixed { rules: [9; 32], ..fixed }.draw(&[3; 32]),
        Fixed { count: 8, ..fixed }.draw(&[3; 32]),
        Fixed { root: [9; 32], ..fixed }.draw(&[3; 32]),
    ];
    let draw = fixed.draw(&[3; 32]);
    others.iter().for_each(|other| assert_ne!(other.seed, draw.seed));
    let mut written = b"tornello-draw-v1".to_vec();
    written.extend([1; 32]);
    written.extend([7, 0, 0, 0, 0, 0, 0, 0]);
    written.extend([2; 32]);
    written.extend([3; 32]);
    assert_eq!(draw.seed, <[u8; 32]>::from(Sha256::digest(written)));
    assert_eq!(draw.number(7), None, "nobody is the eighth of seven");
    let numbers: Vec<u64> = (0..7).filter_map(|index| draw.number(index)).collect();
    assert_eq!(numbers, draw.numbers().collect::<Vec<_>>());
    assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&1), Some(&7)));
    assert_eq!(Fixed { count: 0, ..fixed }.draw(&[3; 32]).numbers().count(), 0);
}

/// RFC 6962, written as the RFC writes it.
fn root_by_the_book(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest(b"").into(),
        [leaf] => Sha256::new().chain_update([0]).chain_update(leaf).finalize().into(),
        leaves => {
            let (low, high) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let node = Sha256::new().chain_update([1]).chain_update(root_by_the_book(low));
            node.chain_update(root_by_the_book(high)).finalize().into()
        }
    }
}

proptest! {
    #[test]
    fn everybody_is_given_one_number_and_the_same_one_by_both_ways(
        count in 1_u32..2_000, seed in any::<[u8; 32]>(), at in any::<u32>(),
    ) {
        let places = all(count, &seed);
        let mut sorted = places.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(0..count));
        let at = at % count;
        prop_assert_eq!(shuffled(at, count, &seed), Some(places[at as usize]));
        prop_assert_eq!(shuffled(count, count, &seed), None);
    }

    #[test]
    fn a_place_in_the_log_can_be_shown_and_no_other(
        leaves in prop::collection::vec(any::<[u8; 32]>(), 1..200), at in any::<u32>(), bit in 0_usize..256,
    ) {
        let mut log = JoinLog::default();
        for (nth, leaf) in leaves.iter().enumerate() {
            prop_assert_eq!(log.append(*leaf).map(|index| index as usize), Ok(nth));
        }
        let (count, root) = (log.count(), log.root());
        prop_assert_eq!(root, root_by_the_book(&leaves));
        let at = at % count;
        let path = log.path(at).unwrap();
        let mut leaf = leaves[at as usize];
        prop_assert!(is_in(&leaf, at, count, &root, &path));
        prop_assert!(!is_in(&leaf, count, count, &root, &path));
        prop_assert_eq!(log.path(count), None);
        if leaves.len() > 1 {
            let other = (at + 1) % count;
            prop_assert!(leaves[other as usize] == leaf || !is_in(&leaf, other, count, &root, &path));
            prop_assert!(!is_in(&leaf, at, count, &root, &path[1..]));
        }
        leaf[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!is_in(&leaf, at, count, &root, &path));
    }
}
