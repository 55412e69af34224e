//! Upstreams that answer nonsense, too much, too little or never: the client sees a definite fault or
//! a truncation, the connection is never used again, the permit is free, and the next request is served.

use std::sync::atomic::Ordering;

use crate::stage::{Gate, get, until};
use crate::upstreams::{Answer, Script, before, raw, understood};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/hostile/answers.txt");
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// The bytes that a line of the data file means.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            bytes.extend(next.to_string().bytes());
            continue;
        }
        match rest.next().unwrap() {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'x' => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            itself => bytes.extend(itself.to_string().bytes()),
        }
    }
    bytes
}

/// What stands in the data file: the expectation, whether the upstream closes, the bytes.
fn cases() -> Vec<(String, bool, Vec<u8>)> {
    let text = std::fs::read_to_string(CASES).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (kind, text) = line.split_once('|').unwrap();
            let kind = kind.trim();
            (kind.trim_end_matches('!').to_owned(), kind.ends_with('!'), bytes(text))
        })
        .collect()
}

/// Plays one answer and says what is wrong with what became of it.
async fn play(script: &Script, gate: &Gate, expected: &str, answer: Answer) -> Option<String> {
    let reused = script.reused.load(Ordering::SeqCst);
    script.says(answer);
    let got = raw(gate.site(), ASK).await;
    let shown = String::from_utf8_lossy(&got).into_owned();
    let good = match (expected, understood(&got)) {
        ("502", (502, true)) => true,
        // Where head and end come at once, nothing of it may have left.
        ("cut", (0 | 200, false)) => true,
        ("ok", (200, true)) => !shown.contains("poison"),
        ("ok", (204 | 304, _)) => shown.ends_with("\r\n\r\n"),
        _ => false,
    };
    script.says(Answer::good());
    let next = get(gate.site(), "/").await;
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    let wrong = if !good {
        format!("seen: {:?}", shown.chars().take(200).collect::<String>())
    } else if &next.body[..] != b"ok" {
        format!("the next one got {:?}", next.text())
    } else if script.reused.load(Ordering::SeqCst) != reused {
        "the connection was used again".to_owned()
    } else {
        return None;
    };
    Some(wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_two_hundred_hostile_answers_end_definitely_and_poison_nothing() {
    let script = Script::start().await;
    let gate = before(script.address, "health = { interval = \"10m\" }", "timeout = \"2s\"").await;
    let (cases, mut wrong) = (cases(), Vec::new());
    assert!(cases.len() >= 200, "{}", cases.len());
    for (expected, close, bytes) in cases {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(found) = play(&script, &gate, &expected, Answer { bytes, close, spoils: true }).await {
            wrong.push(format!("{shown:?}\n   wanted {expected}; {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_beyond_size_or_count_are_a_fault() {
    let script = Script::start().await;
    let gate = before(script.address, "health = { interval = \"10m\" }", "timeout = \"2s\"").await;
    let end = "content-length: 2\r\n\r\nok";
    let of = |fields: String| format!("HTTP/1.1 200 OK\r\n{fields}{end}").into_bytes();
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    for (expected, bytes) in [
        ("ok", of(many(190))),
        ("502", of(many(210))),
        ("502", of(many(10_000))),
        ("ok", of(format!("x: {}\r\n", "y".repeat(16_000)))),
        ("502", of(format!("x: {}\r\n", "y".repeat(300_000)))),
        ("502", of(format!("x: {}\r\n", "y".repeat(4_000_000)))),
        ("502", of(format!("{}: y\r\n", "x".repeat(300_000)))),
        ("502", format!("HTTP/1.1 200 {}\r\n{end}", "O".repeat(300_000)).into_bytes()),
    ] {
        let spoils = expected == "502";
        let found = play(&script, &gate, expected, Answer { bytes, close: false, spoils }).await;
        assert!(found.is_none(), "{expected}: {found:?}");
    }
}

/// One deadline for the whole head, whatever trickles in.
#[tokio::test(flavor = "multi_thread")]
async fn dripping_heads_and_endless_interim_answers_meet_the_deadline() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for drip in
        ["x: y\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dripping = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head).await;
                    if drip.starts_with('x') {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
                    }
                    while stream.write_all(drip.as_bytes()).await.is_ok() {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                });
            }
        });
        let gate = before(address, "", "timeout = \"500ms\"").await;
        let got = raw(gate.site(), ASK).await;
        assert_eq!(understood(&got), (504, true), "{drip:?}: {}", String::from_utf8_lossy(&got));
        // Given up for good after twice the time: the upstream is cut off, the permit free.
        until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
        dripping.abort();
    }
}

/// Fifty places in an answer; at each the upstream dies once with an end and once with a reset.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_killed_at_fifty_offsets_is_seen_as_such_in_http1() {
    let script = Script::start().await;
    let gate = before(script.address, "health = { interval = \"10m\" }", "timeout = \"2s\"").await;
    let body = "0123456789".repeat(20);
    let sized = format!("HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{body}");
    let chunks: String = (0..10).map(|_| format!("14\r\n{}\r\n", "0123456789".repeat(2))).collect();
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    for whole in [sized, chunked] {
        let head = whole.find("\r\n\r\n").unwrap() + 4;
        for place in 0..50 {
            let offset = place * (whole.len() - 1) / 49;
            let expected = if offset < head { "502" } else { "cut" };
            let bytes = whole.as_bytes()[..offset].to_vec();
            let found = play(&script, &gate, expected, Answer { bytes, close: true, spoils: true }).await;
            assert!(found.is_none(), "offset {offset}, head {head}: {found:?}");
        }
    }
}
