//! Connections to one upstream address, driven by hyper's client.
//!
//! One of HTTP/1.1 carries one request at a time and belongs to its exchange. One of HTTP/2 is shared:
//! each exchange has a place on it, which is free again when the exchange is over.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::exchange::Pending;
use super::transport::{Line, Transport};
use super::upload::Upload;
use super::wire::{Handle, Socket, Wire, Written};
use crate::admission::Moment;
use crate::config::settings::Protocol;

/// Longest head of an answer, bytes, and most fields in it.
const HEAD_MAX: u16 = u16::MAX;
const FIELDS_MAX: usize = 200;
/// Most exchanges at once on a connection of HTTP/2; fewer if the upstream says so.
const STREAMS_MAX: usize = 100;
/// What may be under way unread on a stream, and on a connection: enough for all its streams, so that
/// a client who reads slowly never holds up the others.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;
/// A connection of HTTP/2 with exchanges under way is asked for a sign of life this often, and given up
/// if none comes.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// No connection could be opened; why, in words.
#[derive(Debug)]
pub struct ConnectError(pub String);

/// A way for one exchange to an upstream.
#[derive(Debug)]
pub enum Connection {
    /// A connection of its own.
    Own(Box<Own>),
    /// A place on a shared one.
    Place(Place),
}

impl Connection {
    /// Sends a request.
    #[must_use]
    pub fn send(&mut self, request: Request<Upload>) -> Pending {
        match self {
            Self::Own(own) => Box::pin(own.sender.try_send_request(request)),
            Self::Place(place) => Box::pin(place.0.sender.clone().try_send_request(request)),
        }
    }

    /// It carried a request before, so the upstream may have closed it meanwhile.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Own(own) => own.reused,
            Self::Place(place) => place.0.carried.load(Ordering::Relaxed) > 1,
        }
    }

    /// Others are on it, too: what ends is the exchange, not the connection.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Place(_))
    }

    /// The other side sends those who come later elsewhere.
    pub fn avoid(&self) {
        if let Self::Place(place) = self {
            place.0.retired.store(true, Ordering::Relaxed);
        }
    }
}

/// A connection of HTTP/1.1.
#[derive(Debug)]
pub struct Own {
    sender: http1::SendRequest<Upload>,
    reused: bool,
    socket: Handle,
    written: Arc<Written>,
    transport: Arc<Transport>,
}

impl Own {
    /// Good for another request.
    pub(super) fn is_whole(&self) -> bool {
        !self.sender.is_closed() && !self.written.broken.load(Ordering::Relaxed)
    }

    /// The kernel knows of a close before the runtime does. It also knows of bytes that nobody asked
    /// for: on such a connection the next answer would not be the next client's. Over TLS those may be
    /// no more than a late session ticket; a connection is the price of not knowing.
    pub(super) fn is_ready(&self, transport: &Arc<Transport>) -> bool {
        Arc::ptr_eq(&self.transport, transport) && self.sender.is_ready() && self.socket.is_quiet()
    }

    /// Out of the pool again.
    pub(super) fn again(mut self) -> Connection {
        self.reused = true;
        Connection::Own(Box::new(self))
    }
}

/// What HTTP/2 is spoken on.
trait Io: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Unpin> Io for S {}

type Driver = http2::Connection<TokioIo<Wire<Box<dyn Io>>>, Upload, TokioExecutor>;

/// A connection of HTTP/2.
#[derive(Debug)]
pub struct Shared {
    sender: http2::SendRequest<Upload>,
    /// Gone when the connection has ended: what was handed to it and not sent comes back then.
    driver: Arc<Mutex<Option<Driver>>>,
    exchanges: AtomicUsize,
    carried: AtomicU64,
    used: AtomicU64,
    retired: AtomicBool,
    socket: Handle,
    transport: Arc<Transport>,
}

impl Shared {
    /// May carry more; what it carries goes on in any case.
    pub(super) fn is_whole(&self) -> bool {
        !self.sender.is_closed() && !self.retired.load(Ordering::Relaxed)
    }

    /// Nobody is on it.
    pub(super) fn is_idle(&self) -> bool {
        self.exchanges.load(Ordering::Relaxed) == 0
    }

    /// When an exchange last began or ended well.
    pub(super) fn used(&self) -> Moment {
        Moment(self.used.load(Ordering::Relaxed))
    }

    /// A place, if it was made as `transport` says and there is room. The caller is alone in asking.
    pub(super) fn enter(
        self: &Arc<Self>,
        transport: &Arc<Transport>,
        oldest: Duration,
        now: Moment,
    ) -> Option<Connection> {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let bears = driver.as_ref()?.current_max_send_streams();
        drop(driver);
        let room = bears.min(STREAMS_MAX);
        let fit = Arc::ptr_eq(&self.transport, transport)
            && self.is_whole()
            && self.exchanges.load(Ordering::Relaxed) < room;
        // On a connection that has rested something unread is most often its end.
        let rested = self.is_idle() && (now.since(self.used()) > oldest || !self.socket.is_quiet());
        (fit && !rested).then(|| self.place(now))
    }

    fn place(self: &Arc<Self>, now: Moment) -> Connection {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        self.carried.fetch_add(1, Ordering::Relaxed);
        self.used.store(now.0, Ordering::Relaxed);
        Connection::Place(Place(Arc::clone(self)))
    }
}

/// A place on a connection of HTTP/2; free again when dropped.
#[derive(Debug)]
pub struct Place(Arc<Shared>);

impl Place {
    /// The connection.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// The exchange ended well, at `now`.
    pub(super) fn ended(self, now: Moment) {
        self.0.used.store(now.0, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.exchanges.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens a connection to `address`, which stands as `entry` in the configuration, with a place on it.
///
/// # Errors
/// [`ConnectError`] with the cause in words.
pub async fn open(
    transport: &Arc<Transport>,
    address: SocketAddr,
    entry: &str,
    now: Moment,
) -> Result<Connection, ConnectError> {
    let stream = TcpStream::connect(address).await.map_err(|error| ConnectError(error.to_string()))?;
    // Heads and bodies are written whole; waiting for more to send would only delay them.
    stream.set_nodelay(true).map_err(|error| ConnectError(error.to_string()))?;
    let stream = Socket::new(stream);
    let socket = stream.handle();
    let line = transport.secure(stream, entry).await?;
    match (transport.protocol, line) {
        (Protocol::Http1, Line::Clear(stream)) => own(stream, socket, transport).await,
        (Protocol::Http1, Line::Encrypted(stream)) => own(*stream, socket, transport).await,
        (Protocol::Http2, Line::Clear(stream)) => shared(Box::new(stream), socket, transport, now).await,
        (Protocol::Http2, Line::Encrypted(stream)) => shared(stream, socket, transport, now).await,
    }
}

async fn own<S>(stream: S, socket: Handle, transport: &Arc<Transport>) -> Result<Connection, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (wire, written) = Wire::new(stream, true);
    let shaken = http1::Builder::new()
        .max_buf_size(usize::from(HEAD_MAX))
        .max_headers(FIELDS_MAX)
        .handshake(TokioIo::new(wire))
        .await;
    let (sender, driver) = shaken.map_err(|error| ConnectError(error.to_string()))?;
    tokio::spawn(async move {
        // How the exchange ended is told to whoever holds the sender or the body.
        let _ = driver.with_upgrades().await;
    });
    let transport = Arc::clone(transport);
    Ok(Connection::Own(Box::new(Own { sender, reused: false, socket, written, transport })))
}

async fn shared(
    stream: Box<dyn Io>,
    socket: Handle,
    transport: &Arc<Transport>,
    now: Moment,
) -> Result<Connection, ConnectError> {
    let (wire, written) = Wire::new(stream, false);
    let shaken = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_max_send_streams(STREAMS_MAX)
        .max_header_list_size(u32::from(HEAD_MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .handshake(TokioIo::new(wire))
        .await;
    let (sender, driver) = shaken.map_err(|error| ConnectError(error.to_string()))?;
    let driver = Arc::new(Mutex::new(Some(driver)));
    let (driven, done) = (Arc::clone(&driver), Arc::clone(&written));
    tokio::spawn(async move {
        let driving = poll_fn(|context| {
            let mut slot = driven.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = slot.as_mut().is_none_or(|driver| Pin::new(driver).poll(context).is_ready());
            if ended {
                *slot = None;
                return Poll::Ready(());
            }
            Poll::Pending
        });
        driving.await;
        done.answered.notify_one();
    });
    // The first that an upstream says is how many streams it bears; one that says something else does
    // not speak HTTP/2, and is known before a request is lost on it.
    written.answered.notified().await;
    if sender.is_closed() {
        return Err(ConnectError("the upstream does not speak HTTP/2".to_owned()));
    }
    let shared = Arc::new(Shared {
        sender,
        driver,
        exchanges: AtomicUsize::new(0),
        carried: AtomicU64::new(0),
        used: AtomicU64::new(now.0),
        retired: AtomicBool::new(false),
        socket,
        transport: Arc::clone(transport),
    });
    Ok(shared.place(now))
}
