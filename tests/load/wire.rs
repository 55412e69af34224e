//! One connection that is kept alive: a request, its answer, the next one.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// See the module.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What was read and is not asked for yet.
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(site: SocketAddr) -> Self {
        let stream = TcpStream::connect(site).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::with_capacity(4_096) }
    }

    /// `None` if the connection ended before the answer did.
    pub(crate) async fn ask(&mut self, request: &str) -> Option<Told> {
        self.stream.write_all(request.as_bytes()).await.ok()?;
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = std::str::from_utf8(&self.read[..end]).unwrap();
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let whole = end + length.expect("an answer of a known length");
        while self.read.len() < whole {
            self.more().await?;
        }
        let body = self.read[end..whole].to_vec();
        self.read.drain(..whole);
        Some(Told { status, body })
    }

    async fn more(&mut self) -> Option<()> {
        self.stream.read_buf(&mut self.read).await.ok().filter(|length| *length > 0).map(|_| ())
    }
}
