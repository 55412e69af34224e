//! A day rehearsed: the crowd, the gateway's own code and the origin in virtual time.
//!
//! Nothing here decides anything. The crowd is the one that plays live; the gateway is built from the
//! operator's configuration and answers by the code that serves (buckets, room, gate, limit, pages);
//! the origin is the live one without its socket. What is left out: sockets, and the time that the
//! gateway's processor takes.
//!
//! The runtime's clock is paused and moves to the next timer when nobody has anything to do: that is a
//! discrete-event simulation. One thread, one order, one seed: the same report byte for byte.

mod account;
mod bare;
mod gateway;
mod kills;
mod network;
mod ticks;

use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::admission::UnixTime;
use crate::clock::Clock;
use crate::config::{self, Settings};
use crate::lab::account::{Kind, LegRecord};
use crate::lab::crowd::Leg;
use crate::lab::legs::configuration;
use crate::lab::origin::Origin;
use crate::lab::scenario::{Fault, FaultKind, Scenario, Victim};
use crate::lab::site::{Site, Target};
use crate::lab::tally::Tally;
use bare::Bare;
use gateway::Gateway;
use ticks::{Watched, while_sampled};

/// Wall time at which every rehearsal begins: 8 December 2020, 00:00 UTC. Only tickets and boards carry it.
const BEGINNING: UnixTime = UnixTime(1_607_385_600_000);

/// A rehearsal that could not be played.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The day.
    pub scenario: Arc<Scenario>,
    /// Decides everything that chance decides.
    pub seed: u64,
}

impl Rehearsal {
    /// The crowd against the origin alone.
    ///
    /// # Errors
    /// If there is no runtime.
    pub fn without(&self) -> Result<LegRecord, Failure> {
        in_virtual_time(async {
            let clock = Clock::of_runtime(BEGINNING);
            let (origin, handle) = Origin::behind(NOWHERE.into(), &self.scenario, self.seed);
            let (site, tally) = (Bare::new(origin, clock, self.seed), Arc::new(Tally::timed_by(clock)));
            let watched = Watched { tally: &tally, origin: &handle, gateway: None, clock };
            let (outcome, ticks) = while_sampled(&watched, self.leg(site).run(&tally)).await;
            let record = LegRecord::new("WITHOUT", Kind::Origin, outcome, handle.truth());
            Ok(LegRecord { ticks, ..record })
        })
    }

    /// The crowd against a gateway with these settings, before the same origin.
    ///
    /// # Errors
    /// If the gateway cannot be built.
    pub fn with(&self, settings: &Settings) -> Result<LegRecord, Failure> {
        in_virtual_time(async {
            let clock = Clock::of_runtime(BEGINNING);
            let (origin, handle) = Origin::behind(NOWHERE.into(), &self.scenario, self.seed);
            let gateway = Gateway::start(settings.clone(), host(settings), origin, clock, self.seed).await?;
            let (site, tally) = (Arc::clone(&gateway), Arc::new(Tally::timed_by(clock)));
            let watched = Watched { tally: &tally, origin: &handle, gateway: Some(&gateway), clock };
            let killed = Arc::default();
            let killing = tokio::spawn(kills::play(
                self.kills(),
                Arc::clone(&gateway),
                Arc::clone(&tally),
                Arc::clone(&killed),
            ));
            let (outcome, ticks) = while_sampled(&watched, self.leg(site).run(&tally)).await;
            killing.abort();
            let kills = std::mem::take(&mut *killed.lock().unwrap_or_else(PoisonError::into_inner));
            let mut record = LegRecord::new("WITH", Kind::Gateway, outcome, handle.truth());
            (record.ticks, record.kills) = (ticks, kills);
            Ok(record)
        })
    }

    /// When the gateway is killed, and for how long: as long as it takes to start it again, if nothing is said.
    fn kills(&self) -> Vec<(Duration, Duration)> {
        let away = |fault: &Fault| fault.until.map_or(kills::RESTART, |until| until.saturating_sub(fault.at));
        let killed = |fault: &Fault| {
            matches!(fault.kind, FaultKind::Kill(Victim::Gateway)).then_some((fault.at, away(fault)))
        };
        let mut kills: Vec<_> = self.scenario.faults.iter().filter_map(killed).collect();
        kills.sort_unstable();
        kills
    }

    fn leg(&self, site: Arc<dyn Site>) -> Leg {
        Leg {
            scenario: Arc::clone(&self.scenario),
            target: Target::Site(site),
            seed: self.seed,
            horizon: self.scenario.horizon,
        }
    }
}

/// An address that nobody listens on; the origin of a rehearsal has no socket.
const NOWHERE: ([u8; 4], u16) = ([192, 0, 2, 1], 80);

/// The settings that an operator would write for the scenario; those that a live leg runs with.
///
/// # Errors
/// None, unless what is written for scenarios is broken; a test reads it. As a person reads it.
pub fn settings_for(scenario: &Scenario) -> Result<Settings, String> {
    let text = format!("[listen]\nhttp = \"192.0.2.2:80\"\n\n{}", configuration(scenario, NOWHERE.into()));
    let parsed = config::parse(&text, "the configuration written for the scenario");
    parsed.map(|(settings, _)| settings).map_err(|found| config::render(&found, &text, false))
}

/// The host that the crowd asks for: that of the first route which names one.
fn host(settings: &Settings) -> String {
    let named = settings.routes.values().find_map(|route| route.host.clone());
    named.unwrap_or_else(|| "gateway.rehearsal".to_owned())
}

/// Plays to the end on this thread; the clock moves when everybody waits.
fn in_virtual_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests;
