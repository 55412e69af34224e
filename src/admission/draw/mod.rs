//! The draw: which number each of those present at opening is given, so that anybody can do it again.
//!
//! Three things fix it, each before the next is known: the rules (a hash), the log of those who came (its
//! length and its Merkle root), and randomness that nobody had when the first two were published:
//!
//! ```text
//! seed   = SHA-256("tornello-draw-v1" ‖ rules ‖ count as u64 LE ‖ root ‖ randomness)
//! number = 1 + compute_shuffled_index(index, count, seed)
//! ```
//!
//! The shuffle is the swap-or-not shuffle as the Ethereum consensus specification defines it, with its 90
//! rounds; see [`shuffle`].

pub mod log;
pub mod shuffle;

use sha2::{Digest, Sha256};

/// The number of whoever comes first.
const FIRST: u64 = 1;

/// What must be fixed before randomness is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// SHA-256 of the rules of the draw.
    pub rules: [u8; 32],
    /// How many are drawn.
    pub count: u32,
    /// Merkle root of those who are drawn.
    pub root: [u8; 32],
}

impl Fixed {
    /// The draw, now that randomness is known.
    #[must_use]
    pub fn draw(&self, randomness: &[u8; 32]) -> Draw {
        let hash = Sha256::new().chain_update(b"tornello-draw-v1").chain_update(self.rules);
        let hash = hash.chain_update(u64::from(self.count).to_le_bytes()).chain_update(self.root);
        Draw { seed: hash.chain_update(randomness).finalize().into(), count: self.count }
    }
}

/// A draw that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// What the shuffle starts from.
    pub seed: [u8; 32],
    /// How many were drawn.
    pub count: u32,
}

impl Draw {
    /// The number of the one who joined as `index`; `None` if nobody did.
    #[must_use]
    pub fn number(&self, index: u32) -> Option<u64> {
        let place = shuffle::shuffled(index, self.count, &self.seed)?;
        Some(FIRST + u64::from(place))
    }

    /// The numbers of all, by index.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        shuffle::all(self.count, &self.seed).into_iter().map(|place| FIRST + u64::from(place))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod uniformity;
