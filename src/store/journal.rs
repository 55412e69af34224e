//! What is durable: keys, how far each room's numbers may have gone, and which of them are over.
//!
//! One `redb` file in the state directory. A write returns when it is on the disk. Numbers are
//! reserved in blocks ahead of being given, so that a crash skips numbers but never gives one twice. After
//! an error of the disk the file is opened again, by its last good state, before the next write.

mod ending;
mod moves;
mod reminders;
mod slots;
mod unfinished;

pub use ending::Ending;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use ending::ENDED;
use reminders::REMINDERS;

use super::book;
use super::learnt::Lesson;
use super::line::Line;
use super::lots::LotsNews;
use super::reminders::ReminderNews;
use super::slots::SlotNews;
use crate::admission::draw::log::Leaf;
use crate::admission::lane::{LaneId, LaneMarks};
use crate::admission::moves::MoveNews;
use crate::admission::number_set::NumberSet;
use crate::admission::people::{Changes, PlaceBytes, RoomKey};
use crate::admission::room::{Ends, RoomMarks};

const SECRETS: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("secrets");
const ROOMS: TableDefinition<'_, &str, (u32, u64, u64, u64)> = TableDefinition::new("rooms");

/// The lanes of a room beside the first, by index: name, issued, reserved, cursor.
const LANES: TableDefinition<'_, (&str, u8), (&str, u64, u64, u64)> = TableDefinition::new("lanes");

/// Which numbers of a room are over: words of 64, by room and place.
const OVER: TableDefinition<'_, (&str, u64), u64> = TableDefinition::new("over");

/// Keys of the people of each room. They go with the room.
const PEOPLE_KEYS: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("people_keys");

/// Places of people, by room and key.
const PEOPLE: TableDefinition<'_, (&str, u64), PlaceBytes> = TableDefinition::new("people");

/// What was learnt of upstreams and rooms: JSON, see [`Lesson`].
const LESSONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("lessons");

/// Those who came before an opening, by room and index.
const LEAVES: TableDefinition<'_, (&str, u32), Leaf> = TableDefinition::new("leaves");

/// What was said of a draw, by room and line.
const STATEMENTS: TableDefinition<'_, (&str, u32), &str> = TableDefinition::new("statements");

/// The public log of each room, by room and index.
const LOG: TableDefinition<'_, (&str, u64), &str> = TableDefinition::new("log");

/// Most that is kept in memory of the file.
const CACHE_BYTES: usize = 8 << 20;

/// The key of a room's people, and their places.
type Acquaintances = ([u8; 32], Vec<(RoomKey, PlaceBytes)>);

type Opened = Result<Database, Box<dyn std::error::Error + Send + Sync>>;

/// The durable state.
pub struct Journal {
    /// None after an error, until it can be opened again.
    database: Mutex<Option<Database>>,
    open: Box<dyn Fn() -> Opened + Send + Sync>,
    path: PathBuf,
    in_memory: bool,
}

/// What is written of one room.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub room: String,
    /// How far it is.
    pub marks: RoomMarks,
    /// How far its lanes are beside the first.
    pub lanes: Vec<LaneMarks>,
    /// What is over since the last time.
    pub ends: Ends,
    /// What is new of its draw.
    pub lots: LotsNews,
    /// Whose place is another since the last time.
    pub people: Changes,
    /// What is new of its slots.
    pub slots: SlotNews,
    /// Whose place moved to another device since the last time.
    pub moves: MoveNews,
    /// What is new of those who asked to be told before their turn.
    pub reminders: ReminderNews,
}

/// What is written of the public log of one room.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Its name.
    pub room: String,
    /// The lines.
    pub lines: Vec<book::Line>,
}

impl Entry {
    /// What a room leaves behind that goes: nothing is uncertain.
    #[must_use]
    pub fn last(room: &str, line: &Line) -> Self {
        let (people, lots) = line.final_people();
        let (marks, ends, slots) = line.final_marks();
        let (lanes, reminders) = (line.final_lanes(), line.final_reminders(&ends));
        let moves = line.unkept_moves();
        Self { room: room.to_owned(), marks, lanes, ends, lots, people, slots, moves, reminders }
    }
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
        let (directory, file) = (directory.to_owned(), path.clone());
        let open = move || -> Opened {
            std::fs::create_dir_all(&directory)?;
            unfinished::put_aside(&file)?;
            let database = create(&file)?;
            // Nobody else has the state now. What cannot be written over now is tried again next time.
            if let Err(error) = ending::clear(&file) {
                let state = file.display().to_string();
                tracing::error!(state, %error, "what was erased with the end of an event cannot be written over");
            }
            Ok(database)
        };
        Self::new(path, false, open)
    }

    /// State that is gone when this value is: for rehearsals. Writing it waits for nothing.
    ///
    /// # Errors
    /// If memory cannot be had.
    pub fn in_memory() -> Result<Self, JournalError> {
        let open = || -> Opened { Ok(Database::builder().create_with_backend(InMemoryBackend::new())?) };
        Self::new(PathBuf::from("memory"), true, open)
    }

    fn new(
        path: PathBuf,
        in_memory: bool,
        open: impl Fn() -> Opened + Send + Sync + 'static,
    ) -> Result<Self, JournalError> {
        let opened = open().and_then(|database| {
            lay_out(&database)?;
            Ok(database)
        });
        match opened {
            Ok(database) => {
                Ok(Self { database: Mutex::new(Some(database)), open: Box::new(open), path, in_memory })
            }
            Err(source) => Err(JournalError { path, source }),
        }
    }

    /// Does `work` on the database. After an error of the disk nothing more can be done with it as it is
    /// in memory: it is closed, and opened again for whoever comes next.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, JournalError> {
        let mut held: MutexGuard<'_, Option<Database>> =
            self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match held.take() {
            Some(database) => database,
            None => (self.open)().map_err(|source| JournalError { path: self.path.clone(), source })?,
        };
        match work(&database) {
            Ok(done) => {
                *held = Some(database);
                Ok(done)
            }
            // State in memory is in no file: closing it would lose it.
            Err(error) => {
                *held = self.in_memory.then_some(database);
                Err(JournalError { path: self.path.clone(), source: Box::new(error) })
            }
        }
    }

    /// The same, to look at what only history needs: that it cannot be read takes the database from nobody,
    /// unless the disk itself failed, of which a database recovers only by being opened again.
    fn look<T>(&self, look: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, JournalError> {
        self.with(|database| match look(database) {
            Err(error @ (redb::Error::Io(_) | redb::Error::PreviousIo)) => Err(error),
            looked => Ok(looked),
        })?
        .map_err(|error| JournalError { path: self.path.clone(), source: Box::new(error) })
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
        self.with(|database| {
            let transaction = database.begin_write()?;
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
        })
    }

    /// How far the numbers of `room` may have gone.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn marks(&self, room: &str) -> Result<RoomMarks, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(ROOMS)?;
            let stored = table.get(room)?.map(|entry| entry.value());
            Ok(stored.map_or_else(RoomMarks::default, |(epoch, issued, reserved, cursor)| RoomMarks {
                epoch,
                issued,
                reserved,
                cursor,
            }))
        })
    }

    /// The lanes of `room` beside the first, whose epoch is the room's.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn lanes(&self, room: &str, epoch: u32) -> Result<Vec<LaneMarks>, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(LANES)?;
            let mut lanes = Vec::new();
            for entry in table.range((room, 0)..=(room, u8::MAX))? {
                let (key, value) = entry?;
                let (name, issued, reserved, cursor) = value.value();
                let marks = RoomMarks { epoch, issued, reserved, cursor };
                let id = LaneId::new(key.value().1);
                lanes.extend(id.map(|id| LaneMarks { id, name: name.to_owned(), marks }));
            }
            Ok(lanes)
        })
    }

    /// Which numbers of `room` are over.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn over(&self, room: &str) -> Result<NumberSet, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(OVER)?;
            let mut words = Vec::new();
            for entry in table.range((room, 0)..=(room, u64::MAX))? {
                let (key, word) = entry?;
                words.push((key.value().1, word.value()));
            }
            Ok(NumberSet::of_words(words))
        })
    }

    /// The seed of the key that signs boards and draws, if there is one yet.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn board_seed(&self) -> Result<Option<[u8; 32]>, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(SECRETS)?;
            Ok(table.get("board")?.map(|kept| kept.value()))
        })
    }

    /// What was said of the draw of `room`, and who came, by index.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn lots(&self, room: &str) -> Result<(Vec<String>, Vec<Leaf>), JournalError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let (mut lines, mut leaves) = (Vec::new(), Vec::new());
            for entry in transaction.open_table(STATEMENTS)?.range((room, 0)..=(room, u32::MAX))? {
                lines.push(entry?.1.value().to_owned());
            }
            for entry in transaction.open_table(LEAVES)?.range((room, 0)..=(room, u32::MAX))? {
                leaves.push(entry?.1.value());
            }
            Ok((lines, leaves))
        })
    }

    /// Lines of the public log of `room`, from an index on.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn log(&self, room: &str, from: u64, most: u64) -> Result<Vec<book::Line>, JournalError> {
        self.look(|database| {
            let table = database.begin_read()?.open_table(LOG)?;
            let mut lines = Vec::new();
            for entry in table.range((room, from)..(room, from.saturating_add(most)))? {
                let (key, line) = entry?;
                lines.push((key.value().1, line.value().to_owned()));
            }
            Ok(lines)
        })
    }

    /// The index of the last line of the public log of `room`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log_end(&self, room: &str) -> Result<Option<u64>, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(LOG)?;
            let last = table.range((room, 0)..=(room, u64::MAX))?.next_back().transpose()?;
            Ok(last.map(|(key, _)| key.value().1))
        })
    }

    /// The key of the people of `room`, made from `random` where there is none yet, and their places. Of a room
    /// whose event is over nothing is kept.
    ///
    /// # Errors
    /// If they cannot be read or the key cannot be written.
    pub fn people(&self, room: &str, random: [u8; 32]) -> Result<Acquaintances, JournalError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            if transaction.open_table(ENDED)?.get(room)?.is_some() {
                return Ok((random, Vec::new()));
            }
            let secret = {
                let mut keys = transaction.open_table(PEOPLE_KEYS)?;
                let known = keys.get(room)?.map(|known| known.value());
                if known.is_none() {
                    keys.insert(room, random)?;
                    // Places under a key that is gone are nobody's, and what was sealed by it nobody's to read.
                    let all = (room, 0)..=(room, u64::MAX);
                    transaction.open_table(PEOPLE)?.retain_in(all.clone(), |_, _| false)?;
                    transaction.open_table(REMINDERS)?.retain_in(all, |_, _| false)?;
                }
                known.unwrap_or(random)
            };
            transaction.commit()?;
            let table = database.begin_read()?.open_table(PEOPLE)?;
            let mut places = Vec::new();
            for entry in table.range((room, 0)..=(room, u64::MAX))? {
                let (key, place) = entry?;
                places.push((key.value().1, place.value()));
            }
            Ok((secret, places))
        })
    }

    /// A room is over: nobody can be found in it any more, and what is left of them tells nothing.
    ///
    /// # Errors
    /// If it is not on the disk.
    pub fn forget_people(&self, room: &str) -> Result<(), JournalError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            transaction.open_table(PEOPLE_KEYS)?.remove(room)?;
            transaction.open_table(PEOPLE)?.retain_in((room, 0)..=(room, u64::MAX), |_, _| false)?;
            transaction.open_table(REMINDERS)?.retain_in((room, 0)..=(room, u64::MAX), |_, _| false)?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// What was learnt of an upstream or a room, by its key. What cannot be read as that counts as nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn lesson(&self, key: &str) -> Result<Option<Lesson>, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(LESSONS)?;
            Ok(table.get(key)?.and_then(|bytes| serde_json::from_slice(bytes.value()).ok()))
        })
    }

    /// Makes what is written of several rooms and upstreams durable in one step: all of it, or nothing.
    ///
    /// # Errors
    /// If it is not on the disk.
    pub fn write(&self, entries: &[Entry], lessons: &[(String, Lesson)]) -> Result<(), JournalError> {
        self.write_with(entries, lessons, &[])
    }

    /// The same, and lines of public logs with it. A line that is written is never written over by another.
    ///
    /// # Errors
    /// If it is not on the disk, or another line is.
    pub fn write_with(
        &self,
        entries: &[Entry],
        lessons: &[(String, Lesson)],
        pages: &[Pages],
    ) -> Result<(), JournalError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut log = transaction.open_table(LOG)?;
                for (room, (index, line)) in pages
                    .iter()
                    .flat_map(|Pages { room, lines }| lines.iter().map(move |line| (room.as_str(), line)))
                {
                    let other = log.insert((room, *index), line.as_str())?;
                    if other.is_some_and(|other| other.value() != line) {
                        let why = format!("entry {index} of the log of {room} is another one");
                        return Err(redb::Error::Corrupted(why));
                    }
                }
                let mut learnt = transaction.open_table(LESSONS)?;
                for (key, lesson) in lessons {
                    let text = serde_json::to_vec(lesson).unwrap_or_default();
                    learnt.insert(key.as_str(), text.as_slice())?;
                }
                let mut rooms = transaction.open_table(ROOMS)?;
                let mut over = transaction.open_table(OVER)?;
                let mut leaves = transaction.open_table(LEAVES)?;
                let mut statements = transaction.open_table(STATEMENTS)?;
                let mut places = transaction.open_table(PEOPLE)?;
                let mut lines = transaction.open_table(LANES)?;
                let ended = transaction.open_table(ENDED)?;
                for entry in entries {
                    let Entry { room, marks, lanes, ends, lots, people, .. } = entry;
                    for LaneMarks { id, name, marks } in lanes {
                        let value = (name.as_str(), marks.issued, marks.reserved, marks.cursor);
                        lines.insert((room.as_str(), id.index()), value)?;
                    }
                    let is_over = ended.get(room.as_str())?.is_some();
                    if !is_over {
                        slots::write(&transaction, entry)?;
                        moves::write(&transaction, entry)?;
                        reminders::write(&transaction, entry)?;
                    }
                    for (key, place) in people.places.iter().filter(|_| !is_over) {
                        places.insert((room.as_str(), *key), place)?;
                    }
                    let RoomMarks { epoch, issued, reserved, cursor } = *marks;
                    rooms.insert(room.as_str(), (epoch, issued, reserved, cursor))?;
                    for (at, word) in &ends.words {
                        over.insert((room.as_str(), *at), word)?;
                    }
                    for (index, leaf) in &lots.leaves {
                        leaves.insert((room.as_str(), *index), leaf)?;
                    }
                    if let Some((at, line)) = &lots.line {
                        statements.insert((room.as_str(), *at), line.as_str())?;
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }
}

/// Makes the tables where there are none.
fn lay_out(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(SECRETS)?;
    transaction.open_table(ROOMS)?;
    transaction.open_table(LANES)?;
    transaction.open_table(OVER)?;
    transaction.open_table(LESSONS)?;
    transaction.open_table(LEAVES)?;
    transaction.open_table(STATEMENTS)?;
    transaction.open_table(PEOPLE_KEYS)?;
    transaction.open_table(PEOPLE)?;
    transaction.open_table(LOG)?;
    transaction.open_table(ENDED)?;
    transaction.open_table(slots::SLOTS)?;
    transaction.open_table(moves::MOVES)?;
    transaction.open_table(REMINDERS)?;
    transaction.commit()?;
    Ok(())
}

/// A file that nobody else may read, opened or made. The places of a million people are read once, at the start:
/// all of them kept in the cache as well would double what they take.
fn create(path: &Path) -> Opened {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    restrict(path)?;
    Ok(database)
}

/// The file holds signing keys: nobody but its owner may read it.
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests;
