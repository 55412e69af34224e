//! Clients that give up at any moment: nothing is left behind by a million of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::{Gateway, fetch, until};

/// Requests that the gateway began, by its own count, and whose client did not take the whole answer.
const CANCELS: u64 = 1_000_000;
/// Of each version at once.
const CLIENTS: u64 = 32;
/// Requests in one packet of HTTP/1, the connection reset somewhere among their answers.
const PIPELINED: u64 = 16;
/// Streams of one HTTP/2 connection, in batches of up to `BATCH`: fewer resets than end a connection.
const STREAMS: u32 = 180;
const BATCH: u64 = 30;

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
/// or of the last head. Returns how many answers came whole.
async fn give_up(site: SocketAddr, seed: &mut u64) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(site).await?;
    let mut text = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(usize::try_from(PIPELINED).unwrap());
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
    Ok(u64::try_from(read).unwrap() / 2_000)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Answers that came whole: frames with END_STREAM, read to the end of the connection.
async fn wholes(mut read: impl AsyncReadExt + Unpin) -> u64 {
    let (mut heard, mut buffer, mut wholes) = (Vec::new(), vec![0; 16 * 1024], 0);
    while let Ok(length @ 1..) = read.read(&mut buffer).await {
        heard.extend_from_slice(&buffer[..length]);
        let mut at = 0;
        while let Some(&[a, b, c, kind, flags]) = heard.get(at..at + 5) {
            let end = at + 9 + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
            if heard.len() < end {
                break;
            }
            wholes += u64::from(kind <= 1 && flags & 1 == 1);
            at = end;
        }
        heard.drain(..at);
    }
    wholes
}

/// Batches of streams, each taken back a random moment after it was asked for; the last ones go with
/// their connection. Returns how many answers came whole.
async fn take_back(site: SocketAddr, seed: &mut u64) -> std::io::Result<u64> {
    let (read, mut write) = TcpStream::connect(site).await?.into_split();
    let reading = tokio::spawn(wholes(read));
    let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    // The windows are no matter here.
    write.write_all(&[hello, frame(8, 0, 0, &(1u32 << 30).to_be_bytes())].concat()).await?;
    let head = [&[0x82, 0x86, 0x84, 0x41, 1][..], b"x"].concat();
    let mut next = 1;
    while next < 2 * STREAMS {
        let last = next + 2 * u32::try_from(roll(seed) % BATCH).unwrap();
        let streams = (next..=last).step_by(2);
        let ask: Vec<u8> = streams.clone().flat_map(|stream| frame(1, 5, stream, &head)).collect();
        write.write_all(&ask).await?;
        for _ in 0..roll(seed) % 4 {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        next = last + 2;
        if next < 2 * STREAMS || roll(seed).is_multiple_of(2) {
            let back: Vec<u8> = streams.flat_map(|stream| frame(3, 0, stream, &[0, 0, 0, 8])).collect();
            write.write_all(&back).await?;
        }
    }
    drop(write);
    Ok(reading.await.unwrap())
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
    let (whole, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (enough, done) = tokio::sync::watch::channel(false);
    let mut crowd = tokio::task::JoinSet::new();
    for client in 0..2 * CLIENTS {
        let (whole, failed, site) = (Arc::clone(&whole), Arc::clone(&failed), gateway.site);
        let done = done.clone();
        crowd.spawn(async move {
            let (mut seed, mut connections) = (client, 0);
            while !*done.borrow() {
                let gave_up = if client < CLIENTS {
                    give_up(site, &mut seed).await
                } else {
                    take_back(site, &mut seed).await
                };
                connections += 1;
                match gave_up {
                    Ok(number) => whole.fetch_add(number, Ordering::Relaxed),
                    Err(_) => failed.fetch_add(1, Ordering::Relaxed),
                };
            }
            connections
        });
    }
    // Each is in the gateway's count when it is over; those that were answered whole are no cancels.
    let cancels = async || gateway.metric("tornello_requests_total", "").await - of(&whole);
    let enough_of_them = async {
        while cancels().await < f64::from(u32::try_from(CANCELS).unwrap()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), enough_of_them).await.expect("a million in ten minutes");
    enough.send_replace(true);
    let mut connections = 0;
    while let Some(done) = crowd.join_next().await {
        connections += done.unwrap();
    }
    assert!(
        failed.load(Ordering::Relaxed) < connections / 10,
        "most connections are taken: {failed:?} of {connections}"
    );
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
    assert!(gateway.metric("tornello_panics_total", "").await == 0.0);
}

fn of(count: &AtomicU64) -> f64 {
    f64::from(u32::try_from(count.load(Ordering::Relaxed)).unwrap())
}
