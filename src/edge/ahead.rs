//! A stream of which the first bytes were already looked at.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Gives the bytes that were looked at once more, then goes on with the stream.
#[derive(Debug)]
pub struct Ahead<S> {
    stream: S,
    seen: BytesMut,
}

impl<S: AsyncRead + Unpin> Ahead<S> {
    /// Nothing was looked at yet.
    #[must_use]
    pub fn new(stream: S) -> Self {
        Self { stream, seen: BytesMut::new() }
    }

    /// The bytes that were looked at and not taken.
    #[must_use]
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Looks at more bytes, at most `limit` in all. Returns whether there were any.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn look(&mut self, limit: usize) -> io::Result<bool> {
        let room = limit.saturating_sub(self.seen.len());
        let mut limited = (&mut self.stream).take(room as u64);
        Ok(limited.read_buf(&mut self.seen).await? > 0)
    }

    /// Takes the first bytes away.
    pub fn consume(&mut self, length: usize) {
        self.seen.advance(length.min(self.seen.len()));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buf);
        }
        let length = self.seen.len().min(buf.remaining());
        buf.put_slice(&self.seen.split_to(length));
        if self.seen.is_empty() {
            // Idle connections are many: what the first bytes took is given back.
            self.seen = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
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

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
