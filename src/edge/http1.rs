//! HTTP/1.1 on one connection: from its bytes to answered requests.

use std::convert::Infallible;
use std::sync::Arc;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::guard::{Guard, Patience};
use super::head::Limits;
use super::idle::{LEAVE_TIME, Link};
use super::serve::stopped;
use super::turn::{Turn, Turned};
use crate::config::settings::EdgeSettings;
use crate::proxy::{Peer, Proxy, handle, refuse};

/// The engine's own limits are a second line, which no head reaches that the guard passed.
const SLACK: usize = 1024;
/// Fields that the engine takes by itself. Told any number, it clears memory for as many at each head.
const ENGINE_FIELDS: usize = 100;

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
    let (limits, patience) = bounds(&proxy.live.load().settings.edge);
    let turn = Arc::new(Turn::default());
    let witness = Arc::clone(proxy);
    let stream = Guard::new(stream, limits, patience, Arc::clone(&turn), move |refusal, method, bytes| {
        refuse::unheard(&witness, method, refusal.name(), refusal.status(), bytes);
    });
    let (shared, busy) = (Arc::clone(proxy), Arc::clone(link));
    let service = service_fn(move |request| {
        let (proxy, peer, turn) = (Arc::clone(&shared), peer.clone(), Arc::clone(&turn));
        let busy = busy.begin();
        async move {
            let answer = handle(&proxy, request, &peer).await;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                turn.become_tunnel();
            }
            let answer = busy.until_the_end_of(answer);
            Ok::<_, Infallible>(answer.map(|body| Turned::new(body, turn)))
        }
    });
    let mut engine = http1::Builder::new();
    engine.header_read_timeout(None).max_buf_size(limits.head + SLACK);
    if limits.fields > ENGINE_FIELDS {
        engine.max_headers(limits.fields);
    }
    let connection = engine.serve_connection(TokioIo::new(stream), service).with_upgrades();
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

fn bounds(edge: &EdgeSettings) -> (Limits, Patience) {
    let limits = Limits { head: edge.max_head, target: edge.max_target, fields: edge.max_fields };
    (limits, Patience { head: edge.head_timeout, idle: edge.idle_timeout })
}
