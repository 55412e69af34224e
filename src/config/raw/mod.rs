//! What the TOML file holds, one to one: keys, types, defaults, bounds.
//!
//! The JSON schema is derived from these types and is what the shape check, editors and the tidy
//! tests read; so every key has a sentence that ends with how a change takes effect (*hot*, or at a
//! *restart*). Bounds of texts stand in `x-minimum` and `x-maximum`, both included. What depends on
//! more than one key is judged in `build`.

mod room;
mod route;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{CookieName, Rate, Size, Text};

pub(crate) use room::RawRoom;
pub(crate) use route::{RawClass, RawOnClientGone, RawRoute};
pub(crate) use upstream::{
    RawAddress, RawHealth, RawLaw, RawLimit, RawProtocol, RawUpstream, RawUpstreamTls,
};

/// Tables of one kind by name.
pub(crate) type Named<T> = BTreeMap<String, T>;

/// The configuration of a Tornello gateway.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    /// Where the gateway listens and what it is given by the machine. Restart.
    pub(crate) listen: RawListen,
    /// Caps and deadlines of the crowd's side. Hot.
    #[serde(default)]
    pub(crate) edge: RawEdge,
    /// How a client is recognised. Hot.
    #[serde(default)]
    pub(crate) identity: RawIdentity,
    /// The bucket that requests changing our own state (joining, claiming, leaving) pay at. Hot.
    #[serde(default)]
    pub(crate) door: RawDoor,
    /// Quotas by name: how many requests a user may send. Hot.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(crate) quota: Named<RawQuota>,
    /// Upstream clusters by name. Hot.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(crate) upstream: Named<RawUpstream>,
    /// Waiting rooms by name. Hot.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(crate) room: Named<RawRoom>,
    /// Routes by name: which requests go where, and under which rules. Hot.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(crate) route: Named<RawRoute>,
}

/// One value, or a list of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    #[schemars(extend("minItems" = 1))]
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// `[listen]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawListen {
    /// Where the crowd is met: one address and port, or a list of them; port 0 takes a free one. Restart.
    pub(crate) http: OneOrMany<Text<SocketAddr>>,
    /// Where operators are met: health, metrics, administration. It has no password: keep it private. Restart.
    #[serde(default = "admin")]
    pub(crate) admin: Text<SocketAddr>,
    /// Worker threads of the data path. Default: as many as the machine has cores. Restart.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) threads: Option<u32>,
    /// Where signing keys and high-water marks are kept. Restart.
    #[serde(default = "state_directory")]
    pub(crate) state_directory: Text<PathBuf>,
}

fn admin() -> Text<SocketAddr> {
    Text::of("127.0.0.1:9901")
}

fn state_directory() -> Text<PathBuf> {
    Text::of("/var/lib/tornello")
}

/// `[edge]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawEdge {
    /// Most connections at once; further ones wait in the kernel. Hot.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_connections: u32,
    /// Most connections at once from one IPv4 address or IPv6 /64; trusted proxies are exempt. Hot.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_connections_per_prefix: u32,
    /// Longest time for a request head to arrive, and for a connection to idle between two requests. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "10m"))]
    pub(crate) head_timeout: Text<Duration>,
    /// How long requests under way may take after the stop signal. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) drain: Text<Duration>,
    /// Addresses or networks of the proxies in front of us, whose forwarding headers are believed. Hot.
    pub(crate) trusted_proxies: Vec<Text<IpNet>>,
    /// Answer 503 instead of 429 over quota, for old clients that hammer on 429. Hot.
    pub(crate) legacy_503_for_429: bool,
    /// Most memory that all token buckets together may take. Hot.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "64GiB"))]
    pub(crate) bucket_memory: Text<Size>,
}

impl Default for RawEdge {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_prefix: 1_000,
            head_timeout: Text::of("10s"),
            drain: Text::of("30s"),
            trusted_proxies: Vec::new(),
            legacy_503_for_429: false,
            bucket_memory: Text::of("64MiB"),
        }
    }
}

/// `[identity]`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawIdentity {
    /// A header by which a trusted proxy names the person; needs `edge.trusted_proxies`. Default: none. Hot.
    pub(crate) header: Option<Text<HeaderName>>,
    /// Which header carries the chain of addresses that trusted proxies vouch for. Hot.
    pub(crate) forwarded: RawForwarded,
    /// What tells users apart for quotas only, never as proof of one person: `{ cookie = "NAME" }` or
    /// `{ authorization = true }`. Default: none. Hot.
    pub(crate) credential: Option<RawCredential>,
}

/// Where the chain of addresses stands.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawForwarded {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
}

/// `identity.credential`: exactly one key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCredential {
    /// Name of the service's session cookie. Default: none. Hot.
    pub(crate) cookie: Option<Text<CookieName>>,
    /// `true`: the `Authorization` header. Default: none. Hot.
    pub(crate) authorization: Option<bool>,
}

/// `[door]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawDoor {
    /// Changes of our own state that one user may make in the long run, per `s`, `m`, `h` or `d`. Hot.
    pub(crate) rate: Text<Rate>,
    /// Changes that one user may make at once after a rest. Default: the number in `rate`. Hot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<u32>,
    /// The same for a whole IPv4 address or IPv6 /64, which many people may share.
    /// Default: 50 times the user's. Hot.
    pub(crate) prefix: Option<RawPrefixQuota>,
}

impl Default for RawDoor {
    fn default() -> Self {
        Self { rate: Text::of("60/m"), burst: None, prefix: None }
    }
}

impl RawDoor {
    /// The door is a quota whose rate has a default.
    pub(crate) fn quota(&self) -> RawQuota {
        RawQuota { rate: self.rate.clone(), burst: self.burst, prefix: self.prefix.clone() }
    }
}

/// `[quota.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawQuota {
    /// Requests that one user may send in the long run, per `s`, `m`, `h` or `d`. Hot.
    pub(crate) rate: Text<Rate>,
    /// Requests that one user may send at once after a rest. Default: the number in `rate`. Hot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: Option<u32>,
    /// The same for a whole IPv4 address or IPv6 /64, which many people may share.
    /// Default: 50 times the user's. Hot.
    pub(crate) prefix: Option<RawPrefixQuota>,
}

/// `prefix` of a quota
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPrefixQuota {
    /// Requests that one prefix may send in the long run, per `s`, `m`, `h` or `d`. Hot.
    pub(crate) rate: Text<Rate>,
    /// Requests that one prefix may send at once after a rest. Default: the number in `rate`. Hot.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub(crate) burst: Option<u32>,
}
