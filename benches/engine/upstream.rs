//! Scripted upstreams on the loopback: a script drives each connection byte by byte and notes what it saw.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One accepted connection, with what was read and not yet used.
pub(crate) struct Line {
    pub(crate) io: TcpStream,
    pub(crate) number: usize,
    buffer: Vec<u8>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Line {
    pub(crate) fn note(&self, note: impl ToString) {
        self.notes.lock().unwrap().push(note.to_string());
    }

    async fn more(&mut self) -> bool {
        matches!(self.io.read_buf(&mut self.buffer).await, Ok(bytes) if bytes > 0)
    }

    async fn until(&mut self, mark: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let rest = self.buffer.split_off(at + mark.len());
                let taken = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8_lossy(&taken).into_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next request head, or nothing if the other side closed.
    pub(crate) async fn head(&mut self) -> Option<String> {
        self.until(b"\r\n\r\n").await
    }

    pub(crate) async fn exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < bytes {
            if !self.more().await {
                return None;
            }
        }
        let rest = self.buffer.split_off(bytes);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    /// The next chunk of a chunked body; the last one is empty and leaves its trailers to [`Line::trailers`].
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n").await?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(Vec::new());
        }
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Some(chunk)
    }

    /// The lines after the last chunk, up to the empty one.
    pub(crate) async fn trailers(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            if line == "\r\n" {
                return Some(lines);
            }
            lines.push(line.trim().to_ascii_lowercase());
        }
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.io.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads to the end and returns how many bytes came before it.
    pub(crate) async fn rest(&mut self) -> usize {
        while self.more().await {}
        self.buffer.len()
    }

    /// Answers every further request on this connection with its own path as the body.
    pub(crate) async fn echo_paths(mut self) {
        while let Some(head) = self.head().await {
            let path = head.split(' ').nth(1).unwrap_or("?").to_owned();
            self.note(format!("{path} on {}", self.number));
            if !self.say(answer(200, &path)).await {
                return;
            }
        }
    }
}

/// A whole answer with a length.
pub(crate) fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A listening script.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Line) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Inherited by what is accepted: an upstream that does not read must be felt soon, whatever this machine's defaults.
        socket2::SockRef::from(&listener).set_recv_buffer_size(64 * 1024).unwrap();
        Self::on(listener, script)
    }

    pub(crate) fn on<F, R>(listener: TcpListener, script: F) -> Self
    where
        F: Fn(Line) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let addr = listener.local_addr().unwrap();
        let (accepted, notes) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<String>>>::default());
        let upstream = Self { addr, accepted: Arc::clone(&accepted), notes: Arc::clone(&notes) };
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let number = accepted.fetch_add(1, Relaxed);
                let line = Line { io, number, buffer: Vec::new(), notes: Arc::clone(&notes) };
                tokio::spawn(script(line));
            }
        });
        upstream
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Relaxed)
    }

    /// Waits (briefly) until some note fulfils `wanted`; false if none does.
    pub(crate) async fn noted(&self, wanted: impl Fn(&str) -> bool) -> bool {
        for _ in 0..100 {
            if self.notes.lock().unwrap().iter().any(|note| wanted(note)) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        false
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}
