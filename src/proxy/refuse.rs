//! Refusals and faults as answers: a page for people who navigate, problem+json for everything else.

use std::sync::Arc;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::Proxy;
use super::asked::{Asked, reference};
use super::body::Answer;
use super::forward::Fault;
use super::grpc;
use super::headers::REQUEST_ID;
use super::live::{Live, Room, Route};
use super::record::{Decision, Record};
use crate::admission::Refusal;
use crate::pages::{Language, Problem, RateLimit, Reason, RetryAfter};

/// Says no to a request that was understood.
pub fn refuse(live: &Live, refusal: &Refusal, asked: &Asked, mut record: Record) -> Response<Answer> {
    let route = record.route.route().map(Arc::clone);
    let room = route.as_ref().and_then(|route| route.room.as_deref());
    let answer = match refusal {
        _ if asked.grpc => grpc::refusal(reason(refusal)),
        Refusal::Waiting { not_sent, .. } | Refusal::Closed { not_sent } if asked.html && !not_sent => {
            waiting(live, room, asked, &record)
        }
        Refusal::OverQuota { .. } => over_quota(live, refusal, asked, route.as_deref(), &record),
        Refusal::Ambiguous(why) => ambiguous(live, why, asked, &record),
        _ => told(live, reason(refusal), retry_after(refusal, room), asked, room, &record),
    };
    let mut answer = referenced(answer, &record);
    if *refusal == Refusal::NotBelieved && !asked.grpc {
        answer
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    record.decided(Decision::Refused, refusal.reason(), answer.status());
    record.sent(answer.body().own_length());
    answer
}

/// Says no to a request that could not even be read.
pub fn unread(live: &Live, refusal: &Refusal, fields: &HeaderMap, mut record: Record) -> Response<Answer> {
    let detail = if let Refusal::Ambiguous(why) = refusal { Some(*why) } else { None };
    let html = crate::pages::wants_html(fields);
    let answer = if html {
        live.pages.notice(reason(refusal), Language::negotiate(fields), &record.request_id, None)
    } else {
        let request_id = Some(record.request_id.as_str());
        live.pages.problem(&Problem { detail, request_id, ..Problem::new(reason(refusal)) })
    };
    let answer = referenced(answer, &record);
    record.decided(Decision::Refused, refusal.reason(), answer.status());
    record.sent(answer.body().len());
    answer.map(own)
}

/// Notes a request whose bytes were refused before anybody read them; the answer has `bytes`.
pub fn unheard(proxy: &Proxy, method: &Method, reason: &'static str, status: StatusCode, bytes: usize) {
    let request_id = reference(proxy.fresh_id());
    let mut record = Record::new(&proxy.witness, proxy.clock.now(), method, request_id);
    record.decided(Decision::Refused, reason, status);
    record.sent(bytes);
}

/// Says what broke.
pub fn fault(live: &Live, fault: Fault, asked: &Asked, mut record: Record) -> Response<Answer> {
    let reason = match fault {
        Fault::Unreachable => Reason::UpstreamDown,
        Fault::Broken => Reason::BadGateway,
        Fault::Timeout => Reason::GatewayTimeout,
        Fault::BodyTooLong => Reason::TooLarge,
        Fault::Client | Fault::TooSlow => Reason::BadRequest,
        Fault::TunnelsFull => Reason::Saturated,
    };
    let answer =
        if asked.grpc { grpc::refusal(reason) } else { told(live, reason, None, asked, None, &record) };
    let mut answer = referenced(answer, &record);
    if fault == Fault::TooSlow && !asked.grpc {
        *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
    }
    let ours = fault == Fault::TunnelsFull;
    let decision = if ours { Decision::Refused } else { Decision::Fault };
    record.decided(decision, fault.reason(), answer.status());
    record.sent(answer.body().own_length());
    answer
}

/// An answer of our own endpoints that is no success: a page for people, whose forms come here.
pub fn problem(
    live: &Live,
    asked: &Asked,
    record: Record,
    reason: Reason,
    detail: Option<&str>,
) -> Response<Answer> {
    problem_until(live, asked, record, reason, detail, None)
}

/// The same, with the time after which it makes sense to ask again.
pub fn problem_until(
    live: &Live,
    asked: &Asked,
    mut record: Record,
    reason: Reason,
    detail: Option<&str>,
    retry_after: Option<RetryAfter>,
) -> Response<Answer> {
    let answer = if asked.html {
        live.pages.notice(reason, asked.language, &record.request_id, retry_after)
    } else {
        let request_id = Some(record.request_id.as_str());
        live.pages.problem(&Problem { detail, request_id, retry_after, ..Problem::new(reason) })
    };
    let answer = referenced(answer, &record);
    record.decided(Decision::Own, reason.code(), answer.status());
    record.sent(answer.body().len());
    answer.map(own)
}

/// The answer to a request that ended in a panic. Its record has spoken; only what kind of answer is
/// wanted is still known.
pub fn broken(live: &Live, accept: &HeaderMap) -> Response<Answer> {
    let answer = if crate::pages::wants_html(accept) {
        live.pages.notice(Reason::Internal, Language::DEFAULT, "", None)
    } else {
        live.pages.problem(&Problem::new(Reason::Internal))
    };
    answer.map(own)
}

/// The reference by which a person may ask, and an operator find the line.
fn referenced<B>(mut answer: Response<B>, record: &Record) -> Response<B> {
    if let Ok(reference) = HeaderValue::from_str(&record.request_id) {
        answer.headers_mut().insert(REQUEST_ID, reference);
    }
    answer
}

fn ambiguous(live: &Live, why: &'static str, asked: &Asked, record: &Record) -> Response<Answer> {
    if asked.html {
        return told(live, Reason::BadRequest, None, asked, None, record);
    }
    let request_id = Some(record.request_id.as_str());
    let problem = Problem { detail: Some(why), request_id, ..Problem::new(Reason::BadRequest) };
    live.pages.problem(&problem).map(own)
}

fn own(bytes: Bytes) -> Answer {
    Answer::Own(Some(bytes))
}

/// The waiting page: the same prebuilt bytes for everybody.
fn waiting(live: &Live, room: Option<&Room>, asked: &Asked, record: &Record) -> Response<Answer> {
    let Some(room) = room else { return told(live, Reason::Waiting, None, asked, None, record) };
    let retry = RetryAfter::after(room.settings.policy.poll.min);
    let page = live.pages.waiting(&room.line.name, asked.language, asked.coding, retry);
    page.map_or_else(|| told(live, Reason::Waiting, None, asked, Some(room), record), |page| page.map(own))
}

fn over_quota(
    live: &Live,
    refusal: &Refusal,
    asked: &Asked,
    route: Option<&Route>,
    record: &Record,
) -> Response<Answer> {
    let Refusal::OverQuota { retry_after, burst, window } = *refusal else {
        return told(live, Reason::OverQuota, None, asked, None, record);
    };
    // Clients that hammer on 429 and obey 503 get what they obey.
    let status = live.settings.edge.legacy_503_for_429.then_some(StatusCode::SERVICE_UNAVAILABLE);
    let retry = RetryAfter::after(retry_after);
    let policy = route.and_then(|route| route.settings.quota.as_deref()).unwrap_or("door");
    let mut answer = if asked.html {
        let mut page = live.pages.notice(Reason::OverQuota, asked.language, &record.request_id, Some(retry));
        *page.status_mut() = status.unwrap_or(page.status());
        page
    } else {
        live.pages.problem(&Problem {
            status,
            retry_after: Some(retry),
            request_id: Some(&record.request_id),
            violated_policy: Some(policy),
            ..Problem::new(Reason::OverQuota)
        })
    };
    let limit = RateLimit { policy, burst: u64::from(burst), window, remaining: 0, reset: retry_after };
    limit.write(answer.headers_mut());
    answer.map(own)
}

fn told(
    live: &Live,
    reason: Reason,
    retry_after: Option<RetryAfter>,
    asked: &Asked,
    room: Option<&Room>,
    record: &Record,
) -> Response<Answer> {
    let answer = if asked.html {
        live.pages.notice(reason, asked.language, &record.request_id, retry_after)
    } else {
        live.pages.problem(&Problem {
            retry_after,
            request_id: Some(&record.request_id),
            room: room.map(|room| room.line.name.as_str()),
            ..Problem::new(reason)
        })
    };
    answer.map(own)
}

fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::Ambiguous(_) => Reason::BadRequest,
        Refusal::Misdirected => Reason::Misdirected,
        Refusal::Unrouted => Reason::NotFound,
        Refusal::NotBelieved => Reason::NotBelieved,
        Refusal::OverQuota { .. } => Reason::OverQuota,
        Refusal::Waiting { not_sent: true, .. } | Refusal::Closed { not_sent: true } => Reason::NotSent,
        Refusal::Closed { not_sent: false } => Reason::Closed,
        Refusal::Ended => Reason::Ended,
        Refusal::Waiting { held: Some(_), .. } => Reason::Held,
        Refusal::Waiting { held: None, .. } => Reason::Waiting,
        Refusal::BypassSpent { .. } => Reason::BypassSpent,
        Refusal::Saturated { .. } => Reason::Saturated,
        Refusal::UpstreamDown => Reason::UpstreamDown,
        Refusal::BodyTooLong => Reason::TooLarge,
    }
}

fn retry_after(refusal: &Refusal, room: Option<&Room>) -> Option<RetryAfter> {
    match refusal {
        Refusal::Saturated { retry_after } | Refusal::BypassSpent { retry_after } => {
            Some(RetryAfter::after(*retry_after))
        }
        Refusal::Waiting { .. } => room.map(|room| RetryAfter::after(room.settings.policy.poll.min)),
        Refusal::Closed { .. } => room.map(|room| RetryAfter::after(room.settings.policy.poll.max)),
        _ => None,
    }
}
