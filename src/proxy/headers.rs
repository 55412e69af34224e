//! Header fields on their way through: what ends at us, what is added, what is never passed on.

use std::net::IpAddr;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, COOKIE, ETAG, EXPECT, EXPIRES, FORWARDED, HOST, HeaderName,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Version};

/// Fields that speak to the next hop only (RFC 9110 §7.6.1), whoever names them.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields that frame, route or judge a message, or tell who speaks: they count in its head only (RFC
/// 9110 §6.5.1), where we looked at them.
const HEAD_ONLY: [&str; 22] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "location",
    "max-forwards",
    "range",
    "retry-after",
    "set-cookie",
    "trailer",
    "vary",
    "x-real-ip",
    "x-request-id",
];

/// The limit under which a request was let through; opt-in per upstream.
pub const LIMIT: HeaderName = HeaderName::from_static("tornello-limit");
/// The upstream ends, extends or revokes a session.
pub const SESSION: HeaderName = HeaderName::from_static("tornello-session");
/// The upstream says how many units are left.
pub const REMAINING: HeaderName = HeaderName::from_static("tornello-remaining");
/// Reference of a request, through all logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const OURS: &str = "tornello-";

/// Makes trailers fit for the next hop: nothing that ends here, that belongs to a head, or that speaks
/// in our name.
pub fn fit_trailers(trailers: &mut HeaderMap) {
    strip_hop_by_hop(trailers);
    strip_ours(trailers);
    let misplaced =
        |name: &HeaderName| HEAD_ONLY.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-");
    let misplaced: Vec<HeaderName> = trailers.keys().filter(|name| misplaced(name)).cloned().collect();
    for name in misplaced {
        trailers.remove(name);
    }
}

/// An answer whose end can be found in two ways, or in a coding that nobody undoes (RFC 9112 §6.1, §6.3).
#[must_use]
pub fn is_ambiguous(answer: &HeaderMap, version: Version) -> bool {
    let mut codings = answer.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return false };
    codings.next().is_some()
        || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
        || answer.contains_key(CONTENT_LENGTH)
        || version != Version::HTTP_11
}

/// The client said `TE: trailers`. It is said again to the upstream: without it some, gRPC's all, send no
/// trailers.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    let said = |line: &HeaderValue| {
        let mut codings = line.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| {
            coding
                .split(|byte| *byte == b';')
                .next()
                .is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        })
    };
    headers.get_all(TE).iter().any(said)
}

/// HTTP/2 may send each cookie in a line of its own; others read one line (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Takes out what ends at this hop, the fields that `Connection` names included.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let lines: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        for name in lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')) {
            // What frames the message or names the host cannot be taken away by a client's wish.
            match HeaderName::try_from(name.trim()) {
                Ok(name) if name != HOST && name != CONTENT_LENGTH => {
                    headers.remove(name);
                }
                _ => {}
            }
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Takes out every field of ours: nobody else may speak in our name.
fn strip_ours(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| is_ours_or_odd(name.as_str())).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Ours, or a name that some upstreams would take for another: CGI and WSGI read `_` as `-`.
fn is_ours_or_odd(name: &str) -> bool {
    name.starts_with(OURS) || name.contains('_')
}

/// What the upstream must know of where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The peer is trusted, so its chain is continued; else it is begun anew.
    pub peer_trusted: bool,
    /// The connection's peer.
    pub peer: IpAddr,
    /// The crowd's side was encrypted.
    pub secure: bool,
    /// The host that was asked for.
    pub host: &'a str,
    /// Reference of the request.
    pub request_id: &'a str,
}

/// Makes a request's fields fit for the upstream.
///
/// `identity` is the field in which a trusted proxy names a person: from anybody else it is a lie.
pub fn towards_upstream(headers: &mut HeaderMap, origin: &Origin<'_>, identity: Option<&HeaderName>) {
    let trailers = accepts_trailers(headers);
    strip_hop_by_hop(headers);
    strip_ours(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if !origin.peer_trusted {
        headers.remove("x-real-ip");
        if let Some(identity) = identity {
            headers.remove(identity);
        }
    }
    // 100 is ours to give, when the body is asked for.
    headers.remove(EXPECT);
    join_cookies(headers);
    strip_our_cookies(headers);
    let mut chain = String::new();
    if origin.peer_trusted {
        for line in headers.get_all(&FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()) {
            chain.push_str(line);
            chain.push_str(", ");
        }
    } else {
        headers.remove(FORWARDED);
    }
    chain.push_str(&origin.peer.to_canonical().to_string());
    set(headers, FORWARDED_FOR, &chain);
    if !origin.peer_trusted || !headers.contains_key(&FORWARDED_PROTO) {
        let scheme = if origin.secure { "https" } else { "http" };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !origin.peer_trusted || !headers.contains_key(&FORWARDED_HOST) {
        set(headers, FORWARDED_HOST, origin.host);
    }
    set(headers, REQUEST_ID, origin.request_id);
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Tickets and passes are between us and the client.
fn strip_our_cookies(headers: &mut HeaderMap) {
    let is_ours = |pair: &[u8]| {
        let name = pair.trim_ascii();
        let name = name.strip_prefix(b"__Host-").unwrap_or(name);
        name.starts_with(OURS.as_bytes())
    };
    let some_ours = |line: &HeaderValue| line.as_bytes().split(|byte| *byte == b';').any(is_ours);
    if !headers.get_all(COOKIE).iter().any(some_ours) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let kept: Vec<&[u8]> =
            line.as_bytes().split(|byte| *byte == b';').filter(|pair| !is_ours(pair)).collect();
        let joined = kept.join(&b';');
        let joined = joined.trim_ascii();
        if let (false, Ok(value)) = (joined.is_empty(), HeaderValue::from_bytes(joined)) {
            headers.append(COOKIE, value);
        }
    }
}

/// What an upstream told us with its answer.
#[derive(Debug, Default)]
pub struct Told {
    /// `Tornello-Session`.
    pub session: Option<String>,
    /// `Tornello-Remaining`.
    pub remaining: Option<u64>,
}

/// Makes an answer's fields fit for the client; returns what was meant for us. `personal` answers are
/// never stored by anybody, whatever the upstream says of them; those that set a cookie never are.
pub fn towards_client(headers: &mut HeaderMap, personal: bool) -> Told {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let told = Told {
        session: text(&SESSION).map(str::to_owned),
        remaining: text(&REMAINING).and_then(|units| units.trim().parse().ok()),
    };
    strip_hop_by_hop(headers);
    strip_ours(headers);
    if personal {
        keep_private(headers);
    }
    told
}

/// The client's from now on, and nobody else's.
pub fn keep_private(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    for name in ["surrogate-control", "x-accel-expires", "edge-control", "last-modified", "age"] {
        headers.remove(name);
    }
    let for_caches = |name: &&HeaderName| name.as_str().ends_with("cdn-cache-control");
    let targeted: Vec<HeaderName> = headers.keys().filter(for_caches).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
    headers.remove(EXPIRES);
    headers.remove(ETAG);
}

/// Adds a cookie of ours and makes the answer private.
pub fn set_cookie(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(SET_COOKIE, value);
        keep_private(headers);
    }
}

/// The text of a cookie of ours. Over TLS it is bound to the host; a login that returns by a POST from
/// another site must carry it, hence `SameSite=None` there.
#[must_use]
pub fn cookie(kind: &str, room: &str, token: &str, secure: bool) -> String {
    if secure {
        format!("__Host-tornello-{kind}-{room}={token}; Path=/; Secure; HttpOnly; SameSite=None")
    } else {
        format!("tornello-{kind}-{room}={token}; Path=/; HttpOnly; SameSite=Lax")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn origin(peer_trusted: bool) -> Origin<'static> {
        Origin {
            peer_trusted,
            peer: [10, 0, 0, 1].into(),
            secure: false,
            host: "example.org",
            request_id: "r1",
        }
    }

    #[test]
    fn nothing_of_this_hop_and_nothing_in_our_name_reaches_the_upstream() {
        let mut sent = headers(&[
            ("connection", "keep-alive, x-drop, host"),
            ("x-drop", "1"),
            ("host", "example.org"),
            ("keep-alive", "5"),
            ("te", "gzip;q=0.5, trailers"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("tornello-limit", "999"),
            ("tornello-ticket", "t"),
            ("x-forwarded-for", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-proto", "https"),
        ]);
        towards_upstream(&mut sent, &origin(false), None);
        let mut left: Vec<_> =
            sent.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(
            left,
            [
                "host: example.org",
                "te: trailers",
                "x-forwarded-for: 10.0.0.1",
                "x-forwarded-host: example.org",
                "x-forwarded-proto: http",
                "x-request-id: r1"
            ]
        );
    }

    #[test]
    fn a_trusted_chain_is_continued() {
        let mut sent = headers(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")]);
        towards_upstream(&mut sent, &origin(true), None);
        assert_eq!(sent["x-forwarded-for"], "192.0.2.7, 10.0.0.1");
        assert_eq!(sent["x-forwarded-proto"], "https");
    }

    #[test]
    fn our_cookies_stay_with_us_and_others_go_on() {
        let mut sent = headers(&[
            ("cookie", "a=1; tornello-ticket-main=x; b=2"),
            ("cookie", "__Host-tornello-pass-main=y"),
        ]);
        towards_upstream(&mut sent, &origin(false), None);
        let cookies: Vec<_> = sent.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
    }

    #[test]
    fn what_an_upstream_tells_us_stays_with_us_and_personal_answers_are_nobody_elses() {
        let mut answer = headers(&[
            ("tornello-session", "end"),
            ("tornello-remaining", "17"),
            ("cache-control", "public, max-age=60"),
            ("cdn-cache-control", "max-age=60"),
            ("etag", "\"x\""),
            ("connection", "close"),
            ("content-type", "text/html"),
        ]);
        let told = towards_client(&mut answer, true);
        assert_eq!((told.session.as_deref(), told.remaining), (Some("end"), Some(17)));
        let mut left: Vec<_> =
            answer.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(left, [("cache-control", "private, no-store"), ("content-type", "text/html")]);
    }
}
