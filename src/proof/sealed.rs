//! A signed statement: `{"NAME":BODY,"key":ID,"sig":SIGNATURE}`, Ed25519 over the bytes of BODY as they
//! stand, so that nobody has to agree on how to write JSON.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// The id of the key that signs.
const KEY: &str = "b1";

/// Why a statement is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// It is not of the form that it should have.
    Malformed(String),
    /// The signature is not that of the key.
    Forged,
    /// It is signed, and contradicts itself or something else.
    Wrong(String),
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not readable: {why}"),
            Self::Forged => f.write_str("not signed by this key, or changed since"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ProofError {}

/// Signs `body`, which is JSON.
#[must_use]
pub fn seal(name: &str, body: &str, key: &SigningKey) -> String {
    let signature = STANDARD.encode(key.sign(body.as_bytes()).to_bytes());
    format!(r#"{{"{name}":{body},"key":"{KEY}","sig":"{signature}"}}"#)
}

/// The body of a statement called `name`, if `key` signed it.
///
/// # Errors
/// [`ProofError::Malformed`] and [`ProofError::Forged`].
pub fn open<'t>(name: &str, text: &'t str, key: &VerifyingKey) -> Result<&'t str, ProofError> {
    let malformed = || ProofError::Malformed(format!("a signed `{name}` is expected"));
    let rest = text.trim().strip_prefix(&format!(r#"{{"{name}":"#)).ok_or_else(malformed)?;
    let (body, tail) = rest.rsplit_once(&format!(r#","key":"{KEY}","sig":""#)).ok_or_else(malformed)?;
    let signature =
        STANDARD.decode(tail.strip_suffix("\"}").ok_or_else(malformed)?).map_err(|_| malformed())?;
    let signature = Signature::from_slice(&signature).map_err(|_| malformed())?;
    key.verify_strict(body.as_bytes(), &signature).map_err(|_| ProofError::Forged)?;
    Ok(body)
}

/// A public key as `/.tornello/v1/keys` gives it: base64, alone or in that answer.
///
/// # Errors
/// [`ProofError::Malformed`].
pub fn public_key(text: &str) -> Result<VerifyingKey, ProofError> {
    let malformed = || ProofError::Malformed("the public key is not 32 bytes of base64".to_owned());
    let text = text.trim();
    let named = text.split_once(r#""key":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(key, _)| key);
    let bytes = STANDARD.decode(named.unwrap_or(text)).map_err(|_| malformed())?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| malformed())?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_believed_and_no_changed_byte_is() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = public_key(&STANDARD.encode(key.verifying_key().as_bytes())).unwrap();
        let text = seal("board", r#"{"a":"b"}"#, &key);
        assert_eq!(open("board", &text, &public), Ok(r#"{"a":"b"}"#));
        assert!(open("receipt", &text, &public).is_err());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            assert!(open("board", &changed, &public).is_err(), "{changed}");
        }
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert_eq!(open("board", &text, &other), Err(ProofError::Forged));
    }
}
