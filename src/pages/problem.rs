//! Refusals and faults for programs: `application/problem+json` (RFC 9457), with the types that
//! draft-ietf-httpapi-ratelimit-headers registers. Titles are fixed English; `reason` is the word to
//! program against.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::language::Language;
use super::prepared::{Prepared, common_headers};
use super::reason::Reason;
use super::retry_after::RetryAfter;
use super::return_path::encoded;

const QUOTA: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// The facts of one problem.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// What went wrong.
    pub reason: Reason,
    /// Instead of the reason's own status: for clients that hammer on 429.
    pub status: Option<StatusCode>,
    /// One sentence more, in English.
    pub detail: Option<&'a str>,
    /// When to come back. 429 and 503 say a default if nothing is known.
    pub retry_after: Option<RetryAfter>,
    /// When to poll again, milliseconds.
    pub poll_after_ms: Option<u64>,
    /// What the log calls this request.
    pub request_id: Option<&'a str>,
    /// The room that was asked, or that makes the client wait.
    pub room: Option<&'a str>,
    /// The policy that was violated, of those in `RateLimit-Policy`.
    pub violated_policy: Option<&'a str>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_after_ms: Option<u64>,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> Problem<'a> {
    /// A problem of which only the reason is known.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            status: None,
            detail: None,
            retry_after: None,
            poll_after_ms: None,
            request_id: None,
            room: None,
            violated_policy: None,
        }
    }

    /// The whole response.
    #[must_use]
    pub fn response(&self) -> Response<Bytes> {
        let status = self.status.unwrap_or(self.reason.status());
        // The type says what happened, so a quota stays a quota also where 503 is sent for it.
        let (kind, title) = match self.reason.status() {
            StatusCode::TOO_MANY_REQUESTS => (QUOTA, "Quota exceeded"),
            StatusCode::SERVICE_UNAVAILABLE => (CAPACITY, "Temporarily reduced capacity"),
            other => ("about:blank", other.canonical_reason().unwrap_or("Error")),
        };
        let retry = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(self.retry_after.unwrap_or(RetryAfter::DEFAULT))
            }
            _ => self.retry_after,
        };
        let link = |end: &str| {
            let room = self.room.filter(|_| self.reason.joins())?;
            Some(format!("/.tornello/v1/rooms/{}/{end}", encoded(room)))
        };
        let body = Body {
            kind,
            title,
            status: status.as_u16(),
            detail: self.detail,
            reason: self.reason.code(),
            room: self.room,
            join: link("tickets"),
            board: link("board"),
            retry_after: retry.map(RetryAfter::seconds),
            poll_after_ms: self.poll_after_ms,
            violated_policies: self.violated_policy.map(|policy| [policy]),
            request_id: self.request_id,
        };
        let mut json = Vec::with_capacity(512);
        serde_json::to_writer(&mut json, &body).expect("strings and numbers are always JSON");
        let english = Language::from_tag("en").unwrap_or(Language::DEFAULT);
        let headers = common_headers("application/problem+json", english);
        Prepared { status, headers, body: json.into() }.into_response(retry)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
    use serde_json::{Value, json};

    use super::*;

    fn parsed(problem: &Problem<'_>) -> (Response<Bytes>, Value) {
        let response = problem.response();
        let body = serde_json::from_slice(response.body()).unwrap();
        (response, body)
    }

    #[test]
    fn waiting_tells_where_to_join() {
        let (response, body) = parsed(&Problem { room: Some("sala"), ..Problem::new(Reason::Waiting) });
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[RETRY_AFTER], "5");
        assert_eq!(
            body,
            json!({"type": CAPACITY, "title": "Temporarily reduced capacity", "status": 503,
                "reason": "waiting", "room": "sala", "join": "/.tornello/v1/rooms/sala/tickets",
                "board": "/.tornello/v1/rooms/sala/board", "retry_after": 5})
        );
    }

    #[test]
    fn a_quota_is_429_and_may_be_disguised_for_old_clients() {
        let problem = Problem {
            retry_after: Some(RetryAfter::after(std::time::Duration::from_millis(1500))),
            violated_policy: Some("user"),
            ..Problem::new(Reason::OverQuota)
        };
        let (response, body) = parsed(&problem);
        assert_eq!((response.status().as_u16(), &body["type"]), (429, &json!(QUOTA)));
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(body["violated-policies"], json!(["user"]));
        let (response, body) = parsed(&Problem { status: Some(StatusCode::SERVICE_UNAVAILABLE), ..problem });
        assert_eq!(
            (response.status().as_u16(), &body["status"], &body["type"]),
            (503, &json!(503), &json!(QUOTA))
        );
    }

    #[test]
    fn every_reason_is_consistent_and_hostile_text_stays_text() {
        let hostile = "\"}</script>\u{0}\n\u{2028}{\"status\":200";
        for reason in Reason::ALL {
            let problem =
                Problem { detail: Some(hostile), request_id: Some(hostile), ..Problem::new(reason) };
            let (response, body) = parsed(&problem);
            assert_eq!(body["status"], json!(response.status().as_u16()));
            assert_eq!((&body["detail"], &body["request_id"]), (&json!(hostile), &json!(hostile)));
            assert_eq!(body["reason"], json!(reason.code()));
            let must = matches!(response.status().as_u16(), 429 | 503);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), must, "{reason:?}");
        }
    }
}
