//! What is durable: keys, and how far each room's numbers may have gone.
//!
//! One `redb` file in the state directory. A write returns when it is on the disk. Numbers are
//! reserved in blocks ahead of being given, so that a crash skips numbers but never gives one twice.

use std::fmt;
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::admission::room::RoomMarks;

const SECRETS: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("secrets");
const ROOMS: TableDefinition<'_, &str, (u32, u64, u64, u64)> = TableDefinition::new("rooms");

/// The durable state.
pub struct Journal {
    database: Database,
    path: PathBuf,
    in_memory: bool,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

/// State could not be read or made durable.
#[derive(Debug)]
pub struct JournalError {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "state in {} cannot be used; listen.state_directory must be writable by this user and belong to one gateway only",
            self.path.display()
        )
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Secrets that must survive a restart, or every ticket would be worthless after it.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Signs tickets and passes.
    pub ticket: [u8; 32],
    /// Signs boards (Ed25519 seed).
    pub board: [u8; 32],
    /// Keys the hashes of identities.
    pub event: [u8; 32],
}

impl Journal {
    /// Opens or creates the state in `directory`.
    ///
    /// # Errors
    /// If the directory cannot be made or written, or another process holds it.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("tornello.redb");
        let open = || -> Result<Database, Box<dyn std::error::Error + Send + Sync>> {
            std::fs::create_dir_all(directory)?;
            let database = Database::create(&path)?;
            lay_out(&database)?;
            restrict(&path)?;
            Ok(database)
        };
        match open() {
            Ok(database) => Ok(Self { database, path, in_memory: false }),
            Err(source) => Err(JournalError { path, source }),
        }
    }

    /// State that is gone when this value is: for rehearsals. Writing it waits for nothing.
    ///
    /// # Errors
    /// If memory cannot be had.
    pub fn in_memory() -> Result<Self, JournalError> {
        let open = || -> Result<Database, redb::Error> {
            let database = Database::builder().create_with_backend(InMemoryBackend::new())?;
            lay_out(&database)?;
            Ok(database)
        };
        match open() {
            Ok(database) => Ok(Self { database, path: PathBuf::from("memory"), in_memory: true }),
            Err(source) => Err(JournalError { path: PathBuf::from("memory"), source: Box::new(source) }),
        }
    }

    /// A write waits for no disk, so that it needs no thread of its own.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// The secrets; made from `random` where there are none yet.
    ///
    /// # Errors
    /// If they cannot be read or written.
    pub fn secrets(&self, random: [[u8; 32]; 3]) -> Result<Secrets, JournalError> {
        let [ticket, board, event] = random;
        let keep = || -> Result<Secrets, redb::Error> {
            let transaction = self.database.begin_write()?;
            let secrets = {
                let mut table = transaction.open_table(SECRETS)?;
                let mut keep = |name, fresh: [u8; 32]| -> Result<[u8; 32], redb::Error> {
                    if let Some(kept) = table.get(name)? {
                        return Ok(kept.value());
                    }
                    table.insert(name, fresh)?;
                    Ok(fresh)
                };
                Secrets {
                    ticket: keep("ticket", ticket)?,
                    board: keep("board", board)?,
                    event: keep("event", event)?,
                }
            };
            transaction.commit()?;
            Ok(secrets)
        };
        keep().map_err(|error| self.error(error))
    }

    /// How far the numbers of `room` may have gone.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn marks(&self, room: &str) -> Result<RoomMarks, JournalError> {
        let read = || -> Result<RoomMarks, redb::Error> {
            let table = self.database.begin_read()?.open_table(ROOMS)?;
            let stored = table.get(room)?.map(|entry| entry.value());
            Ok(stored.map_or_else(RoomMarks::default, |(epoch, issued, reserved, cursor)| RoomMarks {
                epoch,
                issued,
                reserved,
                cursor,
            }))
        };
        read().map_err(|error| self.error(error))
    }

    /// Makes the marks of several rooms durable in one step.
    ///
    /// # Errors
    /// If they are not on the disk.
    pub fn write<'a>(
        &self,
        marks: impl IntoIterator<Item = (&'a str, RoomMarks)>,
    ) -> Result<(), JournalError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(ROOMS)?;
                for (room, RoomMarks { epoch, issued, reserved, cursor }) in marks {
                    table.insert(room, (epoch, issued, reserved, cursor))?;
                }
            }
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.error(error))
    }

    fn error(&self, source: redb::Error) -> JournalError {
        JournalError { path: self.path.clone(), source: Box::new(source) }
    }
}

/// Makes the tables where there are none.
fn lay_out(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(SECRETS)?;
    transaction.open_table(ROOMS)?;
    transaction.commit()?;
    Ok(())
}

/// The file holds signing keys: nobody but its owner may read it.
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_marks_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let marks = RoomMarks { epoch: 1, issued: 10, reserved: 1_000, cursor: 4 };
        let first = {
            let journal = Journal::open(directory.path()).unwrap();
            journal.write([("main", marks)]).unwrap();
            journal.secrets([[1; 32], [2; 32], [3; 32]]).unwrap()
        };
        let journal = Journal::open(directory.path()).unwrap();
        assert_eq!(journal.marks("main").unwrap(), marks);
        assert_eq!(journal.marks("other").unwrap(), RoomMarks::default());
        let again = journal.secrets([[4; 32], [5; 32], [6; 32]]).unwrap();
        assert_eq!((again.ticket, again.board, again.event), (first.ticket, first.board, first.event));
    }

    #[test]
    fn memory_keeps_marks_for_as_long_as_it_lives() {
        let marks = RoomMarks { epoch: 1, issued: 10, reserved: 1_000, cursor: 4 };
        let journal = Journal::in_memory().unwrap();
        journal.write([("main", marks)]).unwrap();
        assert_eq!(journal.marks("main").unwrap(), marks);
        assert_eq!(Journal::in_memory().unwrap().marks("main").unwrap(), RoomMarks::default());
    }

    #[test]
    fn two_processes_cannot_share_a_state() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Journal::open(directory.path()).unwrap();
        assert!(Journal::open(directory.path()).is_err());
    }
}
