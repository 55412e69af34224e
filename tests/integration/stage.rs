//! What the tests stand on: an origin that does as it is told, a gateway, a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tornello::app::{self, Options, Running};

/// What an origin saw and how it behaves. Shared with its service.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) requests: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) in_flight_max: AtomicU64,
    /// Milliseconds that an answer takes.
    pub(crate) delay_ms: AtomicU64,
}

/// Counts a request at the origin, also when the origin's client has left.
struct Work(Arc<Truth>);

impl Work {
    fn begin(truth: &Arc<Truth>) -> Self {
        truth.requests.fetch_add(1, Ordering::SeqCst);
        let now = truth.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        truth.in_flight_max.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(truth))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An origin whose answers a closure makes. Work goes on when the client leaves, as real ones do.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) truth: Arc<Truth>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Origin {
    /// Answers everything with 200 and what it saw of the request.
    pub(crate) async fn echo() -> Self {
        Self::start(None, |request| {
            let mut seen = format!("{} {}\n", request.method(), request.uri());
            for (name, value) in request.headers() {
                seen.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or("?")));
            }
            Response::new(Full::new(Bytes::from(seen)))
        })
        .await
    }

    /// Ends the session of whoever asks for `/end`.
    pub(crate) async fn ending() -> Self {
        Self::start(None, |request| {
            let mut response = Response::new(Full::new(Bytes::from_static(b"served")));
            if request.uri().path() == "/end" {
                response.headers_mut().insert("tornello-session", "end".parse().unwrap());
            }
            response
        })
        .await
    }

    pub(crate) async fn start<F>(address: Option<SocketAddr>, answer: F) -> Self
    where
        F: Fn(&Request<Bytes>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    {
        let address = address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let listener = listen(address).await;
        let address = listener.local_addr().unwrap();
        let truth = Arc::new(Truth::default());
        let (answer, shared) = (Arc::new(answer), Arc::clone(&truth));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, truth) = (Arc::clone(&answer), Arc::clone(&shared));
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answer, truth) = (Arc::clone(&answer), Arc::clone(&truth));
                        async move {
                            let (parts, body) = request.into_parts();
                            let body = body.collect().await?.to_bytes();
                            // A task of its own: it finishes whether or not somebody waits.
                            let working = tokio::spawn(async move {
                                let work = Work::begin(&truth);
                                let delay = truth.delay_ms.load(Ordering::SeqCst);
                                if delay > 0 {
                                    tokio::time::sleep(Duration::from_millis(delay)).await;
                                }
                                let answer = answer(&Request::from_parts(parts, body));
                                drop(work);
                                answer
                            });
                            Ok::<_, hyper::Error>(working.await.unwrap())
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, truth, task }
    }

    pub(crate) fn delay(&self, millis: u64) {
        self.truth.delay_ms.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.truth.in_flight.load(Ordering::SeqCst)
    }
}

/// The same port again right after a kill: what still lingers there must not keep us out.
pub(crate) async fn listen(address: SocketAddr) -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

/// A gateway in this process.
pub(crate) struct Gate {
    pub(crate) running: Running,
    pub(crate) state: tempfile::TempDir,
}

/// Where a test's configuration says `STATE`, its own folder is put.
pub(crate) fn placed(text: &str, state: &std::path::Path) -> String {
    let head = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = {:?}\n",
        state.display().to_string()
    );
    format!("{head}{text}")
}

impl Gate {
    pub(crate) async fn start(text: &str) -> Self {
        Self::start_with(text, Options::default()).await
    }

    pub(crate) async fn start_with(text: &str, options: Options) -> Self {
        let state = tempfile::tempdir().unwrap();
        let text = placed(text, state.path());
        let settings = match tornello::config::parse(&text, "test.toml") {
            Ok((settings, _)) => settings,
            Err(wrong) => panic!("{}", tornello::config::render(&wrong, &text, false)),
        };
        let running = app::start(settings, options).await.unwrap();
        Self { running, state }
    }

    pub(crate) fn site(&self) -> SocketAddr {
        self.running.listen[0]
    }

    /// Puts another configuration in place; it must be good.
    pub(crate) async fn apply(&self, text: &str) {
        let report = self.running.reloader.apply(&placed(text, self.state.path()), "test.toml").await;
        assert!(report.applied, "{}", report.diagnostics);
    }

    pub(crate) fn queued(&self, upstream: &str) -> usize {
        let live = self.running.proxy.live.load();
        live.clusters[upstream].gate.facts(self.running.proxy.clock.now()).queued
    }

    pub(crate) fn in_flight(&self, upstream: &str) -> u32 {
        let live = self.running.proxy.live.load();
        live.clusters[upstream].gate.facts(self.running.proxy.clock.now()).in_flight
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn cookie(&self) -> Option<String> {
        let set = self.headers.get("set-cookie")?.to_str().unwrap();
        Some(set.split(';').next().unwrap().to_owned())
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(to: SocketAddr, method: Method, path: &str, headers: &[(&str, &str)]) -> Got {
    try_ask(to, method, path, headers, Bytes::new()).await.unwrap()
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Got {
    ask(to, Method::GET, path, &[]).await
}

/// As a browser navigates.
pub(crate) async fn visit(to: SocketAddr, path: &str, cookies: &str) -> Got {
    let mut headers =
        vec![("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    if !cookies.is_empty() {
        headers.push(("cookie", cookies));
    }
    ask(to, Method::GET, path, &headers).await
}

pub(crate) async fn try_ask(
    to: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Got, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", to.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let (parts, body) = response.into_parts();
    Ok(Got { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
}

/// Waits until `look` gives something, and says what was waited for if it does not within ten seconds.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "tests of real processes read the real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
