//! Counters of a running leg, for whoever watches it. Relaxed: they show, they decide nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::ledger::Ledger;
use crate::clock::Clock;

/// Counters of a leg. People are those who want something scarce.
#[derive(Debug, Default)]
pub struct Tally {
    people: AtomicU64,
    arrived: AtomicU64,
    waiting: AtomicU64,
    completed: AtomicU64,
    gave_up: AtomicU64,
    requests: AtomicU64,
    bot_requests: AtomicU64,
    bots_served: AtomicU64,
    bots_admitted: AtomicU64,
    bots_foreign: AtomicU64,
    ledger: Arc<Ledger>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// People who will come.
    pub people: u64,
    /// Who have come.
    pub arrived: u64,
    /// Who hold a ticket and wait, now.
    pub waiting: u64,
    /// Who reached their goal.
    pub completed: u64,
    /// Who left without.
    pub gave_up: u64,
    /// Requests sent by everybody, bots included.
    pub requests: u64,
    /// Requests sent by bots.
    pub bot_requests: u64,
    /// Of those, answered with a page.
    pub bots_served: u64,
    /// Ways of bots on which they were let in; only those that wait as people do are counted.
    pub bots_admitted: u64,
    /// Answers to bots with somebody else's canary. Each is a leak.
    pub bots_foreign: u64,
}

/// Somebody waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Waits<'a>(&'a AtomicU64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Tally {
    /// Counters whose ledger takes its times from this clock.
    #[must_use]
    pub fn timed_by(clock: Clock) -> Self {
        Self { ledger: Arc::new(Ledger::timed_by(clock)), ..Self::default() }
    }

    /// All counters now.
    #[must_use]
    pub fn count(&self) -> Count {
        Count {
            people: self.people.load(Relaxed),
            arrived: self.arrived.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            completed: self.completed.load(Relaxed),
            gave_up: self.gave_up.load(Relaxed),
            requests: self.requests.load(Relaxed),
            bot_requests: self.bot_requests.load(Relaxed),
            bots_served: self.bots_served.load(Relaxed),
            bots_admitted: self.bots_admitted.load(Relaxed),
            bots_foreign: self.bots_foreign.load(Relaxed),
        }
    }

    /// Every request that went over a connection.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub(super) fn expect(&self, people: u64) {
        self.people.fetch_add(people, Relaxed);
    }

    pub(super) fn arrived(&self) {
        self.arrived.fetch_add(1, Relaxed);
    }

    pub(super) fn completed(&self) {
        self.completed.fetch_add(1, Relaxed);
    }

    pub(super) fn gave_up(&self) {
        self.gave_up.fetch_add(1, Relaxed);
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn bot_request(&self) {
        self.requests.fetch_add(1, Relaxed);
        self.bot_requests.fetch_add(1, Relaxed);
    }

    pub(super) fn bot_served(&self) {
        self.bots_served.fetch_add(1, Relaxed);
    }

    pub(super) fn bot_admitted(&self) {
        self.bots_admitted.fetch_add(1, Relaxed);
    }

    /// A bot was shown so many pages of somebody else.
    pub(super) fn foreign(&self, pages: u64) {
        self.bots_foreign.fetch_add(pages, Relaxed);
    }

    pub(super) fn waits(&self) -> Waits<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waits(&self.waiting)
    }
}
