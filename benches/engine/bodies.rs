//! The rows about bodies: both directions at once, early refusals, framing and trailers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::Engine;
use super::ask::{DELUGE, FLOOD, PATIENCE, PIECE, Verdict, next_is_own, post, send};
use super::exchange::{Length, Part};
use super::upstream::{Upstream, answer};

/// The upstream answers each part of the upload before the next one is sent.
pub(crate) async fn duplex(build: fn(SocketAddr) -> Engine) -> Verdict {
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

/// The upstream sends nearly all of its answer before it reads the upload, both larger than the buffers between; the last bytes
/// follow the whole upload.
pub(crate) async fn talks_first(build: fn(SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        if line.head().await.is_none() {
            return;
        }
        line.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", DELUGE + 4)).await;
        let piece = vec![b'd'; PIECE];
        for _ in 0..DELUGE / PIECE {
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
        answer.whole && answer.pooled && answer.body.len() == DELUGE + 4 && answer.body.ends_with(b"LAST");
    let how = format!("deadlock after {} of 48 MiB", answer.body.len() >> 20);
    Verdict::new(kept, if kept { "no deadlock".to_owned() } else { how })
}

/// An early refusal while the caller holds half an upload back: seen, and the connection not used again.
pub(crate) async fn early_refusal(build: fn(SocketAddr) -> Engine) -> Verdict {
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
pub(crate) async fn refusals_seen(build: fn(SocketAddr) -> Engine) -> usize {
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
pub(crate) async fn no_length(build: fn(SocketAddr) -> Engine) -> Verdict {
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
pub(crate) async fn trailers(build: fn(SocketAddr) -> Engine) -> Verdict {
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
