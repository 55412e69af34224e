//! Slots that were taken, by room and number. No number is 0: there stands for how long the room has stood
//! still.

use redb::{ReadableDatabase, TableDefinition, WriteTransaction};

use super::{Entry, Journal, JournalError};
use crate::admission::UnixTime;
use crate::store::slots::{LeftSlots, Span};

/// When each begins and ends.
pub(super) const SLOTS: TableDefinition<'_, (&str, u64), Span> = TableDefinition::new("slots");

impl Journal {
    /// The slots of `room`, as they are read at `unix`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn slots(&self, room: &str, unix: UnixTime) -> Result<LeftSlots, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(SLOTS)?;
            let mut left = LeftSlots { unix, ..LeftSlots::default() };
            for entry in table.range((room, 0)..=(room, u64::MAX))? {
                let (key, span) = entry?;
                match (key.value().1, span.value()) {
                    (0, (still_ms, _)) => left.still_ms = still_ms,
                    slot => left.spans.push(slot),
                }
            }
            Ok(left)
        })
    }
}

/// Writes what is new of one room.
pub(super) fn write(transaction: &WriteTransaction, entry: &Entry) -> Result<(), redb::Error> {
    let (room, news) = (entry.room.as_str(), &entry.slots);
    if news.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(SLOTS)?;
    for (number, span) in &news.spans {
        match span {
            Some(span) => _ = table.insert((room, *number), *span)?,
            None => _ = table.remove((room, *number))?,
        }
    }
    if let Some(still_ms) = news.still_ms {
        table.insert((room, 0), (still_ms, 0))?;
    }
    Ok(())
}
