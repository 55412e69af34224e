//! What the origin saw: the only witness whose word counts about limits, waste and repeats.
//!
//! Times in seconds of worker time. A stretch of work is *useful* when its answer was handed to
//! somebody who was still there and who did not have the answer to that step already; otherwise it
//! is *wasted*.

use serde::{Deserialize, Serialize};

use super::count::EndpointTruth;

/// The account of one origin, over all its pools.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct OriginTruth {
    /// Requests received.
    pub requests: u64,
    /// Requests received for the pools.
    pub pool_requests: u64,
    /// Most requests of one pool that were received and not yet answered in full, queued ones included.
    pub in_flight_max: u64,
    /// Requests that arrived when more were in flight, themselves included, than the highest
    /// `Tornello-Limit` among those in flight.
    pub over_limit: u64,
    /// Requests that carried a `Tornello-Limit`.
    pub limited: u64,
    /// Requests for a step that the same person had asked for before.
    pub duplicates: u64,
    /// Answers of the pools that were of use.
    pub useful: u64,
    /// Worker time of the pools.
    pub busy_s: f64,
    /// The part of it spent on requests whose client had left, or that were repeats of a step done.
    pub wasted_s: f64,
    /// How the requests for each endpoint ended, in the order of the scenario. Those that were refused
    /// by a bounded queue count in `requests`, too.
    pub endpoints: Vec<EndpointTruth>,
}

impl OriginTruth {
    /// Units sold, of all stocks.
    #[must_use]
    pub fn sold(&self) -> u64 {
        self.endpoints.iter().map(|endpoint| endpoint.sold).sum()
    }

    /// Wasted worker time over all worker time; 0 when nothing was done.
    #[must_use]
    pub fn wasted_share(&self) -> f64 {
        if self.busy_s > 0.0 { self.wasted_s / self.busy_s } else { 0.0 }
    }

    /// Two accounts together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            pool_requests: self.pool_requests + other.pool_requests,
            in_flight_max: self.in_flight_max.max(other.in_flight_max),
            over_limit: self.over_limit + other.over_limit,
            limited: self.limited + other.limited,
            duplicates: self.duplicates + other.duplicates,
            useful: self.useful + other.useful,
            busy_s: self.busy_s + other.busy_s,
            wasted_s: self.wasted_s + other.wasted_s,
            endpoints: self.endpoints.into_iter().chain(other.endpoints.iter().cloned()).collect(),
        }
    }
}
