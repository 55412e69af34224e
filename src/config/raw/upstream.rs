//! `[upstream.NAME]` as the file holds it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::{Host, HostPort, Text, UrlPath};

/// `[upstream.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawUpstream {
    /// Where the cluster answers: `"host:port"`, or `{ address, weight, drain }`; names are resolved in
    /// the background. Hot.
    #[schemars(extend("minItems" = 1))]
    pub(crate) addresses: Vec<RawAddress>,
    /// What it speaks. Hot.
    #[serde(default)]
    pub(crate) protocol: RawProtocol,
    /// Encrypt the connections and verify who answers. Default: cleartext. Hot.
    pub(crate) tls: Option<RawUpstreamTls>,
    /// Longest time to open a connection, the TLS handshake included. Hot.
    #[serde(default = "connect_timeout")]
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1m"))]
    pub(crate) connect_timeout: Text<Duration>,
    /// How long an idle connection is kept; keep it below the upstream's own keep-alive. Hot.
    #[serde(default = "keep_alive")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) keep_alive: Text<Duration>,
    /// How many requests may be unfinished at the cluster. Hot.
    #[serde(default)]
    pub(crate) limit: RawLimit,
    /// How those are treated who wait for room. Hot.
    #[serde(default)]
    pub(crate) queue: RawQueue,
    /// How addresses are probed. Hot.
    #[serde(default)]
    pub(crate) health: RawHealth,
    /// Tell the upstream its limit with each request, in the header `Tornello-Limit`. Hot.
    #[serde(default)]
    pub(crate) announce_limit: bool,
    /// File with a secret of 32 bytes or more that the upstream knows: with it each request of whoever is
    /// inside is signed, in the header `Tornello-Pass`. Default: none. Hot.
    pub(crate) pass_key: Option<Text<PathBuf>>,
    /// Most tunnels (WebSocket) and event streams at once; they do not count in `limit`. Hot.
    #[serde(default = "tunnels")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) tunnels: u32,
}

fn tunnels() -> u32 {
    1_000
}

fn connect_timeout() -> Text<Duration> {
    Text::of("2s")
}

fn keep_alive() -> Text<Duration> {
    Text::of("4s")
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawProtocol {
    /// HTTP/1.1, one request at a time on a connection.
    #[default]
    Http1,
    /// HTTP/2, many at a time: by ALPN over TLS, by prior knowledge in cleartext. gRPC needs it.
    Http2,
}

/// `upstream.NAME.tls`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawUpstreamTls {
    /// The name that the upstream's certificate must carry. Default: the host of the address; required
    /// where an address is an IP. Hot.
    pub(crate) server_name: Option<Text<Host>>,
    /// File of the certificate authorities (PEM) that may vouch for the upstream.
    /// Default: those that the system trusts. Hot.
    pub(crate) ca: Option<Text<PathBuf>>,
}

/// An address, with or without what is special about it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawAddress {
    Plain(Text<HostPort>),
    Table(RawAddressTable),
}

/// One of `addresses`, as a table
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAddressTable {
    /// Where it answers: `"host:port"`. Hot.
    pub(crate) address: Text<HostPort>,
    /// Its share of the load, relative to the other addresses. Hot.
    #[serde(default = "weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: u32,
    /// Send it nothing new; what it works on is finished. Hot.
    #[serde(default)]
    pub(crate) drain: bool,
}

fn weight() -> u32 {
    1
}

/// `upstream.NAME.limit`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLimit {
    /// What moves the limit between `floor` and `ceiling`. Hot.
    pub(crate) law: RawLaw,
    /// Where the limit starts; with `law = "fixed"`, where it stays.
    /// Default: 20, or the nearest that `floor` and `ceiling` allow. Hot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) initial: Option<u32>,
    /// The limit never falls below this. Hot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) floor: u32,
    /// The limit never rises above this. Hot.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) ceiling: u32,
    /// With `law = "aimd"`: the time to first byte above which the upstream counts as overloaded.
    /// Default: `"500ms"`. Hot.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "10m"))]
    pub(crate) latency: Option<Text<Duration>>,
    /// Longest wait for room at the upstream before a request is refused. Hot.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1m"))]
    pub(crate) wait: Text<Duration>,
    /// No answer for this long while requests are unfinished: stalled, and nobody is called in. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "10m"))]
    pub(crate) stall: Text<Duration>,
}

impl Default for RawLimit {
    fn default() -> Self {
        Self {
            law: RawLaw::default(),
            initial: None,
            floor: 1,
            ceiling: 1_000,
            latency: None,
            wait: Text::of("100ms"),
            stall: Text::of("3s"),
        }
    }
}

/// `upstream.NAME.queue`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawQueue {
    /// Most requests that wait for room; for how long stands in `limit.wait`. Hot.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) length: u32,
    /// Most unfinished requests of one user at the upstream; users known by their address alone are not
    /// meant. Default: no bound but the limit. Hot.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) per_user: Option<u32>,
    /// The parts of the classes in the limit while all of them want it, in proportion. Hot.
    pub(crate) parts: RawParts,
}

impl Default for RawQueue {
    fn default() -> Self {
        Self { length: 10_000, per_user: None, parts: RawParts::default() }
    }
}

/// `upstream.NAME.queue.parts`
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawParts {
    /// Of what finishes something that was begun. Hot.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) finish: u32,
    /// Of those with a pass. Hot.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) admitted: u32,
    /// Of those without one. Hot.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) entry: u32,
    /// Of bots, prefetch and what can be done without. Hot.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) bulk: u32,
}

impl Default for RawParts {
    fn default() -> Self {
        Self { finish: 20, admitted: 60, entry: 15, bulk: 5 }
    }
}

/// What moves the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawLaw {
    /// Where more in flight would only wait longer: found from latency and throughput.
    #[default]
    Knee,
    /// The operator's number, `initial`.
    Fixed,
    /// One more while answers are quicker than `latency`, a tenth less when one is slower.
    Aimd,
    /// TCP Vegas for requests, as in Netflix's concurrency-limits.
    Vegas,
    /// Gradient2 of Netflix's concurrency-limits.
    Gradient2,
}

/// `upstream.NAME.health`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawHealth {
    /// Path that must answer 200. Default: none, a probe only opens a connection. Hot.
    pub(crate) path: Option<Text<UrlPath>>,
    /// Time between two probes of an address. Hot.
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "10m"))]
    pub(crate) interval: Text<Duration>,
    /// Longest time a probe may take. Hot.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1m"))]
    pub(crate) timeout: Text<Duration>,
    /// Good probes in a row that bring an address back. Hot.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) healthy: u32,
    /// Failed probes in a row that take an address out. Hot.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) unhealthy: u32,
}

impl Default for RawHealth {
    fn default() -> Self {
        Self { path: None, interval: Text::of("2s"), timeout: Text::of("1s"), healthy: 2, unhealthy: 3 }
    }
}
