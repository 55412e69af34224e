//! From a listening socket to answered requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::caps::{Caps, Place};
use super::http1;
use super::linger::Linger;
use super::pace::Paced;
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
    /// Most connections that open files allow.
    pub files_max: usize,
    /// Turns true when the process is to stop.
    pub stop: watch::Receiver<bool>,
}

/// Accepts until told to stop. Connections end by themselves: idle ones at once, others after the
/// request that is under way.
pub async fn accept(listener: TcpListener, crowd: Crowd) {
    let mut stop = crowd.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let settings = &crowd.proxy.live.load().settings.edge;
                let trusted =
                    settings.trusted_proxies.iter().any(|net| net.contains(&peer.ip().to_canonical()));
                let all_max = settings.max_connections.min(crowd.files_max);
                match crowd.caps.enter(peer.ip(), trusted, all_max, settings.max_connections_per_prefix) {
                    Ok(place) => {
                        tokio::spawn(serve(stream, peer, crowd.clone(), place));
                    }
                    Err(cap) => {
                        let refused = &crowd.proxy.witness.metrics.connections_refused;
                        refused.with_label_values(&[cap.name()]).inc();
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

async fn serve(stream: TcpStream, peer: SocketAddr, crowd: Crowd, place: Place) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let stream = Linger::new(stream, Counted::new(place, &crowd));
    let peer = Peer { address: peer, secure: false };
    let stop = crowd.stop.clone();
    http1::serve(paced(stream, &crowd), peer, &crowd.proxy, stop).await;
}

/// A stream of which clients must take their answers fast enough.
fn paced<S>(stream: S, crowd: &Crowd) -> Paced<S> {
    let witness = &crowd.proxy.witness;
    let cut = witness.metrics.slow_clients.with_label_values(&["answer"]);
    Paced::new(stream, crowd.proxy.live.load().settings.edge.pace, witness.clock, cut)
}

/// A connection in the count and in the metric, for as long as its socket is open.
#[derive(Debug)]
struct Counted {
    open: IntGauge,
    _place: Place,
}

impl Counted {
    fn new(place: Place, crowd: &Crowd) -> Self {
        let open = crowd.proxy.witness.metrics.connections.clone();
        open.inc();
        Self { open, _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// Returns when the process is to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
