//! One leg, from the first process to the last word.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use toml::Table;

use super::agreement::{self, Death, Testimony};
use super::child::own_cpu_s;
use super::gateway::{Gateway, Ports, Remains};
use super::origin_process::OriginProcess;
use super::peer::Setup;
use super::service;
use super::timeline::{Gauges, tick};
use super::{Folder, Trouble};
use crate::admission::Moment;
use crate::clock::Clock;
use crate::config;
use crate::lab::account::{Kill, Kind, LegRecord, Memory, TICK_MS, Tick};
use crate::lab::ledger::{Ledger, UnderWay};
use crate::lab::live::View;
use crate::lab::scenario::{Fault, FaultKind, Victim};
use crate::lab::{Leg, Scenario, Tally};

/// By how much a client may note the end of an answer before the gateway has written its line.
const HASTE: Duration = Duration::from_millis(20);

/// Longest wait for a peer to end.
const LAST: Duration = Duration::from_secs(5);

/// What legs are played with.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The program that is origin and gateway: this one.
    pub program: PathBuf,
    /// What is played.
    pub scenario: Arc<Scenario>,
    /// The scenario as it is written, for the origin's process.
    pub text: String,
    /// How many people want something scarce, if not as many as is written.
    pub people: Option<u64>,
    /// Seed of the crowd and of the origin.
    pub seed: u64,
    /// When the gateway is killed.
    pub kills: Vec<Duration>,
    /// Where the origin listens; port 0 is any.
    pub origin: SocketAddr,
    /// Becomes true when somebody has had enough.
    pub interrupted: watch::Receiver<bool>,
}

/// Whom the crowd calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The origin itself.
    Origin,
    /// A gateway that is started for the leg.
    Gateway {
        /// An operator's own configuration; else what one would write for the scenario.
        configuration: Option<String>,
        /// Where it shall listen.
        ports: Ports,
    },
    /// Another proxy that is started for the leg.
    Peer(Setup),
    /// Something that is up already, before the origin's address.
    Running(SocketAddr),
}

/// A leg that was played.
#[derive(Debug)]
pub struct Played {
    /// All that it left behind.
    pub record: LegRecord,
    /// Somebody had enough before it was over.
    pub interrupted: bool,
    /// For each kill, the requests of the crowd that were in flight.
    pub in_flight: Vec<Vec<UnderWay>>,
    /// What of an operator's own configuration was replaced for the leg, in words.
    pub replaced: Vec<String>,
}

/// What goes on beside the crowd.
struct Side<'a> {
    clock: Clock,
    began: Moment,
    tally: &'a Tally,
    origin: OriginProcess,
    gateway: Option<Gateway>,
    gauges: Option<Gauges>,
    ticks: Vec<Tick>,
    memory: Option<Memory>,
    kills: Vec<Kill>,
    deaths: Vec<Death>,
    in_flight: Vec<Vec<UnderWay>>,
}

impl Stage {
    /// A stage on which this program plays everything.
    ///
    /// # Errors
    /// If it does not know where it is itself.
    pub fn new(
        scenario: Scenario,
        text: String,
        people: Option<u64>,
        seed: u64,
        interrupted: watch::Receiver<bool>,
    ) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(Trouble::with("this program's own file"))?;
        let kill = |fault: &Fault| (fault.kind == FaultKind::Kill(Victim::Gateway)).then_some(fault.at);
        let mut kills: Vec<Duration> = scenario.faults.iter().filter_map(kill).collect();
        kills.sort_unstable();
        let (scenario, origin) = (Arc::new(scenario), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(Self { program, scenario, text, people, seed, kills, origin, interrupted })
    }

    /// Plays a leg. `meet` is told where the gateway and its admin listener are, before the crowd comes.
    ///
    /// # Errors
    /// If a process cannot be started or ends by itself; everything is ended then.
    pub async fn play(
        &self,
        title: &str,
        target: &Target,
        view: &mut View,
        meet: impl FnOnce(&Gateway),
    ) -> Result<Played, Trouble> {
        let folder = Folder::new()?;
        let mut origin = self.origin(&folder).await?;
        let gateway = self.gateway(target, origin.address).await?;
        let mut peer = match target {
            Target::Peer(setup) => Some(setup.start(&self.scenario, origin.address).await?),
            _ => None,
        };
        let (gateway, replaced) = match gateway {
            Some((gateway, gauges, replaced)) => (Some((gateway, gauges)), replaced),
            None => (None, Vec::new()),
        };
        let (site, kind) = match (&gateway, &peer, target) {
            (Some((gateway, _)), ..) => (gateway.site, Kind::Gateway),
            (None, Some(peer), _) => (peer.site, Kind::Peer { name: title.to_owned() }),
            (None, None, Target::Running(site)) => (*site, Kind::Gateway),
            (None, None, _) => (origin.address, Kind::Origin),
        };
        let (gateway, gauges) = gateway.unzip();
        if let Some(gateway) = &gateway {
            meet(gateway);
        }
        let memory =
            gateway.as_ref().map(|gateway| Memory { before: gateway.resident(), most: 0, waiting: 0 });
        origin.begin().await?;
        let (tally, clock, cpu_s) = (Arc::new(Tally::default()), Clock::start(), own_cpu_s());
        let mut side = Side {
            clock,
            began: clock.now(),
            tally: &tally,
            origin,
            gateway,
            gauges,
            ticks: Vec::new(),
            memory,
            kills: Vec::new(),
            deaths: Vec::new(),
            in_flight: Vec::new(),
        };
        let leg = Leg {
            scenario: Arc::clone(&self.scenario),
            target: site.into(),
            seed: self.seed,
            horizon: self.scenario.horizon,
        };
        let outcome = {
            let mut interrupted = self.interrupted.clone();
            let enough = async move {
                if interrupted.wait_for(|enough| *enough).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let mut crowd = pin!(leg.run_until(&tally, enough));
            let kills = if side.gateway.is_some() { self.kills.as_slice() } else { &[] };
            let mut kills = kills.iter().copied();
            let mut next = kills.next();
            let mut beat = tokio::time::interval(Duration::from_millis(TICK_MS));
            beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                let due = next.map_or(clock.now(), |at| side.began.after(at));
                tokio::select! {
                    biased;
                    outcome = &mut crowd => break outcome,
                    () = tokio::time::sleep_until(clock.instant(due)), if next.is_some() => {
                        side.kill().await?;
                        next = kills.next();
                    }
                    _ = beat.tick() => side.sample(view).await?,
                }
            }
        };
        side.sample(view).await?;
        view.finish();
        let crowd_s = own_cpu_s() - cpu_s;
        let origin_s = side.origin.cpu_s();
        let remains = match side.gateway.take() {
            Some(gateway) => Some(gateway.end().await?),
            None => None,
        };
        let peer_cpu = peer.as_ref().map(|peer| (peer.name.clone(), peer.child.cpu_s()));
        if let Some(peer) = &mut peer {
            peer.child.end(LAST).await?;
        }
        let account = side.origin.end().await?;
        let attempts = tally.ledger().attempts();
        let testimony = remains
            .as_ref()
            .map(|Remains { lives, counters, .. }| Testimony { lives, counters: counters.as_ref() });
        let agreement = agreement::lines(&attempts, &account.received, testimony.as_ref(), &side.deaths);
        let mut record = LegRecord::new(title, kind, outcome, account.truth);
        record.ticks = side.ticks;
        record.cpu = vec![("crowd".to_owned(), crowd_s), ("origin".to_owned(), origin_s)];
        record.cpu.extend(remains.map(|remains| ("gateway".to_owned(), remains.cpu_s)));
        record.cpu.extend(peer_cpu);
        (record.memory, record.kills, record.agreement) = (side.memory, side.kills, agreement);
        let interrupted = *self.interrupted.borrow();
        Ok(Played { record, interrupted, in_flight: side.in_flight, replaced })
    }

    /// Origin and gateway without a crowd, for somebody with a browser; until interrupted.
    ///
    /// # Errors
    /// If a process cannot be started.
    pub async fn hold(&self, target: &Target, meet: impl FnOnce(&Gateway)) -> Result<(), Trouble> {
        let folder = Folder::new()?;
        let mut origin = self.origin(&folder).await?;
        origin.begin().await?;
        if let Some((gateway, ..)) = self.gateway(target, origin.address).await? {
            meet(&gateway);
            let _ = self.interrupted.clone().wait_for(|enough| *enough).await;
            gateway.end().await?;
        }
        Ok(())
    }

    /// The scenario's origin, listening.
    async fn origin(&self, folder: &Folder) -> Result<OriginProcess, Trouble> {
        let file = folder.path().join("scenario.toml");
        std::fs::write(&file, &self.text).map_err(Trouble::with(file.display()))?;
        let mut command = Command::new(&self.program);
        command.arg("lab-origin").arg(&file);
        command.args(["--seed", &self.seed.to_string(), "--listen", &self.origin.to_string()]);
        if let Some(people) = self.people {
            command.args(["--people", &people.to_string()]);
        }
        if self.scenario.faults.is_empty() {
            command.arg("--calm");
        }
        OriginProcess::start(command).await
    }

    /// The gateway of the leg, if one is started for it, where its gauges are, and what of an operator's
    /// own configuration was replaced.
    async fn gateway(
        &self,
        target: &Target,
        origin: SocketAddr,
    ) -> Result<Option<(Gateway, Gauges, Vec<String>)>, Trouble> {
        let Target::Gateway { configuration, ports } = target else { return Ok(None) };
        let generated = || service::configuration(&self.scenario, origin);
        let (mut table, mut replaced) =
            service::rewritten(&configuration.clone().unwrap_or_else(generated), origin)?;
        if configuration.is_none() {
            replaced.clear();
        }
        let gateway = Gateway::start(&self.program, table.clone(), *ports).await?;
        let mut listen = Table::new();
        listen.insert("http".to_owned(), gateway.site.to_string().into());
        table.insert("listen".to_owned(), listen.into());
        let text = toml::to_string(&table).map_err(|error| Trouble(error.to_string()))?;
        // It runs with these settings, so they are good.
        let settings = config::parse(&text, "the gateway's configuration");
        let (settings, _) = settings.map_err(|wrong| Trouble(config::render(&wrong, &text, false)))?;
        let gauges = Gauges::new(gateway.admin, &settings);
        Ok(Some((gateway, gauges, replaced)))
    }
}

impl Side<'_> {
    fn ledger(&self) -> &Ledger {
        self.tally.ledger()
    }

    fn at(&self) -> Duration {
        self.clock.now().since(self.began)
    }

    async fn sample(&mut self, view: &mut View) -> Result<(), Trouble> {
        if let Some(gateway) = &mut self.gateway {
            gateway.lives_on()?;
        }
        let look = self.origin.look().await?;
        let reading = match &self.gauges {
            Some(gauges) => gauges.read().await,
            None => None,
        };
        let tick = tick(self.at(), self.tally, &look, reading);
        view.draw(&tick, &self.tally.count());
        if let Some((gateway, memory)) = self.gateway.as_ref().zip(self.memory.as_mut()) {
            let now = gateway.resident();
            if now > memory.most {
                (memory.most, memory.waiting) = (now, tick.waiting);
            }
        }
        self.ticks.push(tick);
        Ok(())
    }

    /// Kills the gateway, and starts it again.
    async fn kill(&mut self) -> Result<(), Trouble> {
        let Some(mut gateway) = self.gateway.take() else { return Ok(()) };
        let (at, under_way, killed) = (self.at(), self.ledger().under_way(), self.ledger().now());
        gateway.kill().await?;
        let (dead, unix) = (self.ledger().now(), self.clock.unix());
        let silent = gateway
            .last_line_ms()
            .map_or(Duration::from_secs(86_400), |ms| Duration::from_millis(unix.0.saturating_sub(ms)));
        let unlogged_from = Moment(dead.0.saturating_sub(nanos(silent + HASTE)));
        self.deaths.push(Death { unlogged_from, killed, dead });
        gateway.again().await?;
        self.kills.push(Kill {
            at_s: at.as_secs_f64(),
            process: "gateway".to_owned(),
            in_flight: under_way.len() as u64,
            back_s: Some(self.at().as_secs_f64()),
        });
        self.in_flight.push(under_way);
        self.gateway = Some(gateway);
        Ok(())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
