//! The last line of a log, as the board names it: `INDEX:SHA-256`.

use std::fmt;

use crate::proof::{from_hex, hex};

/// Which line is the last, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its index.
    pub index: u64,
    /// SHA-256 of what it says.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.index, hex(&self.hash))
    }
}

impl Head {
    /// What a board names; `None` if it is not of that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (index, hash) = text.split_once(':')?;
        let head = Self { index: index.parse().ok()?, hash: from_hex(hash)? };
        // One way to write it.
        (head.to_string() == text).then_some(head)
    }
}
