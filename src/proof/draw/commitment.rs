//! What the gateway binds itself to before there is randomness, and what it says when it failed to in time.
//!
//! The times in it are its signer's word. That it was public before the round came out is shown by those who
//! kept it: whoever signs another one, or a void, after seeing the randomness has signed two things.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use super::{DrawError, ROUND_AFTER_COMMITMENT, ROUND_AFTER_VOID, Signed, drand, milliseconds, signed};
use crate::admission::UnixTime;
use crate::admission::draw::Fixed;
use crate::proof::sealed::seal;
use crate::proof::{from_hex, hex};

/// What a commitment says: those who came, and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Always `draw-commitment`.
    pub kind: String,
    /// Version of this form.
    pub v: u8,
    /// The room.
    pub room: String,
    /// SHA-256 of the rules of the draw.
    pub rules: String,
    /// The round that counts; absent where parties give the randomness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u64>,
    /// How many came.
    pub count: u32,
    /// Merkle root of their leaves.
    pub root: String,
    /// When the log was closed, in milliseconds since 1970.
    pub closed_at_ms: u64,
    /// When this was signed.
    pub signed_at_ms: u64,
}

/// Says that nothing was committed to in time, and which round counts instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Always `draw-void`.
    pub kind: String,
    /// Version of this form.
    pub v: u8,
    /// The room.
    pub room: String,
    /// SHA-256 of the rules of the draw.
    pub rules: String,
    /// The round that counts no more.
    pub round: u64,
    /// The round that counts instead.
    pub next_round: u64,
    /// When this was signed, in milliseconds since 1970.
    pub signed_at_ms: u64,
}

impl Commitment {
    /// The kind of this statement.
    pub const KIND: &'static str = "draw-commitment";

    /// Signs it.
    #[must_use]
    pub fn seal(&self, key: &SigningKey) -> String {
        // Numbers and strings only: this cannot fail.
        seal("commitment", &serde_json::to_string(self).unwrap_or_default(), key)
    }

    /// What the seed is made of.
    ///
    /// # Errors
    /// [`DrawError::Commitment`].
    pub fn fixed(&self, rules: [u8; 32]) -> Result<Fixed, DrawError> {
        let root = from_hex(&self.root)
            .ok_or_else(|| DrawError::Commitment("its root is not 32 bytes of hex".to_owned()))?;
        Ok(Fixed { rules, count: self.count, root })
    }
}

impl Void {
    /// The kind of this statement.
    pub const KIND: &'static str = "draw-void";

    /// Signs it.
    #[must_use]
    pub fn seal(&self, key: &SigningKey) -> String {
        // Numbers and strings only: this cannot fail.
        seal("void", &serde_json::to_string(self).unwrap_or_default(), key)
    }
}

/// The last moment at which `round` can be committed to.
pub(super) fn deadline_ms(round: u64) -> u64 {
    let UnixTime(round_at) = drand::time_of(round);
    round_at.saturating_sub(milliseconds(ROUND_AFTER_COMMITMENT))
}

/// Reads a commitment under `rules`, by which `round` counts.
///
/// # Errors
/// [`DrawError`].
pub fn verify(
    text: &str,
    key: &VerifyingKey,
    rules: &Signed<Rules>,
    round: Option<u64>,
) -> Result<Signed<Commitment>, DrawError> {
    let read: Signed<Commitment> = signed("commitment", text, key)?;
    let (told, said) = (&read.said, &rules.said);
    let bad = |why: String| Err(DrawError::Commitment(why));
    if told.kind != Commitment::KIND || told.v != 1 || told.room != said.room {
        return bad("it is not one to a draw of this room in this version".to_owned());
    }
    if told.rules != hex(&rules.hash) {
        return Err(DrawError::OtherRules { committed: told.rules.clone(), shown: hex(&rules.hash) });
    }
    if let Some(must) = round.filter(|round| told.round != Some(*round)) {
        return Err(DrawError::WrongRound { told: told.round.unwrap_or_default(), must });
    }
    if round.is_none() && told.round.is_some() {
        return bad("it names a round of drand, and the rules none".to_owned());
    }
    if told.closed_at_ms < said.opens_at_ms {
        return bad("those who came were counted before opening".to_owned());
    }
    if told.signed_at_ms < told.closed_at_ms {
        return bad("it was signed before those who came were counted".to_owned());
    }
    if round.is_some_and(|round| told.signed_at_ms > deadline_ms(round)) {
        return bad(format!(
            "it was signed less than {} s before the round came out: the draw is void",
            ROUND_AFTER_COMMITMENT.as_secs()
        ));
    }
    Ok(read)
}

/// Reads a statement that `round` counts no more; returns the one that counts instead.
///
/// # Errors
/// [`DrawError`].
pub fn void(
    text: &str,
    key: &VerifyingKey,
    rules: &Signed<Rules>,
    round: Option<u64>,
) -> Result<u64, DrawError> {
    let Void { kind, v, room, rules: of, round: told, next_round, signed_at_ms } =
        signed::<Void>("void", text, key)?.said;
    let bad = |why: String| Err(DrawError::Void(why));
    if kind != Void::KIND || v != 1 || room != rules.said.room {
        return bad("it is not about a draw of this room in this version".to_owned());
    }
    if of != hex(&rules.hash) {
        return Err(DrawError::OtherRules { committed: of, shown: hex(&rules.hash) });
    }
    let Some(must) = round else {
        return bad("where parties give the randomness no draw is void: it waits for them".to_owned());
    };
    if told != must {
        return Err(DrawError::WrongRound { told, must });
    }
    if signed_at_ms <= deadline_ms(must) {
        return bad(format!("there was still time to commit to round {must}"));
    }
    let UnixTime(next_at) = drand::time_of(next_round);
    if next_at < signed_at_ms.saturating_add(milliseconds(ROUND_AFTER_VOID)) {
        return bad(format!(
            "round {next_round} lies less than {} min ahead of it",
            ROUND_AFTER_VOID.as_secs() / 60
        ));
    }
    Ok(next_round)
}
