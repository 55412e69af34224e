//! Upstreams of HTTP/2 that break its rules, go away or die: the client sees a definite fault or a
//! truncation, others on the connection are served, the permit is free, and the next request is served.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::stage::{Gate, get, until};
use crate::upstreams::{Door2, before, full, raw, understood};

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const RULES: &str = "protocol = \"http2\"\nhealth = { interval = \"10m\" }";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Codes of errors (RFC 9113 §7).
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &code.to_be_bytes())
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

/// A length of HPACK (RFC 7541 §5.1) after a flag for plain text.
fn length(mut rest: usize) -> Vec<u8> {
    if rest < 127 {
        return vec![u8::try_from(rest).unwrap()];
    }
    let mut bytes = vec![127];
    rest -= 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A block of fields, all written out (RFC 7541 §6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let texts = fields.iter().map(|(name, value)| {
        [&[0][..], &length(name.len()), name.as_bytes(), &length(value.len()), value.as_bytes()].concat()
    });
    texts.collect::<Vec<_>>().concat()
}

fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&[&[(":status", "200")], fields].concat()))
}

fn data(stream: u32, text: &str) -> Vec<u8> {
    frame(DATA, 0, stream, text.as_bytes())
}

fn last(stream: u32, text: &str) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, text.as_bytes())
}

fn good(stream: u32) -> Vec<u8> {
    [head(stream, &[("content-length", "2")]), last(stream, "ok")].concat()
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Stay,
    End,
    Reset,
    /// Neither reads on nor closes.
    Freeze,
}

/// An answer to the request of a stream.
#[derive(Clone)]
struct Answer(Arc<dyn Fn(u32) -> Vec<u8> + Send + Sync>, Then);

impl Answer {
    fn of(bytes: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bytes), Then::Stay)
    }

    fn then(self, then: Then) -> Self {
        Self(self.0, then)
    }
}

/// What an upstream says and what it saw.
#[derive(Default)]
struct Book {
    /// One for each request; the last for all that follow.
    answers: Mutex<VecDeque<Answer>>,
    requests: AtomicUsize,
    /// Those on which requests came.
    connections: AtomicUsize,
}

impl Book {
    fn next(&self) -> Answer {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
    }
}

/// An upstream of HTTP/2 whose every frame is written by the test.
struct Upstream {
    address: SocketAddr,
    book: Arc<Book>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::<Book>::default();
        let shared = Arc::clone(&book);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let book = Arc::clone(&shared);
                connections.spawn(async move {
                    // An error means that the other side has left.
                    let _ = serve(stream, &book).await;
                });
            }
        });
        let upstream = Self { address, book, task };
        upstream.says([Answer::of(good)]);
        upstream
    }

    fn says(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.book.answers.lock().unwrap() = answers.into_iter().collect();
    }

    fn requests(&self) -> usize {
        self.book.requests.load(Ordering::SeqCst)
    }

    fn connections(&self) -> usize {
        self.book.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, book: &Book) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.read_exact(&mut [0; 24]).await?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let mut first = true;
    loop {
        let mut start = [0; 9];
        stream.read_exact(&mut start).await?;
        let [one, two, three, kind, flags, id @ ..] = start;
        let mut payload = vec![0; u32::from_be_bytes([0, one, two, three]).try_into().unwrap()];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags == 0 => stream.write_all(&frame(SETTINGS, 1, 0, &[])).await?,
            PING if flags == 0 => stream.write_all(&frame(PING, 1, 0, &payload)).await?,
            HEADERS => {
                if std::mem::take(&mut first) {
                    book.connections.fetch_add(1, Ordering::SeqCst);
                }
                let Answer(bytes, then) = book.next();
                stream.write_all(&bytes(u32::from_be_bytes(id))).await?;
                match then {
                    Then::Stay => {}
                    Then::Freeze => std::future::pending::<()>().await,
                    Then::End => return stream.shutdown().await,
                    Then::Reset => return socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
                }
            }
            _ => {}
        }
    }
}

/// Plays one answer and says what is wrong with what became of it.
async fn play(upstream: &Upstream, gate: &Gate, expected: &str, answer: Answer) -> Option<String> {
    upstream.says([answer]);
    let before = upstream.requests();
    let asking = tokio::time::timeout(Duration::from_secs(20), raw(gate.site(), ASK));
    let Ok(got) = asking.await else { return Some("no end".to_owned()) };
    let sent = upstream.requests() - before;
    let good = match (expected, understood(&got)) {
        ("502", (502, true)) => true,
        // Where head and end come at once, nothing of it may have left, and it may be a fault.
        ("cut", (502, true) | (0 | 200, false)) => true,
        ("ok", (200, true)) => true,
        _ => false,
    };
    upstream.says([Answer::of(self::good)]);
    let next = get(gate.site(), "/").await;
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    if !good {
        Some(format!("seen: {:?}", String::from_utf8_lossy(&got).chars().take(300).collect::<String>()))
    } else if &next.body[..] != b"ok" {
        Some(format!("the next one got {:?}", next.text()))
    } else if sent > 2 {
        Some(format!("it was sent {sent} times"))
    } else {
        None
    }
}

type Case = (&'static str, &'static str, fn(u32) -> Vec<u8>);

/// Bytes that no upstream may send, in place of an answer's head.
const IN_PLACE_OF_A_HEAD: &[Case] = &[
    ("HTTP/1.1", "502", |_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()),
    ("a frame too long", "502", |id| frame(DATA, 0, id, &[b'x'; 20_000])),
    ("DATA on stream 0", "502", |_| last(0, "ok")),
    ("DATA before HEADERS", "502", |id| last(id, "ok")),
    ("DATA on an idle stream", "502", |id| last(id + 2, "ok")),
    ("DATA with too much padding", "502", |id| frame(DATA, 8, id, &[9, b'x'])),
    ("HEADERS on stream 0", "502", |_| head(0, &[])),
    ("HEADERS on an idle stream", "502", |id| head(id + 2, &[])),
    ("HEADERS of even number", "502", |_| head(2, &[])),
    ("HEADERS with too much padding", "502", |id| frame(HEADERS, END_HEADERS | 8, id, &[9, 0x88])),
    ("PRIORITY inside of a block", "502", |id| {
        [frame(HEADERS, 0, id, &[0x88]), frame(2, 0, id, &[0, 0, 0, 0, 1])].concat()
    }),
    ("CONTINUATION of nothing", "502", |id| frame(CONTINUATION, END_HEADERS, id, &[0x88])),
    ("CONTINUATION of another", "502", |id| {
        [frame(HEADERS, 0, id, &[0x88]), frame(CONTINUATION, END_HEADERS, id + 2, &[])].concat()
    }),
    ("PUSH_PROMISE", "502", |id| frame(5, END_HEADERS, id, &[0, 0, 0, 2, 0x82])),
    ("RST_STREAM of an idle stream", "502", |id| reset(id + 2, CANCEL)),
    ("RST_STREAM of 3 bytes", "502", |id| frame(RESET, 0, id, &[0; 3])),
    ("RST_STREAM of stream 0", "502", |_| reset(0, CANCEL)),
    ("SETTINGS on a stream", "502", |id| frame(SETTINGS, 0, id, &[])),
    ("SETTINGS of 5 bytes", "502", |_| frame(SETTINGS, 0, 0, &[0; 5])),
    ("SETTINGS confirmed with words", "502", |_| frame(SETTINGS, 1, 0, &[0; 6])),
    ("SETTINGS of a window too large", "502", |_| frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])),
    ("SETTINGS of frames too small", "502", |_| frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
    ("PING of 7 bytes", "502", |_| frame(PING, 0, 0, &[0; 7])),
    ("PING on a stream", "502", |id| frame(PING, 0, id, &[0; 8])),
    ("GOAWAY on a stream", "502", |id| frame(GOAWAY, 0, id, &[0; 8])),
    ("GOAWAY of 7 bytes", "502", |_| frame(GOAWAY, 0, 0, &[0; 7])),
    ("WINDOW_UPDATE of nothing", "502", |_| frame(8, 0, 0, &[0; 4])),
    ("WINDOW_UPDATE beyond the top", "502", |_| frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
    ("HPACK: index 0", "502", |id| frame(HEADERS, 5, id, &[0x88, 0x80])),
    ("HPACK: no such index", "502", |id| frame(HEADERS, 5, id, &[0x88, 0xff, 0x70])),
    ("HPACK: an endless number", "502", |id| {
        frame(HEADERS, 5, id, &[0x88, 0, 0x7f, 255, 255, 255, 255, 255, 255])
    }),
    ("HPACK: cut off", "502", |id| frame(HEADERS, 5, id, &[0x88, 0, 9, b'x'])),
    ("HPACK: bad Huffman code", "502", |id| {
        frame(HEADERS, 5, id, &[0x88, 0, 1, b'x', 0x84, 255, 255, 255, 255])
    }),
    ("HPACK: a table too large", "502", |id| frame(HEADERS, 5, id, &[0x3f, 0xff, 0xff, 0x7f, 0x88])),
];

/// Whole blocks of fields that are no answer.
const MALFORMED: &[(&str, &[(&str, &str)])] = &[
    ("nothing", &[]),
    ("no status", &[("x", "y")]),
    ("a status of two figures", &[(":status", "20")]),
    ("a status of words", &[(":status", "abc")]),
    ("an empty status", &[(":status", "")]),
    ("two statuses", &[(":status", "200"), (":status", "200")]),
    ("a status after fields", &[("x", "y"), (":status", "200")]),
    ("an unknown pseudo-field", &[(":status", "200"), (":x", "y")]),
    ("an uppercase name", &[(":status", "200"), ("X", "y")]),
    ("a name with a space", &[(":status", "200"), ("x y", "z")]),
    ("a name with a colon", &[(":status", "200"), ("x:y", "z")]),
    ("a name with a line break", &[(":status", "200"), ("x\r\ny", "z")]),
    ("an empty name", &[(":status", "200"), ("", "z")]),
    ("a value with a line break", &[(":status", "200"), ("x", "y\r\nset-cookie: poison=1")]),
    ("a value with a return", &[(":status", "200"), ("x", "y\rz")]),
    ("a value with a zero", &[(":status", "200"), ("x", "y\0z")]),
    ("Connection", &[(":status", "200"), ("connection", "close")]),
    ("Keep-Alive", &[(":status", "200"), ("keep-alive", "timeout=5")]),
    ("Proxy-Connection", &[(":status", "200"), ("proxy-connection", "close")]),
    ("Transfer-Encoding", &[(":status", "200"), ("transfer-encoding", "chunked")]),
    ("Upgrade", &[(":status", "200"), ("upgrade", "websocket")]),
    ("TE", &[(":status", "200"), ("te", "gzip")]),
    ("two lengths", &[(":status", "200"), ("content-length", "2"), ("content-length", "3")]),
    ("a length of words", &[(":status", "200"), ("content-length", "two")]),
    ("a negative length", &[(":status", "200"), ("content-length", "-2")]),
    ("a list of lengths", &[(":status", "200"), ("content-length", "2, 2")]),
    ("a switch of protocols", &[(":status", "101")]),
];

/// After a good head.
const AFTER_A_HEAD: &[Case] = &[
    ("less than the length", "cut", |id| [head(id, &[("content-length", "5")]), last(id, "ok")].concat()),
    ("more than the length", "cut", |id| [head(id, &[("content-length", "1")]), last(id, "ok")].concat()),
    ("a length and no body", "cut", |id| {
        frame(HEADERS, 5, id, &block(&[(":status", "200"), ("content-length", "5")]))
    }),
    ("trailers with an uppercase name", "cut", |id| {
        [head(id, &[]), data(id, "ok"), frame(HEADERS, 5, id, &block(&[("X", "y")]))].concat()
    }),
    ("trailers with Connection", "cut", |id| {
        [head(id, &[]), data(id, "ok"), frame(HEADERS, 5, id, &block(&[("connection", "close")]))].concat()
    }),
    ("trailers that do not end it", "cut", |id| {
        [head(id, &[]), data(id, "ok"), frame(HEADERS, END_HEADERS, id, &block(&[("x", "y")]))].concat()
    }),
    ("trailers before the length is full", "cut", |id| {
        let trailers = frame(HEADERS, 5, id, &block(&[("x", "y")]));
        [head(id, &[("content-length", "5")]), data(id, "ok"), trailers].concat()
    }),
    ("DATA on stream 0", "cut", |id| [head(id, &[]), data(id, "ok"), data(0, "x")].concat()),
    ("a frame too long", "cut", |id| {
        [head(id, &[]), data(id, "ok"), frame(DATA, END_STREAM, id, &[b'x'; 20_000])].concat()
    }),
    ("GOAWAY that blames us", "cut", |id| {
        [head(id, &[]), data(id, "ok"), goaway(0, ENHANCE_YOUR_CALM)].concat()
    }),
    ("RST_STREAM: no error", "cut", |id| [head(id, &[]), data(id, "ok"), reset(id, NO_ERROR)].concat()),
    ("RST_STREAM: cancel", "cut", |id| [head(id, &[]), data(id, "ok"), reset(id, CANCEL)].concat()),
    ("RST_STREAM: internal", "cut", |id| [head(id, &[]), data(id, "ok"), reset(id, INTERNAL_ERROR)].concat()),
    ("RST_STREAM: refused", "cut", |id| [head(id, &[]), data(id, "ok"), reset(id, REFUSED_STREAM)].concat()),
    ("RST_STREAM within the length", "cut", |id| {
        [head(id, &[("content-length", "5")]), data(id, "ok"), reset(id, NO_ERROR)].concat()
    }),
    ("RST_STREAM after the end", "ok", |id| [good(id), reset(id, NO_ERROR)].concat()),
    ("interim answers before", "ok", |id| {
        let hint = frame(HEADERS, END_HEADERS, id, &block(&[(":status", "103"), ("link", "</a>")]));
        [hint.clone(), hint, good(id)].concat()
    }),
    ("an unknown frame before", "ok", |id| [frame(0x42, 0, id, &[1]), good(id)].concat()),
    ("an interim answer that ends it", "502", |id| frame(HEADERS, 5, id, &block(&[(":status", "103")]))),
];

/// A head with a field of so many bytes, in frames of 16 KiB.
fn long(id: u32, fields: &[(&str, &str)], length: usize) -> Vec<u8> {
    let value = "y".repeat(length);
    let block = block(&[fields, &[("x", &value)]].concat());
    let parts: Vec<&[u8]> = block.chunks(16_384).collect();
    let frames = parts.iter().enumerate().map(|(place, part)| {
        let (kind, first) = if place == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
        let end = if place + 1 == parts.len() { END_HEADERS } else { 0 };
        frame(kind, first | end, id, part)
    });
    frames.collect::<Vec<_>>().concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_frames_and_fields_end_definitely_and_poison_nothing() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"2s\"").await;
    let mut wrong = Vec::new();
    let mut check = async |name: &str, expected, answer| {
        if let Some(found) = play(&upstream, &gate, expected, answer).await {
            wrong.push(format!("{name}: wanted {expected}; {found}"));
        }
    };
    for (name, expected, bytes) in IN_PLACE_OF_A_HEAD.iter().chain(AFTER_A_HEAD) {
        check(name, expected, Answer::of(bytes)).await;
    }
    for (name, fields) in MALFORMED {
        let block = block(fields);
        // Once with a body and once without.
        let (open, whole) = (block.clone(), block);
        check(
            name,
            "502",
            Answer::of(move |id| [frame(HEADERS, END_HEADERS, id, &open), last(id, "ok")].concat()),
        )
        .await;
        check(name, "502", Answer::of(move |id| frame(HEADERS, END_HEADERS | END_STREAM, id, &whole))).await;
    }
    let status: &[(&str, &str)] = &[(":status", "200")];
    for (name, expected, bytes) in [
        ("16 KB of fields", "ok", 16_000),
        ("100 KB of fields", "502", 100_000),
        ("4 MB of fields", "502", 4_000_000),
    ] {
        check(name, expected, Answer::of(move |id| long(id, status, bytes))).await;
    }
    check(
        "an endless head",
        "502",
        Answer::of(|id| {
            let more = frame(CONTINUATION, 0, id, &block(&[("x", "y")]));
            [frame(HEADERS, 0, id, &[0x88]), more.repeat(100_000)].concat()
        }),
    )
    .await;
    check(
        "an endless head of nothing",
        "502",
        Answer::of(|id| {
            [frame(HEADERS, 0, id, &[0x88]), frame(CONTINUATION, 0, id, &[]).repeat(100_000)].concat()
        }),
    )
    .await;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Fifty places in an answer; at each the upstream dies once with an end and once with a reset.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_killed_at_fifty_offsets_is_seen_as_such_in_http2() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"2s\"").await;
    let answer = |id, fields: &[(&str, &str)]| {
        let body = [data(id, &"0123456789".repeat(2)).repeat(9), last(id, &"0123456789".repeat(2))].concat();
        (head(id, fields).len(), [head(id, fields), body].concat())
    };
    for fields in [&[][..], &[("content-length", "200")][..]] {
        let (head, whole) = answer(1, fields);
        for place in 0..50 {
            let offset = place * (whole.len() - 1) / 49;
            let cut = move |id| answer(id, fields).1[..offset].to_vec();
            let expected = if offset < head { "502" } else { "cut" };
            let ended = play(&upstream, &gate, expected, Answer::of(cut).then(Then::End)).await;
            assert!(ended.is_none(), "end at {offset}, head {head}: {ended:?}");
            // A reset may overtake what was sent.
            let killed = play(&upstream, &gate, "cut", Answer::of(cut).then(Then::Reset)).await;
            assert!(killed.is_none(), "reset at {offset}, head {head}: {killed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_not_worked_on_goes_once_more_and_any_other_does_not() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"2s\"").await;
    let site = gate.site();
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let empty = format!("{post}content-length: 0\r\n\r\n");
    let gentle = String::from_utf8(ASK.to_vec()).unwrap();
    let full = format!("{post}content-length: 2\r\n\r\nhi");
    let refused = || Answer::of(|id| reset(id, REFUSED_STREAM));
    let beyond = || Answer::of(|id| goaway(id - 1, NO_ERROR)).then(Then::End);
    let within = || Answer::of(|id| goaway(id, NO_ERROR)).then(Then::End);
    let failed = || Answer::of(|id| reset(id, INTERNAL_ERROR));
    let ended = || Answer::of(|_| Vec::new()).then(Then::End);
    for (name, request, answer, status, times) in [
        ("refused", &empty, refused(), 200, 2),
        ("beyond the last of GOAWAY", &gentle, beyond(), 200, 2),
        ("beyond, and cannot be repeated", &empty, beyond(), 502, 1),
        ("beyond, with an error", &gentle, Answer::of(|id| goaway(id - 1, INTERNAL_ERROR)), 200, 2),
        ("refused with a body that is spent", &full, refused(), 502, 1),
        ("beyond with a body that is spent", &full, beyond(), 502, 1),
        ("within the last of GOAWAY", &empty, within(), 502, 1),
        ("failed", &empty, failed(), 502, 1),
        ("ended without a word", &empty, ended(), 502, 1),
    ] {
        upstream.says([answer, Answer::of(good)]);
        let before = upstream.requests();
        let got = raw(site, request.as_bytes()).await;
        assert_eq!(understood(&got), (status, true), "{name}: {}", String::from_utf8_lossy(&got));
        assert_eq!(upstream.requests() - before, times, "{name}");
        upstream.says([Answer::of(good)]);
        assert_eq!(get(site, "/").await.text(), "ok", "{name}");
    }
    // Refused twice is refused.
    upstream.says([refused()]);
    let before = upstream.requests();
    assert_eq!(get(site, "/").await.status, 502);
    assert_eq!(upstream.requests() - before, 2);
    // A budget bears it: one in ten, and a reserve.
    let before = upstream.requests();
    for _ in 0..200 {
        assert_eq!(get(site, "/").await.status, 502);
    }
    let again = upstream.requests() - before - 200;
    assert!((20..=40).contains(&again), "{again} retries of 200 requests");
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goodbye_sends_those_who_come_later_to_a_new_connection() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"2s\"").await;
    for _ in 0..3 {
        assert_eq!(get(gate.site(), "/").await.text(), "ok");
    }
    let before = upstream.connections();
    // What was begun ends.
    upstream.says([Answer::of(|id| [goaway(id, NO_ERROR), good(id)].concat()), Answer::of(good)]);
    for round in 0..4 {
        assert_eq!(get(gate.site(), "/").await.text(), "ok", "{round}");
    }
    assert_eq!(upstream.connections(), before + 1);
    // Said while nobody is on it; the upstream keeps the connection open.
    upstream.says([Answer::of(|id| [good(id), goaway(id, NO_ERROR)].concat()), Answer::of(good)]);
    let asked = upstream.requests();
    for round in 0..4 {
        assert_eq!(get(gate.site(), "/").await.text(), "ok", "{round}");
    }
    assert_eq!(upstream.connections(), before + 2);
    // One that was sent before the goodbye was read goes again.
    assert!((4..=5).contains(&(upstream.requests() - asked)), "{}", upstream.requests() - asked);
}

/// An upstream that broke the rules and then says and reads nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_given_up_gets_no_more_requests() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"5s\"").await;
    let site = gate.site();
    for round in 0..20 {
        upstream.says([Answer::of(|_| last(0, "ok")).then(Then::Freeze), Answer::of(good)]);
        // Cannot be repeated, so that the fault is seen.
        let post = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(understood(&raw(site, post).await), (502, true), "{round}");
        for next in 0..3 {
            assert_eq!(get(site, "/").await.text(), "ok", "{round} {next}");
        }
    }
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

/// One broken stream is not the end of the others on its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_answer_ends_its_stream_and_no_other() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"10s\"").await;
    assert_eq!(get(gate.site(), "/").await.text(), "ok");
    let connections = upstream.connections();
    // The first is answered together with the second, whose answer is malformed.
    let both = |id: u32| {
        [frame(HEADERS, 5, id, &block(&[(":status", "200"), ("te", "gzip")])), good(id - 2)].concat()
    };
    upstream.says([Answer::of(|_| Vec::new()), Answer::of(both)]);
    let asked = upstream.requests();
    let site = gate.site();
    let first = tokio::spawn(async move { get(site, "/").await });
    until("the first is there", || async { (upstream.requests() > asked).then_some(()) }).await;
    let second =
        raw(site, b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(understood(&second), (502, true), "{}", String::from_utf8_lossy(&second));
    assert_eq!(first.await.unwrap().text(), "ok");
    assert_eq!(upstream.connections(), connections);
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

/// What the library lets pass, and what becomes of it: pseudo-fields of requests in an answer, any in
/// trailers, and trailers too long lose what is not to be there, and the answer counts as whole.
#[tokio::test(flavor = "multi_thread")]
async fn leniencies_pass_nothing_on() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"10s\"").await;
    let cases: [Case; 4] = [
        ("a path in the head", "", |id| {
            [head(id, &[(":path", "/poison"), (":authority", "poison")]), last(id, "ok")].concat()
        }),
        ("a status in trailers", "kept", |id| {
            let trailers = block(&[(":status", "500"), ("x-kept", "kept")]);
            [head(id, &[]), data(id, "ok"), frame(HEADERS, 5, id, &trailers)].concat()
        }),
        ("a path in trailers", "kept", |id| {
            let trailers = block(&[(":path", "/poison"), ("x-kept", "kept")]);
            [head(id, &[]), data(id, "ok"), frame(HEADERS, 5, id, &trailers)].concat()
        }),
        ("trailers too long", "kept", |id| {
            [head(id, &[]), data(id, "ok"), long(id, &[("x-kept", "kept")], 100_000)].concat()
        }),
    ];
    for (name, kept, bytes) in cases {
        upstream.says([Answer::of(bytes)]);
        let request = http::Request::get("http://a/").body(full("")).unwrap();
        let (status, fields, body, trailers) = Door2::of(&gate).ask(request).await;
        assert_eq!((status.as_u16(), &body[..]), (200, &b"ok"[..]), "{name}");
        let shown = format!("{fields:?}");
        assert!(!shown.contains("poison"), "{name}: {shown}");
        let left = trailers.get("x-kept").map_or("", |value| value.to_str().unwrap());
        assert_eq!((left, trailers.len()), (kept, usize::from(!kept.is_empty())), "{name}: {trailers:?}");
    }
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

/// A reset in the middle is not the end of an answer to a client of HTTP/2 either, whatever its code.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_the_middle_is_seen_by_clients_of_http2() {
    let upstream = Upstream::start().await;
    let gate = before(upstream.address, RULES, "timeout = \"10s\"").await;
    for code in [NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL] {
        upstream.says([Answer::of(move |id| [head(id, &[]), data(id, "ok"), reset(id, code)].concat())]);
        let asked = upstream.requests();
        let request = http::Request::get("http://a/").body(full("")).unwrap();
        let answer = Door2::of(&gate).client().await.send_request(request).await;
        // Where head and reset come at once, nothing of it may have left.
        if let Ok(answer) = answer {
            assert_eq!(answer.status(), 200, "{code}");
            assert!(answer.into_body().collect().await.is_err(), "{code}");
        }
        assert_eq!(upstream.requests() - asked, 1, "{code}: an answer that began is not asked for again");
        until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    }
}
