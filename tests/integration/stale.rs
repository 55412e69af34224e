//! Connections that the upstream closes when it likes, and second tries that must not become a storm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::scripted::Line;
use crate::stage::{Gate, try_ask};

/// Answers each request at once and closes a connection that idles for `idle`. Counts what it executed.
async fn impatient(idle: Duration) -> (std::net::SocketAddr, Arc<Mutex<HashMap<String, u32>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let executed = Arc::new(Mutex::new(HashMap::new()));
    let shared = Arc::clone(&executed);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let executed = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut heard = Vec::new();
                loop {
                    let mut buffer = [0; 4096];
                    let reading = tokio::time::timeout(idle, stream.read(&mut buffer)).await;
                    let Ok(Ok(length @ 1..)) = reading else { return };
                    heard.extend_from_slice(&buffer[..length]);
                    // Each request is a head and a body of two bytes.
                    let text = String::from_utf8_lossy(&heard).into_owned();
                    let Some(end) = text.find("\r\n\r\n").filter(|end| text.len() >= end + 6) else {
                        continue;
                    };
                    let path = text.split(' ').nth(1).unwrap().to_owned();
                    heard.drain(..end + 6);
                    *executed.lock().unwrap().entry(path).or_insert(0) += 1;
                    if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, executed)
}

async fn gate(address: std::net::SocketAddr, keep_alive: &str) -> Gate {
    Gate::start(&format!(
        r#"
[upstream.app]
addresses = ["{address}"]
keep_alive = "{keep_alive}"
limit = {{ law = "fixed", initial = 100, floor = 1, ceiling = 100, wait = "10s" }}
[route.all]
path = "/"
upstream = "app"
"#
    ))
    .await
}

/// Bursts that leave many connections idle, then pauses up to and beyond the moment at which the
/// upstream closes them.
#[tokio::test(flavor = "multi_thread")]
async fn posts_on_connections_that_the_upstream_closes_are_neither_lost_nor_sent_twice() {
    let (address, executed) = impatient(Duration::from_millis(400)).await;
    let gate = gate(address, "400ms").await;
    let mut posted = 0;
    for burst in 0..24u64 {
        let mut crowd = tokio::task::JoinSet::new();
        for client in 0..16 {
            let site = gate.site();
            crowd.spawn(async move {
                let mut line = Line::to(site).await;
                for turn in 0..10 {
                    line.say(&format!(
                        "POST /{burst}/{client}/{turn} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"
                    ))
                    .await;
                    let answer = line.hear("\r\n\r\nok").await;
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                }
            });
            posted += 10;
        }
        while let Some(done) = crowd.join_next().await {
            done.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(150 + burst * 15)).await;
    }
    let executed = executed.lock().unwrap();
    assert_eq!(executed.len(), posted);
    assert!(executed.values().all(|times| *times == 1), "each was executed once");
}

/// The upstream takes requests on connections that were used before and hangs up. What may be sent
/// twice is, but no more than a tenth of all.
#[tokio::test(flavor = "multi_thread")]
async fn second_tries_stay_within_a_tenth() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, failing) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, fails) = (Arc::clone(&seen), Arc::clone(&failing));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(turncoat(stream, Arc::clone(&count), Arc::clone(&fails)));
        }
    });
    let gate = gate(address, "4s").await;
    let ask = async || try_ask(gate.site(), Method::GET, "/", &[], Bytes::new()).await.unwrap().status;
    let (requests, mut failed) = (600, 0);
    failing.store(true, Ordering::SeqCst);
    for _ in 0..requests {
        failed += u64::from(ask().await != StatusCode::OK);
    }
    let seen = seen.load(Ordering::SeqCst);
    let retried = seen - requests;
    assert!(retried > 0, "some were tried again");
    assert!(retried <= requests / 10 + 10, "{retried} second tries of {requests}");
    assert!(failed > 0, "beyond the budget the fault is shown");
}

/// Answers the first request of a connection and hangs up on the second.
async fn turncoat(mut stream: TcpStream, seen: Arc<AtomicU64>, failing: Arc<AtomicBool>) {
    let mut first = true;
    loop {
        let mut buffer = [0; 4096];
        let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
        assert!(buffer[..length].ends_with(b"\r\n\r\n"));
        seen.fetch_add(1, Ordering::SeqCst);
        if failing.load(Ordering::SeqCst) && !first {
            return;
        }
        first = false;
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}
