//! A rehearsed day as a report: both legs, and the answers in words.

use std::time::Duration;

use super::{Failure, Rehearsal};
use crate::config::Settings;
use crate::lab::account::{LegRecord, Tick};
use crate::lab::rehearse::session::Binding;
use crate::lab::rehearse::words::{Findings, More, words};
use crate::lab::report::{Mode, Report};
use crate::lab::{LegSummary, Scenario};

/// What this level leaves out, in whole sentences.
const LIMITS: [&str; 5] = [
    "Every request of everybody was played, by the gateway's own code and this configuration.",
    "Sockets, TLS and HTTP framing were left out; each way between two processes takes 0.06 ms, a new \
     connection one round trip more, as on one machine.",
    "The processor time of gateway, origin and crowd was left out: none of them is ever the bottleneck.",
    "Caps on connections were not played; probes find the service there or gone.",
    "After a kill the gateway is back within 0.15 s.",
];

impl Rehearsal {
    /// Plays the day without and with a gateway of these settings, and with `more` workers in each pool
    /// if that is not 0. `text` is the scenario as it is written.
    ///
    /// # Errors
    /// If a leg cannot be played.
    pub fn report(&self, text: &str, settings: &Settings, more: usize) -> Result<Report, Failure> {
        let (without, with) = (self.without()?, self.with(settings)?);
        let mut found = findings(&self.scenario, settings, &with);
        if more > 0 {
            let then = self.with_more(more).with(settings)?;
            let waits = waits(&then);
            found.more = Some(More {
                workers: more as u64,
                served: LegSummary::new(&self.scenario, &then).completed,
                median_s: at(&waits, 0.5),
                ended_s: then.outcome.elapsed.as_secs_f64(),
                parts: 1,
            });
        }
        let limits = LIMITS.map(str::to_owned).to_vec();
        let mode = Mode::Rehearsed { level: "request".to_owned(), limits };
        let legs = [&without, &with].map(|leg| LegSummary::new(&self.scenario, leg)).to_vec();
        let mut report = Report::new(&self.scenario, text, self.seed, mode, legs);
        report.words = words(&found);
        Ok(report)
    }

    /// The same day with more workers in each pool.
    fn with_more(&self, more: usize) -> Self {
        let mut scenario = (*self.scenario).clone();
        scenario.pools.iter_mut().for_each(|pool| pool.slots += more);
        Self { scenario: scenario.into(), seed: self.seed }
    }
}

fn findings(scenario: &Scenario, settings: &Settings, leg: &LegRecord) -> Findings {
    let summary = LegSummary::new(scenario, leg);
    let waits = waits(leg);
    let all = [0.5, 0.9, 0.99, 1.0].map(|share| at(&waits, share).unwrap_or_default());
    let bound = |of: fn(&crate::admission::policy::RoomPolicy) -> u32| {
        settings.rooms.values().map(|room| u64::from(of(&room.policy))).sum()
    };
    let ceiling = bound(|policy| policy.seats_ceiling);
    Findings {
        people: summary.people,
        served: summary.completed,
        left: summary.gave_up,
        told_exhausted: summary.told_exhausted,
        still_there: summary.still_there,
        waits_s: (!waits.is_empty()).then_some(all),
        ended_s: leg.outcome.elapsed.as_secs_f64(),
        horizon_s: scenario.horizon.as_secs_f64(),
        utilisation: utilisation(&leg.ticks),
        bindings: bindings(&leg.ticks, ceiling),
        seats_ceiling: ceiling,
        seats_floor: bound(|policy| policy.seats_floor),
        limit: leg.ticks.iter().filter_map(|tick| tick.limit).max().unwrap_or_default(),
        workers: scenario.pools.iter().map(|pool| pool.slots as u64).sum(),
        queued: Some(summary.joined > 0),
        announced_inside: summary.announced_inside,
        ..Findings::default()
    }
}

/// From arrival to being let in, of those who were, in order.
fn waits(leg: &LegRecord) -> Vec<Duration> {
    let people = leg.outcome.people.iter().filter(|person| person.placed.is_some());
    let mut waits: Vec<_> =
        people.filter_map(|person| Some(person.admitted?.saturating_sub(person.arrival))).collect();
    waits.sort_unstable();
    waits
}

/// The smallest that this share does not exceed, in seconds.
fn at(sorted: &[Duration], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a length")]
    sorted.get(rank as usize - 1).map(Duration::as_secs_f64)
}

/// Pairs of samples between which somebody waited.
fn while_waiting(ticks: &[Tick]) -> impl Iterator<Item = (&Tick, &Tick)> {
    ticks.iter().zip(ticks.iter().skip(1)).filter(|(before, after)| before.waiting > 0 && after.waiting > 0)
}

/// What the workers did over what they could do while people waited.
fn utilisation(ticks: &[Tick]) -> Option<f64> {
    let (did, could) = while_waiting(ticks).fold((0.0, 0.0), |(did, could), (before, after)| {
        let could_now = before.capacity * (after.at_s - before.at_s);
        (did + after.useful_work_s - before.useful_work_s, could + could_now)
    });
    (could > 0.0).then(|| did / could)
}

/// What held the line at the samples at which people waited, and at which share of them, the greatest
/// first.
fn bindings(ticks: &[Tick], ceiling: u64) -> Vec<(Binding, f64)> {
    let held = |tick: &Tick| {
        let (seats, active) = (tick.seats.unwrap_or_default(), tick.active.unwrap_or_default());
        if tick.in_flight as f64 >= tick.capacity {
            Binding::Pool
        } else if active < seats {
            Binding::CallDelay
        } else if seats >= ceiling {
            Binding::SeatsCeiling
        } else {
            Binding::Limit
        }
    };
    let mut counts = std::collections::BTreeMap::<Binding, usize>::new();
    for (_, tick) in while_waiting(ticks) {
        *counts.entry(held(tick)).or_default() += 1;
    }
    let all = counts.values().sum::<usize>().max(1) as f64;
    let mut shares: Vec<_> =
        counts.into_iter().map(|(binding, count)| (binding, count as f64 / all)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}
