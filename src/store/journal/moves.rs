//! Places that moved to another device, as they are kept.

use redb::{ReadableDatabase, TableDefinition, WriteTransaction};

use super::{Entry, Journal, JournalError};
use crate::admission::UnixTime;
use crate::admission::moves::Move;
use crate::admission::ticket::Said;

/// By room and number as tickets hold it: how often it moved, when in milliseconds since 1970, what was typed for
/// it (0 if nobody can tell), and what its ticket says.
pub(super) const MOVES: TableDefinition<'_, (&str, u64), (u8, u64, u128, Said)> =
    TableDefinition::new("moves");

impl Journal {
    /// The places of `room` that moved.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn moves(&self, room: &str) -> Result<Vec<(u64, Move)>, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(MOVES)?;
            let mut left = Vec::new();
            for entry in table.range((room, 0)..=(room, u64::MAX))? {
                let (key, value) = entry?;
                let (moves, at_ms, mark, ticket) = value.value();
                let (at, mark) = (UnixTime(at_ms), (mark != 0).then_some(mark));
                left.push((key.value().1, Move { moves, ticket, mark, at }));
            }
            Ok(left)
        })
    }
}

pub(super) fn write(transaction: &WriteTransaction, entry: &Entry) -> Result<(), redb::Error> {
    if entry.moves.moves.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(MOVES)?;
    for (place, Move { moves, ticket, mark, at }) in &entry.moves.moves {
        table.insert((entry.room.as_str(), *place), (*moves, at.0, mark.unwrap_or_default(), *ticket))?;
    }
    Ok(())
}
