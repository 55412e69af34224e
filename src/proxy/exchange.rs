//! The upstream's half of an exchange. It outlives the client.
//!
//! Real backends keep working for clients that left, so a permit is free only when the *upstream* is
//! finished: whoever drops an exchange in the middle hands it to a task that reads on and throws away
//! (at most 64 KiB, at most the route's timeout), and only then frees the permit. An upload that was
//! not finished cannot be finished any more: its connection is closed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::address::Visit;
use super::bypass::Bypass;
use super::connection::Connection;
use super::forward::says_overload;
use super::tunnel::Place;
use super::upload::{Upload, UploadState};
use crate::admission::{Moment, Outcome};
use crate::clock::Clock;
use crate::config::settings::OnClientGone;
use crate::store::gate::Permit;

/// Most bytes read on for nobody.
const DISCARD_MAX: usize = 64 * 1024;

/// What is under way at an upstream.
#[derive(Debug)]
pub struct Exchange {
    /// Freed when this value is gone.
    pub permit: Permit,
    /// Where it is under way.
    pub visit: Visit,
    /// The connection that it is on.
    pub connection: Connection,
    /// Its place in the bypass budget, if it took one.
    pub bypass: Option<Bypass>,
    /// Its place among the tunnels, if it is one or may become one.
    pub tunnel: Option<Place>,
    /// How far the request's body has got.
    pub upload: Arc<UploadState>,
    /// After this nobody reads on.
    pub abandon_at: Moment,
    /// What to do when the client leaves.
    pub on_client_gone: OnClientGone,
    /// Reads the time.
    pub clock: Clock,
}

impl Exchange {
    /// The upstream is finished: its connection is free for the next.
    pub fn finish(self, outcome: Outcome) {
        let Self { permit, visit, connection, upload, clock, .. } = self;
        // An early answer leaves the request half sent: such a connection is not used again, unless it
        // is a shared one, on which the rest of the request can be called off.
        if upload.is_finished() || connection.is_shared() {
            upload.call_off();
            visit.address.pool.put(connection, clock.now());
        }
        permit.settle(outcome);
    }

    /// The upstream is finished because the connection is: it is not used again. A shared one goes on
    /// without this exchange.
    pub fn close(self, outcome: Outcome) {
        if self.connection.is_shared() {
            self.upload.call_off();
        }
        self.permit.settle(outcome);
    }

    /// What has no end in sight leaves the limit, and counts among the tunnels.
    pub fn leave_limit(&mut self, place: Place) {
        self.permit.leave();
        self.visit.leave();
        self.bypass = None;
        self.tunnel = Some(place);
    }

    /// The head came after the client had left. It tells of the upstream what any other does: were the
    /// work for those who lost patience not counted, an upstream would look the quicker the slower it is.
    fn answered(&mut self, status: StatusCode, outcome: Outcome) -> Outcome {
        if outcome != Outcome::Ignored {
            return outcome;
        }
        if let Some(when) = self.upload.finished_at() {
            self.permit.sent_whole(when);
        }
        self.permit.first_byte();
        if says_overload(status) {
            self.permit.overloaded();
        }
        Outcome::Served
    }

    /// An event stream without a reader is never worth it: it holds no permit, and has no end.
    fn is_worth_finishing(&self) -> bool {
        self.on_client_gone == OnClientGone::Finish && self.upload.is_finished() && self.tunnel.is_none()
    }
}

/// A request that was sent, its head still awaited.
pub type Pending =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<http::Request<Upload>>>> + Send>>;

/// Awaits the head of an answer. Dropped before it came, it hands the wait to a task of its own.
pub struct Awaiting {
    pending: Option<Pending>,
    exchange: Option<Exchange>,
    outcome: Outcome,
}

impl Awaiting {
    /// Starts to wait.
    #[must_use]
    pub fn new(pending: Pending, exchange: Exchange) -> Self {
        // A client that leaves says nothing about the upstream; its answer and a timeout do.
        Self { pending: Some(pending), exchange: Some(exchange), outcome: Outcome::Ignored }
    }

    /// Polls for the head; cancel-safe.
    pub async fn head(&mut self) -> Option<Result<Response<Incoming>, TrySendError<http::Request<Upload>>>> {
        let head = self.pending.as_mut()?.await;
        self.pending = None;
        Some(head)
    }

    /// The route's time is over; whatever still comes is too late. While the client has not sent all of
    /// its request, that is no fault of the upstream.
    pub fn timed_out(&mut self) {
        if self.exchange.as_ref().is_some_and(|exchange| exchange.upload.is_finished()) {
            self.outcome = Outcome::Dropped;
        }
    }

    /// The exchange, once the head is here or will never be.
    #[must_use]
    pub fn into_exchange(mut self) -> Option<Exchange> {
        self.exchange.take()
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        let (Some(pending), Some(exchange)) = (self.pending.take(), self.exchange.take()) else { return };
        let outcome = self.outcome;
        if !exchange.is_worth_finishing() {
            drop(pending);
            exchange.close(outcome);
            return;
        }
        tokio::spawn(async move {
            let mut exchange = exchange;
            let abandon_at = exchange.clock.instant(exchange.abandon_at);
            match tokio::time::timeout_at(abandon_at, pending).await {
                // Whoever wanted to switch is gone, and this is no HTTP any more.
                Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    exchange.close(outcome);
                }
                Ok(Ok(response)) => {
                    let outcome = exchange.answered(response.status(), outcome);
                    read_on(response.into_body(), exchange, outcome).await;
                }
                Ok(Err(_)) => exchange.close(outcome),
                Err(_) => exchange.close(Outcome::Dropped),
            }
        });
    }
}

/// The client left in the middle of the answer.
pub fn discard(body: Incoming, exchange: Exchange) {
    if exchange.is_worth_finishing() {
        tokio::spawn(read_on(body, exchange, Outcome::Served));
    } else {
        drop(body);
        exchange.close(Outcome::Ignored);
    }
}

async fn read_on(mut body: Incoming, exchange: Exchange, outcome: Outcome) {
    let abandon_at = exchange.clock.instant(exchange.abandon_at);
    let reading = async {
        let mut left = DISCARD_MAX;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return false };
            left = rest;
        }
        true
    };
    if tokio::time::timeout_at(abandon_at, reading).await.unwrap_or(false) {
        exchange.finish(outcome);
    } else {
        exchange.close(outcome);
    }
}
