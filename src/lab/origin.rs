//! The origin: an HTTP/1.1 server with scarce pools behind some of its pages, and the truth log.
//!
//! Requests say who asks for which step (`X-Person`, `X-Step`) and, when a gateway sent
//! them, how many requests it believes may be unfinished here (`Tornello-Limit`). Personal answers
//! carry a canary that only their owner can expect. Nothing here protects anything: that is the point.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::chance::mix;
use super::count::{Counted, Counters, Fate};
use super::fault;
use super::flag::Flag;
use super::ledger::ATTEMPT;
use super::pool::{InFlight, Lane, StepKey};
use super::scenario::{Endpoint, Errors, Method, Scenario};
use super::stock::Shelf;
use super::truth::OriginTruth;

/// The header with which the crowd says who asks.
pub const PERSON: &str = "x-person";
/// The header with which the crowd says for which step.
pub const STEP: &str = "x-step";
/// The header with which an endpoint that sells says how many are left.
pub const REMAINING: &str = "tornello-remaining";
/// The header with which a gateway names a request; it is noted and repeated in the answer.
pub const REQUEST_ID: &str = "x-request-id";
/// The header with which a gateway says how many unfinished requests it allows itself.
pub const LIMIT: &str = "tornello-limit";
/// Answered at once and never counted: for health checks.
pub const HEALTH: &str = "/health";

/// What is said when nothing is left.
const EXHAUSTED: &str =
    "<!doctype html>\n<html lang=\"en\"><title>Exhausted</title>\n<h1>Nothing is left</h1>\n";
/// While somebody else has the port of an origin that comes back: how long until it tries again.
const PORT_AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

/// What a personal page of `person` must carry.
#[must_use]
pub fn canary(seed: u64, person: u64) -> String {
    format!("canary={:016x}", mix(seed ^ mix(person)))
}

/// The origin, before it runs.
#[derive(Debug)]
pub struct Origin {
    seed: u64,
    pages: HashMap<String, Page>,
    alive: Arc<Flag>,
    visits: Arc<Visits>,
}

/// Who came: what no pool counts.
#[derive(Debug, Default)]
struct Visits {
    connections: AtomicU64,
    received: Mutex<Vec<Received>>,
}

/// One request that was received for one of the scenario's pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The crowd's number of it; 0 if it bore none.
    pub attempt: u64,
    /// The name that a gateway gave it.
    pub name: Option<String>,
}

/// A connection that is open, until this is dropped.
struct Visitor(Arc<Visits>);

impl Visitor {
    fn new(visits: &Arc<Visits>) -> Self {
        visits.connections.fetch_add(1, Relaxed);
        Self(Arc::clone(visits))
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug)]
struct Page {
    endpoint: Endpoint,
    lane: Arc<Lane>,
    shelf: Option<Arc<Shelf>>,
    counters: Arc<Counters>,
    cache_control: HeaderValue,
    text: String,
}

/// A running origin. Stops when dropped, with all that is queued.
#[derive(Debug)]
pub struct OriginHandle {
    address: SocketAddr,
    pools: Vec<String>,
    lanes: Vec<Arc<Lane>>,
    counters: Vec<(String, Arc<Counters>)>,
    alive: Arc<Flag>,
    visits: Arc<Visits>,
    tasks: Vec<AbortHandle>,
}

impl Origin {
    /// Serves the scenario's endpoints on `listener`, and plays its faults, from now on.
    ///
    /// # Errors
    /// When the listener's address cannot be read.
    pub fn start(listener: TcpListener, scenario: &Scenario, seed: u64) -> io::Result<OriginHandle> {
        let address = listener.local_addr()?;
        let (origin, mut handle) = Self::behind(address, scenario, seed);
        handle.tasks.push(tokio::spawn(origin.listen(listener, address)).abort_handle());
        Ok(handle)
    }

    /// The origin without a socket, for whoever asks it in process; plays its faults from now on.
    pub(super) fn behind(address: SocketAddr, scenario: &Scenario, seed: u64) -> (Arc<Self>, OriginHandle) {
        let mut lanes: Vec<_> = scenario.pools.iter().map(|pool| Lane::of(pool, seed)).collect();
        let alive = Arc::new(Flag::new(true));
        let tasks = fault::play(scenario, &lanes, &alive);
        let open = Lane::open(seed);
        let shelves: Vec<_> = scenario.stocks.iter().map(|stock| Arc::new(Shelf::new(stock.units))).collect();
        let page = |endpoint: &Endpoint| Page {
            lane: Arc::clone(endpoint.pool.and_then(|pool| lanes.get(pool)).unwrap_or(&open)),
            shelf: endpoint.sells.and_then(|stock| shelves.get(stock)).cloned(),
            counters: Arc::default(),
            cache_control: HeaderValue::from_str(&endpoint.cache_control)
                .unwrap_or(HeaderValue::from_static("no-cache")),
            text: text(endpoint, &scenario.endpoints),
            endpoint: endpoint.clone(),
        };
        let pages: Vec<_> = scenario.endpoints.iter().map(page).collect();
        let counters =
            pages.iter().map(|page| (page.endpoint.id.clone(), Arc::clone(&page.counters))).collect();
        let pages = pages.into_iter().map(|page| (page.endpoint.path.clone(), page)).collect();
        lanes.push(open);
        let visits = Arc::new(Visits::default());
        let pools = scenario.pools.iter().map(|pool| pool.id.clone()).collect();
        (
            Arc::new(Self { seed, pages, alive: Arc::clone(&alive), visits: Arc::clone(&visits) }),
            OriginHandle { address, pools, lanes, counters, alive, visits, tasks },
        )
    }

    /// Listens whenever the origin is alive.
    async fn listen(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let alive = Arc::clone(&self.alive);
        let mut listening = Some(listener);
        loop {
            if !alive.is_up() {
                listening = None;
            }
            alive.until(true).await;
            let listener = match listening.take() {
                Some(listener) => listener,
                None => match TcpListener::bind(address).await {
                    Ok(listener) => listener,
                    // Somebody's outgoing connection has the port for a moment.
                    Err(_) => {
                        tokio::time::sleep(PORT_AGAIN).await;
                        continue;
                    }
                },
            };
            tokio::select! {
                biased;
                () = alive.until(false) => {}
                () = Arc::clone(&self).accept(&listener) => {}
            }
            // Listener and connections are gone by here.
        }
    }

    async fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&self).converse(stream, Visitor::new(&self.visits)));
                }
                // Out of descriptors, most likely: some will be closed in a moment.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, _visitor: Visitor) {
        // A connection that ends badly is the client's affair; what it asked for is counted anyway.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let origin = Arc::clone(&self);
            async move {
                let request: Request<Incoming> = request;
                Ok::<_, Infallible>(origin.answer(request.uri().path(), request.headers()).await)
            }
        });
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    /// Whether the origin is there, and when that changes. Who asks it in process refuses connections,
    /// and breaks off what is under way, while it is not.
    pub(super) fn alive(&self) -> &Flag {
        &self.alive
    }

    /// Answers a request for `path`. Dropped before the end, its client has left.
    pub(super) async fn answer(&self, path: &str, headers: &HeaderMap) -> Response<Handed> {
        let Some(page) = self.pages.get(path) else {
            let known = path == HEALTH;
            return plain(if known { StatusCode::OK } else { StatusCode::NOT_FOUND });
        };
        let attempt = number(headers, ATTEMPT);
        let named = headers.get(REQUEST_ID).cloned();
        let name = named.as_ref().and_then(|name| name.to_str().ok()).map(str::to_owned);
        self.visits.note(Received { attempt: attempt.unwrap_or(0), name });
        let mut response = self.serve(page, headers).await;
        let marks = response.headers_mut();
        marks.extend(attempt.map(|attempt| (HeaderName::from_static(ATTEMPT), attempt.into())));
        marks.extend(named.map(|name| (HeaderName::from_static(REQUEST_ID), name)));
        response
    }

    async fn serve(&self, page: &Page, headers: &HeaderMap) -> Response<Handed> {
        let mut counted = page.counters.receive();
        let person = number(headers, PERSON).unwrap_or(0);
        let step = number(headers, STEP).and_then(|step| u32::try_from(step).ok());
        let key: Option<StepKey> = step.map(|step| (person, step));
        let Some(arrived) = page.lane.arrive(key, number(headers, LIMIT), &page.endpoint.service) else {
            counted.fate = Fate::Refused;
            return plain(StatusCode::TOO_MANY_REQUESTS);
        };
        // Work that is never done: the origin is going away.
        let Ok(done) = arrived.await else { return plain(StatusCode::SERVICE_UNAVAILABLE) };
        if let Some(status) = done.failed {
            counted.fate = Fate::Failed;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Handed::answer(status, String::new(), done.unfinished, counted);
        }
        let sale = page.shelf.as_ref().map(|shelf| shelf.sell(key));
        if sale.is_some_and(|sale| sale.new) {
            page.counters.sold();
        }
        let mut response = if sale.is_some_and(|sale| !sale.has) {
            counted.fate = Fate::Exhausted;
            Handed::answer(StatusCode::GONE, EXHAUSTED.to_owned(), done.unfinished, counted)
        } else {
            counted.fate = Fate::Answered;
            let mut body = page.text.clone();
            if page.endpoint.personal {
                body.push_str("<!-- ");
                body.push_str(&canary(self.seed, person));
                body.push_str(" -->\n");
            }
            Handed::answer(StatusCode::OK, body, done.unfinished, counted)
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, page.cache_control.clone());
        if let Some(sale) = sale {
            headers.insert(REMAINING, HeaderValue::from(sale.left));
        }
        if page.endpoint.ends_session {
            headers.insert("tornello-session", HeaderValue::from_static("end"));
        }
        response
    }
}

impl Visits {
    fn note(&self, received: Received) {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    }
}

impl OriginHandle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw so far.
    #[must_use]
    pub fn truth(&self) -> OriginTruth {
        let pools = self.lanes.iter().fold(OriginTruth::default(), |sum, lane| sum.and(&lane.truth()));
        let endpoints = self.counters.iter().map(|(id, counters)| counters.truth(id)).collect();
        OriginTruth { endpoints, ..pools }
    }

    /// Requests of the pools in flight now, queued ones included.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.lanes.iter().take(self.pools.len()).map(|lane| lane.in_flight()).sum()
    }

    /// Workers of all pools now.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.lanes.iter().take(self.pools.len()).map(|lane| lane.slots() as u64).sum()
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.visits.connections.load(Relaxed)
    }

    /// Every request received for a page so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.visits.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives a pool this many workers. False if there is no such pool.
    pub fn set_slots(&self, pool: &str, slots: usize) -> bool {
        self.lane(pool).map(|lane| lane.set_slots(slots)).is_some()
    }

    /// Makes a pool hang, or lets it go on. False if there is no such pool.
    pub fn stall(&self, pool: &str, stalled: bool) -> bool {
        self.lane(pool).map(|lane| lane.stall(stalled)).is_some()
    }

    /// Lets this share of a pool's answers be errors (500). False if there is no such pool.
    pub fn set_error_rate(&self, pool: &str, share: f64) -> bool {
        self.lane(pool).map(|lane| lane.set_errors(Errors::of(share))).is_some()
    }

    /// Makes the origin vanish, with all that waits, or lets it come back.
    pub fn set_alive(&self, alive: bool) {
        self.alive.set(alive);
        for lane in &self.lanes {
            lane.clear();
        }
    }

    fn lane(&self, pool: &str) -> Option<&Arc<Lane>> {
        self.lanes.get(self.pools.iter().position(|id| id == pool)?)
    }
}

impl Drop for OriginHandle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for lane in &self.lanes {
            lane.clear();
        }
    }
}

/// A body that counts as in flight until its last byte was taken. It ends before the bytes reach the
/// socket, so that no client can know of the end before the count does.
#[derive(Debug)]
pub(super) struct Handed {
    data: Option<Bytes>,
    unfinished: Option<InFlight>,
    counted: Option<Counted>,
}

impl Handed {
    fn answer(status: StatusCode, body: String, unfinished: InFlight, counted: Counted) -> Response<Self> {
        let data = (!body.is_empty()).then(|| Bytes::from(body));
        let mut response = Response::new(Self { data, unfinished: Some(unfinished), counted: Some(counted) });
        *response.status_mut() = status;
        response
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        // Bytes that nobody took.
        if let Some(counted) = self.counted.as_mut().filter(|_| self.data.is_some()) {
            counted.fate = Fate::Abandoned;
        }
    }
}

impl Handed {
    /// All of it at once.
    pub(super) fn take(mut self) -> Bytes {
        self.unfinished = None;
        self.data.take().unwrap_or_default()
    }
}

impl Body for Handed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.unfinished = None;
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

fn plain(status: StatusCode) -> Response<Handed> {
    let mut response = Response::new(Handed { data: None, unfinished: None, counted: None });
    *response.status_mut() = status;
    response
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// A page that a person with a browser can walk through, too.
fn text(endpoint: &Endpoint, all: &[Endpoint]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n<h1>{0}</h1>\n<nav>\n",
        endpoint.id
    );
    for other in all {
        let line = match other.method {
            Method::Get => format!("<p><a href=\"{}\">{}</a></p>\n", other.path, other.id),
            Method::Post => format!(
                "<form method=\"post\" action=\"{}\"><button>{}</button></form>\n",
                other.path, other.id
            ),
        };
        page.push_str(&line);
    }
    page.push_str("</nav>\n");
    let padding = endpoint.bytes.saturating_sub(page.len());
    page.extend(std::iter::repeat_n(' ', padding));
    page.push('\n');
    page
}
