//! The log of those who came before opening: dense, in order of arrival, under one hash.
//!
//! A Merkle tree as RFC 6962 builds it (leaves and nodes hashed in domains apart), so that one hash fixes
//! who is in it and in which order, and a few hashes show anybody that a place of theirs is.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{InclusionProof, RootHash};
use sha2::Sha256;

/// What stands for a ticket in public.
pub type Leaf = [u8; 32];

/// The log. Its indices run from 0 without a gap.
#[derive(Clone, Debug, Default)]
pub struct JoinLog(MemoryBackedTree<Sha256, Leaf>);

/// No more fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFull;

impl JoinLog {
    /// Appends; returns the index.
    ///
    /// # Errors
    /// [`LogFull`] at 2³² - 1.
    pub fn append(&mut self, leaf: Leaf) -> Result<u32, LogFull> {
        let index = self.count();
        if index == u32::MAX {
            return Err(LogFull);
        }
        self.0.push(leaf);
        Ok(index)
    }

    /// How many are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The hash over all of it.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        (*self.0.root().as_bytes()).into()
    }

    /// The leaves, by index.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        self.0.items()
    }

    /// The hashes that lead from a leaf to the root; `None` if there is no such index.
    #[must_use]
    pub fn path(&self, index: u32) -> Option<Vec<[u8; 32]>> {
        let proof = (index < self.count()).then(|| self.0.prove_inclusion(index as usize))?;
        Some(proof.as_bytes().as_chunks().0.to_vec())
    }
}

/// Whether `path` leads from `leaf` at `index` to the `root` of a log of `count`.
#[must_use]
pub fn is_in(leaf: &Leaf, index: u32, count: u32, root: &[u8; 32], path: &[[u8; 32]]) -> bool {
    let Ok(proof) = InclusionProof::<Sha256>::try_from_bytes(path.concat()) else { return false };
    let root = RootHash::<Sha256>::new((*root).into(), u64::from(count));
    root.verify_inclusion(leaf, u64::from(index), &proof).is_ok()
}
