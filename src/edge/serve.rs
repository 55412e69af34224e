//! From a listening socket to answered requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::caps::{Caps, Place};
use super::stall::Stall;
use crate::proxy::{Proxy, handle};

/// Longest head of a request, bytes; also the read buffer of a connection at its largest.
const HEAD_MAX: usize = 32 * 1024;
/// Most fields in a head.
const FIELDS_MAX: usize = 100;
/// A client that takes nothing of its answer for this long is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
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
                        let head_timeout = settings.head_timeout;
                        tokio::spawn(serve(stream, peer, crowd.clone(), head_timeout, place));
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

async fn serve(
    stream: TcpStream,
    peer: std::net::SocketAddr,
    crowd: Crowd,
    head_timeout: Duration,
    place: Place,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    crowd.proxy.witness.metrics.connections.inc();
    let proxy = Arc::clone(&crowd.proxy);
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, Infallible>(handle(&proxy, request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(TokioIo::new(Stall::new(stream, WRITE_PATIENCE)), service);
    let mut connection = std::pin::pin!(connection);
    let mut stop = crowd.stop.clone();
    let stopping = tokio::select! {
        _ = connection.as_mut() => false,
        () = stopped(&mut stop) => true,
    };
    if stopping {
        connection.as_mut().graceful_shutdown();
        // A client that breaks off is no news; what it asked for is in the access log.
        let _ = connection.await;
    }
    crowd.proxy.witness.metrics.connections.dec();
    drop(place);
}

/// Returns when the process is to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
