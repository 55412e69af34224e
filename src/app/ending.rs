//! The end of an event, by an operator, for good: everybody is out, and nobody can be found again.

use std::fmt;
use std::sync::Arc;

use super::reload::Reloader;
use crate::store::journal::{Ending, JournalError};

/// An event that did not end.
#[derive(Debug)]
pub enum EndError {
    /// There is no such room.
    Unknown,
    /// It could not be made durable.
    Journal(JournalError),
    /// The work was broken off.
    Broken(String),
}

impl fmt::Display for EndError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such room"),
            Self::Journal(error) => error.fmt(f),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EndError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) => Some(error),
            Self::Unknown | Self::Broken(_) => None,
        }
    }
}

impl Reloader {
    /// Ends the event of `room`. What could lead from what is kept to its people is erased first; then nobody
    /// is in, and the public log says so. Asked again, it says the same.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn end(&self, room: &str) -> Result<Ending, EndError> {
        // No room comes or goes meanwhile.
        let _turn = self.one_at_a_time.lock().await;
        let live = self.proxy.live.load_full();
        let room = live.rooms.get(room).ok_or(EndError::Unknown)?;
        if let Some(ending) = room.line.ended() {
            return Ok(ending);
        }
        let keys = live.rooms.values().all(|one| Arc::ptr_eq(one, room) || one.line.ended().is_some());
        let ending = Ending { at_ms: self.proxy.clock.unix().0, keys };
        let (journal, name) = (Arc::clone(&self.workshop.journal), room.line.name.clone());
        let erasing = tokio::task::spawn_blocking(move || journal.end(&name, ending));
        let erased = erasing.await.map_err(|error| EndError::Broken(error.to_string()))?;
        erased.map_err(EndError::Journal)?;
        room.line.end(ending);
        tracing::warn!(room = room.line.name, keys, "the event was ended by an operator");
        Ok(ending)
    }
}
