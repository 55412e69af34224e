//! Virtual time: clients, gateways with the real limiter, and an origin.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use tornello::admission::limiter::Limiter;
use tornello::admission::{Moment, Outcome};

use super::origin::{Job, Origin};
use super::setting::{Change, Setting};
use super::trace::Trace;
use crate::dice::Dice;

/// What happens at a time.
#[derive(Debug)]
enum Event {
    /// A worker is done.
    Done(Job),
    /// An error comes back at once.
    Failed(Job),
    /// Somebody tries again.
    Retry { gateway: usize, attempt: u32 },
}

#[derive(Debug)]
struct At(f64, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for At {}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for At {
    /// The earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

struct Waiting {
    asked: f64,
    attempt: u32,
}

struct Gateway {
    limiter: Limiter,
    queue: VecDeque<Waiting>,
}

struct World<'a> {
    setting: &'a Setting,
    now: f64,
    dice: Dice,
    origin: Origin,
    gateways: Vec<Gateway>,
    events: BinaryHeap<At>,
    sequence: u64,
    rate: f64,
    slower: f64,
    errors: f64,
    mix: f64,
    trace: Trace,
}

fn moment(seconds: f64) -> Moment {
    Moment((seconds * 1e9) as u64)
}

/// Plays a setting to its horizon.
pub(crate) fn play(setting: &Setting, seed: u64) -> Trace {
    let gateways = (0..setting.gateways)
        .map(|place| Gateway {
            limiter: Limiter::new(&setting.policy, seed * 1_000 + place as u64, Moment(0)),
            queue: VecDeque::new(),
        })
        .collect();
    let mut world = World {
        setting,
        now: 0.0,
        dice: Dice::new(seed),
        origin: Origin { workers: setting.workers, thrash: setting.thrash, ..Origin::default() },
        gateways,
        events: BinaryHeap::new(),
        sequence: 0,
        rate: setting.rate,
        slower: 1.0,
        errors: 0.0,
        mix: setting.slow.map_or(0.0, |slow| slow.part),
        trace: Trace::new(setting),
    };
    world.run();
    world.trace
}

impl World<'_> {
    fn run(&mut self) {
        let horizon = self.setting.horizon;
        let mut arrival = self.gap();
        let mut tick = self.setting.beat;
        let mut changes = self.setting.changes.iter().copied().peekable();
        loop {
            let event = self.events.peek().map_or(f64::INFINITY, |at| at.0);
            let change = changes.peek().map_or(f64::INFINITY, |(at, _)| *at);
            let next = event.min(arrival).min(tick).min(change);
            if next >= horizon {
                break;
            }
            self.now = next;
            if next == event {
                if let Some(At(_, _, event)) = self.events.pop() {
                    self.happen(event);
                }
            } else if next == arrival {
                let gateway =
                    if self.gateways.len() > 1 { self.dice.roll() as usize % self.gateways.len() } else { 0 };
                self.trace.offered(next);
                self.ask(gateway, 1);
                arrival = next + self.gap();
            } else if next == tick {
                self.tick();
                tick += self.setting.beat;
            } else if let Some((_, change)) = changes.next() {
                let before = self.rate;
                self.change(change);
                if self.rate != before {
                    arrival = next + self.gap();
                }
            }
        }
    }

    /// Seconds to the next arrival.
    fn gap(&mut self) -> f64 {
        if self.rate <= 0.0 { f64::INFINITY } else { -(1.0 - self.dice.part()).ln() / self.rate }
    }

    fn at(&mut self, when: f64, event: Event) {
        self.sequence += 1;
        self.events.push(At(when, self.sequence, event));
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Workers(workers) => {
                self.origin.workers = workers;
                self.start_work();
            }
            Change::Slower(times) => self.slower = times,
            Change::Rate(rate) => self.rate = rate,
            Change::Errors(part) => self.errors = part,
            Change::Mix(part) => self.mix = part,
            Change::Stall(seconds) => self.stall(seconds),
        }
        let (workers, slower) = (self.origin.workers, self.slower * self.mean());
        self.trace.capacity(self.now, f64::from(workers) / (self.setting.service * slower));
    }

    /// Mean work of the mix of routes of now, over the setting's mean.
    fn mean(&self) -> f64 {
        self.setting.slow.map_or(1.0, |slow| {
            (1.0 + self.mix * (slow.times - 1.0)) / (1.0 + slow.part * (slow.times - 1.0))
        })
    }

    /// What is under way ends so much later.
    fn stall(&mut self, seconds: f64) {
        self.origin.stalled_until = self.now + seconds;
        let events = std::mem::take(&mut self.events);
        self.events = events
            .into_iter()
            .map(|At(when, sequence, event)| match event {
                Event::Done(job) => At(when + seconds, sequence, Event::Done(job)),
                other => At(when, sequence, other),
            })
            .collect();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Done(job) => {
                self.origin.busy = self.origin.busy.saturating_sub(1);
                self.finish(job, false);
                self.start_work();
            }
            Event::Failed(job) => self.finish(job, true),
            Event::Retry { gateway, attempt } => self.ask(gateway, attempt),
        }
    }

    /// Somebody asks a gateway: on, or into its queue, or away.
    fn ask(&mut self, place: usize, attempt: u32) {
        let (now, wait) = (self.now, self.setting.policy.wait);
        let Some(gateway) = self.gateways.get_mut(place) else { return };
        let class = self.setting.slow.is_some_and(|_| self.dice.chance(self.mix));
        if gateway.queue.is_empty()
            && let Some(dispatch) =
                gateway.limiter.try_acquire(&self.setting.policy, u8::from(class), moment(now))
        {
            self.send(place, now, attempt, class, dispatch);
            return;
        }
        let gateway = &mut self.gateways[place];
        if !gateway.queue.is_empty() {
            gateway.limiter.held_back();
        }
        if wait.is_zero() {
            self.refused(place, attempt);
        } else {
            gateway.queue.push_back(Waiting { asked: now, attempt });
            self.sweep(place);
        }
    }

    /// Those at the head who have waited too long are refused.
    fn sweep(&mut self, place: usize) {
        let wait = self.setting.policy.wait.as_secs_f64();
        while let Some(first) = self.gateways[place].queue.front()
            && self.now > first.asked + wait
        {
            let attempt = first.attempt;
            self.gateways[place].queue.pop_front();
            self.refused(place, attempt);
        }
    }

    fn refused(&mut self, gateway: usize, attempt: u32) {
        self.trace.refused(self.now);
        self.again(gateway, attempt);
    }

    fn again(&mut self, gateway: usize, attempt: u32) {
        if attempt < self.setting.tries {
            let pause = self.setting.retry_after * (0.5 + self.dice.part());
            self.at(self.now + pause, Event::Retry { gateway, attempt: attempt + 1 });
        }
    }

    fn send(
        &mut self,
        gateway: usize,
        asked: f64,
        attempt: u32,
        class: bool,
        dispatch: tornello::admission::limiter::Dispatch,
    ) {
        let mean = self.setting.service * self.slower;
        let scale = self.setting.slow.map_or(1.0, |slow| {
            let quick = 1.0 / (1.0 + slow.part * (slow.times - 1.0));
            if class { quick * slow.times } else { quick }
        });
        let work = mean * scale * self.setting.shape.draw(&mut self.dice);
        let job = Job { gateway, dispatch, asked, attempt, work };
        if self.errors > 0.0 && self.dice.chance(self.errors) {
            self.at(self.now + 0.02 * self.setting.service, Event::Failed(job));
            return;
        }
        self.origin.queue.push_back(job);
        self.start_work();
    }

    fn start_work(&mut self) {
        while let Some((done, job)) = self.origin.begin(self.now) {
            self.at(done, Event::Done(job));
        }
    }

    fn finish(&mut self, mut job: Job, failed: bool) {
        let now = self.now;
        let policy = &self.setting.policy;
        let limiter = &mut self.gateways[job.gateway].limiter;
        limiter.head(&mut job.dispatch, moment(now));
        let took = now - job.asked;
        let late = took > self.setting.timeout;
        let outcome = if failed || late { Outcome::Dropped } else { Outcome::Served };
        limiter.release(policy, &job.dispatch, outcome, moment(now));
        if failed {
            self.trace.failed(now);
        } else {
            self.trace.answered(job.asked, now);
        }
        if failed || late {
            self.again(job.gateway, job.attempt);
        }
        self.grant(job.gateway);
    }

    /// Permits that are free go to those who wait.
    fn grant(&mut self, place: usize) {
        let policy = &self.setting.policy;
        self.sweep(place);
        while self.gateways[place].limiter.has_room(policy) {
            let Some(next) = self.gateways[place].queue.pop_front() else { break };
            let class = self.setting.slow.is_some_and(|_| self.dice.chance(self.mix));
            let gateway = &mut self.gateways[place];
            let before = gateway.limiter.in_flight();
            let limit = gateway.limiter.limit(policy);
            let Some(dispatch) = gateway.limiter.try_acquire(policy, u8::from(class), moment(self.now))
            else {
                break;
            };
            assert!(before < limit, "let through above the limit");
            self.send(place, next.asked, next.attempt, class, dispatch);
        }
    }

    fn tick(&mut self) {
        for place in 0..self.gateways.len() {
            let limiter = &mut self.gateways[place].limiter;
            limiter.tick(&self.setting.policy, moment(self.now));
            let limit = limiter.limit(&self.setting.policy);
            assert!(limit >= self.setting.policy.floor && limit <= self.setting.policy.ceiling);
            self.trace.limit(place, self.now, limit);
            self.grant(place);
        }
    }
}
