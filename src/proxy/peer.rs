//! Who is at the other end of a connection of the crowd's side.

use std::net::SocketAddr;

/// What a connection tells of its other end, the same for all its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address: of the socket, or what a trusted load balancer said of it.
    pub address: SocketAddr,
    /// The connection is encrypted by us.
    pub secure: bool,
}
