//! M15: personal pages that call themselves public, through the gateway and through a careless cache
//! before it, in every order, on shared connections, with clients that go away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tornello::lab::chance::Chance;

use super::backend::{Backend, head_end, value};
use super::gateway::Gateway;
use super::nginx;

const USERS: usize = 400;
const PATHS: usize = 20;
/// Answers through the cache.
const CACHED: u64 = 13_000;
/// Answers through the same cache before the bare backend.
const CONTROL: u64 = 1_000;
/// Answers in random interleavings.
const MIXED: u64 = 1_000_000;
const CONNECTIONS: u64 = 64;
/// Requests sent at once on one connection, at most.
const PIPELINED: usize = 8;
/// A connection is broken off before its answers are read with this chance.
const ABORTS: f64 = 0.01;

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) own: AtomicU64,
    pub(crate) foreign: AtomicU64,
    /// Answers without any canary: refusals.
    pub(crate) none: AtomicU64,
}

/// Plays all of it.
pub(crate) async fn play() -> Result<Arc<Seen>, String> {
    let backend = Backend::start().await?;
    let more = format!(
        "[edge]\nmax_connections_per_prefix = 10000\n\n[upstream.app]\naddresses = [\"{}\"]\n\
         limit = {{ law = \"fixed\", initial = 200, wait = \"10s\" }}\n\n[identity]\ncredential = {{ cookie = \"session\" }}\n\n\
         [route.main]\nupstream = \"app\"\n",
        backend.address
    );
    // Without us this cache mixes people up at once: it would notice.
    let careless = nginx::cache_before(backend.address).await;
    let mixed_up = Arc::new(Seen::default());
    crowd(careless.site, CONTROL, 1, &mixed_up).await;
    if mixed_up.foreign.load(Relaxed) == 0 {
        return Err("the cache before the bare backend leaks nothing, so this proves nothing".to_owned());
    }
    drop(careless);
    let gateway = Gateway::start(&more)?;
    let nginx = nginx::cache_before(gateway.site).await;
    let seen = Arc::new(Seen::default());
    crowd(nginx.site, CACHED, 1, &seen).await;
    crowd(gateway.site, MIXED, PIPELINED, &seen).await;
    Ok(seen)
}

async fn crowd(site: SocketAddr, answers: u64, pipelined: usize, seen: &Arc<Seen>) {
    let left = Arc::new(AtomicU64::new(answers));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (left, seen) = (Arc::clone(&left), Arc::clone(seen));
            tokio::spawn(async move {
                let mut chance = Chance::new(15, number);
                while left.load(Relaxed) > 0 {
                    // A broken connection is one that was to be broken, or an end of keep-alive.
                    let _ = converse(site, pipelined, &mut chance, &left, &seen).await;
                }
            })
        })
        .collect();
    for client in clients {
        let _ = client.await;
    }
}

async fn converse(
    site: SocketAddr,
    pipelined: usize,
    chance: &mut Chance,
    left: &AtomicU64,
    seen: &Seen,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(site).await?;
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    while left.load(Relaxed) > 0 {
        let users: Vec<usize> = (0..=chance.below(pipelined)).map(|_| chance.below(USERS)).collect();
        let requests: String = users
            .iter()
            .map(|user| {
                let path = chance.below(PATHS);
                format!("GET /mine/{path} HTTP/1.1\r\nhost: x\r\ncookie: session=user{user}\r\n\r\n")
            })
            .collect();
        stream.write_all(requests.as_bytes()).await?;
        if chance.happens(ABORTS) {
            return Ok(());
        }
        for user in users {
            let (end, length, head) = loop {
                if let Some(end) = head_end(&bytes) {
                    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                    let length = value(&head, "content-length:").and_then(|it| it.parse().ok()).unwrap_or(0);
                    break (end, length, head);
                }
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
            };
            while bytes.len() < end + length {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
            }
            let body = String::from_utf8_lossy(&bytes[end..end + length]).into_owned();
            bytes.drain(..end + length);
            let mine = format!("canary=user{user}.");
            let count = if body == mine {
                &seen.own
            } else if body.contains("canary=") {
                &seen.foreign
            } else {
                &seen.none
            };
            count.fetch_add(1, Relaxed);
            left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(1))).ok();
            if value(&head, "connection:") == Some("close") {
                return Ok(());
            }
        }
    }
    Ok(())
}
