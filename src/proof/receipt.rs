//! The receipt of a place: when somebody came, and which number they were given, under which rules.
//!
//! It names the ticket by a hash, so that showing a receipt gives no place away.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use ed25519_dalek::VerifyingKey;

use super::hex;
use super::sealed::{ProofError, open};
use crate::admission::UnixTime;
use crate::admission::ticket::Claims;

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Always `receipt`.
    pub kind: String,
    /// Version of this form.
    pub v: u8,
    /// The room.
    pub room: String,
    /// SHA-256 of the rules in force, as `rules` gives them.
    pub rules: String,
    /// Epoch of the numbering.
    pub epoch: u32,
    /// The number; 0 while lots are not drawn. The leaf is made with the index then, also afterwards.
    pub number: u64,
    /// The ticket, hashed; see [`leaf`].
    pub leaf: String,
    /// When its holder came, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What stands for a ticket in public: SHA-256 of a domain, its id, and its number or index.
#[must_use]
pub fn leaf(id: &[u8; 16], index: u64) -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"tornello-leaf-v1").chain_update(id);
    hash.chain_update(index.to_le_bytes()).finalize().into()
}

/// The body of a ticket's receipt.
#[must_use]
pub fn body(room: &str, rules: &str, ticket: &Claims) -> String {
    let UnixTime(time_ms) = ticket.time;
    let receipt = Receipt {
        kind: "receipt".to_owned(),
        v: 1,
        room: room.to_owned(),
        rules: rules.to_owned(),
        epoch: ticket.epoch,
        number: ticket.number,
        leaf: hex(&leaf(&ticket.id, ticket.index.map_or(ticket.number, u64::from))),
        time_ms,
    };
    // Numbers and short strings only: this cannot fail.
    serde_json::to_string(&receipt).unwrap_or_default()
}

/// Reads a receipt that `key` signed; `rules` are those that it must have been given under, if known.
///
/// # Errors
/// [`ProofError`].
pub fn verify(text: &str, key: &VerifyingKey, rules: Option<&str>) -> Result<Receipt, ProofError> {
    let body = open("receipt", text, key)?;
    let receipt: Receipt =
        serde_json::from_str(body).map_err(|error| ProofError::Malformed(error.to_string()))?;
    if receipt.kind != "receipt" || receipt.v != 1 {
        return Err(ProofError::Wrong("signed, but not a receipt of this version".to_owned()));
    }
    match rules {
        Some(rules) if hex(&Sha256::digest(rules.as_bytes())) != receipt.rules => {
            Err(ProofError::Wrong("these are not the rules that it was given under".to_owned()))
        }
        _ => Ok(receipt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::ticket::{Kind, RoomId};
    use crate::proof::sealed::seal;
    use ed25519_dalek::SigningKey;

    #[test]
    fn a_receipt_is_read_back_and_bound_to_its_rules() {
        let (key, rules) = (SigningKey::from_bytes(&[7; 32]), r#"{"order":"arrival"}"#);
        let ticket = Claims {
            kind: Kind::Ticket,
            room: RoomId::of("main"),
            epoch: 1,
            number: 42,
            index: None,
            time: UnixTime(1_793_318_400_000),
            id: [9; 16],
            moves: 0,
        };
        let text = seal("receipt", &body("main", &hex(&Sha256::digest(rules)), &ticket), &key);
        let receipt = verify(&text, &key.verifying_key(), Some(rules)).unwrap();
        assert_eq!((receipt.number, receipt.time_ms, receipt.epoch), (42, 1_793_318_400_000, 1));
        assert!(!text.contains(&hex(&ticket.id)), "the ticket's id stays its holder's");
        let other = verify(&text, &key.verifying_key(), Some(r#"{"order":"lots"}"#));
        assert!(matches!(other, Err(ProofError::Wrong(_))), "{other:?}");
        let board = seal("receipt", r#"{"v":1,"room":"main"}"#, &key);
        assert!(verify(&board, &key.verifying_key(), None).is_err(), "a board is no receipt");
    }
}
