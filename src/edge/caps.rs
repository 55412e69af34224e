//! How many connections there may be, in all and from one subscriber.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// Files kept free for the state, logs, the admin listener and probes.
const RESERVED_FILES: usize = 64;

/// Counts of open connections.
#[derive(Debug, Default)]
pub struct Caps {
    all: AtomicUsize,
    subscribers: DashMap<IpAddr, usize>,
}

/// One connection; counts until dropped.
#[derive(Debug)]
pub struct Place {
    caps: Arc<Caps>,
    subscriber: Option<IpAddr>,
}

/// Which cap a connection met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapReached {
    /// All connections together.
    All,
    /// Those of one subscriber.
    Subscriber,
}

impl CapReached {
    /// The word in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Subscriber => "subscriber",
        }
    }
}

impl Caps {
    /// Counts a connection in. Trusted proxies speak for many and have no cap of their own.
    ///
    /// # Errors
    /// [`CapReached`], and nothing is counted.
    pub fn enter(
        self: &Arc<Self>,
        peer: IpAddr,
        trusted: bool,
        all_max: usize,
        subscriber_max: usize,
    ) -> Result<Place, CapReached> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= all_max {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err(CapReached::All);
        }
        let mut place = Place { caps: Arc::clone(self), subscriber: None };
        if trusted {
            return Ok(place);
        }
        let subscriber = subscriber(peer);
        {
            let mut count = self.subscribers.entry(subscriber).or_insert(0);
            if *count >= subscriber_max {
                return Err(CapReached::Subscriber);
            }
            *count += 1;
        }
        place.subscriber = Some(subscriber);
        Ok(place)
    }

    /// Open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Counts the connection among those of a subscriber for whom a load balancer opened it.
    ///
    /// # Errors
    /// [`CapReached`]; the place stays counted among all.
    pub fn speaks_for(&mut self, client: IpAddr, subscriber_max: usize) -> Result<(), CapReached> {
        self.leave_subscriber();
        let subscriber = subscriber(client);
        let mut count = self.caps.subscribers.entry(subscriber).or_insert(0);
        if *count >= subscriber_max {
            return Err(CapReached::Subscriber);
        }
        *count += 1;
        self.subscriber = Some(subscriber);
        Ok(())
    }

    fn leave_subscriber(&mut self) {
        if let Some(subscriber) = self.subscriber.take() {
            self.caps.subscribers.remove_if_mut(&subscriber, |_, count| {
                *count -= 1;
                *count == 0
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.caps.all.fetch_sub(1, Ordering::Relaxed);
        self.leave_subscriber();
    }
}

/// An IPv4 address or an IPv6 /64.
fn subscriber(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
        v4 => v4,
    }
}

/// Lets this process open as many files as the system allows it to; a shell's default is 1024.
pub fn raise_open_files() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Open files that this process may still take for connections: each may need a second one towards
/// an upstream. `None` where the system does not say.
#[must_use]
pub fn open_files_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    let soft: usize = line.split_whitespace().nth(3)?.parse().ok()?;
    Some(soft.saturating_sub(RESERVED_FILES) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cap_holds_and_a_closed_connection_makes_room() {
        let caps = Arc::new(Caps::default());
        let enter = |last, trusted| caps.enter([192, 0, 2, last].into(), trusted, 3, 1);
        let first = enter(1, false).unwrap();
        assert_eq!(enter(1, false).unwrap_err(), CapReached::Subscriber);
        let _second = enter(2, false).unwrap();
        let _trusted = enter(1, true).unwrap();
        assert_eq!(enter(3, false).unwrap_err(), CapReached::All);
        drop(first);
        assert_eq!(caps.open(), 2);
        let _again = enter(1, false).unwrap();
    }

    #[test]
    fn the_system_says_how_many_files_there_may_be() {
        assert!(open_files_max().unwrap() > 0);
    }
}
