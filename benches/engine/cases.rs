//! The rows of the matrix: each plays one upstream and one caller against an engine and says what was kept or lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::mpsc;

use super::Engine;
use super::exchange::{Call, Length, Order, Part};
use super::upstream::{Upstream, answer};

/// Longer than anything a healthy engine needs here; short enough to find a deadlock in time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// What a row found: kept or lost, and how.
pub(crate) struct Verdict {
    pub(crate) kept: bool,
    pub(crate) how: String,
}

impl Verdict {
    pub(crate) fn new(kept: bool, how: impl ToString) -> Self {
        Self { kept, how: how.to_string() }
    }

    /// Kept if there is no complaint.
    pub(crate) fn without(complaints: &[String], praise: &str) -> Self {
        if complaints.is_empty() { Self::new(true, praise) } else { Self::new(false, complaints.join("; ")) }
    }
}

/// A request in the making; `start` runs its exchange in a task of its own.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) length: Length,
    pub(crate) head_deadline: Duration,
}

pub(crate) fn get(path: &'static str) -> Ask {
    Ask {
        method: Method::GET,
        path,
        headers: HeaderMap::new(),
        length: Length::Empty,
        head_deadline: Duration::from_secs(5),
    }
}

pub(crate) fn post(path: &'static str, length: Length) -> Ask {
    Ask { method: Method::POST, length, ..get(path) }
}

impl Ask {
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    pub(crate) fn start(self, engine: &Arc<Engine>) -> Call {
        let (parts, parts_taken) = mpsc::channel(4);
        let (events_given, events) = mpsc::channel(4);
        let order = Order {
            method: self.method,
            path: self.path,
            headers: self.headers,
            length: self.length,
            head_deadline: self.head_deadline,
            parts: parts_taken,
            events: events_given,
        };
        let engine = Arc::clone(engine);
        let task = tokio::spawn(async move { engine.exchange(order).await });
        Call { parts, events, task }
    }
}

async fn send(call: &Call, data: &'static [u8]) -> bool {
    call.parts.send(Part::Data(Bytes::from_static(data))).await.is_ok()
}

/// The next exchange must get its own answer, over whichever connection.
pub(crate) async fn next_is_own(engine: &Arc<Engine>) -> bool {
    let answer = get("/next").start(engine).answer(PATIENCE).await;
    answer.whole && answer.body == b"/next"
}

/// The upstream answers each part of the upload before the next one is sent.
pub(crate) async fn duplex(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        let Some(head) = line.head().await else { return };
        line.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        for _ in 0..8 {
            let part = if chunked { line.chunk().await } else { line.exactly(4).await };
            let Some(part) = part else { return };
            line.say(format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(&part))).await;
        }
        if chunked {
            line.chunk().await;
            line.trailers().await;
        }
        line.say("0\r\n\r\n").await;
        line.echo_paths().await;
    })
    .await;
    let mut complaints = Vec::new();
    for (name, length) in [("chunked", Length::Unknown), ("with a length", Length::Known(32))] {
        let engine = Arc::new(build(upstream.addr));
        let mut call = post("/duplex", length).start(&engine);
        if length == Length::Unknown && call.head(PATIENCE).await.is_none() {
            complaints.push(format!("{name}: no head before the body"));
        }
        let mut echoed = 0;
        for turn in 0..8 {
            send(&call, b"ping").await;
            if turn == 0 && length != Length::Unknown && call.head(PATIENCE).await.is_none() {
                break;
            }
            if call.bytes(4, Duration::from_secs(1)).await.as_deref() != Some(b"ping") {
                break;
            }
            echoed += 1;
        }
        if echoed < 8 {
            complaints.push(format!("{name}: stuck after {echoed} of 8 parts"));
            call.task.abort();
            continue;
        }
        drop(call.parts.send(Part::End).await);
        let end = call.answer(PATIENCE).await;
        if !(end.whole && end.pooled && next_is_own(&engine).await) {
            complaints.push(format!("{name}: not finished or not pooled ({})", end.why()));
        }
    }
    Verdict::without(&complaints, "chunked and with a length")
}

const FLOOD: usize = 12 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

/// The upstream sends nearly all of its answer before it reads the upload, both larger than the buffers between; the last bytes
/// follow the whole upload.
pub(crate) async fn talks_first(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        if line.head().await.is_none() {
            return;
        }
        line.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", FLOOD + 4)).await;
        let piece = vec![b'd'; PIECE];
        for _ in 0..FLOOD / PIECE {
            if !line.say(&piece).await {
                return;
            }
        }
        let end = if line.exactly(FLOOD).await.is_some() { "LAST" } else { "" };
        line.say(end).await;
        line.echo_paths().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let call = post("/flood", Length::Known(FLOOD as u64)).start(&engine);
    let parts = call.parts.clone();
    let uploader = tokio::spawn(async move {
        let piece = Bytes::from(vec![b'u'; PIECE]);
        for _ in 0..FLOOD / PIECE {
            if parts.send(Part::Data(piece.clone())).await.is_err() {
                return;
            }
        }
        drop(parts.send(Part::End).await);
    });
    let answer = call.answer(PATIENCE).await;
    uploader.abort();
    let kept =
        answer.whole && answer.pooled && answer.body.len() == FLOOD + 4 && answer.body.ends_with(b"LAST");
    let how = format!("deadlock after {} of 12 MiB", answer.body.len() >> 20);
    Verdict::new(kept, if kept { "no deadlock".to_owned() } else { how })
}

/// An early refusal while the caller holds half an upload back: seen, and the connection not used again.
pub(crate) async fn early_refusal(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        let Some(head) = line.head().await else { return };
        if head.starts_with("POST") {
            line.exactly(4).await;
            line.say(answer(413, "large")).await;
            let rest = line.rest().await;
            line.note(format!("closed after {rest} more bytes"));
            return;
        }
        line.say(answer(200, "/next")).await;
        line.echo_paths().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let call = post("/half", Length::Known(1_000_000)).start(&engine);
    let parts = call.parts.clone();
    drop(parts.send(Part::Data(Bytes::from(vec![b'h'; 8_000]))).await);
    let refusal = call.answer(PATIENCE).await;
    let mut complaints = Vec::new();
    if refusal.status != 413 || refusal.body != b"large" || !refusal.whole {
        complaints.push(format!("answer not seen ({})", refusal.why()));
    }
    if refusal.pooled {
        complaints.push("connection pooled with half an upload on it".to_owned());
    }
    if !next_is_own(&engine).await {
        complaints.push("the next request failed".to_owned());
    }
    if !upstream.noted(|note| note.starts_with("closed after")).await {
        complaints.push("connection left open".to_owned());
    }
    Verdict::without(&complaints, "seen, closed")
}

/// How often an early refusal followed by a reset (the upstream closes with our bytes unread) reaches the caller, of 100.
pub(crate) async fn refusals_seen(build: fn(std::net::SocketAddr) -> Engine) -> usize {
    let upstream = Upstream::start(async |mut line| {
        if line.head().await.is_some() {
            line.say(answer(413, "large")).await;
        }
    })
    .await;
    let mut seen = 0;
    for _ in 0..100 {
        let engine = Arc::new(build(upstream.addr));
        let call = post("/flood", Length::Known(FLOOD as u64)).start(&engine);
        let parts = call.parts.clone();
        let uploader = tokio::spawn(async move {
            let piece = Bytes::from(vec![b'u'; PIECE]);
            while parts.send(Part::Data(piece.clone())).await.is_ok() {}
        });
        let refusal = call.answer(PATIENCE).await;
        uploader.abort();
        seen += usize::from(refusal.status == 413 && refusal.body == b"large");
    }
    seen
}

/// A body without a length, as HTTP/2 brings them, arrives framed and whole.
pub(crate) async fn no_length(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        let Some(head) = line.head().await else { return };
        let head = head.to_ascii_lowercase();
        let framed =
            head.contains("\r\ntransfer-encoding: chunked\r\n") && !head.contains("\r\ncontent-length:");
        let mut body = Vec::new();
        loop {
            match line.chunk().await {
                Some(chunk) if chunk.is_empty() => break,
                Some(chunk) => body.extend_from_slice(&chunk),
                None => return,
            }
        }
        line.trailers().await;
        line.say(answer(200, &format!("{framed} {}", String::from_utf8_lossy(&body)))).await;
        line.echo_paths().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let call = post("/upload", Length::Unknown).start(&engine);
    send(&call, b"without ").await;
    send(&call, b"length").await;
    drop(call.parts.send(Part::End).await);
    let answer = call.answer(PATIENCE).await;
    let kept =
        answer.whole && answer.pooled && answer.body == b"true without length" && next_is_own(&engine).await;
    Verdict::new(kept, if kept { engine.frames_unknown().to_owned() } else { answer.why().to_owned() })
}

/// Trailers of the request (announced, then not announced) and of the response.
pub(crate) async fn trailers(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        while line.head().await.is_some() {
            while line.chunk().await.is_some_and(|chunk| !chunk.is_empty()) {}
            let seen = line.trailers().await.unwrap_or_default().contains(&"x-sum: 1".to_owned());
            let body = if seen { "yes" } else { "not" };
            line.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n").await;
            line.say(format!("3\r\n{body}\r\n0\r\nX-End: 2\r\n\r\n")).await;
        }
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let mut complaints = Vec::new();
    let mut praise = "both ways, announced or not";
    for announced in [true, false] {
        let ask = post("/trailers", Length::Unknown);
        let call = if announced { ask.with("trailer", "x-sum") } else { ask }.start(&engine);
        send(&call, b"body").await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        drop(call.parts.send(Part::Trailers(trailers)).await);
        drop(call.parts.send(Part::End).await);
        let answer = call.answer(PATIENCE).await;
        if answer.body != b"yes" {
            if announced {
                complaints
                    .push(format!("request's lost{}", if answer.whole { "" } else { ", and no answer" }));
            } else {
                praise = "both ways; the request's only if announced";
            }
        }
        if announced && answer.trailers.is_none_or(|trailers| trailers.get("x-end").is_none()) {
            complaints.push("response's lost".to_owned());
        }
    }
    Verdict::without(&complaints, praise)
}

/// A switch of protocols whose first frame came with its head, then a tunnel under pressure both ways.
pub(crate) async fn upgrade(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        if line.head().await.is_none() {
            return;
        }
        line.say(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nFIRST",
        )
        .await;
        if line.exactly(4).await.as_deref() != Some(b"ping") {
            return;
        }
        let piece = vec![b'd'; PIECE];
        for _ in 0..FLOOD / PIECE {
            if !line.say(&piece).await {
                return;
            }
        }
        if line.exactly(FLOOD).await.is_some() {
            line.say("LAST").await;
        }
        line.rest().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let mut call = get("/socket").with("connection", "upgrade").with("upgrade", "websocket").start(&engine);
    let mut complaints = Vec::new();
    if call.head(PATIENCE).await != Some(101) || call.bytes(5, PATIENCE).await.as_deref() != Some(b"FIRST") {
        return Verdict::new(false, "first frame lost");
    }
    send(&call, b"ping").await;
    let parts = call.parts.clone();
    let uploader = tokio::spawn(async move {
        let piece = Bytes::from(vec![b'u'; PIECE]);
        for _ in 0..FLOOD / PIECE {
            if parts.send(Part::Data(piece.clone())).await.is_err() {
                return;
            }
        }
    });
    let down = call.bytes(FLOOD + 4, PATIENCE).await;
    if down.is_none_or(|down| !down.ends_with(b"LAST")) {
        complaints.push("first frame seen; tunnel stuck under 12 MiB each way".to_owned());
    }
    uploader.abort();
    call.task.abort();
    Verdict::without(&complaints, "first frame seen, tunnel true duplex")
}

/// Bytes after the end of an answer, at once or while the connection is idle, never become somebody else's answer.
pub(crate) async fn unasked(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        let Some(head) = line.head().await else { return };
        let stray = answer(200, "/stray");
        if head.contains("/together") {
            line.say(answer(200, "/together") + &stray).await;
        } else if head.contains("/later") {
            line.say(answer(200, "/later")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            line.say(stray).await;
        } else {
            line.say(answer(200, "/next")).await;
        }
        line.echo_paths().await;
    })
    .await;
    let mut complaints = Vec::new();
    for path in ["/together", "/later"] {
        let engine = Arc::new(build(upstream.addr));
        let before = upstream.accepted();
        let first = get(path).start(&engine).answer(PATIENCE).await;
        if !first.whole || first.body != path.as_bytes() {
            complaints.push(format!("{path}: {}", first.why()));
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
        if !next_is_own(&engine).await {
            complaints.push(format!("{path}: the next request did not get its answer"));
        }
        if upstream.accepted() != before + 2 {
            complaints.push(format!("{path}: connection used again"));
        }
    }
    Verdict::without(&complaints, "connection thrown away")
}

/// One byte of the head every 100 ms does not move the deadline of the whole head.
pub(crate) async fn dripping(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        if line.number > 0 {
            return line.echo_paths().await;
        }
        line.head().await;
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" {
            if !line.say([*byte]).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let begun = Instant::now();
    let call = Ask { head_deadline: Duration::from_millis(500), ..get("/drip") }.start(&engine);
    let answer = call.answer(PATIENCE).await;
    let took_ms = begun.elapsed().as_millis();
    let in_time = (450..900).contains(&took_ms) && answer.fault.is_some() && !answer.pooled;
    let next = next_is_own(&engine).await;
    Verdict::new(
        in_time && next,
        if in_time && next { "cut at 0.5 s".to_owned() } else { format!("{took_ms} ms {}", answer.why()) },
    )
}

/// An upstream that dies in the middle of its body is seen, whether it closes or resets.
pub(crate) async fn truncation(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        let Some(head) = line.head().await else { return };
        let framing =
            if head.contains("/length") { "Content-Length: 100" } else { "Transfer-Encoding: chunked" };
        let body = if head.contains("/length") { "half" } else { "4\r\nhalf\r\n" };
        line.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}")).await;
        if head.contains("reset") {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(socket2::SockRef::from(&line.io).set_linger(Some(Duration::ZERO)));
        }
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let mut complaints = Vec::new();
    for path in ["/length/close", "/length/reset", "/chunked/close", "/chunked/reset"] {
        let answer = get(path).start(&engine).answer(PATIENCE).await;
        if answer.whole || answer.fault.is_none() || answer.pooled {
            complaints.push(format!("{path} looked whole"));
        }
        if answer.body != b"half" {
            complaints.push(format!("{path}: what came before was lost"));
        }
    }
    Verdict::without(&complaints, "seen in 4 of 4, prefix kept")
}

/// Interim heads before the answer: the answer is right, and they can be seen.
pub(crate) async fn interim(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        line.head().await;
        line.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        line.say(
            "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        )
        .await;
        line.echo_paths().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let answer = get("/hints").start(&engine).answer(PATIENCE).await;
    let right = answer.whole && answer.status == 200 && answer.body == b"body" && answer.pooled;
    let next = next_is_own(&engine).await;
    let kept = right && next && answer.early == [100, 103, 103];
    Verdict::new(kept, if kept { "answer right, each seen".to_owned() } else { format!("{answer:?}") })
}

/// Answers without a body that nevertheless state a length leave the connection usable.
pub(crate) async fn bodyless(build: fn(std::net::SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        while let Some(head) = line.head().await {
            let status = match head.split(' ').nth(1) {
                Some("/204") => 204,
                Some("/304") => 304,
                Some("/next") => {
                    line.say(answer(200, "/next")).await;
                    continue;
                }
                _ => 200,
            };
            line.say(format!("HTTP/1.1 {status} X\r\nContent-Length: 500\r\n\r\n")).await;
        }
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let mut complaints = Vec::new();
    for (path, method) in [("/head", Method::HEAD), ("/204", Method::GET), ("/304", Method::GET)] {
        let answer = Ask { method, ..get(path) }.start(&engine).answer(Duration::from_secs(1)).await;
        if !(answer.whole && answer.body.is_empty()) {
            complaints.push(format!("{path}: {}", answer.why()));
        } else if !answer.pooled || !next_is_own(&engine).await {
            complaints.push(format!("{path}: connection not usable"));
        }
    }
    if complaints.is_empty() && upstream.accepted() != 1 {
        complaints.push(format!("right, over {} connections", upstream.accepted()));
    }
    Verdict::without(&complaints, "one connection for all")
}
