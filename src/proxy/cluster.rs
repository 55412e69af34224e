//! An upstream cluster: addresses, which of them take requests, and which one takes the next.
//!
//! The choice is the less busy of two drawn at random (Mitzenmacher's power of two choices), each
//! address within 1.5 times its weight's share of the limit. The last address is never taken out by
//! probes.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::address::{Address, Unreachable, Visit};
use super::connection::{ConnectError, Connection};
use super::pool::Need;
use super::probe::probe;
use super::transport::Transport;
use super::tunnel::Tunnels;
use crate::clock::Clock;
use crate::config::settings::{HealthSettings, UpstreamSettings};
use crate::store::gate::Gate;

/// An address may hold this many times its share of the limit.
const SHARE_SLACK: f64 = 1.5;
/// Retries: a tenth of the requests, with a reserve of ten.
const RETRY_COST: i64 = 10;
const RETRY_RESERVE: i64 = 100;
/// How often an address that cannot be reached, or a cluster that is down, is probed, at least.
const PROBE_WHEN_DOWN: Duration = Duration::from_millis(500);
/// Two rounds of probes are at least so far apart, whatever alarms there are.
const PROBE_GAP: Duration = Duration::from_millis(50);
/// Longest time in which a probe must reach an address that is in doubt.
const DOUBT_TIMEOUT: Duration = Duration::from_millis(500);
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
    /// An address is in doubt: time for a probe.
    alarm: Arc<Notify>,
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
            alarm: Arc::default(),
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
        if address.is_in_doubt() && !self.reaches(address, rules).await {
            return;
        }
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
        if !self.retired.load(Ordering::Relaxed) {
            self.hear(address, result, rules);
        }
    }

    /// Whether a connection to an address in doubt opens. That tells whether it is there at all, takes no
    /// permit, and none could be had where all are held by requests that the dead will never answer.
    async fn reaches(&self, address: &Address, rules: &HealthSettings) -> bool {
        let timeout = rules.timeout.min(address.slow().unwrap_or(DOUBT_TIMEOUT).max(DOUBT_TIMEOUT));
        let quick = HealthSettings { path: None, timeout, ..rules.clone() };
        let result = probe(address.address, &address.entry, &self.transport, &quick).await;
        if self.retired.load(Ordering::Relaxed) {
            return false;
        }
        let reached = result.is_ok();
        if reached {
            self.open_gently(|| address.reached());
        } else {
            self.unreachable(address, true, result.as_ref().err().map_or("", String::as_str));
            self.hear(address, result, rules);
        }
        reached
    }

    /// Takes in what a probe found.
    fn hear(&self, address: &Address, result: Result<(), String>, rules: &HealthSettings) {
        let well = result.is_ok();
        let change =
            if well { self.open_gently(|| address.probed(well, rules)) } else { address.probed(well, rules) };
        if let Some(up) = change {
            let state = if up { "up" } else { "down" };
            let why = result.err().unwrap_or_default();
            tracing::warn!(upstream = self.name, address = %address.address, state, why, "an address changed its state");
        }
    }

    /// Where `good_news` end an outage, all who waited for that would come at once: the gate opens step by
    /// step.
    fn open_gently<T>(&self, good_news: impl FnOnce() -> T) -> T {
        let down = self.is_down();
        if down {
            self.gate.open_gently();
        }
        let news = good_news();
        if down && self.is_down() {
            // Not the end of it.
            return news;
        }
        if down {
            tracing::info!(upstream = self.name, "requests are let through again, few at first");
        }
        news
    }

    /// No connection to an address could be opened.
    pub(super) fn unreachable(&self, address: &Address, by_probe: bool, error: &str) {
        let (name, at) = (&self.name, address.address);
        match address.unreachable(by_probe) {
            Unreachable::Out => {
                tracing::warn!(upstream = name, address = %at, error, "no connection; the address is out until a probe reaches it");
            }
            Unreachable::First => self.alarm.notify_one(),
            Unreachable::Again => tracing::debug!(upstream = name, address = %at, error, "no connection"),
        }
    }

    /// Opens a connection to an address. One that takes unusually long raises doubts long before it is
    /// given up, so that the dead are known for what they are within a second.
    ///
    /// # Errors
    /// [`ConnectError`]; it has been counted.
    pub(super) async fn connect(
        &self,
        address: &Address,
        need: &Need<'_>,
        timeout: Duration,
        clock: &Clock,
    ) -> Result<Connection, ConnectError> {
        let mut connecting = pin!(address.connect(need, timeout, clock));
        let result = match address.slow() {
            None => connecting.await,
            Some(slow) => match tokio::time::timeout(slow, &mut connecting).await {
                Ok(result) => result,
                Err(_) => {
                    if address.doubt() {
                        self.alarm.notify_one();
                    }
                    connecting.await
                }
            },
        };
        if let Err(error) = &result {
            self.unreachable(address, false, &error.0);
        }
        result
    }

    /// Looks after a cluster until nobody uses it any more: names, probes, idle connections.
    pub async fn look_after(cluster: Weak<Self>, clock: Clock) {
        let mut resolved = clock.now();
        let mut resolving: Option<JoinHandle<()>> = None;
        while let Some(cluster) = cluster.upgrade().filter(|one| !one.retired.load(Ordering::Relaxed)) {
            let now = clock.now();
            // In a task of its own: a name server that is slow must not keep the probes back.
            let free = resolving.as_ref().is_none_or(JoinHandle::is_finished);
            if now.since(resolved) >= RESOLVE_EVERY && free {
                resolved = now;
                let cluster = Arc::clone(&cluster);
                resolving = Some(tokio::spawn(async move { cluster.discover().await }));
            }
            cluster.probe().await;
            for address in cluster.addresses.load().iter() {
                address.pool.sweep(cluster.settings.keep_alive, now);
            }
            Self::rest(cluster).await;
        }
    }

    /// Until the next round of probes. What is down is looked at more often, so that service resumes
    /// within a second; doubts that arise begin the next round at once.
    async fn rest(cluster: Arc<Self>) {
        let doubts = cluster.addresses.load().iter().any(|one| one.is_in_doubt());
        let (down, alarm) = (doubts || cluster.is_down(), Arc::clone(&cluster.alarm));
        let interval = cluster.settings.health.interval;
        drop(cluster);
        tokio::time::sleep(PROBE_GAP).await;
        let pause = if down { interval.min(PROBE_WHEN_DOWN) } else { interval };
        let _ = tokio::time::timeout(pause.saturating_sub(PROBE_GAP), alarm.notified()).await;
    }

    /// Looks after a cluster of supposed addresses: the probes find what `is_up` says, by the rules and
    /// at the times of real ones.
    pub async fn suppose_probes(cluster: Weak<Self>, is_up: impl Fn() -> bool + Send) {
        const REFUSED: &str = "connection refused";
        while let Some(cluster) = cluster.upgrade().filter(|one| !one.retired.load(Ordering::Relaxed)) {
            let up = is_up();
            for address in cluster.addresses.load().iter() {
                if address.is_in_doubt() && up {
                    cluster.open_gently(|| address.reached());
                } else if address.is_in_doubt() {
                    cluster.unreachable(address, true, REFUSED);
                }
                let found = if up { Ok(()) } else { Err(REFUSED.to_owned()) };
                cluster.hear(address, found, &cluster.settings.health);
            }
            Self::rest(cluster).await;
        }
    }

    /// The address for the next request: of two drawn at random the one with less in flight for its
    /// weight; not `avoid`, which was just tried, if there is another. `None` if each is drained by the
    /// operator or cannot be reached.
    #[must_use]
    pub fn choose(&self, limit: u32, avoid: Option<SocketAddr>) -> Option<Visit> {
        let all = self.addresses.load();
        let usable = |strict: bool| {
            let fits = move |one: &Address| if strict { one.is_fit() } else { one.is_reachable() };
            let fit = all.iter().filter(move |one| !one.is_drained() && fits(one));
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
    pub fn is_down(&self) -> bool {
        self.addresses.load().iter().all(|one| one.is_drained() || !one.is_fit())
    }

    /// Addresses with their state, for metrics: (address, fit, in flight).
    #[must_use]
    pub fn addresses(&self) -> Vec<(SocketAddr, bool, u32)> {
        let all = self.addresses.load();
        all.iter().map(|one| (one.address, one.is_fit(), one.in_flight())).collect()
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
