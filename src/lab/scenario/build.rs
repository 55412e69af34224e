//! From what is written to what is true: names resolved, ranges checked, positions kept for messages.

use std::fmt;

use toml::Spanned;

use super::super::law::{Span, seconds};
use super::raw::{RawClass, RawEndpoint, RawFault, RawScenario};
use super::{Bots, Class, Conduct, Endpoint, Fault, Patience, People, Pool, Repeat, RetryRule, Scenario};

/// Most people of one class: more do not fit one machine's ports.
const PEOPLE_MAX: usize = 50_000;
/// Longest walk, after expansion of `x5`.
const STEPS_MAX: usize = 1_000;

/// A fault of the scenario, and the byte where it stands.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) message: String,
}

type Checked<T> = Result<T, Wrong>;

fn wrong<T>(at: usize, message: impl fmt::Display) -> Checked<T> {
    Err(Wrong { at, message: message.to_string() })
}

/// Line and column, from 1, of a byte.
pub(super) fn position(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{line}:{column}")
}

pub(super) fn scenario(raw: RawScenario) -> Checked<Scenario> {
    let horizon_s = *raw.horizon_s.get_ref();
    if !(horizon_s > 0.0 && horizon_s <= 86_400.0 && raw.time_scale >= 1.0 && raw.time_scale.is_finite()) {
        return wrong(
            raw.horizon_s.span().start,
            "horizon_s lies in (0, 86400] and time_scale is at least 1",
        );
    }
    let mut pools = Vec::new();
    for (id, pool) in raw.pools {
        if pool.get_ref().slots == 0 {
            return wrong(pool.span().start, format_args!("pool `{id}` has no slots: at least 1"));
        }
        pools.push(Pool { id, slots: pool.get_ref().slots, zombies: pool.get_ref().zombies });
    }
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for raw in raw.endpoints {
        let at = raw.span().start;
        let end = endpoint(raw.into_inner(), at, &pools)?;
        if endpoints.iter().any(|other| other.id == end.id || other.path == end.path) {
            return wrong(at, format_args!("endpoint `{}` or its path stands twice", end.id));
        }
        endpoints.push(end);
    }
    let mut classes: Vec<Class> = Vec::new();
    for raw in raw.classes {
        let at = raw.span().start;
        let class = class(raw.into_inner(), at, &endpoints)?;
        if classes.iter().any(|other| other.id == class.id) {
            return wrong(at, format_args!("class `{}` stands twice", class.id));
        }
        classes.push(class);
    }
    if classes.is_empty() || endpoints.is_empty() {
        return wrong(0, "a scenario needs at least one [[class]] and one [[endpoint]]");
    }
    let faults = raw.faults.into_iter().map(|raw| fault(raw, &pools)).collect::<Checked<_>>()?;
    Ok(Scenario {
        name: raw.name,
        seed: raw.seed,
        horizon: seconds(horizon_s),
        time_scale: raw.time_scale,
        classes,
        endpoints,
        pools,
        faults,
    })
}

fn endpoint(raw: RawEndpoint, at: usize, pools: &[Pool]) -> Checked<Endpoint> {
    if !raw.path.starts_with('/') || raw.path.contains(['?', '#', ' ']) || raw.path.starts_with("/.tornello/")
    {
        return wrong(at, format_args!("path `{}` must be a plain absolute path", raw.path));
    }
    Ok(Endpoint {
        pool: raw
            .pool
            .map(|name| find(&name, pools.iter().map(|pool| pool.id.as_str()), "pool"))
            .transpose()?,
        id: raw.id,
        path: raw.path,
        method: raw.method,
        service: span(raw.service_s)?,
        personal: raw.personal,
        ends_session: raw.ends_session,
        bytes: raw.bytes,
    })
}

fn class(raw: RawClass, at: usize, endpoints: &[Endpoint]) -> Checked<Class> {
    let id = raw.id.clone();
    let refuse = |message: &str| wrong(at, format_args!("class `{id}`: {message}"));
    if raw.people == 0 || raw.people > PEOPLE_MAX {
        return refuse("people lies between 1 and 50000");
    }
    if !(raw.timeout_s > 0.0 && raw.timeout_s <= 600.0) {
        return refuse("timeout_s lies in (0, 600]");
    }
    if let Some(fault) = raw.arrival.get_ref().fault() {
        return wrong(raw.arrival.span().start, fault);
    }
    let steps = steps(&raw.steps, endpoints)?;
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return refuse("steps holds between 1 and 1000");
    }
    let (people, timeout, arrival) = (raw.people, seconds(raw.timeout_s), raw.arrival.get_ref().clone());
    let conduct = match (raw.rate_rps, raw.identities) {
        (None, None) => Conduct::People(habits(raw, at, steps)?),
        (Some(rate_rps), Some(identities)) => {
            if !(rate_rps > 0.0 && rate_rps <= 10_000.0) || identities == 0 || identities > people {
                return refuse("rate_rps lies in (0, 10000] and identities between 1 and people");
            }
            if raw.think_s.is_some() || raw.retry.is_some() || raw.patience_s.is_some() || raw.hang_up > 0.0 {
                return refuse("bots (rate_rps) have no think_s, retry, patience_s or hang_up");
            }
            Conduct::Bots(Bots { steps, rate_rps, identities })
        }
        _ => return refuse("bots need both rate_rps and identities; people have neither"),
    };
    Ok(Class { id, people, arrival, timeout, conduct })
}

fn habits(raw: RawClass, at: usize, steps: Vec<usize>) -> Checked<People> {
    let id = raw.id;
    let refuse = |message: &str| wrong(at, format_args!("class `{id}`: {message}"));
    for (key, share) in [
        ("app_share", raw.app_share),
        ("nat_share", raw.nat_share),
        ("silent_leave", raw.silent_leave),
        ("change_ip", raw.change_ip),
        ("hang_up", raw.hang_up),
    ] {
        if !(0.0..=1.0).contains(&share) {
            return refuse(&format!("{key} is a share, between 0 and 1"));
        }
    }
    if raw.nat_share > 0.0 && !(1..=250).contains(&raw.nat_addresses) {
        return refuse("nat_share needs nat_addresses between 1 and 250");
    }
    if !weights(&raw.devices) || raw.devices.len() > 8 {
        return refuse("devices lists the shares of people with 1, 2, ... (at most 8) devices");
    }
    let Some(patience) = raw.patience_s else { return refuse("patience_s is missing") };
    let Patience { spinner, ticket } = patience;
    if !(spinner > 0.0 && ticket >= spinner && ticket <= 86_400.0) {
        return refuse("patience_s needs 0 < spinner ≤ ticket");
    }
    let repeat = match raw.repeat {
        None => None,
        Some(written) => {
            let stands = written.span().start;
            let repeat = written.into_inner();
            if repeat.from > repeat.to || repeat.to >= steps.len() || !weights(&repeat.times) {
                return wrong(
                    stands,
                    "repeat needs from ≤ to < number of steps (from 0), and shares in times",
                );
            }
            Some(Repeat { from: repeat.from, to: repeat.to, times: repeat.times })
        }
    };
    let locale: Vec<(String, f64)> = raw.locale.into_iter().collect();
    let legible = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !locale.is_empty() && !weights(&locale.iter().map(|(_, share)| *share).collect::<Vec<_>>())
        || locale.iter().any(|(name, _)| name.is_empty() || !legible(name))
    {
        return refuse("locale maps language tags to shares");
    }
    Ok(People {
        steps,
        repeat,
        app_share: raw.app_share,
        devices: raw.devices,
        nat_share: raw.nat_share,
        nat_addresses: raw.nat_addresses,
        locale,
        think: raw.think_s.map_or(Ok(Span::Fixed { s: 0.0 }), span)?,
        retry: raw.retry.unwrap_or(RetryRule::None),
        retry_gap: raw.retry_gap_s.map_or(Ok(Span::Fixed { s: 1.0 }), span)?,
        patience,
        silent_leave: raw.silent_leave,
        refreshes: raw.refreshes,
        change_ip: raw.change_ip,
        hang_up: raw.hang_up,
    })
}

/// `"wallet"` once, `"static x5"` five times.
fn steps(written: &[Spanned<String>], endpoints: &[Endpoint]) -> Checked<Vec<usize>> {
    let mut steps = Vec::new();
    for step in written {
        let at = step.span().start;
        let text = step.get_ref().as_str();
        let (name, times) = match text.split_once(" x") {
            None => (text, 1),
            Some((name, times)) => match times.parse::<usize>() {
                Ok(times @ 1..=STEPS_MAX) => (name, times),
                _ => return wrong(at, format_args!("`{text}`: the repetition is written `{name} x5`")),
            },
        };
        let index = find(
            &Spanned::new(step.span(), name.to_owned()),
            endpoints.iter().map(|end| end.id.as_str()),
            "endpoint",
        )?;
        steps.extend(std::iter::repeat_n(index, times));
    }
    Ok(steps)
}

fn fault(raw: Spanned<RawFault>, pools: &[Pool]) -> Checked<Fault> {
    let at = raw.span().start;
    let raw = raw.into_inner();
    if !(raw.at_s >= 0.0 && raw.until_s > raw.at_s && raw.until_s <= 86_400.0) {
        return wrong(at, "a fault needs 0 ≤ at_s < until_s");
    }
    let pool = find(&raw.pool, pools.iter().map(|pool| pool.id.as_str()), "pool")?;
    Ok(Fault { at: seconds(raw.at_s), until: seconds(raw.until_s), pool, slots: raw.slots })
}

fn span(written: Spanned<Span>) -> Checked<Span> {
    match written.get_ref().fault() {
        Some(fault) => wrong(written.span().start, fault),
        None => Ok(*written.get_ref()),
    }
}

fn weights(shares: &[f64]) -> bool {
    shares.iter().all(|share| (0.0..=1.0).contains(share)) && shares.iter().sum::<f64>() > 0.0
}

fn find<'a>(
    name: &Spanned<String>,
    mut known: impl Iterator<Item = &'a str> + Clone,
    what: &str,
) -> Checked<usize> {
    let wanted = name.get_ref().as_str();
    let all = known.clone().collect::<Vec<_>>().join("`, `");
    match known.position(|id| id == wanted) {
        Some(index) => Ok(index),
        None => wrong(name.span().start, format_args!("no {what} is called `{wanted}`; there are `{all}`")),
    }
}
