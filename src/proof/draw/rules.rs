//! The rules of a draw, frozen and signed before the first may come.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::reveal::{self, Party};
use super::{DrawError, ROUND_AFTER_OPENING, Signed, drand, milliseconds, signed};
use crate::admission::UnixTime;
use crate::proof::sealed::seal;
use crate::proof::{from_hex, hex};

/// What a rules document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Always `draw-rules`.
    pub kind: String,
    /// Version of this form.
    pub v: u8,
    /// The room.
    pub room: String,
    /// Epoch of the numbering.
    pub epoch: u32,
    /// When it opens: all who are there by then are drawn. Milliseconds since 1970.
    pub opens_at_ms: u64,
    /// SHA-256 of the rules of the line (who counts as one person, what becomes of whoever is late), as
    /// `rules` gives them and receipts name them.
    pub line: String,
    /// The public key that signs all of this draw, in hex.
    pub key: String,
    /// Whose randomness decides.
    pub randomness: Source,
    /// Who has one lot. Rules from before this could be told say nothing: it was each browser.
    #[serde(default)]
    pub one_lot_per: OneLotPer,
    /// What tells one person from another, where each has one lot: what names them, a word each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identified_by: Vec<String>,
}

/// Who has one lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OneLotPer {
    /// Each browser: who uses several has several.
    #[default]
    Browser,
    /// Each person, on all devices, and nobody takes part who is not known.
    Person,
}

/// Whose randomness decides. Never changed, whatever happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A round of drand that lies ahead.
    Drand {
        /// The chain: one that is known here, or its operator might be anybody.
        chain: String,
        /// The round.
        round: u64,
    },
    /// Several parties, each with a secret.
    Reveals {
        /// The parties, in the order in which their secrets are taken.
        parties: Vec<Party>,
    },
}

impl Rules {
    /// The kind of this document.
    pub const KIND: &'static str = "draw-rules";

    /// Signs them.
    #[must_use]
    pub fn seal(&self, key: &SigningKey) -> String {
        // Numbers and strings only: this cannot fail.
        seal("rules", &serde_json::to_string(self).unwrap_or_default(), key)
    }

    /// The round that counts, if it is drand that counts and nothing went wrong.
    #[must_use]
    pub fn round(&self) -> Option<u64> {
        match self.randomness {
            Source::Drand { round, .. } => Some(round),
            Source::Reveals { .. } => None,
        }
    }

    /// Whether a fair draw can be held by them.
    ///
    /// # Errors
    /// [`DrawError::Rules`].
    pub fn check(&self) -> Result<(), DrawError> {
        let bad = |why: &str| Err(DrawError::Rules(why.to_owned()));
        if self.kind != Self::KIND || self.v != 1 {
            return bad("they are not the rules of a draw in this version");
        }
        if from_hex::<32>(&self.line).is_none() {
            return bad("`line` is not 32 bytes of hex");
        }
        if (self.one_lot_per == OneLotPer::Person) == self.identified_by.is_empty() {
            return bad("they do not say what a person is known by who has one lot");
        }
        match &self.randomness {
            Source::Drand { chain, .. } if chain != drand::QUICKNET => {
                bad(&format!("randomness must come from drand's quicknet, chain {}", drand::QUICKNET))
            }
            Source::Drand { round, .. } => {
                let UnixTime(round_at) = drand::time_of(*round);
                let first = self.opens_at_ms.saturating_add(milliseconds(ROUND_AFTER_OPENING));
                if round_at < first {
                    return bad(&format!(
                        "round {round} comes out less than {} s after opening: too early to commit",
                        ROUND_AFTER_OPENING.as_secs()
                    ));
                }
                Ok(())
            }
            Source::Reveals { parties } => reveal::check(parties),
        }
    }
}

/// The key that rules name, which is the one that signs them: for whoever signed them.
///
/// # Errors
/// [`DrawError`].
pub fn own_key(text: &str) -> Result<VerifyingKey, DrawError> {
    let unreadable = || DrawError::Rules("they name no key".to_owned());
    let read: serde_json::Value = serde_json::from_str(text).map_err(|_| unreadable())?;
    let key = read.pointer("/rules/key").and_then(serde_json::Value::as_str).and_then(from_hex::<32>);
    VerifyingKey::from_bytes(&key.ok_or_else(unreadable)?).map_err(|_| unreadable())
}

/// Reads rules that `key` signed, and that name it.
///
/// # Errors
/// [`DrawError`].
pub fn verify(text: &str, key: &VerifyingKey) -> Result<Signed<Rules>, DrawError> {
    let rules: Signed<Rules> = signed("rules", text, key)?;
    rules.said.check()?;
    if rules.said.key != hex(key.as_bytes()) {
        return Err(DrawError::Rules("they name another key than the one that signed them".to_owned()));
    }
    Ok(rules)
}
