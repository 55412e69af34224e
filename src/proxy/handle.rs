//! The request path. A request is identified, takes a token from its user's bucket, passes the
//! waiting room, holds a permit while the upstream answers, and its latency moves the limit.
//!
//! One non-async `admit`, so that nothing moves between its checks; one load of the configuration,
//! so that a reload never splits a request.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Response, StatusCode};
use hyper::Request;
use hyper::body::{Body, Incoming};

use super::Proxy;
use super::asked::{Asked, reference};
use super::body::Answer;
use super::bypass::{self, Bypass};
use super::caching::{self, Storing};
use super::desk;
use super::forward::{self, Head, Sending};
use super::headers::{self, Origin};
use super::identify::{Identity, Sources, identify};
use super::isolate::Step;
use super::live::{Live, Quota, Route};
use super::peer::Peer;
use super::person;
use super::record::{Decision, Label, Record};
use super::refuse;
use super::session::{self, Entry};
use super::tunnel;
use super::upload::{Upload, UploadError};
use crate::admission::queue::Asking;
use crate::admission::{Class, Moment, Refusal, UserKey};
use crate::config::settings::Protocol;
use crate::store::buckets::Verdict;
use crate::store::gate::{Knock, Permit};

/// Longest wait for the first part of a body that may be half of a conversation.
const GATHER_TIME: Duration = Duration::from_millis(500);

/// Over how long the returns of those are spread who got no permit, in ms.
const RETRY_SPREAD_MS: u64 = 4_000;

/// A request that may go on to its upstream.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) route: Arc<Route>,
    pub(super) class: Class,
    pub(super) entry: Entry,
    pub(super) bypass: Option<Bypass>,
    /// Whose turn it takes in the queue; `None` on a bypass path, where nobody is identified.
    pub(super) user: Option<UserKey>,
    /// The key is one user's own.
    pub(super) personal: bool,
}

impl Admitted {
    /// What the queue before the upstream must know.
    fn asking(&self) -> Asking {
        Asking {
            class: self.class,
            user: self.user,
            personal: self.personal,
            route: self.route.route_class,
            share: self.route.settings.share,
            optional: self.route.settings.optional && self.bypass.is_none(),
        }
    }
}

/// A request that was admitted, with all that was found out about it.
#[derive(Debug)]
pub(super) struct Judged<B> {
    pub(super) live: Arc<Live>,
    pub(super) asked: Asked,
    pub(super) request: Request<B>,
    pub(super) admitted: Admitted,
    pub(super) record: Record,
}

/// Answers one request, whatever it is.
pub(super) async fn answer(proxy: &Arc<Proxy>, request: Request<Incoming>, peer: &Peer) -> Response<Answer> {
    match judge(proxy, request, peer).await {
        // In a box: the engine keeps room for a request with every connection, also while it is idle.
        ControlFlow::Continue(judged) => Box::pin(go_on(proxy, judged)).await,
        ControlFlow::Break(answer) => answer,
    }
}

/// Everything before the upstream: our own endpoints and every refusal are answered here.
pub(super) async fn judge<B>(
    proxy: &Arc<Proxy>,
    request: Request<B>,
    peer: &Peer,
) -> ControlFlow<Response<Answer>, Judged<B>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (live, now) = (proxy.live.load_full(), proxy.clock.now());
    let mut record = Record::new(&proxy.witness, now, request.method(), String::new());
    let asked = match Asked::read(&request, peer, &live.settings) {
        Ok(asked) => asked,
        Err(refusal) => {
            record.request_id = reference(proxy.fresh_id());
            return ControlFlow::Break(refuse::unread(&live, &refusal, request.headers(), record));
        }
    };
    record.request_id = asked.request_id(request.headers(), proxy.fresh_id());
    proxy.at(Step::Read, &asked);
    if desk::is_ours(&asked.path) {
        return ControlFlow::Break(desk::answer(proxy, &live, &asked, request, record).await);
    }
    match admit(proxy, &live, &asked, request.headers(), now, &mut record) {
        Ok(admitted) => ControlFlow::Continue(Judged { live, asked, request, admitted, record }),
        Err(refusal) => ControlFlow::Break(refuse::refuse(&live, &refusal, &asked, record)),
    }
}

/// The decision, in the order of the sentence.
fn admit(
    proxy: &Proxy,
    live: &Live,
    asked: &Asked,
    fields: &HeaderMap,
    now: Moment,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    let (route, may_bypass) = live.judge(&asked.host, &asked.path, asked.bare())?;
    record.route = Label::Configured(Arc::clone(route));
    if declared_length(fields) > route.settings.body_limit {
        return Err(Refusal::BodyTooLong);
    }
    let way = bypass::way(route, may_bypass, asked, fields);
    let bypass = way.and_then(|way| bypass::take(proxy, route, way));
    let (mut user, mut personal) = (None, false);
    let entry = if let (Some(way), true) = (way, bypass.is_some()) {
        Entry::past(way.class())
    } else {
        let told = |refusal| if way.is_some() { bypass::spent(refusal) } else { refusal };
        let room = route.room.as_deref();
        let sources = sources(proxy, live, asked);
        let named = room.map(|room| (room.line.name.as_str(), room.line.id));
        let mut who = identify(fields, asked.peer, asked.client, named, &sources);
        if let Some(room) = room {
            room.recognise(&mut who, &proxy.event);
        }
        record.user = who.user;
        if who.not_believed {
            return Err(told(Refusal::NotBelieved));
        }
        take_token(proxy, live, route, &who, asked, now).map_err(told)?;
        let entry = match room {
            Some(room) => {
                if person::must_say_who(room, &who) {
                    return Err(told(session::nameless(room, asked)));
                }
                person::settle(proxy, room, &mut who, None, now);
                session::check_in(proxy, room, route, &who, asked, now).map_err(told)?
            }
            None => Entry::past(route.settings.class),
        };
        // A pass that is given here is nobody else's, whatever address it was asked for from.
        let given = entry.pass.filter(|_| who.shared).and_then(|pass| pass.first_chunk().copied());
        user = Some(given.map_or(who.user, |pass| UserKey(u64::from_le_bytes(pass))));
        personal = entry.pass.is_some() || !who.shared;
        entry
    };
    let class = if bypass.is_some() { entry.class } else { route.class(entry.class) };
    record.class = class;
    if route.cluster.is_down() {
        session::undo(route.room.as_deref(), &entry);
        return Err(Refusal::UpstreamDown);
    }
    Ok(Admitted { route: Arc::clone(route), class, entry, bypass, user, personal })
}

/// A token of the user's bucket, then of the network's. Before a room, a navigation without a pass is
/// never told that it asked too often: it gets the page, and may take its place.
fn take_token(
    proxy: &Proxy,
    live: &Live,
    route: &Route,
    who: &Identity,
    asked: &Asked,
    now: Moment,
) -> Result<(), Refusal> {
    let Some(quota) = &route.quota else { return Ok(()) };
    match spend(proxy, live, quota, who, now) {
        Err(Refusal::OverQuota { .. }) if route.room.is_some() && asked.navigation && who.pass.is_none() => {
            Err(Refusal::Waiting { held: None, not_sent: false })
        }
        spent => spent,
    }
}

/// Takes from both buckets or from none. Whoever shows nothing but an address shares its bucket with all who
/// do so behind it, and that one has a quota of its own.
pub(super) fn spend(
    proxy: &Proxy,
    live: &Live,
    quota: &Quota,
    who: &Identity,
    now: Moment,
) -> Result<(), Refusal> {
    let (rules, bytes) = (&quota.settings, live.settings.buckets_bytes);
    let (user, network) = (who.user.0 ^ quota.salt, who.network.0 ^ quota.salt);
    let rule = if who.shared { &rules.address } else { &rules.user };
    let mine = proxy.buckets.take(user, rule, bytes, now);
    if let Verdict::Empty(empty) = mine {
        return Err(over_quota(rule, empty.retry_after));
    }
    let mut ours = proxy.buckets.take(network, &rules.prefix, bytes, now);
    if mine == Verdict::TableFull || ours == Verdict::TableFull {
        proxy.witness.metrics.bucket_table_full.inc();
    }
    if ours == Verdict::TableFull {
        ours = proxy.buckets.take_shared(&rules.prefix, now);
    }
    if let Verdict::Empty(empty) = ours {
        proxy.buckets.give_back(user, rule);
        return Err(over_quota(&rules.prefix, empty.retry_after));
    }
    Ok(())
}

pub(super) fn over_quota(quota: &crate::admission::policy::Quota, retry_after: Duration) -> Refusal {
    let window = Duration::from_nanos(quota.depth_ns());
    Refusal::OverQuota { retry_after, burst: quota.burst(), window }
}

/// Where identities come from, today.
pub(super) fn sources<'a>(proxy: &'a Proxy, live: &'a Live, asked: &'a Asked) -> Sources<'a> {
    Sources {
        settings: &live.settings.identity,
        trusted: &live.settings.edge.trusted_proxies,
        ring: &proxy.ring,
        event: &proxy.event,
        jwt: live.jwt.as_deref().map(|jwt| (jwt, proxy.clock.unix())),
        secure: asked.secure,
        subject: asked.subject.as_deref(),
    }
}

/// Who may store the answer to a request: nobody where people are recognised or wait, the client alone
/// where the request shows who asks, unless the operator says that this route's answers are shared.
pub(super) fn storing(live: &Live, route: &Route, request: &HeaderMap) -> Storing {
    let identity = &live.settings.identity;
    if route.settings.shared {
        Storing::AsTold
    } else if route.room.is_some() || identity.tells_apart() {
        Storing::Nobody
    } else if caching::is_personal(request) {
        Storing::Client
    } else {
        Storing::AsTold
    }
}

fn declared_length(fields: &HeaderMap) -> u64 {
    let field = fields.get(CONTENT_LENGTH);
    field.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// How long a body is gathered before a permit is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathering {
    /// Not at all: the client waits to be asked for it, or for the answer.
    No,
    /// So long: without a length it may be half of a conversation.
    For(Duration),
    /// As long as the client sends fast enough.
    Whole,
}

/// A body that trickles must not hold a permit while there is nothing to work on.
fn gathering(request: &Request<Incoming>, able: bool) -> Gathering {
    let fields = request.headers();
    if !able || fields.contains_key(EXPECT) || request.body().is_end_stream() {
        Gathering::No
    } else if fields.contains_key(CONTENT_LENGTH) {
        Gathering::Whole
    } else {
        Gathering::For(GATHER_TIME)
    }
}

async fn gather(upload: &mut Upload, gathering: Gathering) -> Result<(), UploadError> {
    match gathering {
        Gathering::No => Ok(()),
        Gathering::For(time) => tokio::time::timeout(time, upload.gather()).await.unwrap_or(Ok(())),
        Gathering::Whole => upload.gather().await,
    }
}

/// Knocks at the gate of the request's upstream and waits for the permit if need be.
///
/// # Errors
/// [`Refusal::Saturated`] when there is none in time; a session that only began here is taken back.
pub(super) async fn permit(
    proxy: &Proxy,
    admitted: &Admitted,
    record: &mut Record,
) -> Result<Permit, Refusal> {
    let (cluster, begun) = (&admitted.route.cluster, proxy.clock.now());
    let metrics = &proxy.witness.metrics;
    let (name, class) = (cluster.name.as_str(), admitted.class.word());
    let permit = match cluster.gate.knock(&admitted.asking(), begun) {
        Knock::Permit(permit) => Ok(permit),
        Knock::Wait(wait) => {
            let permit = wait.permit(&proxy.clock).await;
            let waited = proxy.clock.now().since(begun);
            record.waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            if permit.is_ok() {
                metrics.permit_wait.with_label_values(&[name, class]).observe(waited.as_secs_f64());
            }
            permit
        }
        Knock::Turned(why) => Err(why),
    };
    permit.map_err(|why| {
        metrics.permit_refused.with_label_values(&[name, class, why.word()]).inc();
        session::undo(admitted.route.room.as_deref(), &admitted.entry);
        // Those who are refused together do not come back together.
        let spread = Duration::from_millis(cluster.roll() % RETRY_SPREAD_MS);
        Refusal::Saturated { retry_after: cluster.gate.wait_max() + spread }
    })
}

/// Makes a request's fields fit for its upstream.
pub(super) fn make_fit(
    proxy: &Proxy,
    fields: &mut HeaderMap,
    live: &Live,
    asked: &Asked,
    admitted: &Admitted,
    record: &Record,
) {
    let origin = Origin {
        peer_trusted: asked.peer_trusted,
        peer: asked.peer,
        secure: asked.secure,
        host: &asked.host,
        port: asked.port,
        client: asked.client,
        chain: live.settings.identity.forwarded,
        trace: live.settings.edge.trace,
        request_id: &record.request_id,
    };
    headers::towards_upstream(fields, &origin, &live.vouched);
    let (route, entry) = (&admitted.route, &admitted.entry);
    if let (Some(proof), Some(room), Some(pass)) = (&route.pass_proof, &route.room, &entry.pass)
        && let Some(value) = proof.value(proxy.clock.unix(), &room.line.name, entry.number, pass)
    {
        fields.insert(headers::PASS, value);
    }
}

/// Takes in the head of the upstream's answer: what it says of the session, what the client is told. True
/// if the session ends with it.
pub(super) fn take_in(
    proxy: &Proxy,
    admitted: &Admitted,
    storing: Storing,
    fields: &mut HeaderMap,
    status: StatusCode,
    record: &mut Record,
) -> bool {
    let told = headers::towards_client(fields, storing);
    let room = admitted.route.room.as_ref();
    let ended = room.is_some_and(|room| session::hear(proxy, room, &admitted.entry, &told, record.begun));
    if let Some(cookie) = &admitted.entry.cookie {
        headers::set_cookie(fields, cookie);
    }
    record.decided(Decision::Forwarded, admitted.entry.reason, status);
    ended
}

/// Waits for the permit if need be, sends the request on, and brings the answer back.
async fn go_on(proxy: &Arc<Proxy>, judged: Judged<Incoming>) -> Response<Answer> {
    let Judged { live, asked, mut request, mut admitted, mut record } = judged;
    let (live, asked, route) = (&live, &asked, Arc::clone(&admitted.route));
    record.class = admitted.class;
    // HTTP/2 knows no `Upgrade`: to such an upstream the wish is not passed on.
    let able = route.cluster.settings.protocol == Protocol::Http1;
    let switch = (able && tunnel::is_wanted(&request)).then(|| hyper::upgrade::on(&mut request));
    let gathering = gathering(&request, able && switch.is_none());
    let (parts, body) = request.into_parts();
    let vouched = Arc::clone(&live.vouched);
    let (limit, pace) = (route.settings.body_limit, live.settings.edge.pace);
    let cut = proxy.witness.metrics.slow_clients.with_label_values(&["upload"]);
    let mut upload = Upload::new(body, limit, proxy.clock, pace, &cut).vouched(vouched);
    if let Err(error) = gather(&mut upload, gathering).await {
        session::undo(route.room.as_deref(), &admitted.entry);
        return refuse::fault(live, error.into(), asked, record);
    }
    let permit = match permit(proxy, &admitted, &mut record).await {
        Ok(permit) => permit,
        Err(refusal) => return refuse::refuse(live, &refusal, asked, record),
    };
    proxy.at(Step::Permitted, asked);
    let mut fields = parts.headers;
    make_fit(proxy, &mut fields, live, asked, &admitted, &record);
    let storing = storing(live, &route, &fields);
    if switch.is_some() {
        tunnel::say(&mut fields);
    }
    let head = Head { method: parts.method, target: asked.target(), fields };
    let sending = Sending {
        cluster: &route.cluster,
        route: &route.settings,
        clock: &proxy.clock,
        metrics: &proxy.witness.metrics,
        tunnel: switch.is_some(),
    };
    let sent = proxy.clock.now();
    let mut arrived = match forward::send(&sending, head, upload, permit, admitted.bypass.take()).await {
        Ok(arrived) => arrived,
        Err(fault) => return refuse::fault(live, fault, asked, record),
    };
    proxy.at(Step::Answered, asked);
    let first_byte = proxy.clock.now().since(sent).as_secs_f64();
    let histogram = proxy.witness.metrics.first_byte.with_label_values(&[&route.cluster.name]);
    histogram.observe(first_byte);
    let status = arrived.status();
    let ended = take_in(proxy, &admitted, storing, arrived.fields(), status, &mut record);
    if let Some(room) = route.room.as_ref().filter(|_| ended) {
        // It must not be there again after a crash. Where the disk fails the answer goes all the same, and
        // the room says that it is held.
        room.line.ends_kept().await;
    }
    let idle = route.settings.tunnel_idle;
    match switch.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS) {
        Some(client) => arrived.into_tunnel(client, record, idle),
        None => arrived.into_answer(record, idle),
    }
}
