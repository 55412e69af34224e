//! A panic ends the request that it happened in, and nothing else.
//!
//! Whatever the request held is dropped on the way out: its permit is freed, its record speaks. Locks
//! are taken over from whoever panicked while holding them; each is held for a few lines that leave
//! their value whole. The client gets an answer, operators a count and a line in each log.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use super::asked::Asked;
use super::body::Answer;
use super::handle::answer;
use super::peer::Peer;
use super::{Proxy, refuse};

/// A place on the request path where whoever embeds the gateway may look on, or make it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The request is read, nothing is decided.
    Read,
    /// It may go on; it holds a permit.
    Permitted,
    /// The head of its answer is here; the upstream is still at work.
    Answered,
}

/// What an onlooker does.
pub type Look = dyn Fn(Step, &Asked) + Send + Sync;

/// Called at each [`Step`] of each request. The binary has none: there is no key, no field and no
/// variable by which one could be set.
#[derive(Clone)]
pub struct Onlooker(pub Arc<Look>);

impl std::fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Onlooker")
    }
}

/// Answers one request, whatever happens on the way.
pub async fn handle(proxy: &Arc<Proxy>, request: Request<Incoming>, peer: &Peer) -> Response<Answer> {
    let accept = request.headers().get(ACCEPT).cloned();
    // Pinned where it is made: it is large, and would be copied at each hand that it goes through.
    match caught(pin!(answer(proxy, request, peer))).await {
        Ok(answer) => answer,
        Err(why) => {
            proxy.witness.metrics.panics.inc();
            tracing::error!(why, "a request ended in a panic");
            refuse::broken(&proxy.live.load(), &kinds(accept))
        }
    }
}

fn kinds(accept: Option<HeaderValue>) -> HeaderMap {
    accept.into_iter().map(|accept| (ACCEPT, accept)).collect()
}

/// Runs a future to its end.
///
/// # Errors
/// What it said when it panicked; it is not polled again.
pub async fn caught<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, String> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(said(&*panic))),
    })
    .await
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_drops_what_was_held() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let ended = pin!(async move {
            let _inside = inside;
            tokio::task::yield_now().await;
            panic!("planted {}", 7);
        });
        assert_eq!(caught(ended).await, Err::<(), _>("planted 7".to_owned()));
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(caught(pin!(async { 5 })).await, Ok(5));
    }
}
