//! From a listening socket to answered requests: who connects, in which layers, with which protocol.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ahead::Ahead;
use super::caps::{Caps, Place};
use super::idle::Link;
use super::linger::Linger;
use super::pace::Paced;
use super::tls::TlsDoor;
use super::turn_away::turn_away;
use super::{http1, http2, proxy_header};
use crate::config::settings::Listener;
use crate::proxy::isolate::caught;
use crate::proxy::peer::subject;
use crate::proxy::{Peer, Proxy};

/// After a failure to accept (no files left), this long nobody is accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The crowd's side of the process.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The request path.
    pub proxy: Arc<Proxy>,
    /// Open connections.
    pub caps: Arc<Caps>,
    /// Certificates.
    pub tls: Arc<TlsDoor>,
    /// Most connections that open files allow.
    pub files_max: usize,
    /// Turns true when the process is to stop.
    pub stop: watch::Receiver<bool>,
}

/// Why a connection was closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// No good PROXY header on a listener that demands one.
    ProxyHeader,
    /// Somebody who is not trusted connected to such a listener.
    UntrustedProxy,
    /// No agreement on TLS.
    Handshake,
    /// Nothing in time.
    Late,
    /// A cap for whom the PROXY header names; counted there.
    Cap,
    /// It went by itself, or the process stops.
    Gone,
}

impl Closed {
    /// The word in metrics; `None` for what is no news or counted elsewhere.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::ProxyHeader => Some("proxy_header"),
            Self::UntrustedProxy => Some("untrusted_proxy"),
            Self::Handshake => Some("tls_handshake"),
            Self::Late => Some("late"),
            Self::Cap | Self::Gone => None,
        }
    }
}

/// A connection that may ask.
enum Met {
    Plain { stream: Kept, peer: Peer, http2: bool },
    Encrypted { stream: Box<TlsStream<Kept>>, peer: Peer, http2: bool },
}

/// A socket with what counts it.
type Kept = Linger<Ahead<TcpStream>, Counted>;

/// Accepts until told to stop. Connections end by themselves: idle ones at once, others after the
/// request that is under way.
pub async fn accept(socket: TcpListener, listener: Listener, crowd: Crowd) {
    let mut stop = crowd.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let live = crowd.proxy.live.load();
                let edge = &live.settings.edge;
                let all_max = edge.max_connections.min(crowd.files_max);
                let trusted = crowd.trusts(peer);
                match crowd.caps.enter(peer.ip(), trusted, all_max, edge.max_connections_per_prefix) {
                    Ok(place) => {
                        tokio::spawn(serve(stream, peer, listener, crowd.clone(), place));
                    }
                    Err(cap) => {
                        crowd.refused(cap.name());
                        // On an encrypted port a handshake would cost more than a place, and a load
                        // balancer's header would have to be read first.
                        let speaks_plainly = !listener.tls && !listener.proxy_protocol;
                        if let Some(spare) = crowd.caps.spare().filter(|_| speaks_plainly) {
                            tokio::spawn(turn_away(stream, Arc::clone(&crowd.proxy), spare));
                        }
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Crowd {
    fn trusts(&self, peer: SocketAddr) -> bool {
        let live = self.proxy.live.load();
        live.settings.edge.trusted_proxies.iter().any(|net| net.contains(&peer.ip().to_canonical()))
    }

    fn refused(&self, cap: &str) {
        self.proxy.witness.metrics.connections_refused.with_label_values(&[cap]).inc();
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, listener: Listener, crowd: Crowd, place: Place) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let metrics = &crowd.proxy.witness.metrics;
    let link = Arc::clone(place.link());
    let counted = Counted::new(place, &crowd);
    let head_timeout = crowd.proxy.live.load().settings.edge.head_timeout;
    let mut stop = crowd.stop.clone();
    let meeting = tokio::time::timeout(head_timeout, meet(stream, peer, listener, &crowd, counted));
    let met = tokio::select! {
        biased;
        () = stopped(&mut stop) => Err(Closed::Gone),
        () = link.asked() => Err(Closed::Gone),
        met = meeting => met.unwrap_or(Err(Closed::Late)),
    };
    let talked = match met {
        Ok(Met::Plain { stream, peer, http2 }) => {
            caught(pin!(talk(stream, peer, http2, &crowd, &link))).await
        }
        Ok(Met::Encrypted { stream, peer, http2 }) => {
            caught(pin!(talk(stream, peer, http2, &crowd, &link))).await
        }
        Err(closed) => {
            if let Some(reason) = closed.name() {
                metrics.connections_closed.with_label_values(&[reason]).inc();
            }
            Ok(())
        }
    };
    if let Err(why) = talked {
        metrics.panics.inc();
        tracing::error!(why, "a connection ended in a panic");
    }
    // What still holds the socket is a tunnel, or lingers for a moment.
    link.hang_up();
}

/// A connection in the count and in the metric, for as long as its socket is open.
#[derive(Debug)]
struct Counted {
    open: IntGauge,
    place: Place,
}

impl Counted {
    fn new(place: Place, crowd: &Crowd) -> Self {
        let open = crowd.proxy.witness.metrics.connections.clone();
        open.inc();
        Self { open, place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// Everything before the first request: PROXY header, TLS, choice of the protocol.
async fn meet(
    stream: TcpStream,
    mut peer: SocketAddr,
    listener: Listener,
    crowd: &Crowd,
    mut counted: Counted,
) -> Result<Met, Closed> {
    let mut stream = Ahead::new(stream);
    if listener.proxy_protocol {
        if !crowd.trusts(peer) {
            return Err(Closed::UntrustedProxy);
        }
        if let Some(source) = proxy_header::take(&mut stream).await.map_err(|_| Closed::ProxyHeader)? {
            // The load balancer spoke for this one, who now counts as any other client.
            peer = source;
            let subscriber_max = crowd.proxy.live.load().settings.edge.max_connections_per_prefix;
            if !crowd.trusts(peer) && counted.place.speaks_for(peer.ip(), subscriber_max).is_err() {
                crowd.refused("subscriber");
                return Err(Closed::Cap);
            }
        }
    }
    if listener.tls {
        return encrypt(Linger::new(stream, counted), peer, listener.client_ca, crowd).await;
    }
    let http2 = is_http2(&mut stream).await.map_err(|_| Closed::Gone)?;
    Ok(Met::Plain { stream: Linger::new(stream, counted), peer: Peer::plain(peer), http2 })
}

async fn encrypt(
    stream: Kept,
    peer: SocketAddr,
    client_ca: Option<usize>,
    crowd: &Crowd,
) -> Result<Met, Closed> {
    let tls = crowd.tls.current().ok_or(Closed::Handshake)?;
    let config = tls.config(client_ca).ok_or(Closed::Handshake)?;
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    let stream = acceptor.accept(stream).await.map_err(|_| Closed::Handshake)?;
    let (_, session) = stream.get_ref();
    let http2 = session.alpn_protocol() == Some(b"h2");
    let shown = tls.shown(session.server_name()).ok_or(Closed::Handshake)?;
    let subject = session.peer_certificates().and_then(|chain| subject(chain.first()?));
    let peer = Peer { subject, ..Peer::encrypted(peer, shown) };
    Ok(Met::Encrypted { stream: Box::new(stream), peer, http2 })
}

/// Whether a cleartext client speaks HTTP/2 from the start (RFC 9113 §3.3): it begins with the preface,
/// which no HTTP/1 request does.
async fn is_http2<S: AsyncRead + Unpin>(stream: &mut Ahead<S>) -> std::io::Result<bool> {
    loop {
        let seen = stream.seen();
        if !http2::PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if seen.len() == http2::PREFACE.len() {
            return Ok(true);
        }
        if !stream.look(http2::PREFACE.len()).await? {
            // It said too little for any protocol; HTTP/1 finds the words for that.
            return Ok(false);
        }
    }
}

async fn talk<S>(stream: S, peer: Peer, http2: bool, crowd: &Crowd, link: &Arc<Link>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let witness = &crowd.proxy.witness;
    let cut = witness.metrics.slow_clients.with_label_values(&["answer"]);
    let stream = Paced::new(stream, crowd.proxy.live.load().settings.edge.pace, witness.clock, cut);
    let stop = crowd.stop.clone();
    if http2 {
        http2::serve(stream, peer, &crowd.proxy, link, stop).await;
    } else {
        http1::serve(stream, peer, &crowd.proxy, link, stop).await;
    }
}

/// Returns when the process is to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
