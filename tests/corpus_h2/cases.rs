//! The cases.
//!
//! Leniencies, all of the parser below and none of them visible at the upstream: frames before the
//! client's first SETTINGS are read; an empty `:scheme` is passed over; a fragment in `:path` is cut off;
//! PROTOCOL_ERROR is said where RFC 9113 has a finer code for the same end of the connection.

use crate::wire::{
    END_HEADERS, END_STREAM, Outcome, PADDED, PREFACE, PRIORITY, base, block, fields, frame, get, open,
};

/// What must happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// So many requests are passed on, clean, and answered 200.
    Served(usize),
    /// The request is malformed (RFC 9113 §8.1.1): stream error PROTOCOL_ERROR, or 400 before it.
    Malformed,
    /// A connection error; some codes may be read in two ways, and an end without a word is one too.
    Connection(&'static [u32]),
    /// An error of the stream or of the connection, whichever the server likes better.
    Error,
}

impl Want {
    pub(crate) fn allows(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Self::Served(_), Outcome::Status(200)) | (Self::Malformed, Outcome::Status(400)) => true,
            // A server may take a malformed request for an error of the connection (§5.4.2).
            (Self::Malformed, Outcome::Reset(code) | Outcome::Goaway(code)) => code == PROTOCOL,
            (Self::Connection(codes), Outcome::Goaway(code)) => codes.contains(&code),
            (Self::Connection(_), Outcome::Closed) => true,
            (Self::Error, Outcome::Reset(_) | Outcome::Goaway(_) | Outcome::Closed) => true,
            (Self::Error, Outcome::Status(status)) => status != 200,
            _ => false,
        }
    }
}

/// Makes the bytes of a case, for a request whose path begins with what is given.
type Bytes = Box<dyn Fn(&str) -> Vec<u8>>;

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    /// What is sent.
    pub(crate) bytes: Bytes,
    /// `bytes` is all that is sent, preface and SETTINGS included.
    pub(crate) whole: bool,
    pub(crate) want: Want,
}

const PROTOCOL: u32 = 1;
const FLOW: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
const COMPRESSION: u32 = 9;
const CALM: u32 = 11;

struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: impl Into<String>, want: Want, bytes: impl Fn(&str) -> Vec<u8> + 'static) {
        self.0.push(Case { name: name.into(), bytes: Box::new(bytes), whole: false, want });
    }

    /// All that is sent, with a request for the case's path at its end.
    fn alone(&mut self, name: &str, want: Want, first: Vec<u8>) {
        let bytes = Box::new(move |path: &str| [first.clone(), get(&base(path))].concat());
        self.0.push(Case { name: name.to_owned(), bytes, whole: true, want });
    }

    fn whole(&mut self, name: &str, want: Want, bytes: Vec<u8>) {
        let bytes = Box::new(move |_: &str| bytes.clone());
        self.0.push(Case { name: name.to_owned(), bytes, whole: true, want });
    }

    /// A request with more fields.
    fn with(&mut self, name: impl Into<String>, want: Want, more: Vec<(Vec<u8>, Vec<u8>)>) {
        self.add(name, want, move |path| get(&[base(path), more.clone()].concat()));
    }

    /// A request whose pseudo-fields are these; `@` is the path.
    fn pseudo(&mut self, name: &str, want: Want, pairs: &'static [(&'static str, &'static str)]) {
        self.add(name, want, move |path| {
            let put = |(name, value): &(&str, &str)| {
                (name.as_bytes().to_vec(), value.replace('@', path).into_bytes())
            };
            get(&pairs.iter().map(put).collect::<Vec<_>>())
        });
    }

    /// A good request after something that concerns the whole connection.
    fn before(&mut self, name: impl Into<String>, want: Want, first: Vec<u8>) {
        self.add(name, want, move |path| [first.clone(), get(&base(path))].concat());
    }
}

/// A whole connection with one good request.
pub(crate) fn plain(path: &str) -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[]), &get(&base(path))].concat()
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    preface(&mut cases);
    pseudo(&mut cases);
    names_and_values(&mut cases);
    bodies(&mut cases);
    frames(&mut cases);
    streams(&mut cases);
    compression(&mut cases);
    floods(&mut cases);
    cases.0
}

/// §3.4
fn preface(cases: &mut Cases) {
    let settings = frame(4, 0, 0, &[]);
    let any = Want::Connection(&[PROTOCOL, SIZE]);
    cases.add("a good request", Want::Served(1), |path| get(&base(path)));
    cases.alone("no SETTINGS after the preface", Want::Served(1), PREFACE.to_vec());
    cases.alone("PING before SETTINGS", Want::Served(1), [PREFACE, &frame(6, 0, 0, &[0; 8])].concat());
    cases.whole("a preface cut short", Want::Error, [&PREFACE[..20], b"\0\0\0\0", &settings].concat());
    cases.whole(
        "a preface in lower case",
        Want::Error,
        [&PREFACE.to_ascii_lowercase()[..], &settings].concat(),
    );
    cases.whole("a preface of another version", Want::Error, b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n".to_vec());
    cases.whole("a preface with a body", Want::Error, b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n".to_vec());
    cases.whole("two prefaces", any, [PREFACE, PREFACE, &settings].concat());
    cases.whole("SETTINGS before the preface", Want::Error, [&settings[..], PREFACE].concat());
}

/// §8.3
fn pseudo(cases: &mut Cases) {
    use Want::{Malformed, Served};
    const M: (&str, &str) = (":method", "GET");
    const S: (&str, &str) = (":scheme", "http");
    const A: (&str, &str) = (":authority", "a.example");
    const P: (&str, &str) = (":path", "@");
    cases.pseudo("no method", Malformed, &[S, A, P]);
    cases.pseudo("no scheme", Malformed, &[M, A, P]);
    cases.pseudo("no path", Malformed, &[M, S, A]);
    cases.pseudo("no authority and no host", Malformed, &[M, S, P]);
    cases.pseudo("an empty path", Malformed, &[M, S, A, (":path", "")]);
    cases.pseudo("two methods", Malformed, &[M, M, S, A, P]);
    cases.pseudo("two schemes", Malformed, &[M, S, S, A, P]);
    cases.pseudo("two authorities", Malformed, &[M, S, A, A, P]);
    cases.pseudo("two paths", Malformed, &[M, S, A, P, P]);
    cases.pseudo("two paths that differ", Malformed, &[M, S, A, P, (":path", "/evil")]);
    cases.pseudo("a pseudo-field after a field", Malformed, &[M, S, A, ("x", "y"), P]);
    cases.pseudo("an unknown pseudo-field", Malformed, &[M, S, A, P, (":foo", "x")]);
    cases.pseudo("a pseudo-field of answers", Malformed, &[M, S, A, P, (":status", "200")]);
    cases.pseudo("a protocol without CONNECT", Malformed, &[M, S, A, P, (":protocol", "websocket")]);
    cases.pseudo(
        "an extended CONNECT that was not offered",
        Want::Error,
        &[(":method", "CONNECT"), S, A, P, (":protocol", "websocket")],
    );
    cases.pseudo("CONNECT", Want::Error, &[(":method", "CONNECT"), A]);
    cases.pseudo("CONNECT with path and scheme", Want::Error, &[(":method", "CONNECT"), S, A, P]);
    cases.pseudo("an empty method", Malformed, &[(":method", ""), S, A, P]);
    cases.pseudo("a method with a space", Malformed, &[(":method", "GET /evil HTTP/1.1"), S, A, P]);
    cases.pseudo("a method with a line end", Malformed, &[(":method", "GET\r\n"), S, A, P]);
    cases.pseudo("a method of nobody's", Served(1), &[(":method", "FROB"), S, A, P]);
    cases.pseudo("an empty scheme", Served(1), &[M, (":scheme", ""), A, P]);
    cases.pseudo("a scheme with a space", Malformed, &[M, (":scheme", "ht tp"), A, P]);
    cases.pseudo("an upper-case pseudo-field", Malformed, &[(":Method", "GET"), S, A, P]);
    cases.pseudo("the host instead of the authority", Served(1), &[M, S, P, ("host", "a.example")]);
    cases.pseudo("host and authority agree", Served(1), &[M, S, A, P, ("host", "a.example")]);
    cases.pseudo("host and authority differ", Malformed, &[M, S, A, P, ("host", "b.example")]);
    cases.pseudo("two hosts", Malformed, &[M, S, P, ("host", "a.example"), ("host", "b.example")]);
    cases.pseudo("the same host twice", Malformed, &[M, S, P, ("host", "a.example"), ("host", "a.example")]);
    for (name, authority) in [
        ("user information", "u:p@a.example"),
        ("a space", "a.example b.example"),
        ("a path", "a.example/evil"),
        ("a line end", "a.example\r\nx: y"),
        ("a query", "a.example?x"),
        ("a fragment", "a.example#x"),
        ("no port after the colon but letters", "a.example:xx"),
        ("nothing in it", ""),
    ] {
        cases.add(format!("an authority with {name}"), Malformed, move |path| {
            get(&fields(&[M, S, (":authority", authority), (":path", path)]))
        });
    }
    for (name, tail) in [
        ("a space", "x y"),
        ("a second request line", " HTTP/1.1\r\nhost: evil\r\n\r\nGET /evil"),
        ("a NUL", "\0"),
        ("a tab", "\t"),
        ("a line feed", "\n"),
        ("DEL", "\x7f"),
        ("a broken escape", "%zz"),
        ("an escaped NUL", "%00"),
        ("a backslash", "\\..\\x"),
    ] {
        cases.add(format!("a path with {name}"), Malformed, move |path| get(&base(&format!("{path}{tail}"))));
    }
    for (name, path) in [("no slash", "x"), ("a whole target", "http://evil.example/"), ("a star", "*")] {
        cases.add(format!("a path that is {name}"), Malformed, move |_| get(&base(path)));
    }
    // Judged and passed on in its normal form, with one slash.
    cases.add("a path that looks like an authority", Served(1), |path| get(&base(&format!("/{path}"))));
    cases.add("a path with a fragment", Served(1), |path| get(&base(&format!("{path}#x"))));
}

/// §8.2
fn names_and_values(cases: &mut Cases) {
    use Want::{Malformed, Served};
    let pair = |name: &[u8], value: &[u8]| vec![(name.to_vec(), value.to_vec())];
    for name in [
        &b"X-Upper"[..],
        b"x y",
        b"x\ty",
        b" x",
        b"x ",
        b"",
        b"x\r\ny",
        b"x\0y",
        b"x:y",
        b"x\x7f",
        b"x\xe9",
        b"x(y",
        b"x{y}",
        b"x\"y",
        b"x@y",
        b"x/y",
        b"x[y]",
        b"x=y",
        b"x,y",
        b"x;y",
        b"x<y",
        b"x\\y",
    ] {
        cases.with(format!("the name {:?}", String::from_utf8_lossy(name)), Malformed, pair(name, b"v"));
    }
    for value in [
        &b"\rx"[..],
        b"x\r",
        b"x\ry",
        b"\nx",
        b"x\n",
        b"x\ny",
        b"\0x",
        b"x\0",
        b"x\0y",
        b"a\r\nx-evil: 1",
        b"a\r\n\r\nGET /evil HTTP/1.1\r\nhost: a\r\n\r\n",
        b" x",
        b"x ",
        b"\tx",
        b"x\t",
    ] {
        cases.with(format!("the value {:?}", String::from_utf8_lossy(value)), Malformed, pair(b"x-a", value));
    }
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
        cases.with(format!("a field of the connection: {name}"), Malformed, fields(&[(name, "close")]));
    }
    cases.with("transfer-encoding: chunked", Malformed, fields(&[("transfer-encoding", "chunked")]));
    cases.with("connection names a field", Malformed, fields(&[("connection", "x-a"), ("x-a", "1")]));
    cases.with("te: gzip", Malformed, fields(&[("te", "gzip")]));
    cases.with("te: trailers, gzip", Malformed, fields(&[("te", "trailers, gzip")]));
    cases.with("te: trailers", Served(1), fields(&[("te", "trailers")]));
    cases.with("an empty value", Served(1), fields(&[("x-a", "")]));
    cases.with("a value above ASCII", Served(1), pair(b"x-a", b"\xe9"));
    cases.with("a space inside a value", Served(1), fields(&[("x-a", "b c")]));
    cases.with("a field twice", Served(1), fields(&[("x-a", "1"), ("x-a", "2")]));
    cases.with(
        "cookies in pieces",
        Served(1),
        fields(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]),
    );
    cases.with("a field of ours", Served(1), fields(&[("tornello-limit", "1"), ("x_forwarded_for", "1")]));
    cases.with("expect: 100-continue", Served(1), fields(&[("expect", "100-continue")]));
    cases.with(
        "a list of fields beyond the limit",
        Want::Error,
        fields(&[
            ("x-a", &"b".repeat(40_000)[..15_000]),
            ("x-b", &"b".repeat(15_000)),
            ("x-c", &"b".repeat(3_000)),
        ]),
    );
}

/// §8.1.1, §6.1
fn bodies(cases: &mut Cases) {
    use Want::{Malformed, Served};
    let post = |path: &str, more: &[(&str, &str)]| {
        let mut head = base(path);
        head[0].1 = b"POST".to_vec();
        open(&[head, fields(more)].concat())
    };
    let data = |flags: u8, bytes: &[u8]| frame(0, flags, 1, bytes);
    cases.add("a body with its length", Served(1), move |path| {
        [post(path, &[("content-length", "4")]), data(END_STREAM, b"body")].concat()
    });
    cases.add("a body without a length", Served(1), move |path| {
        [post(path, &[]), data(0, b"bo"), data(END_STREAM, b"dy")].concat()
    });
    cases.add("a body that looks like a request", Served(1), move |path| {
        [post(path, &[]), data(END_STREAM, b"0\r\n\r\nGET /evil HTTP/1.1\r\nhost: a\r\n\r\n")].concat()
    });
    cases.add("a body in padding", Served(1), move |path| {
        [post(path, &[("content-length", "4")]), data(END_STREAM | PADDED, b"\x03body\0\0\0")].concat()
    });
    cases.add("trailers", Served(1), move |path| {
        let trailers = block(&fields(&[("x-t", "1")]));
        [post(path, &[]), data(0, b"body"), frame(1, END_STREAM | END_HEADERS, 1, &trailers)].concat()
    });
    for (name, length, body) in [
        ("more", "9", &b"body"[..]),
        ("less", "1", b"body"),
        ("none", "3", b""),
        ("some after none", "0", b"x"),
    ] {
        cases.add(format!("a length that promises {name}"), Want::Error, move |path| {
            [post(path, &[("content-length", length)]), data(END_STREAM, body)].concat()
        });
    }
    cases.with("a length and no body", Want::Error, fields(&[("content-length", "5")]));
    for length in ["x", "-1", "+4", "4 ", "0x4", "4,4", "", "99999999999999999999999", "4, 5"] {
        cases.add(format!("the length {length:?}"), Want::Error, move |path| {
            [post(path, &[("content-length", length)]), data(END_STREAM, b"body")].concat()
        });
    }
    cases.add("two lengths", Want::Error, move |path| {
        [post(path, &[("content-length", "4"), ("content-length", "5")]), data(END_STREAM, b"body")].concat()
    });
    cases.add("a pseudo-field in trailers", Malformed, move |path| {
        let trailers = block(&fields(&[(":path", "/evil")]));
        [post(path, &[("content-length", "9")]), frame(1, END_STREAM | END_HEADERS, 1, &trailers)].concat()
    });
    cases.add("trailers that do not end the stream", Want::Error, move |path| {
        let trailers = block(&fields(&[("x-t", "1")]));
        [post(path, &[("content-length", "9")]), frame(1, END_HEADERS, 1, &trailers)].concat()
    });
}

/// §4 and §6
fn frames(cases: &mut Cases) {
    use Want::{Connection, Served};
    let size = Connection(&[SIZE, PROTOCOL]);
    let protocol = Connection(&[PROTOCOL]);
    for (name, want, bytes) in [
        ("DATA on the connection", protocol, frame(0, 0, 0, b"x")),
        ("HEADERS on the connection", protocol, frame(1, 5, 0, &block(&base("/x")))),
        ("PRIORITY on the connection", protocol, frame(2, 0, 0, &[0, 0, 0, 0, 1])),
        ("RST_STREAM on the connection", protocol, frame(3, 0, 0, &[0; 4])),
        ("SETTINGS on a stream", protocol, frame(4, 0, 1, &[])),
        ("PUSH_PROMISE of a client", protocol, frame(5, 4, 1, &[0, 0, 0, 2, 0x82])),
        ("PING on a stream", protocol, frame(6, 0, 1, &[0; 8])),
        ("GOAWAY on a stream", protocol, frame(7, 0, 1, &[0; 8])),
        ("CONTINUATION on the connection", protocol, frame(9, 4, 0, &[])),
        ("CONTINUATION after nothing", protocol, frame(9, 4, 1, &[])),
        ("RST_STREAM of an idle stream", protocol, frame(3, 0, 5, &[0; 4])),
        ("WINDOW_UPDATE of an idle stream", protocol, frame(8, 0, 5, &[0, 0, 0, 1])),
        ("DATA on an idle stream", Connection(&[PROTOCOL, CLOSED]), frame(0, 0, 5, b"x")),
        ("PRIORITY of four bytes", Want::Error, frame(2, 0, 1, &[0; 4])),
        ("RST_STREAM of three bytes", size, frame(3, 0, 1, &[0; 3])),
        ("RST_STREAM of five bytes", size, frame(3, 0, 1, &[0; 5])),
        ("SETTINGS of five bytes", size, frame(4, 0, 0, &[0; 5])),
        ("SETTINGS of seven bytes", size, frame(4, 0, 0, &[0; 7])),
        ("an ACK of SETTINGS that carries something", size, frame(4, 1, 0, &[0; 6])),
        ("PING of seven bytes", size, frame(6, 0, 0, &[0; 7])),
        ("PING of nine bytes", size, frame(6, 0, 0, &[0; 9])),
        ("WINDOW_UPDATE of three bytes", size, frame(8, 0, 0, &[0; 3])),
        ("WINDOW_UPDATE of five bytes", size, frame(8, 0, 0, &[0; 5])),
        ("WINDOW_UPDATE by nothing", protocol, frame(8, 0, 0, &[0; 4])),
        ("WINDOW_UPDATE beyond 2^31-1", Connection(&[FLOW]), frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("GOAWAY too short", Connection(&[SIZE, PROTOCOL]), frame(7, 0, 0, &[0; 4])),
        ("a frame of more than 16 KiB", size, frame(0x40, 0, 0, &[0; 16_385])),
        ("HEADERS of more than 16 KiB", size, frame(1, 5, 1, &[0; 16_385])),
        ("ENABLE_PUSH = 2", protocol, frame(4, 0, 0, &[0, 2, 0, 0, 0, 2])),
        (
            "INITIAL_WINDOW_SIZE beyond 2^31-1",
            Connection(&[FLOW, PROTOCOL]),
            frame(4, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
        ),
        ("MAX_FRAME_SIZE below 16 KiB", protocol, frame(4, 0, 0, &[0, 5, 0, 0, 0x3f, 0xff])),
        ("MAX_FRAME_SIZE beyond 2^24-1", protocol, frame(4, 0, 0, &[0, 5, 1, 0, 0, 0])),
        ("an unknown setting", Served(1), frame(4, 0, 0, &[0xff, 0xff, 0, 0, 0, 1])),
        ("ENABLE_PUSH = 0", Served(1), frame(4, 0, 0, &[0, 2, 0, 0, 0, 0])),
        ("an unknown frame", Served(1), frame(0x42, 0xff, 0, b"whatever")),
        ("an unknown frame on a stream", Served(1), frame(0x42, 0, 1, b"whatever")),
        ("PING", Served(1), frame(6, 0, 0, b"pingpong")),
        ("PING with a flag of nobody's", Served(1), frame(6, 0xf0, 0, b"pingpong")),
        ("an ACK of a PING that was not sent", Served(1), frame(6, 1, 0, b"pingpong")),
        ("the reserved bit of a stream's id", Served(1), frame(6, 0, 0x8000_0000, b"pingpong")),
        ("WINDOW_UPDATE", Served(1), frame(8, 0, 0, &[0, 0, 1, 0])),
        ("PRIORITY of an idle stream", Served(1), frame(2, 0, 7, &[0, 0, 0, 1, 9])),
    ] {
        cases.before(name, want, bytes);
    }
    cases.add("padding longer than DATA", Connection(&[PROTOCOL]), |path| {
        [
            open(&[base(path), fields(&[("content-length", "9")])].concat()),
            frame(0, PADDED | END_STREAM, 1, &[9, b'x']),
        ]
        .concat()
    });
    cases.add("padding longer than HEADERS", Connection(&[PROTOCOL]), |path| {
        frame(1, END_STREAM | END_HEADERS | PADDED, 1, &[&[255][..], &block(&base(path))[..60]].concat())
    });
    cases.add("HEADERS with padding and priority", Served(1), |path| {
        let payload = [&[2, 0, 0, 0, 0, 15][..], &block(&base(path)), &[0, 0]].concat();
        frame(1, END_STREAM | END_HEADERS | PADDED | PRIORITY, 1, &payload)
    });
    cases.add("a head in pieces", Served(1), |path| {
        let block = block(&base(path));
        let (one, two) = block.split_at(20);
        [frame(1, END_STREAM, 1, one), frame(9, 0, 1, two), frame(9, END_HEADERS, 1, &[])].concat()
    });
    for (name, between) in [
        ("a PING", frame(6, 0, 0, &[0; 8])),
        ("an unknown frame", frame(0x42, 0, 0, &[])),
        ("HEADERS of another stream", frame(1, 5, 3, &block(&base("/evil")))),
        ("CONTINUATION of another stream", frame(9, 4, 3, &block(&base("/evil")))),
        ("DATA", frame(0, 0, 1, b"x")),
    ] {
        cases.add(format!("a head interrupted by {name}"), Connection(&[PROTOCOL]), move |path| {
            let block = block(&base(path));
            let (one, two) = block.split_at(20);
            [frame(1, END_STREAM, 1, one), between.clone(), frame(9, END_HEADERS, 1, two)].concat()
        });
    }
}

/// §5.1
fn streams(cases: &mut Cases) {
    use Want::{Connection, Served};
    let on = |stream: u32, path: &str| frame(1, END_STREAM | END_HEADERS, stream, &block(&base(path)));
    cases.add("two requests", Served(2), move |path| [on(1, path), on(3, path)].concat());
    cases.add("streams may be left out", Served(2), move |path| [on(1, path), on(101, path)].concat());
    cases.add("an even stream", Connection(&[PROTOCOL]), move |path| on(2, path));
    cases.add("a stream that depends on itself", Want::Error, |path| {
        let payload = [&[0, 0, 0, 1, 15][..], &block(&base(path))].concat();
        frame(1, END_STREAM | END_HEADERS | PRIORITY, 1, &payload)
    });
    let half = |path: &str| {
        frame(1, END_HEADERS, 5, &block(&[base(path), fields(&[("content-length", "9")])].concat()))
    };
    cases.add("a stream below the last one", Connection(&[PROTOCOL, CLOSED]), move |path| {
        [half(path), on(3, "/evil")].concat()
    });
    cases.add("WINDOW_UPDATE of a stream by nothing", Want::Error, move |path| {
        [half(path), frame(8, 0, 5, &[0; 4])].concat()
    });
    cases.add("WINDOW_UPDATE of a stream beyond 2^31-1", Want::Error, move |path| {
        [half(path), frame(8, 0, 5, &[0x7f, 0xff, 0xff, 0xff])].concat()
    });
    cases.add("DATA beyond the connection's window", Want::Error, move |path| {
        [half(path), frame(0, 0, 5, &[0; 16_384]).repeat(80)].concat()
    });
    cases.add("DATA after the end", Want::Error, move |path| {
        // Of a stream whose head is not whole yet, so that nothing is passed on.
        [frame(1, END_STREAM, 1, &block(&base(path))), frame(0, 0, 1, b"x")].concat()
    });
}

/// §4.3 and RFC 7541
fn compression(cases: &mut Cases) {
    for (name, bytes) in [
        ("index 0", &[0x80][..]),
        ("an index of no entry", &[0xff, 0x40]),
        ("a number cut short", &[0xff]),
        ("a number without end", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("a text cut short", &[0x00, 0x05, b'x']),
        ("a text longer than the block", &[0x00, 0x7f, 0xff, 0x7f, b'x']),
        ("a name of no entry", &[0x7f, 0x40, 0x01, b'x']),
        ("Huffman with EOS", &[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, b'x']),
        ("Huffman with too much padding", &[0x00, 0x82, 0x1f, 0xff, 0x01, b'x']),
        ("a table beyond the limit", &[0x3f, 0xff, 0xff, 0x7f]),
        ("a literal of nothing", &[0x00]),
    ] {
        let bytes = bytes.to_vec();
        cases.add(name, Want::Connection(&[COMPRESSION, PROTOCOL]), move |path| {
            frame(1, END_STREAM | END_HEADERS, 1, &[&block(&base(path))[..], &bytes].concat())
        });
    }
    cases.add("a table of nothing", Want::Served(1), |path| {
        frame(1, END_STREAM | END_HEADERS, 1, &[&[0x20][..], &block(&base(path))].concat())
    });
    cases.add("fields of the static table", Want::Served(1), |path| {
        let rest = block(&[(":path", path), (":authority", "a.example")]);
        frame(1, END_STREAM | END_HEADERS, 1, &[&[0x82, 0x86][..], &rest].concat())
    });
    cases.add("a bomb: one long field a thousand times", Want::Error, |path| {
        let mut bytes = block(&base(path));
        bytes.extend([0x40, 1, b'x', 0x7f, 0x81, 0x1e]);
        bytes.extend([b'y'; 4_000]);
        bytes.extend([0xbe; 8_000]);
        frame(1, END_STREAM | END_HEADERS, 1, &bytes)
    });
}

/// §10.5; the integration tests look at what remains of them.
fn floods(cases: &mut Cases) {
    use Want::Connection;
    let calm = Connection(&[CALM, PROTOCOL]);
    let many = |one: Vec<u8>| move |_: &str| one.repeat(5_000);
    cases.add("PING without end", calm, many(frame(6, 0, 0, &[0; 8])));
    cases.add("SETTINGS without end", calm, many(frame(4, 0, 0, &[])));
    cases.add("PRIORITY without end", calm, many(frame(2, 0, 3, &[0, 0, 0, 0, 1])));
    cases.add("unknown frames without end", calm, many(frame(0x42, 0, 0, &[])));
    cases.add("WINDOW_UPDATE without end", calm, many(frame(8, 0, 0, &[0, 0, 0, 1])));
    let half = |path: &str| {
        frame(1, END_HEADERS, 1, &block(&[base(path), fields(&[("content-length", "9")])].concat()))
    };
    cases.add("DATA of nothing without end", calm, move |path| {
        [half(path), frame(0, 0, 1, &[]).repeat(5_000)].concat()
    });
    cases.add("DATA of padding without end", calm, move |path| {
        [half(path), frame(0, PADDED, 1, &[3, 0, 0, 0]).repeat(5_000)].concat()
    });
    cases.add("CONTINUATION of nothing without end", calm, |path| {
        [frame(1, END_STREAM, 1, &block(&base(path))), frame(9, 0, 1, &[]).repeat(5_000)].concat()
    });
    cases.add("CONTINUATION of something without end", Want::Error, |path| {
        let more = block(&fields(&[("x-a", &"b".repeat(15_000))]));
        [frame(1, END_STREAM, 1, &block(&base(path))), frame(9, 0, 1, &more).repeat(100)].concat()
    });
    cases.add("requests taken back without end", calm, |_| {
        let one = |number: u32| {
            let stream = 2 * number + 1;
            [frame(1, 5, stream, &block(&base("/evil"))), frame(3, 0, stream, &[0, 0, 0, 8])].concat()
        };
        (0..5_000).flat_map(one).collect()
    });
    cases.add("malformed requests without end", Connection(&[CALM, PROTOCOL]), |_| {
        let one = |number: u32| {
            frame(1, 5, 2 * number + 1, &block(&fields(&[(":method", "GET"), ("connection", "x")])))
        };
        (0..2_000).flat_map(one).collect()
    });
}
