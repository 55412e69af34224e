//! A disk that stops when it is told to, and that keeps of what was not synced by then what chance wants.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use super::super::unfinished::is_unfinished;
use super::super::{Journal, JournalError, Opened};
use crate::admission::chance::Chance;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Takes so many operations more and then none.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Plate>>);

#[derive(Debug, Default)]
pub(super) struct Plate {
    synced: Vec<u8>,
    now: Vec<u8>,
    /// Since the last sync.
    loose: Vec<Loose>,
    pub(super) left: Option<u64>,
    /// Taken so far.
    pub(super) operations: u64,
}

#[derive(Debug)]
enum Loose {
    Written(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    pub(super) fn plate(&self) -> MutexGuard<'_, Plate> {
        self.0.lock().unwrap()
    }

    /// Takes one operation, or says that it is full.
    fn operate(&self) -> io::Result<MutexGuard<'_, Plate>> {
        let mut plate = self.plate();
        match &mut plate.left {
            Some(0) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(left) => *left -= 1,
            None => {}
        }
        plate.operations += 1;
        Ok(plate)
    }

    /// The machine stops. Of what was written since the last sync all is there, or the first part of it, or any
    /// part: then of each write all, or nothing, or some sectors; and each change of the length, or not.
    pub(super) fn crash(&self, chance: &mut Chance) {
        let mut plate = self.plate();
        let (mut left, loose) = (std::mem::take(&mut plate.synced), std::mem::take(&mut plate.loose));
        let (way, first) = (chance.bits() % 4, chance.bits() % (loose.len() as u64 + 1));
        for (nth, loose) in (0..).zip(loose) {
            let kept = match way {
                0 => true,
                1 => nth < first,
                _ => chance.bits().is_multiple_of(2),
            };
            match loose {
                Loose::Length(length) if kept => left.resize(length, 0),
                Loose::Written(offset, data) if kept => put(&mut left, offset, &data),
                Loose::Written(offset, data) if way > 1 => tear(&mut left, offset, &data, chance),
                Loose::Length(_) | Loose::Written(..) => {}
            }
        }
        (plate.now, plate.synced, plate.left) = (left.clone(), left, None);
    }

    pub(super) fn journal(&self) -> Result<Journal, JournalError> {
        let disk = self.clone();
        let open = move || -> Opened {
            // As it is with files.
            if is_unfinished(disk.plate().now.as_slice())? {
                disk.plate().synced.clear();
                disk.plate().now.clear();
            }
            Ok(Database::builder().create_with_backend(disk.clone())?)
        };
        Journal::new("disk".into(), false, open)
    }
}

fn put(bytes: &mut Vec<u8>, from: usize, data: &[u8]) {
    bytes.resize(bytes.len().max(from + data.len()), 0);
    bytes[from..from + data.len()].copy_from_slice(data);
}

/// Some sectors of a write are there, or none.
fn tear(bytes: &mut Vec<u8>, offset: usize, data: &[u8], chance: &mut Chance) {
    let (mut from, torn) = (0, chance.bits().is_multiple_of(2));
    while from < data.len() {
        let to = data.len().min((offset + from) / SECTOR * SECTOR + SECTOR - offset);
        if torn && chance.bits().is_multiple_of(2) {
            put(bytes, offset + from, &data[from..to]);
        }
        from = to;
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.plate().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(
            self.plate().now.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?,
        );
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut plate = self.operate()?;
        let len = usize::try_from(len).unwrap();
        plate.now.resize(len, 0);
        plate.loose.push(Loose::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut plate = self.operate()?;
        for loose in std::mem::take(&mut plate.loose) {
            match loose {
                Loose::Written(offset, data) => put(&mut plate.synced, offset, &data),
                Loose::Length(length) => plate.synced.resize(length, 0),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut plate = self.operate()?;
        let offset = usize::try_from(offset).unwrap();
        put(&mut plate.now, offset, data);
        plate.loose.push(Loose::Written(offset, data.to_vec()));
        Ok(())
    }
}
