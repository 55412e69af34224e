//! The swap-or-not shuffle (Hoang, Morris, Rogaway 2012) as the Ethereum consensus specification writes it
//! in `compute_shuffled_index`: independent implementations exist in many languages.
//!
//! A round picks a pivot and mirrors all places about it; each pair of mirror images is swapped or left, as
//! a bit of a hash says. One place can be followed through all rounds without the others ([`shuffled`]);
//! all together cost one hash for 256 places and round ([`all`]).

use sha2::{Digest, Sha256};

/// Rounds of the shuffle: `SHUFFLE_ROUND_COUNT` of the specification.
pub const ROUNDS: u8 = 90;
/// Places that one hash decides.
const PLACES: usize = 256;

/// Where `index` of `count` comes to stand; `None` if there is no such index.
#[must_use]
pub fn shuffled(index: u32, count: u32, seed: &[u8; 32]) -> Option<u32> {
    if index >= count {
        return None;
    }
    let (mut index, count) = (index as usize, count as usize);
    for round in 0..ROUNDS {
        let flip = (pivot(seed, round, count) + count - index) % count;
        let place = index.max(flip);
        if is_swapped(&source(seed, round, place), place) {
            index = flip;
        }
    }
    u32::try_from(index).ok()
}

/// Where each of `count` comes to stand, by index.
#[must_use]
pub fn all(count: u32, seed: &[u8; 32]) -> Vec<u32> {
    all_in(count, seed, ROUNDS)
}

/// The rounds backwards, each on all places at once: the list then says of each index where it stands.
pub(super) fn all_in(count: u32, seed: &[u8; 32], rounds: u8) -> Vec<u32> {
    let mut places: Vec<u32> = (0..count).collect();
    if count == 0 {
        return places;
    }
    for round in (0..rounds).rev() {
        let pivot = pivot(seed, round, count as usize);
        // What lies up to the pivot is mirrored within itself, and so is what lies beyond it.
        if let Some((low, high)) = places.split_at_mut_checked(pivot + 1) {
            mirror(low, 0, seed, round);
            mirror(high, pivot + 1, seed, round);
        }
    }
    places
}

/// Swaps mirror images in `part`, which begins at place `first`. The upper one's bit decides.
fn mirror(part: &mut [u32], first: usize, seed: &[u8; 32], round: u8) {
    let length = part.len();
    let Some((low, high)) = part.split_at_mut_checked(length / 2) else { return };
    let top = first + length;
    let (mut known, mut bits) = (usize::MAX, [0; 32]);
    for (nth, (low, high)) in low.iter_mut().zip(high.iter_mut().rev()).enumerate() {
        let place = top - 1 - nth;
        if place / PLACES != known {
            (known, bits) = (place / PLACES, source(seed, round, place));
        }
        // Without a branch: half of them would be guessed wrong.
        let difference = (*low ^ *high) & u32::from(is_swapped(&bits, place)).wrapping_neg();
        (*low, *high) = (*low ^ difference, *high ^ difference);
    }
}

fn pivot(seed: &[u8; 32], round: u8, count: usize) -> usize {
    let hash: [u8; 32] = Sha256::new().chain_update(seed).chain_update([round]).finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    // Below a count that is one of memory.
    usize::try_from(u64::from_le_bytes([a, b, c, d, e, f, g, h]) % count as u64).unwrap_or_default()
}

fn source(seed: &[u8; 32], round: u8, place: usize) -> [u8; 32] {
    // Places are numbered in 32 bit: so the specification writes them.
    let block = u32::try_from(place / PLACES).unwrap_or_default().to_le_bytes();
    Sha256::new().chain_update(seed).chain_update([round]).chain_update(block).finalize().into()
}

fn is_swapped(source: &[u8; 32], place: usize) -> bool {
    source.get(place % PLACES / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
}
