//! The rows about endings: callers who leave in each phase, and pooled connections that died while idle.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

use super::Engine;
use super::ask::{PATIENCE, Verdict, get, next_is_own, post};
use super::exchange::{Connection, Length, Part};
use super::upstream::{Upstream, answer};

/// What the exchange does when its caller is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    Finish,
    Cancel,
}

/// A hang-up in each phase, finished or cancelled, harms nobody: no half upload looks whole, nothing is sent for a caller who
/// left before, and the next request gets its own answer.
pub(crate) async fn hang_ups(build: fn(SocketAddr) -> Engine) -> Verdict {
    let mut complaints = Vec::new();
    for manner in [Manner::Finish, Manner::Cancel] {
        let phases = [
            ("connecting", connecting(build, manner).await),
            ("sending", sending(build, manner).await),
            ("awaiting", awaiting(build, manner).await),
            ("reading", reading(build, manner).await),
        ];
        for (phase, complaint) in phases {
            if let Some(complaint) = complaint {
                complaints.push(format!("{manner:?} {phase}: {complaint}"));
            }
        }
    }
    Verdict::without(&complaints, "finish 4/4, cancel 4/4")
}

/// A listener whose queue is full, so that the next connect hangs until somebody accepts.
async fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(150), TcpStream::connect(addr)).await
    {
        queued.push(connected.unwrap());
        assert!(queued.len() < 16, "the listener's queue never fills");
    }
    (listener, queued)
}

async fn connecting(build: fn(SocketAddr) -> Engine, manner: Manner) -> Option<String> {
    let (listener, queued) = full_listener().await;
    let engine = Arc::new(build(listener.local_addr().unwrap()));
    let call = post("/gone", Length::Empty).start(&engine);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (parts, events, mut task) = (call.parts, call.events, call.task);
    drop((parts, events));
    if manner == Manner::Cancel {
        task.abort();
    }
    drop(queued);
    let upstream = Upstream::on(listener, super::upstream::Line::echo_paths);
    let ended = tokio::time::timeout(Duration::from_secs(5), &mut task).await;
    if ended.is_err() {
        return Some("never ended".to_owned());
    }
    if !next_is_own(&engine).await {
        return Some("the next request failed".to_owned());
    }
    upstream.notes().iter().any(|note| note.starts_with("/gone")).then(|| "sent for nobody".to_owned())
}

async fn sending(build: fn(SocketAddr) -> Engine, manner: Manner) -> Option<String> {
    let upstream = Upstream::start(async |mut line| {
        if line.number > 0 {
            return line.echo_paths().await;
        }
        line.head().await;
        let mut bytes = 0;
        loop {
            match line.chunk().await {
                Some(chunk) if chunk.is_empty() => return line.note("looked whole"),
                Some(chunk) => {
                    bytes += chunk.len();
                    line.note(format!("got {bytes}"));
                }
                None => return line.note("cut"),
            }
        }
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let call = post("/half", Length::Unknown).start(&engine);
    drop(call.parts.send(Part::Data(Bytes::from_static(b"half"))).await);
    if !upstream.noted(|note| note == "got 4").await {
        return Some("the first half never arrived".to_owned());
    }
    leave(call, manner).await;
    if !upstream.noted(|note| note == "cut").await {
        return Some(format!("half an upload was not cut ({:?})", upstream.notes()));
    }
    (!next_is_own(&engine).await).then(|| "the next request failed".to_owned())
}

async fn awaiting(build: fn(SocketAddr) -> Engine, manner: Manner) -> Option<String> {
    let upstream = Upstream::start(async |mut line| {
        if line.number == 0 {
            line.head().await;
            line.note("asked");
            tokio::time::sleep(Duration::from_millis(200)).await;
            line.say(answer(200, "late")).await;
        }
        line.echo_paths().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let call = get("/slow").start(&engine);
    if !upstream.noted(|note| note == "asked").await {
        return Some("never asked".to_owned());
    }
    let connection = leave(call, manner).await;
    finished(&engine, &upstream, manner, connection).await
}

async fn reading(build: fn(SocketAddr) -> Engine, manner: Manner) -> Option<String> {
    let upstream = Upstream::start(async |mut line| {
        if line.number == 0 {
            line.head().await;
            line.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            for _ in 0..10 {
                line.say(format!("1000\r\n{}\r\n", "b".repeat(4096))).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            line.say("0\r\n\r\n").await;
        }
        line.echo_paths().await;
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let mut call = get("/long").start(&engine);
    if call.bytes_after_head(4096).await.is_none() {
        return Some("no body".to_owned());
    }
    let connection = leave(call, manner).await;
    finished(&engine, &upstream, manner, connection).await
}

async fn leave(call: super::exchange::Call, manner: Manner) -> Option<Connection> {
    let (parts, events, mut task) = (call.parts, call.events, call.task);
    drop((parts, events));
    if manner == Manner::Cancel {
        task.abort();
    }
    tokio::time::timeout(PATIENCE, &mut task).await.ok()?.ok()
}

/// After a finished exchange the connection is good for another; after a cancelled one it is gone.
async fn finished(
    engine: &Arc<Engine>,
    upstream: &Upstream,
    manner: Manner,
    left: Option<Connection>,
) -> Option<String> {
    if !next_is_own(engine).await {
        return Some("the next request got another's answer or none".to_owned());
    }
    let wanted = match manner {
        Manner::Finish => (Some(Connection::Pooled), 1),
        Manner::Cancel => (None, 2),
    };
    let found = (left, upstream.accepted());
    (found != wanted).then(|| format!("{left:?} over {} connections", upstream.accepted()))
}

/// Connections closed while idle, with time for the reactor to notice: how many of 20 requests that may not be repeated failed.
pub(crate) async fn stale(build: fn(SocketAddr) -> Engine) -> Verdict {
    let upstream = Upstream::start(async |mut line| {
        if line.head().await.is_some() {
            line.say(answer(200, "/once")).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let engine = Arc::new(build(upstream.addr));
    let mut failed = 0;
    for _ in 0..20 {
        let answer = post("/once", Length::Empty).start(&engine).answer(PATIENCE).await;
        failed += usize::from(!answer.whole);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    Verdict::new(failed == 0, format!("{failed} of 20 failed"))
}

/// The same with the close in the kernel but not yet in the reactor. Runs on a current-thread runtime, which is held up in
/// between; the upstream is a thread.
pub(crate) async fn stale_unnoticed(build: fn(SocketAddr) -> Engine) -> Verdict {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (close, closing) = std::sync::mpsc::channel::<()>();
    let (closed, is_closed) = std::sync::mpsc::channel::<()>();
    let upstream = std::thread::spawn(move || {
        for round in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let asked = stream.read(&mut buffer).unwrap_or(0) > 0;
            if asked {
                stream.write_all(answer(200, "/once").as_bytes()).unwrap();
            }
            if round == 0 {
                closing.recv().unwrap();
                drop(stream);
                closed.send(()).unwrap();
            }
        }
    });
    let engine = Arc::new(build(addr));
    let first = post("/once", Length::Empty).start(&engine).answer(PATIENCE).await;
    assert!(first.whole && first.pooled, "no idle connection to kill");
    tokio::time::sleep(Duration::from_millis(20)).await;
    close.send(()).unwrap();
    is_closed.recv().unwrap();
    let second = post("/once", Length::Empty).start(&engine).answer(PATIENCE).await;
    let verdict = match &second.fault {
        None => Verdict::new(second.whole, engine.sees_a_close()),
        Some(fault) if fault.unsent => Verdict::new(true, "error that says not sent"),
        Some(_) => Verdict::new(false, "error that cannot say whether it was sent"),
    };
    // Whatever happened, let the thread go.
    drop(TcpStream::connect(addr).await);
    drop(tokio::task::spawn_blocking(move || upstream.join()).await);
    verdict
}
