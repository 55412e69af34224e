//! `[upstream.NAME]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Judge;
use crate::admission::policy::{LawPolicy, LimitPolicy, QueuePolicy};
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::{
    RawAddress, RawHealth, RawLaw, RawLimit, RawProtocol, RawQueue, RawUpstream, RawUpstreamTls,
};
use crate::config::settings::{AddressSettings, HealthSettings, Protocol, UpstreamSettings, UpstreamTls};

const INITIAL: u32 = 20;
const LATENCY: Duration = Duration::from_millis(500);

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    for (name, upstream) in &raw.upstream {
        let path = at(&["upstream", name]);
        addresses(judge, &path, upstream);
        if let Some(tls) = &upstream.tls {
            server_name(judge, &path, upstream, tls);
        }
        limit(judge, &path.key("limit"), &upstream.limit);
        queue(judge, &path, upstream);
        health(judge, &path.key("health"), &upstream.health);
        let used = raw.route.values().any(|route| &route.upstream == name)
            || raw.room.values().any(|room| room.depends_on.contains(name));
        judge.refuse_if(!used, || {
            let help = format!("write `upstream = \"{name}\"` in a route, or remove the upstream");
            Finding::warning(path, format!("no route uses the upstream `{name}`"), help).about(at(&["route"]))
        });
    }
}

fn addresses(judge: &mut Judge<'_, '_>, path: &KeyPath, upstream: &RawUpstream) {
    let raw = judge.raw;
    let list = path.key("addresses");
    let addresses: Vec<AddressSettings> = upstream.addresses.iter().map(address).collect();
    for (second, entry) in addresses.iter().enumerate() {
        let first = addresses.iter().take(second).position(|first| first.address == entry.address);
        if let Some(first) = first {
            let message = format!("`{}` stands in `{list}` twice", entry.address);
            let help = "remove one of the two; for a larger share write `{ address = \"...\", weight = 2 }`";
            judge.add(
                Finding::error(list.index(second), message, help).related(list.index(first), "and here"),
            );
        }
        let own = super::listen::own(&raw.listen).into_iter().chain([raw.listen.admin.0]);
        let own = { own }.find(|own| is_own(*own, &entry.address));
        if let Some(own) = own {
            let message = format!("`{}` is Tornello itself, which listens at {own}", entry.address);
            let help = "write the address of the service behind Tornello";
            judge.add(Finding::error(list.index(second), message, help).about(at(&["listen"])));
        }
    }
    judge.refuse_if(!addresses.is_empty() && addresses.iter().all(|entry| entry.drain), || {
        let help = "set `drain = false` on one of them, or `hold = true` on the room";
        Finding::warning(list, format!("all addresses of `{path}` drain: nobody can be served"), help)
    });
}

/// An IP is seldom what a certificate carries, so that the name must be said.
fn server_name(judge: &mut Judge<'_, '_>, path: &KeyPath, upstream: &RawUpstream, tls: &RawUpstreamTls) {
    let addresses = upstream.addresses.iter().map(address);
    let mut bare = addresses.enumerate().filter(|(_, entry)| entry.address.parse::<SocketAddr>().is_ok());
    let Some((index, entry)) = bare.next().filter(|_| tls.server_name.is_none()) else { return };
    let message = format!("`{}` is an IP: nothing says which name its certificate carries", entry.address);
    let help = "add `server_name = \"app.example.org\"`, the name in its certificate, to `tls`";
    judge.add(
        Finding::error(path.key("tls"), message, help).related(path.key("addresses").index(index), "here"),
    );
}

/// Whether an upstream's address leads back to a socket of ours.
fn is_own(own: SocketAddr, address: &str) -> bool {
    if let Some(port) = address.strip_prefix("localhost:") {
        return is_here(own.ip()) && own.port().to_string() == port;
    }
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    let any = own.ip().is_unspecified() && is_here(address.ip()) && own.is_ipv4() == address.is_ipv4();
    (own.ip() == address.ip() || any) && own.port() == address.port()
}

/// Whether an address can only mean this machine.
fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

fn limit(judge: &mut Judge<'_, '_>, path: &KeyPath, raw: &RawLimit) {
    judge.refuse_if(raw.floor > raw.ceiling, || {
        let help = format!("write a `floor` of at most {}, or raise `ceiling`", raw.ceiling);
        let message = format!("`{path}.floor` is {}, above the ceiling of {}", raw.floor, raw.ceiling);
        Finding::error(path.key("floor"), message, help).related(path.key("ceiling"), "the ceiling")
    });
    if let Some(initial) = raw.initial.filter(|_| raw.floor <= raw.ceiling) {
        let nearest = initial.clamp(raw.floor, raw.ceiling);
        judge.refuse_if(nearest != initial, || {
            let edge = if initial < raw.floor { "floor" } else { "ceiling" };
            let message = format!("`{path}.initial` is {initial}, outside {} to {}", raw.floor, raw.ceiling);
            let help = format!("write `initial = {nearest}`, or move the `{edge}`");
            let both = Finding::error(path.key("initial"), message, help).about(path.key("floor"));
            both.about(path.key("ceiling"))
        });
    }
    let latency = raw.latency.as_ref().map_or(LATENCY, |latency| latency.0);
    judge.refuse_if(raw.law != RawLaw::Aimd && raw.latency.is_some(), || {
        let help = "remove the key, or write `law = \"aimd\"`";
        Finding::warning(path.key("latency"), "only the law `aimd` looks at `latency`", help)
            .about(path.key("law"))
    });
    judge.refuse_if(raw.law == RawLaw::Aimd && latency >= raw.stall.0, || {
        let help = "write a `stall` of several times `latency`";
        let message =
            format!("an answer after `latency`, {latency:?}, would already be a stall of {:?}", raw.stall);
        Finding::error(path.key("stall"), message, help).about(path.key("latency")).about(path.key("law"))
    });
}

fn queue(judge: &mut Judge<'_, '_>, path: &KeyPath, upstream: &RawUpstream) {
    let (key, ceiling) = (path.key("queue").key("per_user"), upstream.limit.ceiling);
    let above = upstream.queue.per_user.filter(|per_user| *per_user >= ceiling);
    if let Some(per_user) = above {
        let message = format!("`{key}` is {per_user}, but all users together have at most {ceiling}");
        let help = format!("write less than {ceiling}, or remove the key");
        judge
            .add(Finding::error(key, message, help).related(path.key("limit").key("ceiling"), "the ceiling"));
    }
}

fn health(judge: &mut Judge<'_, '_>, path: &KeyPath, raw: &RawHealth) {
    judge.refuse_if(raw.timeout.0 > raw.interval.0, || {
        let help = format!("write a `timeout` of at most {:?}, or a longer `interval`", raw.interval);
        let message =
            format!("`{path}.timeout` is {:?}, longer than the interval of {:?}", raw.timeout, raw.interval);
        Finding::error(path.key("timeout"), message, help).related(path.key("interval"), "the interval")
    });
}

fn address(raw: &RawAddress) -> AddressSettings {
    match raw {
        RawAddress::Plain(address) => {
            AddressSettings { address: address.0.0.clone(), weight: 1, drain: false }
        }
        RawAddress::Table(table) => {
            AddressSettings { address: table.address.0.0.clone(), weight: table.weight, drain: table.drain }
        }
    }
}

/// The limit as it will be in force.
pub(super) fn limit_policy(raw: &RawLimit) -> LimitPolicy {
    let nearest = INITIAL.min(raw.ceiling).max(raw.floor);
    LimitPolicy {
        law: match raw.law {
            RawLaw::Knee => LawPolicy::Knee,
            RawLaw::Fixed => LawPolicy::Fixed,
            RawLaw::Vegas => LawPolicy::Vegas,
            RawLaw::Gradient2 => LawPolicy::Gradient2,
            RawLaw::Aimd => {
                LawPolicy::Aimd { latency: raw.latency.as_ref().map_or(LATENCY, |latency| latency.0) }
            }
        },
        initial: raw.initial.unwrap_or(nearest),
        floor: raw.floor,
        ceiling: raw.ceiling,
        wait: raw.wait.0,
        stall: raw.stall.0,
    }
}

fn queue_policy(raw: &RawQueue) -> QueuePolicy {
    let parts = raw.parts;
    QueuePolicy {
        length: usize::try_from(raw.length).unwrap_or(usize::MAX),
        per_user: raw.per_user,
        parts: [parts.finish, parts.admitted, parts.entry, parts.bulk],
    }
}

pub(super) fn build(raw: &RawUpstream) -> UpstreamSettings {
    let probes = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    UpstreamSettings {
        addresses: raw.addresses.iter().map(address).collect(),
        protocol: match raw.protocol {
            RawProtocol::Http1 => Protocol::Http1,
            RawProtocol::Http2 => Protocol::Http2,
        },
        tls: raw.tls.as_ref().map(|tls| UpstreamTls {
            server_name: tls.server_name.as_ref().map(|name| name.0.0.clone()),
            ca: tls.ca.as_ref().map(|path| path.0.clone()),
        }),
        limit: limit_policy(&raw.limit),
        queue: queue_policy(&raw.queue),
        connect_timeout: raw.connect_timeout.0,
        keep_alive: raw.keep_alive.0,
        health: HealthSettings {
            path: raw.health.path.as_ref().map(|path| path.0.0.clone()),
            interval: raw.health.interval.0,
            timeout: raw.health.timeout.0,
            unhealthy: probes(raw.health.unhealthy),
            healthy: probes(raw.health.healthy),
        },
        announce_limit: raw.announce_limit,
        pass_key: raw.pass_key.as_ref().map(|file| file.0.clone()),
        tunnels: raw.tunnels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_and_neighbours_are_not() {
        for (own, address, is) in [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "localhost:80", true),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("10.0.0.1:80", "10.0.0.1:80", true),
            ("[::]:80", "[::1]:80", true),
            ("0.0.0.0:80", "127.0.0.1:8080", false),
            ("0.0.0.0:80", "10.0.0.5:80", false),
            ("[::]:80", "127.0.0.1:80", false),
            ("10.0.0.1:80", "localhost:80", false),
            ("0.0.0.0:80", "app:80", false),
        ] {
            assert_eq!(is_own(own.parse().unwrap(), address), is, "{own} {address}");
        }
    }
}
