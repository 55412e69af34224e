//! HTTP/1.1 on one connection: from its bytes to answered requests.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::idle::{LEAVE_TIME, Link};
use super::serve::stopped;
use crate::proxy::{Peer, Proxy, handle};

/// Longest head of a request, bytes; also the read buffer of a connection at its largest.
const HEAD_MAX: usize = 32 * 1024;
/// Most fields in a head.
const FIELDS_MAX: usize = 100;

/// Answers the requests of one connection until it ends. When the process is to stop, an idle one ends
/// at once and a busy one after the request that is under way.
pub async fn serve<S>(
    stream: S,
    peer: Peer,
    proxy: &Arc<Proxy>,
    link: &Arc<Link>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let head_timeout = proxy.live.load().settings.edge.head_timeout;
    let (shared, busy) = (Arc::clone(proxy), Arc::clone(link));
    let service = service_fn(move |request| {
        let (proxy, peer, busy) = (Arc::clone(&shared), peer.clone(), busy.begin());
        async move { Ok::<_, Infallible>(busy.until_the_end_of(handle(&proxy, request, &peer).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let stopping = tokio::select! {
        _ = connection.as_mut() => false,
        () = stopped(&mut stop) => true,
        () = link.asked() => true,
    };
    if stopping {
        connection.as_mut().graceful_shutdown();
        if link.is_leaving() {
            // Others need its place: what is not a request by now is not waited for.
            let left = tokio::time::timeout(LEAVE_TIME, connection.as_mut()).await;
            if left.is_ok() || link.is_idle() {
                return;
            }
        }
        // A client that breaks off is no news; what it asked for is in the access log.
        let _ = connection.await;
    }
}
