//! What lies between hyper and the socket: it counts what left, and it lets the read side have the last word on a dead socket.
//!
//! An upstream that refuses an upload early answers and closes. The write then fails while the answer stands in the receive
//! buffer, and hyper drops it. A patient wire swallows writes after such an error; the read that follows yields the answer, or
//! the end of the stream. A link whose wire broke is never pooled.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

/// What went out on a wire, readable while hyper owns the stream.
#[derive(Debug, Default)]
pub struct Written {
    /// Bytes that the kernel took.
    pub bytes: AtomicU64,
    /// A write failed: the connection is good for reading to its end, and for nothing else.
    pub broken: AtomicBool,
    /// Told once something went out after something had come in: what came first was understood.
    pub answered: Notify,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    patient: bool,
    heard: bool,
    written: Arc<Written>,
}

impl<S> Wire<S> {
    /// Wraps a stream; `patient` lets the read side have the last word.
    pub fn new(stream: S, patient: bool) -> (Self, Arc<Written>) {
        let written = Arc::<Written>::default();
        (Self { stream, patient, heard: false, written: Arc::clone(&written) }, written)
    }

    fn account(&mut self, result: io::Result<usize>, offered: usize) -> io::Result<usize> {
        match result {
            Ok(bytes) => {
                self.written.bytes.fetch_add(bytes as u64, Relaxed);
                if self.heard && bytes > 0 {
                    self.heard = false;
                    self.written.answered.notify_one();
                }
                Ok(bytes)
            }
            Err(error) => {
                let gone = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
                self.written.broken.store(true, Relaxed);
                if self.patient && gone { Ok(offered) } else { Err(error) }
            }
        }
    }

    fn swallows(&self) -> bool {
        self.patient && self.written.broken.load(Relaxed)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        self.heard |= buf.filled().len() > before;
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.swallows() {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, buf));
        Poll::Ready(self.account(result, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        if self.swallows() {
            return Poll::Ready(Ok(offered));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, bufs));
        Poll::Ready(self.account(result, offered))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.swallows() {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(self.account(result.map(|()| 0), 0).map(drop))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A TCP stream of which the pool keeps a handle. The reading half is the runtime's own: it knows that a
/// read which did not fill its buffer has emptied the socket, and spares the next one in vain.
#[derive(Debug)]
pub struct Socket {
    read: OwnedReadHalf,
    handle: Handle,
}

/// Looks at a socket while hyper owns the stream.
#[derive(Clone, Debug)]
pub struct Handle(Arc<OwnedWriteHalf>);

impl Socket {
    /// Shares a stream.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read, handle: Handle(Arc::new(write)) }
    }

    /// For whoever looks at the socket.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Handle {
    fn stream(&self) -> &TcpStream {
        (*self.0).as_ref()
    }

    /// Asks the kernel, not the reactor: true if the peer has neither closed nor sent anything.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(self.stream()).peek(&mut byte);
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(context, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.handle.stream();
        loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_write_vectored(bufs) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(self.handle.stream()).shutdown(std::net::Shutdown::Write))
    }
}
