//! Header fields on their way through: what ends at us, what is added, what is never passed on.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, FORWARDED, HOST, HeaderName, SET_COOKIE, TE, TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, HeaderValue, Version};

use super::caching::{self, Storing};
use super::chain::{FORWARDED_FOR, FORWARDED_PROTO, element};
use super::trace;
use crate::config::settings::{ForwardedHeader, TraceRule};

/// Fields that speak to the next hop only (RFC 9110 §7.6.1), whoever names them.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields that reach the other end whoever nominates them in `Connection`: a client's wish takes away
/// neither what frames a message, nor who asks, nor who may store the answer.
const END_TO_END: [HeaderName; 10] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    AUTHORIZATION,
    COOKIE,
    SET_COOKIE,
    CACHE_CONTROL,
    VARY,
];

/// The limit under which a request was let through; opt-in per upstream.
pub const LIMIT: HeaderName = HeaderName::from_static("tornello-limit");
/// Proves to the upstream that a request comes from inside.
pub const PASS: HeaderName = HeaderName::from_static("tornello-pass");
/// The upstream ends, extends or revokes a session.
pub const SESSION: HeaderName = HeaderName::from_static("tornello-session");
/// The upstream says how many units are left.
pub const REMAINING: HeaderName = HeaderName::from_static("tornello-remaining");
/// Reference of a request, through all logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const OURS: &str = "tornello-";
/// Most fields that we add to a request.
const OURS_MOST: usize = 10;

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

/// Takes out what ends at this hop, the fields that `Connection` names included, and those that are
/// `unwanted` by their name. Each name is looked at once; most fields stay, and cost no more than that.
fn strip(headers: &mut HeaderMap, vouched: &[HeaderName], unwanted: impl Fn(&str) -> bool) {
    if headers.contains_key(CONNECTION) {
        let lines: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        for name in lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')) {
            match HeaderName::try_from(name.trim()) {
                Ok(name) if !END_TO_END.contains(&name) && !vouched.contains(&name) => {
                    headers.remove(name);
                }
                _ => {}
            }
        }
    }
    let ends = |name: &&HeaderName| is_hop_by_hop(name.as_str()) || unwanted(name.as_str());
    let names: Vec<HeaderName> = headers.keys().filter(ends).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Ours, or a name that some upstreams would take for another: CGI and WSGI read `_` as `-`.
fn is_ours_or_odd(name: &str) -> bool {
    name.starts_with(OURS) || name.contains('_')
}

/// What only a proxy says: where a request came from, what it asked for, and who it is. Upstreams and
/// their frameworks believe these, so from an untrusted peer none of them is passed on.
fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded")
        || matches!(
            name,
            "forwarded"
                | "cf-connecting-ip"
                | "client-ip"
                | "front-end-https"
                | "remote-user"
                | "true-client-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "x-envoy-external-address"
                | "x-original-host"
                | "x-original-uri"
                | "x-original-url"
                | "x-originating-ip"
                | "x-real-ip"
                | "x-remote-addr"
                | "x-remote-ip"
                | "x-remote-user"
                | "x-rewrite-url"
                | "x-url-scheme"
        )
}

/// What the upstream must know of where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The peer is trusted, so its chain is continued; else it is begun anew.
    pub peer_trusted: bool,
    /// The connection's peer.
    pub peer: IpAddr,
    /// The client, as far as trusted proxies tell.
    pub client: IpAddr,
    /// The crowd's side was encrypted.
    pub secure: bool,
    /// The host that was asked for.
    pub host: &'a str,
    /// The port, if one was named.
    pub port: Option<u16>,
    /// The chain that is believed, and continued.
    pub chain: ForwardedHeader,
    /// Whose traces are passed on.
    pub trace: TraceRule,
    /// Reference of the request.
    pub request_id: &'a str,
}

/// Makes a request's fields fit for the upstream.
///
/// `vouched` are the fields in which a trusted proxy names a person, a lane or staff: from anybody else they
/// are lies. Our own fields are set last, so that nothing a client sends takes them away or stands beside them.
pub fn towards_upstream(headers: &mut HeaderMap, origin: &Origin<'_>, vouched: &[HeaderName]) {
    let trailers = accepts_trailers(headers);
    let lies =
        |name: &str| !origin.peer_trusted && (is_claim(name) || vouched.iter().any(|known| known == name));
    // 100 is ours to give, when the body is asked for.
    strip(headers, vouched, |name| name == "expect" || is_ours_or_odd(name) || lies(name));
    headers.reserve(OURS_MOST);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if headers.contains_key(COOKIE) {
        join_cookies(headers);
        strip_our_cookies(headers);
    }
    trace::pass(headers, origin.peer_trusted, origin.trace);
    let client = text(origin.client);
    match origin.chain {
        ForwardedHeader::XForwardedFor => continue_x_forwarded(headers, origin, &client),
        ForwardedHeader::Forwarded => continue_forwarded(headers, origin, &client),
    }
    set(headers, REAL_IP, &client);
    set(headers, REQUEST_ID, origin.request_id);
}

/// An address in words.
fn text(address: IpAddr) -> String {
    match address {
        // Octet by octet: what formatting costs would be a tenth of all that is done here.
        IpAddr::V4(v4) => {
            let mut text = String::with_capacity(15);
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    text.push('.');
                }
                let digits = [octet / 100, octet / 10 % 10, octet % 10];
                let zeros = if octet >= 100 { 0 } else { 1 + usize::from(octet < 10) };
                text.extend(digits.into_iter().skip(zeros).map(|digit| char::from(b'0' + digit)));
            }
            text
        }
        IpAddr::V6(v6) => v6.to_string(),
    }
}

/// The peer joins `X-Forwarded-For`. `Forwarded` was not looked at, so it is not passed on: two chains
/// that tell different stories are one lie.
fn continue_x_forwarded(headers: &mut HeaderMap, origin: &Origin<'_>, client: &str) {
    if !origin.peer_trusted {
        // Nobody spoke for the client, so nothing of a chain is left, and it is the peer.
        set(headers, FORWARDED_FOR, client);
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme(origin)));
        set(headers, FORWARDED_HOST, origin.host);
        headers.insert(FORWARDED_PORT, port(origin).into());
        return;
    }
    headers.remove(FORWARDED);
    let chain = joined(headers, &FORWARDED_FOR, &text(origin.peer.to_canonical()));
    set(headers, FORWARDED_FOR, &chain);
    let said = |headers: &HeaderMap, name: &HeaderName| headers.get_all(name).iter().count() == 1;
    if !said(headers, &FORWARDED_PROTO) {
        set(headers, FORWARDED_PROTO, scheme(origin));
    }
    if !said(headers, &FORWARDED_HOST) {
        set(headers, FORWARDED_HOST, origin.host);
    }
    if !said(headers, &FORWARDED_PORT) {
        headers.insert(FORWARDED_PORT, port(origin).into());
    }
}

/// The peer joins `Forwarded`; the `X-Forwarded-` fields are written from what was found in it, for
/// upstreams that read those.
fn continue_forwarded(headers: &mut HeaderMap, origin: &Origin<'_>, client: &str) {
    let chain = joined(headers, &FORWARDED, &element(origin.peer, origin.host, origin.secure));
    set(headers, FORWARDED, &chain);
    let peer = origin.peer.to_canonical();
    let hops = if origin.client == peer { client.to_owned() } else { format!("{client}, {peer}") };
    set(headers, FORWARDED_FOR, &hops);
    set(headers, FORWARDED_PROTO, scheme(origin));
    set(headers, FORWARDED_HOST, origin.host);
    headers.insert(FORWARDED_PORT, port(origin).into());
}

fn scheme(origin: &Origin<'_>) -> &'static str {
    if origin.secure { "https" } else { "http" }
}

/// The port that was named, else the scheme's own.
fn port(origin: &Origin<'_>) -> u16 {
    origin.port.unwrap_or(if origin.secure { 443 } else { 80 })
}

/// All lines of a list and one element more.
fn joined(headers: &HeaderMap, name: &HeaderName, last: &str) -> String {
    let mut list = String::new();
    for line in headers.get_all(name).iter().filter_map(|line| line.to_str().ok()) {
        list.push_str(line);
        list.push_str(", ");
    }
    list.push_str(last);
    list
}

/// Trailers carry what is known only at the end, and nothing that we, or the other end, judged by the
/// head: neither framing, nor who asks, nor who may store it (RFC 9110 §6.5.1).
pub fn fit_trailers(trailers: &mut HeaderMap, vouched: &[HeaderName]) {
    strip(trailers, vouched, |name| {
        is_ours_or_odd(name)
            || is_claim(name)
            || END_TO_END.iter().any(|known| known == name)
            || REQUEST_ID == name
            || vouched.iter().any(|known| known == name)
            || matches!(
                name,
                "age"
                    | "date"
                    | "expect"
                    | "expires"
                    | "location"
                    | "max-forwards"
                    | "range"
                    | "retry-after"
                    | "trailer"
                    | "traceparent"
                    | "tracestate"
            )
            || name.starts_with("if-")
            || name.starts_with("www-authenticate")
            || name.ends_with("cache-control")
    });
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

/// Makes an answer's fields fit for the client; returns what was meant for us.
pub fn towards_client(headers: &mut HeaderMap, storing: Storing) -> Told {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let speaks_to_us = headers.keys().any(|name| name.as_str().starts_with(OURS));
    let told = if speaks_to_us {
        let remaining = text(&REMAINING).and_then(|units| units.trim().parse().ok());
        Told { session: text(&SESSION).map(str::to_owned), remaining }
    } else {
        Told::default()
    };
    strip(headers, &[], is_ours_or_odd);
    caching::restrict(headers, storing);
    told
}

/// Adds a cookie of ours and makes the answer private.
pub fn set_cookie(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(SET_COOKIE, value);
        caching::nobody(headers);
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
            client: if peer_trusted { [192, 0, 2, 7].into() } else { [10, 0, 0, 1].into() },
            secure: false,
            host: "example.org",
            port: None,
            chain: ForwardedHeader::XForwardedFor,
            trace: TraceRule::Trusted,
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
            ("x-forwarded-ssl", "on"),
            ("x-real-ip", "1.1.1.1"),
            ("x-original-url", "/wallet"),
            ("x-request-id", "r0"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ]);
        towards_upstream(&mut sent, &origin(false), &[]);
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
                "x-forwarded-port: 80",
                "x-forwarded-proto: http",
                "x-real-ip: 10.0.0.1",
                "x-request-id: r1"
            ]
        );
    }

    #[test]
    fn an_address_is_written_as_everybody_writes_it() {
        for octet in [0, 1, 9, 10, 19, 90, 99, 100, 101, 110, 199, 200, 255] {
            let address = IpAddr::from([octet, 0, 255, octet]);
            assert_eq!(text(address), address.to_string());
        }
        assert_eq!(text("2001:db8::1".parse().unwrap()), "2001:db8::1");
    }

    #[test]
    fn a_trusted_chain_is_continued() {
        let mut sent = headers(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")]);
        towards_upstream(&mut sent, &origin(true), &[]);
        assert_eq!(sent["x-forwarded-for"], "192.0.2.7, 10.0.0.1");
        assert_eq!(
            (&sent["x-forwarded-proto"], &sent["x-real-ip"]),
            (&"https".parse().unwrap(), &"192.0.2.7".parse().unwrap())
        );
    }

    /// Whichever chain is believed, the upstream finds the same client in every field it may read.
    #[test]
    fn both_chains_tell_one_story() {
        let lies = [
            ("forwarded", "for=6.6.6.6, for=192.0.2.7;proto=https"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
        ];
        let mut by_x = headers(&lies);
        towards_upstream(&mut by_x, &origin(true), &[]);
        assert!(!by_x.contains_key("forwarded"), "what was not looked at is not passed on");
        let mut by_rfc = headers(&lies);
        let chain = ForwardedHeader::Forwarded;
        towards_upstream(&mut by_rfc, &Origin { chain, secure: true, ..origin(true) }, &[]);
        let own = "for=10.0.0.1;host=\"example.org\";proto=https";
        assert_eq!(by_rfc["forwarded"], format!("{}, {own}", lies[0].1));
        assert_eq!(by_rfc["x-forwarded-for"], "192.0.2.7, 10.0.0.1");
        assert_eq!(
            (&by_rfc["x-forwarded-host"], &by_rfc["x-forwarded-port"]),
            (&"example.org".parse().unwrap(), &"443".parse().unwrap())
        );
        let mut untrusted = headers(&lies);
        towards_upstream(&mut untrusted, &Origin { chain, ..origin(false) }, &[]);
        assert_eq!(untrusted["forwarded"], "for=10.0.0.1;host=\"example.org\";proto=http");
        assert_eq!(untrusted["x-forwarded-for"], "10.0.0.1");
    }

    /// Who a field is for, by its name: what `Connection` names ends here, unless it is the other end's
    /// by nature; our own fields and those that only proxies speak reach nobody from a client.
    #[test]
    fn forty_names_go_where_they_belong() {
        const ENDS: [&str; 27] = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-authentication-info",
            "http2-settings",
            "te",
            "transfer-encoding",
            "upgrade",
            "expect",
            "tornello-limit",
            "tornello-session",
            "tornello-ticket",
            "tornello-pass",
            "tornello-anything",
            "tornello_limit",
            "x_user",
            "x_forwarded_for",
            "x-user",
            "x-original-url",
            "x-rewrite-url",
            "x-client-ip",
            "true-client-ip",
            "x-forwarded-ssl",
            "x-nominated",
            "traceparent",
        ];
        const PASSES: [&str; 13] = [
            "host",
            "content-length",
            "content-type",
            "content-encoding",
            "authorization",
            "cookie",
            "cache-control",
            "accept",
            "user-agent",
            "x-custom",
            "range",
            "if-none-match",
            "trailer",
        ];
        let identity = HeaderName::from_static("x-user");
        let nominated =
            format!("close, x-nominated, {}, {}", PASSES[..7].join(", "), "x-real-ip,x-request-id");
        let mut sent = HeaderMap::new();
        for name in ENDS.iter().chain(&PASSES) {
            sent.insert(*name, "v".parse().unwrap());
        }
        sent.insert("connection", nominated.parse().unwrap());
        let mut answer = sent.clone();
        let mut trailers = sent.clone();
        towards_upstream(&mut sent, &origin(false), std::slice::from_ref(&identity));
        let left: Vec<&str> = ENDS.into_iter().filter(|name| sent.contains_key(*name)).collect();
        assert!(left.is_empty(), "towards the upstream: {left:?}");
        let lost: Vec<&str> = PASSES.into_iter().filter(|name| !sent.contains_key(*name)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert_eq!(
            (&sent["x-real-ip"], &sent["x-request-id"]),
            (&"10.0.0.1".parse().unwrap(), &"r1".parse().unwrap())
        );
        // Towards the client: a field that only a request has there is the upstream's own business.
        towards_client(&mut answer, Storing::AsTold);
        let hop_and_ours = |name: &&&str| {
            !matches!(
                **name,
                "expect"
                    | "x-user"
                    | "x-original-url"
                    | "x-rewrite-url"
                    | "x-client-ip"
                    | "true-client-ip"
                    | "x-forwarded-ssl"
                    | "traceparent"
            )
        };
        let left: Vec<&&str> =
            ENDS.iter().filter(hop_and_ours).filter(|name| answer.contains_key(**name)).collect();
        assert!(left.is_empty(), "towards the client: {left:?}");
        let lost: Vec<&str> = PASSES.into_iter().filter(|name| !answer.contains_key(*name)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        trailers.insert("grpc-status", "0".parse().unwrap());
        fit_trailers(&mut trailers, std::slice::from_ref(&identity));
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "grpc-status", "user-agent", "x-custom"]);
    }

    #[test]
    fn the_name_of_a_person_cannot_be_nominated_away() {
        let identity = HeaderName::from_static("x-user");
        let mut sent = headers(&[("connection", "x-user"), ("x-user", "anna")]);
        towards_upstream(&mut sent, &origin(true), std::slice::from_ref(&identity));
        assert_eq!(sent["x-user"], "anna");
    }

    #[test]
    fn nobody_outside_names_a_lane_or_staff() {
        let vouched = ["x-user", "x-staff", "x-lane"].map(HeaderName::from_static);
        let all = [("x-staff", "yes"), ("x-lane", "offices"), ("x-custom", "1")];
        let mut sent = headers(&all);
        towards_upstream(&mut sent, &origin(false), &vouched);
        assert!(
            !sent.contains_key("x-staff") && !sent.contains_key("x-lane") && sent.contains_key("x-custom")
        );
        let mut vouched_for = headers(&all);
        towards_upstream(&mut vouched_for, &origin(true), &vouched);
        assert_eq!(
            (&vouched_for["x-staff"], &vouched_for["x-lane"]),
            (&"yes".parse().unwrap(), &"offices".parse().unwrap())
        );
        let mut trailers = headers(&all);
        fit_trailers(&mut trailers, &vouched);
        assert_eq!(trailers.len(), 1);
    }

    #[test]
    fn our_cookies_stay_with_us_and_others_go_on() {
        let mut sent = headers(&[
            ("cookie", "a=1; tornello-ticket-main=x; b=2"),
            ("cookie", "__Host-tornello-pass-main=y"),
        ]);
        towards_upstream(&mut sent, &origin(false), &[]);
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
        let told = towards_client(&mut answer, Storing::Nobody);
        assert_eq!((told.session.as_deref(), told.remaining), (Some("end"), Some(17)));
        let mut left: Vec<_> =
            answer.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(left, [("cache-control", "private, no-store"), ("content-type", "text/html")]);
    }
}
