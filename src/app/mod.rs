//! Builds each part once, in order; serves; drains.

pub mod assemble;
pub mod certificates;
mod chronicle;
mod ending;
pub mod herald;
mod lanes;
pub mod machine;
pub mod pulse;
pub mod reload;
pub mod watch;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::JoinSet;

use crate::admin;
use crate::admission::ticket::{Key, KeyRing};
use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::edge::key_files::{Flaw, KeyFiles};
use crate::edge::tls::TlsDoor;
use crate::edge::{Caps, Crowd, ListenError, accept, bind, open_files_max};
use crate::metrics::Metrics;
use crate::proxy::board::BoardKey;
use crate::proxy::live::Live;
use crate::proxy::{AccessLog, EventKey, Onlooker, Proxy, Random, Witness};
use crate::store::journal::{Journal, JournalError, Secrets};
pub use ending::EndError;

use assemble::{AssembleError, Upstreams, Workshop, assemble};
use pulse::Pulse;
use reload::Reloader;

/// A running gateway.
#[derive(Debug)]
pub struct Running {
    /// Where the crowd is met, cleartext before TLS; ports are real also where 0 was asked for.
    pub listen: Vec<SocketAddr>,
    /// Where operators are met.
    pub admin: SocketAddr,
    /// The request path.
    pub proxy: Arc<Proxy>,
    /// Puts new configurations in place.
    pub reloader: Arc<Reloader>,
    caps: Arc<Caps>,
    stop: channel::Sender<bool>,
    /// Nothing is under way any more: the pulse may make the last marks.
    rest: channel::Sender<bool>,
    tasks: JoinSet<()>,
}

/// The gateway cannot start.
#[derive(Debug)]
pub enum StartError {
    /// A socket cannot be had.
    Listen(ListenError),
    /// The durable state cannot be used.
    Journal(JournalError),
    /// The configuration cannot be built.
    Assemble(AssembleError),
    /// The certificates cannot be used.
    Certificates(Vec<Flaw>),
    /// Something that the system must give was not given.
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::Assemble(error) => error.fmt(f),
            Self::Certificates(flaws) => {
                let all: Vec<&str> = flaws.iter().map(|flaw| flaw.what.as_str()).collect();
                f.write_str(&all.join("; "))
            }
            Self::System(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(error) => error.source(),
            Self::Journal(error) => error.source(),
            Self::Assemble(error) => error.source(),
            Self::Certificates(_) | Self::System(_) => None,
        }
    }
}

/// How a gateway is started besides its settings.
#[derive(Debug, Default)]
pub struct Options {
    /// The configuration's file, for reloads.
    pub file: Option<std::path::PathBuf>,
    /// What was read from it.
    pub text: String,
    /// One line a request on standard output.
    pub access_log: bool,
    /// Looks on at each step of each request; for those who embed a gateway.
    pub onlooker: Option<Onlooker>,
    /// The clock, where it is not the machine's; for those who play another time.
    pub clock: Option<Clock>,
}

/// Builds and starts everything on the current runtime; returns when it listens.
///
/// # Errors
/// [`StartError`]; nothing is left running.
pub async fn start(settings: Settings, options: Options) -> Result<Running, StartError> {
    let clock = options.clock.unwrap_or_else(Clock::start);
    let metrics = Metrics::new().map_err(|error| StartError::System(error.to_string()))?;
    let metrics = Arc::new(metrics);
    let journal = Arc::new(Journal::open(&settings.boot.state_directory).map_err(StartError::Journal)?);
    let secrets = journal.secrets(random()?).map_err(StartError::Journal)?;
    let (hungry, upstreams) = (Arc::default(), Upstreams::Real);
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "seed");
    let workshop = Workshop {
        journal: Arc::clone(&journal),
        hungry,
        clock,
        upstreams,
        seed,
        random: Random::of_the_system(),
    };
    let listeners = settings.boot.listen.iter().map(|listener| Ok((bind(listener.address)?, *listener)));
    let listeners = listeners.collect::<Result<Vec<_>, _>>().map_err(StartError::Listen)?;
    let admin_listener = bind(settings.boot.admin).map_err(StartError::Listen)?;
    let door = TlsDoor::new().map_err(|error| StartError::System(error.to_string()))?;
    let files = KeyFiles::read(&settings.tls);
    let (tls, _) = door.build(&settings.tls, &files, clock.unix()).map_err(StartError::Certificates)?;
    door.put(tls);
    let door = Arc::new(door);
    let live = assemble(&workshop, settings, None).await.map_err(StartError::Assemble)?;
    let log = AccessLog::start(options.access_log, Arc::clone(&metrics));
    let witness = Witness { log, metrics, clock };
    let proxy = bring_together(live, &secrets, witness, Random::of_the_system(), options.onlooker);
    let hungry = Arc::clone(&workshop.hungry);
    proxy.witness.metrics.reload_success.set(1);
    let reloader =
        Arc::new(Reloader::new(Arc::clone(&proxy), workshop, Arc::clone(&door), options.file, &options.text));
    let (stop, stopped) = channel::channel(false);
    let caps = Arc::new(Caps::new(clock));
    let files_max = open_files_max().unwrap_or(usize::MAX);
    let address = |listener: &tokio::net::TcpListener| {
        listener.local_addr().map_err(|error| StartError::System(error.to_string()))
    };
    let listen = listeners.iter().map(|(socket, _)| address(socket)).collect::<Result<Vec<_>, _>>()?;
    let admin = address(&admin_listener)?;
    let mut pulse = Pulse::new(Arc::clone(&proxy), journal, hungry);
    // Boards are up and seats are known before the first citizen comes.
    pulse.beat().await;
    let mut tasks = JoinSet::new();
    let (rest, rested) = channel::channel(false);
    tasks.spawn(pulse.run(rested));
    tasks.spawn(herald::tell(Arc::clone(&proxy), stopped.clone()));
    for (socket, listener) in listeners {
        let crowd = Crowd {
            proxy: Arc::clone(&proxy),
            caps: Arc::clone(&caps),
            tls: Arc::clone(&door),
            files_max,
            stop: stopped.clone(),
        };
        tasks.spawn(accept(socket, listener, crowd));
    }
    let desk = admin::Desk { proxy: Arc::clone(&proxy), reloader: Arc::clone(&reloader), stop: stopped };
    admin::serve(admin_listener, desk).map_err(|error| StartError::System(error.to_string()))?;
    Ok(Running { listen, admin, proxy, reloader, caps, stop, rest, tasks })
}

impl Running {
    /// Stops: takes no new connections, lets requests under way end within the drain time, makes the
    /// last state durable. Returns how many connections were cut off.
    pub async fn stop(self) -> usize {
        let Self { proxy, caps, stop, rest, mut tasks, .. } = self;
        let drain = proxy.live.load().settings.edge.drain;
        stop.send_replace(true);
        let done = async {
            while caps.open() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(drain, done).await;
        // Whoever was let end could still join, leave or finish, and that must be durable, too.
        rest.send_replace(true);
        while tasks.join_next().await.is_some() {}
        proxy.witness.log.close();
        caps.open()
    }
}

/// The request path of a configuration, under the keys that the store keeps.
#[must_use]
pub fn bring_together(
    live: Live,
    secrets: &Secrets,
    witness: Witness,
    random: Random,
    onlooker: Option<Onlooker>,
) -> Arc<Proxy> {
    let ring = KeyRing::new(Key::new(1, &secrets.ticket), Vec::new());
    let (event, board) = (EventKey::new(&secrets.event), BoardKey::new(&secrets.board));
    Proxy::new(live, ring, event, board, witness, random, onlooker)
}

fn random() -> Result<[[u8; 32]; 3], StartError> {
    let mut secrets = [[0; 32]; 3];
    for secret in &mut secrets {
        getrandom::fill(secret)
            .map_err(|error| StartError::System(format!("the system gives no random bytes: {error}")))?;
    }
    Ok(secrets)
}
