//! What is sent on, what is not, and that bytes arrive as they were.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stage::{Gate, Origin, ask, get, try_ask};

fn plain(origin: &Origin) -> String {
    format!(
        r#"
[upstream.app]
addresses = ["{}"]
[route.all]
path = "/"
upstream = "app"
body_limit = "64MiB"
"#,
        origin.address
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_gets_what_was_judged_and_nothing_in_our_name() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&plain(&origin)).await;
    let headers = [
        ("tornello-limit", "999"),
        ("connection", "x-drop"),
        ("x-drop", "1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("cookie", "a=1; tornello-pass-main=x"),
        ("x-keep", "yes"),
        ("x-real-ip", "192.0.2.1"),
        ("x_forwarded_for", "192.0.2.1"),
    ];
    let seen = ask(gate.site(), Method::GET, "/a//b/../%63?q=%2f&x", &headers).await.text();
    assert!(seen.starts_with("GET /a/c?q=%2f&x\n"), "{seen}");
    for gone in ["tornello", "x-drop", "192.0.2.1"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    for there in [
        "x-keep: yes",
        "cookie: a=1\n",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-request-id: ",
    ] {
        assert!(seen.contains(there), "{there} not in {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_go_by_host_then_longest_prefix_at_segment_borders() {
    let (one, two, three) = (Origin::echo().await, Origin::echo().await, Origin::echo().await);
    let gate = Gate::start(&format!(
        r#"
[upstream.one]
addresses = ["{}"]
[upstream.two]
addresses = ["{}"]
[upstream.three]
addresses = ["{}"]
[route.one]
path = "/app"
upstream = "one"
[route.two]
path = "/app/wallet"
upstream = "two"
[route.three]
host = "other.example"
path = "/"
upstream = "three"
"#,
        one.address, two.address, three.address
    ))
    .await;
    let went = |origin: &Origin| origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst);
    get(gate.site(), "/app/wallets").await;
    get(gate.site(), "/app").await;
    assert_eq!((went(&one), went(&two), went(&three)), (2, 0, 0));
    get(gate.site(), "/app/wallet/x").await;
    get(gate.site(), "/app/x/..//wallet").await;
    assert_eq!((went(&one), went(&two)), (2, 2));
    assert_eq!(get(gate.site(), "/apple").await.status, StatusCode::NOT_FOUND);
    get(gate.site(), "/app/wallet;v=1/x").await;
    assert_eq!((went(&one), went(&two)), (2, 3), "path parameters lead to no other route");
    let dotted =
        raw(gate.site(), "GET /app HTTP/1.1\r\nhost: other.example.\r\nconnection: close\r\n\r\n").await;
    assert!(dotted.starts_with("HTTP/1.1 200") && went(&three) == 1, "{dotted}");
    let raw =
        raw(gate.site(), "GET /app HTTP/1.1\r\nhost: OTHER.example:80\r\nconnection: close\r\n\r\n").await;
    assert!(raw.starts_with("HTTP/1.1 200"), "{raw}");
    assert_eq!(went(&three), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_in_two_ways_is_refused() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&plain(&origin)).await;
    for target in ["/a%2fb", "/..", "/a%00", "/a%5c..", "/%zz"] {
        let got = get(gate.site(), target).await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{target}");
        assert_eq!(got.json()["reason"], "bad_request");
    }
    for head in [
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a@b\r\nconnection: close\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nhost: b.example\r\nconnection: close\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\nhost: b.example\r\nconnection: close\r\n\r\n",
        "GET /x/..;/y HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ] {
        assert!(raw(gate.site(), head).await.starts_with("HTTP/1.1 400"), "{head}");
    }
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

async fn raw(to: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut out = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut out)).await;
    String::from_utf8_lossy(&out).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_both_ways_whole_and_the_limit_is_enforced() {
    let origin = Origin::start(None, |request| Response::new(Full::new(request.body().clone()))).await;
    let gate = Gate::start(&plain(&origin)).await;
    let body: Bytes = (0..8_000_000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into();
    let got = try_ask(gate.site(), Method::POST, "/", &[], body.clone()).await.unwrap();
    assert!(got.status == StatusCode::OK && got.body == body);
    let long = Bytes::from(vec![0; 70 * 1024 * 1024]);
    let refused = try_ask(gate.site(), Method::POST, "/", &[], long).await.expect("the client sees why");
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_in_the_middle_is_seen_as_truncation() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
            });
        }
    });
    let gate = Gate::start(&format!(
        "[upstream.app]\naddresses = [\"{address}\"]\n[route.all]\npath = \"/\"\nupstream = \"app\"\n"
    ))
    .await;
    assert!(try_ask(gate.site(), Method::GET, "/", &[], Bytes::new()).await.is_err());
    crate::stage::until("the permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

/// What an upstream sends that nobody asked for must not become the next client's answer.
#[tokio::test(flavor = "multi_thread")]
async fn stray_bytes_of_an_upstream_reach_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                while stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nPOISON").await;
                }
            });
        }
    });
    let gate = Gate::start(&format!(
        "[upstream.app]\naddresses = [\"{address}\"]\n[route.all]\npath = \"/\"\nupstream = \"app\"\n"
    ))
    .await;
    for _ in 0..100 {
        assert_ne!(get(gate.site(), "/").await.text(), "POISON");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The upstream closes each connection after one answer without saying so. A POST is never sent on a
/// connection that is dead already; none is lost and none sent twice. (One that meets the very moment of
/// the close may have been worked on: it cannot be sent again, and is told so.)
#[tokio::test(flavor = "multi_thread")]
async fn posts_do_not_die_on_stale_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, mut closes) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let closed = closed.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                if length > 0 {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    drop(stream);
                    let _ = closed.send(());
                }
            });
        }
    });
    let gate = Gate::start(&format!(
        "[upstream.app]\naddresses = [\"{address}\"]\n[route.all]\npath = \"/\"\nupstream = \"app\"\n"
    ))
    .await;
    for number in 0..300 {
        let got = try_ask(gate.site(), Method::POST, "/", &[], Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(got.status, StatusCode::OK, "POST {number}");
        closes.recv().await.unwrap();
    }
    drop(gate);
    assert!(closes.try_recv().is_err(), "each was sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_set_cookies_of_ours_or_stand_behind_a_room_are_nobody_elses() {
    let origin = Origin::start(None, |_| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"personal")));
        let headers = response.headers_mut();
        headers.insert("cache-control", "public, max-age=60".parse().unwrap());
        headers.insert("cdn-cache-control", "max-age=60".parse().unwrap());
        headers.insert("etag", "\"x\"".parse().unwrap());
        response
    })
    .await;
    let gate = Gate::start(&format!(
        r#"
[upstream.app]
addresses = ["{}"]
[room.main]
[route.room]
path = "/room"
upstream = "app"
room = "main"
[route.free]
path = "/"
upstream = "app"
"#,
        origin.address
    ))
    .await;
    for path in ["/room", "/room/x"] {
        let got = get(gate.site(), path).await;
        assert_eq!(got.headers["cache-control"], "private, no-store");
        assert!(!got.headers.contains_key("cdn-cache-control") && !got.headers.contains_key("etag"));
    }
    assert_eq!(get(gate.site(), "/").await.headers["cache-control"], "public, max-age=60");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_per_user_and_say_when_to_come_back() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&format!(
        r#"
[identity]
credential = {{ cookie = "session" }}
[quota.few]
rate = "1/m"
burst = 2
prefix = {{ rate = "100/s", burst = 1000 }}
[upstream.app]
addresses = ["{}"]
[route.all]
path = "/"
upstream = "app"
quota = "few"
"#,
        origin.address
    ))
    .await;
    let as_user = async |cookie: &str| ask(gate.site(), Method::GET, "/", &[("cookie", cookie)]).await;
    for _ in 0..2 {
        assert_eq!(as_user("session=anna").await.status, StatusCode::OK);
    }
    let refused = as_user("session=anna").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["reason"], "over_quota");
    let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((30..=60).contains(&after), "{after}");
    assert!(refused.headers.contains_key("ratelimit") && refused.headers.contains_key("x-ratelimit-limit"));
    let page = crate::stage::visit(gate.site(), "/", "session=anna").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "where there is no room a person is told so, too");
    assert!(page.text().contains("<html") && page.headers.contains_key("ratelimit"));
    assert_eq!(as_user("session=bruno").await.status, StatusCode::OK, "another user has another bucket");
}
