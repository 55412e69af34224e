//! What the TOML file holds, one to one: keys, types, defaults, bounds.
//!
//! The JSON schema is derived from these types and is what the shape check, editors and the tidy
//! tests read; so every key has a sentence that ends with how a change takes effect (*hot*, or at a
//! *restart*). Bounds of texts stand in `x-minimum` and `x-maximum`, both included. What depends on
//! more than one key is judged in `build`.

mod lane;
mod listen;
mod pages;
mod room;
mod route;
mod upstream;

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{CookieName, Rate, Size, Text};

pub(crate) use lane::RawLane;
pub(crate) use listen::{RawCertificate, RawListen, RawListener, RawTls, RawTlsVersion};
pub(crate) use pages::{RawPages, RawTheme};
pub(crate) use room::{RawOnePlacePer, RawParty, RawRoom, RawSource};
pub(crate) use route::{RawClass, RawOnClientGone, RawRoute};
pub(crate) use upstream::{
    RawAddress, RawHealth, RawLaw, RawLimit, RawProtocol, RawQueue, RawUpstream, RawUpstreamTls,
};

/// Tables of one kind by name.
pub(crate) type Named<T> = BTreeMap<String, T>;

/// The configuration of a Tornello gateway.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    /// Where the gateway listens and what it is given by the machine. Restart.
    pub(crate) listen: RawListen,
    /// Certificates of the addresses in `listen.https`. Hot.
    #[serde(default)]
    pub(crate) tls: RawTls,
    /// Caps and deadlines of the crowd's side. Hot.
    #[serde(default)]
    pub(crate) edge: RawEdge,
    /// How a client is recognised. Hot.
    #[serde(default)]
    pub(crate) identity: RawIdentity,
    /// The bucket that requests changing our own state (joining, claiming, leaving) pay at. Hot.
    #[serde(default)]
    pub(crate) door: RawDoor,
    /// How our pages look, and what they link to. Hot.
    #[serde(default)]
    pub(crate) pages: RawPages,
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

/// `[edge]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawEdge {
    /// Most connections at once. Beyond it those idle for longest make room; who finds no place is
    /// answered 503. Hot.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_connections: u32,
    /// Most connections at once from one IPv4 address or IPv6 /64; trusted proxies are exempt. Hot.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_connections_per_prefix: u32,
    /// Most requests at once on one HTTP/2 connection. Hot.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) max_streams: u32,
    /// Longest time for a request head to arrive, from its first byte on, and for the first one to begin. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "10m"))]
    pub(crate) head_timeout: Text<Duration>,
    /// How long a connection may stay open between two requests. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) idle_timeout: Text<Duration>,
    /// Longest head of a request; a longer one is refused with 431. Hot.
    #[schemars(extend("x-minimum" = "8KiB", "x-maximum" = "1MiB"))]
    pub(crate) max_head: Text<Size>,
    /// Longest target (path and query) of a request; a longer one is refused with 414. Hot.
    #[schemars(extend("x-minimum" = "256B", "x-maximum" = "32KiB"))]
    pub(crate) max_target: Text<Size>,
    /// Most fields in the head of a request; more are refused with 431. Hot.
    #[schemars(range(min = 16, max = 1000))]
    pub(crate) max_fields: u32,
    /// Bytes a second that a client must send of a body, or take of an answer, while it is waited for. Hot.
    #[schemars(extend("x-minimum" = "1B", "x-maximum" = "1MiB"))]
    pub(crate) min_rate: Text<Size>,
    /// How far a client may fall behind `min_rate` before it is cut off; one that stands still is after
    /// this long. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub(crate) patience: Text<Duration>,
    /// How long requests under way may take after the stop signal. Hot.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub(crate) drain: Text<Duration>,
    /// Addresses or networks of the proxies in front of us, whose forwarding headers are believed. Hot.
    pub(crate) trusted_proxies: Vec<Text<IpNet>>,
    /// Origins of apps on the web that may speak the waiting protocol from their own pages. Hot.
    pub(crate) cors_origins: Vec<String>,
    /// Answer 503 instead of 429 over quota, for old clients that hammer on 429. Hot.
    pub(crate) legacy_503_for_429: bool,
    /// Whose `traceparent` and `tracestate` go on to the upstream. Hot.
    pub(crate) trace: RawTrace,
    /// Most memory that all token buckets together may take. Hot.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "64GiB"))]
    pub(crate) bucket_memory: Text<Size>,
}

impl Default for RawEdge {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_prefix: 1_000,
            max_streams: 64,
            head_timeout: Text::of("10s"),
            min_rate: Text::of("500B"),
            patience: Text::of("20s"),
            idle_timeout: Text::of("1m"),
            max_head: Text::of("32KiB"),
            max_target: Text::of("8KiB"),
            max_fields: 100,
            drain: Text::of("30s"),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            legacy_503_for_429: false,
            trace: RawTrace::Trusted,
            bucket_memory: Text::of("64MiB"),
        }
    }
}

/// Whose traces are passed on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawTrace {
    /// Those of trusted proxies.
    #[default]
    Trusted,
    /// Everybody's.
    Always,
    /// Nobody's.
    Never,
}

/// `[identity]`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawIdentity {
    /// Signed tokens (JWT) that name the person: RS256, ES256 or EdDSA. Default: none. Hot.
    pub(crate) jwt: Option<RawJwt>,
    /// Codes by which people are invited: the file of their marks, and the file of the key. Default: none. Hot.
    pub(crate) invitations: Option<RawInvitations>,
    /// A header by which a trusted proxy names the person; needs `edge.trusted_proxies`. Default: none. Hot.
    pub(crate) header: Option<Text<HeaderName>>,
    /// Which header carries the chain of addresses that trusted proxies vouch for. It is continued
    /// towards the upstream; the other one is not passed on. Hot.
    pub(crate) forwarded: RawForwarded,
    /// What tells users apart for quotas only, never as proof of one person: `{ cookie = "NAME" }` or
    /// `{ authorization = true }`. Default: none. Hot.
    pub(crate) credential: Option<RawCredential>,
}

/// `identity.invitations`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawInvitations {
    /// The file of marks that `tornello invite make` writes; read again within a second when it changes. Hot.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) list: String,
    /// The file of the key that makes marks of codes. Hot.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) key: String,
}

/// `identity.jwt`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJwt {
    /// The issuer's public keys (JWKS): a file, or an address with `https://`. Hot.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) keys: String,
    /// What `iss` of a token must be. Hot.
    #[schemars(length(min = 1, max = 500))]
    pub(crate) issuer: String,
    /// What `aud` of a token must hold. Hot.
    #[schemars(length(min = 1, max = 500))]
    pub(crate) audience: String,
    /// The cookie that holds the token. Default: none, it is in `Authorization: Bearer`. Hot.
    pub(crate) cookie: Option<Text<CookieName>>,
    /// The claim that names the person. Hot.
    #[serde(default = "sub")]
    #[schemars(length(min = 1, max = 100))]
    pub(crate) claim: String,
    /// How far the issuer's clock may be off. Hot.
    #[serde(default = "leeway")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "10m"))]
    pub(crate) leeway: Text<Duration>,
    /// What becomes of a request whose token is not good. Hot.
    #[serde(default)]
    pub(crate) otherwise: RawOtherwise,
}

fn sub() -> String {
    "sub".to_owned()
}

fn leeway() -> Text<Duration> {
    Text::of("30s")
}

/// What becomes of a request whose proof is not good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawOtherwise {
    /// It goes on as one without.
    #[default]
    Anonymous,
    /// It is answered 401.
    Refuse,
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
    /// The same for a whole network, IPv4 /24 or IPv6 /48, which many people may share.
    /// Default: 50 times the user's. Hot.
    pub(crate) prefix: Option<RawWideQuota>,
    /// The same for all together who show nothing but one address (IPv4, IPv6 /64): no ticket, no pass, no
    /// identity, no credential. Default: `{ rate = "50/s", burst = 1000 }`, never less than one user's. Hot.
    pub(crate) address: Option<RawWideQuota>,
}

impl Default for RawDoor {
    fn default() -> Self {
        Self { rate: Text::of("60/m"), burst: None, prefix: None, address: None }
    }
}

impl RawDoor {
    /// The door is a quota whose rate has a default.
    pub(crate) fn quota(&self) -> RawQuota {
        let (rate, burst) = (self.rate.clone(), self.burst);
        RawQuota { rate, burst, prefix: self.prefix.clone(), address: self.address.clone() }
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
    /// The same for a whole network, IPv4 /24 or IPv6 /48, which many people may share.
    /// Default: 50 times the user's. Hot.
    pub(crate) prefix: Option<RawWideQuota>,
    /// The same for all together who show nothing but one address (IPv4, IPv6 /64): no ticket, no pass, no
    /// identity, no credential. Default: as much as one user. Hot.
    pub(crate) address: Option<RawWideQuota>,
}

/// `prefix` and `address` of a quota
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWideQuota {
    /// Requests that all of them may send in the long run, per `s`, `m`, `h` or `d`. Hot.
    pub(crate) rate: Text<Rate>,
    /// Requests that all of them may send at once after a rest. Default: the number in `rate`. Hot.
    #[schemars(range(min = 1, max = 50_000_000))]
    pub(crate) burst: Option<u32>,
}
