//! Bodies on the way, one point a test: both ways at once, cut short, too slow, given up by either side.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::io::AsyncWriteExt;

use crate::scripted::{Line, Upstream};
use crate::stage::{Gate, Origin, get, now, try_ask, until};

/// A gateway with a limit of one before `address`; `edge` and `route` are lines of those tables.
async fn gate(address: std::net::SocketAddr, edge: &str, route: &str) -> Gate {
    Gate::start(&format!(
        r#"
[edge]
{edge}
[upstream.app]
addresses = ["{address}"]
limit = {{ law = "fixed", initial = 1, floor = 1, ceiling = 10, wait = "10s", stall = "20s" }}
[route.all]
path = "/"
upstream = "app"
body_limit = "10MiB"
{route}
"#
    ))
    .await
}

async fn is_free(gate: &Gate) {
    until("the permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The pool has the connection again: the next request comes on it.
async fn goes_on(gate: &Gate, upstream: &mut Line) {
    is_free(gate).await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(upstream.head().await.starts_with("GET /next "));
    upstream.say(OK).await;
    client.hear("ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_flows_while_its_request_is_still_being_sent() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
    let mut side = upstream.next().await;
    side.hear("one").await;
    side.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nONE\r\n").await;
    client.hear("ONE").await;
    for turn in ["two", "six", "ten"] {
        client.say(&format!("3\r\n{turn}\r\n")).await;
        side.hear(turn).await;
        let upper = turn.to_uppercase();
        side.say(&format!("3\r\n{upper}\r\n")).await;
        client.hear(&upper).await;
    }
    client.say("0\r\n\r\n").await;
    side.hear("0\r\n\r\n").await;
    side.say("0\r\n\r\n").await;
    client.hear("0\r\n\r\n").await;
    goes_on(&gate, &mut side).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_of_the_upstream_reaches_the_client_and_its_connection_is_not_used_again() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n").await;
    client.say(&"x".repeat(20_000)).await;
    let mut side = upstream.next().await;
    side.head().await;
    side.say("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 8\r\n\r\ntoo long").await;
    // The client is one of those that send all of it before they read.
    let _ = client.stream.write_all(&vec![b'x'; 4_980_000]).await;
    let answer = client.hear("too long").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    is_free(&gate).await;
    let (_, _) = side.rest().await;
    let mut next = Line::to(gate.site()).await;
    next.say("GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut fresh = upstream.next().await;
    assert!(fresh.head().await.starts_with("GET /next "));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_refusal_of_a_long_body_is_seen_by_clients_that_send_before_they_read() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    for length in ["content-length: 20000000", "transfer-encoding: chunked"] {
        let mut client = Line::to(gate.site()).await;
        client.say(&format!("POST / HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n")).await;
        // How long a chunked body is shows only on the way.
        let under_way = if length.starts_with("transfer") {
            client.say("1312D00\r\n").await; // 20,000,000
            let mut side = upstream.next().await;
            Some(tokio::spawn(async move { side.rest().await }))
        } else {
            None
        };
        client.stream.write_all(&vec![b'x'; 20_000_000]).await.expect("it is taken to its end");
        let (answer, clean) = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("too_large") && clean, "{answer}");
        if let Some(side) = under_way {
            assert!(side.await.unwrap().0.len() < 11_000_000);
        }
    }
    is_free(&gate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_its_head_is_done_reaches_nobody() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET /gone HTTP/1.1\r\nho").await;
    drop(client);
    let mut client = Line::to(gate.site()).await;
    client.say("GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(upstream.next().await.head().await.starts_with("GET /next "));
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_the_queue_gives_its_place_up() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut first = Line::to(gate.site()).await;
    first.say("GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut side = upstream.next().await;
    side.head().await;
    let mut second = Line::to(gate.site()).await;
    second.say("GET /second HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until("it waits", || async { (gate.queued("app") == 1).then_some(()) }).await;
    drop(second);
    until("nobody waits", || async { (gate.queued("app") == 0).then_some(()) }).await;
    side.say(OK).await;
    first.hear("ok").await;
    goes_on(&gate, &mut side).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_or_in_its_answer_is_worked_for_to_the_end() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut side = upstream.next().await;
    side.head().await;
    drop(client);
    assert_eq!(gate.in_flight("app"), 1);
    side.say(OK).await;
    goes_on(&gate, &mut side).await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET /b HTTP/1.1\r\nhost: x\r\n\r\n").await;
    side.head().await;
    side.say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
    client.hear("half").await;
    drop(client);
    assert_eq!(gate.in_flight("app"), 1);
    side.say("rest").await;
    goes_on(&gate, &mut side).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_told_to_upstreams_that_stop_then() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "on_client_gone = \"cancel\"").await;
    for half in [false, true] {
        let mut client = Line::to(gate.site()).await;
        client.say("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut side = upstream.next().await;
        side.head().await;
        if half {
            side.say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
            client.hear("half").await;
        }
        drop(client);
        side.rest().await;
        is_free(&gate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_its_upload_ends_it_upstream() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n").await;
    client.say(&format!("{}half", "x".repeat(20_000))).await;
    let mut side = upstream.next().await;
    side.hear("half").await;
    drop(client);
    side.rest().await;
    is_free(&gate).await;
}

/// Where a client is when it leaves.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Queue,
    BeforeHead,
    InAnswer,
    InUpload,
    /// As before, with another request sent ahead.
    Pipelined,
    /// Before the head, over HTTP/2.
    Http2,
}

/// A quarter of a second is what a permit may stay with nobody, half of the times at least: machines
/// hesitate, a timer or a buffer would always.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_noticed_within_a_quarter_of_a_second_in_every_phase() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "on_client_gone = \"cancel\"").await;
    let door = crate::upstreams::Door2::of(&gate);
    let ask = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n";
    for phase in
        [Phase::Queue, Phase::BeforeHead, Phase::InAnswer, Phase::InUpload, Phase::Pipelined, Phase::Http2]
    {
        let mut times = Vec::new();
        for _ in 0..5 {
            let mut client = Line::to(gate.site()).await;
            let mut asking = None;
            match phase {
                Phase::InUpload => {
                    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n";
                    client.say(&format!("{head}{}half", "x".repeat(20_000))).await;
                }
                Phase::Pipelined => client.say(&format!("{ask}{ask}")).await,
                Phase::Http2 => {
                    let mut sender = door.client().await;
                    let request = http::Request::get("http://x/a").body(crate::upstreams::full("")).unwrap();
                    asking = Some(tokio::spawn(sender.send_request(request)));
                }
                _ => client.say(ask).await,
            }
            let mut side = upstream.next().await;
            side.head().await;
            match phase {
                Phase::InUpload => drop(side.hear("half").await),
                Phase::InAnswer => {
                    side.say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
                    client.hear("half").await;
                }
                _ => {}
            }
            let begun = now();
            if let Phase::Queue = phase {
                let mut second = Line::to(gate.site()).await;
                second.say(ask).await;
                until("it waits", || async { (gate.queued("app") == 1).then_some(()) }).await;
                let begun = now();
                drop(second);
                until("nobody waits", || async { (gate.queued("app") == 0).then_some(()) }).await;
                times.push(begun.elapsed());
                drop(client);
                side.rest().await;
            } else {
                asking.into_iter().for_each(|asking| asking.abort());
                drop(client);
                side.rest().await;
                times.push(begun.elapsed());
            }
            is_free(&gate).await;
        }
        times.sort_unstable();
        assert!(times[2] <= std::time::Duration::from_millis(250), "{phase:?}: {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_meets_one_deadline() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "timeout = \"700ms\"").await;
    let site = gate.site();
    let asking = tokio::spawn(async move { get(site, "/").await });
    let mut side = upstream.next().await;
    side.head().await;
    side.say("HTTP/1.1 200 OK\r\n").await;
    let dripping = tokio::spawn(async move {
        // Each drip would start a deadline that restarts anew; this goes on until it is hung up on.
        while side.stream.write_all(b"x-drip: 1\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let answer = asking.await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["reason"]),
        (StatusCode::GATEWAY_TIMEOUT, &"gateway_timeout".into())
    );
    dripping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_do_not_shift_the_next_one() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, "", "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("HEAD /0 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut side = upstream.next().await;
    let answers = [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "content-length: 5"),
        ("GET", "HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", "x-a: 1"),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncontent-length: 5\r\n\r\n", "etag: \"e\""),
        ("GET", OK, "content-length: 2"),
    ];
    for (number, (method, answer, field)) in answers.iter().enumerate() {
        if number > 0 {
            client.say(&format!("{method} /{number} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        }
        assert!(side.head().await.starts_with(&format!("{method} /{number} ")));
        side.say(answer).await;
        let head = client.head().await;
        assert!(head.starts_with(&answer[..12]) && head.contains(field), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
    client.hear("ok").await;
}

fn cut(gate: &Gate, what: &str) -> u64 {
    gate.running.proxy.witness.metrics.slow_clients.with_label_values(&[what]).get()
}

const QUICK: &str = "min_rate = \"1KiB\"\npatience = \"500ms\"";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_trickles_is_cut_off_and_its_permit_freed() {
    let mut upstream = Upstream::start().await;
    let gate = gate(upstream.address, QUICK, "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await;
    client.say(&format!("{}half", "x".repeat(20_000))).await;
    let mut side = upstream.next().await;
    side.hear("half").await;
    let (mut reader, mut writer) = client.stream.into_split();
    let trickling = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let mut answer = vec![0; 1024];
    let length = tokio::io::AsyncReadExt::read(&mut reader, &mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    is_free(&gate).await;
    side.rest().await;
    assert_eq!((cut(&gate, "upload"), cut(&gate, "answer")), (1, 0));
    trickling.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_cut_off_and_its_permit_freed() {
    let origin = Origin::start(None, |_| Response::new(Full::new(Bytes::from(vec![0; 64_000_000])))).await;
    let gate = gate(origin.address, QUICK, "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.head().await;
    is_free(&gate).await;
    assert_eq!((cut(&gate, "upload"), cut(&gate, "answer")), (0, 1));
}

/// Neither a slow upstream nor a client that idles between requests is what the rule means.
#[tokio::test(flavor = "multi_thread")]
async fn only_clients_that_are_waited_for_are_cut_off() {
    let origin = Origin::start(None, |request| Response::new(Full::new(request.body().clone()))).await;
    origin.delay(1_500);
    let gate = gate(origin.address, QUICK, "").await;
    let got = try_ask(gate.site(), Method::POST, "/", &[], Bytes::from(vec![7; 3_000_000])).await.unwrap();
    assert!(got.status == StatusCode::OK && got.body.len() == 3_000_000);
    let mut upstream = Upstream::start().await;
    let gate = self::gate(upstream.address, QUICK, "").await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut side = upstream.next().await;
    side.head().await;
    side.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
    client.hear("one").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    side.say("3\r\ntwo\r\n0\r\n\r\n").await;
    client.hear("two").await;
    assert_eq!((cut(&gate, "upload"), cut(&gate, "answer")), (0, 0));
}
