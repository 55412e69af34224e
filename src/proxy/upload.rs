//! A request's body on its way up: cut off at the route's limit, or when its client is too slow.
//!
//! The first part of it can be gathered before anything is spent on it upstream, so that a client that
//! trickles holds no permit while nothing is there to be worked on.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderName;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prometheus::IntCounter;
use tokio::time::{Sleep, sleep_until};

use super::headers::fit_trailers;
use crate::admission::Moment;
use crate::admission::pace::{Pace, PacePolicy};
use crate::clock::Clock;

/// What is gathered of a body at most, bytes.
const GATHER_MAX: u64 = 16 * 1024;

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
    /// Gathered and not handed on yet.
    held: VecDeque<Frame<Bytes>>,
    held_bytes: u64,
    left: u64,
    state: Arc<UploadState>,
    watch: Option<Watch>,
    /// What trusted proxies say of a person, so it is no trailer.
    vouched: Arc<[HeaderName]>,
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
    pub fn new(body: Incoming, limit: u64, clock: Clock, pace: PacePolicy, cut: &IntCounter) -> Self {
        let state = Arc::new(UploadState::default());
        let body = (!body.is_end_stream()).then_some(body);
        if body.is_none() {
            state.state.store(FINISHED, Ordering::Release);
        }
        let watch =
            body.is_some().then(|| Watch { clock, pace: Pace::new(pace), cut: cut.clone(), alarm: None });
        Self {
            body,
            held: VecDeque::new(),
            held_bytes: 0,
            left: limit,
            state,
            watch,
            vouched: Arc::default(),
        }
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        let state = Arc::new(UploadState { state: AtomicU8::new(FINISHED), ..UploadState::default() });
        Self {
            body: None,
            held: VecDeque::new(),
            held_bytes: 0,
            left: 0,
            state,
            watch: None,
            vouched: Arc::default(),
        }
    }

    /// How far it has got, for whoever follows it.
    #[must_use]
    pub fn state(&self) -> &Arc<UploadState> {
        &self.state
    }

    /// Fields in which trusted proxies name a person, a lane or staff cannot come after the body.
    #[must_use]
    pub fn vouched(self, vouched: Arc<[HeaderName]>) -> Self {
        Self { vouched, ..self }
    }

    /// Waits for the first part of the body, or for all of it if it is short.
    ///
    /// # Errors
    /// Those of the body; nothing of it was handed on.
    pub async fn gather(&mut self) -> Result<(), UploadError> {
        poll_fn(|context| {
            while self.held_bytes < GATHER_MAX && !self.has_come() {
                match ready!(self.poll_client(context)) {
                    Some(Ok(frame)) => {
                        self.held_bytes += length(&frame);
                        self.held.push_back(frame);
                    }
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => break,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// The client has sent all of it.
    fn has_come(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// The next part from the client.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else {
            *self.state.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            // It may have been called off before the waker was there.
            if self.state.is_called_off() {
                return Poll::Ready(Some(Err(UploadError::CalledOff(h2::Reason::CANCEL.into()))));
            }
            return self.wait(context);
        };
        let mut frame = match frame {
            None => {
                self.body = None;
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.end(BROKEN);
                return Poll::Ready(Some(Err(UploadError::Client(error))));
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(trailers) = frame.trailers_mut() {
            fit_trailers(trailers, &self.vouched);
        }
        let length = length(&frame);
        if length > self.left {
            self.end(TOO_LONG);
            return Poll::Ready(Some(Err(UploadError::TooLong)));
        }
        self.left -= length;
        if let Some(watch) = &mut self.watch {
            watch.pace.moved(usize::try_from(length).unwrap_or(usize::MAX), watch.clock.now());
        }
        Poll::Ready(Some(Ok(frame)))
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
        if self.state.is_called_off() {
            return Poll::Ready(Some(Err(UploadError::CalledOff(h2::Reason::CANCEL.into()))));
        }
        let frame = match self.held.pop_front() {
            Some(frame) => {
                self.held_bytes -= length(&frame);
                Some(Ok(frame))
            }
            None => ready!(self.poll_client(context)),
        };
        if !matches!(frame, Some(Err(_))) && self.is_end_stream() {
            self.end(FINISHED);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.has_come()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let (lower, upper) = (hint.lower(), hint.upper());
        if let Some(upper) = upper {
            hint.set_upper(upper + self.held_bytes);
        }
        hint.set_lower(lower + self.held_bytes);
        hint
    }
}

fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, Bytes::len) as u64
}
