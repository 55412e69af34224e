//! Who asked to be told before the turn, by room and number, as [`crate::store::reminders`] seals it.

use redb::{ReadableDatabase, TableDefinition, WriteTransaction};

use super::{Entry, Journal, JournalError};
use crate::store::reminders::LeftReminders;

pub(super) const REMINDERS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("reminders");

impl Journal {
    /// Who asked in `room`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn reminders(&self, room: &str) -> Result<LeftReminders, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(REMINDERS)?;
            let mut left = Vec::new();
            for entry in table.range((room, 0)..=(room, u64::MAX))? {
                let (key, sealed) = entry?;
                left.push((key.value().1, sealed.value().into()));
            }
            Ok(left)
        })
    }
}

/// Writes what is new of one room.
pub(super) fn write(transaction: &WriteTransaction, entry: &Entry) -> Result<(), redb::Error> {
    if entry.reminders.is_empty() {
        return Ok(());
    }
    let (room, mut table) = (entry.room.as_str(), transaction.open_table(REMINDERS)?);
    for (number, sealed) in &entry.reminders.sealed {
        match sealed {
            Some(sealed) => _ = table.insert((room, *number), &**sealed)?,
            None => _ = table.remove((room, *number))?,
        }
    }
    Ok(())
}
