//! The pool at work on the sessions of those who are inside.
//!
//! A session asks, thinks, and asks again: half of its work, all of its thinking, the other half. Work
//! stands in one queue, first come first served, before as many workers as the pool has and the limit
//! lets through. Times in nanoseconds of the day, so that one seed is one order.
//!
//! Invariant: `busy + queued + thinking` sessions are inside, and `busy` never rises above the workers.

use std::collections::VecDeque;

use super::crowd::{Visit, Who};
use crate::admission::Moment;
use crate::admission::dues::Dues;

/// Somebody inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Session {
    pub(super) who: Who,
    pub(super) number: u64,
    visit: Visit,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Thinking,
    Last,
}

/// What a session comes to at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It asks again after thinking.
    AsksAgain,
    /// It has its last answer.
    Done,
}

/// Workers now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Staff {
    pub(super) slots: usize,
    pub(super) limit: u32,
    pub(super) thrash: f64,
    /// Part of their work that is of use to anybody.
    pub(super) useful: f64,
}

/// The pool.
#[derive(Debug, Default)]
pub(super) struct Works {
    sessions: Vec<Option<Session>>,
    free: Vec<u32>,
    events: Dues<u32>,
    queue: VecDeque<u32>,
    busy: usize,
    clock: Moment,
    /// Worker time so far, in seconds.
    busy_s: f64,
}

impl Works {
    /// Sessions inside.
    pub(super) fn inside(&self) -> usize {
        self.sessions.len() - self.free.len()
    }

    /// Requests that would be in flight if no limit held them back.
    pub(super) fn asking(&self) -> u64 {
        (self.busy + self.queue.len()) as u64
    }

    /// Worker time so far, in seconds.
    pub(super) fn busy_s(&self) -> f64 {
        self.busy_s
    }

    /// Somebody comes in and asks.
    pub(super) fn begin(&mut self, who: Who, number: u64, visit: Visit) {
        let session = Session { who, number, visit, stage: Stage::First };
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.sessions.len()).unwrap_or(u32::MAX));
        if let Some(place) = self.sessions.get_mut(slot as usize) {
            *place = Some(session);
        } else {
            self.sessions.push(Some(session));
        }
        self.queue.push_back(slot);
    }

    /// Works until `until`. `turn` is told what each session comes to, in order of time, and says
    /// whether it goes on.
    pub(super) fn work(
        &mut self,
        until: Moment,
        staff: Staff,
        mut turn: impl FnMut(&Session, Turn, Moment) -> bool,
    ) {
        self.start(staff);
        while let Some((at, slot)) = self.events.next(Moment(until.0 + 1)) {
            self.pass(at);
            let Some(session) = self.sessions.get_mut(slot as usize).and_then(Option::as_mut) else {
                continue;
            };
            match session.stage {
                Stage::First => {
                    self.busy -= 1;
                    session.stage = Stage::Thinking;
                    let thought = at.after(span(session.visit.think_s));
                    self.events.enter(thought, slot);
                }
                Stage::Thinking => {
                    session.stage = Stage::Last;
                    let goes_on = turn(session, Turn::AsksAgain, at);
                    if goes_on { self.queue.push_back(slot) } else { self.forget(slot) }
                }
                Stage::Last => {
                    self.busy -= 1;
                    turn(session, Turn::Done, at);
                    self.forget(slot);
                }
            }
            self.start(staff);
        }
        self.pass(until);
    }

    /// Gives work to whoever is free.
    fn start(&mut self, staff: Staff) {
        let limit = usize::try_from(staff.limit).unwrap_or(usize::MAX);
        while self.busy < staff.slots.min(limit) {
            let Some(slot) = self.queue.pop_front() else { return };
            let Some(session) = self.sessions.get(slot as usize).copied().flatten() else { continue };
            let in_flight = (self.busy + self.queue.len() + 1).min(limit);
            let waiting = in_flight.saturating_sub(staff.slots) as f64;
            let slower = 1.0 + staff.thrash * waiting / staff.slots as f64;
            self.busy += 1;
            let done = self.clock.after(span(session.visit.work_s / 2.0 * slower / staff.useful));
            self.events.enter(done, slot);
        }
    }

    fn pass(&mut self, now: Moment) {
        self.busy_s += self.busy as f64 * now.since(self.clock).as_secs_f64();
        self.clock = self.clock.max(now);
    }

    fn forget(&mut self, slot: u32) {
        if let Some(place) = self.sessions.get_mut(slot as usize) {
            *place = None;
            self.free.push(slot);
        }
    }
}

fn span(seconds: f64) -> std::time::Duration {
    std::time::Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_conserved_and_a_full_pool_does_its_capacity() {
        let mut works = Works::default();
        for who in 0..1_000 {
            works.begin(who, u64::from(who) + 1, Visit { think_s: 0.5, work_s: 1.0 });
        }
        let (mut done, mut last) = (0, Moment(0));
        let staff = Staff { slots: 10, limit: 100, thrash: 0.0, useful: 1.0 };
        works.work(Moment(200_000_000_000), staff, |_, turn, at| {
            assert!(at >= last, "in order of time");
            last = at;
            done += u32::from(turn == Turn::Done);
            true
        });
        assert_eq!((done, works.inside(), works.asking()), (1_000, 0, 0));
        assert!((works.busy_s() - 1_000.0).abs() < 1e-6, "{}", works.busy_s());
        assert!(
            (last.0 as f64 / 1e9 - 100.0).abs() < 1.0,
            "1,000 s of work by ten, and little more: {last:?}"
        );
    }

    #[test]
    fn the_limit_keeps_workers_idle_if_it_is_below_them() {
        let mut works = Works::default();
        (0..100).for_each(|who| works.begin(who, 1, Visit { think_s: 0.0, work_s: 1.0 }));
        works.work(
            Moment(10_000_000_000),
            Staff { slots: 10, limit: 5, thrash: 0.0, useful: 1.0 },
            |_, _, _| true,
        );
        assert!((works.busy_s() - 50.0).abs() < 1e-6, "{}", works.busy_s());
    }
}
