//! A client that sends bytes as they are and reads answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest silence before a client gives up: a failure, unless nothing is awaited.
const SILENCE: Duration = Duration::from_secs(10);

/// What a client waits for before it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// So many answers.
    pub(crate) answers: usize,
    /// The end of the connection as well.
    pub(crate) close: bool,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Status of each whole final answer.
    pub(crate) statuses: Vec<u16>,
    /// The other side ended the connection.
    pub(crate) closed: bool,
    /// Some refusal did not say why: an answer of the engine instead of ours.
    pub(crate) bare: bool,
}

/// One connection: sends everything, reads until it has what it waits for.
pub(crate) fn talk(to: SocketAddr, bytes: &[u8], heads: &[bool], wait: Wait) -> Heard {
    talk_within(to, bytes, heads, wait, SILENCE)
}

pub(crate) fn talk_within(
    to: SocketAddr,
    bytes: &[u8],
    heads: &[bool],
    wait: Wait,
    silence: Duration,
) -> Heard {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(silence)).unwrap();
    stream.set_write_timeout(Some(silence)).unwrap();
    // A refusal may come before everything was sent.
    let _ = stream.write_all(bytes);
    let (mut heard, mut read, mut buffer) = (Heard::default(), Vec::new(), [0; 8192]);
    loop {
        while let Some((status, length)) = answer(&read, heads.get(heard.statuses.len()) == Some(&true)) {
            let ours = read[..length].windows(13).any(|part| part.eq_ignore_ascii_case(b"content-type:"));
            heard.bare |= status >= 400 && !ours;
            read.drain(..length);
            if status >= 200 {
                heard.statuses.push(status);
            }
        }
        if heard.statuses.len() >= wait.answers && !wait.close {
            return heard;
        }
        match stream.read(&mut buffer) {
            Ok(0) => {
                heard.closed = true;
                return heard;
            }
            Ok(length) => read.extend_from_slice(&buffer[..length]),
            Err(error) => {
                heard.closed = error.kind() == std::io::ErrorKind::ConnectionReset;
                return heard;
            }
        }
    }
}

/// The status and length of the first answer, if it is whole.
fn answer(bytes: &[u8], no_body: bool) -> Option<(u16, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status: u16 = head.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    if no_body || status < 200 || status == 204 || status == 304 {
        return Some((status, end));
    }
    if field("transfer-encoding:").is_some() {
        let last = bytes[end..].windows(5).position(|five| five == b"0\r\n\r\n")?;
        return Some((status, end + last + 5));
    }
    let length: usize = field("content-length:").map_or(0, |length| length.parse().unwrap());
    (bytes.len() >= end + length).then_some((status, end + length))
}
