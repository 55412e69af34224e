//! `[[endpoint]]`, `[pool.NAME]`, `[stock.NAME]` and `[[fault]]` as the file holds them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Method, Victim};
use super::{Id, RawSpan};
use crate::config::text::{Text, UrlPath};

/// `[[endpoint]]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEndpoint {
    /// Its name.
    pub(crate) id: Id,
    /// Its exact path.
    pub(crate) path: Text<UrlPath>,
    /// Its method.
    #[serde(default)]
    pub(crate) method: Method,
    /// The pool that does the work. Default: none, the answer just takes its time.
    pub(crate) pool: Option<String>,
    /// How long the work takes.
    pub(crate) service_s: RawSpan,
    /// The answer belongs to the one who asked, and says whose it is.
    #[serde(default)]
    pub(crate) personal: bool,
    /// The answer ends the session.
    #[serde(default)]
    pub(crate) ends_session: bool,
    /// The client sends an `Idempotency-Key`.
    #[serde(default)]
    pub(crate) idempotency_key: bool,
    /// The stock of which each answer hands out one unit.
    pub(crate) sells: Option<String>,
    /// What the answer says about being stored, however wrong.
    #[schemars(length(min = 1, max = 200))]
    pub(crate) cache_control: Option<String>,
    /// Size of the answer's body.
    #[serde(default = "some_bytes")]
    #[schemars(range(max = 1_000_000))]
    pub(crate) bytes: usize,
}

/// `[pool.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPool {
    /// How many workers it has.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) slots: usize,
    /// Whether its queue has an end.
    #[serde(default)]
    pub(crate) queue: RawQueue,
    /// Where it has one: most requests that wait for a worker; one more is answered 429.
    #[schemars(range(max = 1_000_000))]
    pub(crate) bounded: Option<usize>,
    /// Works also for those who have left. Otherwise what is still queued for them is dropped.
    pub(crate) zombies: bool,
    /// Work takes longer by this share times the requests that wait for each worker.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub(crate) thrash: f64,
}

/// The queue before a pool's workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawQueue {
    /// It takes whatever comes, unless `bounded` says otherwise.
    #[default]
    Unbounded,
}

/// `[stock.NAME]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStock {
    /// How many there are.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) units: u64,
}

/// `[[fault]]`: one of `slots`, `stalled`, `slowness` or `error_rate` with `pool`, or `origin`, or `kill`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFault {
    /// When it begins.
    #[schemars(range(min = 0.0, max = 2_592_000.0))]
    pub(crate) at_s: f64,
    /// When it is over.
    #[schemars(range(min = 0.0, max = 2_592_000.0))]
    pub(crate) until_s: Option<f64>,
    /// The pool that is hit.
    pub(crate) pool: Option<String>,
    /// Workers that the pool has meanwhile.
    #[schemars(range(max = 1_000_000))]
    pub(crate) slots: Option<usize>,
    /// The pool begins nothing and answers nothing.
    pub(crate) stalled: Option<bool>,
    /// Share of the pool's answers that are errors.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) error_rate: Option<f64>,
    /// With which status. Default: 500.
    #[schemars(range(min = 400, max = 599))]
    pub(crate) error_status: Option<u16>,
    /// Whether they come on arrival, without a worker. Default: after the whole work.
    pub(crate) error_at_once: Option<bool>,
    /// How many times as long the pool's work takes.
    #[schemars(range(max = 1_000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) slowness: Option<f64>,
    /// What happens to the origin as a whole.
    pub(crate) origin: Option<RawOrigin>,
    /// Who is killed, and started again.
    pub(crate) kill: Option<Victim>,
}

/// What happens to the origin as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawOrigin {
    /// Connections are refused, open ones are reset.
    Dead,
}

fn some_bytes() -> usize {
    512
}
