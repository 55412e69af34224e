//! `tornello verify`: checks, offline, what a gateway signed. Needs no gateway and no trust in one.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::out::say;
use super::{CONFIGURATION, Failure, OK, RUNTIME, complain};
use crate::admission::lane::{LaneId, place};
use crate::proof::draw::document::{self, Kept};
use crate::proof::log::verify as log;
use crate::proof::{receipt, sealed};

/// Check, offline, what a gateway signed.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// What is checked.
    #[command(subcommand)]
    pub what: What,
}

/// What can be checked.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// A receipt of a place, as `/.tornello/v1/rooms/ROOM/receipt` gives it.
    Receipt {
        /// The file; `-` reads from standard input.
        file: PathBuf,
        /// The rules of the room, as `rules` gives them: the receipt must name them.
        #[arg(long)]
        rules: Option<PathBuf>,
        /// The public key.
        #[command(flatten)]
        key: PublicKey,
    },
    /// A whole draw: rules, commitment, randomness, and the number of everybody who came.
    Draw {
        /// The file; `-` reads from standard input.
        file: PathBuf,
        /// The signed rules that were published beforehand: the draw must be held by them.
        #[arg(long)]
        rules: Option<PathBuf>,
        /// A signed commitment that somebody kept: there must be no other.
        #[arg(long)]
        commitment: Option<PathBuf>,
        /// The receipt of a place: it must be among those drawn.
        #[arg(long)]
        receipt: Option<PathBuf>,
        /// The public key.
        #[command(flatten)]
        key: PublicKey,
    },
    /// The public log of a room: the parts that `/.tornello/v1/rooms/ROOM/log/PART` gives, one after the other.
    Log {
        /// The file; `-` reads from standard input.
        file: PathBuf,
        /// A board that somebody kept: it must name a line of this log.
        #[arg(long)]
        board: Option<PathBuf>,
        /// Another copy of the log, or of a part of it, that somebody kept: this one must have all its lines.
        #[arg(long)]
        kept: Option<PathBuf>,
        /// The file is a part of a log: it need not begin with the first line.
        #[arg(long)]
        part: bool,
        /// The public key.
        #[command(flatten)]
        key: PublicKey,
    },
    /// A board that somebody kept.
    Board {
        /// The file; `-` reads from standard input.
        file: PathBuf,
        /// The public log of the room: the board must name a line of it.
        #[arg(long)]
        log: Option<PathBuf>,
        /// The public key.
        #[command(flatten)]
        key: PublicKey,
    },
}

/// Whose signature is expected.
#[derive(Debug, clap::Args)]
pub struct PublicKey {
    /// The gateway's public key, base64, or a file with it, or with the answer of `/.tornello/v1/keys`.
    #[arg(long)]
    key: String,
}

impl Verify {
    /// Says what holds; 1 if it does not, 2 if it cannot be read at all.
    #[must_use]
    pub fn execute(self) -> u8 {
        match self.what.check() {
            Ok(sentence) => {
                say(sentence);
                OK
            }
            Err(error) => {
                complain(&*error);
                if error.is::<std::io::Error>() { CONFIGURATION } else { RUNTIME }
            }
        }
    }
}

impl What {
    fn check(self) -> Result<String, Failure> {
        match self {
            Self::Receipt { file, rules, key } => {
                let rules = rules.as_deref().map(read).transpose()?;
                let told = receipt::verify(&read(&file)?, &key.read()?, rules.as_deref())?;
                let time = jiff::Timestamp::from_millisecond(i64::try_from(told.time_ms)?)?;
                let lane = match LaneId::of(told.number) {
                    LaneId::FIRST => String::new(),
                    lane => format!(" in lane {}", lane.index()),
                };
                Ok(format!(
                    "good: number {}{lane} of room {} (epoch {}), taken at {time}; rules {}",
                    place(told.number),
                    told.room,
                    told.epoch,
                    told.rules
                ))
            }
            Self::Draw { file, rules, commitment, receipt, key } => {
                let [rules, commitment, receipt] =
                    [rules, commitment, receipt].map(|path| path.as_deref().map(read).transpose());
                let (rules, commitment, receipt, key) = (rules?, commitment?, receipt?, key.read()?);
                let kept = Kept { rules: rules.as_deref(), commitment: commitment.as_deref() };
                let verified = document::verify(&read(&file)?, &key, &kept)?;
                let yours = match receipt {
                    Some(text) => {
                        let place = verified.place_of(&receipt::verify(&text, &key, None)?)?;
                        format!("\nthis receipt: ticket {}, number {}", place.0, place.1)
                    }
                    None => String::new(),
                };
                Ok(format!("good: {verified}{yours}"))
            }
            Self::Log { file, board, kept, part, key } => {
                let key = key.read()?;
                let told = log::verify(&read(&file)?, &key, part)?;
                if let Some(board) = board {
                    told.holds(&log::head_of_board(&read(&board)?, &key)?)?;
                }
                if let Some(kept) = kept {
                    told.agrees(&log::verify(&read(&kept)?, &key, true)?)?;
                }
                Ok(format!("good: {told}"))
            }
            Self::Board { file, log, key } => {
                let (text, key) = (read(&file)?, key.read()?);
                let board = sealed::open("board", &text, &key)?;
                let named = match log {
                    Some(log) => {
                        let named = log::head_of_board(&text, &key)?;
                        log::verify(&read(&log)?, &key, false)?.holds(&named)?;
                        format!("\nnames entry {} of this log", named.head.index)
                    }
                    None => String::new(),
                };
                Ok(format!("good: {board}{named}"))
            }
        }
    }
}

impl PublicKey {
    fn read(&self) -> Result<ed25519_dalek::VerifyingKey, Failure> {
        let path = Path::new(&self.key);
        let text = if path.is_file() { read(path)? } else { self.key.clone() };
        Ok(sealed::public_key(&text)?)
    }
}

fn read(path: &Path) -> Result<String, std::io::Error> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
