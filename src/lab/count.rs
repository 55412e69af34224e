//! How the requests for an endpoint ended, as the origin saw it: every request received ends in exactly
//! one way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// The account of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointTruth {
    /// Its name.
    pub id: String,
    /// Requests received.
    pub received: u64,
    /// Answered with the page, handed to the connection in full.
    pub answered: u64,
    /// Answered with an error (5xx).
    pub failed: u64,
    /// Answered 429, because too many waited for a worker.
    pub refused: u64,
    /// Answered 410, because nothing was left to sell.
    pub exhausted: u64,
    /// Not answered: the client had left, or the origin was gone.
    pub abandoned: u64,
    /// Units sold, each to another step of another person.
    pub sold: u64,
}

impl EndpointTruth {
    /// Requests that are neither answered nor abandoned yet.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        let ended = self.answered + self.failed + self.refused + self.exhausted + self.abandoned;
        self.received.saturating_sub(ended)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    Failed,
    Refused,
    Exhausted,
    Abandoned,
}

/// The counters of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Counters {
    received: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    exhausted: AtomicU64,
    abandoned: AtomicU64,
    sold: AtomicU64,
}

/// One request that was received. Its fate is counted when this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    counters: Arc<Counters>,
    pub(super) fate: Fate,
}

impl Counters {
    /// A request was received; unless somebody says otherwise, it is abandoned.
    pub(super) fn receive(self: &Arc<Self>) -> Counted {
        self.received.fetch_add(1, Relaxed);
        Counted { counters: Arc::clone(self), fate: Fate::Abandoned }
    }

    pub(super) fn sold(&self) {
        self.sold.fetch_add(1, Relaxed);
    }

    /// All of them now, under the endpoint's name.
    pub(super) fn truth(&self, id: &str) -> EndpointTruth {
        EndpointTruth {
            id: id.to_owned(),
            received: self.received.load(Relaxed),
            answered: self.answered.load(Relaxed),
            failed: self.failed.load(Relaxed),
            refused: self.refused.load(Relaxed),
            exhausted: self.exhausted.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
            sold: self.sold.load(Relaxed),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counters = &self.counters;
        let counter = match self.fate {
            Fate::Answered => &counters.answered,
            Fate::Failed => &counters.failed,
            Fate::Refused => &counters.refused,
            Fate::Exhausted => &counters.exhausted,
            Fate::Abandoned => &counters.abandoned,
        };
        counter.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_ends_once() {
        let counters = Arc::new(Counters::default());
        let mut served = counters.receive();
        let left = counters.receive();
        let open = counters.receive();
        served.fate = Fate::Answered;
        drop((served, left));
        let truth = counters.truth("page");
        assert_eq!((truth.received, truth.answered, truth.abandoned, truth.unfinished()), (3, 1, 1, 1));
        drop(open);
        assert_eq!(counters.truth("page").unfinished(), 0);
    }
}
