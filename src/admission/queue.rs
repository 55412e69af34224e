//! The short queue before an upstream: first in, first out, bounded by time.
//!
//! Bounded by time and not by a count, because a count that fits one service time is an outage under
//! another. The count is capped as well, but only so that memory is.

use std::collections::VecDeque;

use super::moment::Moment;

/// Most entries, so that a queue cannot eat the memory.
pub const QUEUE_LENGTH_MAX: usize = 16_384;

/// Those who wait for a permit, oldest first.
#[derive(Debug)]
pub struct FifoQueue<T> {
    entries: VecDeque<(Moment, T)>,
}

impl<T> Default for FifoQueue<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new() }
    }
}

impl<T> FifoQueue<T> {
    /// Adds an entry that is worthless after `deadline`.
    ///
    /// # Errors
    /// Gives the entry back when the queue is full.
    pub fn push(&mut self, deadline: Moment, entry: T) -> Result<(), T> {
        if self.entries.len() >= QUEUE_LENGTH_MAX {
            return Err(entry);
        }
        self.entries.push_back((deadline, entry));
        Ok(())
    }

    /// The oldest entry that is still in time and `alive`; the ones before it are dropped.
    pub fn pop(&mut self, now: Moment, mut alive: impl FnMut(&T) -> bool) -> Option<T> {
        while let Some((deadline, entry)) = self.entries.pop_front() {
            if now <= deadline && alive(&entry) {
                return Some(entry);
            }
        }
        None
    }

    /// Drops entries that are out of time or no longer `alive`.
    pub fn sweep(&mut self, now: Moment, mut alive: impl FnMut(&T) -> bool) {
        self.entries.retain(|(deadline, entry)| now <= *deadline && alive(entry));
    }

    /// Entries, the dead ones among them included until they are swept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_kept_and_the_late_and_the_gone_are_skipped(entries in prop::collection::vec((0u64..100, any::<bool>()), 0..50), now in 0u64..100) {
            let mut queue = FifoQueue::default();
            for (index, (deadline, alive)) in entries.iter().enumerate() {
                queue.push(Moment(*deadline), (index, *alive)).unwrap();
            }
            let mut popped = Vec::new();
            while let Some((index, _)) = queue.pop(Moment(now), |(_, alive)| *alive) { popped.push(index); }
            let expected: Vec<_> = entries.iter().enumerate()
                .filter(|(_, (deadline, alive))| *alive && now <= *deadline).map(|(index, _)| index).collect();
            prop_assert_eq!(popped, expected);
        }
    }

    #[test]
    fn a_full_queue_gives_the_entry_back() {
        let mut queue = FifoQueue::default();
        for n in 0..QUEUE_LENGTH_MAX {
            queue.push(Moment(1), n).unwrap();
        }
        assert_eq!(queue.push(Moment(1), 7), Err(7));
    }
}
