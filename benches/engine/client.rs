//! Engines B to E: hyper's HTTP/1 client connection over a stream of pingora's connector (B) or over a plain TCP stream (the
//! others), with its connection future in a task of its own (B, C) or driven by the exchange itself (D, E). E keeps nothing of
//! hyper between two exchanges: its pool holds sockets.
//!
//! A link is pooled only when the answer was read to its end, the upload was given to the socket to its end, and hyper itself
//! says that it is ready for another request.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::Duration;

use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pingora_core::connectors::TransportConnector;
use pingora_core::upstreams::peer::BasicPeer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::exchange::{Connection, Event, Fault, Listener, Order};
use super::link::{Driver, Link, drive};
use super::talk::{Upshot, run};
use super::upload::Upload;
use tornello::proxy::wire::{Socket, Wire};

/// How links are made.
enum Dial {
    Pingora(Box<TransportConnector>, Box<BasicPeer>),
    Tcp(SocketAddr),
}

/// What is kept of a connection between two exchanges.
enum Idle {
    Link(Link),
    Socket(Socket),
}

/// How hyper is used.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// The exchange polls the connection; else a task of its own does.
    pub(crate) own_driver: bool,
    /// The pool keeps the socket and drops hyper's state; needs `own_driver`.
    pub(crate) socket_only: bool,
    /// Bytes of one read; left to hyper, it grows from 8 KiB with what arrives, and stays.
    pub(crate) read_bytes: Option<usize>,
    /// The socket swallows write errors until the read side has spoken (see `wire`).
    pub(crate) patient: bool,
}

/// hyper's client with a pool of its own towards one address.
pub(crate) struct ClientEngine {
    dial: Dial,
    manner: Manner,
    idle: Mutex<Vec<Idle>>,
}

impl ClientEngine {
    pub(crate) fn over_pingora(addr: SocketAddr, manner: Manner) -> Self {
        let peer = BasicPeer::new(&addr.to_string());
        let dial = Dial::Pingora(Box::new(TransportConnector::new(None)), Box::new(peer));
        Self { dial, manner, idle: Mutex::default() }
    }

    pub(crate) fn over_tcp(addr: SocketAddr, manner: Manner) -> Self {
        Self { dial: Dial::Tcp(addr), manner, idle: Mutex::default() }
    }

    /// Whether the pool can look at the socket itself.
    pub(crate) fn can_look(&self) -> bool {
        matches!(self.dial, Dial::Tcp(_))
    }

    /// The most recently used link that is still good; `look` adds one system call that sees a close the reactor has not.
    async fn take(&self, look: bool) -> Option<Link> {
        loop {
            let idle = self.idle.lock().unwrap().pop()?;
            let mut link = match idle {
                Idle::Link(link) => link,
                Idle::Socket(socket) if socket.is_quiet() => {
                    return self.handshake(socket.clone(), Some(socket)).await.ok();
                }
                Idle::Socket(_) => continue,
            };
            if let Driver::Own(driving) = &mut link.driver {
                let mut context = Context::from_waker(Waker::noop());
                let open =
                    driving.as_mut().is_some_and(|driving| driving.as_mut().poll(&mut context).is_pending());
                if !open {
                    continue;
                }
            }
            let quiet = !look || link.socket.as_ref().is_none_or(Socket::is_quiet);
            if quiet && link.sender.is_ready() && !link.sender.is_closed() {
                return Some(link);
            }
        }
    }

    fn put(&self, link: Link) {
        let idle = self.keep(link);
        self.idle.lock().unwrap().push(idle);
    }

    fn keep(&self, mut link: Link) -> Idle {
        match link.socket.take() {
            Some(socket) if self.manner.socket_only => Idle::Socket(socket),
            socket => Idle::Link(Link { socket, ..link }),
        }
    }

    async fn dial(&self) -> Result<Link, Fault> {
        match &self.dial {
            Dial::Pingora(connector, peer) => {
                let stream = connector.new_stream(&**peer).await.map_err(Fault::unsent)?;
                self.handshake(stream, None).await
            }
            Dial::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await.map_err(Fault::unsent)?;
                stream.set_nodelay(true).map_err(Fault::unsent)?;
                let socket = Socket::new(stream);
                self.handshake(socket.clone(), Some(socket)).await
            }
        }
    }

    async fn handshake<S>(&self, stream: S, socket: Option<Socket>) -> Result<Link, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (wire, written) = Wire::new(stream, self.manner.patient);
        let (sender, connection) = http1::Builder::new()
            .read_buf_exact_size(self.manner.read_bytes)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(Fault::unsent)?;
        let connection = connection.with_upgrades();
        let driver = if self.manner.own_driver {
            Driver::Own(Some(Box::pin(connection)))
        } else {
            // Errors of the connection reach the exchange through the sender and the body.
            Driver::Task(tokio::spawn(async move { drop(connection.await) }))
        };
        Ok(Link { sender, driver, written, socket })
    }

    pub(crate) async fn exchange(&self, order: Order) -> Connection {
        let mut listener = Listener::new(order.events.clone());
        // A request that may be repeated can go out on trust; any other is worth one look at the socket, or where pingora
        // hides it, a turn of the reactor.
        let look = !order.method.is_idempotent();
        if look && !self.can_look() {
            tokio::task::yield_now().await;
        }
        let link = match self.take(look).await {
            Some(link) => Ok(link),
            None => self.dial().await,
        };
        let mut link = match link {
            Ok(link) => link,
            Err(fault) => {
                listener.tell(Event::Fault(fault)).await;
                return Connection::Closed;
            }
        };
        if listener.is_gone() {
            self.put(link);
            return Connection::Pooled;
        }
        let written_before = link.written.bytes.load(Relaxed);
        let ended = drive(&mut link.driver, run(&mut link.sender, order, &mut listener)).await;
        match ended {
            Err(mut fault) => {
                fault.unsent = link.written.bytes.load(Relaxed) == written_before;
                listener.tell(Event::Fault(fault)).await;
                Connection::Closed
            }
            Ok(Upshot::Abandoned) => Connection::Closed,
            Ok(Upshot::Whole { reusable }) => {
                let connection = if reusable && !link.written.broken.load(Relaxed) {
                    self.settle(link).await
                } else {
                    Connection::Closed
                };
                listener.tell(Event::End).await;
                connection
            }
        }
    }

    /// Pools the link once hyper is ready again; what is not ready at once (in practice: within a turn) is closed.
    async fn settle(&self, mut link: Link) -> Connection {
        let Link { sender, driver, .. } = &mut link;
        let ready =
            drive(driver, async { tokio::time::timeout(Duration::from_millis(50), sender.ready()).await })
                .await;
        if !matches!(ready, Ok(Ok(()))) {
            return Connection::Closed;
        }
        self.put(link);
        Connection::Pooled
    }

    /// One bare GET whose answer is counted and thrown away: what the load measures.
    pub(crate) async fn fetch(&self, path: &'static str) -> usize {
        let mut link = match self.take(false).await {
            Some(link) => link,
            None => self.dial().await.unwrap(),
        };
        let bytes = fetch_on(&mut link, path).await;
        self.put(link);
        bytes
    }

    /// Opens `count` connections at the same time, uses each once and leaves them idle in the pool.
    pub(crate) async fn fill(&self, count: usize, path: &'static str) {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let mut link = self.dial().await.unwrap();
            fetch_on(&mut link, path).await;
            idle.push(self.keep(link));
        }
        self.idle.lock().unwrap().extend(idle);
    }
}

async fn fetch_on(link: &mut Link, path: &'static str) -> usize {
    let mut request = http::Request::builder().uri(path).body(Upload::empty()).unwrap();
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("service.example"));
    let Link { sender, driver, .. } = link;
    let mut bytes = 0;
    drive(driver, async {
        tokio::time::timeout(Duration::from_secs(30), async {
            let mut response = sender.try_send_request(request).await.unwrap();
            while let Some(frame) = response.body_mut().frame().await {
                bytes += frame.unwrap().data_ref().map_or(0, bytes::Bytes::len);
            }
            sender.ready().await.unwrap();
        })
        .await
        .unwrap();
    })
    .await;
    bytes
}
