//! `[[fault]]`: one thing that breaks, from when, until when.

use super::super::raw::{RawFault, RawScenario};
use super::super::{Errors, Fault, FaultKind};
use super::{Judge, element, pool_index};
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::spelling::list;
use crate::lab::law::seconds;

/// The keys that say what breaks, and what each goes with.
const POOL_KEYS: [&str; 4] = ["slots", "stalled", "slowness", "error_rate"];
/// The keys that say how errors come.
const ERROR_KEYS: [&str; 2] = ["error_status", "error_at_once"];

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    let pools: Vec<&str> = raw.pool.keys().map(String::as_str).collect();
    for (index, fault) in raw.fault.iter().enumerate() {
        let path = element("fault", index);
        let said = what(fault);
        if said.len() != 1 {
            let message = match said.as_slice() {
                [] => "this fault does not say what breaks".to_owned(),
                _ => format!("this fault says several things at once: {}", list(&said)),
            };
            let help = "write one of `slots`, `stalled`, `slowness` or `error_rate` with `pool`, or \
                        `origin = \"dead\"`, or `kill = \"gateway\"`; for more, write another `[[fault]]`";
            let all = ["slots", "stalled", "slowness", "error_rate", "origin", "kill"];
            let finding = Finding::error(path.clone(), message, help);
            judge.add(all.iter().fold(finding, |finding, key| finding.about(path.key(key))));
        }
        match (&fault.pool, said.as_slice()) {
            (None, [key]) if POOL_KEYS.contains(key) => {
                let help = match pools.first() {
                    Some(pool) => format!("add `pool = \"{pool}\"`"),
                    None => "add `pool = \"NAME\"`".to_owned(),
                };
                let finding = Finding::error(path.clone(), format!("`{key}` of which pool?"), help);
                judge.add(finding.about(path.key("pool")));
            }
            (Some(_), [key]) if !POOL_KEYS.contains(key) => {
                let message = format!("`{key}` does not happen to a pool");
                judge.add(Finding::error(path.key("pool"), message, "remove `pool`"));
            }
            (Some(pool), _) => judge.name(&path.key("pool"), pool, &pools, "[pool.NAME]"),
            (None, _) => {}
        }
        let how = [fault.error_status.is_some(), fault.error_at_once.is_some()];
        for (key, _) in ERROR_KEYS.into_iter().zip(how).filter(|(_, said)| *said) {
            judge.refuse_if(fault.error_rate.is_none(), || {
                let message = format!("`{key}` without errors");
                Finding::error(path.key(key), message, "add `error_rate`, or remove it")
            });
        }
        times(judge, &path, fault);
        overlap(judge, index, fault);
    }
}

/// What a fault says that breaks.
fn what(fault: &RawFault) -> Vec<&'static str> {
    let keys = [
        ("slots", fault.slots.is_some()),
        ("stalled", fault.stalled.is_some()),
        ("slowness", fault.slowness.is_some()),
        ("error_rate", fault.error_rate.is_some()),
        ("origin", fault.origin.is_some()),
        ("kill", fault.kill.is_some()),
    ];
    keys.into_iter().filter_map(|(key, said)| said.then_some(key)).collect()
}

fn times(judge: &mut Judge<'_, '_>, path: &KeyPath, fault: &RawFault) {
    match (fault.until_s, fault.kill) {
        (Some(_), Some(_)) => {
            let help = "remove `until_s`: who is killed is started again at once";
            judge.add(Finding::error(path.key("until_s"), "a kill has no end", help));
        }
        (None, None) if !what(fault).is_empty() => {
            let help = format!("add `until_s = {}`", fault.at_s + 10.0);
            let finding = Finding::error(path.clone(), "this fault has no end", help);
            judge.add(finding.about(path.key("until_s")));
        }
        (Some(until), _) => judge.refuse_if(until <= fault.at_s, || {
            let help = format!("write an `until_s` above {}", fault.at_s);
            let message = format!("the fault ends at {until} s, before it begins");
            Finding::error(path.key("until_s"), message, help).related(path.key("at_s"), "it begins here")
        }),
        (None, _) => {}
    }
    let horizon = judge.raw.horizon_s;
    judge.refuse_if(fault.at_s >= horizon, || {
        let help = "let it begin earlier, or raise `horizon_s`";
        let message = format!("the leg is over at {horizon} s, before this fault begins");
        Finding::warning(path.key("at_s"), message, help).about(at(&["horizon_s"]))
    });
}

/// Two faults of one kind at one place, at the same time: it would not be plain which holds.
fn overlap(judge: &mut Judge<'_, '_>, index: usize, fault: &RawFault) {
    let raw = judge.raw;
    let same = |other: &RawFault| what(other) == what(fault) && other.pool == fault.pool;
    let until = |fault: &RawFault| fault.until_s.unwrap_or(fault.at_s);
    let meets = |other: &RawFault| other.at_s < until(fault) && fault.at_s < until(other);
    let first = raw.fault.iter().take(index).position(|other| same(other) && meets(other));
    if let Some(first) = first {
        let help = "let one end before the other begins";
        let message = "two faults of the same kind at the same time";
        let path = element("fault", index);
        let finding = Finding::error(path.key("at_s"), message, help).about(path.key("until_s"));
        judge.add(finding.related(element("fault", first).key("at_s"), "the other begins here"));
    }
}

pub(super) fn build(raw: &RawScenario, fault: &RawFault) -> Option<Fault> {
    let pool = fault.pool.as_ref().and_then(|name| pool_index(raw, name));
    let kind = match (pool, fault) {
        (_, RawFault { kill: Some(victim), .. }) => FaultKind::Kill(*victim),
        (_, RawFault { origin: Some(_), .. }) => FaultKind::OriginDead,
        (Some(pool), RawFault { slots: Some(slots), .. }) => FaultKind::Slots { pool, slots: *slots },
        (Some(pool), RawFault { stalled: Some(true), .. }) => FaultKind::Stall { pool },
        (Some(pool), RawFault { slowness: Some(times), .. }) => FaultKind::Slowness { pool, times: *times },
        (Some(pool), RawFault { error_rate: Some(share), .. }) => {
            let plain = Errors::of(*share);
            let errors = Errors {
                status: fault.error_status.unwrap_or(plain.status),
                at_once: fault.error_at_once.unwrap_or(plain.at_once),
                ..plain
            };
            FaultKind::Errors { pool, errors }
        }
        _ => return None,
    };
    Some(Fault { at: seconds(fault.at_s), until: fault.until_s.map(seconds), kind })
}
