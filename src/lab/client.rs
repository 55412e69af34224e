//! One client: at most one connection, kept alive between requests, from an address of its own.
//!
//! The connection is driven by whoever waits for an answer, so a client costs no task, and dropping it
//! in mid-request closes the socket at once: that is what hanging up is. A request that fails on a
//! kept connection before any answer is sent once more on a fresh one, as browsers do.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use super::ledger::{ATTEMPT, Ledger};
use super::origin::PERSON;

type Link = Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// Its size on the wire, nearly: status line, fields and body, without framing.
    pub(super) fn bytes(&self) -> u64 {
        let field = |(name, value): (&http::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
        (17 + self.headers.iter().map(field).sum::<usize>() + self.body.len()) as u64
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing, or not all, in time.
    Timeout,
    /// Refused, reset, or closed.
    Broken,
}

#[derive(Debug)]
pub(super) struct Client {
    target: SocketAddr,
    source: Ipv4Addr,
    ledger: Arc<Ledger>,
    wire: Option<Wire>,
}

#[derive(Debug)]
struct Wire {
    sender: SendRequest<Full<Bytes>>,
    link: Pin<Box<Link>>,
    used: bool,
}

impl Client {
    pub(super) fn new(target: SocketAddr, source: Ipv4Addr, ledger: &Arc<Ledger>) -> Self {
        Self { target, source, ledger: Arc::clone(ledger), wire: None }
    }

    /// Closes the connection; the next request opens another.
    pub(super) fn close(&mut self) {
        self.wire = None;
    }

    /// From now on from another address: the connection is lost.
    pub(super) fn move_to(&mut self, source: Ipv4Addr) {
        self.source = source;
        self.wire = None;
    }

    /// Asks, and waits for the whole answer at most `timeout`; then the connection is closed.
    pub(super) async fn ask(
        &mut self,
        request: &Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Reply, Silence> {
        // The wire is out of its place while in use: an exchange cut short closes it.
        let wire = self.wire.take();
        match tokio::time::timeout(timeout, self.exchange(wire, request)).await {
            Ok(Ok((reply, wire))) => {
                self.wire = wire;
                Ok(reply)
            }
            Ok(Err(())) => Err(Silence::Broken),
            Err(_) => Err(Silence::Timeout),
        }
    }

    async fn exchange(
        &self,
        wire: Option<Wire>,
        request: &Request<Full<Bytes>>,
    ) -> Result<(Reply, Option<Wire>), ()> {
        let wire = match wire {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        let used = wire.used;
        match self.attempt(wire, request).await {
            Err(()) if used => self.attempt(self.connect().await?, request).await,
            outcome => outcome,
        }
    }

    /// Sends the request over a connection, and notes it as one of its own.
    async fn attempt(&self, wire: Wire, request: &Request<Full<Bytes>>) -> Result<(Reply, Option<Wire>), ()> {
        let person = request.headers().get(PERSON).and_then(|value| value.to_str().ok()?.parse().ok());
        let what = format!("{} {}", request.method(), request.uri().path());
        let noted = self.ledger.begin(person.unwrap_or(0), what);
        let mut request = request.clone();
        request.headers_mut().insert(ATTEMPT, HeaderValue::from(noted.number()));
        let (reply, wire) = wire.exchange(request).await?;
        noted.answered(reply.status.as_u16(), reply.headers.contains_key(ATTEMPT));
        Ok((reply, wire))
    }

    async fn connect(&self) -> Result<Wire, ()> {
        let stream = match self.target.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => {
                let socket = TcpSocket::new_v4().map_err(drop)?;
                socket.bind(SocketAddr::new(self.source.into(), 0)).map_err(drop)?;
                socket.connect(self.target).await
            }
            // Only the loopback network gives everybody an address.
            _ => TcpStream::connect(self.target).await,
        }
        .map_err(drop)?;
        stream.set_nodelay(true).map_err(drop)?;
        let (sender, link) = handshake(TokioIo::new(stream)).await.map_err(drop)?;
        Ok(Wire { sender, link: Box::pin(link), used: false })
    }
}

impl Wire {
    async fn exchange(self, request: Request<Full<Bytes>>) -> Result<(Reply, Option<Self>), ()> {
        let Self { mut sender, mut link, .. } = self;
        let (open, reply) = while_driving(&mut link, async {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Reply { status: head.status, headers: head.headers, body })
        })
        .await;
        let reply = reply.map_err(drop)?;
        let wire = (open && !sender.is_closed()).then_some(Self { sender, link, used: true });
        Ok((reply, wire))
    }
}

/// Drives the connection until `work` is done. The flag says whether the connection is still open.
async fn while_driving<T>(link: &mut Pin<Box<Link>>, work: impl Future<Output = T>) -> (bool, T) {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        out = &mut work => return (true, out),
        _ = link => {}
    }
    (false, work.await)
}
