//! An entry of `room.NAME.lanes` as the file holds it.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::{Name, Text};

/// An entry of `room.NAME.lanes`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLane {
    /// Its name: on boards, pages and metrics, and for good on the tickets of those who wait in it. Hot.
    #[schemars(extend("examples" = ["offices"]))]
    pub(crate) name: Text<Name>,
    /// Its part of all calls and seats, in proportion to the weights of the others. Hot.
    #[serde(default = "weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: u32,
    /// A claim of the token in `identity.jwt` that is `value`, or a list that holds it. Default: none. Hot.
    #[schemars(extend("examples" = ["role"]))]
    pub(crate) claim: Option<String>,
    /// A header that a trusted proxy sets to `value`; needs `edge.trusted_proxies`. Default: none. Hot.
    #[schemars(extend("examples" = ["x-channel"]))]
    pub(crate) header: Option<Text<http::HeaderName>>,
    /// What the claim or the header says of those who belong here. Default: nothing. Hot.
    #[schemars(length(min = 1, max = 200), extend("examples" = ["office"]))]
    pub(crate) value: Option<String>,
    /// Addresses of clients who belong here, such as a desk or a call centre. Default: none. Hot.
    #[serde(default)]
    pub(crate) addresses: Vec<Text<IpNet>>,
}

fn weight() -> u32 {
    1
}
