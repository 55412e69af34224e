//! HTTP/2 on one connection: from its bytes to answered requests.
//!
//! Each request is brought into the one form in which requests are judged (`Host` is the authority), and
//! asks once more whether it is still wanted before anything is spent on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::frames::Guard;
use super::idle::{Busy, Held, LEAVE_TIME, Link};
use super::serve::stopped;
use crate::proxy::asked::Malformed;
use crate::proxy::{Answer, Peer, Proxy, handle};

/// What an HTTP/2 client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a client may send ahead on one stream, and on all of a connection together.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What of an answer is held for a stream whose client is slow to take it.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset before they were looked at, and streams that we reset for errors of theirs:
/// beyond these the connection is closed with ENHANCE_YOUR_CALM.
const EARLY_RESETS_MAX: usize = 20;
const ERROR_RESETS_MAX: usize = 100;
/// A connection that is silent for this long is asked for a sign of life, and given this long for it.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Answers the requests of one connection until it ends. When it idles for too long, or the process is
/// to stop, the client is told (GOAWAY), and what is under way may end.
pub async fn serve<S>(
    stream: S,
    peer: Peer,
    proxy: &Arc<Proxy>,
    link: &Arc<Link>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (idle, streams_max, head_max, pace) = {
        let edge = &proxy.live.load().settings.edge;
        (edge.idle_timeout, edge.max_streams, u32::try_from(edge.max_head).unwrap_or(u32::MAX), edge.pace)
    };
    let (shared, counted) = (Arc::clone(proxy), Arc::clone(link));
    let service = service_fn(move |request| {
        let (proxy, peer, busy) = (Arc::clone(&shared), peer.clone(), counted.begin());
        async move { Ok::<_, Infallible>(answer(&proxy, request, &peer, busy).await) }
    });
    let stream = Guard::new(stream, pace, proxy.clock, Arc::clone(&proxy.witness.metrics));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams_max)
        .max_header_list_size(head_max)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(EARLY_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let stopping = tokio::select! {
        // A client that breaks off is no news; what it asked for is in the access log.
        _ = connection.as_mut() => return,
        () = stopped(&mut stop) => true,
        () = link.idle_for(idle) => false,
        () = link.asked() => false,
    };
    connection.as_mut().graceful_shutdown();
    if stopping {
        // How long this may take is the drain time, which the process keeps.
        let _ = connection.await;
    } else {
        let patience = if link.is_leaving() { LEAVE_TIME.min(idle) } else { idle };
        tokio::select! {
            _ = connection.as_mut() => {}
            // It does not even confirm that it heard.
            () = link.idle_for(patience) => {}
        }
    }
}

/// Answers one request.
async fn answer(
    proxy: &Arc<Proxy>,
    request: Request<Incoming>,
    peer: &Peer,
    busy: Busy,
) -> Response<Held<Answer>> {
    // A request that was taken back right away, as in a flood of resets, ends here: hyper looks for the
    // reset whenever a request waits, and nothing was spent on this one yet.
    tokio::task::yield_now().await;
    let request = as_judged(request);
    busy.until_the_end_of(handle(proxy, request, peer).await)
}

/// The form that requests of both versions have.
fn as_judged<B>(mut request: Request<B>) -> Request<B> {
    // RFC 9113 §8.2.1: such a value is malformed; HTTP/1 behind us would read it as another one.
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bordered = |value: &HeaderValue| {
        let value = value.as_bytes();
        is_space(value.first()) || is_space(value.last())
    };
    // A quotation mark is no part of a name (RFC 9110 §5.6.2), though the `http` crate takes one.
    if request.headers().keys().any(|name| name.as_str().contains('"')) {
        request.extensions_mut().insert(Malformed("a name with a character that names do not have"));
    }
    if request.headers().values().any(bordered) {
        request.extensions_mut().insert(Malformed("a value with space at its border"));
    }
    // RFC 9113 §8.3.1: the authority is the host. If both are there and differ, that is found later.
    if !request.headers().contains_key(HOST) {
        let authority = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
        if let Some(authority) = authority {
            request.headers_mut().insert(HOST, authority);
        }
    }
    request
}
