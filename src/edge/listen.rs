//! Listening sockets: handed over by systemd, or bound by us. A bind error is an error, at once.

use std::fmt;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel holds until they are accepted; it cuts this at `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// Bytes of an answer beyond which the kernel takes no more while they are unsent.
const UNSENT_MAX: u32 = 64 * 1024;

/// A socket could not be had.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}", self.address)?;
        match self.source.kind() {
            std::io::ErrorKind::AddrInUse => f.write_str("; another process has it (ss -ltnp shows which)"),
            std::io::ErrorKind::PermissionDenied => {
                f.write_str("; ports below 1024 need CAP_NET_BIND_SERVICE (the unit in systemd/ grants it)")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Binds `address`; port 0 lets the kernel choose.
///
/// # Errors
/// [`ListenError`] with the remedy.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // What the kernel holds unsent hides how fast a client reads; each connection inherits this.
        socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|source| ListenError { address, source })
}
