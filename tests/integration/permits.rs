//! Promise 1: no request is sent while as many as the limit are unfinished at the upstream, counted by
//! the upstream itself, whatever clients do.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Gate, Origin, ask, get, try_ask, until};

fn limited(origin: &Origin, limit: u32, wait: &str, more: &str) -> String {
    format!(
        r#"
[upstream.app]
addresses = ["{}"]
limit = {{ law = "fixed", initial = {limit}, floor = 1, ceiling = 100, wait = "{wait}" }}
[route.all]
path = "/"
upstream = "app"
timeout = "5s"
{more}
"#,
        origin.address
    )
}

/// Three in ten hang up after their request is on its way; the origin keeps working for them.
#[tokio::test(flavor = "multi_thread")]
async fn never_over_the_limit_while_clients_hang_up() {
    let origin = Origin::echo().await;
    origin.delay(20);
    let gate = Gate::start(&limited(&origin, 7, "2s", "")).await;
    let mut crowd = tokio::task::JoinSet::new();
    for person in 0..60u32 {
        let site = gate.site();
        crowd.spawn(async move {
            for turn in 0..10u32 {
                if (person * 7 + turn * 3) % 10 < 3 {
                    let mut stream = TcpStream::connect(site).await.unwrap();
                    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(u64::from((person + turn) % 15))).await;
                } else {
                    let got = try_ask(site, Method::GET, "/", &[], Bytes::new()).await.unwrap();
                    assert!(matches!(got.status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
                }
            }
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }
    let max = origin.truth.in_flight_max.load(Ordering::SeqCst);
    assert!(max <= 7, "the origin saw {max} at once");
    assert!(max >= 6, "the limit was used: {max}");
    until("all permits are free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_stays_with_an_upstream_that_works_for_a_client_who_left() {
    let origin = Origin::echo().await;
    origin.delay(400);
    let gate = Gate::start(&limited(&origin, 1, "10ms", "")).await;
    let mut gone = TcpStream::connect(gate.site()).await.unwrap();
    gone.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until("the origin is at work", || async { (origin.in_flight() == 1).then_some(()) }).await;
    drop(gone);
    let refused = get(gate.site(), "/").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "the origin is still at work");
    assert_eq!(refused.json()["reason"], "saturated");
    assert!(refused.headers.contains_key("retry-after"));
    until("the origin has finished and the permit is free", || async {
        (origin.in_flight() == 0 && gate.in_flight("app") == 0).then_some(())
    })
    .await;
    origin.delay(0);
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK);
}

/// A GET with a body is one request with one body, also when its sender leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_keeps_its_permit_and_its_body() {
    let origin =
        Origin::start(None, |request| http::Response::new(http_body_util::Full::new(request.body().clone())))
            .await;
    let gate = Gate::start(&limited(&origin, 1, "10ms", "")).await;
    let head = b"GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let mut whole = TcpStream::connect(gate.site()).await.unwrap();
    whole.write_all(head).await.unwrap();
    let mut answer = String::new();
    whole.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("body"), "{answer}");
    origin.delay(400);
    let mut gone = TcpStream::connect(gate.site()).await.unwrap();
    gone.write_all(head).await.unwrap();
    until("the origin is at work", || async { (origin.in_flight() == 1).then_some(()) }).await;
    drop(gone);
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    until("it is over", || async { (origin.in_flight() == 0).then_some(()) }).await;
}

/// A reader that takes nothing holds its permit for a while, but neither the room nor the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_no_stall_of_the_upstream() {
    let origin = Origin::start(None, |_| {
        http::Response::new(http_body_util::Full::new(Bytes::from(vec![0; 64_000_000])))
    })
    .await;
    let room = "room = \"main\"\n[room.main]\nseats = { floor = 5, ceiling = 5 }\n";
    let text = limited(&origin, 4, "10ms", room).replace("wait = ", "stall = \"500ms\", wait = ");
    let gate = Gate::start(&text).await;
    let mut reader = TcpStream::connect(gate.site()).await.unwrap();
    reader.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    reader.read_exact(&mut [0; 100]).await.unwrap();
    let begun = crate::stage::now();
    while begun.elapsed() < Duration::from_millis(1_200) {
        let board = get(gate.site(), "/.tornello/v1/rooms/main/board").await.json();
        assert_eq!(board["board"]["state"], "open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(gate.in_flight("app"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bypass_budget_counts_what_is_unfinished_upstream() {
    let origin = Origin::echo().await;
    origin.delay(500);
    let more = "room = \"main\"\nbypass_paths = [\"/back\"]\nbypass_limit = 1\n[room.main]\nhold = true\n";
    let gate = Gate::start(&limited(&origin, 10, "10ms", more)).await;
    for _ in 0..3 {
        let mut gone = TcpStream::connect(gate.site()).await.unwrap();
        gone.write_all(b"GET /back HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(origin.truth.in_flight_max.load(Ordering::SeqCst), 1);
}

/// Staff, by address or by what the trusted proxy says, and nobody who only says so; all of them counted.
#[tokio::test(flavor = "multi_thread")]
async fn staff_pass_by_within_a_budget_and_nobody_else_does() {
    let origin = Origin::echo().await;
    let ways = |trusted: &str, ways: &str| {
        let more = format!(
            "room = \"main\"\nbypass_limit = 2\n{ways}\n[room.main]\nhold = true\n[edge]\n{trusted}\n"
        );
        limited(&origin, 10, "10ms", &more)
    };
    let said = "bypass_header = { name = \"x-staff\", value = \"yes\" }";
    let gate = Gate::start(&ways("trusted_proxies = [\"10.0.0.7\"]", said)).await;
    let staff = [("x-staff", "yes")];
    let asked = async || ask(gate.site(), Method::GET, "/a", &staff).await;
    assert_eq!(asked().await.json()["reason"], "held", "whoever says so is nobody");
    gate.apply(&ways("trusted_proxies = [\"127.0.0.1\"]", said)).await;
    assert_eq!(asked().await.status, StatusCode::OK);
    assert_eq!(ask(gate.site(), Method::GET, "/a", &[("x-staff", "no")]).await.json()["reason"], "held");
    let twice = [("x-staff", "yes"), ("x-staff", "no")];
    assert_eq!(ask(gate.site(), Method::GET, "/a", &twice).await.json()["reason"], "held", "said twice");
    gate.apply(&ways("", "bypass_addresses = [\"127.0.0.0/8\"]")).await;
    assert_eq!(get(gate.site(), "/a").await.status, StatusCode::OK);
    // The budget is two at once; the third is told so at once, and the limit holds all of them.
    origin.delay(700);
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let site = gate.site();
        crowd.spawn(async move { get(site, "/a").await });
    }
    until("two are under way", || async { (gate.in_flight("app") == 2).then_some(()) }).await;
    let third = get(gate.site(), "/a").await;
    assert_eq!(
        (third.status, third.json()["reason"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("bypass_spent"))
    );
    assert_eq!(third.headers["content-type"], "application/problem+json");
    assert!(third.headers.contains_key("retry-after"));
    assert!(crowd.join_all().await.iter().all(|got| got.status == StatusCode::OK));
    origin.delay(0);
    assert_eq!(get(gate.site(), "/a").await.status, StatusCode::OK, "what was spent comes back");
    let metrics = String::from_utf8(gate.running.proxy.witness.metrics.text()).unwrap();
    let counted = |way: &str, result: &str, count: u32| {
        let line =
            format!("tornello_bypass_total{{result=\"{result}\",route=\"all\",way=\"{way}\"}} {count}");
        assert!(metrics.contains(&line), "{line}");
    };
    counted("header", "passed", 1);
    counted("address", "passed", 4);
    counted("address", "spent", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_known_to_stop_frees_the_permit_at_once() {
    let origin = Origin::echo().await;
    origin.delay(3_000);
    let gate = Gate::start(&limited(&origin, 1, "10ms", "on_client_gone = \"cancel\"")).await;
    let mut gone = TcpStream::connect(gate.site()).await.unwrap();
    gone.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until("the request is on its way", || async { (gate.in_flight("app") == 1).then_some(()) }).await;
    drop(gone);
    until("the permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    assert_eq!(origin.in_flight(), 1, "long before the origin has finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_get_a_permit_in_order_or_a_true_refusal_in_time() {
    let origin = Origin::echo().await;
    origin.delay(50);
    // Those who only look in may be refused sooner, see `queue`.
    let gate = Gate::start(&limited(&origin, 1, "1s", "class = \"admitted\"")).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let site = gate.site();
        crowd.spawn(async move {
            let begun = crate::stage::now();
            let got = try_ask(site, Method::GET, "/", &[], Bytes::new()).await.unwrap();
            (got.status, begun.elapsed())
        });
    }
    let (mut served, mut refused) = (0, 0);
    while let Some(done) = crowd.join_next().await {
        match done.unwrap() {
            (StatusCode::OK, _) => served += 1,
            (StatusCode::SERVICE_UNAVAILABLE, waited) => {
                assert!(
                    waited >= Duration::from_millis(900),
                    "refused only when the time was over: {waited:?}"
                );
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(served >= 5 && refused >= 5, "{served} served, {refused} refused");
    assert_eq!(origin.truth.in_flight_max.load(Ordering::SeqCst), 1);
}

/// Bots that look in fill the queue; whoever has a pass goes before all of them.
#[tokio::test(flavor = "multi_thread")]
async fn those_inside_go_before_those_who_look_in() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&limited(
        &origin,
        1,
        "3s",
        "room = \"main\"\n[room.main]\nseats = { floor = 5, ceiling = 5 }\n",
    ))
    .await;
    let pass = crate::stage::visit(gate.site(), "/", "").await.cookie().unwrap();
    origin.delay(100);
    let mut lookers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let site = gate.site();
        lookers.spawn(async move { get(site, "/").await.status });
    }
    until("the queue is full of them", || async { (gate.queued("app") >= 15).then_some(()) }).await;
    let before = origin.truth.requests.load(Ordering::SeqCst);
    assert_eq!(crate::stage::visit(gate.site(), "/", &pass).await.status, StatusCode::OK);
    let served_before = origin.truth.requests.load(Ordering::SeqCst) - before;
    assert!(served_before <= 3, "{served_before} others were served first");
    lookers.abort_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_upload_is_closed_and_its_permit_freed() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&limited(&origin, 1, "10ms", "")).await;
    let mut half = TcpStream::connect(gate.site()).await.unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
    half.write_all(&[b'x'; 50_000]).await.unwrap();
    until("the upload is on its way", || async { (gate.in_flight("app") == 1).then_some(()) }).await;
    drop(half);
    until("the permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    assert_eq!(origin.truth.requests.load(Ordering::SeqCst), 0);
}

/// While the first part of a body is still to come there is nothing to work on, and nothing is held.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_holds_no_permit() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&limited(&origin, 1, "10ms", "")).await;
    let mut slow = TcpStream::connect(gate.site()).await.unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nhalf").await.unwrap();
    for _ in 0..20 {
        assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK);
    }
    slow.write_all(b"half").await.unwrap();
    let mut answer = vec![0; 1024];
    let length = slow.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..length]));
    assert_eq!(origin.truth.requests.load(Ordering::SeqCst), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_is_asked_only_after_admission() {
    let origin = Origin::echo().await;
    origin.delay(300);
    let gate = Gate::start(&limited(&origin, 1, "10ms", "")).await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    let first_line = async |stream: &mut TcpStream| {
        let mut read = vec![0; 1024];
        let length =
            tokio::time::timeout(Duration::from_secs(5), stream.read(&mut read)).await.unwrap().unwrap();
        String::from_utf8_lossy(&read[..length]).lines().next().unwrap_or_default().to_owned()
    };
    let mut first = TcpStream::connect(gate.site()).await.unwrap();
    first.write_all(head).await.unwrap();
    assert_eq!(first_line(&mut first).await, "HTTP/1.1 100 Continue");
    let mut second = TcpStream::connect(gate.site()).await.unwrap();
    second.write_all(head).await.unwrap();
    assert_eq!(first_line(&mut second).await, "HTTP/1.1 503 Service Unavailable");
    first.write_all(b"body").await.unwrap();
    assert_eq!(first_line(&mut first).await, "HTTP/1.1 200 OK");
}
