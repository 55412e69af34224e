//! The model of the limit held against the request level, which plays the law itself.
//!
//! The constants are those of the day on which they were fitted; a law that changes moves them. Run by
//! `make fidelity`.

use std::sync::Arc;

use super::limit::{KNEE_SETTLES, RAMP_S};
use super::{Day, rehearse};
use crate::config::Settings;
use crate::lab::account::Tick;
use crate::lab::rehearse::request::{Rehearsal, settings_for};
use crate::lab::scenario::Source;
use crate::lab::{LegSummary, Scenario};

const FORMS: [&str; 3] = ["s-cb", "s-bb", "s-in"];
const SEEDS: [u64; 3] = [1, 2, 3];
/// From then on a limit that began too low is looked at, in seconds; all faults are over.
const SETTLED_S: f64 = 30.0;

fn form(name: &str) -> (Scenario, Settings) {
    let scenario = Source::find(name).unwrap().read().unwrap().0;
    let settings = settings_for(&scenario).unwrap();
    (scenario, settings)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Limits while people wait and the pool is whole, with their times.
fn limits(ticks: &[Tick], slots: usize) -> Vec<(f64, f64)> {
    let held = ticks.iter().filter(|tick| tick.waiting > 0 && tick.capacity >= slots as f64);
    held.filter_map(|tick| Some((tick.at_s, tick.limit? as f64))).collect()
}

/// The form with a limit that begins at a quarter of the workers.
fn from_below(name: &str, seed: u64, calm: bool) -> (usize, Vec<(f64, f64)>) {
    let (mut scenario, mut settings) = form(name);
    if calm {
        scenario.faults.clear();
    }
    let slots = scenario.pools[0].slots;
    for upstream in settings.upstreams.values_mut().filter(|upstream| upstream.announce_limit) {
        (upstream.limit.initial, upstream.limit.floor) = (u32::try_from(slots / 4).unwrap().max(2), 2);
    }
    let leg = Rehearsal { scenario: Arc::new(scenario), seed }.with(&settings).unwrap();
    (slots, limits(&leg.ticks, slots))
}

#[test]
#[ignore = "half a minute in a release build"]
fn the_limit_settles_and_ramps_as_the_law_does() {
    let settled = FORMS.iter().flat_map(|form| SEEDS.map(|seed| (form, seed))).map(|(form, seed)| {
        let (slots, limits) = from_below(form, seed, false);
        let late = limits.iter().filter(|(at, _)| *at > SETTLED_S).map(|(_, limit)| *limit).collect();
        let settles = median(late) / slots as f64;
        println!("{form} {seed}: settles at {settles:.2} times the workers");
        settles
    });
    let settles = median(settled.collect());
    let ramps = SEEDS.map(|seed| {
        let (_, limits) = from_below("s-cb", seed, true);
        let late = median(limits.iter().filter(|(at, _)| *at > 20.0).map(|(_, limit)| *limit).collect());
        let first = limits[0].1;
        let most = |(at, limit): &(f64, f64)| (*limit >= first + 0.63 * (late - first)).then_some(*at);
        let ramp = limits.iter().find_map(most).unwrap();
        println!("s-cb {seed}: from {first:.0} most of the way to {late:.0} in {ramp:.1} s");
        ramp
    });
    let ramp = median(ramps.to_vec());
    println!("settles at {settles:.2} (model: {KNEE_SETTLES}), ramps in {ramp:.1} s (model: {RAMP_S})");
    assert!((settles / KNEE_SETTLES).ln().abs() < 1.4_f64.ln(), "{settles}");
    assert!((ramp / RAMP_S).ln().abs() < 1.6_f64.ln(), "{ramp}");
}

#[test]
#[ignore = "half a minute in a release build"]
fn sessions_come_to_what_requests_come_to() {
    for name in FORMS {
        let (scenario, settings) = form(name);
        let (mut served, mut waits) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for seed in SEEDS {
            let rehearsal = Rehearsal { scenario: Arc::new(scenario.clone()), seed };
            let leg = LegSummary::new(&scenario, &rehearsal.with(&settings).unwrap());
            let outcome = rehearse(&Day::read(&scenario, &settings, seed).unwrap(), |_| ());
            served[0].push(leg.completed as f64);
            served[1].push(outcome.served as f64);
            waits[0].push(leg.goal_p50_s.unwrap());
            waits[1].push(outcome.goals.at(0.5).unwrap());
        }
        let ratio = |[requests, sessions]: [Vec<f64>; 2]| median(sessions) / median(requests);
        let (served, wait) = (ratio(served), ratio(waits));
        println!("{name}: sessions over requests: people served {served:.3}, median wait {wait:.3}");
        assert!((served - 1.0).abs() < 0.2 && (wait - 1.0).abs() < 0.2, "{name}: {served} {wait}");
    }
}
