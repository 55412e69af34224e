//! WebSockets and event streams: admitted like requests, outside the limit from their head on, untouched
//! by reloads.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::scripted::{Line, Upstream};
use crate::stage::{Gate, Origin, get, now, until};

fn text(address: SocketAddr, upstream: &str, route: &str) -> String {
    format!(
        r#"
[edge]
max_connections_per_prefix = 5000
[upstream.app]
addresses = ["{address}"]
limit = {{ law = "fixed", initial = 2, floor = 1, ceiling = 10, wait = "20s" }}
{upstream}
[route.all]
path = "/"
upstream = "app"
{route}
"#
    )
}

fn open(gate: &Gate) -> u32 {
    gate.running.proxy.live.load().clusters["app"].tunnels.open()
}

async fn are_open(gate: &Gate, wanted: u32) {
    until("so many tunnels are open", || async { (open(gate) == wanted).then_some(()) }).await;
}

const ASK: &str = "GET /socket HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_first_frame_in_the_packet_of_the_101_arrives_and_each_side_may_end_first() {
    let mut upstream = Upstream::start().await;
    let gate = Gate::start(&text(upstream.address, "", "")).await;
    for upstream_first in [true, false] {
        let mut client = Line::to(gate.site()).await;
        // Nobody waits for the 101 before it speaks.
        client.say(&format!("{ASK}early")).await;
        let mut side = upstream.next().await;
        let head = side.head().await;
        assert!(
            head.contains("\r\nupgrade: websocket\r\n") && head.contains("sec-websocket-key: dGhl"),
            "{head}"
        );
        assert!(!head.contains("keep-alive"), "{head}");
        side.say(&format!("{AGREE}first frame")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-accept: s3pP"), "{head}");
        assert!(head.to_lowercase().contains("upgrade: websocket"), "{head}");
        client.hear("first frame").await;
        side.hear("early").await;
        are_open(&gate, 1).await;
        assert_eq!(gate.in_flight("app"), 0, "it has left the limit");
        let (first, last) = if upstream_first { (&mut side, &mut client) } else { (&mut client, &mut side) };
        first.say("my last").await;
        first.stream.shutdown().await.unwrap();
        assert_eq!(last.rest().await, ("my last".to_owned(), true));
        last.say("not mine").await;
        last.stream.shutdown().await.unwrap();
        assert_eq!(first.rest().await, ("not mine".to_owned(), true));
        are_open(&gate, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_may_be_declined_and_any_other_is_not_even_asked_for() {
    let mut upstream = Upstream::start().await;
    let gate = Gate::start(&text(upstream.address, "", "")).await;
    let mut client = Line::to(gate.site()).await;
    client.say(ASK).await;
    let mut side = upstream.next().await;
    side.head().await;
    side.say("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    assert!(client.hear("\r\n\r\nno").await.starts_with("HTTP/1.1 403 "));
    are_open(&gate, 0).await;
    client.say("GET /other HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n").await;
    let head = side.head().await;
    assert!(head.starts_with("GET /other ") && !head.contains("upgrade"), "{head}");
    side.say(AGREE).await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 "), "nobody asked to switch");
    until("the permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_to_its_reader_before_the_upstream_says_more() {
    let mut upstream = Upstream::start().await;
    let gate = Gate::start(&text(upstream.address, "tunnels = 1", "")).await;
    let mut client = Line::to(gate.site()).await;
    client.say("GET /events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n").await;
    let mut side = upstream.next().await;
    side.head().await;
    side.say(EVENTS).await;
    client.head().await;
    for event in ["data: 1", "data: 2"] {
        side.say(&format!("9\r\n{event}\n\n\r\n")).await;
        client.hear(event).await;
    }
    assert_eq!((gate.in_flight("app"), open(&gate)), (0, 1), "it counts, but not in the limit");
    let site = gate.site();
    let second = tokio::spawn(async move { get(site, "/events").await });
    let mut more = upstream.next().await;
    more.head().await;
    more.say(EVENTS).await;
    let refused = second.await.unwrap();
    assert_eq!(
        (refused.status, &refused.json()["reason"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"saturated".into())
    );
    assert!(refused.headers.contains_key("retry-after"));
    more.rest().await;
    let mut socket = Line::to(gate.site()).await;
    socket.say(ASK).await;
    assert!(socket.head().await.starts_with("HTTP/1.1 503 "), "tunnels and streams share their cap");
    drop(client);
    side.rest().await;
    are_open(&gate, 0).await;
}

/// From the upstream's socket to the reader's, in both versions: half of them within 50 ms, the first of
/// each stream among them. (A buffer that waits for more, or a timer, would hold all of them.)
#[tokio::test(flavor = "multi_thread")]
async fn events_reach_their_readers_within_fifty_milliseconds() {
    let mut upstream = Upstream::start().await;
    let gate = Gate::start(&text(upstream.address, "", "")).await;
    let door = crate::upstreams::Door2::of(&gate);
    let (mut firsts, mut others) = (Vec::new(), Vec::new());
    for round in 0..10 {
        let mut plain = Line::to(gate.site()).await;
        plain.say("GET /events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n").await;
        let mut side = upstream.next().await;
        side.head().await;
        for event in 0..3 {
            let begun = now();
            side.say(&format!("{}9\r\ndata: {event}\n\n\r\n", if event == 0 { EVENTS } else { "" })).await;
            plain.hear(&format!("data: {event}\n\n")).await;
            if event == 0 { &mut firsts } else { &mut others }.push(begun.elapsed());
        }
        let mut sender = door.client().await;
        let request = http::Request::get("http://x/events").body(crate::upstreams::full("")).unwrap();
        let answering = tokio::spawn(sender.send_request(request));
        let mut side = upstream.next().await;
        side.head().await;
        let begun = now();
        side.say(&format!("{EVENTS}9\r\ndata: 0\n\n\r\n")).await;
        let mut body = answering.await.unwrap().unwrap().into_body();
        let mut read = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&read().await[..], b"data: 0\n\n", "round {round}");
        firsts.push(begun.elapsed());
        let begun = now();
        side.say("9\r\ndata: 1\n\n\r\n").await;
        assert_eq!(&read().await[..], b"data: 1\n\n", "round {round}");
        others.push(begun.elapsed());
    }
    for times in [&mut firsts, &mut others] {
        times.sort_unstable();
        assert!(times[times.len() / 2] <= Duration::from_millis(50), "{times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_idle_for_too_long_ends() {
    let mut upstream = Upstream::start().await;
    let gate = Gate::start(&text(upstream.address, "", "tunnel_idle = \"600ms\"")).await;
    let mut socket = Line::to(gate.site()).await;
    socket.say(ASK).await;
    let mut far = upstream.next().await;
    far.head().await;
    far.say(AGREE).await;
    socket.head().await;
    let mut reader = Line::to(gate.site()).await;
    reader.say("GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut events = upstream.next().await;
    events.head().await;
    events.say(EVENTS).await;
    reader.head().await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        far.say("beat").await;
        socket.hear("beat").await;
        events.say("4\r\nbeat\r\n").await;
        reader.hear("beat").await;
    }
    let (_, clean) = socket.rest().await;
    assert!(clean);
    // An event stream ends as if it were over.
    reader.hear("0\r\n\r\n").await;
    are_open(&gate, 0).await;
}

/// Answers every request with a 101 and says back what it hears.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut heard, mut agreed) = (Vec::new(), false);
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    heard.extend_from_slice(&buffer[..length]);
                    if !agreed && heard.ends_with(b"\r\n\r\n") {
                        agreed = true;
                        heard.clear();
                        stream.write_all(AGREE.as_bytes()).await.unwrap();
                    }
                    if agreed && stream.write_all(&std::mem::take(&mut heard)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sockets_live_through_fifty_reloads() {
    let address = echo().await;
    let gate = Gate::start(&text(address, "", "")).await;
    let mut sockets = Vec::new();
    for _ in 0..1_000 {
        let mut socket = Line::to(gate.site()).await;
        socket.say(ASK).await;
        assert!(socket.head().await.starts_with("HTTP/1.1 101 "));
        sockets.push(socket);
    }
    are_open(&gate, 1_000).await;
    let mut full = Line::to(gate.site()).await;
    full.say(ASK).await;
    assert!(full.head().await.starts_with("HTTP/1.1 503 "));
    for reload in 1..=50 {
        // The upstream is built anew each time, and the cap falls below what is open.
        gate.apply(&text(address, &format!("tunnels = {reload}"), "")).await;
        for (number, socket) in sockets.iter_mut().enumerate().skip(reload).step_by(50) {
            socket.say(&format!("{number}.")).await;
            socket.hear(&format!("{number}.")).await;
        }
    }
    for (number, socket) in sockets.iter_mut().enumerate() {
        socket.say(&format!("<{number}>")).await;
        assert_eq!(socket.hear(">").await, format!("<{number}>"));
    }
    assert_eq!(open(&gate), 1_000);
    drop(sockets);
    are_open(&gate, 0).await;
}

const SERVER: &str = r#"
import asyncio, websockets

async def echo(socket):
    try:
        async for message in socket:
            await socket.send(message)
    except websockets.ConnectionClosedError as end:
        assert end.rcvd.code == 4001, end

async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

asyncio.run(main())
"#;

const CLIENT: &str = r#"
import asyncio, os, sys, websockets

async def main():
    async with websockets.connect(sys.argv[1], max_size=None) as socket:
        for message in ["text", "è", b"bytes", os.urandom(3_000_000), ""]:
            await socket.send(message)
            assert await socket.recv() == message
        await asyncio.wait_for(await socket.ping(), 10)
        await socket.close(4001, "enough")
    assert socket.close_code == 4001, socket.close_code
    print("all of it came back")

asyncio.run(main())
"#;

/// A WebSocket server of Python's library `websockets`. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut command = Command::new("/usr/bin/python3");
        let mut child = command.args(["-c", SERVER]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server says its port; python3-websockets is needed");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_and_a_real_server_understand_each_other() {
    let server = Server::start();
    let gate = Gate::start(&text(server.address, "", "")).await;
    let url = format!("ws://{}/socket", gate.site());
    let client = tokio::task::spawn_blocking(move || {
        Command::new("/usr/bin/python3").args(["-c", CLIENT, &url]).output().unwrap()
    });
    let output = client.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("all of it came back"), "{output:?}");
    are_open(&gate, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_pays_and_waits_like_any_request() {
    let origin = Origin::echo().await;
    let room = "room = \"main\"\n[room.main]\nhold = true\n";
    let gate = Gate::start(&text(origin.address, "", room)).await;
    let fields = [("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let refused = crate::stage::ask(gate.site(), Method::GET, "/", &fields).await;
    assert_eq!(refused.json()["reason"], "held");
    let mut socket = Line::to(gate.site()).await;
    socket.say(ASK).await;
    assert!(socket.head().await.starts_with("HTTP/1.1 503 "));
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}
