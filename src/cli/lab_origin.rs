//! `tornello lab-origin`: a scenario's origin as a process of its own. Not for people: `rush` starts it.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{CONFIGURATION, OK, RUNTIME, complain};
use crate::lab::{Scenario, legs};

/// The origin of a scenario; spoken with over its pipes.
#[derive(Debug, clap::Args)]
pub struct LabOrigin {
    /// Scenario file.
    pub scenario: PathBuf,
    /// Seed of its service times and canaries.
    #[arg(long)]
    pub seed: u64,
    /// How many people want something scarce, instead of the scenario's number.
    #[arg(long)]
    pub people: Option<u64>,
    /// Nothing breaks, whatever the scenario says.
    #[arg(long)]
    pub calm: bool,
    /// Where it listens.
    #[arg(long)]
    pub listen: SocketAddr,
}

impl LabOrigin {
    /// Serves until it is told to end, or its pipe is closed.
    #[must_use]
    pub fn execute(self) -> u8 {
        let name = self.scenario.display().to_string();
        let text = std::fs::read_to_string(&self.scenario).map_err(|error| format!("{name}: {error}"));
        let scenario = match text.and_then(|text| Scenario::parse(&text, &name)) {
            Ok(scenario) => self.fitted(scenario),
            Err(error) => {
                eprintln!("{error}");
                return CONFIGURATION;
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let served =
            runtime.and_then(|runtime| runtime.block_on(legs::serve(&scenario, self.seed, self.listen)));
        match served {
            Ok(()) => OK,
            Err(error) => {
                complain(&error);
                RUNTIME
            }
        }
    }

    /// As it is played.
    fn fitted(&self, mut scenario: Scenario) -> Scenario {
        if self.calm {
            scenario.faults.clear();
        }
        match self.people {
            Some(people) => scenario.with_people(usize::try_from(people).unwrap_or(usize::MAX)),
            None => scenario,
        }
    }
}
