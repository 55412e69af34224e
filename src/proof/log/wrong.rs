//! Why a log is not believed.

use std::fmt;

use crate::proof::sealed::ProofError;

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// There is no line.
    Empty,
    /// A line is not one of a log, or not signed by the key.
    Line {
        /// Which line of the file, from 1.
        line: usize,
        /// Why.
        error: ProofError,
    },
    /// Lines are missing before this one.
    Missing {
        /// The index that must come.
        must: u64,
        /// The one that does.
        found: u64,
    },
    /// A line stands there twice.
    Doubled(u64),
    /// Lines are not in their order.
    OutOfOrder {
        /// The index that must come.
        must: u64,
        /// The one that does.
        found: u64,
    },
    /// The key has signed two different lines with one index.
    Forked(u64),
    /// A line does not name the one before it.
    Broken(u64),
    /// A line is of another room.
    OtherRoom(u64),
    /// Its time runs backwards, or leaves a gap that no start explains.
    Time(u64),
    /// Something happened after the end of the event.
    AfterTheEnd(u64),
    /// The board names a line after the last one.
    CutOff {
        /// The last index.
        last: u64,
        /// The one that the board names.
        board: u64,
    },
    /// The board is not one that names a line of a log.
    NoHead,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no line of a log"),
            Self::Line { line, error } => write!(f, "line {line}: {error}"),
            Self::Missing { must, found } => {
                write!(f, "entry {found} follows where entry {must} must: lines were taken out")
            }
            Self::Doubled(index) => write!(f, "entry {index} stands there twice"),
            Self::OutOfOrder { must, found } => {
                write!(f, "entry {found} follows where entry {must} must: not the order of a log")
            }
            Self::Forked(index) => {
                write!(f, "two different entries {index} are signed by this key: proof of fraud, keep both")
            }
            Self::Broken(index) => write!(f, "entry {index} does not name the one before it"),
            Self::OtherRoom(index) => write!(f, "entry {index} is of another room"),
            Self::Time(index) => write!(f, "entry {index} does not begin where the one before it ends"),
            Self::AfterTheEnd(index) => write!(f, "entry {index} counts people after the end of the event"),
            Self::CutOff { last, board } => {
                write!(
                    f,
                    "the log ends with entry {last}, and the board names entry {board}: lines are missing"
                )
            }
            Self::NoHead => f.write_str("the board names no entry of a log"),
        }
    }
}

impl std::error::Error for LogError {}
