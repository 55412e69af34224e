//! One resolved address of a cluster: whether it takes requests, and how much it has in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::connection::{ConnectError, Connection};
use super::pool::{Need, Pool};
use crate::admission::moment::nanos;
use crate::clock::Clock;
use crate::config::settings::{AddressSettings, HealthSettings};

/// An address that could not be reached this many times in a row is out until a probe reaches it.
const FAILURES_OUT: u32 = 3;
/// The same if the last of them was a probe's.
const FAILURES_OUT_PROBED: u32 = 2;
/// A connection that takes this long, and this many times as long as the last one did, raises doubts.
const SLOW: Duration = Duration::from_millis(250);
const SLOW_TIMES: u32 = 3;

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
    /// In a row, in reaching it.
    failures: AtomicU32,
    /// It cannot be reached.
    out: AtomicBool,
    /// How long the last connection took to open, in ns; 0 if there was none yet.
    opened_in: AtomicU64,
}

/// What it means that no connection could be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The first failure: worth a probe.
    First,
    /// One more.
    Again,
    /// The address takes no requests from now on, until a probe reaches it.
    Out,
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
            out: AtomicBool::new(false),
            opened_in: AtomicU64::new(0),
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
        let begun = clock.now();
        let opening = self.pool.open(need, self.address, &self.entry, clock);
        match tokio::time::timeout(timeout, opening).await {
            Ok(opened) => {
                if opened.is_ok() {
                    self.opened_in.store(nanos(clock.now().since(begun)).max(1), Ordering::Relaxed);
                }
                opened
            }
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
    pub fn is_fit(&self) -> bool {
        self.healthy.load(Ordering::Relaxed) && self.is_reachable()
    }

    /// Connections to it open, as far as is known.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        !self.out.load(Ordering::Relaxed)
    }

    /// Somebody failed to reach it, and nobody has since.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.failures.load(Ordering::Relaxed) != 0
    }

    /// After how long a connection that does not open raises doubts; `None` while it is not known how long
    /// one takes.
    #[must_use]
    pub fn slow(&self) -> Option<Duration> {
        let usual = Duration::from_nanos(self.opened_in.load(Ordering::Relaxed));
        (!usual.is_zero()).then(|| (usual * SLOW_TIMES).max(SLOW))
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
        if self.is_in_doubt() {
            self.failures.store(0, Ordering::Relaxed);
            self.out.store(false, Ordering::Relaxed);
        }
    }

    /// A connection does not open; nothing is known yet. True if this is the first doubt.
    pub fn doubt(&self) -> bool {
        self.failures.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// No connection could be opened, by a request or by a probe. Slowness of answers does not count:
    /// overload is not death.
    pub fn unreachable(&self, by_probe: bool) -> Unreachable {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let enough = if by_probe { FAILURES_OUT_PROBED } else { FAILURES_OUT };
        if failures >= enough && !self.out.swap(true, Ordering::Relaxed) {
            Unreachable::Out
        } else if failures == 1 {
            Unreachable::First
        } else {
            Unreachable::Again
        }
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

    fn address() -> Address {
        let entry = AddressSettings { address: "127.0.0.1:1".into(), weight: 1, drain: false };
        Address::new(([127, 0, 0, 1], 1).into(), &entry)
    }

    #[test]
    fn three_failures_or_one_that_a_probe_confirms_take_it_out_until_it_is_reached() {
        let address = address();
        assert_eq!([(); 4].map(|()| address.unreachable(false)), {
            use Unreachable::{Again, First, Out};
            [First, Again, Out, Again]
        });
        assert!(!address.is_fit());
        address.reached();
        assert!(address.is_fit() && !address.is_in_doubt());
        assert!(address.doubt() && !address.doubt(), "the first doubt is worth a probe");
        assert!(address.is_fit(), "a doubt is not enough");
        assert_eq!(address.unreachable(true), Unreachable::Out);
        assert!(!address.is_fit());
    }

    #[test]
    fn it_takes_as_many_probes_in_a_row_as_the_rules_say() {
        let address = address();
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
