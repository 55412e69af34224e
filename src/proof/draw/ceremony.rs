//! A draw while it is held: what was said of it so far, and what must be said next.
//!
//! Whoever holds it and whoever checks it follow the same steps: a statement that others would not believe is
//! not taken here either. What was taken can be read again, line by line, after a restart.

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::commitment::{self, Commitment, Void, deadline_ms};
use super::randomness::Randomness;
use super::rules::{self, Rules};
use super::{DrawError, ROUND_AFTER_VOID, Signed, drand, milliseconds};
use crate::admission::UnixTime;
use crate::admission::draw::Draw;
use crate::admission::draw::log::JoinLog;
use crate::proof::hex;

/// A draw, as far as it is.
#[derive(Clone, Debug)]
pub struct Ceremony {
    rules: Signed<Rules>,
    /// The round that counts by now, if it is drand that counts.
    round: Option<u64>,
    commitment: Option<Signed<Commitment>>,
    draw: Option<Draw>,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has not opened: whoever comes is drawn with the others.
    Gather,
    /// To sign this, make it durable, [take](Ceremony::take) it, show it, and ask again.
    Say(Statement),
    /// To wait for randomness, however long it takes: of this round, or of the parties.
    Wait(Option<u64>),
    /// Everybody has a number.
    Drawn(Draw),
}

/// What its holder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Nothing was committed to in time.
    Void(Void),
    /// Those who came, and no others.
    Commitment(Commitment),
}

impl Statement {
    /// Signs it.
    #[must_use]
    pub fn seal(&self, key: &SigningKey) -> String {
        match self {
            Self::Void(void) => void.seal(key),
            Self::Commitment(commitment) => commitment.seal(key),
        }
    }
}

impl Ceremony {
    /// Under rules that `key` signed.
    ///
    /// # Errors
    /// [`DrawError`].
    pub fn open(rules: &str, key: &VerifyingKey) -> Result<Self, DrawError> {
        let rules = rules::verify(rules, key)?;
        Ok(Self { round: rules.said.round(), rules, commitment: None, draw: None })
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &Signed<Rules> {
        &self.rules
    }

    /// What was committed to.
    #[must_use]
    pub fn commitment(&self) -> Option<&Commitment> {
        self.commitment.as_ref().map(|commitment| &commitment.said)
    }

    /// The hash of what was committed to, which others keep.
    #[must_use]
    pub fn commitment_hash(&self) -> Option<[u8; 32]> {
        self.commitment.as_ref().map(|commitment| commitment.hash)
    }

    /// When what decides comes out, if the draw that was announced first is void and nothing is decided yet.
    #[must_use]
    pub fn redraw(&self) -> Option<UnixTime> {
        let is_void = self.round != self.rules.said.round() && self.draw.is_none();
        self.round.filter(|_| is_void).map(drand::time_of)
    }

    /// Takes the next statement.
    ///
    /// # Errors
    /// [`DrawError`]: nobody would believe it. Nothing has changed.
    pub fn take(&mut self, line: &str, key: &VerifyingKey) -> Result<(), DrawError> {
        if line.starts_with(r#"{"void":"#) {
            if self.commitment.is_some() {
                return Err(DrawError::Void("those who came had been committed to".to_owned()));
            }
            self.round = Some(commitment::void(line, key, &self.rules, self.round)?);
        } else if line.starts_with(r#"{"commitment":"#) {
            if self.commitment.is_some() {
                return self.is_the_one(line, key);
            }
            self.commitment = Some(commitment::verify(line, key, &self.rules, self.round)?);
        } else {
            let told = serde_json::from_str(line).map_err(|error| DrawError::Unreadable {
                what: "a statement of the draw",
                why: error.to_string(),
            })?;
            self.randomness(&told)?;
        }
        Ok(())
    }

    /// Whether a commitment that `key` signed is the one that was taken here.
    ///
    /// # Errors
    /// [`DrawError::SecondCommitment`], or why it is none to this draw.
    pub fn is_the_one(&self, line: &str, key: &VerifyingKey) -> Result<(), DrawError> {
        let other: Signed<Commitment> = super::signed("commitment", line, key)?;
        let shown = hex(&self.rules.hash);
        if other.said.room != self.rules.said.room || other.said.rules != shown {
            return Err(DrawError::OtherRules { committed: other.said.rules, shown });
        }
        match &self.commitment {
            Some(first) if first.hash == other.hash => Ok(()),
            Some(_) => Err(DrawError::SecondCommitment),
            None => Err(uncommitted()),
        }
    }

    fn randomness(&mut self, told: &Randomness) -> Result<(), DrawError> {
        if self.draw.is_some() {
            return Err(DrawError::Randomness("it is told twice".to_owned()));
        }
        let commitment = self.commitment().ok_or_else(uncommitted)?;
        let fixed = commitment.fixed(self.rules.hash)?;
        self.draw = Some(fixed.draw(&told.bytes(&self.rules.said, self.round)?));
        Ok(())
    }

    /// What was committed to, and how it was decided.
    ///
    /// # Errors
    /// [`DrawError::Held`] as long as it is not.
    pub fn decided(&self) -> Result<(&Commitment, Draw), DrawError> {
        let commitment = self.commitment().ok_or_else(uncommitted)?;
        let missing = || DrawError::Held("the randomness is missing".to_owned());
        Ok((commitment, self.draw.ok_or_else(missing)?))
    }

    /// What is due at `now`, when `log` holds those who came. Nobody may be added to it any more as soon as
    /// this is not [`Step::Gather`].
    #[must_use]
    pub fn step(&self, log: &JoinLog, now: UnixTime) -> Step {
        let UnixTime(now_ms) = now;
        if let Some(draw) = self.draw {
            return Step::Drawn(draw);
        }
        if self.commitment.is_some() {
            return Step::Wait(self.round);
        }
        if now_ms < self.rules.said.opens_at_ms {
            return Step::Gather;
        }
        let (room, rules) = (self.rules.said.room.clone(), hex(&self.rules.hash));
        match self.round.filter(|round| now_ms > deadline_ms(*round)) {
            Some(round) => Step::Say(Statement::Void(Void {
                kind: Void::KIND.to_owned(),
                v: 1,
                room,
                rules,
                round,
                next_round: drand::round_from(UnixTime(
                    now_ms.saturating_add(milliseconds(ROUND_AFTER_VOID)),
                )),
                signed_at_ms: now_ms,
            })),
            None => Step::Say(Statement::Commitment(Commitment {
                kind: Commitment::KIND.to_owned(),
                v: 1,
                room,
                rules,
                round: self.round,
                count: log.count(),
                root: hex(&log.root()),
                closed_at_ms: now_ms,
                signed_at_ms: now_ms,
            })),
        }
    }
}

fn uncommitted() -> DrawError {
    DrawError::Held("nothing is committed to".to_owned())
}

#[cfg(test)]
mod tests;
