//! `[[class]]`: what people and programs have in common, and programs.

use super::super::raw::{RawClass, RawScenario};
use super::super::{Bots, Class, Conduct, Level};
use super::{Judge, element, people, rounded};
use crate::config::document::KeyPath;
use crate::config::findings::Finding;
use crate::lab::law::{ArrivalLaw, seconds};
use crate::lab::scenario::raw::RawArrival;

/// Most people of one class that can be played request by request: more do not fit one machine's ports.
const PEOPLE_MAX: u64 = 100_000;
/// Longest walk, after expansion of `x5`.
const STEPS_MAX: usize = 1_000;

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    for (index, class) in raw.class.iter().enumerate() {
        let path = element("class", index);
        let first = raw.class.iter().take(index).position(|other| other.id == class.id);
        if let Some(first) = first {
            let message = format!("two classes are called `{}`", class.id.0.0);
            judge.add(
                Finding::error(path.key("id"), message, "give each a name of its own")
                    .related(element("class", first).key("id"), "here, too"),
            );
        }
        judge.refuse_if(raw.level == Level::Request && class.people > PEOPLE_MAX, || {
            let help = format!("write at most {PEOPLE_MAX}, or `level = \"session\"` at the top of the file");
            let message = format!("{} people are too many to play each of their requests", class.people);
            Finding::error(path.key("people"), message, help)
        });
        steps(judge, &path, class);
        arrival(judge, &path, class);
        if class.rate_rps.is_some() || class.identities.is_some() || class.honours_ticket.is_some() {
            programs(judge, &path, class);
        } else {
            people::judge(judge, &path, class);
        }
    }
}

fn steps(judge: &mut Judge<'_, '_>, path: &KeyPath, class: &RawClass) {
    let raw = judge.raw;
    let known: Vec<&str> = raw.endpoint.iter().map(|end| end.id.0.0.as_str()).collect();
    let path = path.key("steps");
    for (index, step) in class.steps.iter().enumerate() {
        let path = path.index(index);
        match step.split_once(' ') {
            None => judge.name(&path, step, &known, "[[endpoint]]` with `id = \"NAME\""),
            Some((name, _)) if times(step).is_none() => {
                let help = format!("write `\"{name} x5\"` for five times the same");
                judge.add(Finding::error(path, format!("`{step}` is not a step"), help));
            }
            Some((name, _)) => judge.name(&path, name, &known, "[[endpoint]]` with `id = \"NAME\""),
        }
    }
    let all: usize = class.steps.iter().map(|step| times(step).unwrap_or(1)).sum();
    judge.refuse_if(all > STEPS_MAX, || {
        let help = format!("write at most {STEPS_MAX}, repetitions counted");
        Finding::error(path.clone(), format!("the way has {all} steps"), help)
    });
}

/// How often a step is walked in a row: `"static x5"` five times.
pub(super) fn times(step: &str) -> Option<usize> {
    match step.split_once(' ') {
        None => Some(1),
        Some((_, times)) => times.strip_prefix('x')?.parse().ok().filter(|times| *times >= 1),
    }
}

fn arrival(judge: &mut Judge<'_, '_>, path: &KeyPath, class: &RawClass) {
    let path = path.key("arrival");
    match &class.arrival {
        RawArrival::One(law) => one(judge, &path, law),
        RawArrival::Several(parts) => {
            judge.shares(&path, parts.iter().map(|part| part.share));
            for (index, part) in parts.iter().enumerate() {
                one(judge, &path.index(index).key("when"), &part.when);
            }
        }
    }
    let horizon = judge.raw.horizon_s;
    let arrival = class.arrival.arrival();
    judge.refuse_if(arrival.come_by(horizon) <= 0.0 && arrival.come_by(f64::MAX) > 0.0, || {
        let help = "raise `horizon_s`, or let them come earlier";
        let message = format!("nobody of `{}` comes before the end at {horizon} s", class.id.0.0);
        Finding::error(path.clone(), message, help).about(crate::config::document::at(&["horizon_s"]))
    });
}

fn one(judge: &mut Judge<'_, '_>, path: &KeyPath, law: &ArrivalLaw) {
    let mut order = |from: f64, to: f64, early: &str, late: &str| {
        judge.refuse_if(from > to, || {
            let message = format!("`{path}.{late}` is {to}, before `{early}` at {from}");
            let help = format!("write a `{late}` of at least {from}, or an earlier `{early}`");
            Finding::error(path.key(late), message, help).related(path.key(early), "it begins here")
        });
    };
    match law {
        ArrivalLaw::Uniform { from_s, to_s } => order(*from_s, *to_s, "from_s", "to_s"),
        ArrivalLaw::Day { from_s, to_s, .. } => order(*from_s, *to_s, "from_s", "to_s"),
        ArrivalLaw::ClickDay { t0_s, to_s, before, first, .. } => {
            order(*t0_s, *to_s, "t0_s", "to_s");
            judge.refuse_if(before + first > 1.0 + 1e-9, || {
                let help = format!("write a `first` of at most {}", rounded(1.0 - before));
                let message = format!("`before` and `first` of `{path}` sum to {}", rounded(before + first));
                Finding::error(path.key("first"), message, help).related(path.key("before"), "and this")
            });
        }
        ArrivalLaw::Steps { stretches, .. } => {
            let nobody = stretches.iter().all(|stretch| stretch.per_s <= 0.0);
            judge.refuse_if(nobody, || {
                let help = "write a `per_s` above 0 in one of them";
                let message = format!("nobody comes in any of the stretches of `{path}`");
                Finding::error(path.key("stretches"), message, help)
            });
        }
        ArrivalLaw::ExpAfter { .. } | ArrivalLaw::ExpBefore { .. } => {}
    }
}

/// Programs have a rate and owners, and nothing of what makes people people.
fn programs(judge: &mut Judge<'_, '_>, path: &KeyPath, class: &RawClass) {
    for (key, missing) in [("rate_rps", class.rate_rps.is_none()), ("identities", class.identities.is_none())]
    {
        judge.refuse_if(missing, || {
            let help = format!("add `{key} = 1`, or remove the other keys of programs");
            let message = format!("programs need `{key}`");
            Finding::error(path.clone(), message, help).about(path.key(key))
        });
    }
    for key in people_only(class) {
        let help = "remove it: classes with `rate_rps` are programs";
        judge.add(Finding::error(path.key(key), format!("programs have no `{key}`"), help));
    }
    if let Some(identities) = class.identities {
        judge.refuse_if(identities > class.people, || {
            let help = format!("write at most {}, the number of programs", class.people);
            let message = format!("{identities} owners for {} programs", class.people);
            Finding::error(path.key("identities"), message, help)
                .related(path.key("people"), "so many programs")
        });
    }
}

/// The keys of this class that only people have.
fn people_only(class: &RawClass) -> Vec<&'static str> {
    let keys = [
        ("repeat", class.repeat.is_some()),
        ("cases", class.cases.is_some()),
        ("app_share", class.app_share.is_some()),
        ("no_script", class.no_script.is_some()),
        ("no_cookies", class.no_cookies.is_some()),
        ("devices", class.devices.is_some()),
        ("nat_share", class.nat_share.is_some()),
        ("nat_addresses", class.nat_addresses.is_some()),
        ("locale", class.locale.is_some()),
        ("think_s", class.think_s.is_some()),
        ("retry", class.retry.is_some()),
        ("retry_gap_s", class.retry_gap_s.is_some()),
        ("f5_share", class.f5_share.is_some()),
        ("f5_every_s", class.f5_every_s.is_some()),
        ("patience_s", class.patience_s.is_some()),
        ("silent_leave", class.silent_leave.is_some()),
        ("refreshes", class.refreshes.is_some()),
        ("change_ip", class.change_ip.is_some()),
        ("close_tab", class.close_tab.is_some()),
        ("away_s", class.away_s.is_some()),
        ("hang_up", class.hang_up.is_some()),
    ];
    keys.into_iter().filter_map(|(key, said)| said.then_some(key)).collect()
}

pub(super) fn build(raw: &RawScenario, class: &RawClass) -> Class {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let index = |name: &str| raw.endpoint.iter().position(|end| end.id.0.0 == name);
    let steps = { class.steps.iter() }.flat_map(|step| {
        let name = step.split(' ').next().unwrap_or_default();
        std::iter::repeat_n(index(name), times(step).unwrap_or(1)).flatten()
    });
    let steps: Vec<usize> = steps.collect();
    let ends = |step: &&usize| raw.endpoint.get(**step).is_some_and(|end| end.ends_session);
    let closing = steps.iter().rev().take_while(ends).count();
    Class {
        id: class.id.0.0.clone(),
        people: size(class.people),
        arrival: class.arrival.arrival(),
        timeout: seconds(class.timeout_s),
        conduct: match (class.rate_rps, class.identities) {
            (Some(rate_rps), Some(identities)) => Conduct::Bots(Bots {
                steps,
                rate_rps,
                identities: size(identities),
                honours_ticket: class.honours_ticket.unwrap_or(false),
            }),
            _ => Conduct::People(people::build(class, steps, closing)),
        },
    }
}
