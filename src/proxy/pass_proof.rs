//! A field that proves to the upstream that a request comes from inside: its own address is then no way
//! around the queue.
//!
//! `Tornello-Pass: t=SECONDS,r=ROOM,n=NUMBER,p=PASS,s=MAC`: unix time, room, number (0 of who came in without
//! waiting), id of the pass, and HMAC-SHA256 in base64url over `tornello-pass-v1,` and all before `,s=`, with
//! a key that gateway and upstream share. It is made for each request anew.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;

use crate::admission::UnixTime;
use crate::admission::room::PassId;

/// Shortest key, bytes.
const KEY_MIN: usize = 32;

/// Signs passes for one upstream.
#[derive(Clone)]
pub struct PassProof(Hmac<Sha256>);

impl fmt::Debug for PassProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassProof")
    }
}

impl PassProof {
    /// Reads the key: all that is in the file, but white space around it.
    ///
    /// # Errors
    /// If it cannot be read, or is short enough to be guessed.
    pub fn read(file: &Path) -> Result<Self, String> {
        let read =
            std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let key = read.trim_ascii();
        if key.len() < KEY_MIN {
            return Err(format!(
                "{} holds {} bytes; a key has {KEY_MIN} at least",
                file.display(),
                key.len()
            ));
        }
        Ok(Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    /// The field's value.
    pub(super) fn value(&self, now: UnixTime, room: &str, number: u64, pass: &PassId) -> Option<HeaderValue> {
        let said = format!("t={},r={room},n={number},p={}", now.0 / 1_000, URL_SAFE_NO_PAD.encode(pass));
        let mac = self.0.clone().chain_update("tornello-pass-v1,").chain_update(&said).finalize();
        HeaderValue::try_from(format!("{said},s={}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))).ok()
    }
}
