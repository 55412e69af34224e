//! The rows about heads and ends: upgrades, stray bytes, slow and interim heads, cut bodies and answers without one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;

use super::Engine;
use super::ask::{Ask, DELUGE, FLOOD, PATIENCE, PIECE, Verdict, get, next_is_own, send};
use super::exchange::Part;
use super::upstream::{Upstream, answer};

/// A switch of protocols whose first frame came with its head, then a tunnel under pressure both ways.
pub(crate) async fn upgrade(build: fn(SocketAddr) -> Engine) -> Verdict {
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
        for _ in 0..DELUGE / PIECE {
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
    let down = call.bytes(DELUGE + 4, PATIENCE).await;
    if down.is_none_or(|down| !down.ends_with(b"LAST")) {
        complaints.push("first frame seen; tunnel stuck, 12 MiB up against 48 down".to_owned());
    }
    uploader.abort();
    call.task.abort();
    Verdict::without(&complaints, "first frame seen, tunnel true duplex")
}

/// Bytes after the end of an answer, at once or while the connection is idle, never become somebody else's answer.
pub(crate) async fn unasked(build: fn(SocketAddr) -> Engine) -> Verdict {
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
pub(crate) async fn dripping(build: fn(SocketAddr) -> Engine) -> Verdict {
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
pub(crate) async fn truncation(build: fn(SocketAddr) -> Engine) -> Verdict {
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
pub(crate) async fn interim(build: fn(SocketAddr) -> Engine) -> Verdict {
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
pub(crate) async fn bodyless(build: fn(SocketAddr) -> Engine) -> Verdict {
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
    // A pool may now and then miss a good connection; one that misses each time was given bad ones.
    let connections = upstream.accepted();
    if complaints.is_empty() && connections >= 6 {
        complaints.push("right, but no connection was used twice".to_owned());
    }
    Verdict::without(&complaints, &format!("6 exchanges over {connections} connection(s)"))
}
