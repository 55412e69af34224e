//! A small click day: a service behind the real gateway, and people who come by plain HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tornello::admission::UnixTime;
use tornello::app::{Options, Running, StartError, start};
use tornello::clock::Clock;
use tornello::config::parse;

use crate::opening::ahead;

/// What the service says to whoever comes in.
pub(super) const SERVICE: &str = "La domanda";
/// Here the service ends a session.
const END: &str = "/fine";
/// Here its page warns before a visit ends.
pub(super) const WARNS: &str = "/modulo";
/// Nothing in these tests takes longer, however slow the machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits for a value, however long it takes within reason.
pub(super) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// The service, with the gateway before it.
pub(super) struct Day {
    gateway: Running,
    service: SocketAddr,
    serving: Serving,
    state: tempfile::TempDir,
}

/// Ends the service when dropped.
struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Day {
    /// Opens the doors; `room` are lines of the room `sala`.
    pub(super) async fn begin(room: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = listener.local_addr().unwrap();
        let serving = Serving(tokio::spawn(serve(listener)).abort_handle());
        let state = tempfile::tempdir().unwrap();
        let gateway = gateway(&configuration(service, &state, room), None).await;
        Self { gateway, service, serving, state }
    }

    /// Nothing runs for some time: it is so much later when it goes on.
    pub(super) async fn sleeps(self, room: &str, time: Duration) -> Self {
        let Self { gateway: before, service, serving, state } = self;
        before.stop().await;
        let wall = u64::try_from(ahead(time).as_millisecond()).unwrap();
        let clock = Clock::of_runtime(UnixTime(wall));
        let gateway = gateway(&configuration(service, &state, room), Some(clock)).await;
        Self { gateway, service, serving, state }
    }

    /// Puts other lines of the room in force.
    pub(super) async fn reload(&self, room: &str) {
        let text = configuration(self.service, &self.state, room);
        let report = self.gateway.reloader.apply(&text, "day.toml").await;
        assert!(report.applied, "{}", report.diagnostics);
    }

    /// The service dies.
    pub(super) fn closes(&self) {
        self.serving.0.abort();
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    fn address(&self) -> SocketAddr {
        self.gateway.listen[0]
    }

    /// A request that a browser would send for a page.
    pub(super) async fn navigate(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let fields = [&[("accept", "text/html"), ("accept-language", "it")], fields].concat();
        ask(self.address(), Method::GET, path, &fields, "").await
    }

    /// One of our forms, sent by a browser without JavaScript.
    pub(super) async fn submit(&self, path: &str, form: &str) -> Reply {
        let kind = "application/x-www-form-urlencoded";
        let fields = [("accept", "text/html"), ("accept-language", "it"), ("content-type", kind)];
        ask(self.address(), Method::POST, path, &fields, form).await
    }

    /// A request that an app would send.
    pub(super) async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Reply {
        ask(self.address(), method, path, fields, "").await
    }

    /// What an operator tells the gateway.
    pub(super) async fn orders(&self, path: &str, body: &str) -> Reply {
        ask(self.gateway.admin, Method::POST, path, &[], body).await
    }

    /// What is public of the room.
    pub(super) async fn board(&self) -> Value {
        let path = "/.tornello/v1/rooms/sala/board";
        ask(self.address(), Method::GET, path, &[], "").await.json()["board"].take()
    }
}

async fn gateway(text: &str, clock: Option<Clock>) -> Running {
    // Of one that has stopped some task may still hold the state for a moment.
    until("the state is free", async || {
        let (settings, _) = parse(text, "day.toml").unwrap_or_else(|wrong| panic!("{wrong:?}"));
        match start(settings, Options { clock, ..Options::default() }).await {
            Ok(running) => Some(running),
            Err(StartError::Journal(_)) => None,
            Err(wrong) => panic!("{wrong}"),
        }
    })
    .await
}

fn configuration(service: SocketAddr, state: &tempfile::TempDir, room: &str) -> String {
    // Everybody here comes from one address, so the door is wide.
    format!(
        r#"
[listen]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
state_directory = "{}"

[door]
rate = "10000/s"

[upstream.app]
addresses = ["{service}"]
limit = {{ law = "fixed", initial = 100 }}

[room.sala]
{room}

[route.all]
upstream = "app"
room = "sala"
"#,
        state.path().display()
    )
}

/// Somebody who comes without a browser.
pub(super) struct Person {
    at: SocketAddr,
    ticket: String,
    pass: String,
}

impl Person {
    /// Comes in while nobody waits, and comes back once: a pass that is never shown may soon end.
    pub(super) async fn walks_in(day: &Day) -> Self {
        let reply = day.navigate("/", &[]).await;
        assert_eq!(reply.status, StatusCode::OK);
        let cookie = reply.headers["set-cookie"].to_str().unwrap();
        let pass = cookie.strip_prefix("tornello-pass-sala=").unwrap().split(';').next().unwrap();
        assert_eq!(day.navigate("/", &[("tornello-pass", pass)]).await.status, StatusCode::OK);
        Self { at: day.address(), ticket: String::new(), pass: pass.to_owned() }
    }

    /// Joins the line.
    pub(super) async fn joins(day: &Day) -> Self {
        let reply = ask(day.address(), Method::POST, "/.tornello/v1/rooms/sala/tickets", &[], "").await;
        assert_eq!(reply.status, StatusCode::CREATED);
        let ticket = reply.json()["ticket"].as_str().unwrap().to_owned();
        Self { at: day.address(), ticket, pass: String::new() }
    }

    /// Has the place of this code.
    pub(super) fn holds(day: &Day, code: &str) -> Self {
        Self { at: day.address(), ticket: code.to_owned(), pass: String::new() }
    }

    /// The number, also one that was drawn.
    pub(super) async fn number(&self) -> u64 {
        let fields = [("tornello-ticket", self.ticket.as_str())];
        let reply = ask(self.at, Method::GET, "/.tornello/v1/rooms/sala/ticket", &fields, "").await;
        reply.json()["number"].as_u64().unwrap()
    }

    /// Waits for the turn and comes in.
    pub(super) async fn comes_in(&mut self) {
        let claim = async || {
            let fields = [("tornello-ticket", self.ticket.as_str())];
            let reply = ask(self.at, Method::POST, "/.tornello/v1/rooms/sala/claims", &fields, "").await;
            match reply.status.as_u16() {
                200 => Some(reply.json()["pass"].as_str().unwrap().to_owned()),
                202 | 409 => None,
                _ => panic!("{} {}", reply.status, reply.text()),
            }
        };
        self.pass = until("the turn of somebody ahead", claim).await;
    }

    /// Ends the visit: the seat is free when this returns.
    pub(super) async fn goes(self) {
        let fields = [("tornello-pass", self.pass.as_str())];
        let reply = ask(self.at, Method::GET, END, &fields, "").await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
}

/// An answer, read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub(super) async fn ask(
    to: SocketAddr,
    method: Method,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Reply {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(HOST, to.to_string());
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    driving.abort();
    Reply { status: head.status, headers: head.headers, body }
}

async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(
            TokioIo::new(stream),
            service_fn(async |request| Ok::<_, Infallible>(page(&request))),
        );
        tokio::spawn(connection);
    }
}

/// The service's one page, with the line that warns before a visit ends where it is asked for.
fn page(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let warns = "<script src=/.tornello/v1/rooms/sala/visit.js defer></script>";
    let head = if request.uri().path() == WARNS { warns } else { "" };
    let page = format!("<!doctype html><html lang=it><title>{SERVICE}</title>{head}<h1>{SERVICE}</h1>");
    let mut response = Response::new(Full::new(Bytes::from(page)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if request.uri().path() == END {
        response.headers_mut().insert("tornello-session", HeaderValue::from_static("end"));
    }
    response
}
