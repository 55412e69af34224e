//! The gateway of a rehearsal: the request path that serves, built from the operator's configuration,
//! with the scenario's origin standing in for every upstream.
//!
//! A kill ends one life of it: connections break, what only lived in memory is gone. The next life
//! begins from the journal, as after a restart.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::network::{HOP, Way, both_ways, pass};
use crate::app::assemble::{AssembleError, Upstreams, Workshop, assemble};
use crate::app::bring_together;
use crate::app::pulse::Pulse;
use crate::clock::Clock;
use crate::config::Settings;
use crate::lab::chance::{Chance, mix};
use crate::lab::client::Reply;
use crate::lab::flag::Flag;
use crate::lab::origin::Origin;
use crate::lab::site::{Answering, Line, Opening, Site};
use crate::metrics::Metrics;
use crate::proxy::cluster::Cluster;
use crate::proxy::forward::Head;
use crate::proxy::stand_in::{self, Pending, StandIn};
use crate::proxy::{AccessLog, Peer, Proxy, Random, Witness};
use crate::store::journal::{Journal, JournalError};

/// Streams of randomness apart from the crowd's.
const SECRETS: u64 = 0x5EC2;
const WAYS: u64 = 0x3A75;
const UPSTREAM_WAY: u64 = 0x3A76;

/// The gateway across all its lives.
#[derive(Debug)]
pub(super) struct Gateway {
    settings: Settings,
    host: String,
    origin: Arc<Origin>,
    clock: Clock,
    journal: Arc<Journal>,
    random: Random,
    seed: u64,
    opened: AtomicU64,
    life: Mutex<Option<Arc<Life>>>,
}

/// From a start to a stop.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) proxy: Arc<Proxy>,
    upstream: Played,
    over: Arc<Flag>,
    pulse: AbortHandle,
    /// Its pulse lives as long as this.
    _stop: watch::Sender<bool>,
}

/// The gateway cannot be built.
#[derive(Debug)]
pub(super) enum BuildError {
    Journal(JournalError),
    Assemble(AssembleError),
    System(String),
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Assemble(error) => error.fmt(f),
            Self::System(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) => error.source(),
            Self::Assemble(error) => error.source(),
            Self::System(_) => None,
        }
    }
}

impl Gateway {
    /// A gateway that begins its first life now. Nobody has written to its journal before.
    pub(super) async fn start(
        settings: Settings,
        host: String,
        origin: Arc<Origin>,
        clock: Clock,
        seed: u64,
    ) -> Result<Arc<Self>, BuildError> {
        let journal = Arc::new(Journal::in_memory().map_err(BuildError::Journal)?);
        let chance = Mutex::new(Chance::new(mix(seed), SECRETS));
        let random = Random::new(move |bytes| fill(&chance, bytes));
        let (opened, life) = (AtomicU64::new(0), Mutex::new(None));
        let gateway = Arc::new(Self { settings, host, origin, clock, journal, random, seed, opened, life });
        gateway.revive().await?;
        Ok(gateway)
    }

    /// Begins the next life.
    pub(super) async fn revive(&self) -> Result<(), BuildError> {
        let mut fresh = [[0; 32]; 3];
        fresh.iter_mut().for_each(|secret| self.random.fill(secret));
        let secrets = self.journal.secrets(fresh).map_err(BuildError::Journal)?;
        let workshop = Workshop {
            journal: Arc::clone(&self.journal),
            hungry: Arc::default(),
            clock: self.clock,
            upstreams: Upstreams::Played,
            seed: mix(self.seed),
            random: Random::new(|bytes| bytes.fill(7)),
        };
        let live = assemble(&workshop, self.settings.clone(), None).await.map_err(BuildError::Assemble)?;
        let metrics = Metrics::new().map_err(|error| BuildError::System(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let log = AccessLog::start(false, Arc::clone(&metrics));
        let witness = Witness { log, metrics, clock: self.clock };
        let proxy = bring_together(live, &secrets, witness, self.random.clone(), None);
        for cluster in proxy.live.load().clusters.values() {
            let (origin, cluster) = (Arc::clone(&self.origin), Arc::downgrade(cluster));
            let is_up = move || origin.alive().is_up();
            tokio::spawn(Cluster::suppose_probes(cluster, is_up));
        }
        let (stop, stopped) = watch::channel(false);
        let mut pulse = Pulse::new(Arc::clone(&proxy), Arc::clone(&self.journal), workshop.hungry);
        pulse.beat().await;
        let pulse = tokio::spawn(pulse.run(stopped)).abort_handle();
        let over = Arc::<Flag>::default();
        let way = Mutex::new(Way::new(mix(self.seed) ^ UPSTREAM_WAY, self.opened.load(Relaxed), HOP));
        let upstream = Played { origin: Arc::clone(&self.origin), over: Arc::clone(&over), way };
        *self.life() = Some(Arc::new(Life { proxy, upstream, over, pulse, _stop: stop }));
        Ok(())
    }

    /// Ends the life at once, as `kill -9` does.
    pub(super) fn kill(&self) {
        let Some(life) = self.life().take() else { return };
        // The pulse would write its last marks on a stop; who is killed does not.
        life.pulse.abort();
        life.over.set(true);
    }

    /// What runs now; `None` between two lives.
    pub(super) fn alive(&self) -> Option<Arc<Life>> {
        self.life().as_ref().map(Arc::clone)
    }

    fn life(&self) -> MutexGuard<'_, Option<Arc<Life>>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fill(chance: &Mutex<Chance>, bytes: &mut [u8]) {
    let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
    for chunk in bytes.chunks_mut(8) {
        chunk.iter_mut().zip(chance.word().to_le_bytes()).for_each(|(to, from)| *to = from);
    }
}

impl Site for Gateway {
    fn open(self: Arc<Self>, source: Ipv4Addr) -> Opening {
        Box::pin(async move {
            let number = self.opened.fetch_add(1, Relaxed);
            let mut way = Way::new(mix(self.seed) ^ WAYS, number, HOP);
            pass(way.set_up()).await;
            let life = self.alive()?;
            // Ports are given in turn, as a kernel does.
            let port = 1_024 + u16::try_from(number % 60_000).unwrap_or(0);
            let peer = Peer::plain((source, port).into());
            Some(Arc::new(Connection { life, peer, way: Mutex::new(way) }) as Arc<dyn Line>)
        })
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn clock(&self) -> Clock {
        self.clock
    }
}

/// A connection of the crowd's side.
#[derive(Debug)]
struct Connection {
    life: Arc<Life>,
    peer: Peer,
    way: Mutex<Way>,
}

impl Line for Connection {
    fn ask(self: Arc<Self>, mut request: Request<Full<Bytes>>) -> Answering {
        // The engine of a live client says how long a body is.
        let length = hyper::body::Body::size_hint(request.body()).exact().unwrap_or(0);
        if length > 0 {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Box::pin(async move {
            let (there, back) = both_ways(&self.way);
            let life = &self.life;
            let answered = async {
                pass(there).await;
                let answer = stand_in::answer(&life.proxy, request, &self.peer, &life.upstream).await;
                let (head, body) = answer.into_parts();
                let body = body.collect().await.ok()?.to_bytes();
                pass(back).await;
                Some(Reply { status: head.status, headers: head.headers, body })
            };
            tokio::select! {
                biased;
                () = life.over.until(true) => None,
                reply = answered => reply,
            }
        })
    }
}

/// The origin in the place of every upstream; its connections break with the gateway.
#[derive(Debug)]
struct Played {
    origin: Arc<Origin>,
    over: Arc<Flag>,
    way: Mutex<Way>,
}

impl StandIn for Played {
    fn is_there(&self) -> bool {
        self.origin.alive().is_up()
    }

    fn ask(&self, head: Head) -> Pending {
        let (origin, over) = (Arc::clone(&self.origin), Arc::clone(&self.over));
        let (there, back) = both_ways(&self.way);
        Box::pin(async move {
            let answer = async {
                pass(there).await;
                let (head, body) = origin.answer(head.target.path(), &head.fields).await.into_parts();
                let body = body.take();
                pass(back).await;
                Response::from_parts(head, body)
            };
            tokio::select! {
                biased;
                () = over.until(true) => None,
                () = origin.alive().until(false) => None,
                answer = answer => Some(answer),
            }
        })
    }
}
