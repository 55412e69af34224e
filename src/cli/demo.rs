//! `tornello demo`: a click day on this machine, without the gateway and with it.
//!
//! Same crowd, same origin, same seed; only the address that the crowd calls differs. Everything runs
//! on the loopback in one process, is bounded in time, and leaves nothing behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{CONFIGURATION, OK, RUNTIME, complain};
use crate::app::{self, Options, Running};
use crate::config;
use crate::lab::live::{self, Gauges};
use crate::lab::report::{Mode, Report, table};
use crate::lab::{
    DEFAULT_SCENARIO, Kind, Leg, LegOutcome, LegRecord, LegSummary, Origin, OriginHandle, Scenario, Tally,
};

/// Ports that are tried first, because they are easy to type into a browser.
const SITE_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;

/// A click day on this machine, without the gateway and with it.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Longest duration of each leg, seconds; a leg ends earlier when everybody has finished.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=600))]
    pub seconds: Option<u64>,
    /// How many people want something scarce.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    pub people: Option<u64>,
    /// Scenario file, instead of the one shipped (config/scenarios/s-cb.toml).
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// Seed of the crowd, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// One JSON object at the end, and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
    /// Stay up after the second leg, to play in a browser; Ctrl-C ends it.
    #[arg(long)]
    pub keep: bool,
    /// Only the leg with the gateway.
    #[arg(long, conflicts_with = "json")]
    pub only_with: bool,
}

type Failure = Box<dyn std::error::Error>;

impl Demo {
    /// Plays both legs and shows what came of them.
    #[must_use]
    pub fn execute(self) -> u8 {
        let (scenario, text) = match self.read() {
            Ok((scenario, text)) => (Arc::new(scenario), text),
            Err(error) => {
                eprintln!("{error}");
                return CONFIGURATION;
            }
        };
        let played = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.play(scenario, text)),
            Err(error) => Err(error.into()),
        };
        match played {
            Ok(()) => OK,
            Err(error) => {
                complain(&*error);
                RUNTIME
            }
        }
    }

    fn read(&self) -> Result<(Scenario, String), String> {
        let (text, name) = match &self.scenario {
            None => (DEFAULT_SCENARIO.to_owned(), "s-cb.toml".to_owned()),
            Some(file) => {
                let text = std::fs::read_to_string(file);
                let name = file.display().to_string();
                (text.map_err(|error| format!("error: {name} cannot be read: {error}"))?, name)
            }
        };
        let mut scenario = Scenario::parse(&text, &name)?;
        // The shipped scenario kills the gateway, which is part of this very process.
        if self.scenario.is_none() {
            scenario.faults.clear();
        }
        if let Some(people) = self.people {
            scenario = scenario.with_people(usize::try_from(people).unwrap_or(usize::MAX));
        }
        if let Some(seconds) = self.seconds {
            scenario.horizon = Duration::from_secs(seconds);
        }
        Ok((scenario, text))
    }

    async fn play(&self, scenario: Arc<Scenario>, text: String) -> Result<(), Failure> {
        // Crowd, gateway and origin share this process's files.
        crate::edge::raise_open_files();
        let seed = self.seed.unwrap_or(scenario.seed);
        let without = if self.only_with { None } else { Some(self.without(&scenario, seed).await?) };
        let origin = origin(&scenario, seed).await?;
        let gate = Gate::open(origin.address()).await?;
        if !self.json {
            println!("{}", gate.banner());
        }
        let outcome = self.leg("WITH   ", &scenario, seed, gate.site(), &origin, || gate.gauges()).await;
        let record = LegRecord::new("WITH", Kind::Gateway, outcome, origin.truth());
        let with = LegSummary::new(&scenario, &record);
        match without {
            None => println!("{with:#?}"),
            Some(without) => {
                let report = Report::new(&scenario, &text, seed, Mode::Live, vec![without, with]);
                if self.json {
                    println!("{}", report.json()?);
                } else {
                    println!("\n{}", table(&report));
                }
            }
        }
        if self.keep {
            eprintln!("{}\nCtrl-C ends it.", gate.banner());
            tokio::signal::ctrl_c().await?;
        }
        gate.close().await;
        Ok(())
    }

    async fn without(&self, scenario: &Arc<Scenario>, seed: u64) -> Result<LegSummary, Failure> {
        let origin = origin(scenario, seed).await?;
        let outcome = self.leg("WITHOUT", scenario, seed, origin.address(), &origin, || None).await;
        let record = LegRecord::new("WITHOUT", Kind::Origin, outcome, origin.truth());
        Ok(LegSummary::new(scenario, &record))
    }

    async fn leg(
        &self,
        title: &str,
        scenario: &Arc<Scenario>,
        seed: u64,
        target: SocketAddr,
        origin: &OriginHandle,
        gauges: impl Fn() -> Option<Gauges>,
    ) -> LegOutcome {
        let tally = Arc::new(Tally::default());
        let leg = Leg { scenario: Arc::clone(scenario), target, seed, horizon: scenario.horizon };
        if self.json {
            leg.run(&tally).await
        } else {
            live::show(title, &tally, origin, gauges, leg.run(&tally)).await
        }
    }
}

async fn origin(scenario: &Scenario, seed: u64) -> std::io::Result<OriginHandle> {
    Origin::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, scenario, seed)
}

/// The gateway of the second leg, with its state in a folder of its own.
struct Gate {
    running: Running,
    state: PathBuf,
}

impl Gate {
    async fn open(origin: SocketAddr) -> Result<Self, Failure> {
        let state = std::env::temp_dir().join(format!("tornello-demo-{}", std::process::id()));
        let text = configuration(origin, free(SITE_PORT).await, free(ADMIN_PORT).await, &state);
        let (settings, _) = config::parse(&text, "the demo's configuration")
            .map_err(|diagnostics| config::render(&diagnostics, &text, false))?;
        let running = app::start(settings, Options::default()).await?;
        Ok(Self { running, state })
    }

    fn site(&self) -> SocketAddr {
        self.running.listen.first().copied().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn banner(&self) -> String {
        format!(
            "\n  Be one of the crowd:  http://{}/wallet      What operators see:  http://{}/status  (/metrics)\n",
            self.site(),
            self.running.admin
        )
    }

    fn gauges(&self) -> Option<Gauges> {
        let live = self.running.proxy.live.load();
        let room = live.rooms.get("wallet")?;
        let facts = room.line.facts(&room.settings.policy);
        let gate = &live.clusters.get("cards")?.gate;
        let limit = gate.facts(self.running.proxy.clock.now()).limit;
        Some(Gauges { limit: u64::from(limit), cursor: facts.cursor, issued: facts.issued })
    }

    async fn close(self) {
        self.running.stop().await;
        if let Err(error) = std::fs::remove_dir_all(&self.state) {
            eprintln!("warning: {} could not be removed: {error}", self.state.display());
        }
    }
}

/// `port` if nobody has it, else one that the kernel chooses.
async fn free(port: u16) -> u16 {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_err();
    if taken { 0 } else { port }
}

/// What an operator would write for this service, its times divided by the scenario's twenty. The
/// limit is not told: it starts wrong, and `aimd` finds its way.
fn configuration(origin: SocketAddr, site: u16, admin: u16, state: &std::path::Path) -> String {
    format!(
        r#"
[listen]
http = "127.0.0.1:{site}"
admin = "127.0.0.1:{admin}"
state_directory = {state:?}

[edge]
max_connections_per_prefix = 20000
drain = "10s"

[door]
rate = "20/s"
burst = 100
prefix = {{ rate = "5000/s", burst = 10000 }}

[upstream.cards]
addresses = ["{origin}"]
announce_limit = true
limit = {{ law = "aimd", initial = 20, floor = 4, ceiling = 200, latency = "150ms", wait = "400ms" }}

[upstream.rest]
addresses = ["{origin}"]
limit = {{ law = "aimd", initial = 50, floor = 10, ceiling = 500, latency = "150ms", wait = "400ms" }}

[room.wallet]
title = "Wallet"
seats = {{ floor = 4, ceiling = 500 }}
call = "30s"
idle = "30s"
session = "90s"
poll = {{ min = "250ms", max = "6s", divisor = 10 }}

[route.wallet]
path = "/wallet"
upstream = "cards"
room = "wallet"
timeout = "10s"

[route.rest]
path = "/"
upstream = "rest"
timeout = "10s"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_configures_the_gateway_as_an_operator_would() {
        let text = configuration(([127, 0, 0, 1], 9).into(), 0, 0, &std::env::temp_dir());
        let parsed = config::parse(&text, "demo");
        assert!(matches!(&parsed, Ok((_, warnings)) if warnings.is_empty()), "{parsed:#?}");
    }
}
