//! How many connections there may be, in all and from one subscriber.
//!
//! At the cap of all, those idle for longest are asked to go, and the new one takes the place of one of
//! them; while they go there are at most `LEAVING_MAX` more. Who still finds no place is told so, on
//! one of `SPARE_MAX` spare files, or just closed. All of it is below the limit of open files.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use super::idle::{Link, Links};
use crate::clock::Clock;

/// Most connections on their way out because others need their places.
const LEAVING_MAX: usize = 16;
/// Most connections that are told at once that there is no place.
const SPARE_MAX: usize = 16;
/// Files kept free: for the state, logs, the admin listener and probes, and for the two above.
pub const RESERVED_FILES: usize = 64 + LEAVING_MAX + SPARE_MAX;

/// Counts of open connections.
#[derive(Debug)]
pub struct Caps {
    all: AtomicUsize,
    leaving: AtomicUsize,
    turned_away: AtomicUsize,
    subscribers: DashMap<IpAddr, usize>,
    links: Links,
    clock: Clock,
}

/// One connection; counts until dropped.
#[derive(Debug)]
pub struct Place {
    caps: Arc<Caps>,
    subscriber: Option<IpAddr>,
    link: Arc<Link>,
    name: u64,
}

/// A spare file, to tell somebody on it that there is no place.
#[derive(Debug)]
pub struct Spare(Arc<Caps>);

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
    /// None is open yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            all: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
            subscribers: DashMap::new(),
            links: Links::default(),
            clock,
        }
    }

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
        let open = self.all.fetch_add(1, Ordering::Relaxed);
        if open >= all_max && open >= all_max.saturating_add(self.make_room(open - all_max)) {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err(CapReached::All);
        }
        let link = Arc::new(Link::new(self.clock));
        let name = self.links.add(&link);
        let mut place = Place { caps: Arc::clone(self), subscriber: None, link, name };
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

    /// How many connections are on their way out; asks more to go if these have all been replaced.
    fn make_room(&self, replaced: usize) -> usize {
        let leaving = self.leaving.load(Ordering::Relaxed);
        if replaced < leaving {
            return leaving;
        }
        // Counted before they are asked: one that goes at once must not be counted out first.
        let wanted = LEAVING_MAX.saturating_sub(leaving);
        let taken =
            self.leaving.compare_exchange(leaving, leaving + wanted, Ordering::Relaxed, Ordering::Relaxed);
        if wanted == 0 || taken.is_err() {
            return leaving;
        }
        let asked = self.links.ask_idle(wanted, self.clock.now());
        self.leaving.fetch_sub(wanted - asked, Ordering::Relaxed);
        leaving + asked
    }

    /// A spare file for somebody who found no place; `None` if all are in use.
    #[must_use]
    pub fn spare(self: &Arc<Self>) -> Option<Spare> {
        let take = |taken: usize| (taken < SPARE_MAX).then_some(taken + 1);
        let taken = self.turned_away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok().then(|| Spare(Arc::clone(self)))
    }

    /// Open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Place {
    /// The connection, as the cap sees it.
    #[must_use]
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

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

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.turned_away.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Out of the list first: nobody is asked to go who has gone.
        self.caps.links.remove(self.name);
        if self.link.is_leaving() {
            self.caps.leaving.fetch_sub(1, Ordering::Relaxed);
        }
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

/// How many files this process may open. `None` where the system does not say.
#[must_use]
pub fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Connections that open files allow: each may need a second one towards an upstream.
#[must_use]
pub fn open_files_max() -> Option<usize> {
    Some((open_files()?.saturating_sub(RESERVED_FILES) / 2).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cap_holds_and_a_closed_connection_makes_room() {
        let caps = Arc::new(Caps::new(Clock::start()));
        let enter = |last, trusted| caps.enter([192, 0, 2, last].into(), trusted, 3, 1);
        let first = enter(1, false).unwrap();
        assert_eq!(enter(1, false).unwrap_err(), CapReached::Subscriber);
        let second = enter(2, false).unwrap();
        let trusted = enter(1, true).unwrap();
        let _busy = [&first, &second, &trusted].map(|place| place.link().begin());
        assert_eq!(enter(3, false).unwrap_err(), CapReached::All);
        drop(first);
        assert_eq!(caps.open(), 2);
        let _again = enter(1, false).unwrap();
    }

    #[test]
    fn idle_connections_make_room_at_the_cap_and_there_are_never_many_more() {
        let caps = Arc::new(Caps::new(Clock::start()));
        let enter = |last: u8| caps.enter([192, 0, 2, last].into(), false, 40, 1);
        let mut idle: Vec<Place> = (0..40).map(|last| enter(last).unwrap()).collect();
        let mut more: Vec<Place> = (40..40 + 16).map(|last| enter(last).unwrap()).collect();
        assert_eq!(enter(100).unwrap_err(), CapReached::All, "those who leave are still there");
        assert_eq!(caps.open(), 40 + LEAVING_MAX);
        let left = idle.len();
        idle.retain(|place| !place.link().is_leaving());
        more.retain(|place| !place.link().is_leaving());
        assert_eq!((left - idle.len(), more.len(), caps.open()), (16, 16, 40));
        assert_eq!(caps.leaving.load(Ordering::Relaxed), 0);
        let spare: Vec<Spare> = (0..SPARE_MAX).map(|_| caps.spare().unwrap()).collect();
        assert!(caps.spare().is_none());
        drop(spare);
        assert!(caps.spare().is_some());
    }

    #[test]
    fn the_system_says_how_many_files_there_may_be() {
        assert!(open_files_max().unwrap() > 0);
    }
}
