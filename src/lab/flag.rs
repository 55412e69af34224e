//! Something that is so or not, and can be waited for.
//!
//! Those who wait are woken in the order in which they began to wait. The runtime's own channels wake
//! in an order drawn at random, and a rehearsal must be the same each time.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A flag.
#[derive(Debug, Default)]
pub(super) struct Flag {
    up: AtomicBool,
    changed: Notify,
}

impl Flag {
    /// A flag that is up, or not.
    pub(super) fn new(up: bool) -> Self {
        Self { up: AtomicBool::new(up), changed: Notify::new() }
    }

    /// Whether it is up.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Puts it up, or takes it down.
    pub(super) fn set(&self, up: bool) {
        self.up.store(up, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Returns when it is up, or when it is down.
    pub(super) async fn until(&self, up: bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Heard of from here on, so that no change falls between the look and the wait.
            changed.as_mut().enable();
            if self.is_up() == up {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn those_who_wait_are_woken_in_their_order() {
        let (flag, order) = (Arc::new(Flag::default()), Arc::new(Mutex::new(Vec::new())));
        let waiting: Vec<_> = (0..100)
            .map(|number| {
                let (flag, order) = (Arc::clone(&flag), Arc::clone(&order));
                tokio::spawn(async move {
                    flag.until(true).await;
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        // Until all of them wait.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        flag.set(true);
        for one in waiting {
            one.await.unwrap();
        }
        assert!(order.lock().unwrap().is_sorted());
    }
}
