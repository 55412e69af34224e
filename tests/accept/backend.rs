//! A backend that is wrong about caches: every page is somebody's own, and says that anybody may store
//! it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Gone, with its connections, when dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    /// What it sells, if anything.
    pub(crate) stock: Arc<Mutex<Stock>>,
    accepting: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Units that `/buy` sells, one each; the session of whoever bought ends with it.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    left: Option<u64>,
    pub(crate) sold: u64,
    /// Asked for when none was left.
    pub(crate) oversold: u64,
    pub(crate) exhausted: Option<Instant>,
}

impl Stock {
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
    fn buy(&mut self) -> Option<u64> {
        match &mut self.left {
            None => None,
            Some(0) => {
                self.oversold += 1;
                Some(0)
            }
            Some(left) => {
                *left -= 1;
                self.sold += 1;
                if *left == 0 {
                    self.exhausted = Some(Instant::now());
                }
                Some(*left)
            }
        }
    }
}

impl Backend {
    /// Sells so many units.
    pub(crate) async fn selling(units: u64, time: Duration) -> Result<Self, String> {
        let backend = Self::taking(time).await?;
        backend.stock.lock().unwrap().left = Some(units);
        Ok(backend)
    }

    /// Answers at once.
    pub(crate) async fn start() -> Result<Self, String> {
        Self::taking(Duration::ZERO).await
    }

    /// Works so long on each request, on as many at a time as it is sent.
    pub(crate) async fn taking(time: Duration) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let stock: Arc<Mutex<Stock>> = Arc::default();
        let shelf = Arc::clone(&stock);
        let accepting = tokio::spawn(async move {
            // Connections end with this task.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, time, Arc::clone(&shelf)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, stock, accepting })
    }
}

async fn converse(mut stream: TcpStream, time: Duration, stock: Arc<Mutex<Stock>>) {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    loop {
        while let Some(end) = head_end(&bytes) {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length: usize = value(&head, "content-length:").and_then(|it| it.parse().ok()).unwrap_or(0);
            while bytes.len() < end + length {
                if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            bytes.drain(..end + length);
            let canary = value(&head, "cookie:")
                .and_then(|cookies| cookies.split("session=").nth(1))
                .map_or("nobody", |session| session.split(';').next().unwrap_or(""));
            let body = format!("canary={canary}.");
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            let bought = head.starts_with("get /buy ").then(|| stock.lock().unwrap().buy()).flatten();
            let told = bought
                .map(|left| format!("tornello-remaining: {left}\r\ntornello-session: end\r\n"))
                .unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncache-control: public, max-age=60\r\n\
                 {told}content-length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// Where the first head in `bytes` ends.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a field in a head in lower case.
pub(crate) fn value<'a>(head: &'a str, field: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(field)).map(str::trim)
}
