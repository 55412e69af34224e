//! No answer, no cookie and no byte of one reaches anybody but the one who asked: many marked answers
//! through pipelining, hang-ups, broken upstreams, reused connections and a careless cache.
//!
//! `TORNELLO_MARKS` is the number of answers, 100,000 unless it says otherwise.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::nginx;
use crate::paths::Dice;
use crate::stage::{Gate, until};

/// Longest pipeline.
const PIPELINE: usize = 8;
/// Clients at once: straight to the gateway, and through the cache.
const STRAIGHT: u64 = 16;
const CACHED: u64 = 4;

/// What is counted of all clients together.
#[derive(Default)]
struct Count {
    /// Whole answers with their asker's mark.
    whole: AtomicU64,
    /// Of those, through the cache.
    cached: AtomicU64,
    /// Connections that somebody broke off.
    broken: AtomicU64,
}

/// An upstream that marks its answers with what it was asked by, and misbehaves as it is told.
async fn marking() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(mark(stream));
        }
    });
    address
}

async fn mark(stream: TcpStream) -> Option<()> {
    // Pieces of a chunked answer go out one by one, not when the one before was confirmed.
    stream.set_nodelay(true).ok()?;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let head = head(&mut read).await?;
        let (mark, act) = (head.get("x-mark")?, head.get("x-act")?.as_str());
        let fields = format!(
            "x-mark: {mark}\r\nset-cookie: mark={mark}; Path=/\r\ncache-control: public, max-age=600\r\n\
             x-accel-expires: 600\r\n"
        );
        let body = format!("{mark}\n").repeat(20);
        let whole = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}", body.len());
        match act {
            "chunked" => {
                let start = format!("HTTP/1.1 200 OK\r\n{fields}transfer-encoding: chunked\r\n\r\n");
                write.write_all(start.as_bytes()).await.ok()?;
                for line in body.as_bytes().chunks(123) {
                    let chunk = [format!("{:x}\r\n", line.len()).as_bytes(), line, b"\r\n"].concat();
                    write.write_all(&chunk).await.ok()?;
                }
                write.write_all(b"0\r\n\r\n").await.ok()?;
            }
            "truncated" => return write.write_all(&whole.as_bytes()[..whole.len() - 50]).await.ok(),
            "silent" => return None,
            "stray" => {
                // A whole answer more, that nobody asked for.
                write.write_all(whole.repeat(2).as_bytes()).await.ok()?;
            }
            "error" => {
                let error = whole.replacen("200 OK", "500 Internal Server Error", 1);
                write.write_all(error.as_bytes()).await.ok()?;
            }
            _ => write.write_all(whole.as_bytes()).await.ok()?,
        }
    }
}

/// The fields of a head, its first line under the empty name; `None` at the end of the stream.
async fn head(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<HashMap<String, String>> {
    let mut fields = HashMap::new();
    loop {
        let mut line = String::new();
        if read.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some(fields);
        }
        match line.split_once(": ") {
            Some((name, value)) if !fields.is_empty() => {
                let twice = fields.insert(name.to_ascii_lowercase(), value.to_owned());
                assert!(twice.is_none() || name != "set-cookie", "two cookies");
            }
            _ => drop(fields.insert(String::new(), line.to_owned())),
        }
    }
}

/// A whole answer; `None` if the connection ended before it was whole.
async fn answer(read: &mut (impl AsyncBufReadExt + Unpin)) -> Option<(HashMap<String, String>, String)> {
    let head = head(read).await?;
    let mut body = Vec::new();
    if head.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let mut size = String::new();
            if read.read_line(&mut size).await.ok()? == 0 {
                return None;
            }
            let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            read.read_exact(&mut chunk).await.ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        body = vec![0; head.get("content-length")?.parse().ok()?];
        read.read_exact(&mut body).await.ok()?;
    }
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

/// Every mark in an answer is its asker's.
fn check(mark: &str, head: &HashMap<String, String>, body: &str, count: &Count) {
    match head.get("x-mark") {
        Some(shown) => {
            assert_eq!(shown, mark);
            assert_eq!(head["set-cookie"], format!("mark={mark}; Path=/"));
            assert_eq!(body, format!("{mark}\n").repeat(20));
            count.whole.fetch_add(1, Ordering::Relaxed);
        }
        // Ours: the upstream broke.
        None => {
            assert!(!head.contains_key("set-cookie") && !body.contains("mark-"), "{head:?} {body}");
            assert!(head[""].contains(" 50"), "{head:?}");
        }
    }
}

fn request(mark: &str, act: &str) -> String {
    // One address for all, as a cache likes it.
    format!(
        "GET /me HTTP/1.1\r\nhost: gate.test\r\ncookie: mark={mark}\r\nx-mark: {mark}\r\nx-act: {act}\r\n\r\n"
    )
}

/// One connection's worth of requests; `None` when the connection is over.
async fn ask_some(
    read: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
    dice: &mut Dice,
    name: &str,
    cached: bool,
    count: &Count,
) -> Option<()> {
    let acts = ["plain", "plain", "plain", "chunked", "chunked", "error", "truncated", "silent", "stray"];
    let most = if cached { 1 } else { PIPELINE };
    let asked: Vec<(String, &str)> = (0..=dice.roll(most))
        .map(|number| (format!("mark-{name}-{:x}-{number}", dice.0), acts[dice.roll(acts.len())]))
        .collect();
    let text: String = asked.iter().map(|(mark, act)| request(mark, act)).collect();
    write.write_all(text.as_bytes()).await.ok()?;
    // Now and then somebody hangs up in the middle.
    let stay = if dice.roll(10) == 0 { dice.roll(asked.len() + 1) } else { asked.len() };
    for (mark, _) in &asked[..stay] {
        let (head, body) = answer(read).await?;
        check(mark, &head, &body, count);
        if cached && head.contains_key("x-mark") {
            assert_ne!(head.get("x-cache").map(String::as_str), Some("HIT"));
            count.cached.fetch_add(1, Ordering::Relaxed);
        }
    }
    (stay == asked.len()).then_some(())
}

async fn client(site: SocketAddr, name: String, seed: u64, cached: bool, count: Arc<Count>, enough: u64) {
    let mut dice = Dice(seed);
    while count.whole.load(Ordering::Relaxed) < enough {
        let Ok(stream) = TcpStream::connect(site).await else { continue };
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        while count.whole.load(Ordering::Relaxed) < enough {
            let asking = ask_some(&mut read, &mut write, &mut dice, &name, cached, &count);
            let ended = tokio::time::timeout(Duration::from_secs(30), asking).await.expect("an answer comes");
            if ended.is_none() {
                count.broken.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marked_answers_reach_their_askers_and_nobody_else() {
    let enough = std::env::var("TORNELLO_MARKS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let upstream = marking().await;
    let gate = Gate::start(&format!(
        "[edge]\nhead_timeout = \"30s\"\n[upstream.app]\naddresses = [\"{upstream}\"]\n\
         limit = {{ law = \"fixed\", initial = 64, floor = 1, ceiling = 100, wait = \"10s\" }}\n\
         [route.all]\nupstream = \"app\"\n"
    ))
    .await;
    let nginx = nginx::cache_before(gate.site()).await;
    let count = Arc::new(Count::default());
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..STRAIGHT + CACHED {
        let cached = number >= STRAIGHT;
        let site = if cached { nginx.site } else { gate.site() };
        clients.spawn(client(site, format!("{number}"), number, cached, Arc::clone(&count), enough));
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let (cached, broken) = (count.cached.load(Ordering::Relaxed), count.broken.load(Ordering::Relaxed));
    assert!(cached > enough / 100 && broken > enough / 100, "{cached} through the cache, {broken} hang-ups");
    until("every permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}
