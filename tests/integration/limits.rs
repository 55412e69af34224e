//! Limits at their edge: bodies, connections, open files.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::Process;
use crate::stage::{Gate, Origin, get, try_ask, until};

const LIMIT: usize = 4_096;

/// An upstream that keeps every byte, and answers when a request is whole.
async fn recording() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (mut own, mut buffer) = (Vec::new(), [0; 8192]);
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    own.extend_from_slice(&buffer[..length]);
                    kept.lock().unwrap().extend_from_slice(&buffer[..length]);
                    if is_whole(&own) {
                        own.clear();
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                }
            });
        }
    });
    (address, seen)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length| length.parse() == Ok(body.len()))
}

async fn chunked(site: SocketAddr, length: usize) -> String {
    let mut stream = TcpStream::connect(site).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let body = vec![b'x'; length];
    for piece in body.chunks(1_000) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        // The answer may come before the last piece.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_let_through_up_to_its_limit_and_not_a_byte_beyond() {
    let (upstream, seen) = recording().await;
    let gate = Gate::start(&format!(
        "[upstream.app]\naddresses = [\"{upstream}\"]\nhealth = {{ interval = \"10m\" }}\n\
         [route.all]\nupstream = \"app\"\nbody_limit = \"4KiB\"\n"
    ))
    .await;
    for length in [LIMIT - 1, LIMIT, LIMIT + 1] {
        let fits = length <= LIMIT;
        seen.lock().unwrap().clear();
        let declared =
            try_ask(gate.site(), Method::POST, "/", &[], Bytes::from(vec![b'x'; length])).await.unwrap();
        let wanted = if fits { StatusCode::OK } else { StatusCode::PAYLOAD_TOO_LARGE };
        assert_eq!(declared.status, wanted, "{length} declared");
        let sent = seen.lock().unwrap().len();
        assert!(if fits { sent > length } else { sent == 0 }, "{length} declared, {sent} sent on");

        seen.lock().unwrap().clear();
        let answer = chunked(gate.site(), length).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", wanted.as_str())), "{length} in chunks: {answer}");
        let seen = seen.lock().unwrap();
        let count = seen.iter().filter(|byte| **byte == b'x').count();
        // Three more stand in the names of fields.
        assert!(count <= LIMIT + 16, "{length} in chunks, {count} sent on");
        assert_eq!(is_whole(&seen), fits, "{length} in chunks: what was cut off is no whole request");
    }
    until("every permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_cap_idle_connections_make_room_and_busy_ones_stay() {
    let origin = Origin::start(None, |_| Response::new(Full::new(Bytes::from_static(b"served")))).await;
    let gate = Gate::start(&format!(
        "[edge]\nmax_connections = 20\nmax_connections_per_prefix = 20\nhead_timeout = \"10m\"\n\
         trusted_proxies = [\"127.0.0.1\"]\n\
         [upstream.app]\naddresses = [\"{}\"]\n[route.all]\nupstream = \"app\"\n",
        origin.address
    ))
    .await;
    let site = gate.site();
    origin.delay(1_500);
    let busy: Vec<_> = (0..10).map(|_| tokio::spawn(async move { get(site, "/").await })).collect();
    until("ten are busy", || async { (origin.in_flight() == 10).then_some(()) }).await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(TcpStream::connect(site).await.unwrap());
    }
    let open = &gate.running.proxy.witness.metrics.connections;
    until("the cap is reached", || async { (open.get() == 20).then_some(()) }).await;
    // Somebody new is served at once: the one that was idle for longest goes.
    let new = get(site, "/").await;
    assert_eq!((new.status, new.text().as_str()), (StatusCode::OK, "served"));
    assert_eq!(idle[0].read(&mut [0; 1]).await.unwrap(), 0, "the first to come was idle for longest");
    for one in busy {
        assert_eq!(one.await.unwrap().status, StatusCode::OK, "nobody who is being served is cut off");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_place_is_told_so() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&format!(
        "[edge]\nmax_connections = 20\nmax_connections_per_prefix = 2\n\
         [upstream.app]\naddresses = [\"{}\"]\n[route.all]\nupstream = \"app\"\n",
        origin.address
    ))
    .await;
    origin.delay(2_000);
    let site = gate.site();
    let busy: Vec<_> = (0..2).map(|_| tokio::spawn(async move { get(site, "/").await })).collect();
    until("two are busy", || async { (origin.in_flight() == 2).then_some(()) }).await;
    let told = try_ask(site, Method::POST, "/", &[], Bytes::from(vec![0; 20_000])).await.unwrap();
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(told.headers.contains_key("retry-after") && told.text().contains("<html"), "{told:?}");
    assert_eq!(told.headers["cache-control"], "no-store");
    let metrics = &gate.running.proxy.witness.metrics;
    assert_eq!(metrics.connections_refused.with_label_values(&["subscriber"]).get(), 1);
    for one in busy {
        assert_eq!(one.await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_clients_and_256_files_do_no_harm() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = \"{}/state\"\n\
         [edge]\nhead_timeout = \"10m\"\n[upstream.app]\naddresses = [\"{}\"]\n[route.all]\nupstream = \"app\"\n",
        folder.path().display(),
        origin.address
    );
    std::fs::write(folder.path().join("tornello.toml"), text).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 256; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tornello")]);
    let process = Process::launch(command, folder.path(), None);
    let (site, admin) = (process.site, process.admin);
    assert!(process.log.lock().unwrap().contains("256 open files allow 80 connections"));
    origin.delay(1_000);
    let under_way: Vec<_> = (0..5).map(|_| tokio::spawn(async move { get(site, "/").await })).collect();
    until("five are under way", || async { (origin.in_flight() == 5).then_some(()) }).await;
    let mut crowd = Vec::new();
    for _ in 0..500 {
        crowd.push(TcpStream::connect(site).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(get(admin, "/live").await.status, StatusCode::OK);
        assert_eq!(get(admin, "/metrics").await.status, StatusCode::OK);
    }
    for one in under_way {
        assert_eq!(one.await.unwrap().status, StatusCode::OK, "what was under way ends well");
    }
    origin.delay(0);
    // With the crowd still there, those who ask are served in the place of those who only hold on.
    for _ in 0..50 {
        until("somebody new is served", || async {
            let got = try_ask(site, Method::GET, "/", &[], Bytes::new()).await.ok()?;
            (got.status == StatusCode::OK).then_some(())
        })
        .await;
    }
    let open = || async {
        let metrics = get(admin, "/metrics").await.text();
        let of = |name: &str| -> f64 {
            let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        (of("tornello_connections "), of("process_open_fds "))
    };
    let (connections, files) = open().await;
    assert!(connections <= 96.0 && files < 256.0, "{connections} connections, {files} files");
    drop(crowd);
    until("all is as before", || async { (open().await.0 <= 2.0).then_some(()) }).await;
    assert_eq!(get(site, "/").await.status, StatusCode::OK);
    let log = process.log.lock().unwrap().clone();
    assert!(!log.contains("could not be accepted"), "accepting stops below the limit of files: {log}");
}
