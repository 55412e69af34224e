//! The stream around the judge: reads and writes pass through, and a connection that asks too much is
//! told so (GOAWAY, ENHANCE_YOUR_CALM) and ended.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::judge::{Abuse, Judge};
use super::split::{GOAWAY, Split};
use crate::admission::pace::PacePolicy;
use crate::clock::Clock;
use crate::edge::http2::PREFACE;
use crate::metrics::Metrics;

/// Blocked answers are looked at so often in the time that a client has.
const LOOKS: u32 = 4;
/// After GOAWAY the client may send this much more, for this long: closed at once, the system would
/// reset the connection and the client might never read why.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);
const ENHANCE_YOUR_CALM: u8 = 0xb;

/// A guarded stream.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    judge: Judge,
    inward: Split,
    outward: Split,
    clock: Clock,
    metrics: Arc<Metrics>,
    look_every: Duration,
    look: Pin<Box<Sleep>>,
    ending: Option<Ending>,
}

/// The last words on a connection.
#[derive(Debug)]
struct Ending {
    words: Vec<u8>,
    said: usize,
    shut: bool,
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Guards a stream that begins with the client's preface; answers must be taken at least as fast as
    /// `pace` says.
    #[must_use]
    pub fn new(stream: S, pace: PacePolicy, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let look_every = pace.patience / LOOKS;
        Self {
            stream,
            judge: Judge::new(pace),
            inward: Split::new(PREFACE.len()),
            outward: Split::new(0),
            clock,
            metrics,
            look_every,
            look: Box::pin(sleep(look_every)),
            ending: None,
        }
    }

    fn end(&mut self, abuse: Abuse) {
        if self.ending.is_some() {
            return;
        }
        self.metrics.connections_closed.with_label_values(&[abuse.name()]).inc();
        if abuse == Abuse::Stall {
            self.metrics.slow_clients.with_label_values(&["answer"]).inc();
        }
        let mut words = Vec::new();
        // In the middle of a frame of ours nothing can be said.
        if self.outward.at_boundary() {
            words.extend([0, 0, 8, GOAWAY, 0, 0, 0, 0, 0]);
            words.extend(self.judge.last_stream().to_be_bytes());
            words.extend([0, 0, 0, ENHANCE_YOUR_CALM]);
        }
        let until = Box::pin(sleep(LINGER));
        self.ending = Some(Ending { words, said: 0, shut: false, left: LINGER_BYTES, until });
    }

    /// Says the last words, then reads on for a moment; ends in an error.
    fn poll_ending(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(ending) = &mut self.ending else {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        };
        let over = Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        if ending.until.as_mut().poll(context).is_ready() {
            return over;
        }
        while let Some(rest) = ending.words.get(ending.said..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(written @ 1..)) => ending.said += written,
                Poll::Ready(_) => return over,
                Poll::Pending => return Poll::Pending,
            }
        }
        if !ending.shut {
            match Pin::new(&mut self.stream).poll_shutdown(context) {
                Poll::Ready(Ok(())) => ending.shut = true,
                Poll::Ready(Err(_)) => return over,
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut waste = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut waste);
            match Pin::new(&mut self.stream).poll_read(context, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && buf.filled().len() < ending.left => {
                    ending.left -= buf.filled().len();
                }
                Poll::Ready(_) => return over,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Looks at what the system took of our bytes.
    fn took(&mut self, bytes: &[u8]) {
        let (judge, closed, now) = (&mut self.judge, &self.metrics.connections_closed, self.clock.now());
        let passed = self.outward.pass(bytes, |frame| {
            if frame.kind == GOAWAY && frame.kept.ends_with(&[0, 0, 0, ENHANCE_YOUR_CALM]) {
                // The parser above had enough by itself: resets that it holds, heads too long.
                closed.with_label_values(&["h2_parser"]).inc();
            }
            judge.sent(frame, now)
        });
        if let Err(abuse) = passed {
            self.end(abuse);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.look.as_mut().poll(context).is_ready() {
            me.look.set(sleep(me.look_every));
            // Once more, so that this task is woken at the next look.
            let _ = me.look.as_mut().poll(context);
            if let Err(abuse) = me.judge.look(me.clock.now()) {
                me.end(abuse);
            }
        }
        if me.ending.is_some() {
            return me.poll_ending(context).map(Err);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut me.stream).poll_read(context, buf))?;
        let (judge, now) = (&mut me.judge, me.clock.now());
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if let Err(abuse) = me.inward.pass(fresh, |frame| judge.received(frame, now)) {
            // What came with the one too many is not heard any more.
            buf.set_filled(before);
            me.end(abuse);
            return me.poll_ending(context).map(Err);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        if me.ending.is_some() {
            return me.poll_ending(context).map(Err);
        }
        let written = ready!(Pin::new(&mut me.stream).poll_write(context, buf))?;
        me.took(buf.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        if me.ending.is_some() {
            return me.poll_ending(context).map(Err);
        }
        let written = ready!(Pin::new(&mut me.stream).poll_write_vectored(context, bufs))?;
        let mut left = written;
        for buf in bufs {
            let length = left.min(buf.len());
            me.took(buf.get(..length).unwrap_or_default());
            left -= length;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
