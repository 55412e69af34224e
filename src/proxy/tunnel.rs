//! Exchanges without an end in sight: tunnels (WebSocket) and event streams.
//!
//! They are admitted like any request, but at the head of the answer they leave the upstream's limit:
//! what lasts for hours says nothing about how many requests an upstream can usefully hold. They count
//! in a cap of their own instead, and end when nothing moves for the route's `tunnel_idle`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::exchange::Exchange;
use super::record::Record;
use crate::admission::Moment;
use crate::clock::Clock;

/// The only protocol that is switched to.
const WEBSOCKET: &str = "websocket";
/// Both sides have agreed; longer than this neither needs to let go of HTTP.
const HANDOVER: Duration = Duration::from_secs(10);

/// Open tunnels and event streams of one upstream; lives on through reloads.
#[derive(Debug, Default)]
pub struct Tunnels(AtomicU32);

/// One of them; counts until dropped.
#[derive(Debug)]
pub struct Place(Arc<Tunnels>);

impl Tunnels {
    /// Takes a place; `None` if `most` are open.
    #[must_use]
    pub fn enter(self: &Arc<Self>, most: u32) -> Option<Place> {
        let more = |open: u32| (open < most).then_some(open + 1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a request wants to become a WebSocket. With a body, or from HTTP/1.0, it is a request like
/// any other, and what it says of upgrades ends at us.
#[must_use]
pub fn is_wanted<B>(request: &Request<B>) -> bool {
    let fields = request.headers();
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(fields, &CONNECTION, "upgrade")
        && names(fields, &UPGRADE, WEBSOCKET)
        && !fields.contains_key(TRANSFER_ENCODING)
        && fields.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// Whether an answer switches to the protocol that was asked for.
#[must_use]
pub fn is_agreed(status: StatusCode, fields: &HeaderMap) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS && names(fields, &UPGRADE, WEBSOCKET)
}

/// Says to the next hop, on either side, that a WebSocket is meant.
pub fn say(fields: &mut HeaderMap) {
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

/// Whether an answer is an event stream.
#[must_use]
pub fn is_event_stream(status: StatusCode, fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    status == StatusCode::OK && kind.is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"))
}

fn names(fields: &HeaderMap, field: &http::HeaderName, wanted: &str) -> bool {
    let lines = fields.get_all(field).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|name| name.trim().eq_ignore_ascii_case(wanted))
}

/// What moved through a tunnel, and when last.
#[derive(Debug)]
struct Traffic {
    clock: Clock,
    last: AtomicU64,
    down: AtomicU64,
}

impl Traffic {
    fn moved(&self) {
        self.last.store(self.clock.now().0, Ordering::Relaxed);
    }

    /// Returns when nothing has moved for `idle`.
    async fn ceases(&self, idle: Duration) {
        loop {
            let due = Moment(self.last.load(Ordering::Relaxed)).after(idle);
            tokio::time::sleep_until(self.clock.instant(due)).await;
            if Moment(self.last.load(Ordering::Relaxed)).after(idle) <= due {
                return;
            }
        }
    }
}

/// The client's end of a tunnel; every byte passes it.
struct Near<S> {
    stream: S,
    traffic: Arc<Traffic>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Near<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buf));
        self.traffic.moved();
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Near<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, buf))?;
        self.traffic.moved();
        self.traffic.down.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Carries bytes both ways until both sides have ended, one of them fails, or nothing moves for
/// `idle`. What is held of the exchange goes with the tunnel.
pub async fn carry(
    client: OnUpgrade,
    upstream: OnUpgrade,
    exchange: Exchange,
    mut record: Record,
    idle: Duration,
) {
    let clock = exchange.clock;
    let handover = async { tokio::try_join!(client, upstream) };
    let Ok(Ok((client, upstream))) = tokio::time::timeout(HANDOVER, handover).await else { return };
    let traffic =
        Arc::new(Traffic { clock, last: AtomicU64::new(clock.now().0), down: AtomicU64::default() });
    let mut near = Near { stream: TokioIo::new(client), traffic: Arc::clone(&traffic) };
    let mut far = TokioIo::new(upstream);
    tokio::select! {
        ended = copy_bidirectional(&mut near, &mut far) => if ended.is_ok() { record.complete() },
        () = traffic.ceases(idle) => record.idle(),
    }
    record.sent(usize::try_from(traffic.down.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn only_a_plain_get_that_names_websocket_both_times_becomes_a_tunnel() {
        let asked = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        assert!(is_wanted(&request(&asked)));
        for more in [("content-length", "1"), ("transfer-encoding", "chunked")] {
            assert!(!is_wanted(&request(&[asked[0], asked[1], more])), "{more:?}");
        }
        assert!(!is_wanted(&request(&[asked[0], ("upgrade", "h2c")])));
        assert!(!is_wanted(&request(&[asked[1]])));
        let mut post = request(&asked);
        *post.method_mut() = Method::POST;
        assert!(!is_wanted(&post));
        let mut old = request(&asked);
        *old.version_mut() = Version::HTTP_10;
        assert!(!is_wanted(&old));
    }

    #[test]
    fn an_event_stream_is_known_by_its_type() {
        let fields =
            |kind: &'static str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        assert!(is_event_stream(StatusCode::OK, &fields("text/Event-Stream; charset=utf-8")));
        assert!(!is_event_stream(StatusCode::OK, &fields("text/html")));
        assert!(!is_event_stream(StatusCode::NO_CONTENT, &fields("text/event-stream")));
    }

    #[test]
    fn no_more_are_open_than_the_cap_allows() {
        let tunnels = Arc::new(Tunnels::default());
        let places: Vec<_> = (0..3).filter_map(|_| tunnels.enter(2)).collect();
        assert_eq!((places.len(), tunnels.open()), (2, 2));
        drop(places);
        assert_eq!(tunnels.open(), 0);
    }
}
