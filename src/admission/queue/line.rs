//! Those of one class who wait: a ring of users, each with its requests in order.
//!
//! A user who comes anew goes before the ring, once: who asks for little gets through as if those who ask
//! for much were not there (FQ-CoDel, RFC 8290 §4.1.2); of five turns one is the ring's in any case.
//! Whoever had a turn is not new before the ring has come round, also if nothing of theirs waited
//! meanwhile. A request of nobody known is never new: it costs nothing to be nobody.

mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use turns::Turns;

use super::{Pace, Standing, Who};
use crate::admission::UserKey;
use crate::admission::moment::Moment;

/// A waiting request.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) number: u64,
    pub(super) route: u8,
    pub(super) share: f64,
    pub(super) personal: bool,
    pub(super) optional: bool,
    pub(super) since: Moment,
    pub(super) deadline: Moment,
    pub(super) waiter: T,
}

/// One user's waiting requests; never empty.
#[derive(Debug)]
struct Flow<T> {
    entries: VecDeque<Entry<T>>,
    /// Its place in the ring; `None` while its user holds as many permits as one may.
    turn: Option<u64>,
}

/// The turns of users whose next request is for one route.
#[derive(Debug)]
struct Lane {
    share: f64,
    turns: BTreeMap<u64, Who>,
}

/// One class.
#[derive(Debug)]
pub(super) struct Line<T> {
    flows: BTreeMap<Who, Flow<T>>,
    /// The ring, by route, so that the first of the routes that may go is found without a search.
    lanes: BTreeMap<u8, Lane>,
    waiting: usize,
    turns: Turns,
    /// Permits that it holds.
    pub(super) holds: u32,
    /// Start tag of its next request.
    pub(super) tag: u64,
    pub(super) standing: Standing,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            flows: BTreeMap::new(),
            lanes: BTreeMap::new(),
            waiting: 0,
            turns: Turns::default(),
            holds: 0,
            tag: 0,
            standing: Standing::default(),
        }
    }
}

impl<T> Line<T> {
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn waiting_for(&self, who: Who) -> usize {
        self.flows.get(&who).map_or(0, |flow| flow.entries.len())
    }

    /// Somebody has a turn.
    pub(super) fn is_ready(&self) -> bool {
        self.lanes.values().any(|lane| !lane.turns.is_empty())
    }

    pub(super) fn push(&mut self, who: Who, entry: Entry<T>) {
        self.waiting += 1;
        if let Some(flow) = self.flows.get_mut(&who) {
            flow.entries.push_back(entry);
            return;
        }
        self.flows.insert(who, Flow { entries: VecDeque::from([entry]), turn: None });
        let turn = self.turns.of_newcomer(who);
        self.enrol(who, turn);
    }

    /// Whose turn it is: the first in the ring, but those on a route that is `over` its share let others
    /// go first.
    pub(super) fn first(&self, over: impl Fn(u8, f64) -> bool) -> Option<Who> {
        let first = |from: u64| {
            let heads = self.lanes.iter().filter_map(|(route, lane)| {
                let (turn, who) = lane.turns.range(from..).next()?;
                Some((over(*route, lane.share), *turn, *who))
            });
            heads.min_by_key(|(over, turn, _)| (*over, *turn)).map(|(.., who)| who)
        };
        first(self.turns.from()).or_else(|| first(0))
    }

    /// The user to whom a cap applies, by its next request.
    pub(super) fn user(&self, who: Who) -> Option<UserKey> {
        let head = self.flows.get(&who)?.entries.front()?;
        match who {
            Who::User(user) if head.personal => Some(user),
            _ => None,
        }
    }

    /// Its turn is over until one of its permits is free.
    pub(super) fn park(&mut self, who: Who) {
        self.withdraw(who);
    }

    /// One of its permits is free: it has a turn again, at the end of the ring.
    pub(super) fn unpark(&mut self, who: Who) {
        if self.flows.get(&who).is_some_and(|flow| flow.turn.is_none()) {
            let turn = self.turns.at_the_end();
            self.enrol(who, turn);
        }
    }

    /// Takes the next request of whose turn it is; its next turn is at the end of the ring.
    pub(super) fn take(&mut self, who: Who) -> Option<Entry<T>> {
        if let Some(had) = self.withdraw(who) {
            self.turns.served(had);
        }
        let entry = self.extract(who, 0);
        let next = self.turns.at_the_end();
        self.stand(who, next);
        entry
    }

    /// Takes the request `number` out; its user's turn stays where it was.
    pub(super) fn remove(&mut self, who: Who, number: u64) -> Option<Entry<T>> {
        let entries = &self.flows.get(&who)?.entries;
        let at = entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.remove_at(who, at)
    }

    /// Takes the newest request of whose turn comes last.
    pub(super) fn remove_last(&mut self) -> Option<Entry<T>> {
        let last = self.lanes.values().filter_map(|lane| lane.turns.last_key_value()).max();
        let who = last.map(|(_, who)| *who).or_else(|| self.flows.keys().next_back().copied())?;
        self.remove_at(who, self.waiting_for(who).checked_sub(1)?)
    }

    /// Takes out all that `leaves`.
    pub(super) fn drain(&mut self, leaves: impl Fn(&Entry<T>) -> bool) -> impl Iterator<Item = T> {
        let found = self.flows.iter().flat_map(|(who, flow)| {
            flow.entries.iter().filter(|entry| leaves(entry)).map(|entry| (*who, entry.number))
        });
        let mut found: Vec<(Who, u64)> = found.collect();
        // In the order in which they came.
        found.sort_unstable_by_key(|(_, number)| *number);
        found.into_iter().filter_map(move |(who, number)| Some(self.remove(who, number)?.waiter))
    }

    /// Somebody got a permit after `waited`.
    pub(super) fn served(&mut self, waited: Duration) {
        self.standing.served(if self.waiting == 0 { Duration::ZERO } else { waited });
    }

    /// Looks whether the queue stands.
    pub(super) fn look(&mut self, pace: Pace, now: Moment) {
        let heads = self.lanes.values().filter_map(|lane| lane.turns.first_key_value());
        let first = heads.min().and_then(|(_, who)| self.flows.get(who)?.entries.front());
        self.standing.look(first.map(|entry| now.since(entry.since)), pace, now);
    }

    fn remove_at(&mut self, who: Who, at: usize) -> Option<Entry<T>> {
        let turn = if at == 0 { self.withdraw(who) } else { None };
        let entry = self.extract(who, at);
        // One that was parked, and of whom nothing waits any more, had its turn all the same.
        if turn.is_some() || !self.flows.contains_key(&who) {
            let turn = turn.unwrap_or_else(|| self.turns.at_the_end());
            self.stand(who, turn);
        }
        entry
    }

    /// A turn, for the next request or, if nothing of theirs waits, for when something does.
    fn stand(&mut self, who: Who, turn: u64) {
        if self.flows.contains_key(&who) {
            self.enrol(who, turn);
        } else if self.waiting == 0 {
            self.turns.forget();
        } else {
            self.turns.keep(who, turn);
        }
    }

    fn extract(&mut self, who: Who, at: usize) -> Option<Entry<T>> {
        let flow = self.flows.get_mut(&who)?;
        let entry = flow.entries.remove(at)?;
        self.waiting -= 1;
        if flow.entries.is_empty() {
            self.flows.remove(&who);
        }
        Some(entry)
    }

    /// Puts a flow without a turn into the ring.
    fn enrol(&mut self, who: Who, turn: u64) {
        let Some(flow) = self.flows.get_mut(&who) else { return };
        let Some(head) = flow.entries.front() else { return };
        flow.turn = Some(turn);
        let lane = self.lanes.entry(head.route).or_insert(Lane { share: 1.0, turns: BTreeMap::new() });
        lane.share = head.share;
        lane.turns.insert(turn, who);
    }

    /// Takes a flow out of the ring; where it stood.
    fn withdraw(&mut self, who: Who) -> Option<u64> {
        let flow = self.flows.get_mut(&who)?;
        let turn = flow.turn.take()?;
        let route = flow.entries.front()?.route;
        self.lanes.get_mut(&route)?.turns.remove(&turn);
        Some(turn)
    }
}
