//! Randomness of several parties, where there is no network: each gives a commitment to a secret before
//! anybody may come, and the secret after the commitment to those who came. One honest party is enough.
//!
//! A party that keeps its secret holds the draw up; it cannot choose another one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::DrawError;
use crate::proof::{from_hex, hex};

/// Somebody who gives a part of the randomness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Who it is, for people.
    pub name: String,
    /// Whether it is independent of the operator.
    pub outside: bool,
    /// [`commitment`] to its secret.
    pub commitment: String,
}

/// A secret, told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    /// Whose it is.
    pub name: String,
    /// 32 bytes that it chose by chance, in hex.
    pub secret: String,
}

/// What a party publishes beforehand. Bound to room and name: it is worth nothing to whoever copies it.
#[must_use]
pub fn commitment(room: &str, name: &str, secret: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(b"tornello-party-v1");
    for text in [room, name] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.chain_update(secret).finalize().into()
}

/// Whether these parties can be trusted together: two at least, one of them from outside, all different.
///
/// # Errors
/// [`DrawError::Rules`].
pub fn check(parties: &[Party]) -> Result<(), DrawError> {
    let bad = |why: &str| Err(DrawError::Rules(why.to_owned()));
    let names: BTreeSet<&str> = parties.iter().map(|party| party.name.as_str()).collect();
    let commitments: BTreeSet<&str> = parties.iter().map(|party| party.commitment.as_str()).collect();
    if parties.len() < 2 {
        return bad("randomness of one party alone is its choice: two are needed at least");
    }
    if names.len() < parties.len() || commitments.len() < parties.len() {
        return bad("a party stands twice among those who give randomness");
    }
    if !parties.iter().any(|party| party.outside) {
        return bad("nobody from outside gives randomness");
    }
    if parties.iter().any(|party| from_hex::<32>(&party.commitment).is_none()) {
        return bad("a party's commitment is not 32 bytes of hex");
    }
    Ok(())
}

/// The randomness of all `parties` together, when each secret is told and is the one that was promised.
///
/// # Errors
/// [`DrawError::Held`] while one is missing, [`DrawError::Randomness`] for one that was not promised.
pub fn randomness(room: &str, parties: &[Party], reveals: &[Reveal]) -> Result<[u8; 32], DrawError> {
    let mut hash = Sha256::new().chain_update(b"tornello-reveals-v1");
    for party in parties {
        let mut told = reveals.iter().filter(|reveal| reveal.name == party.name);
        let Some(reveal) = told.next() else {
            return Err(DrawError::Held(format!("the secret of {} is missing", party.name)));
        };
        if told.next().is_some() {
            return Err(DrawError::Randomness(format!("{} tells two secrets", party.name)));
        }
        let secret = from_hex::<32>(&reveal.secret);
        let Some(secret) =
            secret.filter(|secret| hex(&commitment(room, &party.name, secret)) == party.commitment)
        else {
            return Err(DrawError::Randomness(format!(
                "the secret of {} is not the one that it promised",
                party.name
            )));
        };
        hash.update(secret);
    }
    if let Some(stranger) =
        reveals.iter().find(|reveal| !parties.iter().any(|party| party.name == reveal.name))
    {
        return Err(DrawError::Randomness(format!("{} is no party to this draw", stranger.name)));
    }
    Ok(hash.finalize().into())
}
