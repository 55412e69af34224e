//! What is published of a log: the last part in memory, the parts before it on the disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Mutex as Turn;

use super::Line;
use crate::proof::log::Head;
use crate::store::journal::Journal;

/// Lines in a part.
pub const PART: u64 = 100;
/// Nobody waits longer for the disk.
const PATIENCE: Duration = Duration::from_millis(900);

/// Published lines.
#[derive(Default)]
pub struct Shelf {
    last: Mutex<Last>,
    /// Where the parts before are, and whose.
    store: Option<(Arc<Journal>, String)>,
    /// The part that was read last. One is read at a time, so that looking back costs the room nothing.
    read: Turn<Option<(u64, Bytes)>>,
}

#[derive(Default)]
struct Last {
    /// How many lines are published.
    count: u64,
    head: Option<Head>,
    /// The lines since the last whole part.
    text: Bytes,
}

impl Shelf {
    /// As it was left: `lines` are those of the last part.
    pub(super) fn restore(journal: &Arc<Journal>, room: &str, lines: Vec<Line>, head: Option<Head>) -> Self {
        let shelf = Self { store: Some((Arc::clone(journal), room.to_owned())), ..Self::default() };
        if let (Some((first, _)), Some(head)) = (lines.first(), head) {
            shelf.lock().count = *first;
            shelf.add(&lines, head);
        }
        shelf
    }

    /// These follow; `head` is the last of them.
    pub(super) fn add(&self, lines: &[Line], head: Head) {
        let mut last = self.lock();
        let mut text = BytesMut::from(last.text.as_ref());
        for (index, line) in lines {
            if *index != last.count {
                continue;
            }
            text.extend_from_slice(line.as_bytes());
            text.extend_from_slice(b"\n");
            last.count += 1;
            if last.count.is_multiple_of(PART) {
                text.clear();
            }
        }
        if last.count == head.index + 1 {
            last.head = Some(head);
        }
        last.text = text.freeze();
    }

    pub(super) fn head(&self) -> Option<Head> {
        self.lock().head
    }

    pub(super) async fn part(&self, part: u64) -> Option<(Bytes, bool)> {
        let (count, text) = {
            let last = self.lock();
            (last.count, Bytes::clone(&last.text))
        };
        if part == count / PART {
            return (!text.is_empty()).then_some((text, false));
        }
        if part > count / PART {
            return None;
        }
        let reading = async {
            let mut read = self.read.lock().await;
            if let Some((_, text)) = read.as_ref().filter(|(known, _)| *known == part) {
                return Some(Bytes::clone(text));
            }
            let (journal, room) = self.store.as_ref()?;
            let (journal, room) = (Arc::clone(journal), room.clone());
            let lines = tokio::task::spawn_blocking(move || journal.log(&room, part * PART, PART));
            let lines = lines.await.ok()?.ok()?;
            let text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
            let text = Bytes::from(text);
            *read = Some((part, Bytes::clone(&text)));
            Some(text)
        };
        let text = tokio::time::timeout(PATIENCE, reading).await.ok()??;
        Some((text, true))
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
