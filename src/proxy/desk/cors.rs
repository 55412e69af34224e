//! Which pages of other origins may speak to the desk (Fetch standard, CORS). Never with cookies: an app
//! shows its ticket in a field of its own.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue,
    ORIGIN, VARY,
};
use http::{HeaderMap, Method, Response, StatusCode};

use super::super::asked::Asked;
use super::super::body::Answer;
use super::super::live::Live;

/// The origin of a request, if it is one that the operator allows and our protocol is spoken.
pub(super) fn allowed(live: &Live, asked: &Asked, fields: &HeaderMap) -> Option<HeaderValue> {
    let mut origins = fields.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
    let known = live.settings.edge.cors_origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
    (known && asked.path.starts_with("/.tornello/v1/")).then(|| origin.clone())
}

/// The answer to a browser that asks first.
pub(super) fn preflight(asked: &Asked, fields: &HeaderMap) -> Option<Response<Answer>> {
    if asked.method != Method::OPTIONS || !fields.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut answer = Response::new(Answer::Own(None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, tornello-handoff, tornello-invitation, tornello-pass, tornello-ticket, tornello-try",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(answer)
}

/// Lets the page of `origin` read the answer.
pub(super) fn open_to(origin: HeaderValue, mut answer: Response<Answer>) -> Response<Answer> {
    let fields = answer.headers_mut();
    if !fields.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        // What is the same for everybody says `*` to everybody, whatever caches make of `Vary`.
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    fields.append(VARY, HeaderValue::from_static("Origin"));
    answer
}
