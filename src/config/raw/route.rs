//! `[route.NAME]` as the file holds it.

use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::{Host, Size, Text, UrlPath};

/// `[route.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRoute {
    /// Host this route answers for, without port. Default: every host. Hot.
    pub(crate) host: Option<Text<Host>>,
    /// Path this route answers for, with everything below it; the longest path wins. Hot.
    #[serde(default = "root")]
    pub(crate) path: Text<UrlPath>,
    /// The upstream that answers: a name in `[upstream]`. Hot.
    #[schemars(extend("examples" = ["app"]))]
    pub(crate) upstream: String,
    /// The room people wait in: a name in `[room]`. Default: no room, nobody waits. Hot.
    #[schemars(extend("examples" = ["main"]))]
    pub(crate) room: Option<String>,
    /// The quota users pay from: a name in `[quota]`. Default: no quota. Hot.
    #[schemars(extend("examples" = ["person"]))]
    pub(crate) quota: Option<String>,
    /// How much its requests matter when not all can be served. Hot.
    #[serde(default)]
    pub(crate) class: RawClass,
    /// Share of the upstream's limit beyond which this route lets others of its class go first. Hot.
    #[serde(default = "share")]
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) share: f64,
    /// Longest time from sending a request upstream to the head of its answer. Hot.
    #[serde(default = "route_timeout")]
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub(crate) timeout: Text<Duration>,
    /// A tunnel or event stream in which nothing moves for this long is ended; a change holds for those
    /// that begin after it. Hot.
    #[serde(default = "tunnel_idle")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "24h"))]
    pub(crate) tunnel_idle: Text<Duration>,
    /// Longest request body. Hot.
    #[serde(default = "body_limit")]
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1TiB"))]
    pub(crate) body_limit: Text<Size>,
    /// What happens upstream when the client hangs up. Hot.
    #[serde(default)]
    pub(crate) on_client_gone: RawOnClientGone,
    /// Paths below `path` that skip room and quota: login callbacks, payment returns, health. Hot.
    #[serde(default)]
    pub(crate) bypass_paths: Vec<Text<UrlPath>>,
    /// Addresses of clients that skip room and quota on this route, such as staff and monitors. Hot.
    #[serde(default)]
    pub(crate) bypass_addresses: Vec<Text<IpNet>>,
    /// What a trusted proxy says of requests that skip room and quota on this route; needs
    /// `edge.trusted_proxies`. Default: nothing. Hot.
    pub(crate) bypass_header: Option<RawBypassHeader>,
    /// Most bypassing requests at once, of all kinds together; they count in the upstream's limit. Who comes
    /// beyond it and would have to wait is refused. Hot.
    #[serde(default = "bypass_limit")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) bypass_limit: u32,
    /// Let caches in front of us store answers also to requests that show who asks (a cookie,
    /// `Authorization`). Refused with a room or an identity. Hot.
    #[serde(default)]
    pub(crate) shared: bool,
}

/// `route.NAME.bypass_header`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBypassHeader {
    /// The header. Hot.
    #[schemars(extend("examples" = ["x-staff"]))]
    pub(crate) name: Text<http::HeaderName>,
    /// What it says. Hot.
    #[schemars(length(min = 1, max = 200), extend("examples" = ["yes"]))]
    pub(crate) value: String,
}

fn root() -> Text<UrlPath> {
    Text::of("/")
}

fn share() -> f64 {
    0.6
}

fn route_timeout() -> Text<Duration> {
    Text::of("30s")
}

fn tunnel_idle() -> Text<Duration> {
    Text::of("10m")
}

fn body_limit() -> Text<Size> {
    Text::of("10MiB")
}

fn bypass_limit() -> u32 {
    10
}

/// How much a request matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawClass {
    /// Finishes what was begun: payment, commit, callback. With a pass, too.
    Finish,
    /// As if it held a pass.
    Admitted,
    /// Entry and browsing; with a pass it matters more.
    #[default]
    Entry,
    /// Bots and prefetch; with a pass it matters more.
    Bulk,
    /// Can be done without, whoever asks: refused first.
    Optional,
}

/// What happens upstream when the client hangs up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawOnClientGone {
    /// Reads on and discards; the permit is freed when the upstream is done.
    #[default]
    Finish,
    /// Closes the upstream connection, for upstreams known to stop working then.
    Cancel,
}
