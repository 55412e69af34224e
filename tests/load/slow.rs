//! slowhttptest's four modes, two thousand connections each: the service stays there for others, and who
//! is slow is cut off.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::{Gateway, fetch, until};

const CONNECTIONS: &str = "2000";
/// An answer that no buffer on the way holds.
const LONG: usize = 16 << 20;
/// What may stay of two thousand of them: 32 KiB each, which the allocator keeps for the next crowd.
const COST_MAX: u64 = 64 << 20;

/// Reads what it is sent, whole, and then answers.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let long: Arc<[u8]> = vec![b'x'; LONG].into();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&long)));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, long: Arc<[u8]>) -> std::io::Result<()> {
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let end = loop {
            if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            heard.extend_from_slice(&buffer[..length]);
        };
        let head = String::from_utf8_lossy(&heard[..end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        while heard.len() < end + length.unwrap_or(0) {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            heard.extend_from_slice(&buffer[..length]);
        }
        heard.drain(..end + length.unwrap_or(0));
        let body = if head.contains(" /long ") { &long[..] } else { &long[..100] };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
    }
}

/// Runs one mode while somebody else asks ten times a second; everybody slow is cut off long before the
/// tool itself would end.
async fn mode(gateway: &Gateway, arguments: &[&str], path: &str) {
    let mut command = Command::new("slowhttptest");
    command.args(["-c", CONNECTIONS, "-r", "1000", "-l", "40", "-p", "5", "-v", "1", "-u"]);
    command.arg(format!("http://{}{path}", gateway.site)).args(arguments);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let attack = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let mut served = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while !attack.is_finished() {
        tick.tick().await;
        let answer = tokio::time::timeout(Duration::from_secs(5), fetch(gateway.site, "/")).await;
        let answer = answer.expect("an answer").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{arguments:?}: {answer}");
        served += 1;
    }
    let output = attack.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // A slow reader has more to read than it reads in its time, and does not notice.
    let noticed = arguments.contains(&"-X") || said.contains("No open connections left");
    assert!(noticed, "{arguments:?}: {said}");
    assert!(served > 10, "{arguments:?}: {served}");
}

async fn before(address: SocketAddr, limit: u32) -> Gateway {
    // All come from one address.
    Gateway::start(&format!(
        "[edge]\nmax_connections_per_prefix = 6000\nhead_timeout = \"5s\"\npatience = \"8s\"\n\
         [upstream.app]\naddresses = [\"{address}\"]\n\
         limit = {{ law = \"fixed\", initial = {limit}, ceiling = 5000, wait = \"5s\", stall = \"60s\" }}\n\
         [route.all]\nupstream = \"app\"\n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off_and_others_served_meanwhile() {
    let address = origin().await;
    // Who trickles holds no permit, so a limit far below their number does for everybody else. Slow
    // readers do hold theirs until they are cut off: nothing of an upstream is stored.
    let modes: [(u32, &[&str], &str, Option<&str>); 4] = [
        (50, &["-H", "-i", "2"], "/", None),
        (50, &["-B", "-i", "2", "-s", "8192", "-x", "10"], "/", Some("upload")),
        (50, &["-R"], "/", None),
        (
            5_000,
            &["-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "1"],
            "/long",
            Some("answer"),
        ),
    ];
    for (limit, arguments, path, what) in modes {
        let gateway = before(address, limit).await;
        fetch(gateway.site, "/").await.unwrap();
        let (files, memory) = (gateway.files(), gateway.resident());
        mode(&gateway, arguments, path).await;
        until("nothing is in flight", async || gateway.metric("tornello_in_flight", "").await == 0.0).await;
        if let Some(what) = what {
            let cut = gateway.metric("tornello_slow_clients_total", what).await;
            assert!(cut >= 1_500.0, "{cut} at their {what}");
        }
        // Idle connections to the upstream are kept for a while.
        until("files are back", async || gateway.files() <= files + 50).await;
        let back = until("memory is back", async || gateway.resident().saturating_sub(memory) <= COST_MAX);
        back.await;
        println!("{arguments:?}: {} MiB stay", gateway.resident().saturating_sub(memory) >> 20);
    }
}
