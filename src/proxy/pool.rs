//! The connections to one address that are there already.
//!
//! Those of HTTP/1.1 are kept while idle, last in, first out. A request that cannot be repeated gets
//! one that was used a moment ago, or a fresh one, because an upstream may close an idle connection at
//! any time. Those of HTTP/2 are shared, the oldest first, so that what is not needed falls idle.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::{ConnectError, Connection, Own, Shared, open};
use super::transport::Transport;
use crate::admission::Moment;
use crate::clock::Clock;
use crate::config::settings::Protocol;

/// Idle connections of HTTP/1.1 kept per address, at most.
const IDLE_MAX: usize = 1_024;
/// A request that cannot be repeated is not sent on a connection idle for longer.
const FRESH_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Idle {
    connection: Own,
    since: Moment,
}

/// What a request asks of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// How it must have been made.
    pub transport: &'a Arc<Transport>,
    /// It may be sent twice.
    pub repeatable: bool,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
}

impl Need<'_> {
    /// The longest that a connection may have rested.
    fn oldest(&self) -> Duration {
        if self.repeatable { self.keep_alive } else { FRESH_MAX.min(self.keep_alive / 2) }
    }
}

/// Connections of one address.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Arc<Shared>>>,
    /// One at a time opens a connection that others will share.
    opening: tokio::sync::Mutex<()>,
}

impl Pool {
    /// A connection that is there and good enough.
    #[must_use]
    pub fn take(&self, need: &Need<'_>, now: Moment) -> Option<Connection> {
        match need.transport.protocol {
            Protocol::Http1 => self.take_idle(need, now),
            Protocol::Http2 => {
                let mut shared = self.shared();
                shared.retain(|one| one.is_whole());
                shared.iter().find_map(|one| one.enter(need.transport, need.oldest(), now))
            }
        }
    }

    fn take_idle(&self, need: &Need<'_>, now: Moment) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(candidate) = idle.pop() {
            if now.since(candidate.since) > need.oldest() {
                if now.since(candidate.since) <= need.keep_alive {
                    idle.push(candidate);
                }
                return None;
            }
            if candidate.connection.is_ready(need.transport) {
                return Some(candidate.connection.again());
            }
        }
        None
    }

    /// Opens a connection to `address`, which stands as `entry` in the configuration. Where it is to be
    /// shared, those who come meanwhile wait for it and get a place.
    ///
    /// # Errors
    /// [`ConnectError`] with the cause in words.
    pub async fn open(
        &self,
        need: &Need<'_>,
        address: SocketAddr,
        entry: &str,
        clock: &Clock,
    ) -> Result<Connection, ConnectError> {
        if need.transport.protocol == Protocol::Http1 {
            return open(need.transport, address, entry, clock.now()).await;
        }
        let _turn = self.opening.lock().await;
        if let Some(there) = self.take(need, clock.now()) {
            return Ok(there);
        }
        let connection = open(need.transport, address, entry, clock.now()).await?;
        if let Connection::Place(place) = &connection {
            self.shared().push(Arc::clone(place.shared()));
        }
        Ok(connection)
    }

    /// Takes back a connection whose exchange is finished on both sides.
    pub fn put(&self, connection: Connection, now: Moment) {
        match connection {
            Connection::Own(connection) if connection.is_whole() => {
                let mut idle = self.idle();
                if idle.len() < IDLE_MAX {
                    idle.push(Idle { connection: *connection, since: now });
                }
            }
            Connection::Own(_) => {}
            Connection::Place(place) => place.ended(now),
        }
    }

    /// Closes what was idle for too long or was closed by the other side.
    pub fn sweep(&self, keep_alive: Duration, now: Moment) {
        self.idle().retain(|one| now.since(one.since) <= keep_alive && one.connection.is_whole());
        let rested = |one: &Shared| one.is_idle() && now.since(one.used()) > keep_alive;
        self.shared().retain(|one| one.is_whole() && !rested(one));
    }

    /// Connections kept: idle ones of HTTP/1.1, all of HTTP/2.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle().len() + self.shared().len()
    }

    /// None is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic elsewhere must not take the pool with it: it is whole at every unlock.
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
