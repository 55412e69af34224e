//! Who a signed token (JWT) says that somebody is, checked against the keys of whoever issues it.
//!
//! The algorithm is the key's, never the token's: RS256, ES256 or EdDSA, by the kind of the key. A token
//! must have the right issuer and audience and an end, and name somebody. What was found, good or not, is kept
//! for a while, since a signature costs more than all the rest of a request.

mod fetch;
mod keys;
mod signature;

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Notify;

use super::identify::EventKey;
use crate::admission::{PersonKey, UnixTime};
use crate::clock::Clock;
use crate::config::settings::{ClaimProof, JwtSettings, KeySource};
use keys::{Key, KeySet};

/// Longest token that is looked at, bytes.
const TOKEN_MAX: usize = 8 * 1024;
/// How often a file of keys is looked at.
const FILE_EVERY: Duration = Duration::from_secs(1);
/// How often keys are fetched when nothing is amiss.
const FETCH_EVERY: Duration = Duration::from_secs(300);
/// And how often at most, when a token names a key that is not known, or a fetch failed.
const FETCH_PAUSE: Duration = Duration::from_secs(15);

/// Checks tokens. Lives on over reloads that do not change its settings.
#[derive(Debug)]
pub struct Jwt {
    /// What makes a token good.
    pub settings: JwtSettings,
    keys: ArcSwap<KeySet>,
    /// Somebody showed a key id that is not known.
    unknown: Notify,
}

/// What a token says that is found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Good {
    person: PersonKey,
    /// The proofs of the settings that it holds, a bit each, the first the lowest.
    proofs: u32,
    from: u64,
    until: u64,
}

/// A token is not believed. Deliberately coarse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBelieved;

/// The claims that count besides the one that names the person.
#[derive(Deserialize)]
struct Times {
    exp: f64,
    nbf: Option<f64>,
}

impl Jwt {
    /// Reads the keys. Those of an address are fetched later, by [`Jwt::look_after`].
    ///
    /// # Errors
    /// If a file of keys cannot be read or holds none.
    pub fn build(settings: JwtSettings) -> Result<Arc<Self>, String> {
        signature::install();
        let keys = match &settings.keys {
            KeySource::File(file) => {
                let read = std::fs::read(file);
                let text = read.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
                KeySet::parse(&text).map_err(|why| format!("{}: {why}", file.display()))?
            }
            KeySource::Address(_) => KeySet::default(),
        };
        let (keys, unknown) = (ArcSwap::from_pointee(keys), Notify::new());
        Ok(Arc::new(Self { settings, keys, unknown }))
    }

    /// Goes on with the keys that `old` has fetched from the same address, so that no reload needs the
    /// issuer. What was found under them is found anew, by what now makes a token good.
    pub fn take_over(&self, old: &Self) {
        if matches!(self.settings.keys, KeySource::Address(_)) && self.settings.keys == old.settings.keys {
            self.keys.store(Arc::new(old.keys.load().anew()));
        }
    }

    /// Whom a token names, and which of the settings' proofs it holds: a bit each, the first the lowest.
    ///
    /// # Errors
    /// [`NotBelieved`], whatever is wrong with it.
    pub fn person(
        &self,
        token: &[u8],
        event: &EventKey,
        now: UnixTime,
    ) -> Result<(PersonKey, u32), NotBelieved> {
        if token.len() > TOKEN_MAX {
            return Err(NotBelieved);
        }
        let (keys, digest) = (self.keys.load(), event.digest(token));
        let leeway = self.settings.leeway;
        let known = keys.remembered(digest);
        let good = known.unwrap_or_else(|| self.check(&keys, token, digest, event))?;
        let (soonest, latest) = (now.0.saturating_add(ms(leeway)), now.0.saturating_sub(ms(leeway)));
        if good.from > soonest || good.until <= latest {
            return Err(NotBelieved);
        }
        Ok((good.person, good.proofs))
    }

    /// Looks at a token that was not seen before. Remembers what took a signature to find out.
    fn check(
        &self,
        keys: &KeySet,
        token: &[u8],
        digest: u128,
        event: &EventKey,
    ) -> Result<Good, NotBelieved> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| NotBelieved)?;
        let Some(key) = keys.find(header.kid.as_deref()) else {
            self.unknown.notify_one();
            return Err(NotBelieved);
        };
        let found = self.read(key, token, event);
        keys.remember(digest, found);
        found
    }

    /// What a token says under a key, whatever the time.
    fn read(&self, key: &Key, token: &[u8], event: &EventKey) -> Result<Good, NotBelieved> {
        let rules = key.rules(&self.settings.issuer, &self.settings.audience);
        let told = jsonwebtoken::decode::<serde_json::Value>(token, &key.key, &rules);
        let claims = told.map_err(|_| NotBelieved)?.claims;
        let times = Times::deserialize(&claims).map_err(|_| NotBelieved)?;
        let name = match claims.get(&self.settings.claim) {
            Some(serde_json::Value::String(name)) if !name.is_empty() => name.clone(),
            Some(serde_json::Value::Number(number)) => number.to_string(),
            _ => return Err(NotBelieved),
        };
        let identity = format!("{}\0{}\0{name}", self.settings.issuer, self.settings.claim);
        let person = event.person("jwt", identity.as_bytes());
        let proofs = self.settings.proofs.iter().rev();
        let proofs = proofs.fold(0, |bits, proof| bits << 1 | u32::from(holds(&claims, proof)));
        Ok(Good { person, proofs, from: times.nbf.map_or(0, unix_ms), until: unix_ms(times.exp) })
    }

    /// Keeps the keys fresh for as long as anybody uses them. A file is read again when it changed, an
    /// address now and then and when a key is missing. Whatever fails, the old keys stay.
    pub async fn look_after(jwt: Weak<Self>, clock: Clock) {
        let (mut fetched, mut failed) = (None, false);
        loop {
            let Some(this) = jwt.upgrade() else { return };
            let (got, pause) = match &this.settings.keys {
                KeySource::File(file) => {
                    let read = tokio::fs::read(file).await.map_err(|error| error.to_string());
                    (read.map(Bytes::from), FILE_EVERY)
                }
                KeySource::Address(address) => {
                    fetched = Some(clock.now());
                    (fetch::get(address).await, FETCH_EVERY)
                }
            };
            let parsed = got.and_then(|text| KeySet::parse(&text));
            match parsed {
                Ok(keys) => {
                    let old = this.keys.load();
                    if !keys.is_like(&old) {
                        tracing::info!(keys = keys.len(), "the keys of identity.jwt are in force");
                        this.keys.store(Arc::new(keys));
                    }
                    failed = false;
                }
                Err(why) => {
                    if !std::mem::replace(&mut failed, true) {
                        tracing::error!(why, "the keys of identity.jwt cannot be had; the old ones stay");
                    }
                }
            }
            let pause = if failed { pause.min(FETCH_PAUSE) } else { pause };
            match fetched {
                None => tokio::time::sleep(pause).await,
                Some(_) => {
                    let missing = async {
                        tokio::time::sleep(FETCH_PAUSE).await;
                        this.unknown.notified().await;
                    };
                    let _ = tokio::time::timeout(pause, missing).await;
                }
            }
        }
    }
}

/// A claim is what is asked for, or a list that holds it.
fn holds(claims: &serde_json::Value, proof: &ClaimProof) -> bool {
    let is = |value: &serde_json::Value| value.as_str() == Some(proof.value.as_str());
    match claims.get(&proof.claim) {
        Some(serde_json::Value::Array(all)) => all.iter().any(is),
        Some(one) => is(one),
        None => false,
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds as tokens carry them; what is no time at all is long past.
fn unix_ms(seconds: f64) -> u64 {
    if !seconds.is_finite() || seconds < 0.0 {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is not negative"
    )]
    let ms = (seconds * 1_000.0) as u64;
    ms
}

#[cfg(test)]
mod tests;
