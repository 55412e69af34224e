//! `tornello demo`: a click day on this machine, without the gateway and with it.
//!
//! Same crowd, same origin, same seed; only the address that the crowd calls differs. Everything runs
//! on the loopback in one process, is bounded in time, and leaves nothing behind.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use tokio::net::TcpListener;

use super::interrupt::interrupted;
use super::out::say;
use super::rush::{account, defects, scenario};
use super::{CONFIGURATION, Failure, to_the_end};
use crate::lab::Scenario;
use crate::lab::legs::{Gateway, Played, Ports, Stage, Target};
use crate::lab::live::View;
use crate::lab::report::table;

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

impl Demo {
    /// Plays both legs and shows what came of them.
    #[must_use]
    pub fn execute(self) -> u8 {
        let name =
            self.scenario.as_ref().map_or_else(|| "s-cb".to_owned(), |file| file.display().to_string());
        let (mut scenario, text) = match scenario(&name, self.people, self.seconds) {
            Ok(read) => read,
            Err(error) => {
                eprintln!("{error}");
                return CONFIGURATION;
            }
        };
        // The comparison that the README shows is of a day on which nothing breaks.
        if self.scenario.is_none() {
            scenario.faults.clear();
        }
        to_the_end(self.play(scenario, text))
    }

    async fn play(&self, scenario: Scenario, text: String) -> Result<u8, Failure> {
        crate::edge::raise_open_files();
        let seed = self.seed.unwrap_or(scenario.seed);
        let interrupted = interrupted()?;
        let stage = Stage::new(scenario, text, self.people, seed, interrupted.clone())?;
        let page = page(&stage.scenario);
        let with = Target::Gateway {
            configuration: None,
            ports: Ports { site: free(SITE_PORT).await, admin: free(ADMIN_PORT).await },
        };
        let mut played = Vec::new();
        for (title, target) in [("WITHOUT", &Target::Origin), ("WITH   ", &with)] {
            if (self.only_with && *target == Target::Origin) || *interrupted.borrow() {
                continue;
            }
            let mut view = if self.json { View::silent() } else { View::new(title) };
            let meet = |gateway: &Gateway| {
                if !self.json {
                    say(banner(gateway, &page));
                }
            };
            played.push(stage.play(title.trim_end(), target, &mut view, meet).await?);
        }
        let code = self.tell(&stage, &played)?;
        if self.keep && !*interrupted.borrow() {
            stage.hold(&with, |gateway| eprintln!("{}\nCtrl-C ends it.", banner(gateway, &page))).await?;
        }
        Ok(code)
    }

    fn tell(&self, stage: &Stage, played: &[Played]) -> Result<u8, Failure> {
        let report = account(stage, played);
        if self.json {
            say(report.json()?);
        } else {
            say(format_args!("\n{}", table(&report)));
        }
        Ok(defects(played))
    }
}

/// Where to be one of the crowd.
fn banner(gateway: &Gateway, page: &str) -> String {
    format!(
        "\n  Be one of the crowd:  http://{}{page}      What operators see:  http://{}/status  (/metrics)\n",
        gateway.site, gateway.admin
    )
}

/// The first page that something scarce is behind.
fn page(scenario: &Scenario) -> String {
    let scarce = scenario.endpoints.iter().find(|end| end.pool.is_some());
    scarce.map_or_else(|| "/".to_owned(), |end| end.path.clone())
}

/// `port` if nobody has it, else one that the kernel chooses.
async fn free(port: u16) -> u16 {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_err();
    if taken { 0 } else { port }
}
