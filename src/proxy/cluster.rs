//! An upstream cluster: addresses, which of them take requests, and which one takes the next.
//!
//! Discovery and probes are pingora's; the choice is ours: the less busy of two drawn at random
//! (Mitzenmacher's power of two choices), each address within 1.5 times its weight's share of the
//! limit. The last address is never taken out by probes.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora_load_balancing::discovery::ServiceDiscovery;
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck, TcpHealthCheck};
use pingora_load_balancing::{Backend, Backends};

use super::connection::Pool;
use crate::admission::Moment;
use crate::clock::Clock;
use crate::config::settings::{AddressSettings, HealthSettings, UpstreamSettings};
use crate::store::gate::Gate;

/// An address that could not be reached this many times in a row is avoided for a while.
const FAILURES_SUSPECT: u32 = 3;
/// For how long.
const SUSPECT_FOR: Duration = Duration::from_secs(1);
/// An address may hold this many times its share of the limit.
const SHARE_SLACK: f64 = 1.5;
/// Retries: a tenth of the requests, with a reserve of ten.
const RETRY_COST: i64 = 10;
const RETRY_RESERVE: i64 = 100;
/// How often a cluster that is down is probed, at least.
const PROBE_WHEN_DOWN: Duration = Duration::from_millis(500);
/// How often names are resolved.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// One resolved address of a cluster.
#[derive(Debug)]
pub struct Address {
    /// Where it is.
    pub address: SocketAddr,
    /// Idle connections to it.
    pub pool: Pool,
    weight: AtomicU32,
    drain: AtomicBool,
    in_flight: AtomicU32,
    healthy: AtomicBool,
    failures: AtomicU32,
    suspect_until: AtomicU64,
}

/// A request under way at an address; counts until dropped.
#[derive(Debug)]
pub struct Visit {
    /// The address.
    pub address: Arc<Address>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.address.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Several addresses behind one limit.
pub struct Cluster {
    /// Name in the configuration.
    pub name: String,
    /// What the operator decided.
    pub settings: UpstreamSettings,
    /// Its limit and short queue; lives on through reloads.
    pub gate: Arc<Gate>,
    addresses: ArcSwap<Vec<Arc<Address>>>,
    backends: Backends,
    retries: AtomicI64,
    dice: AtomicU64,
    /// A successor under newer rules looks after the addresses now.
    retired: AtomicBool,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster that learns its addresses by [`Cluster::discover`]. Of its `predecessor` under older
    /// rules it takes over addresses with their connections and counts, and the gate.
    #[must_use]
    pub fn new(
        name: &str,
        settings: UpstreamSettings,
        gate: Arc<Gate>,
        predecessor: Option<&Self>,
    ) -> Arc<Self> {
        let known = predecessor.map(|old| old.addresses.load_full()).unwrap_or_default();
        let mut backends = Backends::new(Box::new(Names { addresses: settings.addresses.clone() }));
        backends.set_health_check(Box::new(CountedCheck::new(&settings.health, Arc::clone(&gate))));
        Arc::new(Self {
            name: name.to_owned(),
            settings,
            gate,
            addresses: ArcSwap::new(known),
            backends,
            retries: AtomicI64::new(RETRY_RESERVE),
            dice: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            retired: AtomicBool::new(false),
        })
    }

    /// Resolves the names and takes up what is new; what is known keeps its connections and counts.
    pub async fn discover(&self) {
        if let Err(error) = self.backends.update(|_| ()).await {
            tracing::warn!(upstream = self.name, %error, "names could not be resolved; the known addresses stay");
        }
        let known = self.addresses.load_full();
        let found: Vec<Arc<Address>> = self
            .backends
            .get_backend()
            .iter()
            .filter_map(|backend| {
                let address = *backend.addr.as_inet()?;
                let old = known.iter().find(|known| known.address == address);
                let one = old.map_or_else(|| Arc::new(Address::new(address)), Arc::clone);
                self.govern(&one, backend);
                Some(one)
            })
            .collect();
        if !found.is_empty() {
            self.addresses.store(Arc::new(found));
        }
    }

    /// Today's weight and drain of an address. Names that resolve to several addresses share one
    /// entry's rules; the weight tells which.
    fn govern(&self, address: &Address, backend: &Backend) {
        let same_weight = |entry: &&AddressSettings| entry.weight as usize == backend.weight;
        let mut entries = self.settings.addresses.iter().filter(same_weight);
        let exact = entries.clone().find(|entry| entry.address.parse() == Ok(address.address));
        let named = entries.find(|entry| entry.address.parse::<SocketAddr>().is_err());
        let entry = exact.or(named);
        address.drain.store(entry.is_some_and(|entry| entry.drain), Ordering::Relaxed);
        let weight = u32::try_from(backend.weight).unwrap_or(1).max(1);
        address.weight.store(weight, Ordering::Relaxed);
    }

    /// Another configuration is in force: what this one decided of the shared addresses is over.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Probes all addresses once.
    pub async fn probe(&self) {
        self.backends.run_health_check(true).await;
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        let backends = self.backends.get_backend();
        for address in self.addresses.load().iter() {
            let backend = backends.iter().find(|one| one.addr.as_inet() == Some(&address.address));
            if let Some(backend) = backend {
                let ready = self.backends.ready(backend);
                if address.healthy.swap(ready, Ordering::Relaxed) != ready {
                    let state = if ready { "up" } else { "down" };
                    tracing::warn!(upstream = self.name, address = %address.address, state, "an address changed its state");
                }
                if ready {
                    address.reached();
                }
            }
        }
    }

    /// Looks after a cluster until nobody uses it any more: names, probes, idle connections.
    pub async fn look_after(cluster: Weak<Self>, clock: Clock) {
        let mut resolved = clock.now();
        while let Some(cluster) = cluster.upgrade().filter(|one| !one.retired.load(Ordering::Relaxed)) {
            let now = clock.now();
            if now.since(resolved) >= RESOLVE_EVERY {
                resolved = now;
                cluster.discover().await;
            }
            cluster.probe().await;
            for address in cluster.addresses.load().iter() {
                address.pool.sweep(cluster.settings.keep_alive, now);
            }
            // A cluster that is down is looked at more often, so that service resumes within a second.
            let down = cluster.is_down(clock.now());
            let interval = cluster.settings.health.interval;
            drop(cluster);
            tokio::time::sleep(if down { interval.min(PROBE_WHEN_DOWN) } else { interval }).await;
        }
    }

    /// The address for the next request: of two drawn at random the one with less in flight for its
    /// weight; not `avoid`, which was just tried, if there is another. `None` if the operator drained
    /// them all.
    #[must_use]
    pub fn choose(&self, limit: u32, avoid: Option<SocketAddr>, now: Moment) -> Option<Visit> {
        let all = self.addresses.load();
        let usable = |strict: bool| {
            let fit = all.iter().filter(move |one| !one.is_drained() && (!strict || one.is_fit(now)));
            fit.collect::<Vec<_>>()
        };
        let mut fit = usable(true);
        if fit.is_empty() {
            fit = usable(false);
        }
        if fit.len() > 1 {
            fit.retain(|one| Some(one.address) != avoid);
        }
        let weights: u32 = fit.iter().map(|one| one.weight()).sum();
        let roomy = |one: &Address| {
            let share = f64::from(one.weight()) / f64::from(weights.max(1));
            fit.len() == 1
                || f64::from(one.in_flight.load(Ordering::Relaxed))
                    < (SHARE_SLACK * share * f64::from(limit)).max(1.0)
        };
        let draw = || fit.get(usize::try_from(self.roll()).unwrap_or(0) % fit.len().max(1)).copied();
        let (first, second) = (draw()?, draw()?);
        let mut best = if first.load() <= second.load() { first } else { second };
        if !roomy(best) {
            best = fit.iter().copied().min_by(|a, b| a.load().total_cmp(&b.load()))?;
        }
        best.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Visit { address: Arc::clone(best) })
    }

    /// No address takes requests: probes or connections fail everywhere.
    #[must_use]
    pub fn is_down(&self, now: Moment) -> bool {
        self.addresses.load().iter().all(|one| one.is_drained() || !one.is_fit(now))
    }

    /// Addresses with their state, for metrics: (address, fit, in flight).
    #[must_use]
    pub fn addresses(&self, now: Moment) -> Vec<(SocketAddr, bool, u32)> {
        let all = self.addresses.load();
        all.iter().map(|one| (one.address, one.is_fit(now), one.in_flight.load(Ordering::Relaxed))).collect()
    }

    /// A request was forwarded: earns a tenth of a retry.
    pub fn earn_retry(&self) {
        if self.retries.load(Ordering::Relaxed) < RETRY_RESERVE {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the budget bears a retry now; takes it if so.
    #[must_use]
    pub fn spend_retry(&self) -> bool {
        let spent = self.retries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left >= RETRY_COST).then_some(left - RETRY_COST)
        });
        spent.is_ok()
    }

    /// Weak randomness is enough to spread load (splitmix64).
    fn roll(&self) -> u64 {
        let mut z = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 1
    }
}

impl Address {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            pool: Pool::default(),
            weight: AtomicU32::new(1),
            drain: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            healthy: AtomicBool::new(true),
            failures: AtomicU32::new(0),
            suspect_until: AtomicU64::new(0),
        }
    }

    fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    fn is_drained(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    fn is_fit(&self, now: Moment) -> bool {
        self.healthy.load(Ordering::Relaxed) && self.suspect_until.load(Ordering::Relaxed) <= now.0
    }

    fn load(&self) -> f64 {
        f64::from(self.in_flight.load(Ordering::Relaxed)) / f64::from(self.weight())
    }

    /// A connection was opened or an answer came.
    pub fn reached(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.suspect_until.store(0, Ordering::Relaxed);
        }
    }

    /// No connection could be opened. Slowness does not count: overload is not death.
    pub fn unreachable(&self, now: Moment) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_SUSPECT {
            self.suspect_until.store(now.after(SUSPECT_FOR).0, Ordering::Relaxed);
        }
    }
}

/// Names and addresses as configured, resolved when asked.
struct Names {
    addresses: Vec<AddressSettings>,
}

#[async_trait]
impl ServiceDiscovery for Names {
    async fn discover(&self) -> pingora_core::Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut found = BTreeSet::new();
        let mut failed = None;
        for entry in &self.addresses {
            match tokio::net::lookup_host(&entry.address).await {
                Ok(resolved) => {
                    for address in resolved {
                        let backend = Backend::new_with_weight(&address.to_string(), entry.weight as usize)?;
                        found.insert(backend);
                    }
                }
                Err(error) => failed = Some((entry.address.clone(), error)),
            }
        }
        match failed {
            Some((name, error)) if found.is_empty() => Err(pingora_core::Error::because(
                pingora_core::ErrorType::ConnectError,
                format!("{name} cannot be resolved"),
                error,
            )),
            _ => Ok((found, HashMap::new())),
        }
    }
}

/// A probe that holds a permit while it runs, so that promise 1 counts it. Where the limit is used up
/// the upstream is alive enough to be busy, and the probe is left out: no news.
struct CountedCheck {
    inner: Box<dyn HealthCheck + Send + Sync>,
    gate: Arc<Gate>,
    sends: bool,
    timeout: Duration,
}

impl CountedCheck {
    fn new(health: &HealthSettings, gate: Arc<Gate>) -> Self {
        let inner: Box<dyn HealthCheck + Send + Sync> = match &health.path {
            Some(path) => {
                let mut check = HttpHealthCheck::new("tornello-probe", false);
                check.peer_template.options.connection_timeout = Some(health.timeout);
                check.peer_template.options.read_timeout = Some(health.timeout);
                check.consecutive_success = health.healthy;
                check.consecutive_failure = health.unhealthy;
                if let Ok(uri) = path.parse() {
                    check.req.set_uri(uri);
                }
                Box::new(check)
            }
            None => {
                let mut check = TcpHealthCheck::default();
                check.peer_template.options.connection_timeout = Some(health.timeout);
                check.consecutive_success = health.healthy;
                check.consecutive_failure = health.unhealthy;
                Box::new(check)
            }
        };
        Self { inner, gate, sends: health.path.is_some(), timeout: health.timeout }
    }
}

#[async_trait]
impl HealthCheck for CountedCheck {
    async fn check(&self, target: &Backend) -> pingora_core::Result<()> {
        let permit = if self.sends {
            let Some(permit) = self.gate.try_permit() else { return Ok(()) };
            Some(permit)
        } else {
            None
        };
        // Dropped with its default outcome: a probe is no sample of what requests cost.
        let checked = tokio::time::timeout(self.timeout, self.inner.check(target)).await;
        drop(permit);
        checked.unwrap_or_else(|_| {
            pingora_core::Error::e_explain(pingora_core::ErrorType::ConnectTimedout, "no answer in time")
        })
    }

    fn health_threshold(&self, success: bool) -> usize {
        self.inner.health_threshold(success)
    }
}
