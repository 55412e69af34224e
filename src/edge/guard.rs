//! Stands between a connection and the HTTP/1 engine: hands on what was judged good, one request at a
//! time, keeps the deadlines of heads, and says no by itself.
//!
//! The next head is looked at only when the answer before it has been written. So a refusal comes
//! after every earlier answer, bytes after an upgrade are never taken for a request, and a client that
//! pipelines waits for itself. While an answer is under way the guard reads on into a small store,
//! which is how it notices that the client has left.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::Method;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::head::{Flow, Limits, Refusal, Step, answer};
use super::turn::Turn;

/// Bytes read at once into the store.
const READ: usize = 4096;
/// Most bytes of later requests held while an answer is under way.
const AHEAD_MAX: usize = 16 * 1024;
/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a head to its last, and from a new connection to the first byte.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// Hears of each refusal: why, of which method, with how many bytes of answer.
type Witness = Box<dyn FnMut(Refusal, &Method, usize) + Send>;

/// A stream of requests that were judged.
pub struct Guard<S> {
    stream: S,
    flow: Flow,
    /// Bytes that could not be handed on at once.
    store: BytesMut,
    /// So many bytes of the store were judged good.
    cleared: usize,
    /// The client has sent its last byte.
    ended: bool,
    refused: Option<(Refusal, Method)>,
    turn: Arc<Turn>,
    /// Requests handed to the engine, and answers that it has written out; both count round.
    handed: u32,
    written: u32,
    /// Who waits for the turn.
    waiting: Option<Waker>,
    patience: Patience,
    deadline: Deadline,
    closing: Closing,
    witness: Witness,
}

impl<S> std::fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("flow", &self.flow)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The first byte of a head.
    Begin,
    /// The rest of a head.
    Rest,
}

/// One timer for all deadlines of a connection. It is set anew only for an earlier deadline, or when it
/// rings too early: most deadlines are met, and cost no more than a look at the clock.
#[derive(Debug, Default)]
struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
    awaited: Option<(Awaited, Instant)>,
}

impl Deadline {
    /// Whether the time for `awaited` is up; it runs from the first call after another.
    fn poll(&mut self, awaited: Awaited, patience: Duration, context: &mut Context<'_>) -> Poll<()> {
        let due = match self.awaited {
            Some((same, due)) if same == awaited => due,
            _ => later(patience),
        };
        self.awaited = Some((awaited, due));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// From here on `awaited` is waited for, if the timer is set so that it will ring in time.
    fn begin(&mut self, awaited: Awaited, patience: Duration) -> bool {
        let due = later(patience);
        let armed = self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed() && timer.deadline() <= due);
        if armed {
            self.awaited = Some((awaited, due));
        }
        armed
    }
}

/// When `patience` will be over, by the clock of the runtime's timers.
fn later(patience: Duration) -> Instant {
    sleep(patience).deadline()
}

/// How far the end of a connection has got.
#[derive(Debug)]
enum Closing {
    No,
    Answering(Vec<u8>, usize),
    Flushing,
    Ending,
    Closed,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Wraps a stream; `witness` hears of each refusal.
    pub fn new(
        stream: S,
        limits: Limits,
        patience: Patience,
        turn: Arc<Turn>,
        witness: impl FnMut(Refusal, &Method, usize) + Send + 'static,
    ) -> Self {
        Self {
            stream,
            flow: Flow::new(limits),
            store: BytesMut::new(),
            cleared: 0,
            ended: false,
            refused: None,
            turn,
            handed: 0,
            written: 0,
            waiting: None,
            patience,
            deadline: Deadline::default(),
            closing: Closing::No,
            witness: Box::new(witness),
        }
    }

    /// Every request has its answer, and all of it was written.
    fn is_idle(&self) -> bool {
        self.handed == self.written
    }

    /// All is answered and nothing more has come: whoever reads ahead is woken by the next byte or by the
    /// timer, and need not look before.
    fn rests(&self) -> bool {
        self.waiting.is_some()
            && self.is_idle()
            && self.flow.is_over()
            && self.store.is_empty()
            && !self.ended
            && self.refused.is_none()
            && !self.turn.is_tunnel()
    }

    fn refuse(&mut self, refusal: Refusal, bytes: &[u8]) {
        self.refused = Some((refusal, method(bytes)));
    }

    /// Looks at what is in the store; true if there is something to hand on, or to say.
    fn judge_store(&mut self) -> bool {
        let head = self.flow.at_head();
        match self.flow.advance(&self.store) {
            Step::Pass(length) => {
                self.cleared = length;
                self.passed(head);
                true
            }
            Step::More => false,
            Step::Refuse(refusal) => {
                let bytes = std::mem::take(&mut self.store);
                self.refuse(refusal, &bytes);
                true
            }
        }
    }

    fn passed(&mut self, head: bool) {
        if head {
            self.handed = self.handed.wrapping_add(1);
            self.deadline.awaited = None;
        }
    }

    /// Reads into the store; false at the end of the stream.
    fn poll_store(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.store.reserve(READ);
        let length = ready!(pin!(self.stream.read_buf(&mut self.store)).poll(context))?;
        self.ended |= length == 0;
        Poll::Ready(Ok(length > 0))
    }

    /// Reads straight into the engine's buffer, which then holds exactly what was judged good; true if
    /// that is anything.
    fn poll_straight(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = out.filled().len();
        // Of a body of known length no more is taken than belongs to it.
        let most = self.flow.left().unwrap_or(u64::MAX);
        ready!(Pin::new(&mut (&mut self.stream).take(most)).poll_read(context, out))?;
        let fresh = out.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(false));
        }
        let head = self.flow.at_head();
        let kept = match self.flow.advance(fresh) {
            Step::Pass(length) => {
                self.store.extend_from_slice(fresh.get(length..).unwrap_or_default());
                self.passed(head);
                length
            }
            Step::More => {
                self.store.extend_from_slice(fresh);
                0
            }
            Step::Refuse(refusal) => {
                self.refused = Some((refusal, method(fresh)));
                0
            }
        };
        out.set_filled(before + kept);
        Poll::Ready(Ok(kept > 0))
    }

    /// While an answer is under way: reads ahead, to notice that the client has left.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = Some(context.waker().clone());
        // What comes after a fault is of no interest, but that the client leaves is.
        if self.refused.is_some() {
            self.store.clear();
        }
        while !self.ended {
            if self.store.len() >= AHEAD_MAX {
                return Poll::Pending;
            }
            ready!(self.poll_store(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// The deadline of a head; true if the connection is over.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.flow.at_head() {
            return Poll::Pending;
        }
        let (awaited, patience) = match (self.store.is_empty(), self.handed) {
            (false, _) => (Awaited::Rest, self.patience.head),
            (true, 0) => (Awaited::Begin, self.patience.head),
            (true, _) => (Awaited::Begin, self.patience.idle),
        };
        ready!(self.deadline.poll(awaited, patience, context));
        match awaited {
            Awaited::Begin => self.ended = true,
            Awaited::Rest => {
                let bytes = std::mem::take(&mut self.store);
                self.refuse(Refusal::HeadTimeout, &bytes);
            }
        }
        Poll::Ready(())
    }

    /// A read that waits for the client, and for no longer than it may take.
    fn poll_more(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let read = if self.store.is_empty() {
            self.poll_straight(context, out)
        } else {
            self.poll_store(context).map_ok(|_| false)
        };
        if read.is_pending() && self.poll_deadline(context).is_ready() {
            return Poll::Ready(Ok(false));
        }
        read
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.closing = match &mut self.closing {
                Closing::No => match &self.refused {
                    // A fault in a body is told by whoever reads the body.
                    Some((refusal, method)) if self.flow.at_head() && self.is_idle() => {
                        let bytes = answer::answer(*refusal, method == Method::HEAD);
                        (self.witness)(*refusal, method, bytes.len());
                        Closing::Answering(bytes, 0)
                    }
                    _ => Closing::Flushing,
                },
                Closing::Answering(bytes, written) => {
                    let rest = bytes.get(*written..).unwrap_or_default();
                    if rest.is_empty() {
                        Closing::Flushing
                    } else {
                        let length = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
                        if length == 0 {
                            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                        }
                        *written += length;
                        continue;
                    }
                }
                Closing::Flushing => {
                    ready!(Pin::new(&mut self.stream).poll_flush(context))?;
                    Closing::Ending
                }
                Closing::Ending => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                    Closing::Closed
                }
                Closing::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The method that a faulty head begins with, for the log; `-` if none can be read.
fn method(bytes: &[u8]) -> Method {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let word = bytes.split(|byte| *byte == b' ').next().filter(|word| word.len() <= 16);
    Method::from_bytes(word.unwrap_or(b"-")).or_else(|_| Method::from_bytes(b"-")).unwrap_or_default()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        loop {
            if guard.cleared > 0 {
                let length = guard.cleared.min(out.remaining());
                out.put_slice(guard.store.get(..length).unwrap_or_default());
                guard.store.advance(length);
                guard.cleared -= length;
                return Poll::Ready(Ok(()));
            }
            if guard.refused.is_some() {
                return match (guard.flow.at_head(), guard.is_idle()) {
                    // The engine takes it for the end of an idle connection and closes; we answer then.
                    (true, true) => Poll::Ready(Ok(())),
                    (true, false) => guard.poll_ahead(context),
                    (false, _) => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                };
            }
            if guard.flow.is_over() {
                if guard.turn.is_tunnel() {
                    if guard.store.is_empty() {
                        return Pin::new(&mut guard.stream).poll_read(context, out);
                    }
                    guard.cleared = guard.store.len();
                } else if guard.is_idle() {
                    guard.flow.next();
                } else {
                    return guard.poll_ahead(context);
                }
                continue;
            }
            if !guard.store.is_empty() && guard.judge_store() {
                continue;
            }
            if guard.ended || ready!(guard.poll_more(context, out))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The engine flushes with nothing left in its own buffer: what was answered by now is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answered = self.turn.answered();
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.written != answered {
            self.written = answered;
            let idle = self.patience.idle;
            if self.rests() && self.deadline.begin(Awaited::Begin, idle) {
                self.flow.next();
            } else if let Some(waiting) = self.waiting.take() {
                waiting.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn guard(turn: &Arc<Turn>) -> (Guard<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = duplex(64 * 1024);
        let limits = Limits { head: 1024, target: 256, fields: 16 };
        let patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
        (Guard::new(near, limits, patience, Arc::clone(turn), |_, _, _| {}), far)
    }

    async fn read(guard: &mut Guard<tokio::io::DuplexStream>) -> Vec<u8> {
        let mut bytes = [0; 512];
        let length = guard.read(&mut bytes).await.unwrap();
        bytes[..length].to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_head_waits_for_its_turn_and_what_follows_an_upgrade_is_not_judged() {
        let turn = Arc::new(Turn::default());
        let (mut guard, mut far) = guard(&turn);
        far.write_all(&[HEAD, b"\0no\nhead"].concat()).await.unwrap();
        assert_eq!(read(&mut guard).await, HEAD);
        let early = tokio::time::timeout(Duration::from_secs(1), read(&mut guard)).await;
        assert!(early.is_err(), "nothing is said before the answer");
        turn.become_tunnel();
        assert_eq!(read(&mut guard).await, b"\0no\nhead");
        far.write_all(b"more").await.unwrap();
        assert_eq!(read(&mut guard).await, b"more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_written_at_the_close_and_only_when_all_is_answered() {
        let turn = Arc::new(Turn::default());
        let (mut guard, mut far) = guard(&turn);
        far.write_all(&[HEAD, b"\0"].concat()).await.unwrap();
        assert_eq!(read(&mut guard).await, HEAD);
        drop(super::super::turn::Turned::new((), Arc::clone(&turn)));
        guard.flush().await.unwrap();
        assert_eq!(read(&mut guard).await, b"", "the engine sees an idle end");
        drop(tokio::spawn(async move { guard.shutdown().await }));
        let mut heard = [0; 12];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"HTTP/1.1 400");
    }

    /// The timer still stands where it was set long before; it rings, and is set for the rest.
    #[tokio::test(start_paused = true)]
    async fn a_connection_may_idle_its_whole_time_from_the_last_answer_and_no_longer() {
        let turn = Arc::new(Turn::default());
        let (mut guard, mut far) = guard(&turn);
        let waits = async |guard: &mut Guard<tokio::io::DuplexStream>, seconds| {
            tokio::time::timeout(Duration::from_secs(seconds), read(guard)).await
        };
        for _ in 0..3 {
            far.write_all(HEAD).await.unwrap();
            assert_eq!(read(&mut guard).await, HEAD);
            assert!(waits(&mut guard, 50).await.is_err(), "an answer may take its time");
            drop(super::super::turn::Turned::new((), Arc::clone(&turn)));
            guard.flush().await.unwrap();
            assert!(waits(&mut guard, 55).await.is_err(), "five seconds are left");
        }
        assert_eq!(waits(&mut guard, 6).await.unwrap(), b"");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_one_deadline_from_its_first_byte() {
        let turn = Arc::new(Turn::default());
        let (mut guard, mut far) = guard(&turn);
        let sending = tokio::spawn(async move {
            for byte in HEAD {
                if far.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
            far
        });
        assert_eq!(read(&mut guard).await, b"");
        assert_eq!(guard.refused.as_ref().unwrap().0, Refusal::HeadTimeout);
        drop(guard);
        drop(sending.await.unwrap());
    }
}
