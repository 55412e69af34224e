//! A log as anybody can check it: the signature of each line, that each names the one before, and that it
//! is the log that a board named.

use std::fmt;

use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;

use super::{Counts, Entry, Event, Head, LogError, hash, nothing};
use crate::proof::hex;
use crate::proof::sealed::{ProofError, open};

/// A log that was believed.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The room.
    pub room: String,
    /// Index of the first line.
    pub first: u64,
    /// The hash of each line.
    hashes: Vec<[u8; 32]>,
    /// From then, in milliseconds since 1970,
    pub from_ms: u64,
    /// to then.
    pub to_ms: u64,
    /// The sums of all lines.
    pub totals: Counts,
    /// Starts before which counts were lost.
    pub lost: u64,
    /// What changed, and when.
    pub events: Vec<(u64, u64, Event)>,
}

/// Reads one line that `key` signed.
fn read(line: &str, key: &VerifyingKey) -> Result<(Entry, [u8; 32]), ProofError> {
    let body = open("entry", line, key)?;
    let entry: Entry =
        serde_json::from_str(body).map_err(|error| ProofError::Malformed(error.to_string()))?;
    if entry.kind != Entry::KIND || entry.v != 1 {
        return Err(ProofError::Wrong("signed, but not a line of a log of this version".to_owned()));
    }
    Ok((entry, hash(body)))
}

/// Reads a line that we wrote ourselves: it says how the log goes on.
///
/// # Errors
/// [`ProofError`].
pub fn own(line: &str, key: &VerifyingKey) -> Result<(Entry, Head), ProofError> {
    let (entry, hash) = read(line, key)?;
    let head = Head { index: entry.index, hash };
    Ok((entry, head))
}

/// Checks a log, a line an entry. It must begin with its first entry, or be said to be a `part`.
///
/// # Errors
/// [`LogError`]: the first thing that is wrong.
pub fn verify(text: &str, key: &VerifyingKey, part: bool) -> Result<Verified, LogError> {
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let read =
        |(line, at): (&str, usize)| read(line, key).map_err(|error| LogError::Line { line: at, error });
    let (entry, hash) = read(lines.next().ok_or(LogError::Empty)?)?;
    if !part && entry.index > 0 {
        return Err(LogError::Missing { must: 0, found: entry.index });
    }
    if entry.index == 0 && entry.prev != nothing() {
        return Err(LogError::Broken(0));
    }
    let mut log = Verified {
        room: entry.room.clone(),
        first: entry.index,
        hashes: Vec::new(),
        from_ms: entry.from_ms,
        to_ms: entry.from_ms,
        totals: Counts::default(),
        lost: 0,
        events: Vec::new(),
    };
    log.take(entry, hash)?;
    for line in lines {
        let (entry, hash) = read(line)?;
        log.follows(&entry, hash)?;
        log.take(entry, hash)?;
    }
    Ok(log)
}

impl Verified {
    /// The last line.
    #[must_use]
    pub fn head(&self) -> Head {
        let hash = self.hashes.last().copied().unwrap_or_default();
        Head { index: self.first + (self.hashes.len() as u64).saturating_sub(1), hash }
    }

    fn hash_of(&self, index: u64) -> Option<&[u8; 32]> {
        self.hashes.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    fn follows(&self, entry: &Entry, hash: [u8; 32]) -> Result<(), LogError> {
        let (last, found) = (self.head(), entry.index);
        let must = last.index + 1;
        match self.hash_of(found) {
            Some(known) if *known != hash => return Err(LogError::Forked(found)),
            Some(_) if found == last.index => return Err(LogError::Doubled(found)),
            Some(_) => return Err(LogError::OutOfOrder { must, found }),
            None if found < must => return Err(LogError::OutOfOrder { must, found }),
            None if found > must => return Err(LogError::Missing { must, found }),
            None if entry.prev != hex(&last.hash) => return Err(LogError::Broken(found)),
            None => {}
        }
        if entry.room != self.room {
            return Err(LogError::OtherRoom(found));
        }
        Ok(())
    }

    fn take(&mut self, entry: Entry, hash: [u8; 32]) -> Result<(), LogError> {
        let Entry { index, from_ms, to_ms, counts, event, .. } = entry;
        let starts = matches!(event, Some(Event::Start { .. }));
        let goes_on = if starts { from_ms >= self.to_ms } else { from_ms == self.to_ms };
        if !goes_on || to_ms < from_ms {
            return Err(LogError::Time(index));
        }
        let is_over = |(_, _, event): &(u64, u64, Event)| matches!(event, Event::Ended { .. });
        let people = counts.arrived + counts.queued + counts.admitted;
        if people > 0 && self.events.iter().any(is_over) {
            return Err(LogError::AfterTheEnd(index));
        }
        self.lost += u64::from(matches!(event, Some(Event::Start { clean: false })));
        self.totals += counts;
        self.to_ms = to_ms;
        self.hashes.push(hash);
        self.events.extend(event.map(|event| (index, to_ms, event)));
        Ok(())
    }

    /// Whether it is the log that a board named then.
    ///
    /// # Errors
    /// [`LogError::Forked`] if the board named another line, [`LogError::CutOff`] if it named a later one.
    pub fn holds(&self, named: Head) -> Result<(), LogError> {
        match self.hash_of(named.index) {
            Some(hash) if *hash == named.hash => Ok(()),
            Some(_) => Err(LogError::Forked(named.index)),
            None if named.index < self.first => {
                Err(LogError::Missing { must: named.index, found: self.first })
            }
            None => Err(LogError::CutOff { last: self.head().index, board: named.index }),
        }
    }

    /// Whether another copy, which was believed, tells the same as far as both go.
    ///
    /// # Errors
    /// [`LogError::Forked`], [`LogError::OtherRoom`].
    pub fn agrees(&self, kept: &Self) -> Result<(), LogError> {
        if kept.room != self.room {
            return Err(LogError::OtherRoom(kept.first));
        }
        let differs = |(hash, index): (&[u8; 32], u64)| {
            self.hash_of(index).filter(|here| *here != hash).map(|_| LogError::Forked(index))
        };
        kept.hashes.iter().zip(kept.first..).find_map(differs).map_or(Ok(()), Err)
    }
}

/// The line that a board names, as it was signed.
///
/// # Errors
/// [`LogError::Line`] if the board is not signed by the key, [`LogError::NoHead`].
pub fn head_of_board(text: &str, key: &VerifyingKey) -> Result<Head, LogError> {
    let body = open("board", text, key).map_err(|error| LogError::Line { line: 1, error })?;
    let board: serde_json::Value = serde_json::from_str(body).map_err(|_| LogError::NoHead)?;
    board.get("log").and_then(serde_json::Value::as_str).and_then(Head::parse).ok_or(LogError::NoHead)
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms: u64| {
            let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            time.map_or_else(|| ms.to_string(), |time| time.to_string())
        };
        let Self { room, first, totals, lost, .. } = self;
        let (from, to, head) = (time(self.from_ms), time(self.to_ms), self.head());
        write!(f, "room {room}, entries {first} to {}, {from} to {to}\n{totals}", head.index)?;
        if *lost > 0 {
            write!(f, "\nincomplete: {lost} times a gateway ended without counting to its end")?;
        }
        for (index, at, event) in &self.events {
            write!(f, "\n{index} {} {event}", time(*at))?;
        }
        write!(f, "\nhead {head}")
    }
}
