//! Slots as the disk holds them. A room counts by a clock of its own, which begins with the process and
//! stands still while the room is held; what is durable counts by the wall, less all the time for which
//! the room ever stood still. So a slot that moved with a hold has moved after a restart as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::admission::room::Room;
use crate::admission::slots::{Slot, SlotChanges, Window};
use crate::admission::{Moment, UnixTime};

/// While slots are taken, the time for which the room stood still is written down as often: a process that
/// is killed in a hold forgets no more of it.
const STILL_EVERY_MS: u64 = 10_000;

/// When a slot begins and ends, in milliseconds of the durable clock.
pub type Span = (u64, u64);

/// The slots that a room left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftSlots {
    /// The wall time at which they are read.
    pub unix: UnixTime,
    /// For how long the room had stood still, in milliseconds.
    pub still_ms: u64,
    /// By number.
    pub spans: Vec<(u64, Span)>,
}

/// The gateway was down for longer, or the clock was put on: nobody can tell which.
const DOUBT_AFTER: Duration = Duration::from_secs(12 * 3_600);
/// Clocks are put right by so much all the time.
const BACK_MIN: Duration = Duration::from_secs(60);

/// Why the times of slots that were left `then` may be wrong `now`, by the clock of the wall, for operators.
#[must_use]
pub fn doubt(then: UnixTime, now: UnixTime) -> Option<String> {
    let (back, on) = (then.since(now), now.since(then));
    let hours = |time: Duration| format!("{} h {} min", time.as_secs() / 3_600, time.as_secs() / 60 % 60);
    if back > BACK_MIN {
        let back = hours(back);
        return Some(format!(
            "the clock of this machine stands {back} before the last line of the room's log: slots begin and end later by as much"
        ));
    }
    (on > DOUBT_AFTER).then(|| {
        let on = hours(on);
        format!("by the clock of this machine the gateway was down for {on}: slots whose time has passed since stand for as long as a call")
    })
}

/// What must be written of a room's slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotNews {
    /// By number; `None` where it has none any more.
    pub spans: Vec<(u64, Option<Span>)>,
    /// For how long the room has stood still, in milliseconds; `None` if nobody asks.
    pub still_ms: Option<u64>,
    pub(super) changes: SlotChanges,
}

impl SlotNews {
    /// There is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.still_ms.is_none()
    }
}

/// Translates between the two clocks, and knows what is durable.
#[derive(Debug)]
pub(super) struct SlotBook {
    /// The durable clock when that of the room was zero.
    origin_ms: u64,
    /// For how long earlier processes stood still.
    still_ms: u64,
    still_kept_ms: AtomicU64,
    /// How many changes are durable.
    pub(super) kept: watch::Sender<u64>,
}

impl SlotBook {
    /// A book that goes on from what was left, at `now` of the process.
    pub(super) fn new(left: &LeftSlots, now: Moment) -> Self {
        let origin_ms = left.unix.0.saturating_sub(left.still_ms).saturating_sub(now.0 / 1_000_000);
        Self {
            origin_ms,
            still_ms: left.still_ms,
            still_kept_ms: AtomicU64::new(left.still_ms),
            kept: watch::Sender::new(0),
        }
    }

    /// What was left, with its time from now on.
    pub(super) fn slots(left: &LeftSlots) -> Vec<(u64, Slot)> {
        let now_ms = left.unix.0.saturating_sub(left.still_ms);
        let until = |ms: u64| Duration::from_millis(ms.saturating_sub(now_ms));
        let slot = |(number, (begins, ends)): &(u64, Span)| {
            (*number, Slot { from: until(*begins), until: until(*ends) })
        };
        left.spans.iter().map(slot).collect()
    }

    /// What must be made durable.
    pub(super) fn unkept(&self, room: &Room) -> SlotNews {
        let changes = room.unkept_slots();
        let still = u64::try_from(room.stood_still().as_millis()).unwrap_or(u64::MAX);
        let still_ms = self.still_ms.saturating_add(still);
        let moved = still_ms.saturating_sub(self.still_kept_ms.load(Ordering::Relaxed));
        let due = !changes.windows.is_empty() || (moved >= STILL_EVERY_MS && room.slots() > 0);
        let ms = |seconds: u32| self.origin_ms + u64::from(seconds) * 1_000;
        let span = |window: Window| (ms(window.begins_s), ms(window.ends_s));
        let spans = changes.windows.iter().map(|(number, window)| (*number, window.map(span))).collect();
        SlotNews { spans, still_ms: due.then_some(still_ms), changes }
    }

    /// This is durable by now.
    pub(super) fn keep(&self, room: &mut Room, news: &SlotNews) {
        room.kept_slots(&news.changes);
        if let Some(still_ms) = news.still_ms {
            self.still_kept_ms.store(still_ms, Ordering::Relaxed);
        }
    }

    /// So many changes are durable by now, for those who wait for it.
    pub(super) fn tell(&self, news: &SlotNews) {
        super::line::raise(&self.kept, news.changes.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_or_on_by_half_a_day_is_said() {
        let then = UnixTime(1_796_700_000_000);
        let doubt_at = |minutes: i64| doubt(then, UnixTime(then.0.saturating_add_signed(minutes * 60_000)));
        assert_eq!((doubt_at(-1), doubt_at(0), doubt_at(720)), (None, None, None));
        assert!(doubt_at(-125).unwrap().contains("2 h 5 min before the last line"));
        assert!(doubt_at(721).unwrap().contains("down for 12 h 1 min"));
    }
}
