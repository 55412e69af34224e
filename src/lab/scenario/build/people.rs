//! What makes people people: `[[class]]` without a rate.

use super::super::raw::{RawClass, RawSpan};
use super::super::{Patience, People, Repeat, RetryRule};
use super::Judge;
use crate::config::document::KeyPath;
use crate::config::findings::Finding;
use crate::lab::law::{Span, seconds};

pub(super) fn judge(judge: &mut Judge<'_, '_>, path: &KeyPath, class: &RawClass) {
    judge.refuse_if(class.patience_s.is_none(), || {
        let help = "add `patience_s = { spinner = 30, ticket = 180 }`; programs have `rate_rps` instead";
        Finding::error(path.clone(), "people have patience, and this class has none", help)
            .about(path.key("patience_s"))
    });
    if let Some(patience) = class.patience_s {
        order(judge, &path.key("patience_s"), patience.spinner, patience.ticket);
    }
    for (key, shares) in
        [("devices", class.devices.as_ref()), ("repeat", class.repeat.as_ref().map(|repeat| &repeat.times))]
    {
        if let Some(shares) = shares {
            let path = if key == "repeat" { path.key(key).key("times") } else { path.key(key) };
            judge.shares(&path, shares.iter().map(|share| share.0));
        }
    }
    if let Some(locale) = class.locale.as_ref().filter(|locale| !locale.is_empty()) {
        judge.shares(&path.key("locale"), locale.values().map(|share| share.0));
    }
    repeat(judge, path, class);
    companions(judge, path, class);
}

/// Nobody has less patience for knowing when it is their turn.
fn order(judge: &mut Judge<'_, '_>, path: &KeyPath, spinner: RawSpan, ticket: RawSpan) {
    let (short, long) = (spinner.span().mean_s(), ticket.span().mean_s());
    judge.refuse_if(long < short, || {
        let help = format!("write a `ticket` of at least {short}, or a shorter `spinner`");
        let message = format!("`{path}.ticket` is {long}, shorter than the patience without a place");
        Finding::error(path.key("ticket"), message, help).related(path.key("spinner"), "without a place")
    });
}

fn repeat(judge: &mut Judge<'_, '_>, path: &KeyPath, class: &RawClass) {
    let Some(repeat) = &class.repeat else { return };
    let path_here = path.key("repeat");
    let last = class.steps.iter().map(|step| super::class::times(step).unwrap_or(1)).sum::<usize>();
    judge.refuse_if(repeat.from > repeat.to, || {
        let help = format!("write a `to` of at least {}", repeat.from);
        let message = format!("`{path_here}.to` is {}, before `from`", repeat.to);
        Finding::error(path_here.key("to"), message, help).related(path_here.key("from"), "from here")
    });
    judge.refuse_if(repeat.from <= repeat.to && repeat.to >= last, || {
        let help = format!("write a `to` of at most {}: steps are counted from 0", last.saturating_sub(1));
        let message = format!("`{path_here}.to` is {}, but the way has {last} steps", repeat.to);
        Finding::error(path_here.key("to"), message, help).related(path.key("steps"), "the way")
    });
}

/// Keys that mean nothing without another.
fn companions(judge: &mut Judge<'_, '_>, path: &KeyPath, class: &RawClass) {
    for (key, share, other, there, example) in [
        ("nat_share", class.nat_share, "nat_addresses", class.nat_addresses.is_some(), "4"),
        ("f5_share", class.f5_share, "f5_every_s", class.f5_every_s.is_some(), "2"),
        ("close_tab", class.close_tab, "away_s", class.away_s.is_some(), "{ law = \"exp\", mean_s = 5 }"),
    ] {
        judge.refuse_if(share.is_some_and(|share| share > 0.0) && !there, || {
            let message = format!("`{path}.{key}` needs `{other}`");
            Finding::error(path.key(key), message, format!("add `{other} = {example}`"))
                .about(path.key(other))
        });
    }
}

pub(super) fn build(class: &RawClass, steps: Vec<usize>, closing: usize) -> People {
    let span = |span: Option<RawSpan>, or: f64| span.map_or(Span::fixed(or), RawSpan::span);
    let patience = class.patience_s.map_or((span(None, 60.0), span(None, 60.0)), |patience| {
        (patience.spinner.span(), patience.ticket.span())
    });
    People {
        steps,
        repeat: class.repeat.as_ref().map(|repeat| Repeat {
            from: repeat.from,
            to: repeat.to,
            times: repeat.times.iter().map(|share| share.0).collect(),
        }),
        cases: class.cases.unwrap_or(1),
        closing,
        app_share: class.app_share.unwrap_or(0.0),
        no_script: class.no_script.unwrap_or(0.0),
        no_cookies: class.no_cookies.unwrap_or(0.0),
        devices: class
            .devices
            .as_ref()
            .map_or_else(|| vec![1.0], |all| all.iter().map(|one| one.0).collect()),
        nat_share: class.nat_share.unwrap_or(0.0),
        nat_addresses: class.nat_addresses.unwrap_or(1),
        locale: class.locale.iter().flatten().map(|(tag, share)| (tag.clone(), share.0)).collect(),
        think: span(class.think_s, 0.0),
        retry: class.retry.unwrap_or(RetryRule::None),
        retry_gap: span(class.retry_gap_s, 1.0),
        f5_share: class.f5_share.unwrap_or(0.0),
        f5_every: seconds(class.f5_every_s.unwrap_or(2.0)),
        patience: Patience { spinner: patience.0, ticket: patience.1 },
        silent_leave: class.silent_leave.unwrap_or(0.0),
        refreshes: class.refreshes.unwrap_or(0),
        change_ip: class.change_ip.unwrap_or(0.0),
        close_tab: class.close_tab.unwrap_or(0.0),
        away: span(class.away_s, 1.0),
        hang_up: class.hang_up.unwrap_or(0.0),
    }
}
