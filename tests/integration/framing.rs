//! From one framing to another, between HTTP/1.1 and HTTP/2 in all four combinations.

use std::sync::atomic::Ordering;

use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;

use crate::stage::{Gate, ask, get, until};
use crate::upstreams::{
    Answer, Body, Door2, Script, Upstream2, before, full, mirror, pieces, raw, text, understood,
};

const HTTP2: &str = "protocol = \"http2\"";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn trailers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://www.example.org{path}"))
}

fn post(path: &str, body: Body) -> Request<Body> {
    request(Method::POST, path).body(body).unwrap()
}

async fn upstream1() -> (Script, Gate, Door2) {
    let script = Script::start().await;
    let gate = before(script.address, "", "").await;
    let door = Door2::of(&gate);
    (script, gate, door)
}

async fn upstream2() -> (Upstream2, Gate, Door2) {
    let upstream = Upstream2::start(None, 100, mirror).await;
    let gate = before(upstream.address, HTTP2, "").await;
    let door = Door2::of(&gate);
    (upstream, gate, door)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_length_from_http2_is_chunked_towards_http1() {
    let (script, _gate, door) = upstream1().await;
    let got = door.ask(post("/up", pieces(&["one", "two"], Ok(HeaderMap::new())))).await;
    assert_eq!((got.0, &got.2[..]), (StatusCode::OK, &b"ok"[..]));
    until("the whole body is there", || async { script.text().ends_with("0\r\n\r\n").then_some(()) }).await;
    let seen = script.text();
    assert!(seen.contains("transfer-encoding: chunked") && !seen.contains("content-length"), "{seen}");
    assert!(seen.contains("one") && seen.contains("two"), "{seen}");
    // DELETE seldom has a body: it must not be lost, nor read as the next request.
    let delete = request(Method::DELETE, "/up").body(pieces(&["three"], Ok(HeaderMap::new())));
    assert_eq!(door.ask(delete.unwrap()).await.0, StatusCode::OK);
    until("the second body is there", || async { script.text().contains("5\r\nthree\r\n").then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_upstreams_get_host_and_version_of_their_own() {
    let (script, _gate, door) = upstream1().await;
    let got = door.ask(request(Method::GET, "/a?b=c").body(full("")).unwrap()).await;
    assert_eq!(got.0, StatusCode::OK);
    let seen = script.text();
    assert!(seen.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{seen}");
    assert_eq!(seen.matches("\r\nhost: www.example.org\r\n").count(), 1, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_upstreams_get_an_authority_and_no_host() {
    let (_upstream, gate, door) = upstream2().await;
    let seen =
        raw(gate.site(), b"GET /a?b=c HTTP/1.1\r\nhost: www.example.org\r\nconnection: close\r\n\r\n").await;
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.contains("GET http://www.example.org/a?b=c HTTP/2.0\n"), "{seen}");
    assert!(!seen.split("\r\n\r\n").nth(1).unwrap().contains("\nhost: "), "{seen}");
    let got = door.ask(request(Method::GET, "/x").body(full("")).unwrap()).await;
    let seen = String::from_utf8_lossy(&got.2).into_owned();
    assert!(seen.contains("GET http://www.example.org/x HTTP/2.0\n") && !seen.contains("\nhost: "), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_from_http1_goes_on_over_http2() {
    let (_upstream, gate, _door) = upstream2().await;
    let sent = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n";
    let seen = String::from_utf8(raw(gate.site(), sent).await).unwrap();
    assert!(seen.contains("body one\n"), "{seen}");
    assert!(!seen.split("\r\n\r\n").nth(1).unwrap().contains("transfer-encoding"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_one_connection_never_reach_http2() {
    let (_upstream, gate, _door) = upstream2().await;
    let headers = [
        ("connection", "x-mine"),
        ("x-mine", "1"),
        ("keep-alive", "5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("x-yours", "2"),
    ];
    let seen = ask(gate.site(), Method::GET, "/", &headers).await.text();
    for gone in ["x-mine", "keep-alive", "proxy-connection", "\nte: ", "connection"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
    assert!(seen.contains("x-yours: 2"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_fields_of_an_answer_end_here() {
    let (script, gate, door) = upstream1().await;
    script.says_text(
        "HTTP/1.1 200 OK\r\nconnection: x-mine\r\nx-mine: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nupgrade: h2c\r\nx-yours: 2\r\ncontent-length: 2\r\n\r\nok",
    );
    let got = get(gate.site(), "/").await;
    let (_, fields, ..) = door.ask(request(Method::GET, "/").body(full("")).unwrap()).await;
    for headers in [got.headers, fields] {
        for gone in ["connection", "x-mine", "keep-alive", "proxy-authenticate", "upgrade"] {
            assert!(!headers.contains_key(gone), "{gone}: {headers:?}");
        }
        assert_eq!(headers["x-yours"], "2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_in_crumbs_reach_http1_in_one_line() {
    let (script, _gate, door) = upstream1().await;
    let crumbs = request(Method::GET, "/").header("cookie", "a=1").header("cookie", "b=2");
    assert_eq!(door.ask(crumbs.body(full("")).unwrap()).await.0, StatusCode::OK);
    let seen = script.text();
    assert!(seen.contains("cookie: a=1; b=2\r\n") && seen.matches("cookie:").count() == 1, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn te_trailers_is_passed_on_and_nothing_else_of_te() {
    let (script, gate, _door) = upstream1().await;
    ask(gate.site(), Method::GET, "/", &[("te", "deflate;q=0.5, trailers")]).await;
    assert!(script.text().contains("te: trailers\r\n") && script.text().contains("connection: te\r\n"));
    let (_upstream, gate, _door) = upstream2().await;
    let seen = ask(gate.site(), Method::GET, "/", &[("te", "trailers")]).await.text();
    assert!(seen.contains("te: trailers\n") && !seen.contains("connection"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn request_trailers_pass_to_both_and_what_belongs_to_a_head_does_not() {
    let sent = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntrailer: x-sum, tornello-pass\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\nx-sum: 7\r\ntornello-pass: p\r\n\r\n";
    let (_upstream, gate, _door) = upstream2().await;
    let seen = String::from_utf8(raw(gate.site(), sent).await).unwrap();
    assert!(seen.contains("trailer x-sum: 7\n") && seen.matches("trailer ").count() == 1, "{seen}");
    let (script, gate, _door) = upstream1().await;
    raw(gate.site(), sent).await;
    until("the trailers are there", || async {
        script.text().contains("\r\n0\r\nx-sum: 7\r\n\r\n").then_some(())
    })
    .await;
    assert!(!script.text().contains("tornello-pass: p"), "{}", script.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn response_trailers_pass_from_http1_to_both() {
    let (script, gate, door) = upstream1().await;
    script.says_text(
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\nset-cookie: a=b\r\ntornello-session: end\r\n\r\n",
    );
    let asked = request(Method::GET, "/").header("te", "trailers").body(full("")).unwrap();
    let (status, _, body, got) = door.ask(asked).await;
    assert_eq!(
        (status, &body[..], got["x-sum"].to_str().unwrap(), got.len()),
        (StatusCode::OK, &b"ok"[..], "7", 1)
    );
    let asked = b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n";
    let got = String::from_utf8(raw(gate.site(), asked).await).unwrap();
    assert!(got.ends_with("2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n"), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn response_trailers_pass_from_http2_to_both_where_http1_has_them_announced() {
    let answer = async |_| {
        let body = pieces(&["ok"], Ok(trailers(&[("x-sum", "7")])));
        Response::builder().header("trailer", "x-sum").body(body).unwrap()
    };
    let upstream = Upstream2::start(None, 100, answer).await;
    let gate = before(upstream.address, HTTP2, "").await;
    let door = Door2::of(&gate);
    let (_, _, body, got) = door.ask(request(Method::GET, "/").body(full("")).unwrap()).await;
    assert_eq!((&body[..], got["x-sum"].to_str().unwrap()), (&b"ok"[..], "7"));
    let asked = b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n";
    let got = String::from_utf8(raw(gate.site(), asked).await).unwrap();
    assert!(got.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_have_none_and_keep_their_length() {
    let (script, gate, door) = upstream1().await;
    for (method, answer, status) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", 200),
        (Method::HEAD, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200),
        (Method::GET, "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n", 204),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n", 304),
    ] {
        script.says_text(answer);
        let line = format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let got = String::from_utf8(raw(gate.site(), line.as_bytes()).await).unwrap();
        assert!(got.starts_with(&format!("HTTP/1.1 {status} ")) && got.ends_with("\r\n\r\n"), "{got}");
        assert_eq!(got.contains("content-length: 1234"), answer.contains("1234"), "{got}");
        let asked = request(method, "/").body(full("")).unwrap();
        let (seen, fields, body, _) = door.ask(asked).await;
        assert_eq!((seen.as_u16(), body.len()), (status, 0));
        assert_eq!(fields.contains_key("content-length"), answer.contains("1234"), "{fields:?}");
    }
    assert_eq!(script.reused.load(Ordering::SeqCst), 0);
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_pass_both_ways() {
    let (script, gate, door) = upstream1().await;
    script.says_text(
        "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 2-4/10\r\ncontent-length: 3\r\n\r\ncde",
    );
    let got = ask(gate.site(), Method::GET, "/", &[("range", "bytes=2-4"), ("if-range", "\"e\"")]).await;
    assert_eq!((got.status.as_u16(), &got.body[..]), (206, &b"cde"[..]));
    assert_eq!(got.headers["content-range"], "bytes 2-4/10");
    assert!(script.text().contains("range: bytes=2-4\r\n") && script.text().contains("if-range: \"e\"\r\n"));
    let asked = request(Method::GET, "/").header("range", "bytes=2-4").body(full("")).unwrap();
    let (status, fields, body, _) = door.ask(asked).await;
    assert_eq!((status.as_u16(), &body[..]), (206, &b"cde"[..]));
    assert_eq!(fields["content-range"], "bytes 2-4/10");
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_is_ours_to_answer_and_is_not_passed_on() {
    let (script, gate, _door) = upstream1().await;
    let sent = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2000\r\n\r\n{}",
        "x".repeat(2000)
    );
    let got = String::from_utf8(raw(gate.site(), sent.as_bytes()).await).unwrap();
    assert!(got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{got}");
    assert!(!script.text().contains("expect"), "{}", script.text());
    // Before it is admitted nobody is told to go on.
    let refusing = before(script.address, "", "body_limit = \"1KiB\"").await;
    let got = String::from_utf8(raw(refusing.site(), sent.as_bytes()).await).unwrap();
    assert!(got.starts_with("HTTP/1.1 413 "), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_of_an_upstream_are_dropped() {
    let (script, gate, door) = upstream1().await;
    script.says_text(&format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{OK}"
    ));
    let got = raw(gate.site(), b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(got.starts_with(b"HTTP/1.1 200 OK") && got.ends_with(b"ok"));
    let got = door.ask(request(Method::GET, "/").body(full("")).unwrap()).await;
    assert_eq!((got.0, &got.2[..]), (StatusCode::OK, &b"ok"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_has_no_clean_end_in_any_framing() {
    let broken = async |_| Response::new(pieces(&["half"], Err(())));
    let upstream = Upstream2::start(None, 100, broken).await;
    let from2 = before(upstream.address, HTTP2, "").await;
    let script = Script::start().await;
    let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec();
    script.says(Answer { bytes, close: true, spoils: true });
    let from1 = before(script.address, "", "").await;
    for gate in [&from1, &from2] {
        let got = raw(gate.site(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(matches!(understood(&got), (0 | 200, false)), "{}", String::from_utf8_lossy(&got));
        let door = Door2::of(gate);
        let asked = request(Method::GET, "/").body(full("")).unwrap();
        // Head and break may arrive together: then there is no head at all.
        let end = match door.client().await.send_request(asked).await {
            Ok(response) => response.into_body().collect().await.expect_err("a clean end"),
            Err(error) => error,
        };
        let reset = std::error::Error::source(&end).unwrap().downcast_ref::<h2::Error>().unwrap();
        assert_eq!(
            reset.reason(),
            Some(h2::Reason::INTERNAL_ERROR),
            "what the upstream meant is not repeated"
        );
        until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_its_client_breaks_off_ends_in_a_reset_upstream() {
    let (seen, mut broken) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |request: Request<hyper::body::Incoming>| {
        let seen = seen.clone();
        async move {
            let _ = seen.send(request.into_body().collect().await.is_err());
            Response::new(full(""))
        }
    };
    let upstream = Upstream2::start(None, 100, answer).await;
    let gate = before(upstream.address, HTTP2, "").await;
    let mut stream = tokio::net::TcpStream::connect(gate.site()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf";
    tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap();
    until("it is under way", || async { (gate.in_flight("app") == 1).then_some(()) }).await;
    drop(stream);
    assert_eq!(broken.recv().await, Some(true), "the upstream took half a body for a whole one");
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_over_http2_calls_the_rest_of_the_upload_off() {
    let answer = async |_| Response::builder().status(413).body(full("too long")).unwrap();
    let upstream = Upstream2::start(None, 100, answer).await;
    let gate = before(upstream.address, &format!("{HTTP2}\nhealth = {{ interval = \"10m\" }}"), "").await;
    let mut stream = tokio::net::TcpStream::connect(gate.site()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nhalf";
    tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap();
    let mut got = vec![0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut got).await.unwrap();
    assert_eq!(got, b"HTTP/1.1 413");
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    // The connection goes on for others.
    assert_eq!(get(gate.site(), "/").await.status.as_u16(), 413);
    // One for the first probe, one for both requests.
    assert!(upstream.connections.load(Ordering::SeqCst) <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_exchanges_share_a_connection_up_to_what_the_upstream_bears() {
    let answer = async |request: Request<hyper::body::Incoming>| {
        assert_eq!(request.version(), Version::HTTP_2);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        Response::new(full("ok"))
    };
    for (bears, connections) in [(100, 1), (10, 4)] {
        let upstream = Upstream2::start(None, bears, answer).await;
        let quiet = format!("{HTTP2}\nhealth = {{ interval = \"10m\" }}");
        let gate = before(upstream.address, &quiet, "").await;
        until("the first probe is over", || async {
            (upstream.connections.load(Ordering::SeqCst) == 1).then_some(())
        })
        .await;
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let site = gate.site();
            crowd.spawn(async move { get(site, "/").await.status });
        }
        while let Some(status) = crowd.join_next().await {
            assert_eq!(status.unwrap(), StatusCode::OK);
        }
        let opened = upstream.connections.load(Ordering::SeqCst) - 1;
        assert!(opened >= 1 && opened <= connections, "{opened} connections at {bears} streams");
        assert!(bears == 100 || opened > 1, "streams beyond what the upstream bears");
        assert_eq!(gate.in_flight("app"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_of_an_upstream_is_hot() {
    let (script, upstream) = (Script::start().await, Upstream2::start(None, 100, mirror).await);
    let gate = before(script.address, "", "").await;
    assert_eq!(&get(gate.site(), "/").await.body[..], b"ok");
    gate.apply(&text(upstream.address, HTTP2, "")).await;
    assert!(get(gate.site(), "/").await.text().contains("HTTP/2.0"));
    gate.apply(&text(script.address, "", "")).await;
    assert_eq!(&get(gate.site(), "/").await.body[..], b"ok");
}
