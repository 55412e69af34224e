//! Whose randomness decides a draw, and that randomness when it is there.

use serde::{Deserialize, Serialize};

use super::rules::{Rules, Source};
use super::{DrawError, drand, reveal};

/// Randomness as a line of a draw tells it. It needs no signature of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Randomness {
    /// A round of drand.
    Drand {
        /// Its number.
        round: u64,
        /// Its signature, in hex.
        signature: String,
    },
    /// The secrets of all parties.
    Reveals(Vec<reveal::Reveal>),
}

impl Randomness {
    /// The bytes, if they are those that `rules` and what became of them (`round`) ask for.
    ///
    /// # Errors
    /// [`DrawError::WrongRound`], [`DrawError::Randomness`], [`DrawError::Held`].
    pub fn bytes(&self, rules: &Rules, round: Option<u64>) -> Result<[u8; 32], DrawError> {
        match (self, &rules.randomness) {
            (Self::Drand { round: told, signature }, Source::Drand { .. }) => {
                if Some(*told) != round {
                    let must = round.unwrap_or_default();
                    return Err(DrawError::WrongRound { told: *told, must });
                }
                drand::randomness(*told, signature).ok_or_else(|| {
                    DrawError::Randomness(format!("this is not the signature that drand gave round {told}"))
                })
            }
            (Self::Reveals(reveals), Source::Reveals { parties }) => {
                reveal::randomness(&rules.room, parties, reveals)
            }
            _ => Err(DrawError::Randomness("it comes from another source than the rules say".to_owned())),
        }
    }
}
