//! The forms that answers of the desk have.

use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Response, StatusCode};

use super::super::body::Answer;
use super::super::record::Record;
use super::{Visit, own};

/// Bytes that are the same for all: the one kind of answer of ours that any cache may carry.
pub(super) fn shared_json(body: Bytes) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(Some(body)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
    answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

pub(super) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    typed(status, body, "application/json")
}

/// Bytes for one person.
pub(super) fn personal_json(body: Bytes) -> Response<Answer> {
    let mut answer = shared_json(body);
    answer.headers_mut().remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn problem_answer(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    typed(status, body, "application/problem+json")
}

/// Why a room refuses: the status, the word in JSON and logs, what it means.
pub(super) type Why<'a> = (StatusCode, &'static str, &'a str);

impl Visit<'_> {
    /// Refuses for a reason that only the desk of a room has, and of which nothing more is to be said.
    pub(super) fn refusal(&self, (status, reason, title): Why<'_>, record: Record) -> Response<Answer> {
        let body = serde_json::json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "reason": reason,
            "room": self.room.line.name,
        });
        own(record, reason, problem_answer(status, &body))
    }
}

fn typed(status: StatusCode, body: &serde_json::Value, kind: &'static str) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(Some(Bytes::from(body.to_string()))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn see_other(path: &str) -> Response<Answer> {
    let mut answer = Response::new(Answer::Own(None));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(LOCATION, path);
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
