//! An upstream cluster: addresses, which of them take requests, and which one takes the next.
//!
//! The choice is the less busy of two drawn at random (Mitzenmacher's power of two choices), each
//! address within 1.5 times its weight's share of the limit. The last address is never taken out by
//! probes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::address::{Address, Visit};
use super::probe::probe;
use super::transport::Transport;
use super::tunnel::Tunnels;
use crate::admission::Moment;
use crate::clock::Clock;
use crate::config::settings::UpstreamSettings;
use crate::store::gate::Gate;

/// An address may hold this many times its share of the limit.
const SHARE_SLACK: f64 = 1.5;
/// Retries: a tenth of the requests, with a reserve of ten.
const RETRY_COST: i64 = 10;
const RETRY_RESERVE: i64 = 100;
/// How often a cluster that is down is probed, at least.
const PROBE_WHEN_DOWN: Duration = Duration::from_millis(500);
/// How often names are resolved.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// Several addresses behind one limit.
pub struct Cluster {
    /// Name in the configuration.
    pub name: String,
    /// What the operator decided.
    pub settings: UpstreamSettings,
    /// How its connections are made.
    pub transport: Arc<Transport>,
    /// Its limit and short queue; lives on through reloads.
    pub gate: Arc<Gate>,
    /// Its tunnels and event streams, which the gate does not count; lives on, too.
    pub tunnels: Arc<Tunnels>,
    addresses: ArcSwap<Vec<Arc<Address>>>,
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
        transport: Arc<Transport>,
        gate: Arc<Gate>,
        predecessor: Option<&Self>,
    ) -> Arc<Self> {
        let known = predecessor.map(|old| old.addresses.load_full()).unwrap_or_default();
        Arc::new(Self {
            name: name.to_owned(),
            settings,
            transport,
            gate,
            tunnels: predecessor.map_or_else(Arc::default, |old| Arc::clone(&old.tunnels)),
            addresses: ArcSwap::new(known),
            retries: AtomicI64::new(RETRY_RESERVE),
            dice: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            retired: AtomicBool::new(false),
        })
    }

    /// Resolves the names and takes up what is new; what is known keeps its connections and counts. Of a
    /// name that cannot be resolved the known addresses stay.
    pub async fn discover(&self) {
        let known = self.addresses.load_full();
        let mut found: Vec<Arc<Address>> = Vec::new();
        for entry in &self.settings.addresses {
            let resolved: Vec<SocketAddr> = match tokio::net::lookup_host(&entry.address).await {
                Ok(resolved) => resolved.collect(),
                Err(error) => {
                    tracing::warn!(upstream = self.name, name = entry.address, %error, "a name could not be resolved; its known addresses stay");
                    let known = known.iter().filter(|one| one.entry == entry.address);
                    known.map(|one| one.address).collect()
                }
            };
            for address in resolved {
                if found.iter().any(|one| one.address == address) {
                    continue;
                }
                let old = known.iter().find(|known| known.address == address && known.entry == entry.address);
                let one = old.map_or_else(|| Arc::new(Address::new(address, entry)), Arc::clone);
                one.govern(entry);
                found.push(one);
            }
        }
        if !found.is_empty() {
            self.addresses.store(Arc::new(found));
        }
    }

    /// Supposes an address for each entry, where nobody will connect: documentation's (RFC 5737).
    pub fn suppose(&self) {
        let entries = self.settings.addresses.iter().zip((1..=254).cycle());
        let one = |(entry, last)| Arc::new(Address::new(([192, 0, 2, last], 80).into(), entry));
        self.addresses.store(Arc::new(entries.map(one).collect()));
    }

    /// Another configuration is in force: what this one decided of the shared addresses is over.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Probes all addresses once, side by side.
    pub async fn probe(self: &Arc<Self>) {
        let mut probes = tokio::task::JoinSet::new();
        for address in self.addresses.load().iter() {
            let (cluster, address) = (Arc::clone(self), Arc::clone(address));
            probes.spawn(async move { cluster.probe_one(&address).await });
        }
        while probes.join_next().await.is_some() {}
    }

    /// A probe that asks for something holds a permit while it runs, so that promise 1 counts it. Where
    /// the limit is used up the upstream is alive enough to be busy, and the probe is left out: no news.
    async fn probe_one(&self, address: &Address) {
        let rules = &self.settings.health;
        let permit = match rules.path {
            Some(_) => {
                let Some(permit) = self.gate.try_permit() else { return };
                Some(permit)
            }
            None => None,
        };
        let result = probe(address.address, &address.entry, &self.transport, rules).await;
        // Dropped with its default outcome: a probe is no sample of what requests cost.
        drop(permit);
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        if let Some(up) = address.probed(result.is_ok(), rules) {
            let state = if up { "up" } else { "down" };
            let why = result.err().unwrap_or_default();
            tracing::warn!(upstream = self.name, address = %address.address, state, why, "an address changed its state");
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
            fit.len() == 1 || f64::from(one.in_flight()) < (SHARE_SLACK * share * f64::from(limit)).max(1.0)
        };
        let draw = || fit.get(usize::try_from(self.roll()).unwrap_or(0) % fit.len().max(1)).copied();
        let (first, second) = (draw()?, draw()?);
        let mut best = if first.load() <= second.load() { first } else { second };
        if !roomy(best) {
            best = fit.iter().copied().min_by(|a, b| a.load().total_cmp(&b.load()))?;
        }
        Some(Visit::begin(best))
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
        all.iter().map(|one| (one.address, one.is_fit(now), one.in_flight())).collect()
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
    pub(super) fn roll(&self) -> u64 {
        let mut z = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 1
    }
}
