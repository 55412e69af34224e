//! A client that takes its answers too slowly is cut off: it would hold a permit for ever.
//!
//! Only a write that the socket does not take waits for the client, so an upstream that has nothing to
//! say, an idle tunnel and an idle event stream are never meant. The rule is [`Pace`]'s.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use crate::admission::pace::{Pace, PacePolicy};
use crate::clock::Clock;

/// A stream whose writes must make progress.
#[derive(Debug)]
pub struct Paced<S> {
    stream: S,
    pace: Pace,
    clock: Clock,
    /// Counts who was cut off.
    cut: IntCounter,
    /// Wakes a write that waits. Left alone while writes go through: it may ring too early, not too late.
    alarm: Option<Pin<Box<Sleep>>>,
    /// The last write had to wait.
    waits: bool,
}

impl<S> Paced<S> {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: S, policy: PacePolicy, clock: Clock, cut: IntCounter) -> Self {
        Self { stream, pace: Pace::new(policy), clock, cut, alarm: None, waits: false }
    }

    /// Watches one write: progress earns credit, waiting costs it, and without credit it fails.
    fn watch(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if std::mem::take(&mut self.waits) {
                self.pace.moved(written.as_ref().copied().unwrap_or(0), self.clock.now());
            }
            return Poll::Ready(written);
        }
        self.waits = true;
        let due = self.clock.instant(self.pace.wait(self.clock.now()));
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // One that is set for earlier rings, and is set anew then.
        while alarm.as_mut().poll(context).is_ready() {
            if alarm.deadline() >= due {
                self.cut.inc();
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, buf);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bufs);
        self.watch(written, context)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn counter() -> IntCounter {
        IntCounter::new("cut", "cut").unwrap()
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_cut_off_and_counted_and_a_slow_one_is_not() {
        let policy = PacePolicy { bytes_per_second: 1, patience: Duration::from_millis(300) };
        let (near, mut far) = tokio::io::duplex(4);
        let cut = counter();
        let mut paced = Paced::new(near, policy, Clock::start(), cut.clone());
        let writing = tokio::spawn(async move {
            let written = paced.write_all(&[7; 16]).await;
            (paced, written)
        });
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            far.read_exact(&mut [0; 4]).await.unwrap();
        }
        let (mut paced, written) = writing.await.unwrap();
        written.unwrap();
        assert_eq!(cut.get(), 0);
        let stopped = paced.write_all(&[7; 16]).await.unwrap_err();
        assert_eq!((stopped.kind(), cut.get()), (io::ErrorKind::TimedOut, 1));
    }

    /// An early alarm of an older wait must not cut off a younger one.
    #[tokio::test]
    async fn each_wait_has_all_of_its_credit() {
        let policy = PacePolicy { bytes_per_second: 1_000, patience: Duration::from_millis(400) };
        let (near, mut far) = tokio::io::duplex(4);
        let cut = counter();
        let mut paced = Paced::new(near, policy, Clock::start(), cut.clone());
        let writing = tokio::spawn(async move { paced.write_all(&[7; 20_000]).await });
        let mut read = 0;
        while read < 20_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            read += far.read(&mut [0; 4]).await.unwrap();
            if read >= 4_000 {
                far.read_exact(&mut vec![0; 20_000 - read]).await.unwrap();
                break;
            }
        }
        writing.await.unwrap().unwrap();
        assert_eq!(cut.get(), 0);
    }
}
