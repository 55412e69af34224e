//! Connections to one upstream address, driven by hyper's client over a plain TCP stream.
//!
//! Idle ones are kept last in, first out. A request that cannot be repeated gets one that was used a
//! moment ago, or a fresh one, because an upstream may close an idle connection at any time.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::Upload;
use super::wire::{Socket, Wire, Written};
use crate::admission::Moment;

/// Idle connections kept per address, at most.
const IDLE_MAX: usize = 1_024;
/// A request that cannot be repeated is not sent on a connection idle for longer.
const FRESH_MAX: Duration = Duration::from_secs(1);

/// A connection, whoever uses it now.
#[derive(Debug)]
pub struct Connection {
    /// Where a request goes in.
    pub sender: SendRequest<Upload>,
    /// It carried a request before, so the upstream may have closed it meanwhile.
    pub reused: bool,
    socket: Socket,
    written: Arc<Written>,
}

impl Connection {
    /// Good for another request.
    fn is_whole(&self) -> bool {
        !self.sender.is_closed() && !self.written.broken.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Moment,
}

/// Idle connections of one address.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
}

/// No connection could be opened.
#[derive(Debug)]
pub struct ConnectError(pub String);

impl Pool {
    /// An idle connection, the most recently used first; `None` if there is none good enough.
    #[must_use]
    pub fn take(&self, repeatable: bool, keep_alive: Duration, now: Moment) -> Option<Connection> {
        let oldest = if repeatable { keep_alive } else { FRESH_MAX.min(keep_alive / 2) };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(candidate) = idle.pop() {
            if now.since(candidate.since) > oldest {
                if now.since(candidate.since) <= keep_alive {
                    idle.push(candidate);
                }
                return None;
            }
            let connection = candidate.connection;
            // The kernel knows of a close before the runtime does. It also knows of bytes that nobody asked
            // for: on such a connection the next answer would not be the next client's.
            if connection.sender.is_ready() && connection.socket.is_quiet() {
                return Some(Connection { reused: true, ..connection });
            }
        }
        None
    }

    /// Keeps a connection whose exchange is finished on both sides.
    pub fn put(&self, connection: Connection, now: Moment) {
        if !connection.is_whole() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, since: now });
        }
    }

    /// Closes what was idle for too long or was closed by the other side.
    pub fn sweep(&self, keep_alive: Duration, now: Moment) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|one| now.since(one.since) <= keep_alive && one.connection.is_whole());
    }

    /// Idle connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// None is idle.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Opens a connection to `address` within `timeout`.
///
/// # Errors
/// [`ConnectError`] with the cause in words.
pub async fn open(address: SocketAddr, timeout: Duration) -> Result<Connection, ConnectError> {
    let opening = async {
        let stream = TcpStream::connect(address).await.map_err(|error| ConnectError(error.to_string()))?;
        // Heads and bodies are written whole; waiting for more to send would only delay them.
        stream.set_nodelay(true).map_err(|error| ConnectError(error.to_string()))?;
        let socket = Socket::new(stream);
        let (wire, written) = Wire::new(socket.clone(), true);
        let shaken = handshake(TokioIo::new(wire)).await;
        let (sender, driver) = shaken.map_err(|error| ConnectError(error.to_string()))?;
        tokio::spawn(async move {
            // How the exchange ended is told to whoever holds the sender or the body.
            let _ = driver.with_upgrades().await;
        });
        Ok(Connection { sender, reused: false, socket, written })
    };
    match tokio::time::timeout(timeout, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError("no answer in time".to_owned())),
    }
}
