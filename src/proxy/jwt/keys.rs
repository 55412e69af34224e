//! A set of public keys (JWKS, RFC 7517), and what was found under it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use sha2::{Digest, Sha256};

use super::{Good, NotBelieved};

/// Most keys of a set that are looked at.
const KEYS_MAX: usize = 64;
/// Tokens that are remembered in one generation; there are two of the good, and two of the others.
const REMEMBERED_MAX: usize = 32_768;

/// The keys in force. Another set remembers nothing of this one's.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    digest: [u8; 32],
    good: Mutex<Generations<Good>>,
    /// Apart, so that a flood of bad tokens drives out none that is good.
    bad: Mutex<Generations<NotBelieved>>,
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// What was found, by the digest of the token.
#[derive(Debug)]
struct Generations<T> {
    new: HashMap<u128, T>,
    old: HashMap<u128, T>,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self { new: HashMap::new(), old: HashMap::new() }
    }
}

impl<T: Copy> Generations<T> {
    fn get(&self, digest: u128) -> Option<T> {
        self.new.get(&digest).or_else(|| self.old.get(&digest)).copied()
    }

    fn put(&mut self, digest: u128, found: T) {
        if self.new.len() >= REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(digest, found);
    }
}

impl Key {
    fn read(value: &serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        // What the key is decides; what it says of itself may only agree. Secrets (`oct`) are no public keys.
        let (algorithm, said) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if jwk.common.key_algorithm.is_some_and(|algorithm| algorithm != said) {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, algorithm, key })
    }

    /// What a token under this key must be like. Times are ours to judge, by our clock.
    pub(super) fn rules(&self, issuer: &str, audience: &str) -> Validation {
        let mut rules = Validation::new(self.algorithm);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["iss", "aud", "exp"]);
        rules.validate_exp = false;
        rules
    }
}

impl KeySet {
    /// Keys of other kinds, or for other purposes, are passed over.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let set: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| format!("no JSON: {error}"))?;
        let listed = set.get("keys").and_then(|keys| keys.as_array()).ok_or("no `keys`: not a JWKS")?;
        let keys: Vec<Key> = listed.iter().take(KEYS_MAX).filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err(
                "no key of a kind that is believed: RSA (RS256), P-256 (ES256), Ed25519 (EdDSA)".into()
            );
        }
        Ok(Self { keys, digest: Sha256::digest(text).into(), ..Self::default() })
    }

    /// The same keys, without what was found under them.
    pub(super) fn anew(&self) -> Self {
        Self { keys: self.keys.clone(), digest: self.digest, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// By its id; a token without one is checked by the only key there is.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// What was found of a token before.
    pub(super) fn remembered(&self, digest: u128) -> Option<Result<Good, NotBelieved>> {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner).get(digest);
        let bad = || self.bad.lock().unwrap_or_else(PoisonError::into_inner).get(digest);
        good.map(Ok).or_else(|| bad().map(Err))
    }

    pub(super) fn remember(&self, digest: u128, found: Result<Good, NotBelieved>) {
        match found {
            Ok(good) => self.good.lock().unwrap_or_else(PoisonError::into_inner).put(digest, good),
            Err(bad) => self.bad.lock().unwrap_or_else(PoisonError::into_inner).put(digest, bad),
        }
    }
}
