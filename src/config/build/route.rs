//! `[route.NAME]`: the names it uses, the paths it takes, and what must not stand together.

use super::Judge;
use super::upstream::limit_policy;
use crate::admission::Class;
use crate::admission::policy::LawPolicy;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::{RawClass, RawOnClientGone, RawRoute};
use crate::config::settings::{OnClientGone, RouteSettings};
use crate::config::spelling::{did_you_mean, list};

/// Everything of Tornello's own is under this.
const OURS: &str = "/.tornello";

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    judge.refuse_if(raw.route.is_empty(), || {
        let upstream = raw.upstream.keys().next().map_or("app", String::as_str);
        let help = format!("add `[route.all]` with `upstream = \"{upstream}\"`");
        Finding::error(at(&["route"]), "there is no route, so every request would be answered 404", help)
    });
    for (name, route) in &raw.route {
        let path = at(&["route", name]);
        names(judge, &path, route);
        twins(judge, name, route);
        paths(judge, &path, route);
        storing(judge, &path, route);
        times(judge, &path, route);
        optional(judge, &path, name, route);
    }
}

/// What can be done without is refused for the sake of others before the same upstream.
fn optional(judge: &mut Judge<'_, '_>, path: &KeyPath, name: &str, route: &RawRoute) {
    let mut others = judge.raw.route.iter().filter(|(other, _)| *other != name);
    let alone =
        !others.any(|(_, other)| other.upstream == route.upstream && other.class != RawClass::Optional);
    judge.refuse_if(alone && route.class == RawClass::Optional, || {
        let message = format!("`{path}` is optional, but nothing else goes to `{}`", route.upstream);
        let help = "write another class, or give what must not fail a route to the same upstream";
        Finding::warning(path.key("class"), message, help).about(path.key("upstream")).about(at(&["route"]))
    });
}

fn names(judge: &mut Judge<'_, '_>, path: &KeyPath, route: &RawRoute) {
    let raw = judge.raw;
    name(judge, path, "upstream", Some(&route.upstream), &raw.upstream.keys().collect::<Vec<_>>());
    name(judge, path, "room", route.room.as_ref(), &raw.room.keys().collect::<Vec<_>>());
    name(judge, path, "quota", route.quota.as_ref(), &raw.quota.keys().collect::<Vec<_>>());
    judge.refuse_if(route.room.is_some() && route.quota.is_none() && !raw.quota.is_empty(), || {
        let quotas: Vec<&String> = raw.quota.keys().collect();
        let help = format!("add `quota = \"NAME\"` to the route; there is {}", list(&quotas));
        Finding::warning(path.clone(), format!("`{path}` has a room but no quota"), help)
            .about(path.key("quota"))
            .note("the room bounds how many people are inside, only a quota bounds what one of them may send")
    });
}

fn name(judge: &mut Judge<'_, '_>, path: &KeyPath, kind: &str, wanted: Option<&String>, names: &[&String]) {
    let Some(wanted) = wanted.filter(|wanted| !names.contains(wanted)) else { return };
    let help = match (did_you_mean(wanted, names.iter().map(|name| name.as_str())), names) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => format!("add `[{kind}.{wanted}]`; the file has no {kind} yet"),
        (None, names) => format!("add `[{kind}.{wanted}]`, or use {}", list(names)),
    };
    let finding = Finding::error(path.key(kind), format!("there is no {kind} `{wanted}`"), help);
    judge.add(finding.about(at(&[kind, wanted])));
}

/// Two routes for the same requests: which would win? The later one in the file is refused.
fn twins(judge: &mut Judge<'_, '_>, name: &str, route: &RawRoute) {
    let place = |name: &str| judge.document.locate(&at(&["route", name])).start;
    let same = |other: &RawRoute| other.host == route.host && other.path == route.path;
    let mut others = judge.raw.route.iter().filter(|(other, raw)| other.as_str() != name && same(raw));
    let Some((twin, _)) = others.find(|(other, _)| place(other) < place(name)) else { return };
    let host = route.host.as_ref().map_or("every host", |host| &host.0.0);
    let message = format!("the routes `{twin}` and `{name}` both take {host} with `{}`", route.path.0.0);
    let (this, other) = (at(&["route", name]), at(&["route", twin]));
    let finding = Finding::error(this.key("path"), message, "change `host` or `path` of one, or remove it")
        .about(this.key("host"))
        .about(other.key("host"))
        .related(other.key("path"), "taken here");
    judge.add(finding);
}

/// Whether `path` is `prefix` or below it.
fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn paths(judge: &mut Judge<'_, '_>, path: &KeyPath, route: &RawRoute) {
    let own = &route.path.0.0;
    judge.refuse_if(is_below(own, OURS), || {
        let help = "choose another path; Tornello answers everything under it by itself";
        Finding::error(path.key("path"), format!("`{OURS}` belongs to Tornello"), help)
    });
    let list = path.key("bypass_paths");
    for (index, bypass) in route.bypass_paths.iter().enumerate() {
        let (bypass, here) = (&bypass.0.0, list.index(index));
        if !is_below(bypass, own) {
            let help = format!("write a path below `{own}`, or put it into the route that takes it");
            let message = format!("`{bypass}` is not below the route's path `{own}`");
            judge.add(Finding::error(here, message, help).about(path.key("path")));
        } else if bypass == own {
            let help = "name the paths that may skip; for all of them leave `room` and `quota` out";
            let message =
                format!("`{bypass}` is the whole route: everything would skip its room and its quota");
            judge.add(Finding::error(here, message, help).about(path.key("path")));
        } else if let Some(first) =
            route.bypass_paths.iter().take(index).position(|first| &first.0.0 == bypass)
        {
            let message = format!("`{bypass}` stands in `{list}` twice");
            judge.add(
                Finding::error(here, message, "remove one of the two").related(list.index(first), "and here"),
            );
        }
    }
    bypass(judge, path, route);
}

/// Who passes by, and in what number.
fn bypass(judge: &mut Judge<'_, '_>, path: &KeyPath, route: &RawRoute) {
    let ways = [
        ("bypass_paths", !route.bypass_paths.is_empty()),
        ("bypass_addresses", !route.bypass_addresses.is_empty()),
        ("bypass_header", route.bypass_header.is_some()),
    ];
    let first = ways.into_iter().find(|(_, is)| *is).map(|(key, _)| path.key(key));
    let list = path.key("bypass_paths");
    judge.refuse_if(route.bypass_header.is_some() && judge.raw.edge.trusted_proxies.is_empty(), || {
        let help = "set `edge.trusted_proxies` to the proxies that set this header, or remove the key";
        Finding::error(path.key("bypass_header"), "the header is believed from nobody", help)
            .about(at(&["edge", "trusted_proxies"]))
            .note("without trusted proxies anybody could send the header and pass by the room")
    });
    let header = route.bypass_header.as_ref().map(|header| &header.name.0);
    super::lane::vouched(judge, path.key("bypass_header").key("name"), header);
    super::lane::covered(judge, path.key("bypass_addresses"), &route.bypass_addresses);
    judge.refuse_if(first.is_some() && route.room.is_none() && route.quota.is_none(), || {
        let help = "remove the key, or give the route a room or a quota";
        Finding::warning(
            first.clone().unwrap_or_else(|| list.clone()),
            format!("`{path}` has neither room nor quota to bypass"),
            help,
        )
        .about(path.key("room"))
        .about(path.key("quota"))
    });
    let limit = path.key("bypass_limit");
    let says_limit = judge.says(&limit);
    judge.refuse_if(says_limit && first.is_none(), || {
        let help = "remove the key, or name the paths in `bypass_paths`, or staff in `bypass_addresses`";
        Finding::warning(limit.clone(), "`bypass_limit` has no effect while nothing bypasses", help)
            .about(list)
    });
    let ceiling = judge.raw.upstream.get(&route.upstream).map(|upstream| upstream.limit.ceiling);
    let ceiling = ceiling.filter(|ceiling| says_limit && route.bypass_limit > *ceiling);
    if let Some(ceiling) = ceiling {
        let message = format!("`{limit}` is {}, above all that the upstream takes", route.bypass_limit);
        let help = format!("write less than {ceiling}, the ceiling of `{}`", route.upstream);
        let upstream = at(&["upstream", &route.upstream, "limit", "ceiling"]);
        judge.add(Finding::error(limit, message, help).about(path.key("upstream")).about(upstream));
    }
}

fn storing(judge: &mut Judge<'_, '_>, path: &KeyPath, route: &RawRoute) {
    let identity = &judge.raw.identity;
    const OWN_ROUTE: &str = "remove `shared`; what is the same for everybody can have a route without a room";
    const NOBODY: &str = "remove `shared`: where people are recognised, every answer may be one person's";
    let (why, other, help) = match (&route.room, &identity.header, &identity.credential) {
        (None, ..) if identity.jwt.is_some() => {
            ("`identity.jwt` tells people apart", at(&["identity", "jwt"]), NOBODY)
        }
        (Some(_), ..) => ("it has a room", path.key("room"), OWN_ROUTE),
        (None, Some(_), _) => ("`identity.header` tells people apart", at(&["identity", "header"]), NOBODY),
        (None, None, Some(_)) => {
            ("`identity.credential` tells people apart", at(&["identity", "credential"]), NOBODY)
        }
        (None, None, None) => return,
    };
    judge.refuse_if(route.shared, || {
        let message = format!("caches may share `{path}`, but {why}");
        Finding::error(path.key("shared"), message, help).related(other, "because of this").note(
            "on 1 April 2020 a cache before INPS, Italy's social security, gave people the pages of others; \
             answers made for one person must not be stored",
        )
    });
}

fn times(judge: &mut Judge<'_, '_>, path: &KeyPath, route: &RawRoute) {
    let raw = judge.raw;
    let timeout = path.key("timeout");
    judge.refuse_if(route.timeout.0 > raw.edge.drain.0, || {
        let help = format!("write `edge.drain` of at least {:?}", route.timeout);
        let message = format!(
            "answers may take {:?}, but a stop waits only {:?} for them",
            route.timeout, raw.edge.drain
        );
        Finding::warning(timeout.clone(), message, help).about(at(&["edge", "drain"]))
    });
    let Some(upstream) = raw.upstream.get(&route.upstream) else { return };
    let LawPolicy::Aimd { latency } = limit_policy(&upstream.limit).law else { return };
    judge.refuse_if(route.timeout.0 <= latency, || {
        let help = format!("write a `timeout` above {latency:?}, or lower the upstream's `limit.latency`");
        let message =
            format!("`{timeout}` is {:?}: answers are given up before they count as slow", route.timeout);
        let limit = at(&["upstream", &route.upstream, "limit"]);
        Finding::warning(timeout.clone(), message, help).about(limit).about(path.key("upstream"))
    });
}

pub(super) fn build(raw: &RawRoute) -> RouteSettings {
    RouteSettings {
        host: raw.host.as_ref().map(|host| host.0.0.clone()),
        path: raw.path.0.0.clone(),
        upstream: raw.upstream.clone(),
        room: raw.room.clone(),
        quota: raw.quota.clone(),
        class: match raw.class {
            RawClass::Finish => Class::Finish,
            RawClass::Admitted => Class::Admitted,
            RawClass::Entry => Class::Entry,
            RawClass::Bulk | RawClass::Optional => Class::Bulk,
        },
        optional: raw.class == RawClass::Optional,
        share: raw.share,
        timeout: raw.timeout.0,
        tunnel_idle: raw.tunnel_idle.0,
        body_limit: raw.body_limit.0.0,
        on_client_gone: match raw.on_client_gone {
            RawOnClientGone::Finish => OnClientGone::Finish,
            RawOnClientGone::Cancel => OnClientGone::Cancel,
        },
        bypass_paths: raw.bypass_paths.iter().map(|path| path.0.0.clone()).collect(),
        bypass_addresses: raw.bypass_addresses.iter().map(|net| net.0).collect(),
        bypass_header: raw.bypass_header.as_ref().map(|header| (header.name.0.clone(), header.value.clone())),
        bypass_limit: raw.bypass_limit,
        shared: raw.shared,
    }
}
