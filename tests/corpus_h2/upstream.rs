//! An upstream that writes down every request that reaches it whole, and how clean it was.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What reached the upstream.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    /// Heads of requests, as they came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn start() -> (SocketAddr, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, record) = (listener.local_addr().unwrap(), Record::default());
    let kept = record.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let record = record.clone();
            std::thread::spawn(move || serve(stream.unwrap(), &record));
        }
    });
    (address, kept)
}

fn serve(stream: TcpStream, record: &Record) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // Probes open and close; a head that never ends shows as a request that was not recorded.
            if reader.read_until(b'\n', &mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        if let Some(length) = field("content-length") {
            let length: u64 = length.parse().unwrap();
            if std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).unwrap_or(0) < length {
                return;
            }
        } else if field("transfer-encoding").is_some() && chunks(&mut reader).is_none() {
            return;
        }
        // Only now: what a client broke off is not a request.
        record.0.lock().unwrap().push(text);
        if writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

fn chunks(reader: &mut impl BufRead) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = u64::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = Vec::new();
        reader.take(length).read_to_end(&mut chunk).ok()?;
        line.clear();
        if length == 0 {
            while reader.read_line(&mut line).ok()? > 2 {
                line.clear();
            }
            return Some(());
        }
        reader.read_line(&mut line).ok()?;
    }
}

/// What is unclean in a request that reached an upstream; nothing should be.
pub(crate) fn fault(head: &str) -> Option<String> {
    let lines: Vec<&str> = head.strip_suffix("\r\n\r\n")?.split("\r\n").collect();
    let (first, fields) = lines.split_first()?;
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let parts: Vec<&str> = first.split(' ').collect();
    if !matches!(parts[..], [method, path, "HTTP/1.1"] if token(method) && path.starts_with('/') && !path.contains('#'))
    {
        return Some(format!("request line {first:?}"));
    }
    let mut names = Vec::new();
    for line in fields {
        let Some((name, value)) = line.split_once(": ") else { return Some(format!("line {line:?}")) };
        if !token(name) || value.contains(['\r', '\n', '\0']) || value.trim() != value {
            return Some(format!("field {line:?}"));
        }
        names.push(name.to_ascii_lowercase());
    }
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    if count("host") != 1 || count("content-length") + count("transfer-encoding") > 1 || count("cookie") > 1 {
        return Some(format!("fields {names:?}"));
    }
    // `TE: trailers`, nominated, is the gateway's own word to the upstream.
    let te = fields.contains(&"te: trailers") && fields.contains(&"connection: te");
    if count("te") + count("connection") > 0 && !te {
        return Some("te or connection was passed on".to_owned());
    }
    let hop = ["keep-alive", "proxy-connection", "upgrade"];
    hop.iter().find(|name| count(name) > 0).map(|name| format!("{name} was passed on"))
}
