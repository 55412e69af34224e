//! PROXY protocol: who may write it, what it changes, and what ends a connection.

use std::net::SocketAddr;

use proxy_header::{ProxiedAddress, ProxyHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tornello::edge::proxy_header::{Header, parse};

use crate::stage::{Gate, Origin, get, until};

const REQUEST: &[u8] =
    b"GET /x HTTP/1.1\r\nhost: a.example\r\nx-forwarded-for: 198.51.100.1\r\nconnection: close\r\n\r\n";

/// A gateway whose second listener demands the header.
async fn flagged(origin: SocketAddr, trusted: &str, more: &str) -> Gate {
    let state = tempfile::tempdir().unwrap();
    let text = format!(
        r#"[listen]
http = ["127.0.0.1:0", {{ address = "127.0.0.1:0", proxy_protocol = true }}]
admin = "127.0.0.1:0"
state_directory = {:?}
[edge]
trusted_proxies = [{trusted}]
{more}
[upstream.app]
addresses = ["{origin}"]
[route.all]
upstream = "app"
"#,
        state.path().display().to_string()
    );
    let (settings, _) = tornello::config::parse(&text, "test.toml").unwrap();
    let running = tornello::app::start(settings, tornello::app::Options::default()).await.unwrap();
    Gate { running, state }
}

fn v1(source: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    address(source).encode_v1(&mut bytes).unwrap();
    bytes
}

fn v2(source: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    address(source).encode_v2(&mut bytes).unwrap();
    bytes
}

fn address(source: &str) -> ProxyHeader<'static> {
    let source: SocketAddr = source.parse().unwrap();
    let here = if source.is_ipv4() { "192.0.2.80:80" } else { "[2001:db8::80]:80" };
    ProxyHeader::with_address(ProxiedAddress::stream(source, here.parse().unwrap()))
}

/// Sends pieces, one packet each as far as the system lets us, and reads to the end.
async fn talk(to: SocketAddr, pieces: impl Iterator<Item = &[u8]>) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    // A reset is an end as well: what it says is what was read before.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn whole(to: SocketAddr, header: &[u8]) -> String {
    let bytes = [header, REQUEST].concat();
    talk(to, std::iter::once(&bytes[..])).await
}

fn closed(gate: &Gate, reason: &str) -> u64 {
    let metrics = &gate.running.proxy.witness.metrics;
    metrics.connections_closed.with_label_values(&[reason]).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_name_the_client_and_local_ones_keep_the_socket() {
    let origin = Origin::echo().await;
    let gate = flagged(origin.address, "\"127.0.0.0/8\"", "").await;
    let to = gate.running.listen[1];
    for (header, client) in [
        (v1("203.0.113.9:4000"), "203.0.113.9"),
        (v2("203.0.113.9:4000"), "203.0.113.9"),
        (v1("[2001:db8::9]:4000"), "2001:db8::9"),
        (v2("[2001:db8::9]:4000"), "2001:db8::9"),
    ] {
        let answer = whole(to, &header).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // What the client itself claims of others is not believed: the load balancer did not say it.
        assert!(answer.contains(&format!("x-forwarded-for: {client}\n")), "{answer}");
        assert!(!answer.contains("198.51.100.1"), "{answer}");
    }
    let mut local = Vec::new();
    ProxyHeader::with_local().encode_v2(&mut local).unwrap();
    for header in [local, b"PROXY UNKNOWN\r\n".to_vec(), b"PROXY UNKNOWN 1 2 3 4\r\n".to_vec()] {
        let answer = whole(to, &header).await;
        assert!(answer.contains("x-forwarded-for: 198.51.100.1, 127.0.0.1\n"), "{answer}");
    }
    assert_eq!(get(gate.running.listen[0], "/").await.status, 200, "the other listener wants no header");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_may_come_in_any_pieces() {
    let origin = Origin::echo().await;
    let gate = flagged(origin.address, "\"127.0.0.0/8\"", "").await;
    let to = gate.running.listen[1];
    for header in [v1("203.0.113.9:4000"), v2("203.0.113.9:4000")] {
        let bytes = [&header[..], REQUEST].concat();
        for cut in 1..=header.len() {
            let (one, two) = bytes.split_at(cut);
            let answer = talk(to, [one, two].into_iter()).await;
            assert!(answer.contains("x-forwarded-for: 203.0.113.9\n"), "cut at {cut}: {answer}");
        }
        let answer = talk(to, bytes.chunks(1)).await;
        assert!(answer.contains("x-forwarded-for: 203.0.113.9\n"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_header_in_time_from_a_trusted_peer_nothing_reaches_the_upstream() {
    let origin = Origin::echo().await;
    let gate = flagged(origin.address, "\"127.0.0.0/8\"", "head_timeout = \"300ms\"").await;
    let to = gate.running.listen[1];
    let mut refused = 0;
    for bad in [
        &b""[..],
        b"PROXY TCP4 203.0.113.9 192.0.2.80 4000\r\n",
        b"PROXY TCP4 203.0.113.999 192.0.2.80 4000 80\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.80 4000 80\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.80 4000 80\r\n",
        b"proxy TCP4 203.0.113.9 192.0.2.80 4000 80\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x50\0\x50",
        b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x50\0\x50",
        b"\x16\x03\x01\x02\0",
    ] {
        assert_eq!(whole(to, bad).await, "", "{bad:?}");
        refused += 1;
    }
    assert_eq!(closed(&gate, "proxy_header"), refused);
    // A header that never ends.
    let mut slow = TcpStream::connect(to).await.unwrap();
    slow.write_all(b"PROXY TCP4 203.0").await.unwrap();
    assert_eq!(slow.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert_eq!(closed(&gate, "late"), 1);
    let stranger = flagged(origin.address, "\"192.0.2.1\"", "").await;
    assert_eq!(whole(stranger.running.listen[1], &v1("203.0.113.9:4000")).await, "");
    until("it is counted", || async { (closed(&stranger, "untrusted_proxy") == 1).then_some(()) }).await;
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_behind_a_load_balancer_meets_its_own_cap() {
    let origin = Origin::echo().await;
    let gate = flagged(origin.address, "\"127.0.0.0/8\"", "max_connections_per_prefix = 2").await;
    let to = gate.running.listen[1];
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let request = [&v1("203.0.113.9:4000")[..], b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"].concat();
        stream.write_all(&request).await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        held.push(stream);
    }
    assert_eq!(whole(to, &v1("203.0.113.9:4000")).await, "", "a third of the same client");
    assert!(whole(to, &v1("203.0.113.10:4000")).await.starts_with("HTTP/1.1 200"), "another client");
    drop(held);
    until("there is room again", || async {
        whole(to, &v1("203.0.113.9:4000")).await.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_believes_nobody_is_refused() {
    let text = "[listen]\nhttp = { address = \"0.0.0.0:80\", proxy_protocol = true }\n[upstream.a]\naddresses = [\"10.0.0.1:80\"]\n[route.a]\nupstream = \"a\"\n";
    let found = tornello::config::parse(text, "t").unwrap_err();
    assert!(found.len() == 1 && found[0].help.contains("trusted_proxies"), "{found:#?}");
    let origin = Origin::echo().await;
    let plain = flagged(origin.address, "\"127.0.0.0/8\"", "").await;
    let answer = whole(plain.site(), &v1("203.0.113.9:1")).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "a header that nobody asked for: {answer}");
}

/// Every prefix, every flipped byte and many broken fields: whole only if it is what was written.
#[test]
fn the_parser_takes_what_it_should_and_nothing_else() {
    let mut cases = 0;
    let mut expect = |bytes: &[u8], wanted: Header| {
        cases += 1;
        assert_eq!(parse(bytes), wanted, "{:?}", String::from_utf8_lossy(bytes));
    };
    for text in ["203.0.113.9:4000", "[2001:db8::9]:4000", "0.0.0.0:0", "255.255.255.255:65535"] {
        let source = Some(text.parse().unwrap());
        for header in [v1(text), v2(text)] {
            let length = header.len();
            for cut in 0..length {
                expect(&header[..cut], Header::Partial);
            }
            expect(&header, Header::Whole { source, length });
            expect(&[&header[..], b"\x16\x03\x01"].concat(), Header::Whole { source, length });
        }
    }
    for family in ["TCP4", "TCP5", "tcp4", "TCP", "UNIX", ""] {
        for rest in [
            "203.0.113.9  192.0.2.80 1 2",
            "203.0.113.9 192.0.2.80 1",
            "203.0.113.9 192.0.2.80 1 65536",
            "203.0.113.9 192.0.2.80 -1 2",
            "203.0.113.9,192.0.2.80 1 2 3",
            "2001:db8::1 2001:db8::2 1 2",
            "localhost 192.0.2.80 1 2",
        ] {
            expect(format!("PROXY {family} {rest}\r\n").as_bytes(), Header::Bad);
        }
    }
    let good = v2("203.0.113.9:4000");
    for (place, values) in [(12, 0x22..=0x2f), (12, 0x00..=0x1f), (13, 0x13..=0x20), (13, 0x33..=0x50)] {
        for value in values {
            let mut bytes = good.clone();
            bytes[place] = value;
            expect(&bytes, Header::Bad);
        }
    }
    for place in 0..12 {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        expect(&bytes, Header::Bad);
    }
    expect(&[&good[..14], &[0xff, 0xff], &[0; 5000]].concat(), Header::Bad);
    expect(format!("PROXY TCP4 {}\r\n", "1".repeat(120)).as_bytes(), Header::Bad);
    assert!(cases >= 200, "{cases} cases");
}
