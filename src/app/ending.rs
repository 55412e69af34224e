//! The end of an event, by an operator, for good: everybody is out, and nobody can be found again.

use std::fmt;
use std::sync::Arc;

use super::reload::Reloader;
use crate::store::journal::{Ending, Journal, JournalError};

/// An event that did not end.
#[derive(Debug)]
pub enum EndError {
    /// There is no such room.
    Unknown,
    /// It could not be made durable.
    Journal(JournalError),
    /// It did end, and what was erased still stands in a file beside the state.
    Left(JournalError),
    /// The work was broken off.
    Broken(String),
}

impl fmt::Display for EndError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such room"),
            Self::Journal(error) => error.fmt(f),
            Self::Left(error) => write!(f, "it has ended; the file before cannot be written over: {error}"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EndError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) | Self::Left(error) => Some(error),
            Self::Unknown | Self::Broken(_) => None,
        }
    }
}

impl Reloader {
    /// Ends the event of `room`. What could lead from what is kept to its people is erased first; then nobody
    /// is in, and the public log says so. Asked again, it says the same, and does what was left to do.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn end(&self, room: &str) -> Result<Ending, EndError> {
        // No room comes or goes meanwhile.
        let _turn = self.one_at_a_time.lock().await;
        let live = self.proxy.live.load_full();
        let room = live.rooms.get(room).ok_or(EndError::Unknown)?;
        let at_ms = room.line.ended().map_or_else(|| self.proxy.clock.unix().0, |ended| ended.at_ms);
        let keys = live.rooms.values().all(|one| Arc::ptr_eq(one, room) || one.line.ended().is_some());
        let (journal, name) = (Arc::clone(&self.workshop.journal), room.line.name.clone());
        let erasing = tokio::task::spawn_blocking(move || erase(&journal, &name, Ending { at_ms, keys }));
        let erased = erasing.await.map_err(|error| EndError::Broken(error.to_string()))?;
        let (ending, left) = erased.map_err(EndError::Journal)?;
        if room.line.ended().is_none() {
            room.line.end(ending);
            tracing::warn!(room = room.line.name, keys, "the event was ended by an operator");
        }
        left.map_or(Ok(ending), |error| Err(EndError::Left(error)))
    }
}

/// Erases what there is to erase, and says what stands in the journal then, and why something is left if so.
fn erase(
    journal: &Journal,
    room: &str,
    ending: Ending,
) -> Result<(Ending, Option<JournalError>), JournalError> {
    if let Some(ended) = journal.ending(room)? {
        // The keys stayed while another room lived, which has gone since without an end.
        let outlived = ending.keys && !ended.keys && journal.has_keys()?;
        if !outlived {
            return Ok((ended, journal.clear().err()));
        }
    }
    let Err(error) = journal.end(room, ending) else { return Ok((ending, None)) };
    match journal.ending(room) {
        Ok(Some(ended)) if ended == ending => Ok((ending, Some(error))),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_outlived_a_room_go_when_none_lives() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.secrets([[1; 32], [2; 32], [3; 32]]).unwrap();
        let first = Ending { at_ms: 7, keys: false };
        assert_eq!(erase(&journal, "main", first).unwrap().0, first);
        assert_eq!(erase(&journal, "main", first).unwrap().0, first, "another room lives");
        assert!(journal.has_keys().unwrap());
        let last = Ending { at_ms: 7, keys: true };
        assert_eq!(erase(&journal, "main", last).unwrap().0, last);
        assert_eq!(journal.ending("main").unwrap(), Some(last));
        assert!(!journal.has_keys().unwrap());
        // A gateway that was started again has made others.
        journal.secrets([[4; 32], [5; 32], [6; 32]]).unwrap();
        assert_eq!(erase(&journal, "main", last).unwrap().0, last);
        assert!(journal.has_keys().unwrap());
    }

    #[test]
    fn what_could_not_be_written_over_is_said_and_no_end_that_did_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let ending = Ending { at_ms: 7, keys: false };
        let fresh = folder.path().join("tornello.new");
        std::fs::create_dir(&fresh).unwrap();
        assert!(erase(&journal, "main", ending).is_err());
        assert_eq!(journal.ending("main").unwrap(), None);
        std::fs::remove_dir(&fresh).unwrap();
        assert!(erase(&journal, "main", ending).unwrap().1.is_none());
        std::fs::create_dir(&fresh).unwrap();
        let (ended, left) = erase(&journal, "main", ending).unwrap();
        assert_eq!((ended, left.is_some()), (ending, true));
    }
}
