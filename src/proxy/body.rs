//! Bodies on their way down, and how the permit follows them to the end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::exchange::{Exchange, discard};
use super::headers::fit_trailers;
use super::record::Record;
use crate::admission::Outcome;

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
                    fit_trailers(trailers, &[]);
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
