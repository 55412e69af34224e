//! Upstreams that send bytes exactly as they are told, HTTP/2 upstreams, and clients that speak HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::stage::Gate;

/// What a scripted upstream does with a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Closes after the bytes; else it stays open and would take another request.
    pub(crate) close: bool,
    /// After such an answer no further request may come on the same connection.
    pub(crate) spoils: bool,
}

impl Answer {
    pub(crate) fn good() -> Self {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
        Self { bytes, close: false, spoils: false }
    }
}

/// An upstream of HTTP/1.1 that sends what stands in `answer`, once for each head that comes in.
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    pub(crate) answer: Arc<Mutex<Answer>>,
    /// Everything that came in, one entry a connection.
    pub(crate) seen: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Requests on connections that were spoilt.
    pub(crate) reused: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Answer::good()));
        let (seen, reused) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::<AtomicUsize>::default());
        let shared = (Arc::clone(&answer), Arc::clone(&seen), Arc::clone(&reused));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, seen, reused) = shared.clone();
                connections.spawn(async move {
                    let _ = play(stream, &answer, &seen, &reused).await;
                });
            }
        });
        Self { address, answer, seen, reused, task }
    }

    pub(crate) fn says(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn says_text(&self, text: &str) {
        self.says(Answer { bytes: text.as_bytes().to_vec(), ..Answer::default() });
    }

    /// All that came in on all connections, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().concat()).into_owned()
    }
}

async fn play(
    mut stream: TcpStream,
    answer: &Mutex<Answer>,
    seen: &Mutex<Vec<Vec<u8>>>,
    reused: &AtomicUsize,
) -> std::io::Result<()> {
    let place = {
        let mut seen = seen.lock().unwrap();
        seen.push(Vec::new());
        seen.len() - 1
    };
    let (mut heads, mut spoilt) = (0, false);
    loop {
        let mut buffer = [0; 16 * 1024];
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let now = {
            let mut seen = seen.lock().unwrap();
            seen[place].extend_from_slice(&buffer[..length]);
            seen[place].windows(9).filter(|bytes| bytes == b" HTTP/1.1").count()
        };
        if now > heads {
            heads = now;
            if spoilt {
                reused.fetch_add(1, Ordering::SeqCst);
            }
            let Answer { bytes, close, spoils } = answer.lock().unwrap().clone();
            spoilt |= spoils;
            stream.write_all(&bytes).await?;
            if close {
                return stream.shutdown().await;
            }
        }
    }
}

/// A raw exchange with the gateway: sends the bytes, reads to the end.
pub(crate) async fn raw(site: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(site).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut got = Vec::new();
    // A reset is an end like any other: what came before it counts.
    let _ = stream.read_to_end(&mut got).await;
    got
}

/// What a client of HTTP/1.1 makes of an answer: its status, and whether the body came to a clean end.
pub(crate) fn understood(answer: &[u8]) -> (u16, bool) {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return (0, false) };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let head = head.to_lowercase();
    let declared = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let complete = match declared {
        Some(length) => length.trim() == body.len().to_string(),
        None => head.contains("transfer-encoding: chunked") && body.ends_with("0\r\n\r\n"),
    };
    (status, complete)
}

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// Serves HTTP/2 on a connection, each request by `answer`.
pub(crate) async fn serve_http2<S, F, R>(stream: S, streams_max: u32, answer: F)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(request).await) }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams_max)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An upstream of HTTP/2; counts connections.
pub(crate) struct Upstream2 {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Upstream2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream2 {
    pub(crate) async fn start<F, R>(
        tls: Option<Arc<rustls::ServerConfig>>,
        streams_max: u32,
        answer: F,
    ) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (answer, tls) = (answer.clone(), tls.clone());
                serving.spawn(async move {
                    match tls {
                        None => serve_http2(stream, streams_max, answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
                                serve_http2(stream, streams_max, answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, task }
    }
}

/// What an upstream saw of a request: its target, version, fields, body, trailers; as its answer's body.
pub(crate) async fn mirror(request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut seen = format!("{} {} {:?}\n", parts.method, parts.uri, parts.version);
    for (name, value) in &parts.headers {
        seen.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or("?")));
    }
    if let Ok(body) = body.collect().await {
        for (name, value) in body.trailers().cloned().unwrap_or_default() {
            seen.push_str(&format!("trailer {}: {}\n", name.unwrap(), value.to_str().unwrap()));
        }
        seen.push_str(&format!("body {}\n", String::from_utf8_lossy(&body.to_bytes())));
    }
    Response::new(full(seen))
}

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// A body in pieces, with trailers at its end, or broken off by an error.
pub(crate) fn pieces(data: &[&'static str], end: Result<HeaderMap, ()>) -> Body {
    use hyper::body::Frame;
    let mut frames: Vec<Result<Frame<Bytes>, std::io::Error>> =
        data.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
    match end {
        Ok(trailers) if trailers.is_empty() => {}
        Ok(trailers) => frames.push(Ok(Frame::trailers(trailers))),
        Err(()) => frames.push(Err(std::io::Error::other("broken off"))),
    }
    BodyExt::boxed(Frames(frames.into(), false))
}

struct Frames(std::collections::VecDeque<Result<hyper::body::Frame<Bytes>, std::io::Error>>, bool);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        let error = matches!(self.0.front(), Some(Err(_)));
        if error && !std::mem::replace(&mut self.1, true) {
            // An error waits a turn, so that what came before it has left.
            context.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(self.0.pop_front())
    }
}

/// The gateway's own door, by HTTP/2 with prior knowledge.
pub(crate) struct Door2 {
    pub(crate) address: SocketAddr,
}

impl Door2 {
    pub(crate) fn of(gate: &Gate) -> Self {
        Self { address: gate.site() }
    }

    pub(crate) async fn client(&self) -> hyper::client::conn::http2::SendRequest<Body> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, driver) = shaken.unwrap();
        tokio::spawn(driver);
        sender
    }

    /// Status, fields, body, trailers.
    pub(crate) async fn ask(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes, HeaderMap) {
        let response = self.client().await.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        (parts.status, parts.headers, body.to_bytes(), trailers)
    }
}

/// A gateway in front of one upstream.
pub(crate) async fn before(address: SocketAddr, upstream: &str, route: &str) -> Gate {
    Gate::start(&text(address, upstream, route)).await
}

pub(crate) fn text(address: SocketAddr, upstream: &str, route: &str) -> String {
    format!(
        r#"
[upstream.app]
addresses = ["{address}"]
limit = {{ law = "fixed", initial = 50, floor = 1, ceiling = 100, wait = "1s" }}
{upstream}
[route.all]
path = "/"
upstream = "app"
{route}
"#
    )
}
