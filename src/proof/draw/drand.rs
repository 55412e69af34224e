//! Rounds of drand's `quicknet`: randomness that nobody can know before its time, and whose signature
//! everybody can check without a network.
//!
//! The scheme is `bls-unchained-g1-rfc9380`: a signature in G1 over SHA-256 of the round's number, under the
//! one key of the League of Entropy; randomness is SHA-256 of the signature, and there is only one that fits.

use blst::BLST_ERROR;
use blst::min_sig::{PublicKey, Signature};
use sha2::{Digest, Sha256};

use crate::admission::UnixTime;
use crate::proof::from_hex;

/// The chain, by the hash of its parameters.
pub const QUICKNET: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
const KEY: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c\
                   8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb\
                   5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
/// When round 1 came out, in seconds since 1970.
const GENESIS_S: u64 = 1_692_803_367;
const PERIOD_S: u64 = 3;

/// When `round` comes out.
#[must_use]
pub fn time_of(round: u64) -> UnixTime {
    let seconds = GENESIS_S.saturating_add(round.saturating_sub(1).saturating_mul(PERIOD_S));
    UnixTime(seconds.saturating_mul(1_000))
}

/// The first round that comes out at `time` or after it.
#[must_use]
pub fn round_from(time: UnixTime) -> u64 {
    let UnixTime(time_ms) = time;
    1 + time_ms.saturating_sub(GENESIS_S * 1_000).div_ceil(PERIOD_S * 1_000)
}

/// The randomness of `round`, if `signature` (96 digits of hex) is the one that the chain gave it.
#[must_use]
pub fn randomness(round: u64, signature: &str) -> Option<[u8; 32]> {
    let bytes = from_hex::<48>(signature)?;
    let key = PublicKey::key_validate(&from_hex::<96>(KEY)?).ok()?;
    let told = Signature::sig_validate(&bytes, true).ok()?;
    let message: [u8; 32] = Sha256::digest(round.to_be_bytes()).into();
    let good = told.verify(false, &message, DOMAIN, &[], &key, false) == BLST_ERROR::BLST_SUCCESS;
    good.then(|| Sha256::digest(bytes).into())
}

/// Round 1000 as api.drand.sh gave it.
#[cfg(test)]
pub(crate) const ROUND_1000: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::hex;

    #[test]
    fn a_round_that_came_out_is_believed_and_nothing_else() {
        let told = randomness(1_000, ROUND_1000).map(|bytes| hex(&bytes));
        let known = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd";
        assert_eq!(told.as_deref(), Some(known));
        assert_eq!(randomness(1_001, ROUND_1000), None, "of another round");
        for at in 0..96 {
            let mut forged = ROUND_1000.to_owned().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(randomness(1_000, &String::from_utf8(forged).unwrap()), None, "digit {at}");
        }
        assert_eq!(randomness(1_000, &format!("c{}", "0".repeat(95))), None, "the point at infinity");
        assert_eq!(randomness(1_000, &ROUND_1000.to_uppercase()), None, "written in another way");
    }

    #[test]
    fn rounds_come_every_three_seconds() {
        assert_eq!(time_of(1), UnixTime(1_692_803_367_000));
        assert_eq!(time_of(1_000), UnixTime(1_692_806_364_000));
        for round in [1, 2, 1_000, 40_000_000] {
            let UnixTime(at) = time_of(round);
            assert_eq!((round_from(UnixTime(at)), round_from(UnixTime(at + 1))), (round, round + 1));
        }
        assert_eq!(round_from(UnixTime(0)), 1, "before there were any");
    }
}
