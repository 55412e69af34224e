//! What changes the rules of the day, and stands in the public log with its time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A gateway began to serve the room.
    Start {
        /// The one before had counted to its end. If not, what it had counted since its last line is lost.
        clean: bool,
    },
    /// A gateway ended, and has counted to here.
    Stop,
    /// The room opened, or lets people in again after an opening that was moved.
    Opened,
    /// Nobody is called from here on.
    Held {
        /// As on the board.
        reason: String,
    },
    /// People are called again.
    Released,
    /// An operator lets everybody in, whatever the seats.
    OpenByOrder,
    /// That is over.
    OrderEnded,
    /// Another configuration was asked for.
    Reload {
        /// It is in force; else the old one is.
        taken: bool,
        /// Which configuration is in force, counted from the start of the gateway.
        generation: u64,
        /// SHA-256 of the rules of the room in force, as `rules` gives them.
        rules: String,
        /// Why it was refused: `shareable` (others could have been shown a personal page), `invalid`,
        /// `conflict` (it needs a restart, or takes something away from people in a room), `unreadable`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// A statement of the draw was published.
    Draw {
        /// Which: `rules`, `void`, `commitment`, `drand`, `reveals`.
        statement: String,
        /// SHA-256 of its line as `draw` gives it, without the line's end.
        sha256: String,
    },
    /// Numbering began anew, since something that was written down is lost.
    Epoch {
        /// The epoch from here on.
        epoch: u32,
    },
    /// The event is over: nobody is let in or given a place any more.
    Ended {
        /// Secrets that were erased: without them nothing that is kept leads to anybody.
        erased: Vec<String>,
    },
}

impl Event {
    /// The word by which it is told.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Stop => "stop",
            Self::Opened => "opened",
            Self::Held { .. } => "held",
            Self::Released => "released",
            Self::OpenByOrder => "open_by_order",
            Self::OrderEnded => "order_ended",
            Self::Reload { .. } => "reload",
            Self::Draw { .. } => "draw",
            Self::Epoch { .. } => "epoch",
            Self::Ended { .. } => "ended",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Start { clean: false } => f.write_str(" (counts since the line before are lost)"),
            Self::Held { reason } => write!(f, " ({reason})"),
            Self::Reload { taken: true, rules, .. } => write!(f, " taken, rules {rules}"),
            Self::Reload { refused, rules, .. } => {
                write!(f, " refused ({}), rules {rules}", refused.as_deref().unwrap_or("no reason"))
            }
            Self::Draw { statement, sha256 } => write!(f, " {statement} {sha256}"),
            Self::Epoch { epoch } => write!(f, " {epoch}"),
            Self::Ended { erased } => write!(f, ", erased: {}", erased.join(", ")),
            Self::Start { .. }
            | Self::Stop
            | Self::Opened
            | Self::Released
            | Self::OpenByOrder
            | Self::OrderEnded => Ok(()),
        }
    }
}
