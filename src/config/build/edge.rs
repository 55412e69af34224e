//! `[listen]`, `[edge]` and `[identity]`.

use std::net::{IpAddr, SocketAddr};

use super::Judge;
use crate::config::document::at;
use crate::config::findings::Finding;
use crate::config::raw::{RawCredential, RawEdge, RawForwarded, RawIdentity, RawListen};
use crate::config::settings::{Boot, Credential, EdgeSettings, ForwardedHeader, IdentitySettings};
use crate::config::text::{Format, Size};

/// Headers that cannot name a person: they frame the message, belong to one hop, or are ours.
const NOT_IDENTITY: [&str; 21] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-real-ip",
];

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    listen(judge);
    caps(judge);
    heads(judge);
    header(judge);
    credential(judge);
}

/// Whether two sockets cannot both be bound.
fn clash(one: SocketAddr, two: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    let same_family = one.is_ipv4() == two.is_ipv4();
    let same = one.ip() == two.ip() || (same_family && (any(one.ip()) || any(two.ip())));
    one.port() == two.port() && one.port() != 0 && same
}

fn listen(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    let addresses = raw.listen.http.as_slice();
    let many = matches!(raw.listen.http, crate::config::raw::OneOrMany::Many(_));
    let path =
        |index: usize| if many { at(&["listen", "http"]).index(index) } else { at(&["listen", "http"]) };
    for (second, address) in addresses.iter().enumerate() {
        let first = addresses.iter().take(second).position(|first| clash(first.0, address.0));
        if let Some(first) = first {
            let message = format!("`listen.http` has {} twice over", address.0);
            judge.add(
                Finding::error(path(second), message, "remove one of the two")
                    .related(path(first), "taken here"),
            );
        }
        judge.refuse_if(clash(address.0, raw.listen.admin.0), || {
            let port = raw.listen.admin.0.port();
            let help = format!(
                "give `listen.admin` a port of its own: `admin = \"127.0.0.1:{}\"`",
                other_port(port)
            );
            let message =
                format!("the crowd and the operators would meet at the same address, {}", address.0);
            Finding::error(path(second), message, help)
                .related(at(&["listen", "admin"]), "the operators' address")
        });
    }
    let admin = raw.listen.admin.0;
    judge.refuse_if(!is_private(admin.ip()), || {
        let help = format!(
            "write `admin = \"127.0.0.1:{}\"`, or an address of your management network",
            admin.port()
        );
        Finding::warning(
            at(&["listen", "admin"]),
            format!("`listen.admin` is open to the world at {admin}"),
            help,
        )
        .note("the admin listener has no password: who reaches it operates the gateway")
    });
}

fn other_port(port: u16) -> u16 {
    if port == 9901 { 9902 } else { 9901 }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn caps(judge: &mut Judge<'_, '_>) {
    let edge = &judge.raw.edge;
    judge.refuse_if(edge.max_connections_per_prefix > edge.max_connections, || {
        let help = format!("write `max_connections_per_prefix` of at most {}", edge.max_connections);
        let message = format!(
            "one prefix may open {} connections, but all together only {}",
            edge.max_connections_per_prefix, edge.max_connections
        );
        let (one, all) = (at(&["edge", "max_connections_per_prefix"]), at(&["edge", "max_connections"]));
        Finding::error(one, message, help).related(all, "for all together")
    });
    for (index, net) in edge.trusted_proxies.iter().enumerate() {
        judge.refuse_if(net.0.prefix_len() == 0, || {
            let help = "name the proxies' own addresses, as in `[\"10.0.0.7\"]`";
            let path = at(&["edge", "trusted_proxies"]).index(index);
            Finding::error(path, format!("`{}` trusts every machine in the world", net.0), help)
                .note("whoever is trusted may say that requests come from any address and any person")
        });
    }
}

fn heads(judge: &mut Judge<'_, '_>) {
    let edge = &judge.raw.edge;
    let (head, target) = (edge.max_head.0, edge.max_target.0);
    judge.refuse_if(target.0 > head.0, || {
        let help = format!("write `max_target` of at most {}, or raise `max_head`", head.write());
        let message = format!("a target may be longer ({}) than the head that holds it", target.write());
        Finding::error(at(&["edge", "max_target"]), message, help)
            .related(at(&["edge", "max_head"]), "for the whole head")
    });
}

fn header(judge: &mut Judge<'_, '_>) {
    let identity = &judge.raw.identity;
    let trusts_nobody = judge.raw.edge.trusted_proxies.is_empty();
    let (path, proxies) = (at(&["identity", "header"]), at(&["edge", "trusted_proxies"]));
    if let Some(header) = &identity.header {
        judge.refuse_if(trusts_nobody, || {
            let help = "set `edge.trusted_proxies` to the proxies that set this header, or remove the key";
            Finding::error(path.clone(), "`identity.header` is believed from nobody", help)
                .about(proxies.clone())
                .note("without trusted proxies anybody could send the header and be anybody")
        });
        let name = header.0.as_str();
        judge.refuse_if(NOT_IDENTITY.contains(&name) || name.starts_with("tornello-"), || {
            let help = "write the header in which your login proxy puts the person, such as `\"x-user-id\"`";
            Finding::error(path.clone(), format!("the header `{name}` cannot name a person"), help)
        });
    }
    let forwarded = at(&["identity", "forwarded"]);
    judge.refuse_if(trusts_nobody && matches!(identity.forwarded, RawForwarded::Forwarded), || {
        let help = "set `edge.trusted_proxies`, or remove the key";
        Finding::warning(forwarded, "`identity.forwarded` has no effect without trusted proxies", help)
            .about(proxies)
    });
}

fn credential(judge: &mut Judge<'_, '_>) {
    let Some(credential) = &judge.raw.identity.credential else { return };
    let path = at(&["identity", "credential"]);
    let help = "write `credential = { cookie = \"NAME\" }` or `credential = { authorization = true }`";
    match credential {
        RawCredential { cookie: Some(_), authorization: Some(true) } => {
            judge.add(Finding::error(path, "`identity.credential` names two sources", help))
        }
        RawCredential { cookie: None, authorization: Some(false) | None } => {
            judge.add(Finding::error(path, "`identity.credential` names no source", help))
        }
        RawCredential { cookie: Some(name), .. } => {
            let ours = name.0.0.trim_start_matches("__Host-").starts_with("tornello-");
            judge.refuse_if(ours, || {
                let help = "write the name of the service's own session cookie";
                Finding::error(
                    path.key("cookie"),
                    format!("the cookie `{}` is Tornello's own", name.0.0),
                    help,
                )
            });
        }
        RawCredential { .. } => {}
    }
}

pub(super) fn boot(raw: &RawListen) -> Boot {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Boot {
        listen: raw.http.as_slice().iter().map(|address| address.0).collect(),
        admin: raw.admin.0,
        threads: raw.threads.and_then(|threads| usize::try_from(threads).ok()).unwrap_or(cores),
        state_directory: raw.state_directory.0.clone(),
    }
}

pub(super) fn edge(raw: &RawEdge) -> EdgeSettings {
    let connections = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let bytes = |size: &Size| usize::try_from(size.0).unwrap_or(usize::MAX);
    EdgeSettings {
        max_connections: connections(raw.max_connections),
        max_connections_per_prefix: connections(raw.max_connections_per_prefix),
        head_timeout: raw.head_timeout.0,
        idle_timeout: raw.idle_timeout.0,
        max_head: bytes(&raw.max_head.0),
        max_target: bytes(&raw.max_target.0),
        max_fields: connections(raw.max_fields),
        drain: raw.drain.0,
        trusted_proxies: raw.trusted_proxies.iter().map(|net| net.0).collect(),
        legacy_503_for_429: raw.legacy_503_for_429,
    }
}

pub(super) fn identity(raw: &RawIdentity) -> IdentitySettings {
    let credential = raw.credential.as_ref().map(|credential| match &credential.cookie {
        Some(name) => Credential::Cookie(name.0.0.clone()),
        None => Credential::Authorization,
    });
    IdentitySettings {
        header: raw.header.as_ref().map(|header| header.0.clone()),
        credential,
        forwarded: match raw.forwarded {
            RawForwarded::XForwardedFor => ForwardedHeader::XForwardedFor,
            RawForwarded::Forwarded => ForwardedHeader::Forwarded,
        },
    }
}
