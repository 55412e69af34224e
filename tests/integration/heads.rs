//! Heads of HTTP/1 over time: deadlines, order, limits, and that a refusal is seen.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Gate, Origin, until};

async fn gate(origin: &Origin, edge: &str) -> Gate {
    let upstream = format!("[upstream.app]\naddresses = [\"{}\"]\n", origin.address);
    Gate::start(&format!("[edge]\n{edge}\n{upstream}[route.all]\nupstream = \"app\"\n")).await
}

async fn open(site: SocketAddr) -> TcpStream {
    TcpStream::connect(site).await.unwrap()
}

/// Sends, then reads to the end of the connection; a reset is an error.
async fn send_all(site: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = open(site).await;
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("the connection ends without a reset");
    String::from_utf8(heard).unwrap()
}

fn statuses(heard: &str) -> Vec<&str> {
    heard.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

const GOOD: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_meets_its_deadline_and_an_idle_connection_closes_silently() {
    let origin = Origin::echo().await;
    let gate = gate(&origin, "head_timeout = \"300ms\"\nidle_timeout = \"300ms\"").await;
    let heard = send_all(gate.site(), b"GET / HTTP/1.1\r\nHo").await;
    assert_eq!(statuses(&heard), ["408"]);
    assert!(heard.contains("\"reason\":\"head_timeout\""), "{heard}");
    // Every byte in time does not make the whole in time.
    let (mut reading, mut writing) = open(gate.site()).await.into_split();
    let dribble = tokio::spawn(async move {
        writing.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        while writing.write_all(b"y").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let mut answer = [0; 12];
    reading.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    drop(reading);
    dribble.await.unwrap();
    assert_eq!(rest(&mut open(gate.site()).await).await, "", "nothing was asked, nothing is answered");
    let heard = send_all(gate.site(), GOOD.as_bytes()).await;
    assert_eq!(statuses(&heard), ["200"], "then it idles and is closed");
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_after_all_earlier_answers() {
    let origin = Origin::echo().await;
    let gate = gate(&origin, "").await;
    origin.delay(100);
    let heard =
        send_all(gate.site(), format!("{GOOD}{GOOD}GET / HTTP/1.1\r\nHost : a\r\n\r\n").as_bytes()).await;
    assert_eq!(statuses(&heard), ["200", "200", "400"]);
    assert!(heard.ends_with("\"reason\":\"field_name\"}"), "{heard}");
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 2);
    let metrics = String::from_utf8(gate.running.proxy.witness.metrics.text()).unwrap();
    let line = r#"tornello_requests_total{code="400",decision="refused",reason="field_name",route="-"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_heads_are_the_configured_ones_and_nothing_longer_reaches_the_origin() {
    let origin = Origin::echo().await;
    let gate = gate(&origin, "max_head = \"8KiB\"\nmax_target = \"256B\"\nmax_fields = 16").await;
    let target = |length: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "t".repeat(length - 1))
    };
    let head = |length: usize| {
        let fixed = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n", "x".repeat(length - fixed))
    };
    let fields = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n", "X: y\r\n".repeat(count - 2))
    };
    let mut good = 0;
    for (bytes, status) in [
        (target(255), "200"),
        (target(256), "200"),
        (target(257), "414"),
        (head(8191), "200"),
        (head(8192), "200"),
        (head(8193), "431"),
        (fields(15), "200"),
        (fields(16), "200"),
        (fields(17), "431"),
    ] {
        good += u64::from(status == "200");
        assert_eq!(statuses(&send_all(gate.site(), bytes.as_bytes()).await), [status], "{}", bytes.len());
        assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_still_sends_sees_the_refusal_and_no_reset() {
    let origin = Origin::echo().await;
    let gate = gate(&origin, "").await;
    let mut bytes = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n".to_vec();
    bytes.extend([b'x'; 48 * 1024]);
    let mut stream = open(gate.site()).await;
    stream.write_all(&bytes).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 400");
    stream.write_all(&[b'x'; 1024]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.ends_with("\"reason\":\"length\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_answer_is_made_is_noticed() {
    let origin = Origin::echo().await;
    let gate = gate(&origin, "").await;
    origin.delay(5_000);
    let mut stream = open(gate.site()).await;
    // A second request waits behind the first: it must not hide that the client leaves.
    stream.write_all(format!("{GOOD}{GOOD}").as_bytes()).await.unwrap();
    until("the first is under way", || async { (origin.in_flight() == 1).then_some(()) }).await;
    let connections = || gate.running.proxy.witness.metrics.connections.get();
    assert_eq!(connections(), 1);
    drop(stream);
    until("the connection is gone", || async { (connections() == 0).then_some(()) }).await;
    assert_eq!(origin.in_flight(), 1, "it was noticed before the answer came");
}
