//! The data plane: from a request to an answer. The only folder that knows the HTTP engines.

pub mod access_log;
pub mod address;
pub mod asked;
pub mod board;
pub mod body;
pub mod bypass;
pub mod caching;
pub mod chain;
pub mod cluster;
pub mod connection;
pub mod desk;
pub mod exchange;
pub mod forward;
pub mod grpc;
pub mod handle;
pub mod headers;
pub mod identify;
pub mod invitation;
pub mod isolate;
pub mod jwt;
pub mod lane;
pub mod letters;
pub mod live;
pub mod pass_proof;
pub mod path;
pub mod peer;
mod person;
pub mod pool;
pub mod probe;
pub mod random;
pub mod readings;
pub mod record;
pub mod refuse;
pub mod session;
pub mod stand_in;
pub mod trace;
pub mod transport;
pub mod tunnel;
pub mod upload;
pub mod webhook;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

pub use access_log::AccessLog;
pub use body::Answer;
pub use identify::EventKey;
pub use isolate::{Onlooker, Step, handle};
pub use path::normalise;
pub use peer::Peer;
pub use random::Random;
pub use record::Witness;

use crate::admission::UnixTime;
use crate::admission::ticket::KeyRing;
use crate::clock::Clock;
use crate::store::buckets::Buckets;
use board::BoardKey;
use live::Live;

/// Everything that the request path shares.
#[derive(Debug)]
pub struct Proxy {
    /// The configuration in force; loaded once a request.
    pub live: ArcSwap<Live>,
    /// Everybody's buckets.
    pub buckets: Buckets,
    /// Keys of tickets and passes.
    pub ring: KeyRing,
    /// Key of identities.
    pub event: EventKey,
    /// Key of boards.
    pub board_key: BoardKey,
    /// Log and metrics.
    pub witness: Witness,
    /// Reads the time.
    pub clock: Clock,
    /// Where tickets, passes and references get their bytes.
    random: Random,
    /// Looks on at each step; the binary has none.
    onlooker: Option<Onlooker>,
    /// When this process began.
    pub(crate) started: UnixTime,
    ids: AtomicU64,
}

impl Proxy {
    /// Brings the shared parts together.
    #[must_use]
    pub fn new(
        live: Live,
        ring: KeyRing,
        event: EventKey,
        board_key: BoardKey,
        witness: Witness,
        random: Random,
        onlooker: Option<Onlooker>,
    ) -> Arc<Self> {
        let clock = witness.clock;
        let live = ArcSwap::from_pointee(live);
        let mut first = [0; 8];
        random.fill(&mut first);
        Arc::new(Self {
            live,
            buckets: Buckets::default(),
            ring,
            event,
            board_key,
            witness,
            clock,
            random,
            onlooker,
            started: clock.unix(),
            ids: u64::from_le_bytes(first).into(),
        })
    }

    /// Tells the onlooker, if there is one.
    fn at(&self, step: Step, asked: &asked::Asked) {
        if let Some(onlooker) = &self.onlooker {
            (onlooker.0)(step, asked);
        }
    }

    /// A new reference for a request.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.ids.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }

    /// Sixteen random bytes.
    fn random_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.random.fill(&mut id);
        id
    }
}
