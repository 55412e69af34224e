//! What a reload changes: every key with its old and its new value, as the file would say them.
//!
//! The patterns below name every field, so that a new one cannot be forgotten here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::settings::{
    AddressSettings, Belongs, Boot, CertificateFiles, ClaimProof, Credential, DrawSettings, EdgeSettings,
    ForwardedHeader, HealthSettings, IdentitySettings, InvitationSettings, JwtSettings, KeySource,
    LaneSettings, Listener, OnClientGone, Protocol, QuotaSettings, RoomSettings, RouteSettings, Settings,
    SlotSettings, TlsSettings, TraceRule, UpstreamSettings, UpstreamTls, WebhookSettings,
};
use super::text::{Format, Size, write_interval};
use crate::admission::opening::Opening;
use crate::admission::pace::PacePolicy;
use crate::admission::policy::{
    LanePolicy, LawPolicy, LimitPolicy, PollRule, QueuePolicy, Quota, RoomPolicy,
};
use crate::admission::slots::SlotRule;
use crate::admission::{Class, UnixTime};
use crate::pages::Look;
use crate::proof::draw::reveal::Party;
use crate::proof::hex;

/// A key whose value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Path of the key: `room.main.hold`.
    pub key: String,
    /// Its value before; `None` if there was none.
    pub old: Option<String>,
    /// Its value now; `None` if there is none.
    pub new: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        write!(f, "{}: {} -> {}", self.key, word(&self.old), word(&self.new))
    }
}

/// What a proxy must say may be a secret between it and us: a log tells only whether it changed.
fn unsaid(value: &str) -> String {
    let digest = Sha256::digest(value);
    format!("(sha256 {}...)", hex(digest.get(..4).unwrap_or_default()))
}

/// Every key whose value differs, in the order of their paths.
#[must_use]
pub fn difference(old: &Settings, new: &Settings) -> Vec<Change> {
    let (old, new) = (Values::of(old), Values::of(new));
    let mut keys: Vec<&String> = old.0.keys().chain(new.0.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed = keys.into_iter().filter(|key| old.0.get(*key) != new.0.get(*key));
    changed
        .map(|key| Change { key: key.clone(), old: old.0.get(key).cloned(), new: new.0.get(key).cloned() })
        .collect()
}

/// The changed keys that only a restart can bring into effect.
#[must_use]
pub fn needs_restart(old: &Settings, new: &Settings) -> Vec<String> {
    let changes = difference(old, new).into_iter();
    changes.map(|change| change.key).filter(|key| key.starts_with("listen.")).collect()
}

fn size(bytes: usize) -> String {
    Size(u64::try_from(bytes).unwrap_or(u64::MAX)).write()
}

/// Values by path, as text.
#[derive(Default)]
struct Values(BTreeMap<String, String>);

impl Values {
    fn of(settings: &Settings) -> Self {
        let Settings {
            boot,
            tls,
            edge,
            identity,
            pages,
            upstreams,
            quotas,
            rooms,
            routes,
            door,
            buckets_bytes,
        } = settings;
        let mut values = Self::default();
        values.boot(boot);
        values.tls(tls);
        values.edge(edge);
        values.put("edge.bucket_memory", Size(*buckets_bytes).write());
        values.identity(identity);
        values.pages(pages);
        values.quota("door", door);
        quotas.iter().for_each(|(name, quota)| values.quota(&format!("quota.{name}"), quota));
        upstreams.iter().for_each(|(name, upstream)| values.upstream(&format!("upstream.{name}"), upstream));
        rooms.iter().for_each(|(name, room)| values.room(&format!("room.{name}"), room));
        routes.iter().for_each(|(name, route)| values.route(&format!("route.{name}"), route));
        values
    }

    fn put(&mut self, key: impl Into<String>, value: impl ToString) {
        self.0.insert(key.into(), value.to_string());
    }

    fn put_text(&mut self, key: impl Into<String>, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, format!("{value:?}"));
        }
    }

    fn put_time(&mut self, key: impl Into<String>, value: Duration) {
        self.put(key, value.write());
    }

    fn boot(&mut self, boot: &Boot) {
        let Boot { listen, admin, threads, state_directory } = boot;
        for (key, encrypted) in [("listen.http", false), ("listen.https", true)] {
            let some = listen.iter().filter(|listener| listener.tls == encrypted);
            let some = some.map(|Listener { address, tls: _, proxy_protocol, client_ca }| {
                let proxy = if *proxy_protocol { " proxy_protocol" } else { "" };
                let asks = client_ca.map_or_else(String::new, |file| format!(" client_ca {}", file + 1));
                format!("{address}{proxy}{asks}")
            });
            self.put(key, format!("{:?}", some.collect::<Vec<_>>()));
        }
        self.put("listen.admin", admin);
        self.put("listen.threads", threads);
        self.put("listen.state_directory", state_directory.display());
    }

    fn tls(&mut self, tls: &TlsSettings) {
        let TlsSettings { certificates, only_v13, client_cas } = tls;
        for (at, file) in client_cas.iter().enumerate() {
            self.put(format!("listen.client_ca[{}]", at + 1), file.display());
        }
        for CertificateFiles { certificate, key } in certificates {
            self.put(format!("tls.certificates[{}]", certificate.display()), key.display());
        }
        self.put("tls.min_version", if *only_v13 { "1.3" } else { "1.2" });
    }

    fn pages(&mut self, pages: &Look) {
        let Look { theme, folder, privacy_url, accessibility_url, feedback_url, help_phone } = pages;
        self.put_text("pages.theme", Some(theme.name()));
        self.put_text("pages.folder", folder.as_deref().and_then(Path::to_str));
        self.put_text("pages.privacy_url", privacy_url.as_deref());
        self.put_text("pages.accessibility_url", accessibility_url.as_deref());
        self.put_text("pages.feedback_url", feedback_url.as_deref());
        self.put_text("pages.help_phone", help_phone.as_deref());
    }

    fn edge(&mut self, edge: &EdgeSettings) {
        let EdgeSettings {
            max_connections,
            max_connections_per_prefix,
            max_streams,
            head_timeout,
            pace: PacePolicy { bytes_per_second, patience },
            idle_timeout,
            max_head,
            max_target,
            max_fields,
            drain,
            trusted_proxies,
            cors_origins,
            legacy_503_for_429,
            trace,
        } = edge;
        self.put("edge.max_connections", max_connections);
        self.put("edge.max_connections_per_prefix", max_connections_per_prefix);
        self.put("edge.max_streams", max_streams);
        self.put_time("edge.head_timeout", *head_timeout);
        self.put("edge.min_rate", Size(*bytes_per_second).write());
        self.put_time("edge.patience", *patience);
        self.put_time("edge.idle_timeout", *idle_timeout);
        self.put("edge.max_head", size(*max_head));
        self.put("edge.max_target", size(*max_target));
        self.put("edge.max_fields", max_fields);
        self.put_time("edge.drain", *drain);
        self.put("edge.cors_origins", format!("{cors_origins:?}"));
        self.put("edge.trusted_proxies", format!("{trusted_proxies:?}"));
        self.put("edge.legacy_503_for_429", legacy_503_for_429);
        let trace = match trace {
            TraceRule::Trusted => "trusted",
            TraceRule::Always => "always",
            TraceRule::Never => "never",
        };
        self.put_text("edge.trace", Some(trace));
    }

    fn identity(&mut self, identity: &IdentitySettings) {
        // That certificates count is said with the listeners.
        let IdentitySettings { jwt, invitations, certificates: _, header, credential, forwarded } = identity;
        if let Some(InvitationSettings { list, key }) = invitations {
            self.put_text("identity.invitations.list", Some(&list.display().to_string()));
            self.put_text("identity.invitations.key", Some(&key.display().to_string()));
        }
        if let Some(jwt) = jwt {
            // The claims of lanes are said there.
            let JwtSettings { keys, issuer, audience, cookie, claim, proofs: _, leeway, refuses } = jwt;
            let keys = match keys {
                KeySource::File(file) => file.display().to_string(),
                KeySource::Address(address) => address.clone(),
            };
            self.put_text("identity.jwt.keys", Some(&keys));
            self.put_text("identity.jwt.issuer", Some(issuer));
            self.put_text("identity.jwt.audience", Some(audience));
            self.put_text("identity.jwt.cookie", cookie.as_deref());
            self.put_text("identity.jwt.claim", Some(claim));
            self.put("identity.jwt.leeway", write_interval(*leeway));
            self.put_text("identity.jwt.otherwise", Some(if *refuses { "refuse" } else { "anonymous" }));
        }
        self.put_text("identity.header", header.as_ref().map(http::HeaderName::as_str));
        match credential {
            Some(Credential::Cookie(name)) => self.put_text("identity.credential.cookie", Some(name)),
            Some(Credential::Authorization) => self.put("identity.credential.authorization", true),
            None => {}
        }
        let forwarded = match forwarded {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        self.put_text("identity.forwarded", Some(forwarded));
    }

    fn quota(&mut self, path: &str, quota: &QuotaSettings) {
        let QuotaSettings { user, address, prefix } = quota;
        let mut put = |path: &str, quota: &Quota| {
            self.put(format!("{path}.rate"), write_interval(Duration::from_nanos(quota.interval_ns())));
            self.put(format!("{path}.burst"), quota.burst());
        };
        put(path, user);
        put(&format!("{path}.address"), address);
        put(&format!("{path}.prefix"), prefix);
    }

    fn upstream(&mut self, path: &str, upstream: &UpstreamSettings) {
        let UpstreamSettings {
            addresses,
            protocol,
            tls,
            limit,
            queue,
            connect_timeout,
            keep_alive,
            health,
            announce_limit,
            pass_key,
            tunnels,
        } = upstream;
        let protocol = match protocol {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
        };
        self.put_text(format!("{path}.protocol"), Some(protocol));
        if let Some(UpstreamTls { server_name, ca }) = tls {
            self.put(format!("{path}.tls"), "on");
            self.put_text(format!("{path}.tls.server_name"), server_name.as_deref());
            let ca = ca.as_ref().map(|path| path.display().to_string());
            self.put_text(format!("{path}.tls.ca"), ca.as_deref());
        }
        for AddressSettings { address, weight, drain } in addresses {
            let drain = if *drain { ", drain" } else { "" };
            self.put(format!("{path}.addresses[{address}]"), format!("weight {weight}{drain}"));
        }
        self.limit(&format!("{path}.limit"), limit);
        let QueuePolicy { length, per_user, parts: [finish, admitted, entry, bulk] } = queue;
        self.put(format!("{path}.queue.length"), length);
        self.put_text(format!("{path}.queue.per_user"), per_user.map(|most| most.to_string()).as_deref());
        for (class, part) in [("finish", finish), ("admitted", admitted), ("entry", entry), ("bulk", bulk)] {
            self.put(format!("{path}.queue.parts.{class}"), part);
        }
        self.put_time(format!("{path}.connect_timeout"), *connect_timeout);
        self.put_time(format!("{path}.keep_alive"), *keep_alive);
        let HealthSettings { path: probe, interval, timeout, unhealthy, healthy } = health;
        self.put_text(format!("{path}.health.path"), probe.as_deref());
        self.put_time(format!("{path}.health.interval"), *interval);
        self.put_time(format!("{path}.health.timeout"), *timeout);
        self.put(format!("{path}.health.unhealthy"), unhealthy);
        self.put(format!("{path}.health.healthy"), healthy);
        self.put(format!("{path}.announce_limit"), announce_limit);
        let pass_key = pass_key.as_ref().map(|file| file.display().to_string());
        self.put_text(format!("{path}.pass_key"), pass_key.as_deref());
        self.put(format!("{path}.tunnels"), tunnels);
    }

    fn limit(&mut self, path: &str, limit: &LimitPolicy) {
        let LimitPolicy { law, initial, floor, ceiling, wait, stall } = limit;
        self.put_text(format!("{path}.law"), Some(law.word()));
        if let LawPolicy::Aimd { latency } = law {
            self.put_time(format!("{path}.latency"), *latency);
        }
        self.put(format!("{path}.initial"), initial);
        self.put(format!("{path}.floor"), floor);
        self.put(format!("{path}.ceiling"), ceiling);
        self.put_time(format!("{path}.wait"), *wait);
        self.put_time(format!("{path}.stall"), *stall);
    }

    fn lanes(&mut self, path: &str, weights: &[LanePolicy], lanes: &[LaneSettings]) {
        for LanePolicy { name, weight } in weights {
            let path = format!("{path}.lanes[{name}]");
            self.put(format!("{path}.weight"), weight);
            let belongs = lanes.iter().find(|lane| lane.name == *name).map(|lane| match &lane.belongs {
                Belongs::Claim(ClaimProof { claim, value }) => format!("claim {claim} = {value:?}"),
                Belongs::Header { name, value } => format!("header {name} = {}", unsaid(value)),
                Belongs::Addresses(addresses) => format!("addresses {addresses:?}"),
            });
            self.put(format!("{path}.belongs"), belongs.as_deref().unwrap_or("everybody else"));
        }
    }

    fn room(&mut self, path: &str, room: &RoomSettings) {
        let RoomSettings {
            policy,
            lanes,
            opening,
            draw,
            one_place_per,
            require_identity,
            invites: _,
            depends_on,
            messages,
            status,
            page_asks,
            title,
            webhook,
            quiet,
            slots: SlotSettings { offer, rule: SlotRule { after, length }, zone },
        } = room;
        self.put_text(format!("{path}.one_place_per"), Some(one_place_per.word()));
        self.put(format!("{path}.require_identity"), require_identity);
        let RoomPolicy {
            seats_floor,
            seats_ceiling,
            share,
            call,
            idle,
            session,
            poll,
            hold,
            open,
            lanes: weights,
        } = policy;
        self.lanes(path, weights, lanes);
        if let Some(Opening { at: UnixTime(at_ms), prequeue }) = opening {
            let at = i64::try_from(*at_ms).ok().and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
            self.put(format!("{path}.opens_at"), at.unwrap_or(Timestamp::MAX));
            self.put_time(format!("{path}.prequeue"), *prequeue);
        }
        let source = draw.as_ref().map(|draw| match draw {
            DrawSettings::Drand => "drand",
            DrawSettings::Parties(_) => "parties",
        });
        self.put_text(format!("{path}.draw"), source);
        if let Some(DrawSettings::Parties(parties)) = draw {
            for Party { name, outside, commitment } in parties {
                let outside = if *outside { ", outside" } else { "" };
                self.put(format!("{path}.parties[{name}]"), format!("{commitment}{outside}"));
            }
        }
        self.put(format!("{path}.seats.floor"), seats_floor);
        self.put(format!("{path}.seats.ceiling"), seats_ceiling);
        self.put(format!("{path}.seats.share"), share);
        self.put_time(format!("{path}.call"), *call);
        self.put_time(format!("{path}.idle"), *idle);
        self.put_time(format!("{path}.session"), *session);
        let PollRule { min, max, divisor, budget } = poll;
        self.put_time(format!("{path}.poll.min"), *min);
        self.put_time(format!("{path}.poll.max"), *max);
        self.put(format!("{path}.poll.divisor"), divisor);
        self.put(format!("{path}.poll.budget"), budget);
        self.put(format!("{path}.depends_on"), depends_on.join(", "));
        self.put(format!("{path}.hold"), hold);
        self.put(format!("{path}.open"), open);
        self.put(format!("{path}.status"), status.as_u16());
        self.put(format!("{path}.page_asks"), page_asks);
        self.put_text(format!("{path}.title"), Some(title));
        for (language, text) in messages {
            self.put_text(format!("{path}.message.{language}"), Some(text));
        }
        let quiet: Vec<String> = quiet.iter().map(Format::write).collect();
        self.put(format!("{path}.quiet"), quiet.join(", "));
        self.put(format!("{path}.slots.offer"), offer);
        self.put_time(format!("{path}.slots.after"), *after);
        self.put_time(format!("{path}.slots.length"), *length);
        self.put_text(format!("{path}.slots.zone"), zone.iana_name());
        if let Some(WebhookSettings { url, secret, ahead, ca }) = webhook {
            self.put(format!("{path}.webhook.url"), url);
            self.put(format!("{path}.webhook.secret"), secret.display());
            self.put_time(format!("{path}.webhook.ahead"), *ahead);
            self.put_text(format!("{path}.webhook.ca"), ca.as_ref().and_then(|ca| ca.to_str()));
        }
    }

    fn route(&mut self, path: &str, route: &RouteSettings) {
        let RouteSettings {
            host,
            path: prefix,
            upstream,
            room,
            quota,
            class,
            optional,
            share,
            timeout,
            tunnel_idle,
            body_limit,
            on_client_gone,
            bypass_paths,
            bypass_addresses,
            bypass_header,
            bypass_limit,
            shared,
        } = route;
        self.put_text(format!("{path}.host"), host.as_deref());
        self.put_text(format!("{path}.path"), Some(prefix));
        self.put_text(format!("{path}.upstream"), Some(upstream));
        self.put_text(format!("{path}.room"), room.as_deref());
        self.put_text(format!("{path}.quota"), quota.as_deref());
        let class = match class {
            _ if *optional => "optional",
            Class::Finish => "finish",
            Class::Admitted => "admitted",
            Class::Entry => "entry",
            Class::Bulk => "bulk",
        };
        self.put_text(format!("{path}.class"), Some(class));
        self.put(format!("{path}.share"), share);
        self.put_time(format!("{path}.timeout"), *timeout);
        self.put_time(format!("{path}.tunnel_idle"), *tunnel_idle);
        self.put(format!("{path}.body_limit"), Size(*body_limit).write());
        let gone = match on_client_gone {
            OnClientGone::Finish => "finish",
            OnClientGone::Cancel => "cancel",
        };
        self.put_text(format!("{path}.on_client_gone"), Some(gone));
        self.put(format!("{path}.bypass_paths"), format!("{bypass_paths:?}"));
        self.put(format!("{path}.bypass_addresses"), format!("{bypass_addresses:?}"));
        if let Some((name, value)) = bypass_header {
            self.put(format!("{path}.bypass_header"), format!("{name} = {}", unsaid(value)));
        }
        self.put(format!("{path}.bypass_limit"), bypass_limit);
        self.put(format!("{path}.shared"), shared);
    }
}
