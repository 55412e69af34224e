//! `[edge]` and `[identity]`.

use super::Judge;
use crate::admission::pace::PacePolicy;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::{RawCredential, RawEdge, RawForwarded, RawIdentity, RawOtherwise, RawTrace};
use crate::config::settings::{
    ClaimProof, Credential, EdgeSettings, ForwardedHeader, IdentitySettings, InvitationSettings, JwtSettings,
    KeySource, TraceRule,
};
use crate::config::text::{Format, Size};

/// Headers that cannot name a person: they frame the message, belong to one hop, or are ours.
pub(super) const NOT_IDENTITY: [&str; 26] = [
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
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    caps(judge);
    heads(judge);
    jwt(judge);
    header(judge);
    credential(judge);
}

fn jwt(judge: &mut Judge<'_, '_>) {
    let Some(jwt) = &judge.raw.identity.jwt else { return };
    let path = at(&["identity", "jwt"]);
    if jwt.keys.contains("://") {
        key_address(judge, &path.key("keys"), &jwt.keys);
    }
    if let Some(name) = &jwt.cookie {
        let ours = name.0.0.trim_start_matches("__Host-").starts_with("tornello-");
        judge.refuse_if(ours, || {
            let help = "write the name of the cookie in which your login puts the token";
            Finding::error(path.key("cookie"), format!("the cookie `{}` is Tornello's own", name.0.0), help)
        });
    }
}

/// Keys come over TLS, or from this machine.
fn key_address(judge: &mut Judge<'_, '_>, path: &KeyPath, text: &str) {
    let uri = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some());
    let known = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let Some(uri) = known else {
        let help = "write an address such as `https://login.example.org/jwks.json`, or the name of a file";
        return judge.add(Finding::error(path.clone(), format!("`{text}` is no address of keys"), help));
    };
    judge.refuse_if(uri.authority().is_some_and(|authority| authority.as_str().contains('@')), || {
        let help = "remove what stands before `@`; public keys are had without signing in";
        Finding::error(path.clone(), "the address of the keys names a user", help)
    });
    let host = uri.host().map(|host| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>());
    let is_here = host.is_some_and(|host| host.is_ok_and(|host| host.is_loopback()));
    judge.refuse_if(uri.scheme_str() == Some("http") && !is_here, || {
        let help = "write the address with `https://`, or the name of a file";
        Finding::error(path.clone(), "the keys would come in the clear", help)
            .note("whoever sits on the way could put in a key of his own and be anybody")
    });
}

/// As browsers write it: lower case, no path, nothing for everybody.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let plain = rest.parse::<http::uri::Authority>().is_ok_and(|authority| authority.as_str() == rest);
    plain && !rest.contains(['@', '*']) && !rest.bytes().any(|byte| byte.is_ascii_uppercase())
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
    for (index, origin) in edge.cors_origins.iter().enumerate() {
        judge.refuse_if(!is_origin(origin), || {
            let help =
                "write scheme, host and port as browsers do: \"https://app.example.org\", without a path";
            let path = at(&["edge", "cors_origins"]).index(index);
            Finding::error(path, format!("`{origin}` is no origin"), help)
        });
    }
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

pub(super) fn edge(raw: &RawEdge) -> EdgeSettings {
    let connections = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let bytes = |size: &Size| usize::try_from(size.0).unwrap_or(usize::MAX);
    EdgeSettings {
        max_connections: connections(raw.max_connections),
        max_connections_per_prefix: connections(raw.max_connections_per_prefix),
        max_streams: raw.max_streams,
        head_timeout: raw.head_timeout.0,
        pace: PacePolicy { bytes_per_second: raw.min_rate.0.0, patience: raw.patience.0 },
        idle_timeout: raw.idle_timeout.0,
        max_head: bytes(&raw.max_head.0),
        max_target: bytes(&raw.max_target.0),
        max_fields: connections(raw.max_fields),
        drain: raw.drain.0,
        cors_origins: raw.cors_origins.clone(),
        trusted_proxies: raw.trusted_proxies.iter().map(|net| net.0).collect(),
        legacy_503_for_429: raw.legacy_503_for_429,
        trace: match raw.trace {
            RawTrace::Trusted => TraceRule::Trusted,
            RawTrace::Always => TraceRule::Always,
            RawTrace::Never => TraceRule::Never,
        },
    }
}

pub(super) fn identity(raw: &RawIdentity, proofs: Vec<ClaimProof>, certificates: bool) -> IdentitySettings {
    let credential = raw.credential.as_ref().map(|credential| match &credential.cookie {
        Some(name) => Credential::Cookie(name.0.0.clone()),
        None => Credential::Authorization,
    });
    let jwt = raw.jwt.as_ref().map(|jwt| JwtSettings {
        keys: if jwt.keys.contains("://") {
            KeySource::Address(jwt.keys.clone())
        } else {
            KeySource::File(jwt.keys.clone().into())
        },
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        cookie: jwt.cookie.as_ref().map(|name| name.0.0.clone()),
        claim: jwt.claim.clone(),
        proofs,
        leeway: jwt.leeway.0,
        refuses: jwt.otherwise == RawOtherwise::Refuse,
    });
    let invitations = raw.invitations.as_ref().map(|invitations| InvitationSettings {
        list: invitations.list.clone().into(),
        key: invitations.key.clone().into(),
    });
    IdentitySettings {
        jwt,
        invitations,
        certificates,
        header: raw.header.as_ref().map(|header| header.0.clone()),
        credential,
        forwarded: match raw.forwarded {
            RawForwarded::XForwardedFor => ForwardedHeader::XForwardedFor,
            RawForwarded::Forwarded => ForwardedHeader::Forwarded,
        },
    }
}
