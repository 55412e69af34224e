//! Floods of HTTP/2 frames: each connection is ended, and all of them together take no memory.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::{Gateway, fetch, until};

/// Connections of each kind, all kinds at once.
const CONNECTIONS: usize = 40;
const FRAMES: u32 = 20_000;
const GROWTH_MAX: u64 = 32 << 20;

/// Answers with more than any window lets through.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let long: Arc<[u8]> = vec![b'x'; 1 << 20].into();
        while let Ok((mut stream, _)) = listener.accept().await {
            let long = Arc::clone(&long);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1048576\r\n\r\n";
                let _ = stream.write_all(head).await;
                let _ = stream.write_all(&long).await;
            });
        }
    });
    address
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What each kind of flood sends after the preface.
fn floods() -> Vec<Vec<u8>> {
    let ask = [&[0x82, 0x86, 0x84, 0x41, 1][..], b"x"].concat();
    let post = [&[0x83, 0x86, 0x84, 0x41, 1][..], b"x", &[0x0f, 0x0d, 1], b"9"].concat();
    let many = |one: Vec<u8>| one.repeat(usize::try_from(FRAMES).unwrap());
    let streams =
        |make: &dyn Fn(u32) -> Vec<u8>| (0..FRAMES).flat_map(|number| make(2 * number + 1)).collect();
    vec![
        many(frame(6, 0, 0, &[7; 8])),
        many(frame(4, 0, 0, &[])),
        many(frame(4, 0, 0, &[0, 1, 0, 0, 0x10, 0].repeat(100))),
        many(frame(2, 0, 3, &[0, 0, 0, 0, 9])),
        [frame(1, 4, 1, &post), many(frame(0, 0, 1, &[]))].concat(),
        // A head without end, of nothing and of a long field.
        [frame(1, 1, 1, &ask), many(frame(9, 0, 1, &[]))].concat(),
        [frame(1, 1, 1, &ask), frame(9, 0, 1, &[0x40; 16_000]).repeat(500)].concat(),
        streams(&|stream| [frame(1, 5, stream, &ask), frame(3, 0, stream, &[0, 0, 0, 8])].concat()),
        // Errors of the client for which the streams are reset.
        streams(&|stream| {
            [frame(1, 4, stream, &post), frame(8, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
        }),
        // Answers that nobody lets through.
        [frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]), streams(&|stream| frame(1, 5, stream, &ask))].concat(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_end_and_take_no_memory() {
    let address = origin().await;
    let gateway = Gateway::start(&format!(
        "[edge]\nmax_connections_per_prefix = 5000\npatience = \"2s\"\n[upstream.app]\naddresses = [\"{address}\"]\n\
         limit = {{ law = \"fixed\", initial = 100, wait = \"1s\" }}\n[route.all]\nupstream = \"app\"\n"
    ))
    .await;
    fetch(gateway.site, "/").await.unwrap();
    let before = gateway.resident();
    let floods: Vec<Arc<[u8]>> = floods().into_iter().map(Into::into).collect();
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS * floods.len() {
        let (site, flood) = (gateway.site, Arc::clone(&floods[number % floods.len()]));
        crowd.spawn(async move {
            let (mut read, mut write) = TcpStream::connect(site).await.unwrap().into_split();
            let writing = tokio::spawn(async move {
                let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
                if write.write_all(&hello).await.is_ok() {
                    let _ = write.write_all(&flood).await;
                }
                write
            });
            let mut waste = vec![0; 16 * 1024];
            while let Ok(1..) = read.read(&mut waste).await {}
            writing.abort();
        });
    }
    let mut most = before;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
    while !crowd.is_empty() {
        tokio::select! {
            ended = crowd.join_next() => ended.unwrap().unwrap(),
            _ = look.tick() => most = most.max(gateway.resident()),
        }
    }
    let growth = most - before;
    println!("{} KiB", growth >> 10);
    assert!(growth <= GROWTH_MAX, "{} MiB", growth >> 20);
    until("nothing is in flight", async || gateway.metric("tornello_in_flight", "").await == 0.0).await;
    let ended = gateway.metric("tornello_connections_closed_total", "h2_").await;
    let all = f64::from(u32::try_from(CONNECTIONS * floods.len()).unwrap());
    assert!(ended >= all * 0.9, "{ended} of {all} are counted");
    assert!(fetch(gateway.site, "/").await.unwrap().starts_with("HTTP/1.1 200 "));
}
