//! What is said of a request when it is over: one log line and its metrics, from the decision.
//!
//! No address, identity, path or query in clear: the route's name says what was asked, a keyed hash
//! says by whom. A record speaks when it is dropped, so that no way out of a request is silent.

use std::io::Write;
use std::sync::Arc;

use crate::admission::{Class, Moment, UserKey};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::proxy::access_log::AccessLog;
use crate::proxy::live::{Room, Route};
use crate::store::book::Why;

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Sent on.
    Forwarded,
    /// Answered by our own endpoints.
    Own,
    /// We said no.
    Refused,
    /// Something broke.
    Fault,
}

impl Decision {
    fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Own => "own",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }
}

/// The shared ends that records speak to.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Where lines go.
    pub log: Arc<AccessLog>,
    /// Where counts go.
    pub metrics: Arc<Metrics>,
    /// Reads the time.
    pub clock: Clock,
}

/// What a request is filed under.
#[derive(Clone, Debug)]
pub enum Label {
    /// A word of ours.
    Ours(&'static str),
    /// A route of the configuration.
    Configured(Arc<Route>),
}

impl Label {
    /// The route that was found for the request.
    #[must_use]
    pub fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Ours(_) => None,
            Self::Configured(route) => Some(route),
        }
    }
}

impl std::ops::Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Ours(word) => word,
            Self::Configured(route) => &route.name,
        }
    }
}

/// One request's record.
#[derive(Debug)]
pub struct Record {
    witness: Witness,
    /// When its head was read.
    pub begun: Moment,
    /// The route's name; `-` if none matched.
    pub route: Label,
    /// The room that it is about, where no route says so.
    pub room: Option<Arc<Room>>,
    /// The request's method, by name from a short list.
    pub method: &'static str,
    /// Who, as a keyed hash.
    pub user: UserKey,
    /// Class that it was treated as.
    pub class: Class,
    /// What happened.
    pub decision: Decision,
    /// Why.
    pub reason: &'static str,
    /// Status of the answer.
    pub status: u16,
    /// Reference shown on our pages and passed to the upstream.
    pub request_id: String,
    /// Milliseconds that it waited for a permit.
    pub waited_ms: u64,
    bytes: u64,
    end: &'static str,
    endless: bool,
}

impl Record {
    /// A record of a request whose head was read at `begun`.
    #[must_use]
    pub fn new(witness: &Witness, begun: Moment, method: &http::Method, request_id: String) -> Self {
        Self {
            witness: witness.clone(),
            begun,
            route: Label::Ours("-"),
            room: None,
            method: method_name(method),
            user: UserKey(0),
            class: Class::default(),
            decision: Decision::Fault,
            reason: "gone",
            status: 499,
            request_id,
            waited_ms: 0,
            bytes: 0,
            end: "gone",
            endless: false,
        }
    }

    /// What was decided, and the status that says so.
    pub fn decided(&mut self, decision: Decision, reason: &'static str, status: http::StatusCode) {
        (self.decision, self.reason, self.status) = (decision, reason, status.as_u16());
        if decision != Decision::Forwarded {
            self.end = "complete";
        }
    }

    /// Bytes of the body went down.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// All of the answer was handed over.
    pub fn complete(&mut self) {
        self.end = "complete";
    }

    /// A tunnel or an event stream: how long it lasts says nothing of how long requests take.
    pub fn endless(&mut self) {
        self.endless = true;
    }

    /// Nothing moved for too long, and it was ended.
    pub fn idle(&mut self) {
        self.end = "idle";
    }

    /// Why the public log counts it as refused, if it does.
    fn refused(&self) -> Option<Why> {
        let word = match self.decision {
            Decision::Forwarded => return None,
            Decision::Own => return matches!(self.reason, "closed" | "ended").then_some(Why::Closed),
            Decision::Refused | Decision::Fault => self.reason,
        };
        Some(match word {
            "over_quota" => Why::Abuse,
            "not_believed" => Why::Unproven,
            "waiting" | "held" => Why::Wait,
            "closed" | "ended" => Why::Closed,
            "saturated" | "tunnels_full" => Why::Busy,
            "bad_request" | "misdirected" | "body_too_long" => Why::Unreadable,
            "upstream_down" => Why::Failed,
            _ if self.decision == Decision::Fault && self.status >= 500 => Why::Failed,
            _ => return None,
        })
    }

    /// The upstream died in the middle of the answer.
    pub fn truncated(&mut self) {
        self.end = "truncated";
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.decision, self.reason, self.status, self.end) = (Decision::Fault, "panic", 500, "gone");
        }
        let Witness { log, metrics, clock } = &self.witness;
        let took = clock.now().since(self.begun);
        let code = status_name(self.status);
        let labels = [&*self.route, self.decision.name(), self.reason, code];
        metrics.requests.with_label_values(&labels).inc();
        let room = self.room.as_ref().or_else(|| self.route.route()?.room.as_ref());
        if let Some((room, why)) = room.zip(self.refused()) {
            room.line.book.refuse(why);
        }
        if self.decision == Decision::Forwarded && !self.endless {
            metrics.duration.with_label_values(&[&*self.route]).observe(took.as_secs_f64());
        }
        log.line(|out| {
            let _ = write!(
                out,
                r#"{{"time_ms":{},"route":"{}","method":"{}","status":{},"decision":"{}","reason":"{}","class":"p{}","user":"{:08x}","request_id":"{}","took_us":{},"waited_ms":{},"bytes":{},"end":"{}"}}"#,
                clock.unix().0,
                &*self.route,
                self.method,
                self.status,
                self.decision.name(),
                self.reason,
                self.class as u8,
                self.user.0 >> 32,
                self.request_id,
                took.as_micros(),
                self.waited_ms,
                self.bytes,
                self.end,
            );
        });
    }
}

fn method_name(method: &http::Method) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    KNOWN.into_iter().find(|known| method.as_str() == *known).unwrap_or("other")
}

/// The status as a label: those that we give by name, the upstream's by class.
fn status_name(status: u16) -> &'static str {
    match status {
        400 => "400",
        404 => "404",
        408 => "408",
        413 => "413",
        414 => "414",
        417 => "417",
        421 => "421",
        429 => "429",
        431 => "431",
        499 => "499",
        501 => "501",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        505 => "505",
        other => match other / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}
