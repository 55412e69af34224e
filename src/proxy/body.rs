//! Bodies: what goes up, what comes down, and how the permit follows them to the end.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prometheus::IntCounter;
use tokio::time::{Sleep, sleep, sleep_until};

use super::exchange::{Exchange, discard};
use super::headers::fit_trailers;
use super::record::Record;
use crate::admission::pace::{Pace, PacePolicy};
use crate::admission::{Moment, Outcome};
use crate::clock::Clock;

/// How far a request's body has got.
#[derive(Debug, Default)]
pub struct UploadState {
    state: AtomicU8,
    finished_at: AtomicU64,
    /// Both sides talk as long as they like.
    open_ended: AtomicBool,
    /// Whoever waits for more of it.
    reader: Mutex<Option<Waker>>,
}

const UNFINISHED: u8 = 0;
const FINISHED: u8 = 1;
const TOO_LONG: u8 = 2;
const BROKEN: u8 = 3;
const TOO_SLOW: u8 = 4;
const CALLED_OFF: u8 = 5;

impl UploadState {
    /// All of it has been read.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state.load(Ordering::Acquire) == FINISHED
    }

    /// It is longer than the route allows.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.state.load(Ordering::Acquire) == TOO_LONG
    }

    /// When the last of it was handed on; `None` if there was none.
    #[must_use]
    pub fn finished_at(&self) -> Option<Moment> {
        Some(Moment(self.finished_at.load(Ordering::Acquire))).filter(|when| when.0 > 0)
    }

    /// The client sent it too slowly.
    #[must_use]
    pub fn is_too_slow(&self) -> bool {
        self.state.load(Ordering::Acquire) == TOO_SLOW
    }

    /// From now on the client may be silent for as long as it likes: a conversation, not an upload.
    pub fn converse(&self) {
        self.open_ended.store(true, Ordering::Release);
    }

    /// Nobody wants the rest of it: if it is not finished, it ends here with an error.
    pub fn call_off(&self) {
        let (from, to) = (UNFINISHED, CALLED_OFF);
        if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
            reader.into_iter().for_each(Waker::wake);
        }
    }

    fn is_called_off(&self) -> bool {
        self.state.load(Ordering::Acquire) == CALLED_OFF
    }

    /// The client did not send all of it.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state.load(Ordering::Acquire) == BROKEN
    }
}

/// The body of a request on its way up, cut off at the route's limit, or when its client is too slow.
#[derive(Debug)]
pub struct Upload {
    body: Option<Incoming>,
    left: u64,
    state: Arc<UploadState>,
    watch: Option<Watch>,
    /// Names a person, so it is no trailer.
    identity: Option<HeaderName>,
}

/// Looks at the time of an upload.
#[derive(Debug)]
struct Watch {
    clock: Clock,
    pace: Pace,
    /// Counts who was cut off.
    cut: IntCounter,
    /// Wakes the wait for the client; it may ring too early, not too late.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    /// Ready when the client, which is waited for, is too slow.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let due = self.clock.instant(self.pace.wait(self.clock.now()));
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while alarm.as_mut().poll(context).is_ready() {
            if alarm.deadline() >= due {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// Why an upload ended early.
#[derive(Debug)]
pub enum UploadError {
    /// Longer than the route allows.
    TooLong,
    /// The client sent it too slowly.
    TooSlow,
    /// The client's connection failed.
    Client(hyper::Error),
    /// The exchange was over before it; on HTTP/2 this resets the stream with what it holds.
    CalledOff(h2::Error),
}

impl std::fmt::Display for UploadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => f.write_str("the body is longer than the route allows"),
            Self::TooSlow => f.write_str("the client sent the body too slowly"),
            Self::Client(_) => f.write_str("the client did not send all of the body"),
            Self::CalledOff(_) => f.write_str("nobody wants the rest of the body"),
        }
    }
}

impl std::error::Error for UploadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLong | Self::TooSlow => None,
            Self::Client(error) => Some(error),
            Self::CalledOff(error) => Some(error),
        }
    }
}

impl Upload {
    /// The body of a request, at most `limit` bytes of it, at least as fast as `pace` says; `cut` counts
    /// those that are slower.
    #[must_use]
    pub fn new(
        body: Incoming,
        limit: u64,
        clock: Clock,
        pace: PacePolicy,
        cut: &IntCounter,
    ) -> (Self, Arc<UploadState>) {
        let state = Arc::new(UploadState::default());
        let body = (!body.is_end_stream()).then_some(body);
        if body.is_none() {
            state.state.store(FINISHED, Ordering::Release);
        }
        let watch =
            body.is_some().then(|| Watch { clock, pace: Pace::new(pace), cut: cut.clone(), alarm: None });
        (Self { body, left: limit, state: Arc::clone(&state), watch, identity: None }, state)
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        let state = Arc::new(UploadState { state: AtomicU8::new(FINISHED), ..UploadState::default() });
        Self { body: None, left: 0, state, watch: None, identity: None }
    }

    /// The field that names a person cannot come after the body.
    #[must_use]
    pub fn naming(self, identity: Option<&HeaderName>) -> Self {
        Self { identity: identity.cloned(), ..self }
    }

    /// Nothing is here yet: the client has so much time.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if self.state.open_ended.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let Some(watch) = &mut self.watch else { return Poll::Pending };
        ready!(watch.poll(context));
        watch.cut.inc();
        self.end(TOO_SLOW);
        Poll::Ready(Some(Err(UploadError::TooSlow)))
    }

    fn end(&self, state: u8) {
        if let Some(watch) = self.watch.as_ref().filter(|_| state == FINISHED) {
            self.state.finished_at.store(watch.clock.now().0, Ordering::Release);
        }
        let _ = self.state.state.compare_exchange(UNFINISHED, state, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if polled.is_pending() {
            let mut reader = self.state.reader.lock().unwrap_or_else(PoisonError::into_inner);
            *reader = Some(context.waker().clone());
        }
        if self.state.is_called_off() {
            return Poll::Ready(Some(Err(UploadError::CalledOff(h2::Reason::CANCEL.into()))));
        }
        let Poll::Ready(frame) = polled else {
            return self.wait(context);
        };
        let mut frame = match frame {
            None => {
                self.end(FINISHED);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.end(BROKEN);
                return Poll::Ready(Some(Err(UploadError::Client(error))));
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(trailers) = frame.trailers_mut() {
            fit_trailers(trailers, self.identity.as_ref());
        }
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        if length > self.left {
            self.end(TOO_LONG);
            return Poll::Ready(Some(Err(UploadError::TooLong)));
        }
        self.left -= length;
        if let Some(watch) = &mut self.watch {
            watch.pace.moved(usize::try_from(length).unwrap_or(usize::MAX), watch.clock.now());
        }
        if self.is_end_stream() {
            self.end(FINISHED);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer: our own bytes, or the upstream's with the permit in tow.
#[derive(Debug)]
pub enum Answer {
    /// Ours.
    Own(Option<Bytes>),
    /// The upstream's.
    Relay(Box<Relay>),
}

impl Answer {
    /// Bytes of an answer of ours; 0 for the upstream's, which count as they go.
    #[must_use]
    pub fn own_length(&self) -> usize {
        match self {
            Self::Own(bytes) => bytes.as_ref().map_or(0, Bytes::len),
            Self::Relay(_) => 0,
        }
    }
}

/// An upstream's body on its way down. When it ends, or is dropped, its exchange is settled.
#[derive(Debug)]
pub struct Relay {
    body: Option<Incoming>,
    /// The body says itself whether it ended or was cut off. HTTP/2 takes a reset without an error
    /// for the end (RFC 9113 §8.1), also from an upstream that had more to say.
    tells_end: bool,
    exchange: Option<Exchange>,
    record: Record,
    /// How long an event stream may say nothing, and what wakes it then.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

/// Why an answer ended early. The cause stays with us: what an upstream says with a reset is not meant
/// for the client, least of all that its request was not worked on.
#[derive(Debug)]
pub struct Truncated;

impl std::fmt::Display for Truncated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the upstream's answer broke off")
    }
}

impl std::error::Error for Truncated {}

impl Relay {
    /// Couples a body with the exchange that it belongs to.
    #[must_use]
    pub fn new(body: Incoming, exchange: Exchange, record: Record) -> Self {
        let tells_end = exchange.connection.is_shared();
        let mut relay = Self { body: Some(body), tells_end, exchange: Some(exchange), record, idle: None };
        if relay.body.as_ref().is_some_and(Body::is_end_stream) {
            relay.finish();
        }
        relay
    }

    /// Ends the body, cleanly, when nothing comes for so long.
    #[must_use]
    pub fn idle_after(mut self, idle: Duration) -> Self {
        self.idle = Some((idle, Box::pin(sleep(idle))));
        self
    }

    /// Ready when the upstream has said nothing for too long.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((_, alarm)) = &mut self.idle else { return Poll::Pending };
        ready!(alarm.as_mut().poll(context));
        self.record.idle();
        self.body = None;
        if let Some(exchange) = self.exchange.take() {
            exchange.close(Outcome::Ignored);
        }
        Poll::Ready(())
    }

    /// The upstream spoke.
    fn spoke(&mut self) {
        if let Some((idle, alarm)) = &mut self.idle {
            *alarm = Box::pin(sleep(*idle));
        }
    }

    fn finish(&mut self) {
        self.record.complete();
        if let Some(exchange) = self.exchange.take() {
            exchange.finish(Outcome::Served);
        }
    }

    /// The upstream died in the middle. Passing an error on closes the client's connection without a
    /// clean end, so that the truncation is seen.
    fn truncate(&mut self) -> Truncated {
        self.record.truncated();
        if let Some(exchange) = self.exchange.take() {
            exchange.close(Outcome::Dropped);
        }
        Truncated
    }

    fn has_ended(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        let relay = match &mut *self {
            Self::Own(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relay(relay) => relay,
        };
        let Some(body) = relay.body.as_mut() else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else {
            return relay.poll_idle(context).map(|()| None);
        };
        relay.spoke();
        Poll::Ready(match frame {
            Some(Ok(mut frame)) => {
                relay.record.sent(frame.data_ref().map_or(0, Bytes::len));
                if let Some(trailers) = frame.trailers_mut() {
                    fit_trailers(trailers, None);
                }
                if relay.has_ended() {
                    relay.finish();
                }
                Some(Ok(frame))
            }
            None if relay.tells_end && relay.exchange.is_some() && !relay.has_ended() => {
                Some(Err(relay.truncate()))
            }
            None => {
                relay.finish();
                None
            }
            Some(Err(_)) => Some(Err(relay.truncate())),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relay(relay) => relay.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relay(relay) => {
                relay.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
            }
        }
    }
}

impl Drop for Relay {
    /// The client left before the end: the upstream is still at work, so the permit stays with it.
    fn drop(&mut self) {
        if let (Some(body), Some(exchange)) = (self.body.take(), self.exchange.take()) {
            discard(body, exchange);
        }
    }
}
