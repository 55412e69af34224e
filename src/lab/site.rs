//! Whom the crowd calls: an address on the network, or somebody who answers in process.
//!
//! In process there are no sockets, but what a client can tell is the same: a connection is opened or
//! refused, an answer comes whole or not at all, and a request whose future is dropped was hung up on.

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::client::Reply;
use crate::clock::Clock;

/// Whom the crowd calls.
#[derive(Clone, Debug)]
pub enum Target {
    /// An address.
    Address(SocketAddr),
    /// Somebody in process.
    Site(Arc<dyn Site>),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl Target {
    /// The host that requests name.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Site(site) => site.host(),
        }
    }

    /// The clock by which a leg against it is played.
    pub(super) fn clock(&self) -> Clock {
        match self {
            Self::Address(_) => Clock::start(),
            Self::Site(site) => site.clock(),
        }
    }
}

/// A connection being opened; `None` if it is refused.
pub type Opening = Pin<Box<dyn Future<Output = Option<Arc<dyn Line>>> + Send>>;
/// An answer being awaited; `None` if the connection broke.
pub type Answering = Pin<Box<dyn Future<Output = Option<Reply>> + Send>>;

/// Somebody who answers in process.
pub trait Site: fmt::Debug + Send + Sync {
    /// Opens a connection from `source`.
    fn open(self: Arc<Self>, source: Ipv4Addr) -> Opening;
    /// The host under which it is known.
    fn host(&self) -> String;
    /// Its clock.
    fn clock(&self) -> Clock;
}

/// A connection to a site; closed when dropped.
pub trait Line: fmt::Debug + Send + Sync {
    /// Sends a request. One at a time, as on HTTP/1.1.
    fn ask(self: Arc<Self>, request: Request<Full<Bytes>>) -> Answering;
}
