//! Whether a connection of many requests is in use, so that idle ones can be closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};

/// The requests of one connection.
#[derive(Debug, Default)]
pub struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

/// A request under way, or its answer: counts until dropped.
#[derive(Debug)]
pub struct Busy<B = ()> {
    body: B,
    _count: Count,
}

#[derive(Debug)]
struct Count(Arc<Activity>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    /// Counts a request in.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Busy {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Busy { body: (), _count: Count(Arc::clone(self)) }
    }

    /// Returns when there was nothing under way for at least `patience`, and at most twice that.
    pub async fn idle_for(&self, patience: Duration) {
        let mut begun = self.begun.load(Ordering::Relaxed);
        loop {
            let idle_before = self.under_way.load(Ordering::Relaxed) == 0;
            tokio::time::sleep(patience).await;
            let now = self.begun.load(Ordering::Relaxed);
            if idle_before && now == begun {
                return;
            }
            begun = now;
        }
    }
}

impl Busy {
    /// Goes on until this body was sent or dropped.
    #[must_use]
    pub fn with<B>(self, body: B) -> Busy<B> {
        Busy { body, _count: self._count }
    }
}

impl<B: Body + Unpin> Body for Busy<B> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_has_nothing_under_way_and_begins_nothing() {
        let activity = Arc::new(Activity::default());
        let busy = activity.begin();
        let patience = Duration::from_secs(10);
        let watched = Arc::clone(&activity);
        let watching = tokio::spawn(async move { watched.idle_for(patience).await });
        tokio::time::sleep(patience * 3).await;
        assert!(!watching.is_finished(), "a request is under way");
        drop(busy.with(()));
        tokio::time::sleep(patience * 2 + Duration::from_secs(1)).await;
        assert!(watching.is_finished());
    }
}
