//! The crowd's own account of what it sent: each request as it went over a connection, by number.
//!
//! A request asked once may go over the wire twice, as with browsers when a kept connection turns out
//! dead; here each is an *attempt* with a number of its own, which it carries in `X-Attempt` and which
//! the origin notes and repeats. So the three accounts can be compared one by one, not only in sum.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::admission::Moment;
use crate::clock::Clock;

/// The header with which the crowd numbers its attempts.
pub const ATTEMPT: &str = "x-attempt";
/// What begins so is not a page.
const PROTOCOL: &str = "/.tornello/";

/// One request that was handed to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub began: Moment,
    /// When it was answered in full or given up. `None` while it is under way.
    pub ended: Option<Moment>,
    /// The status of the answer; `None` if it was broken off, by whatever side.
    pub status: Option<u16>,
    /// Whether the answer bore the origin's mark.
    pub by_origin: bool,
}

/// An attempt that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// Its number.
    pub number: u64,
    /// Who asked; 0 if the request does not say.
    pub person: u64,
    /// Method and path.
    pub what: String,
}

/// All attempts of a leg.
#[derive(Debug)]
pub struct Ledger {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    attempts: Vec<Attempt>,
    under_way: BTreeMap<u64, UnderWay>,
    pages: Option<Histogram<u64>>,
}

/// One attempt under way; ended when dropped.
#[derive(Debug)]
pub(super) struct Noted {
    ledger: Arc<Ledger>,
    number: u64,
    answer: Option<(u16, bool)>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::timed_by(Clock::start())
    }
}

/// Microseconds up to ten minutes, to three digits. Always there: the bounds are good.
fn times() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, 600_000_000, 3).ok()
}

impl Ledger {
    /// A ledger that takes its times from this clock.
    #[must_use]
    pub fn timed_by(clock: Clock) -> Self {
        let state = State { attempts: Vec::new(), under_way: BTreeMap::new(), pages: times() };
        Self { clock, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is handed to a connection.
    pub(super) fn begin(self: &Arc<Self>, person: u64, what: String) -> Noted {
        let began = self.clock.now();
        let mut state = self.state();
        state.attempts.push(Attempt { began, ended: None, status: None, by_origin: false });
        let number = state.attempts.len() as u64;
        state.under_way.insert(number, UnderWay { number, person, what });
        Noted { ledger: Arc::clone(self), number, answer: None }
    }

    /// All attempts, number 1 first.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.clone()
    }

    /// What is under way now.
    #[must_use]
    pub fn under_way(&self) -> Vec<UnderWay> {
        self.state().under_way.values().cloned().collect()
    }

    /// The moment on the ledger's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Times of the pages that ended since this was last asked: median and 99th percentile.
    #[must_use]
    pub fn page_times(&self) -> Option<(Duration, Duration)> {
        let ended = std::mem::replace(&mut self.state().pages, times())?;
        let at = |quantile| Duration::from_micros(ended.value_at_quantile(quantile));
        (!ended.is_empty()).then(|| (at(0.5), at(0.99)))
    }
}

impl Noted {
    /// Its number, for the request to carry.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// It was answered in full.
    pub(super) fn answered(mut self, status: u16, by_origin: bool) {
        self.answer = Some((status, by_origin));
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let now = self.ledger.clock.now();
        let mut state = self.ledger.state();
        let page = state.under_way.remove(&self.number).is_some_and(|asked| !asked.what.contains(PROTOCOL));
        let index = usize::try_from(self.number - 1).unwrap_or(usize::MAX);
        let Some(attempt) = state.attempts.get_mut(index) else { return };
        attempt.ended = Some(now);
        if let Some((status, by_origin)) = self.answer {
            (attempt.status, attempt.by_origin) = (Some(status), by_origin);
        }
        let took = u64::try_from(now.since(attempt.began).as_micros()).unwrap_or(u64::MAX);
        if let Some(pages) = state.pages.as_mut().filter(|_| page) {
            pages.saturating_record(took.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_is_answered_broken_off_or_under_way() {
        let ledger = Arc::new(Ledger::default());
        ledger.begin(1, "GET /a".into()).answered(200, true);
        drop(ledger.begin(2, "GET /b".into()));
        let open = ledger.begin(3, "POST /.tornello/v1/rooms/a/tickets".into());
        let ends: Vec<_> = ledger.attempts().iter().map(|a| (a.status, a.ended.is_some())).collect();
        assert_eq!(ends, [(Some(200), true), (None, true), (None, false)]);
        assert_eq!(ledger.under_way().iter().map(|open| open.person).collect::<Vec<_>>(), [3]);
        assert!(ledger.page_times().is_some() && ledger.page_times().is_none());
        drop(open);
        assert!(ledger.under_way().is_empty() && ledger.page_times().is_none(), "a join is no page");
    }
}
