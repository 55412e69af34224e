//! An upstream that reads requests to the letter of RFC 9112, keeps count, and remembers the first
//! thing that a proxy should not have sent.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Fields that end at a proxy.
const HOP_BY_HOP: [&str; 4] = ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"];

/// What came.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Counts>);

#[derive(Default)]
struct Counts {
    bytes: AtomicU64,
    requests: AtomicU64,
    wrong: Mutex<Option<String>>,
}

impl Seen {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.0.requests.load(Relaxed)
    }

    pub(crate) fn wrong(&self) -> Option<String> {
        self.0.wrong.lock().unwrap().clone()
    }
}

/// Answers everybody.
pub(crate) async fn serve(listener: TcpListener, seen: Seen) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(stream, seen.clone()));
    }
}

async fn converse(mut stream: TcpStream, seen: Seen) {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match request(&read) {
            Ok(Some(length)) => {
                read.drain(..length);
                seen.0.requests.fetch_add(1, Relaxed);
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(why) => {
                let shown = String::from_utf8_lossy(&read).into_owned();
                seen.0.wrong.lock().unwrap().get_or_insert(format!("{why}: {shown:?}"));
                return;
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                seen.0.bytes.fetch_add(length as u64, Relaxed);
                read.extend_from_slice(&piece[..length]);
            }
        }
    }
}

/// The length of the first request; `None` if it is not whole yet.
fn request(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    // Values may hold any byte that is no control character: one character a byte.
    let head: String = bytes[..end].iter().copied().map(char::from).collect();
    let (line, fields) = head.split_once("\r\n").ok_or("no field, not even a host")?;
    request_line(line)?;
    let (mut hosts, mut length, mut chunked) = (0, None, false);
    for field in fields.split("\r\n") {
        let (name, value) = field.split_once(':').ok_or_else(|| format!("no colon in {field:?}"))?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("a field name {name:?}"));
        }
        if value.chars().any(|letter| letter.is_ascii_control() && letter != '\t') {
            return Err(format!("a control character in {field:?}"));
        }
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match &*name {
            "host" => hosts += 1,
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse().ok().filter(|_| digits && length.is_none());
                length = Some(number.ok_or_else(|| format!("content-length {value:?}, or a second one"))?);
            }
            "transfer-encoding" if value == "chunked" && !chunked => chunked = true,
            "transfer-encoding" => return Err(format!("transfer-encoding {value:?}")),
            name if HOP_BY_HOP.contains(&name) => return Err(format!("{name} ends at a proxy")),
            _ => {}
        }
    }
    match (hosts, length, chunked) {
        (1, Some(_), true) => Err("two lengths".to_owned()),
        (1, length, false) => {
            let whole = end + 4 + length.unwrap_or(0);
            Ok((bytes.len() >= whole).then_some(whole))
        }
        (1, None, true) => Ok(chunks(&bytes[end + 4..])?.map(|body| end + 4 + body)),
        (hosts, ..) => Err(format!("{hosts} hosts")),
    }
}

fn request_line(line: &str) -> Result<(), String> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { return Err(format!("a first line {line:?}")) };
    let plain = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if method.is_empty() || !plain || !(target.starts_with('/') || target == "*") {
        return Err(format!("a first line {line:?}"));
    }
    Ok(())
}

/// The length of a chunked body with its trailers.
fn chunks(bytes: &[u8]) -> Result<Option<usize>, String> {
    let line = |from: usize| {
        let end = bytes[from..].windows(2).position(|two| two == b"\r\n")?;
        Some((&bytes[from..from + end], from + end + 2))
    };
    let mut at = 0;
    loop {
        let Some((size, data)) = line(at) else { return Ok(None) };
        let digits = std::str::from_utf8(size).map_err(|_| "a chunk size that is not text")?;
        let size = usize::from_str_radix(digits, 16).map_err(|_| format!("a chunk size {digits:?}"))?;
        if size == 0 {
            at = data;
            loop {
                match line(at) {
                    None => return Ok(None),
                    Some((b"", after)) => return Ok(Some(after)),
                    Some((_, after)) => at = after,
                }
            }
        }
        let end = data + size;
        match bytes.get(end..end + 2) {
            None => return Ok(None),
            Some(b"\r\n") => at = end + 2,
            Some(other) => return Err(format!("{other:?} after a chunk")),
        }
    }
}
