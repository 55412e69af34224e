//! A scenario file as it is written: one to one with the TOML.
//!
//! The schema by which a file's shape is checked is derived from these types, as for the
//! configuration; what depends on more than one key is judged in `build`. All times in seconds.

mod class;
mod service;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::law::Span;
use super::Level;
use crate::config::schema;
use crate::config::text::{Name, Text};

pub(crate) use class::{RawArrival, RawClass};
pub(crate) use service::{RawEndpoint, RawFault, RawPool, RawStock};

/// A click day: who comes, what they want, what stands behind, and what breaks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawScenario {
    /// What reports call it.
    #[schemars(length(min = 1, max = 80), extend("examples" = ["S-CB"]))]
    pub(crate) name: String,
    /// Seed of the crowd and of the work, unless another is asked for.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// Longest that a leg lasts.
    #[schemars(range(max = 2_592_000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) horizon_s: f64,
    /// By how much the times of the day were divided; for behaviours that are known in real seconds.
    #[serde(default = "unscaled")]
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub(crate) time_scale: f64,
    /// How finely it can be played.
    #[serde(default)]
    pub(crate) level: Level,
    /// When what they come for opens; before it there is no order among them.
    #[schemars(range(min = 0.0, max = 2_592_000.0))]
    pub(crate) opens_s: Option<f64>,
    /// How long a called person had to get in, in the room that history had.
    #[schemars(range(max = 86_400.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) turn_s: Option<f64>,
    /// Who comes.
    #[schemars(extend("minItems" = 1))]
    pub(crate) class: Vec<RawClass>,
    /// What can be asked for.
    #[schemars(extend("minItems" = 1))]
    pub(crate) endpoint: Vec<RawEndpoint>,
    /// Workers by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(crate) pool: BTreeMap<String, RawPool>,
    /// What there is only so much of, by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "format": "name" }))]
    pub(crate) stock: BTreeMap<String, RawStock>,
    /// What breaks, and when.
    #[serde(default)]
    pub(crate) fault: Vec<RawFault>,
}

/// A time: a number of seconds, or a law.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawSpan {
    Seconds(#[schemars(range(min = 0.0, max = 1_000_000.0))] f64),
    Law(Span),
}

impl RawSpan {
    pub(crate) fn span(self) -> Span {
        match self {
            Self::Seconds(s) => Span::fixed(s),
            Self::Law(span) => span,
        }
    }
}

/// A name that the file gives.
pub(crate) type Id = Text<Name>;

/// The schema of a scenario file.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema::generate::<RawScenario>);
    &SCHEMA
}

fn one() -> u64 {
    1
}

fn unscaled() -> f64 {
    1.0
}
