//! One run: what the upstream can do, who asks, and what changes on the way.

use std::time::Duration;

use tornello::admission::policy::{LawPolicy, LimitPolicy};

use super::origin::Shape;

/// Something that changes at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// So many workers.
    Workers(u32),
    /// Work takes this many times as long as at first.
    Slower(f64),
    /// This many requests a second.
    Rate(f64),
    /// For so many seconds nothing comes back.
    Stall(f64),
    /// This part of the requests is answered at once with an error.
    Errors(f64),
    /// This part of the requests is of the slow route.
    Mix(f64),
}

/// A second route to the same upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlowRoute {
    /// Part of the requests.
    pub(crate) part: f64,
    /// Its work takes so many times as long.
    pub(crate) times: f64,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) workers: u32,
    /// Mean work of a request, seconds.
    pub(crate) service: f64,
    pub(crate) shape: Shape,
    pub(crate) slow: Option<SlowRoute>,
    pub(crate) thrash: f64,
    /// Requests a second, in a Poisson stream.
    pub(crate) rate: f64,
    /// How often somebody refused or late tries again, and the mean seconds before.
    pub(crate) tries: u32,
    pub(crate) retry_after: f64,
    /// Answers after this are worthless, seconds from asking.
    pub(crate) slo: f64,
    /// The gateway gives up on an answer after this, seconds from sending.
    pub(crate) timeout: f64,
    pub(crate) gateways: usize,
    pub(crate) policy: LimitPolicy,
    pub(crate) beat: f64,
    pub(crate) horizon: f64,
    /// In order of time.
    pub(crate) changes: Vec<(f64, Change)>,
}

impl Setting {
    /// Workers of 50 ms behind one gateway with a queue of 100 ms, at `load` times what they can do.
    pub(crate) fn new(law: LawPolicy, workers: u32, load: f64) -> Self {
        let service = 0.05;
        Self {
            workers,
            service,
            shape: Shape::Lognormal(0.5),
            slow: None,
            thrash: 0.0,
            rate: load * f64::from(workers) / service,
            tries: 1,
            retry_after: 1.0,
            slo: 10.0 * service + 0.1,
            timeout: 40.0 * service,
            gateways: 1,
            policy: policy(law),
            beat: 0.05,
            horizon: 40.0,
            changes: Vec::new(),
        }
    }
}

/// What an operator who configured nothing has, but for a higher ceiling.
pub(crate) fn policy(law: LawPolicy) -> LimitPolicy {
    LimitPolicy {
        law,
        initial: 20,
        floor: 1,
        ceiling: 5_000,
        wait: Duration::from_millis(100),
        stall: Duration::from_secs(3),
    }
}
