//! Which connections are idle, and since when: at the cap those idle for longest make room.
//!
//! A request costs two counts and one look at the clock. Only when the cap is reached are all
//! connections looked through, at most once in `PAUSE`, and several are asked to go at once.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use crate::admission::Moment;
use crate::clock::Clock;

/// Shortest time between two looks through all connections.
const PAUSE: Duration = Duration::from_millis(10);
/// Longest time that a connection whose place is needed is waited for while it is idle.
pub const LEAVE_TIME: Duration = Duration::from_secs(1);

/// One connection: whether a request is under way on it.
#[derive(Debug)]
pub struct Link {
    clock: Clock,
    busy: AtomicUsize,
    begun: AtomicU64,
    idle_since: AtomicU64,
    leaving: AtomicBool,
    over: AtomicBool,
    asked: Notify,
}

impl Link {
    /// A connection that begins, idle.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            busy: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            idle_since: AtomicU64::new(clock.now().0),
            leaving: AtomicBool::new(false),
            over: AtomicBool::new(false),
            asked: Notify::new(),
        }
    }

    /// A request begins; it is under way until the guard is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// No request is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }

    /// It was asked to go.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Returns when no request was under way for at least `patience`, and at most twice that.
    pub async fn idle_for(&self, patience: Duration) {
        let mut begun = self.begun.load(Ordering::Relaxed);
        loop {
            let idle_before = self.is_idle();
            tokio::time::sleep(patience).await;
            let now = self.begun.load(Ordering::Relaxed);
            if idle_before && now == begun {
                return;
            }
            begun = now;
        }
    }

    /// Returns when the connection is asked to go, because others need its place.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// It is no connection for requests any more, and cannot be asked to go.
    pub fn hang_up(&self) {
        self.over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn ask(&self) {
        self.leaving.store(true, Ordering::Release);
        self.asked.notify_one();
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Busy(Arc<Link>);

impl Busy {
    /// Lets the request be under way until its answer's body is over.
    pub fn until_the_end_of<B>(self, answer: Response<B>) -> Response<Held<B>> {
        answer.map(|body| Held { body, _busy: self })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.clock.now().0, Ordering::Release);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A body during which its connection is busy.
#[derive(Debug)]
pub struct Held<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Links {
    open: Mutex<HashMap<u64, Arc<Link>>>,
    next: AtomicU64,
    looked: AtomicU64,
}

impl Links {
    /// Takes a connection in; returns what it is called when it ends.
    pub fn add(&self, link: &Arc<Link>) -> u64 {
        let name = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::clone(link));
        name
    }

    /// A connection is over.
    pub fn remove(&self, name: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    /// Asks at most `most` of those idle for longest to go; returns how many were asked.
    pub fn ask_idle(&self, most: usize, now: Moment) -> usize {
        let looked = Moment(self.looked.load(Ordering::Relaxed));
        if most == 0 || (looked != Moment::default() && now.since(looked) < PAUSE) {
            return 0;
        }
        self.looked.store(now.0, Ordering::Relaxed);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |link: &Arc<Link>| link.idle_since.load(Ordering::Acquire);
        let mut idle: Vec<&Arc<Link>> =
            open.values().filter(|link| link.is_idle() && !link.is_leaving() && !link.is_over()).collect();
        if idle.len() > most {
            idle.select_nth_unstable_by_key(most, |link| since(link));
            idle.truncate(most);
        }
        idle.iter().for_each(|link| link.ask());
        idle.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_has_nothing_under_way_and_begins_nothing() {
        let link = Arc::new(Link::new(Clock::start()));
        let busy = link.begin();
        let patience = Duration::from_secs(10);
        let watched = Arc::clone(&link);
        let watching = tokio::spawn(async move { watched.idle_for(patience).await });
        tokio::time::sleep(patience * 3).await;
        assert!(!watching.is_finished(), "a request is under way");
        drop(busy);
        tokio::time::sleep(patience * 2 + Duration::from_secs(1)).await;
        assert!(watching.is_finished());
    }

    #[test]
    fn those_idle_for_longest_are_asked_first_and_busy_ones_never() {
        let (links, clock) = (Links::default(), Clock::start());
        let open: Vec<Arc<Link>> = (0..5).map(|_| Arc::new(Link::new(clock))).collect();
        for (number, link) in (1..).zip(&open) {
            links.add(link);
            link.idle_since.store(number, Ordering::Relaxed);
        }
        let under_way = open[0].begin();
        assert_eq!(links.ask_idle(2, Moment(1)), 2);
        let leaving: Vec<bool> = open.iter().map(|link| link.is_leaving()).collect();
        assert_eq!(leaving, [false, true, true, false, false]);
        assert_eq!(links.ask_idle(9, Moment(2)), 0, "not at every knock");
        drop(under_way);
        let later = Moment(1).after(PAUSE);
        assert_eq!(links.ask_idle(9, later), 3);
        assert!(open.iter().all(|link| link.is_leaving()));
    }
}
