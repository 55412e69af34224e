//! `[[class]]` as the file holds it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::RetryRule;
use super::{Id, RawSpan};
use crate::lab::law::{Arrival, ArrivalLaw, Part};

/// `[[class]]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawClass {
    /// Its name.
    pub(crate) id: Id,
    /// How many come.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub(crate) people: u64,
    /// When they come: a law, or several with shares.
    pub(crate) arrival: RawArrival,
    /// The endpoints on the way to the goal, in order; `"static x5"` is five times the same.
    #[schemars(extend("minItems" = 1))]
    pub(crate) steps: Vec<String>,
    /// After this long a client gives an unanswered request up.
    #[schemars(range(max = 600.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) timeout_s: f64,
    /// Part of the way that is walked more than once.
    pub(crate) repeat: Option<RawRepeat>,
    /// How often each walks the whole way, one case after the other, as intermediaries do: in one
    /// session, so that a last step which ends it is walked after the last case only.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) cases: Option<u32>,
    /// Share that uses an app; the rest use a browser.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) app_share: Option<f64>,
    /// Share of the browsers that run no scripts.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) no_script: Option<f64>,
    /// Share of the browsers that keep no cookies.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) no_cookies: Option<f64>,
    /// Shares of people with 1, 2, ... devices.
    #[schemars(length(max = 8))]
    pub(crate) devices: Option<Vec<RawShare>>,
    /// Share behind a shared address.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) nat_share: Option<f64>,
    /// How many shared addresses there are.
    #[schemars(range(min = 1, max = 60_000))]
    pub(crate) nat_addresses: Option<u16>,
    /// Languages and their shares.
    #[schemars(extend("propertyNames" = { "format": "language" }))]
    pub(crate) locale: Option<BTreeMap<String, RawShare>>,
    /// Time between an answer and the next step.
    pub(crate) think_s: Option<RawSpan>,
    /// What a client does when a request fails.
    pub(crate) retry: Option<RetryRule>,
    /// Time until a person, not a program, tries again.
    pub(crate) retry_gap_s: Option<RawSpan>,
    /// Share of the browsers' people who press F5 while nothing comes.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) f5_share: Option<f64>,
    /// How often those press it.
    #[schemars(range(min = 0.01, max = 3_600.0))]
    pub(crate) f5_every_s: Option<f64>,
    /// How long they stay, counted from their arrival.
    pub(crate) patience_s: Option<RawPatience>,
    /// Share of those who leave a line without saying so.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) silent_leave: Option<f64>,
    /// Reloads of the page while waiting.
    #[schemars(range(max = 1_000))]
    pub(crate) refreshes: Option<u32>,
    /// Share that changes address while waiting.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) change_ip: Option<f64>,
    /// Share that closes the page while waiting and comes back.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) close_tab: Option<f64>,
    /// How long those are away.
    pub(crate) away_s: Option<RawSpan>,
    /// Share that breaks one request off after it was sent, and comes back.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) hang_up: Option<f64>,
    /// Programs: requests a second, each.
    #[schemars(range(max = 10_000.0), extend("exclusiveMinimum" = 0.0))]
    pub(crate) rate_rps: Option<f64>,
    /// Programs: how many owners they have.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub(crate) identities: Option<u64>,
    /// Programs: whether they wait where a place is offered.
    pub(crate) honours_ticket: Option<bool>,
}

/// A share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct RawShare(#[schemars(range(min = 0.0, max = 1.0))] pub(crate) f64);

/// `arrival`: one law, or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawArrival {
    One(ArrivalLaw),
    Several(#[schemars(extend("minItems" = 1))] Vec<RawPart>),
}

/// One of several laws of arrival.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPart {
    /// Which share of the class follows it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) share: f64,
    /// When those come.
    pub(crate) when: ArrivalLaw,
}

impl RawArrival {
    pub(crate) fn arrival(&self) -> Arrival {
        match self {
            Self::One(law) => Arrival::one(law.clone()),
            Self::Several(parts) => {
                let part = |part: &RawPart| Part { share: part.share, law: part.when.clone() };
                Arrival(parts.iter().map(part).collect())
            }
        }
    }
}

/// `repeat`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRepeat {
    /// First step of it, counted from 0.
    #[schemars(range(max = 1_000))]
    pub(crate) from: usize,
    /// Last step of it.
    #[schemars(range(max = 1_000))]
    pub(crate) to: usize,
    /// Shares of people who walk it 1, 2, ... times.
    #[schemars(extend("minItems" = 1))]
    pub(crate) times: Vec<RawShare>,
}

/// `patience_s`
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPatience {
    /// While nobody has told them their place.
    pub(crate) spinner: RawSpan,
    /// Once they hold a ticket.
    pub(crate) ticket: RawSpan,
}
