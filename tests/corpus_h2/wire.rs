//! Frames and fields as bytes, and what comes back. HPACK is written as literals only (RFC 7541 §6.2.2).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITY: u8 = 0x20;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn length(bytes: &mut Vec<u8>, length: usize) {
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
        return;
    }
    bytes.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// A block of fields; names and values are written as they are.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(&mut bytes, text.len());
            bytes.extend(text);
        }
    }
    bytes
}

/// The fields that every request has.
pub(crate) fn base(path: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", path)])
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// A whole request without a body on stream 1.
pub(crate) fn get(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    frame(1, END_STREAM | END_HEADERS, 1, &block(fields))
}

/// The head of a request on stream 1 whose body follows.
pub(crate) fn open(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    frame(1, END_HEADERS, 1, &block(fields))
}

/// What came first of all that can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer with this status; 0 for one outside of HPACK's table.
    Status(u16),
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with this code.
    Goaway(u32),
    /// The end of the connection without a word.
    Closed,
    /// Nothing for five seconds.
    Silence,
}

/// Sends bytes and reads until something is decided. An answer waits for `answers` of them.
pub(crate) fn play(to: SocketAddr, bytes: &[u8], answers: usize) -> Outcome {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // An error means that we were cut off while speaking; what was said before still counts.
    let _ = stream.write_all(bytes);
    let (mut read, mut answered) = (Vec::new(), 0);
    loop {
        let mut chunk = [0; 16_384];
        match stream.read(&mut chunk) {
            Ok(0) => return Outcome::Closed,
            Ok(length) => read.extend_from_slice(&chunk[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Outcome::Silence;
            }
            Err(_) => return Outcome::Closed,
        }
        while let Some(whole) = whole(&read) {
            let (head, payload) = read[..whole].split_at(9);
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match head[3] {
                1 => {
                    answered += 1;
                    let status = status(payload[0]);
                    if answered == answers || status != 200 {
                        return Outcome::Status(status);
                    }
                }
                // NO_ERROR: the answer was given before the body was read.
                3 if code(0) != 0 => return Outcome::Reset(code(0)),
                7 if code(4) != 0 => return Outcome::Goaway(code(4)),
                _ => {}
            }
            read.drain(..whole);
        }
    }
}

fn whole(read: &[u8]) -> Option<usize> {
    let head: &[u8; 9] = read.first_chunk()?;
    let length = 9 + usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
    (read.len() >= length).then_some(length)
}

/// The first field of an answer, which is `:status`, from HPACK's static table.
fn status(first: u8) -> u16 {
    match first {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ => 0,
    }
}
