//! The smallest thing that keeps the waiting protocol: one room, first come first served, a fixed limit
//! and fixed seats. A model to test the crowd against, and nothing else; it can be told to misbehave.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::super::client::{Client, Reply};
use crate::admission::Moment;
use crate::clock::Clock;

pub(super) struct Gate {
    origin: SocketAddr,
    limit: usize,
    seats: usize,
    permits: Semaphore,
    idle: Mutex<Vec<Client>>,
    room: Mutex<Room>,
    /// Gives a new number to whoever presents a ticket: a gateway that loses places.
    pub(super) forgets: bool,
    /// Answers with the page of whoever asked for the same path before: a gateway that leaks.
    pub(super) leaks: bool,
    stored: Mutex<HashMap<String, Reply>>,
    clock: Clock,
}

#[derive(Default)]
struct Room {
    issued: u64,
    cursor: u64,
    inside: BTreeSet<u64>,
    done: BTreeSet<u64>,
    /// Called and not seen since; when.
    called: BTreeMap<u64, Moment>,
    /// Claimed without a free seat; when last.
    front: BTreeMap<u64, Moment>,
}

/// Who is not seen for so long after a call is not waited for.
const MISSED: Duration = Duration::from_secs(1);

impl Gate {
    pub(super) fn new(origin: SocketAddr, limit: usize, seats: usize) -> Self {
        Self {
            origin,
            limit,
            seats,
            permits: Semaphore::new(limit),
            idle: Mutex::default(),
            room: Mutex::default(),
            forgets: false,
            leaks: false,
            stored: Mutex::default(),
            clock: Clock::start(),
        }
    }

    pub(super) async fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(self);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let gate = Arc::clone(&gate);
                        async move { Ok::<_, Infallible>(gate.answer(request).await) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        address
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if let Some(what) = path.strip_prefix("/.tornello/v1/rooms/cards/") {
            return self.room_says(head.method.as_str(), what, &head.headers);
        }
        if path.starts_with("/wallet") && !self.is_inside(&head.headers) {
            let html = head.headers["accept"].to_str().unwrap().starts_with("text/html");
            let problem = r#"{"status":503,"reason":"waiting","join":"/.tornello/v1/rooms/cards/tickets"}"#;
            let page = r#"<body data-join="/.tornello/v1/rooms/cards/tickets">please wait</body>"#;
            let response = if html {
                say(503, "text/html", page.into())
            } else {
                say(503, "application/problem+json", problem.into())
            };
            return hint(response);
        }
        if !path.starts_with("/wallet") {
            return self.forward(Request::from_parts(head, Full::default())).await;
        }
        let Ok(body) = body.collect().await else { return say(400, "text/plain", String::new()) };
        let mut onward = Request::from_parts(head, Full::new(body.to_bytes()));
        onward.headers_mut().insert("tornello-limit", self.limit.to_string().parse().unwrap());
        // The upstream half outlives the client, and holds its permit until the upstream is done.
        let gate = Arc::clone(&self);
        tokio::spawn(async move { gate.forward(onward).await }).await.unwrap()
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let pass = pass(request.headers());
        let path = request.uri().path().to_owned();
        // What needs no pool has a limit of its own: none.
        let slow = path.starts_with("/wallet");
        let permit = if slow { Some(self.permits.acquire().await.unwrap()) } else { None };
        let mut client = self
            .idle
            .lock()
            .unwrap()
            .pop()
            .unwrap_or_else(|| Client::new(&self.origin.into(), Ipv4Addr::LOCALHOST, &Arc::default()));
        let reply = client.ask(&request, Duration::from_secs(60)).await;
        drop(permit);
        self.idle.lock().unwrap().push(client);
        let Ok(mut reply) = reply else { return say(502, "text/plain", String::new()) };
        if reply.headers.remove("tornello-session").is_some()
            && let Some(number) = pass
        {
            let mut room = self.room.lock().unwrap();
            room.inside.remove(&number);
            room.done.insert(number);
        }
        if self.leaks {
            let mut stored = self.stored.lock().unwrap();
            let first = stored.entry(path).or_insert(reply);
            return say(200, "text/html", String::from_utf8(first.body.to_vec()).unwrap());
        }
        let mut response = Response::new(Full::new(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }

    fn is_inside(&self, headers: &HeaderMap) -> bool {
        pass(headers).is_some_and(|number| self.room.lock().unwrap().inside.contains(&number))
    }

    fn room_says(&self, method: &str, what: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let mut room = self.room.lock().unwrap();
        room.call(self.seats, self.clock.now());
        match (method, what) {
            ("POST", "tickets") => {
                let held = ticket(headers).filter(|number| !self.forgets && !room.done.contains(number));
                let number = held.unwrap_or_else(|| {
                    room.issued += 1;
                    room.issued
                });
                room.call(self.seats, self.clock.now());
                let state = if number <= room.cursor { "called" } else { "waiting" };
                let body = format!(
                    r#"{{"room":"cards","state":"{state}","epoch":1,"number":{number},"ticket":"{number}","ahead":0,"poll_after_ms":200}}"#
                );
                let mut response = say(201, "application/json", body);
                let cookie = format!("tornello-ticket-cards={number}; Path=/");
                response.headers_mut().insert(SET_COOKIE, cookie.parse().unwrap());
                response
            }
            ("GET", "board") => say(
                200,
                "application/json",
                format!(
                    r#"{{"board":{{"state":"queueing","epoch":1,"cursor":{},"issued":{},"rate":10.0,"poll":{{"min_ms":200,"max_ms":1000,"divisor":10,"scale":1.0}}}}}}"#,
                    room.cursor, room.issued
                ),
            ),
            ("POST", "claims") => match ticket(headers) {
                Some(number) if room.inside.contains(&number) => admitted(number),
                Some(number) if number <= room.cursor && room.claim(number, self.seats, self.clock.now()) => {
                    admitted(number)
                }
                Some(number) if number <= room.cursor => say(
                    202,
                    "application/json",
                    r#"{"state":"front_row","ahead":1,"poll_after_ms":200}"#.into(),
                ),
                Some(_) => say(
                    409,
                    "application/problem+json",
                    r#"{"reason":"not_called","poll_after_ms":200}"#.into(),
                ),
                None => say(404, "application/problem+json", "{}".into()),
            },
            _ => say(404, "application/problem+json", "{}".into()),
        }
    }
}

impl Room {
    /// Calls up to twice the free seats that the front row leaves: some never show up.
    fn call(&mut self, seats: usize, now: Moment) {
        self.called.retain(|_, since| now.since(*since) < MISSED);
        self.front.retain(|_, since| now.since(*since) < MISSED);
        let free = seats.saturating_sub(self.inside.len() + self.front.len());
        while self.called.len() < 2 * free && self.cursor < self.issued {
            self.cursor += 1;
            self.called.insert(self.cursor, now);
        }
    }

    /// Lets a called number in, if a seat is free that no lower number of the front row waits for.
    fn claim(&mut self, number: u64, seats: usize, now: Moment) -> bool {
        self.called.remove(&number);
        let before = self.front.range(..number).count();
        let free = self.inside.len() + before < seats;
        if free {
            self.front.remove(&number);
            self.inside.insert(number);
        } else {
            self.front.insert(number, now);
        }
        free
    }
}

fn ticket(headers: &HeaderMap) -> Option<u64> {
    token(headers, "tornello-ticket", "tornello-ticket-cards=")
}

fn pass(headers: &HeaderMap) -> Option<u64> {
    token(headers, "tornello-pass", "tornello-pass-cards=")
}

fn token(headers: &HeaderMap, header: &str, cookie: &str) -> Option<u64> {
    if let Some(value) = headers.get(header) {
        return value.to_str().ok()?.parse().ok();
    }
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|one| one.strip_prefix(cookie)).and_then(|value| value.parse().ok())
}

fn admitted(number: u64) -> Response<Full<Bytes>> {
    let body = format!(r#"{{"state":"admitted","pass":"{number}"}}"#);
    let mut response = say(200, "application/json", body);
    let cookie = format!("tornello-pass-cards={number}; Path=/");
    response.headers_mut().insert(SET_COOKIE, cookie.parse().unwrap());
    response
}

fn say(status: u16, kind: &str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().unwrap());
    response
}

fn hint(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(RETRY_AFTER, "1".parse().unwrap());
    response
}
