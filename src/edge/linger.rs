//! A connection that we close while its client still sends would be reset, and the client would lose
//! the answer that says why. So after our last byte we read on and throw away, for a short while.
//!
//! The socket's stream also holds whatever counts the connection, because a tunnel keeps the stream
//! longer than its HTTP lasts.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// Longest time from our end to the close.
const LINGER: Duration = Duration::from_secs(10);
/// A client that sends nothing for this long has seen what it will see.
const QUIET: Duration = Duration::from_secs(2);
/// Bytes thrown away at a time.
const SCRATCH: usize = 16 * 1024;

/// A stream that ends politely, and something that lives as long as it does.
#[derive(Debug)]
pub struct Linger<S, H>
where
    S: AsyncRead + Unpin + Send + 'static,
    H: Send + 'static,
{
    /// Gone only while this value is dropped.
    inner: Option<(S, H)>,
    /// The client has said its last.
    ended: bool,
    /// We have.
    shut: bool,
}

impl<S, H> Linger<S, H>
where
    S: AsyncRead + Unpin + Send + 'static,
    H: Send + 'static,
{
    /// Wraps a stream; `held` is dropped when its socket is closed.
    #[must_use]
    pub fn new(stream: S, held: H) -> Self {
        Self { inner: Some((stream, held)), ended: false, shut: false }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        let inner = self.inner.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(&mut inner.0))
    }
}

impl<S, H> Drop for Linger<S, H>
where
    S: AsyncRead + Unpin + Send + 'static,
    H: Send + 'static,
{
    /// One that was never shut ends by a fault, which the client shall see.
    fn drop(&mut self) {
        let Some((stream, held)) = self.inner.take().filter(|_| self.shut && !self.ended) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(read_on(stream, held));
        }
    }
}

async fn read_on<S: AsyncRead + Unpin, H>(mut stream: S, held: H) {
    let mut scratch = vec![0; SCRATCH];
    let reading = async { while let Ok(Ok(1..)) = timeout(QUIET, stream.read(&mut scratch)).await {} };
    let _ = timeout(LINGER, reading).await;
    drop((stream, held));
}

impl<S, H> AsyncRead for Linger<S, H>
where
    S: AsyncRead + Unpin + Send + 'static,
    H: Unpin + Send + 'static,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        let read = ready!(self.stream()?.poll_read(context, buf));
        self.ended |= read.is_err() || (before > 0 && buf.remaining() == before);
        Poll::Ready(read)
    }
}

impl<S, H> AsyncWrite for Linger<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Unpin + Send + 'static,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.as_ref().is_some_and(|(stream, _)| stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        self.stream()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn what_a_client_still_sends_is_taken_until_it_is_quiet_and_the_socket_counts_until_then() {
        let (near, mut far) = tokio::io::duplex(64);
        let held = Arc::new(());
        let mut stream = Linger::new(near, Arc::clone(&held));
        stream.shutdown().await.unwrap();
        drop(stream);
        far.write_all(&[7; 10_000]).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        tokio::time::sleep(QUIET + QUIET).await;
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(far.write_all(&[7; 100]).await.is_err(), "it is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_on_is_closed_all_the_same_and_one_that_has_ended_at_once() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Linger::new(near, ());
        stream.shutdown().await.unwrap();
        drop(stream);
        let mut sent = 0;
        while far.write_all(&[7; 10]).await.is_ok() {
            tokio::time::sleep(QUIET / 2).await;
            sent += 1;
        }
        assert!(sent < 15, "{sent}");
        let (near, far) = tokio::io::duplex(64);
        let held = Arc::new(());
        let mut stream = Linger::new(near, Arc::clone(&held));
        drop(far);
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        stream.shutdown().await.unwrap();
        drop(stream);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
