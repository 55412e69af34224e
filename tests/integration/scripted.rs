//! An upstream whose every byte the test writes, and a client of the same kind.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Longest wait for bytes that must come.
const WAIT: Duration = Duration::from_secs(20);

/// Hands over its connections as they come. Connections that end without a byte (probes) are left out.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    accepted: mpsc::UnboundedReceiver<Line>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    if matches!(stream.peek(&mut [0]).await, Ok(1..)) {
                        let _ = sender.send(Line { stream, heard: String::new() });
                    }
                });
            }
        });
        Self { address, accepted }
    }

    /// The next connection on which something was sent.
    pub(crate) async fn next(&mut self) -> Line {
        tokio::time::timeout(WAIT, self.accepted.recv()).await.expect("a connection").unwrap()
    }
}

/// One connection, whichever side.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    /// Read and not yet asked for.
    heard: String,
}

impl Line {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), heard: String::new() }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `mark` has come; returns everything up to it.
    pub(crate) async fn hear(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(mark) {
                let rest = self.heard.split_off(at + mark.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let mut buffer = [0; 16 * 1024];
            let reading = tokio::time::timeout(WAIT, self.stream.read(&mut buffer)).await;
            let length = reading.unwrap_or_else(|_| panic!("no {mark:?} after {:?}", self.heard)).unwrap();
            assert!(length > 0, "the end came before {mark:?}, after {:?}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// A whole head.
    pub(crate) async fn head(&mut self) -> String {
        self.hear("\r\n\r\n").await
    }

    /// Everything until the other side ends; true if it ended cleanly.
    pub(crate) async fn rest(&mut self) -> (String, bool) {
        let mut buffer = [0; 64 * 1024];
        loop {
            match tokio::time::timeout(WAIT, self.stream.read(&mut buffer)).await.expect("an end") {
                Ok(0) => return (std::mem::take(&mut self.heard), true),
                Ok(length) => self.heard.push_str(&String::from_utf8_lossy(&buffer[..length])),
                Err(_) => return (std::mem::take(&mut self.heard), false),
            }
        }
    }
}
