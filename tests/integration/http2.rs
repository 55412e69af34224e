//! HTTP/2 towards the crowd: real clients, the one form of a request, floods and their end.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Gate, Origin, ask, get, until};
use crate::tls::{Pair, settings};

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

fn plain(origin: SocketAddr, edge: &str, more: &str) -> String {
    format!(
        "[edge]\n{edge}\n[upstream.app]\naddresses = [\"{origin}\"]\n{more}\n[route.all]\nupstream = \"app\"\n"
    )
}

async fn open(to: SocketAddr) -> (Sender, tokio::task::JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(to).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn text(response: http::Response<hyper::body::Incoming>) -> String {
    String::from_utf8_lossy(&response.into_body().collect().await.unwrap().to_bytes()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_the_form_that_http1_gives_it() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&plain(origin.address, "", "")).await;
    let (mut sender, _connection) = open(gate.site()).await;
    let request = Request::post("http://www.example.org/x?y=1")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(Full::new(Bytes::from("body")))
        .unwrap();
    let seen = text(sender.send_request(request).await.unwrap()).await;
    assert!(seen.starts_with("POST /x?y=1\n"), "{seen}");
    for line in
        ["host: www.example.org\n", "cookie: a=1; b=2\n", "content-length: 4\n", "x-forwarded-proto: http\n"]
    {
        assert!(seen.contains(line), "{line} {seen}");
    }
    assert_eq!(seen.matches("cookie: ").count(), 1, "{seen}");
    let both = Request::get("http://www.example.org/").header("host", "other.example");
    let refused = sender.send_request(both.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let same = Request::get("http://www.example.org/").header("host", "www.example.org");
    assert_eq!(sender.send_request(same.body(Full::default()).unwrap()).await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_h2load_are_served_in_the_clear_and_over_tls() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let pair = Pair::write(folder.path(), "a", &["localhost", "127.0.0.1"]);
    // As many as h2load asks for at once: what is tested is the protocol, not the queue.
    let limit = "[upstream.app]\nlimit = { law = \"fixed\", initial = 400, ceiling = 400 }\n";
    let text = settings(origin.address, &[&pair], "").replace("[upstream.app]\n", limit);
    let gate = Gate::start(&text).await;
    let (clear, encrypted) = (gate.running.listen[0], gate.running.listen[1]);
    let curl = |arguments: Vec<String>| async move {
        let done =
            tokio::task::spawn_blocking(move || Command::new("curl").args(arguments).output().unwrap());
        String::from_utf8_lossy(&done.await.unwrap().stdout).into_owned()
    };
    let said = |option: &str, to: String| {
        ["-sk", option, "-w", "%{http_version} %{http_code}", "-o", "/dev/null"]
            .map(str::to_owned)
            .into_iter()
            .chain([to])
            .collect::<Vec<_>>()
    };
    assert_eq!(curl(said("--http2-prior-knowledge", format!("http://{clear}/"))).await, "2 200");
    assert_eq!(curl(said("--http1.1", format!("http://{clear}/"))).await, "1.1 200");
    assert_eq!(curl(said("--http2", format!("https://{encrypted}/"))).await, "2 200");
    assert_eq!(curl(said("--http1.1", format!("https://{encrypted}/"))).await, "1.1 200");
    for to in [format!("http://{clear}/"), format!("https://{encrypted}/")] {
        let load = tokio::task::spawn_blocking(move || {
            Command::new("h2load").args(["-n", "2000", "-c", "10", "-m", "20", &to]).output().unwrap()
        });
        let told = String::from_utf8_lossy(&load.await.unwrap().stdout).into_owned();
        assert!(told.contains("2000 succeeded, 0 failed, 0 errored"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_told_so_in_the_words_of_grpc() {
    let origin = Origin::echo().await;
    let quota = "[quota.few]\nrate = \"1/d\"\nburst = 1\n";
    let text = plain(origin.address, "", quota).replace("[route.all]\n", "[route.all]\nquota = \"few\"\n");
    let gate = Gate::start(&text).await;
    assert_eq!(get(gate.site(), "/").await.status, 200);
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::TOO_MANY_REQUESTS);
    let (mut sender, _connection) = open(gate.site()).await;
    for kind in ["application/grpc", "application/grpc+proto"] {
        let call =
            Request::post("http://a.example/s/m").header("content-type", kind).header("te", "trailers");
        let answer = sender.send_request(call.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["grpc-status"]),
            (200, &"8".parse().unwrap())
        );
        assert_eq!(answer.headers()["grpc-message"], "over_quota");
        assert_eq!(answer.headers()["content-type"], "application/grpc");
    }
    let web = ask(gate.site(), http::Method::POST, "/", &[("content-type", "application/grpc-web")]).await;
    assert_eq!(web.status, StatusCode::TOO_MANY_REQUESTS, "another protocol");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_told_goodbye_and_a_busy_one_is_not() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&plain(origin.address, "idle_timeout = \"200ms\"", "")).await;
    let (mut sender, connection) = open(gate.site()).await;
    let ask = |path: &str| Request::get(format!("http://a.example{path}")).body(Full::default()).unwrap();
    origin.delay(1_500);
    assert_eq!(sender.send_request(ask("/slow")).await.unwrap().status(), 200, "longer than the idle time");
    // The client's side ends well: it was told, not cut off.
    tokio::time::timeout(Duration::from_secs(10), connection).await.unwrap().unwrap().unwrap();
}

/// Raw frames.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET / HTTP/2` to a.example: three fields of the static table and a literal.
fn head() -> Vec<u8> {
    [&[0x82, 0x86, 0x84, 0x41, 9][..], b"a.example"].concat()
}

fn hello() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat()
}

/// Sends bytes as fast as they are taken, and reads to the end.
async fn flood(to: SocketAddr, bytes: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = TcpStream::connect(to).await.unwrap().into_split();
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(&bytes).await;
        writer
    });
    let mut answer = Vec::new();
    let reading = reader.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it ends");
    writing.abort();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_taken_back_at_once_cost_neither_token_nor_permit() {
    let origin = Origin::echo().await;
    let quota = "[quota.few]\nrate = \"1/d\"\nburst = 3\nprefix = { rate = \"1/d\", burst = 3 }\n";
    let text = plain(origin.address, "", quota).replace("[route.all]\n", "[route.all]\nquota = \"few\"\n");
    let gate = Gate::start(&text).await;
    let mut sent = 0;
    while sent < 10_000 {
        let mut bytes = hello();
        for number in 0..100 {
            let stream = 2 * number + 1;
            bytes.extend(frame(1, 5, stream, &head()));
            bytes.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
            sent += 1;
        }
        flood(gate.site(), bytes).await;
    }
    assert_eq!(gate.in_flight("app"), 0);
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
    for _ in 0..3 {
        assert_eq!(get(gate.site(), "/").await.status, 200, "all tokens are there");
    }
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flood_of_frames_is_ended_and_counted() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&plain(origin.address, "", "")).await;
    let many = |count: usize, one: Vec<u8>| one.repeat(count);
    let post = frame(1, 4, 1, &[&[0x83, 0x86, 0x84, 0x41, 9][..], b"a.example"].concat());
    let floods: [(&str, Vec<u8>); 8] = [
        ("h2_resets", [post.clone(), many(20_000, frame(3, 0, 1, &[0, 0, 0, 8]))].concat()),
        ("h2_pings", many(20_000, frame(6, 0, 0, &[7; 8]))),
        ("h2_settings", many(20_000, frame(4, 0, 0, &[]))),
        ("h2_priorities", many(20_000, frame(2, 0, 3, &[0, 0, 0, 0, 9]))),
        ("h2_unknown", many(20_000, frame(0x42, 0, 0, &[1]))),
        ("h2_window_updates", many(20_000, frame(8, 0, 0, &[0, 0, 0, 1]))),
        ("h2_hollow_data", [post.clone(), many(20_000, frame(0, 0, 1, &[]))].concat()),
        ("h2_continuations", [frame(1, 1, 1, &head()), many(1_000, frame(9, 0, 1, &[]))].concat()),
    ];
    let closed = &gate.running.proxy.witness.metrics.connections_closed;
    for (name, flooding) in floods {
        let answer = flood(gate.site(), [hello(), flooding].concat()).await;
        let goaway =
            answer.windows(17).any(|last| last[..5] == [0, 0, 8, 7, 0] && last[13..] == [0, 0, 0, 0xb]);
        // A reset that overtakes the last words loses them; the count does not.
        assert!(goaway || answer.len() < 4096, "{name}: {} bytes and no GOAWAY", answer.len());
        until(name, || async { (closed.with_label_values(&[name]).get() == 1).then_some(()) }).await;
    }
    assert_eq!(gate.in_flight("app"), 0);
    assert_eq!(get(gate.site(), "/").await.status, 200, "everybody else is served");
}

/// Made to reset (CVE-2025-8671): the client's errors, our RST_STREAM, and nothing of it reaches anybody.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_we_are_made_to_reset_end_the_connection() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&plain(origin.address, "", "")).await;
    let post = [&[0x83, 0x86, 0x84, 0x41, 9][..], b"a.example", &[0x0f, 0x0d, 1], b"9"].concat();
    let bytes = (0..2_000).flat_map(|number| {
        let stream = 2 * number + 1;
        [frame(1, 4, stream, &post), frame(8, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
    });
    flood(gate.site(), [hello(), bytes.collect()].concat()).await;
    let closed = &gate.running.proxy.witness.metrics.connections_closed;
    let count = |name: &str| closed.with_label_values(&[name]).get();
    until("it is counted", || async { (count("h2_own_resets") + count("h2_parser") == 1).then_some(()) })
        .await;
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(gate.in_flight("app"), 0);
}

/// A client that shuts its windows, or opens them by drops, holds its permit no longer than one that does
/// not empty its socket.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_its_windows_keep_back_is_cut_off_and_its_permit_freed() {
    let origin =
        Origin::start(None, |_| http::Response::new(Full::new(Bytes::from(vec![0; 4_000_000])))).await;
    let shut = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let wide = frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    let drop_for = |stream: u32| frame(8, 0, stream, &[0, 0, 0, 1]);
    for (settings, drops) in
        [(&shut, None), (&shut, Some(drop_for(1))), (&wide, None), (&wide, Some(drop_for(0)))]
    {
        let gate = Gate::start(&plain(origin.address, "min_rate = \"1KiB\"\npatience = \"500ms\"", "")).await;
        let (mut reader, mut writer) = TcpStream::connect(gate.site()).await.unwrap().into_split();
        let ask = frame(1, 5, 1, &head());
        writer.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings, &ask].concat()).await.unwrap();
        let dripping = tokio::spawn(async move {
            while let Some(drops) = &drops
                && writer.write_all(drops).await.is_ok()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            writer
        });
        let mut answer = Vec::new();
        let reading = reader.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("it is cut off");
        let metrics = &gate.running.proxy.witness.metrics;
        assert_eq!(metrics.connections_closed.with_label_values(&["h2_stall"]).get(), 1);
        assert_eq!(metrics.slow_clients.with_label_values(&["answer"]).get(), 1);
        until("the permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
        dripping.abort();
    }
}
