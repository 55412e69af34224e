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
use super::site::{Line, Target};

type Link = Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
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
    target: Target,
    source: Ipv4Addr,
    ledger: Arc<Ledger>,
    wire: Option<Wire>,
}

#[derive(Debug)]
struct Wire {
    end: End,
    used: bool,
}

/// Our end of a connection.
#[derive(Debug)]
enum End {
    Socket { sender: SendRequest<Full<Bytes>>, link: Pin<Box<Link>> },
    InProcess(Arc<dyn Line>),
}

impl Client {
    pub(super) fn new(target: &Target, source: Ipv4Addr, ledger: &Arc<Ledger>) -> Self {
        Self { target: target.clone(), source, ledger: Arc::clone(ledger), wire: None }
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
        let end = match &self.target {
            Target::Address(address) => self.dial(*address).await?,
            Target::Site(site) => End::InProcess(Arc::clone(site).open(self.source).await.ok_or(())?),
        };
        Ok(Wire { end, used: false })
    }

    async fn dial(&self, target: SocketAddr) -> Result<End, ()> {
        let stream = match target.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => {
                let socket = TcpSocket::new_v4().map_err(drop)?;
                socket.bind(SocketAddr::new(self.source.into(), 0)).map_err(drop)?;
                socket.connect(target).await
            }
            // Only the loopback network gives everybody an address.
            _ => TcpStream::connect(target).await,
        }
        .map_err(drop)?;
        stream.set_nodelay(true).map_err(drop)?;
        let (sender, link) = handshake(TokioIo::new(stream)).await.map_err(drop)?;
        Ok(End::Socket { sender, link: Box::pin(link) })
    }
}

impl Wire {
    async fn exchange(self, request: Request<Full<Bytes>>) -> Result<(Reply, Option<Self>), ()> {
        let (mut sender, mut link) = match self.end {
            End::Socket { sender, link } => (sender, link),
            End::InProcess(line) => {
                let reply = Arc::clone(&line).ask(request).await.ok_or(())?;
                return Ok((reply, Some(Self { end: End::InProcess(line), used: true })));
            }
        };
        let (open, reply) = while_driving(&mut link, async {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Reply { status: head.status, headers: head.headers, body })
        })
        .await;
        let reply = reply.map_err(drop)?;
        let end = (open && !sender.is_closed()).then_some(End::Socket { sender, link });
        let wire = end.map(|end| Self { end, used: true });
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
