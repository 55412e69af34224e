//! One resolved address of a cluster: whether it takes requests, and how much it has in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::connection::{ConnectError, Connection};
use super::pool::{Need, Pool};
use crate::admission::Moment;
use crate::clock::Clock;
use crate::config::settings::{AddressSettings, HealthSettings};

/// An address that could not be reached this many times in a row is avoided for a while.
const FAILURES_SUSPECT: u32 = 3;
/// For how long.
const SUSPECT_FOR: Duration = Duration::from_secs(1);

/// One resolved address of a cluster.
#[derive(Debug)]
pub struct Address {
    /// Where it is.
    pub address: SocketAddr,
    /// Connections to it.
    pub pool: Pool,
    /// The entry of the configuration that it was resolved from.
    pub entry: String,
    weight: AtomicU32,
    drain: AtomicBool,
    in_flight: AtomicU32,
    healthy: AtomicBool,
    /// Probes in a row whose result differs from `healthy`.
    dissent: AtomicU32,
    failures: AtomicU32,
    suspect_until: AtomicU64,
}

/// A request under way at an address; counts until dropped.
#[derive(Debug)]
pub struct Visit {
    /// The address.
    pub address: Arc<Address>,
    left: bool,
}

impl Visit {
    /// Counts a request in.
    #[must_use]
    pub fn begin(address: &Arc<Address>) -> Self {
        address.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { address: Arc::clone(address), left: false }
    }

    /// Counts no longer, although something goes on: a tunnel or an event stream.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.address.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Address {
    /// An address that is thought well of until something is known.
    #[must_use]
    pub fn new(address: SocketAddr, entry: &AddressSettings) -> Self {
        Self {
            address,
            pool: Pool::default(),
            entry: entry.address.clone(),
            weight: AtomicU32::new(entry.weight.max(1)),
            drain: AtomicBool::new(entry.drain),
            in_flight: AtomicU32::new(0),
            healthy: AtomicBool::new(true),
            dissent: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            suspect_until: AtomicU64::new(0),
        }
    }

    /// Opens a connection, or gets a place on one that is being opened, within `timeout`.
    ///
    /// # Errors
    /// [`ConnectError`] with the cause in words.
    pub async fn connect(
        &self,
        need: &Need<'_>,
        timeout: Duration,
        clock: &Clock,
    ) -> Result<Connection, ConnectError> {
        let opening = self.pool.open(need, self.address, &self.entry, clock);
        match tokio::time::timeout(timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectError("no connection in time".to_owned())),
        }
    }

    /// Today's weight and drain.
    pub fn govern(&self, entry: &AddressSettings) {
        self.weight.store(entry.weight.max(1), Ordering::Relaxed);
        self.drain.store(entry.drain, Ordering::Relaxed);
    }

    /// Its share of the load, relative to the others; at least 1.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// The operator sends it nothing new.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    /// Neither probes nor connections speak against it.
    #[must_use]
    pub fn is_fit(&self, now: Moment) -> bool {
        self.healthy.load(Ordering::Relaxed) && self.suspect_until.load(Ordering::Relaxed) <= now.0
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests under way for its weight.
    #[must_use]
    pub fn load(&self) -> f64 {
        f64::from(self.in_flight()) / f64::from(self.weight())
    }

    /// A connection was opened or an answer came.
    pub fn reached(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.suspect_until.store(0, Ordering::Relaxed);
        }
    }

    /// No connection could be opened. Slowness does not count: overload is not death. True if the
    /// address is avoided from now on.
    pub fn unreachable(&self, now: Moment) -> bool {
        let suspect = self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_SUSPECT;
        if suspect {
            self.suspect_until.store(now.after(SUSPECT_FOR).0, Ordering::Relaxed);
        }
        suspect
    }

    /// Takes a probe's result; returns the new state if it changed. One odd result changes nothing:
    /// it takes as many in a row as `rules` say. Called by one task at a time.
    pub fn probed(&self, well: bool, rules: &HealthSettings) -> Option<bool> {
        if well {
            self.reached();
        }
        if well == self.healthy.load(Ordering::Relaxed) {
            self.dissent.store(0, Ordering::Relaxed);
            return None;
        }
        let needed = if well { rules.healthy } else { rules.unhealthy };
        let dissent = self.dissent.fetch_add(1, Ordering::Relaxed) + 1;
        if usize::try_from(dissent).unwrap_or(usize::MAX) < needed {
            return None;
        }
        self.dissent.store(0, Ordering::Relaxed);
        self.healthy.store(well, Ordering::Relaxed);
        Some(well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_as_many_probes_in_a_row_as_the_rules_say() {
        let entry = AddressSettings { address: "127.0.0.1:1".into(), weight: 1, drain: false };
        let address = Address::new(([127, 0, 0, 1], 1).into(), &entry);
        let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(1));
        let rules = HealthSettings { path: None, interval, timeout, unhealthy: 3, healthy: 2 };
        let probed: Vec<_> = [false, false, true, false, false, false, true, false, true, true]
            .map(|well| address.probed(well, &rules))
            .into();
        assert_eq!(probed.iter().position(|change| *change == Some(false)), Some(5));
        assert_eq!(probed.iter().position(|change| *change == Some(true)), Some(9));
        assert_eq!(probed.iter().flatten().count(), 2);
    }
}
