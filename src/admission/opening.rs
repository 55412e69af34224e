//! When a room opens. Before it nobody is called and nobody passes, whatever the seats; for some time
//! before it, people may already take their places.

use std::time::Duration;

use super::moment::UnixTime;

/// When a room opens, and from when on places are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// From then on people are called.
    pub at: UnixTime,
    /// So long before, places are given.
    pub prequeue: Duration,
}

/// Why a room lets nobody pass yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// It gives no places yet.
    Closed,
    /// It gives places, and calls nobody yet.
    Prequeue,
    /// It has opened; the order of those who were there is not drawn yet.
    Draw,
    /// Its event is over, for good.
    Ended,
}

impl Opening {
    /// What is shut at `now`; `None` from the opening on.
    #[must_use]
    pub fn shut(&self, now: UnixTime) -> Option<Shut> {
        if now >= self.at {
            None
        } else if now >= self.first_place() {
            Some(Shut::Prequeue)
        } else {
            Some(Shut::Closed)
        }
    }

    /// When the first place can be had.
    #[must_use]
    pub fn first_place(&self) -> UnixTime {
        let before = u64::try_from(self.prequeue.as_millis()).unwrap_or(u64::MAX);
        UnixTime(self.at.0.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_closed_then_gives_places_then_opens() {
        let opening = Opening { at: UnixTime(10_000), prequeue: Duration::from_secs(4) };
        for (now, shut) in [
            (0, Some(Shut::Closed)),
            (5_999, Some(Shut::Closed)),
            (6_000, Some(Shut::Prequeue)),
            (9_999, Some(Shut::Prequeue)),
            (10_000, None),
            (u64::MAX, None),
        ] {
            assert_eq!(opening.shut(UnixTime(now)), shut, "at {now}");
        }
        let always = Opening { at: UnixTime(10_000), prequeue: Duration::MAX };
        assert_eq!(always.shut(UnixTime(0)), Some(Shut::Prequeue));
    }
}
