//! What can be wrong with a draw, in words for whoever checks it.

use std::fmt;

use crate::proof::sealed::ProofError;

/// Why a draw is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrawError {
    /// A part is not of the form that it should have.
    Unreadable {
        /// Which part.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A statement is not signed as it should be.
    Statement {
        /// Which.
        name: &'static str,
        /// Why.
        error: ProofError,
    },
    /// No fair draw is possible by these rules.
    Rules(String),
    /// They are not the rules that were published.
    ChangedRules,
    /// A statement was made under other rules than those shown.
    OtherRules {
        /// The hash of the rules that it names.
        committed: String,
        /// The hash of those shown.
        shown: String,
    },
    /// A draw was declared void without reason.
    Void(String),
    /// The commitment cannot stand.
    Commitment(String),
    /// Two commitments to one draw, both signed.
    SecondCommitment,
    /// Another round of drand than the one that counts.
    WrongRound {
        /// The one that is told.
        told: u64,
        /// The one that counts.
        must: u64,
    },
    /// The randomness is not what it should be.
    Randomness(String),
    /// Nothing is wrong, and nothing is decided.
    Held(String),
    /// Somebody who came is not there.
    Dropped(u32),
    /// Somebody is there twice.
    Doubled(u32),
    /// More or fewer than were committed to.
    Count {
        /// In the list.
        listed: u32,
        /// Committed to.
        committed: u32,
    },
    /// Others, or in another order, than were committed to.
    Root,
    /// Somebody has another number than was drawn.
    Number {
        /// Who, by index.
        index: u32,
        /// The number that is told.
        told: u64,
        /// The number that was drawn.
        drawn: u64,
    },
    /// A receipt's ticket was not among those drawn.
    NotDrawn,
}

impl fmt::Display for DrawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { what, why } => write!(f, "{what}: not readable: {why}"),
            Self::Statement { name, error } => write!(f, "{name}: {error}"),
            Self::Rules(why) => write!(f, "the rules of the draw: {why}"),
            Self::ChangedRules => f.write_str("changed rules: these are not the ones that you kept"),
            Self::OtherRules { committed, shown } => {
                write!(f, "changed rules: those shown hash to {shown}, bound are {committed}")
            }
            Self::Void(why) => write!(f, "the draw was declared void, wrongly: {why}"),
            Self::Commitment(why) => write!(f, "the commitment: {why}"),
            Self::SecondCommitment => {
                f.write_str("two different commitments to one draw, both signed by this key: proof of fraud")
            }
            Self::WrongRound { told, must } => {
                write!(f, "wrong round of drand: {told} is told, {must} counts")
            }
            Self::Randomness(why) => write!(f, "the randomness: {why}"),
            Self::Held(why) => write!(f, "nothing is drawn yet: {why}"),
            Self::Dropped(index) => write!(f, "ticket {index} was dropped from the list"),
            Self::Doubled(index) => write!(f, "ticket {index} is in the list twice"),
            Self::Count { listed, committed } => {
                write!(f, "{listed} tickets are listed, and {committed} were committed to")
            }
            Self::Root => {
                f.write_str("the tickets are not those committed to: one was changed, moved or replaced")
            }
            Self::Number { index, told, drawn } => {
                write!(f, "ticket {index} is listed with number {told}, and {drawn} was drawn")
            }
            Self::NotDrawn => f.write_str("the ticket of this receipt was not among those drawn"),
        }
    }
}

impl std::error::Error for DrawError {}
