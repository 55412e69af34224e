//! Sending a request on, and bringing its answer back.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::address::Visit;
use super::body::{Answer, Relay};
use super::bypass::Bypass;
use super::cluster::Cluster;
use super::connection::Connection;
use super::exchange::{Awaiting, Exchange};
use super::headers;
use super::pool::Need;
use super::record::Record;
use super::transport::Transport;
use super::tunnel;
use super::upload::{Upload, UploadError, UploadState};
use crate::admission::{Moment, Outcome};
use crate::clock::Clock;
use crate::config::settings::{Protocol, RouteSettings};
use crate::metrics::Metrics;
use crate::store::gate::Permit;

/// Something broke on the way; whose side it was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection to any address.
    Unreachable,
    /// The upstream closed or answered nonsense before a head came.
    Broken,
    /// No head of an answer within the route's time.
    Timeout,
    /// The client's body was longer than the route allows.
    BodyTooLong,
    /// The client did not send what it promised.
    Client,
    /// The client sent its body too slowly.
    TooSlow,
    /// As many tunnels and event streams are open as the upstream may have.
    TunnelsFull,
}

impl Fault {
    /// The reason code for logs, metrics and machines.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "upstream_unreachable",
            Self::Broken => "upstream_broken",
            Self::Timeout => "upstream_timeout",
            Self::BodyTooLong => "body_too_long",
            Self::Client => "client_gone",
            Self::TooSlow => "body_too_slow",
            Self::TunnelsFull => "tunnels_full",
        }
    }
}

impl From<UploadError> for Fault {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLong => Self::BodyTooLong,
            UploadError::TooSlow => Self::TooSlow,
            UploadError::Client(_) | UploadError::CalledOff(_) => Self::Client,
        }
    }
}

/// What is needed to send a request on.
#[derive(Debug)]
pub struct Sending<'a> {
    /// Where to.
    pub cluster: &'a Arc<Cluster>,
    /// Under which rules.
    pub route: &'a RouteSettings,
    /// Reads the time.
    pub clock: &'a Clock,
    /// Counts.
    pub metrics: &'a Metrics,
    /// The request wants to become a tunnel.
    pub tunnel: bool,
}

/// A head of a request, ready for the upstream.
#[derive(Clone, Debug)]
pub struct Head {
    /// Method.
    pub method: Method,
    /// Path and query as they were judged.
    pub target: Uri,
    /// Fields, fit for the upstream.
    pub fields: HeaderMap,
}

impl Head {
    /// The request as `transport` wants it. HTTP/2 names scheme and host in the target and has no field
    /// for the host; HTTP/1.1 wants to be told that `TE` ends at the next hop.
    pub(super) fn with(mut self, body: Upload, transport: &Transport) -> Request<Upload> {
        match transport.protocol {
            Protocol::Http1 => {
                if self.fields.contains_key(TE) {
                    self.fields.insert(CONNECTION, HeaderValue::from_static("te"));
                }
            }
            Protocol::Http2 => {
                let host = self.fields.remove(HOST);
                let mut target = self.target.into_parts();
                target.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
                target.scheme = Some(if transport.is_encrypted() { Scheme::HTTPS } else { Scheme::HTTP });
                // The parts were judged when the request was read; without a host hyper refuses it.
                self.target = Uri::from_parts(target).unwrap_or_default();
            }
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target;
        *request.headers_mut() = self.fields;
        request
    }
}

/// An answer's head, its body still with the upstream.
#[derive(Debug)]
pub struct Arrived {
    response: Response<Incoming>,
    exchange: Exchange,
}

impl Arrived {
    /// The answer's fields.
    pub fn fields(&mut self) -> &mut HeaderMap {
        self.response.headers_mut()
    }

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The answer for the client; the record speaks when its body is over. An event stream ends when it
    /// says nothing for `idle`.
    #[must_use]
    pub fn into_answer(self, mut record: Record, idle: Duration) -> Response<Answer> {
        let (mut parts, body) = self.response.into_parts();
        let endless = self.exchange.tunnel.is_some();
        if endless {
            record.endless();
        }
        // Our own version, not that of the hop behind us.
        parts.version = http::Version::HTTP_11;
        let relay = Relay::new(body, self.exchange, record);
        let relay = if endless { relay.idle_after(idle) } else { relay };
        Response::from_parts(parts, Answer::Relay(Box::new(relay)))
    }

    /// The answer that switches protocols; a task of its own then carries bytes between `client` and the
    /// upstream until the tunnel ends.
    #[must_use]
    pub fn into_tunnel(mut self, client: OnUpgrade, mut record: Record, idle: Duration) -> Response<Answer> {
        record.endless();
        let upstream = hyper::upgrade::on(&mut self.response);
        let (mut parts, _) = self.response.into_parts();
        parts.version = http::Version::HTTP_11;
        tunnel::say(&mut parts.headers);
        tokio::spawn(tunnel::carry(client, upstream, self.exchange, record, idle));
        Response::from_parts(parts, Answer::Own(None))
    }
}

/// Sends a request and awaits the head of its answer.
///
/// # Errors
/// [`Fault`]; the permit is settled, or stays with the upstream for as long as that is at work.
pub async fn send(
    sending: &Sending<'_>,
    mut head: Head,
    upload: Upload,
    mut permit: Permit,
    mut bypass: Option<Bypass>,
) -> Result<Arrived, Fault> {
    let Sending { cluster, route, clock, .. } = *sending;
    let mut place = None;
    if sending.tunnel {
        place = cluster.tunnels.enter(cluster.settings.tunnels);
        if place.is_none() {
            return Err(Fault::TunnelsFull);
        }
    }
    let state = Arc::clone(upload.state());
    if cluster.settings.announce_limit {
        head.fields.insert(headers::LIMIT, permit.limit().into());
    }
    cluster.earn_retry();
    let repeatable = state.is_finished() && is_idempotent(&head.method);
    if state.is_finished() && !head.fields.contains_key(CONTENT_LENGTH) && has_meaningful_body(&head.method) {
        // A POST without a body must say so, or some upstreams wait for one.
        head.fields.insert(CONTENT_LENGTH, 0.into());
    }
    let multiplexed = cluster.transport.protocol == Protocol::Http2;
    if !multiplexed && !state.is_finished() && !head.fields.contains_key(CONTENT_LENGTH) {
        // Said outright: for methods that seldom have a body it would be left out, and the body lost.
        head.fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if !multiplexed && !head.fields.contains_key(TRANSFER_ENCODING) {
        // Announced where none can come.
        head.fields.remove(TRAILER);
    }
    let deadline = clock.now().after(route.timeout);
    let (mut visit, mut connection) = reach(sending, repeatable, &permit, deadline).await?;
    let spare =
        (state.is_finished() && (multiplexed || repeatable && connection.is_reused())).then(|| head.clone());
    let mut request = head.with(upload, &cluster.transport);
    permit.sent();
    let mut first = true;
    loop {
        let reused = connection.is_reused();
        let pending = connection.send(request);
        let exchange = Exchange {
            permit,
            visit,
            connection,
            bypass,
            tunnel: place,
            upload: Arc::clone(&state),
            abandon_at: deadline.after(route.timeout),
            on_client_gone: route.on_client_gone,
            clock: *clock,
        };
        let (answer, mut exchange) = await_head(pending, exchange, deadline, clock).await?;
        let mut error = match answer {
            Ok(response)
                if response.status() == StatusCode::SWITCHING_PROTOCOLS
                    && !(sending.tunnel && tunnel::is_agreed(response.status(), response.headers())) =>
            {
                // Nobody asked to switch, or to that; what follows is no HTTP.
                return Err(broken(exchange, &state));
            }
            Ok(response) if headers::is_ambiguous(response.headers(), response.version()) => {
                return Err(broken(exchange, &state));
            }
            Ok(response) => {
                if let Some(when) = state.finished_at() {
                    exchange.permit.sent_whole(when);
                }
                exchange.permit.first_byte();
                exchange.visit.address.reached();
                return settle_in(response, exchange, cluster);
            }
            Err(error) => error,
        };
        // Handed back unsent: nothing of it reached the upstream, so any request may go again.
        let again = error.take_message().or_else(|| {
            let safe = match unprocessed(error.error(), repeatable) {
                Some(unprocessed) => unprocessed,
                None => reused && repeatable,
            };
            let spare = spare.as_ref().filter(|_| safe && first && cluster.spend_retry())?;
            Some(spare.clone().with(Upload::empty(), &cluster.transport))
        });
        if again.is_some() {
            exchange.connection.avoid();
        }
        let Some(again) = again.filter(|_| first) else {
            return Err(broken(exchange, &state));
        };
        first = false;
        sending.metrics.retries.with_label_values(&[&cluster.name]).inc();
        let Exchange { permit: held, bypass: counted, tunnel, .. } = exchange;
        (permit, bypass, place, request) = (held, counted, tunnel, again);
        (visit, connection) = reach(sending, false, &permit, deadline).await?;
    }
}

/// An address and a connection to it; another address if the first cannot be reached.
async fn reach(
    sending: &Sending<'_>,
    repeatable: bool,
    permit: &Permit,
    deadline: Moment,
) -> Result<(Visit, Connection), Fault> {
    let Sending { cluster, clock, .. } = *sending;
    let mut avoid = None;
    for _ in 0..REACH_ATTEMPTS {
        let now = clock.now();
        let visit = cluster.choose(permit.limit(), avoid).ok_or(Fault::Unreachable)?;
        let keep_alive = cluster.settings.keep_alive;
        let need = Need { transport: &cluster.transport, repeatable, keep_alive };
        if let Some(connection) = visit.address.pool.take(&need, now) {
            return Ok((visit, connection));
        }
        if let Ok(connection) = fresh(sending, &need, &visit, deadline).await {
            return Ok((visit, connection));
        }
        avoid = Some(visit.address.address);
    }
    Err(Fault::Unreachable)
}

/// Addresses tried for one request; nothing was sent to those that could not be reached.
pub(super) const REACH_ATTEMPTS: usize = 2;

async fn fresh(
    sending: &Sending<'_>,
    need: &Need<'_>,
    visit: &Visit,
    deadline: Moment,
) -> Result<Connection, Fault> {
    let Sending { cluster, clock, .. } = *sending;
    let left = deadline.since(clock.now()).max(Duration::from_millis(1));
    let timeout = cluster.settings.connect_timeout.min(left);
    cluster.connect(&visit.address, need, timeout, clock).await.map_err(|_| Fault::Unreachable)
}

/// What an upstream of HTTP/2 says of a request that it ended: `true` that it did nothing with it (RFC
/// 9113 §8.7), `false` that it may have. `None` if it said nothing. A GOAWAY counts for what is
/// `repeatable`: hyper may hand it to a request that was just sent and that the upstream does work on.
fn unprocessed(error: &hyper::Error, repeatable: bool) -> Option<bool> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let gone = error.is_go_away();
            let said = error.is_remote() && (error.is_reset() || gone);
            return said.then_some(refused || gone && repeatable);
        }
        cause = error.source();
    }
    None
}

type Sent = Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Upload>>>;

/// One absolute deadline for the head. Cancelled, the wait goes on in a task of its own.
async fn await_head(
    pending: super::exchange::Pending,
    exchange: Exchange,
    deadline: Moment,
    clock: &Clock,
) -> Result<(Sent, Exchange), Fault> {
    let mut awaiting = Awaiting::new(pending, exchange);
    let head = match tokio::time::timeout_at(clock.instant(deadline), awaiting.head()).await {
        Ok(Some(head)) => head,
        Ok(None) => return Err(Fault::Broken),
        Err(_) => {
            awaiting.timed_out();
            return Err(Fault::Timeout);
        }
    };
    awaiting.into_exchange().map(|exchange| (head, exchange)).ok_or(Fault::Broken)
}

/// The head is here: what has no end in sight leaves the limit.
fn settle_in(
    response: Response<Incoming>,
    mut exchange: Exchange,
    cluster: &Cluster,
) -> Result<Arrived, Fault> {
    let (status, fields) = (response.status(), response.headers());
    // The place of a request that wanted to switch and was answered otherwise is free again.
    let reserved = exchange.tunnel.take();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        reserved.into_iter().for_each(|place| exchange.leave_limit(place));
    } else if tunnel::is_event_stream(status, fields) {
        let place = reserved.or_else(|| cluster.tunnels.enter(cluster.settings.tunnels));
        let Some(place) = place else {
            exchange.close(Outcome::Ignored);
            return Err(Fault::TunnelsFull);
        };
        exchange.leave_limit(place);
    } else if is_grpc(fields) {
        exchange.upload.converse();
    }
    if says_overload(status) {
        exchange.permit.overloaded();
    }
    Ok(Arrived { response, exchange })
}

/// Answers by which an upstream, or what stands before it, says that it cannot: 500 is a defect, and 429
/// is about one user.
pub(super) fn says_overload(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Calls in which either side may be silent for long while the other speaks.
fn is_grpc(fields: &HeaderMap) -> bool {
    fields.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn broken(exchange: Exchange, upload: &UploadState) -> Fault {
    if upload.is_too_slow() {
        exchange.close(Outcome::Ignored);
        Fault::TooSlow
    } else if upload.is_too_long() {
        exchange.close(Outcome::Ignored);
        Fault::BodyTooLong
    } else if upload.is_broken() {
        exchange.close(Outcome::Ignored);
        Fault::Client
    } else {
        exchange.close(Outcome::Dropped);
        Fault::Broken
    }
}

/// Methods that may be sent twice (RFC 9110 §9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

fn has_meaningful_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
