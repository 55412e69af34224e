//! Clients that give up at any moment: nothing is left behind by a million of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::{Gateway, fetch, until};

/// Requests that were sent and that their client did not wait out; of those in one packet the gateway may
/// see only the first.
const CANCELS: u64 = 1_000_000;
const CLIENTS: u64 = 64;
/// Requests in one packet, the connection reset somewhere among their answers.
const PIPELINED: u64 = 16;

/// Answers each request with some kilobytes; keeps connections.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let answer: Arc<[u8]> =
            [&b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n"[..], &[b'x'; 2000][..]].concat().into();
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let (mut heard, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    heard.extend_from_slice(&buffer[..length]);
                    while let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
                        heard.drain(..end + 4);
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Small and repeatable (splitmix64).
fn roll(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Sends up to sixteen requests at once and resets the connection after a random part of the answers
/// or of the last head. Returns how many of its requests were not answered whole.
async fn give_up(site: SocketAddr, seed: &mut u64) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(site).await?;
    let mut text = String::new();
    for _ in 0..PIPELINED {
        text.push_str("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    if roll(seed).is_multiple_of(4) {
        text.truncate(text.len() - 1 - usize::try_from(roll(seed) % 20).unwrap());
    }
    stream.write_all(text.as_bytes()).await?;
    let wanted = usize::try_from(roll(seed) % 4_000).unwrap() * usize::from(!roll(seed).is_multiple_of(3));
    let (mut read, mut buffer) = (0, vec![0; 4096]);
    while read < wanted {
        match stream.read(&mut buffer).await? {
            0 => break,
            length => read += length,
        }
    }
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(PIPELINED - u64::try_from(read).unwrap() / 2_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_random_cancels_leave_nothing_behind() {
    let address = origin().await;
    let gateway = Gateway::start(&format!(
        "[edge]\nmax_connections_per_prefix = 5000\n[upstream.app]\naddresses = [\"{address}\"]\n\
         limit = {{ law = \"fixed\", initial = 20, wait = \"1s\" }}\n[route.all]\nupstream = \"app\"\n"
    ))
    .await;
    let files = gateway.files();
    let (cancelled, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut crowd = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (cancelled, failed, site) = (Arc::clone(&cancelled), Arc::clone(&failed), gateway.site);
        crowd.spawn(async move {
            let mut seed = client;
            while cancelled.load(Ordering::Relaxed) < CANCELS {
                match give_up(site, &mut seed).await {
                    Ok(number) => cancelled.fetch_add(number, Ordering::Relaxed),
                    Err(_) => failed.fetch_add(1, Ordering::Relaxed),
                };
            }
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }
    assert!(failed.load(Ordering::Relaxed) < CANCELS / PIPELINED / 100, "most connections are taken");
    until("nothing is in flight or waits", async || {
        gateway.metric("tornello_in_flight", "").await == 0.0
            && gateway.metric("tornello_permit_queue_length", "").await == 0.0
    })
    .await;
    until("all connections are closed", async || gateway.metric("tornello_connections", "").await == 0.0)
        .await;
    // What idles towards the upstream is bounded by the limit.
    assert!(gateway.files() <= files + 20 + 10, "{} files, before {files}", gateway.files());
    // No permit was lost: as many as the limit are let through at once, and all are answered.
    let asking = (0..20).map(|_| tokio::spawn(fetch(gateway.site, "/")));
    for answer in asking.collect::<Vec<_>>() {
        assert!(answer.await.unwrap().unwrap().starts_with("HTTP/1.1 200 "));
    }
    let limit = gateway.metric("tornello_concurrency_limit", "").await;
    assert!((limit - 20.0).abs() < f64::EPSILON, "{limit}");
    let begun = CANCELS / PIPELINED;
    let seen = gateway.metric("tornello_requests_total", "").await;
    assert!(seen >= f64::from(u32::try_from(begun).unwrap()), "{seen} requests on {begun} connections");
}
