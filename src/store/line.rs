//! A room with its lock, its durable blocks and its board.
//!
//! The only place where a [`Room`] is locked. A number is given only from a durable block; the cursor
//! is published only when it is durable; whoever gives a place up is told so when that is durable. If the
//! disk fails, nobody is called and nobody joins, and those inside go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::admission::Moment;
use crate::admission::number_set::NumberSet;
use crate::admission::policy::RoomPolicy;
use crate::admission::room::{BlockUsedUp, Ends, HoldReason, Load, Room, RoomFacts, RoomMarks};
use crate::admission::ticket::RoomId;

/// Numbers reserved at a time, at least. After a crash those of the last block that were not given
/// count as people ahead until the line has passed them, so a quiet room reserves few.
const BLOCK: u64 = 64;
/// Longest wait for the disk.
const BLOCK_WAIT: Duration = Duration::from_millis(900);

/// One waiting room as the shell sees it.
#[derive(Debug)]
pub struct Line {
    /// Its name in the configuration.
    pub name: String,
    /// Its id in tickets.
    pub id: RoomId,
    room: Mutex<Room>,
    more: Notify,
    /// How many ends are durable.
    kept: watch::Sender<u64>,
    hungry: Arc<Notify>,
    board: ArcSwap<Bytes>,
}

/// A step that waits for the disk.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What must be durable first.
    pub marks: RoomMarks,
    /// And these ends.
    pub ends: Ends,
    cursor: u64,
}

impl Line {
    /// A room as its marks say it was left. It says on `hungry` that its block is used up.
    #[must_use]
    pub fn restore(
        name: &str,
        policy: &RoomPolicy,
        marks: RoomMarks,
        over: NumberSet,
        hungry: Arc<Notify>,
        now: Moment,
    ) -> Arc<Self> {
        let mut room = Room::restore(policy, marks, now);
        room.restore_over(over);
        Arc::new(Self {
            name: name.to_owned(),
            id: RoomId::of(name),
            room: Mutex::new(room),
            more: Notify::new(),
            kept: watch::Sender::new(0),
            hungry,
            board: ArcSwap::from_pointee(Bytes::new()),
        })
    }

    /// Runs one short step on the room. Nothing in it may wait.
    pub fn with<T>(&self, step: impl FnOnce(&mut Room) -> T) -> T {
        step(&mut self.lock())
    }

    /// Gives the next number; waits for a durable block if need be. `None` if none came in time.
    pub async fn join(&self) -> Option<u64> {
        let given = async {
            loop {
                let more = self.more.notified();
                match self.with(Room::join) {
                    Ok(number) => return number,
                    Err(BlockUsedUp) => {
                        self.hungry.notify_one();
                        more.await;
                    }
                }
            }
        };
        tokio::time::timeout(BLOCK_WAIT, given).await.ok()
    }

    /// Waits until every number that is over by now is so after a crash as well. False if the disk did not
    /// take it in time; it will be tried again.
    pub async fn ends_kept(&self) -> bool {
        let ended = self.with(|room| room.ended());
        let mut kept = self.kept.subscribe();
        if *kept.borrow_and_update() >= ended {
            return true;
        }
        self.hungry.notify_one();
        let durable = kept.wait_for(|kept| *kept >= ended);
        tokio::time::timeout(BLOCK_WAIT, durable).await.is_ok_and(|kept| kept.is_ok())
    }

    /// First half of a step: what the room would do, if it were durable. `None` if nothing must be.
    #[must_use]
    pub fn plan(&self, policy: &RoomPolicy, load: Load, durable: RoomMarks, now: Moment) -> Option<Pending> {
        let mut room = self.lock();
        let cursor = room.step(policy, load, now);
        let marks = room.marks();
        let spare = durable.reserved.saturating_sub(marks.issued);
        let used = marks.issued.saturating_sub(durable.issued);
        let block = BLOCK.max(used.saturating_mul(4));
        let reserved = if spare < block / 2 { marks.issued + block } else { durable.reserved };
        let wanted = RoomMarks { epoch: marks.epoch, issued: marks.issued, reserved, cursor };
        let ends = room.unkept();
        (wanted != durable || !ends.words.is_empty()).then_some(Pending { marks: wanted, ends, cursor })
    }

    /// Second half: the marks are on the disk.
    pub fn publish(&self, pending: &Pending, now: Moment) {
        let mut room = self.lock();
        room.reserve(pending.marks.reserved);
        room.call_up_to(pending.cursor, now);
        room.kept(&pending.ends);
        drop(room);
        self.kept.send_if_modified(|kept| {
            let more = *kept < pending.ends.count;
            *kept = (*kept).max(pending.ends.count);
            more
        });
        self.more.notify_waiters();
    }

    /// Marks for a clean stop: nothing is uncertain, and no number is given after them.
    #[must_use]
    pub fn final_marks(&self) -> (RoomMarks, Ends) {
        let mut room = self.lock();
        room.close_block();
        (room.marks(), room.unkept())
    }

    /// A look.
    #[must_use]
    pub fn facts(&self, policy: &RoomPolicy) -> RoomFacts {
        self.lock().facts(policy)
    }

    /// The board's bytes, the same for all.
    #[must_use]
    pub fn board(&self) -> Bytes {
        Bytes::clone(&self.board.load())
    }

    /// Puts up a new board.
    pub fn put_up(&self, board: Bytes) {
        self.board.store(Arc::new(board));
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a room must not call now, as its store stands, and what is behind it and needed on the way.
#[must_use]
pub fn hold(store_failed: bool, upstream_out: bool, dependency_out: bool) -> Option<HoldReason> {
    let reasons = [
        (store_failed, HoldReason::Store),
        (upstream_out, HoldReason::Upstream),
        (dependency_out, HoldReason::Dependency),
    ];
    reasons.into_iter().find_map(|(is, reason)| is.then_some(reason))
}
