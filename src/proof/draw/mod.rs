//! The draw as anybody can check it, years later and without us.
//!
//! A draw is told in statements, a line each ([`document`]):
//!
//! 1. `rules`, signed and frozen before the first may come: when it opens, and whose randomness counts.
//! 2. `void`, signed, if no commitment was given in time: the next round that counts.
//! 3. `commitment`, signed after opening and before there is randomness: how many came, and their Merkle
//!    root. Two that differ are proof of fraud.
//! 4. `drand` or `reveals`: the randomness. It proves itself.
//! 5. A line for each who came: the leaf of the ticket, and its number.

pub mod ceremony;
pub mod commitment;
pub mod document;
pub mod drand;
pub mod randomness;
pub mod reveal;
pub mod rules;
pub mod wrong;

pub use wrong::DrawError;

use serde::de::DeserializeOwned;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use super::sealed::open;

/// From opening to the round that counts, at least.
pub const ROUND_AFTER_OPENING: Duration = Duration::from_secs(60);
/// From the commitment to the round that counts, at least.
pub const ROUND_AFTER_COMMITMENT: Duration = Duration::from_secs(30);
/// From saying that a draw is void to the next round that counts, at least.
pub const ROUND_AFTER_VOID: Duration = Duration::from_secs(10 * 60);

/// A signed statement that was believed: what it says, and the hash of the bytes that say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What it says.
    pub said: T,
    /// SHA-256 of its body.
    pub hash: [u8; 32],
}

/// Reads the statement called `name` that `key` signed.
fn signed<T: DeserializeOwned>(
    name: &'static str,
    text: &str,
    key: &VerifyingKey,
) -> Result<Signed<T>, DrawError> {
    let body = open(name, text, key).map_err(|error| DrawError::Statement { name, error })?;
    let said = serde_json::from_str(body)
        .map_err(|error| DrawError::Unreadable { what: name, why: error.to_string() })?;
    Ok(Signed { said, hash: Sha256::digest(body.as_bytes()).into() })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
