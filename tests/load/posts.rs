//! Posts over connections that the upstream closes when they idle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::Gateway;

const POSTS: usize = 100_000;
const CLIENTS: usize = 50;
const BURSTS: usize = 20;
/// When the upstream closes a connection on which nothing came.
const IDLE: Duration = Duration::from_secs(2);

/// Notes how often it executed each post, which says its number as a body of eight digits.
async fn origin() -> (SocketAddr, Arc<Vec<AtomicU32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let executed: Arc<Vec<AtomicU32>> = Arc::new((0..POSTS).map(|_| AtomicU32::default()).collect());
    let shared = Arc::clone(&executed);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(execute(stream, Arc::clone(&shared)));
        }
    });
    (address, executed)
}

async fn execute(mut stream: TcpStream, executed: Arc<Vec<AtomicU32>>) {
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 4096]);
    loop {
        let reading = tokio::time::timeout(IDLE, stream.read(&mut buffer)).await;
        let Ok(Ok(length @ 1..)) = reading else { return };
        heard.extend_from_slice(&buffer[..length]);
        let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if heard.len() < end + 12 {
            continue;
        }
        let number: usize = std::str::from_utf8(&heard[end + 4..end + 12]).unwrap().parse().unwrap();
        heard.drain(..end + 12);
        executed[number].fetch_add(1, Ordering::SeqCst);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

async fn post(site: SocketAddr, numbers: std::ops::Range<usize>) {
    let mut stream = TcpStream::connect(site).await.unwrap();
    for number in numbers {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n{number:08}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"\r\n\r\nok") {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "post {number} after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..length]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Bursts from many clients, then pauses about as long as the upstream's patience, so that connections
/// of every age up to it are in the pool.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_posts_are_executed_once_each() {
    let (address, executed) = origin().await;
    let gateway = Gateway::start(&format!(
        "[upstream.app]\naddresses = [\"{address}\"]\n\
         limit = {{ law = \"fixed\", initial = 100, wait = \"20s\", stall = \"30s\" }}\n\
         [route.all]\nupstream = \"app\"\n"
    ))
    .await;
    let each = POSTS / CLIENTS / BURSTS;
    for burst in 0..BURSTS {
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let first = (burst * CLIENTS + client) * each;
            clients.spawn(post(gateway.site, first..first + each));
        }
        while let Some(done) = clients.join_next().await {
            done.unwrap();
        }
        let pause = 100 * u64::try_from(burst).unwrap() + 150;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let odd = executed.iter().filter(|times| times.load(Ordering::SeqCst) != 1).count();
    assert_eq!(odd, 0, "posts lost or executed twice");
}
