//! The end of a room's event: everything by which what is kept could lead to somebody is erased.
//!
//! A database that removes something keeps its bytes in pages that are free. Here they go: what stays is
//! written into another file, which takes the place of the first, and the first is written over. Should the
//! process end in between, the first is as it was, or the other one has its place; the first keeps a name of
//! its own until it is written over, so that whoever opens the state next does what is left to do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;

use redb::{Key, ReadTransaction, Value, WriteTransaction};

use super::moves::MOVES;
use super::reminders::REMINDERS;
use super::slots::SLOTS;
use super::{
    Database, Journal, JournalError, LANES, LEAVES, LESSONS, LOG, OVER, PEOPLE, PEOPLE_KEYS, Path,
    PoisonError, ROOMS, ReadableDatabase, ReadableTable, SECRETS, STATEMENTS, TableDefinition, create,
};

/// When rooms ended, in milliseconds since 1970, and whether the gateway's own keys went with them.
pub(super) const ENDED: TableDefinition<'_, &str, (u64, bool)> = TableDefinition::new("ended");

/// The secrets by which tickets are signed and people are named. The one that signs what is public stays.
const OF_PEOPLE: [&str; 2] = ["ticket", "event"];

/// The event of a room is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// It was the last one: the keys that sign tickets and name people are gone as well.
    pub keys: bool,
}

impl Ending {
    /// What was erased, in words.
    #[must_use]
    pub fn erased(self) -> Vec<String> {
        let words: &[&str] = if self.keys {
            &["people", "room_key", "ticket_key", "event_key"]
        } else {
            &["people", "room_key"]
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

impl Journal {
    /// Whether the event of `room` is over.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn ending(&self, room: &str) -> Result<Option<Ending>, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(ENDED)?;
            let stored = table.get(room)?.map(|entry| entry.value());
            Ok(stored.map(|(at_ms, keys)| Ending { at_ms, keys }))
        })
    }

    /// Whether there are keys for tickets and people: not after the end of the last event, until a gateway
    /// starts anew.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn has_keys(&self) -> Result<bool, JournalError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(SECRETS)?;
            Ok(table.get(OF_PEOPLE[0])?.is_some())
        })
    }

    /// The event of `room` is over: erases who was there, and the key by which they were named.
    ///
    /// # Errors
    /// If it is not on the disk, or what was erased still is: [`Journal::ending`] tells which.
    pub fn end(&self, room: &str, ending: Ending) -> Result<(), JournalError> {
        let mut held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = |source| JournalError { path: self.path.clone(), source };
        let old = match held.take() {
            Some(database) => database,
            None => (self.open)().map_err(wrong)?,
        };
        if self.in_memory {
            let ended = in_place(&old, room, ending);
            *held = Some(old);
            return ended.map_err(|error| wrong(error.into()));
        }
        let fresh = self.path.with_extension(FRESH);
        let written = write_without(&old, &fresh, room, ending);
        if let Err(error) = written.and_then(|()| Ok(replace(&self.path, &fresh)?)) {
            *held = Some(old);
            let _ = wipe(&fresh);
            return Err(wrong(error));
        }
        // Opened again, by its name, for whoever comes next.
        drop(old);
        let cleared = sync_folder_of(&self.path).and_then(|()| clear(&self.path));
        cleared.map_err(|error| wrong(error.into()))
    }

    /// Writes over what an end could not.
    ///
    /// # Errors
    /// If it cannot now.
    pub fn clear(&self) -> Result<(), JournalError> {
        let _held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let cleared = if self.in_memory { Ok(()) } else { clear(&self.path) };
        cleared.map_err(|error| JournalError { path: self.path.clone(), source: error.into() })
    }
}

/// How the file is called that takes the place of the first, and the first until it is written over.
const FRESH: &str = "new";
const BEFORE: &str = "old";

/// Memory leaves nothing behind.
fn in_place(database: &Database, room: &str, ending: Ending) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    // With the last room nobody is left in any, also not in one that went without an end.
    let stays = |name: &str| !ending.keys && name != room;
    transaction.open_table(PEOPLE_KEYS)?.retain(|name, _| stays(name))?;
    transaction.open_table(PEOPLE)?.retain(|(name, _), _| stays(name))?;
    transaction.open_table(SLOTS)?.retain(|(name, _), _| stays(name))?;
    transaction.open_table(MOVES)?.retain(|(name, _), _| stays(name))?;
    transaction.open_table(REMINDERS)?.retain(|(name, _), _| stays(name))?;
    if ending.keys {
        let mut secrets = transaction.open_table(SECRETS)?;
        for secret in OF_PEOPLE {
            secrets.remove(secret)?;
        }
    }
    transaction.open_table(ENDED)?.insert(room, (ending.at_ms, ending.keys))?;
    transaction.commit()?;
    Ok(())
}

fn write_without(
    old: &Database,
    fresh: &Path,
    room: &str,
    ending: Ending,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // What an attempt left that was cut short.
    wipe(fresh)?;
    let database = create(fresh)?;
    let (from, to) = (old.begin_read()?, database.begin_write()?);
    // With the last room nobody is left in any, also not in one that went without an end.
    let others = |name: &str| !ending.keys && name != room;
    copy(&from, &to, SECRETS, |name| !(ending.keys && OF_PEOPLE.contains(&name)))?;
    copy(&from, &to, PEOPLE_KEYS, others)?;
    copy(&from, &to, PEOPLE, |(name, _)| others(name))?;
    copy(&from, &to, SLOTS, |(name, _)| others(name))?;
    copy(&from, &to, MOVES, |(name, _)| others(name))?;
    copy(&from, &to, REMINDERS, |(name, _)| others(name))?;
    copy(&from, &to, ROOMS, |_| true)?;
    copy(&from, &to, LANES, |_| true)?;
    copy(&from, &to, OVER, |_| true)?;
    copy(&from, &to, LESSONS, |_| true)?;
    copy(&from, &to, LEAVES, |_| true)?;
    copy(&from, &to, STATEMENTS, |_| true)?;
    copy(&from, &to, LOG, |_| true)?;
    copy(&from, &to, ENDED, |_| true)?;
    to.open_table(ENDED)?.insert(room, (ending.at_ms, ending.keys))?;
    to.commit()?;
    Ok(())
}

fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
    stays: impl Fn(K::SelfType<'_>) -> bool,
) -> Result<(), redb::Error> {
    let (from, mut to) = (from.open_table(table)?, to.open_table(table)?);
    for entry in from.iter()? {
        let (key, value) = entry?;
        if stays(key.value()) {
            to.insert(key.value(), value.value())?;
        }
    }
    Ok(())
}

/// `fresh` takes the place of `path`; what stood there has another name from before that on.
fn replace(path: &Path, fresh: &Path) -> io::Result<()> {
    let before = path.with_extension(BEFORE);
    clear_before(path, &before)?;
    fs::hard_link(path, &before)?;
    let replaced = sync_folder_of(path).and_then(|()| fs::rename(fresh, path));
    if replaced.is_err() {
        let _ = fs::remove_file(before);
    }
    replaced
}

/// Nothing is left of what stood at `path` before an end, nor of an end that was cut short.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    clear_before(path, &path.with_extension(BEFORE))?;
    wipe(&path.with_extension(FRESH))
}

fn clear_before(path: &Path, before: &Path) -> io::Result<()> {
    let here = fs::metadata(path)?;
    match fs::symlink_metadata(before) {
        // The end was cut short before it was one: this is the state, by a second name.
        Ok(there) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => {
            fs::remove_file(before)?;
            sync_folder_of(path)
        }
        Ok(_) => wipe(before),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file over, and removes it; there may be none.
fn wipe(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let zeros = [0; 64 * 1024];
    let mut left = file.metadata()?.len();
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(zeros.get(..some).unwrap_or_default())?;
        left -= some as u64;
    }
    file.sync_all()?;
    fs::remove_file(path)?;
    sync_folder_of(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::UnixTime;
    use crate::admission::lane::{LaneId, LaneMarks};
    use crate::admission::moves::{Move, MoveNews};
    use crate::admission::people::Changes;
    use crate::admission::room::{Ends, RoomMarks};
    use crate::store::journal::{Entry, Pages};
    use crate::store::lots::LotsNews;
    use crate::store::reminders::ReminderNews;
    use crate::store::slots::SlotNews;

    const ENDING: Ending = Ending { at_ms: 7, keys: false };

    fn lane() -> LaneMarks {
        let id = LaneId::new(3).unwrap();
        let [issued, cursor] = [70, 40].map(|place| id.origin() + place);
        let marks = RoomMarks { epoch: 1, issued, reserved: issued, cursor };
        LaneMarks { id, name: "offices".to_owned(), marks }
    }

    /// Somebody has a place in `room`, by bytes that can be found again.
    fn place(journal: &Journal, room: &str, place: [u8; 28]) {
        let people = Changes { places: vec![(7, place)], count: 0 };
        let (marks, ends) = (RoomMarks { epoch: 1, issued: 9, reserved: 9, cursor: 4 }, Ends::default());
        let lanes = vec![lane()];
        let (lots, slots) = (
            LotsNews::default(),
            SlotNews { spans: vec![(5, Some((1, 2)))], still_ms: None, ..SlotNews::default() },
        );
        let mut ticket = [0; 43];
        ticket
            .iter_mut()
            .zip(b"the ticket of somebody in ".iter().chain(room.as_bytes()))
            .for_each(|(to, from)| *to = *from);
        let moved = Move { moves: 1, ticket, mark: Some(5), at: UnixTime(3) };
        let moves = MoveNews { moves: vec![(6, moved)], count: 0 };
        let asked = (5, Some(format!("sealed word of {room}").into_bytes().into()));
        let reminders = ReminderNews { sealed: vec![asked], ..ReminderNews::default() };
        let name = room.to_owned();
        let entry = Entry { room: name, marks, lanes, ends, lots, people, slots, moves, reminders };
        let pages = Pages { room: room.to_owned(), lines: vec![(0, format!("a line of {room}"))] };
        journal.write_with(&[entry], &[], &[pages]).unwrap();
    }

    fn is_found(folder: &Path, bytes: &[u8]) -> bool {
        let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        files.into_iter().any(|file| file.windows(bytes.len()).any(|some| some == bytes))
    }

    #[test]
    fn nothing_of_people_is_left_in_any_file_and_all_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let secrets = [
            *b"the key that signs all tickets..",
            *b"the key that signs all boards...",
            *b"the key that names all people...",
        ];
        journal.secrets(secrets).unwrap();
        let (mine, others) = (*b"the key of the people of a room.", *b"the key of those of another one.");
        journal.people("main", mine).unwrap();
        journal.people("other", others).unwrap();
        place(&journal, "main", *b"where somebody stands in it.");
        place(&journal, "other", *b"somebody of another room....");
        assert!(is_found(folder.path(), &mine) && is_found(folder.path(), b"where somebody stands in it."));
        journal.end("main", ENDING).unwrap();
        assert!(!is_found(folder.path(), &mine) && !is_found(folder.path(), b"where somebody stands in it."));
        assert!(is_found(folder.path(), &others) && is_found(folder.path(), b"somebody of another room...."));
        assert_eq!((journal.ending("main").unwrap(), journal.ending("other").unwrap()), (Some(ENDING), None));
        assert_eq!(journal.log("main", 0, 9).unwrap(), [(0, "a line of main".to_owned())]);
        assert_eq!(journal.marks("main").unwrap().issued, 9);
        let lanes = ["main", "other"].map(|room| journal.lanes(room, 1).unwrap());
        assert_eq!(lanes, [[lane()], [lane()]], "how far all its lines had come");
        place(&journal, "main", *b"somebody who came too late..");
        assert!(!is_found(folder.path(), b"somebody who came too late.."), "nobody is written down any more");
        let slots = ["main", "other"].map(|room| journal.slots(room, UnixTime(0)).unwrap().spans.len());
        assert_eq!(slots, [0, 1], "nor a slot of theirs");
        let moves = ["main", "other"].map(|room| journal.moves(room).unwrap().len());
        assert_eq!(moves, [0, 1], "nor a ticket of theirs");
        assert!(!is_found(folder.path(), b"the ticket of somebody in main"));
        let asked = ["main", "other"].map(|room| journal.reminders(room).unwrap().len());
        assert_eq!(asked, [0, 1], "nor whom to tell");
        assert!(!is_found(folder.path(), b"sealed word of main"));
        assert_eq!(journal.people("main", [9; 32]).unwrap(), ([9; 32], Vec::new()));
        assert!(journal.has_keys().unwrap() && is_found(folder.path(), &secrets[0]));
        let third = *b"the key of a room that went away";
        journal.people("third", third).unwrap();
        place(&journal, "third", *b"somebody who was there......");
        journal.end("other", Ending { at_ms: 8, keys: true }).unwrap();
        assert!(journal.slots("third", UnixTime(0)).unwrap().spans.is_empty());
        let left = [&third[..], b"somebody who was there......"];
        for gone in
            [&secrets[0][..], &secrets[2], &others, b"somebody of another room...."].iter().chain(&left)
        {
            assert!(!is_found(folder.path(), gone), "{}", String::from_utf8_lossy(gone));
        }
        assert!(!journal.has_keys().unwrap() && is_found(folder.path(), &secrets[1]), "boards verify still");
        drop(journal);
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.secrets([[4; 32], [5; 32], [6; 32]]).unwrap().ticket, [4; 32], "others are made");
        assert_eq!(journal.ending("main").unwrap(), Some(ENDING));
    }

    #[test]
    fn an_end_that_was_cut_short_is_no_end_and_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.people("main", [3; 32]).unwrap();
        // The file that takes the place cannot be made.
        let fresh = folder.path().join("tornello.new");
        fs::create_dir(&fresh).unwrap();
        assert!(journal.end("main", ENDING).is_err());
        assert_eq!(journal.ending("main").unwrap(), None);
        assert_eq!(journal.people("main", [9; 32]).unwrap().0, [3; 32]);
        fs::remove_dir(&fresh).unwrap();
        fs::write(&fresh, "half of a file").unwrap();
        journal.end("main", ENDING).unwrap();
        assert_eq!(journal.ending("main").unwrap(), Some(ENDING));
        assert!(!fresh.exists());
    }

    #[test]
    fn what_a_killed_end_left_is_written_over_when_the_state_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let mine = *b"the key of the people of a room.";
        Journal::open(folder.path()).unwrap().people("main", mine).unwrap();
        let name = |extension| folder.path().join("tornello").with_extension(extension);
        // Killed before the other file took the place: the state has two names, and half a copy is there.
        fs::hard_link(name("redb"), name(BEFORE)).unwrap();
        fs::write(name(FRESH), b"half of what stays").unwrap();
        let half = File::open(name(FRESH)).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert!(!name(BEFORE).exists() && !name(FRESH).exists());
        assert_eq!(read_all(half), [0; 18], "not only its name is gone");
        assert_eq!(journal.people("main", [9; 32]).unwrap().0, mine, "it had not ended");
        drop(journal);
        // Killed after that: what stood there is there still.
        fs::write(name(BEFORE), b"where somebody stands in it.").unwrap();
        let before = File::open(name(BEFORE)).unwrap();
        Journal::open(folder.path()).unwrap();
        assert!(!name(BEFORE).exists() && !is_found(folder.path(), b"where somebody stands in it."));
        assert_eq!(read_all(before), [0; 28]);
    }

    #[test]
    fn an_end_whose_old_file_cannot_be_written_over_is_one_and_says_so_until_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.people("main", [3; 32]).unwrap();
        journal.end("main", ENDING).unwrap();
        // No file, so that it cannot be written over.
        let before = folder.path().join("tornello.old");
        fs::create_dir(&before).unwrap();
        assert!(journal.clear().is_err());
        assert_eq!(journal.ending("main").unwrap(), Some(ENDING), "it can be opened and read");
        fs::remove_dir(&before).unwrap();
        journal.clear().unwrap();
    }

    fn read_all(mut file: File) -> Vec<u8> {
        let mut all = Vec::new();
        io::Read::read_to_end(&mut file, &mut all).unwrap();
        all
    }

    #[test]
    fn memory_forgets_as_well() {
        let journal = Journal::in_memory().unwrap();
        journal.secrets([[1; 32], [2; 32], [3; 32]]).unwrap();
        journal.people("main", [3; 32]).unwrap();
        journal.end("main", Ending { at_ms: 7, keys: true }).unwrap();
        assert!(!journal.has_keys().unwrap());
        assert_eq!(journal.people("main", [9; 32]).unwrap().0, [9; 32]);
    }
}
