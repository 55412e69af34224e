//! The request path with a stand-in for the upstream: how a day is rehearsed.
//!
//! Who asks, buckets, room, gate, the answer's head and every refusal are the code that serves. Only
//! the exchange itself is played, by the rules of the real one: the permit is held until the upstream
//! is finished with the request, also when its client left before.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Body;

use super::Proxy;
use super::body::Answer;
use super::bypass::Bypass;
use super::cluster::Cluster;
use super::forward::{Fault, Head, REACH_ATTEMPTS, says_overload};
use super::handle::{Judged, judge, make_fit, permit, storing, take_in};
use super::headers;
use super::peer::Peer;
use super::refuse;
use crate::admission::{Moment, Outcome};
use crate::clock::Clock;
use crate::config::settings::OnClientGone;
use crate::store::gate::Permit;

/// An answer on its way; `None` if the upstream breaks off. Dropped, the connection is closed.
pub type Pending = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;

/// Answers in the place of every upstream.
pub trait StandIn: Send + Sync {
    /// A connection could be opened now.
    fn is_there(&self) -> bool;

    /// Takes a request in.
    fn ask(&self, head: Head) -> Pending;
}

/// Answers one request, whatever it is.
pub async fn answer<B>(
    proxy: &Arc<Proxy>,
    request: Request<B>,
    peer: &Peer,
    upstream: &dyn StandIn,
) -> Response<Answer>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match judge(proxy, request, peer).await {
        ControlFlow::Continue(judged) => go_on(proxy, judged, upstream).await,
        ControlFlow::Break(answer) => answer,
    }
}

async fn go_on<B>(proxy: &Arc<Proxy>, judged: Judged<B>, upstream: &dyn StandIn) -> Response<Answer> {
    let Judged { live, asked, request, mut admitted, mut record } = judged;
    record.class = admitted.class;
    let permit = match permit(proxy, &admitted, &mut record).await {
        Ok(permit) => permit,
        Err(refusal) => return refuse::refuse(&live, &refusal, &asked, record),
    };
    let route = Arc::clone(&admitted.route);
    if !upstream.is_there() {
        unreachable(&route.cluster, &permit);
        drop(permit);
        return refuse::fault(&live, Fault::Unreachable, &asked, record);
    }
    let (parts, _) = request.into_parts();
    let mut fields = parts.headers;
    make_fit(proxy, &mut fields, &live, &asked, &admitted, &record);
    let storing = storing(&live, &route, &fields);
    if route.cluster.settings.announce_limit {
        fields.insert(headers::LIMIT, permit.limit().into());
    }
    let sent = proxy.clock.now();
    let deadline = sent.after(route.settings.timeout);
    let mut exchange = Exchange {
        pending: None,
        held: Some((permit, admitted.bypass.take())),
        outcome: Outcome::Ignored,
        abandon_at: deadline.after(route.settings.timeout),
        on_client_gone: route.settings.on_client_gone,
        clock: proxy.clock,
    };
    exchange.send(upstream.ask(Head { method: parts.method, target: asked.target(), fields }));
    let head = tokio::time::timeout_at(proxy.clock.instant(deadline), exchange.head()).await;
    let mut response = match head {
        Ok(Some(response)) => response,
        Ok(None) => return refuse::fault(&live, Fault::Broken, &asked, record),
        Err(_) => {
            exchange.outcome = Outcome::Dropped;
            return refuse::fault(&live, Fault::Timeout, &asked, record);
        }
    };
    let first_byte = proxy.clock.now().since(sent).as_secs_f64();
    proxy.witness.metrics.first_byte.with_label_values(&[&route.cluster.name]).observe(first_byte);
    let status = response.status();
    take_in(proxy, &admitted, storing, response.headers_mut(), status, &mut record);
    record.sent(response.body().len());
    record.complete();
    response.map(|body| Answer::Own(Some(body)))
}

/// No connection can be opened: noted against the addresses that a real request would have tried.
fn unreachable(cluster: &Cluster, permit: &Permit) {
    let mut avoid = None;
    for _ in 0..REACH_ATTEMPTS {
        let Some(visit) = cluster.choose(permit.limit(), avoid) else { return };
        cluster.unreachable(&visit.address, false, "connection refused");
        avoid = Some(visit.address.address);
    }
}

/// What is under way at the stand-in.
struct Exchange {
    pending: Option<Pending>,
    held: Option<(Permit, Option<Bypass>)>,
    /// How it ends if the client does not see its end.
    outcome: Outcome,
    abandon_at: Moment,
    on_client_gone: OnClientGone,
    clock: Clock,
}

impl Exchange {
    fn send(&mut self, pending: Pending) {
        self.pending = Some(pending);
        if let Some((permit, _)) = &mut self.held {
            permit.sent();
        }
    }

    /// The answer; cancel-safe. The upstream is finished with the request when it is here.
    async fn head(&mut self) -> Option<Response<Bytes>> {
        let answer = self.pending.as_mut()?.await;
        self.pending = None;
        let (mut permit, _bypass) = self.held.take()?;
        if let Some(answer) = &answer {
            come(&mut permit, answer.status());
            permit.settle(Outcome::Served);
        } else {
            permit.settle(Outcome::Dropped);
        }
        answer
    }
}

impl Drop for Exchange {
    /// The client left: the upstream is still at work, so the permit stays with it.
    fn drop(&mut self) {
        let (Some(pending), Some((mut permit, bypass))) = (self.pending.take(), self.held.take()) else {
            return;
        };
        let outcome = self.outcome;
        if self.on_client_gone == OnClientGone::Cancel {
            drop(pending);
            permit.settle(outcome);
            return;
        }
        let abandon_at = self.clock.instant(self.abandon_at);
        tokio::spawn(async move {
            let finished = tokio::time::timeout_at(abandon_at, pending).await;
            let outcome = match finished {
                // Whoever left because it took so long must not make it look quick.
                Ok(Some(answer)) if outcome == Outcome::Ignored => {
                    come(&mut permit, answer.status());
                    Outcome::Served
                }
                Ok(_) => outcome,
                Err(_) => Outcome::Dropped,
            };
            permit.settle(outcome);
            drop(bypass);
        });
    }
}

/// The head of an answer is here; of refusals the limit learns what it does of real ones.
fn come(permit: &mut Permit, status: StatusCode) {
    permit.first_byte();
    if says_overload(status) {
        permit.overloaded();
    }
}
