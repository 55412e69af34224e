//! A scenario file as it is written: one to one with the TOML, nothing judged but types and keys.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::super::law::{Arrival, Span};
use super::{Method, Patience, RetryRule};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) horizon_s: Spanned<f64>,
    #[serde(default = "one")]
    pub(super) time_scale: f64,
    #[serde(rename = "class")]
    pub(super) classes: Vec<Spanned<RawClass>>,
    #[serde(rename = "endpoint")]
    pub(super) endpoints: Vec<Spanned<RawEndpoint>>,
    #[serde(default, rename = "pool")]
    pub(super) pools: BTreeMap<String, Spanned<RawPool>>,
    #[serde(default, rename = "fault")]
    pub(super) faults: Vec<Spanned<RawFault>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClass {
    pub(super) id: String,
    pub(super) people: usize,
    pub(super) arrival: Spanned<Arrival>,
    pub(super) steps: Vec<Spanned<String>>,
    pub(super) timeout_s: f64,
    #[serde(default)]
    pub(super) app_share: f64,
    #[serde(default = "one_device")]
    pub(super) devices: Vec<f64>,
    #[serde(default)]
    pub(super) nat_share: f64,
    #[serde(default)]
    pub(super) nat_addresses: u16,
    #[serde(default)]
    pub(super) locale: BTreeMap<String, f64>,
    pub(super) repeat: Option<Spanned<RawRepeat>>,
    pub(super) think_s: Option<Spanned<Span>>,
    pub(super) retry: Option<RetryRule>,
    pub(super) retry_gap_s: Option<Spanned<Span>>,
    pub(super) patience_s: Option<Patience>,
    #[serde(default)]
    pub(super) silent_leave: f64,
    #[serde(default)]
    pub(super) refreshes: u32,
    #[serde(default)]
    pub(super) change_ip: f64,
    #[serde(default)]
    pub(super) hang_up: f64,
    pub(super) rate_rps: Option<f64>,
    pub(super) identities: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRepeat {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) times: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    pub(super) id: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) method: Method,
    pub(super) pool: Option<Spanned<String>>,
    pub(super) service_s: Spanned<Span>,
    #[serde(default)]
    pub(super) personal: bool,
    #[serde(default)]
    pub(super) ends_session: bool,
    #[serde(default = "some_bytes")]
    pub(super) bytes: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    pub(super) slots: usize,
    pub(super) zombies: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    pub(super) at_s: f64,
    pub(super) until_s: f64,
    pub(super) pool: Spanned<String>,
    pub(super) slots: usize,
}

fn one() -> f64 {
    1.0
}

fn one_device() -> Vec<f64> {
    vec![1.0]
}

fn some_bytes() -> usize {
    512
}
