//! Large uploads pass in constant memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::Gateway;

const UPLOADS: usize = 20;
const LENGTH: u64 = 1 << 30;
const GROWTH_MAX: u64 = 64 << 20;

/// Takes a body of the declared length, counts it, and answers.
async fn take(mut stream: TcpStream, taken: Arc<AtomicU64>) {
    let mut buffer = vec![0; 256 * 1024];
    let mut head = Vec::new();
    let rest = loop {
        let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
        head.extend_from_slice(&buffer[..length]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break head.len() - end - 4;
        }
    };
    let mut left = LENGTH - rest as u64;
    while left > 0 {
        let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
        left -= length as u64;
    }
    taken.fetch_add(LENGTH, Ordering::SeqCst);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
}

async fn upload(site: SocketAddr) {
    let mut stream = TcpStream::connect(site).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {LENGTH}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..LENGTH >> 20 {
        stream.write_all(&piece).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_uploads_of_a_gigabyte_at_once_take_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, Arc::clone(&count)));
        }
    });
    let gateway = Gateway::start(&format!(
        "[edge]\ndrain = \"1h\"\n[upstream.app]\naddresses = [\"{address}\"]\n\
         limit = {{ law = \"fixed\", initial = 40 }}\n\
         [route.all]\nupstream = \"app\"\nbody_limit = \"1GiB\"\ntimeout = \"10m\"\n"
    ))
    .await;
    let before = gateway.resident();
    let mut most = before;
    let mut uploads = tokio::task::JoinSet::new();
    (0..UPLOADS).for_each(|_| drop(uploads.spawn(upload(gateway.site))));
    let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
    while !uploads.is_empty() {
        tokio::select! {
            done = uploads.join_next() => done.unwrap().unwrap(),
            _ = look.tick() => most = most.max(gateway.resident()),
        }
    }
    assert_eq!(taken.load(Ordering::SeqCst), LENGTH * UPLOADS as u64, "all of it arrived");
    let growth = most - before;
    assert!(growth <= GROWTH_MAX, "{} MiB", growth >> 20);
}
