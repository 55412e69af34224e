//! An upstream that reads strictly and forgets nothing. Its parser shares no code with the gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A whole request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Book {
    requests: Vec<Request>,
    unclean: Option<String>,
}

pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

/// Fields that end at the gateway. `TE: trailers`, nominated, is the gateway's own word to the upstream.
const HOP_BY_HOP: [&str; 5] = ["expect", "keep-alive", "proxy-authorization", "proxy-connection", "upgrade"];

impl Recorder {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::new(Mutex::new(Book::default()));
        let shared = Arc::clone(&book);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let book = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &book));
            }
        });
        Self { address, book }
    }

    pub(crate) fn forget(&self) {
        *self.book.lock().unwrap() = Book::default();
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.book.lock().unwrap().requests.clone()
    }

    /// The first thing that a gateway must never send.
    pub(crate) fn unclean(&self) -> Option<String> {
        self.book.lock().unwrap().unclean.clone()
    }
}

fn serve(mut stream: TcpStream, book: &Mutex<Book>) {
    stream.set_nodelay(true).unwrap();
    let (mut read, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match request(&read) {
            Ok(Some((request, length, no_body))) => {
                read.drain(..length);
                book.lock().unwrap().requests.push(request);
                let body = if no_body { "" } else { "ok" };
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(unclean) => {
                let shown = read.escape_ascii().to_string();
                book.lock().unwrap().unclean.get_or_insert(format!("{unclean}: {shown}"));
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => read.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
}

type Parsed = Result<Option<(Request, usize, bool)>, String>;

/// The first request in `bytes`, its length and whether it is a HEAD; an error if it is not exactly as
/// a careful sender writes it.
fn request(bytes: &[u8]) -> Parsed {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    if text.replace("\r\n", "").chars().any(|c| c != '\t' && (c < ' ' || c == '\x7f')) {
        return Err("a control byte or a bare line end".to_owned());
    }
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return Err(format!("request line {words:?}")) };
    if !token(method) || !(target.starts_with('/') || target == "*") || !target.is_ascii() {
        return Err(format!("request line {words:?}"));
    }
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("field {line:?}"))?;
        if !token(name) || name.contains('_') {
            return Err(format!("field {line:?}"));
        }
        fields.push((name.to_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let all = |wanted: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(name, _)| name == wanted);
        named.map(|(_, value)| value.as_str()).collect()
    };
    if let Some((name, _)) = fields.iter().find(|(name, _)| HOP_BY_HOP.contains(&name.as_str())) {
        return Err(format!("{name} passed on"));
    }
    let te = (&all("te")[..], &all("connection")[..]);
    if !matches!(te, ([], []) | (["trailers"], ["te"])) {
        return Err(format!("te and connection {te:?}"));
    }
    if !all("trailer").is_empty() && all("transfer-encoding").is_empty() {
        return Err("trailer announced where none can be".to_owned());
    }
    if all("host").len() != 1 {
        return Err(format!("hosts {:?}", all("host")));
    }
    let rest = &bytes[end + 4..];
    let body = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Some((Vec::new(), 0)),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length: usize = length.parse().map_err(|_| format!("length {length}"))?;
            rest.get(..length).map(|body| (body.to_vec(), length))
        }
        ([], ["chunked"]) => chunks(rest)?,
        framing => return Err(format!("framing {framing:?}")),
    };
    let target = target.to_owned();
    Ok(body.map(|(body, length)| (Request { target, fields, body }, end + 4 + length, method == "HEAD")))
}

/// A chunked body and its length on the wire: no extension, and clean trailers.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let digits = String::from_utf8_lossy(&rest[..line]);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("chunk size {digits:?}"));
        }
        let size = usize::from_str_radix(&digits, 16).map_err(|_| format!("chunk size {digits}"))?;
        if size == 0 {
            return Ok(trailers(&rest[line + 2..])?.map(|length| (body, at + line + 2 + length)));
        }
        let Some(chunk) = rest.get(line + 2..line + 2 + size + 2) else { return Ok(None) };
        let Some(data) = chunk.strip_suffix(b"\r\n") else {
            return Err("a chunk of another size".to_owned());
        };
        body.extend_from_slice(data);
        at += line + 2 + size + 2;
    }
}

/// The length of the trailers on the wire, with the empty line that ends them.
fn trailers(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        at += line + 2;
        if line == 0 {
            return Ok(Some(at));
        }
        let text = String::from_utf8_lossy(&rest[..line]).into_owned();
        let named = text.split_once(": ").filter(|(name, _)| {
            token(name)
                && !["host", "content-length", "transfer-encoding", "cookie"].contains(&&*name.to_lowercase())
        });
        if named.is_none() {
            return Err(format!("trailer {text:?}"));
        }
    }
}

fn token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}
