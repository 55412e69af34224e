//! The gate before one upstream: its limiter, and the fair queue of those who wait for a permit.
//!
//! Invariant (promise 1): a [`Permit`] exists only for a request let through below the limit, and
//! whoever holds the last reference to the upstream's work holds the permit. Dropping it settles.
//! Permits go to those who wait before anybody who comes later; whose turn it is says the
//! [`FairQueue`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::learnt::Learnt;
use crate::admission::knee::KneeFacts;
use crate::admission::law::ROUTE_CLASSES;
use crate::admission::limiter::{Dispatch, Limiter};
use crate::admission::policy::{LimitPolicy, QueuePolicy};
use crate::admission::queue::{Asking, FairQueue, Held, Pace, Place, Turned};
use crate::admission::{Class, Moment, Outcome};
use crate::clock::Clock;

/// One upstream's gate.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    policy: LimitPolicy,
    queue_policy: QueuePolicy,
    limiter: Limiter,
    /// Routes that told their class; their place here is its number.
    classes: Vec<String>,
    queue: FairQueue<Waiter>,
}

/// Where somebody who waits hears of it.
type Waiter = oneshot::Sender<Result<Permit, Turned>>;

/// One unfinished request at the upstream. Freed on drop, whatever happened.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    dispatch: Dispatch,
    /// What it holds of the queue's counts; a probe holds nothing.
    held: Option<Held>,
    outcome: Outcome,
    /// Free already, see [`Permit::leave`].
    left: bool,
    /// The upstream's answer says that it is overloaded.
    overloaded: bool,
}

/// A place in the queue. Dropping it gives the place up at once.
#[derive(Debug)]
pub struct Wait {
    gate: Arc<Gate>,
    place: Place,
    granted: oneshot::Receiver<Result<Permit, Turned>>,
    deadline: Moment,
    /// Out of the queue already.
    over: bool,
}

/// What the gate says at once.
#[derive(Debug)]
pub enum Knock {
    /// Go on.
    Permit(Permit),
    /// Wait, but not beyond the deadline.
    Wait(Wait),
    /// Not even a place to wait.
    Turned(Turned),
}

/// What metrics and rooms see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateFacts {
    /// Most requests that may be unfinished, once the gate is open.
    pub limit: u32,
    /// The same without the law's short experiments, see [`Limiter::standing`].
    pub standing: u32,
    /// Most that may be unfinished now: less after an outage, while it opens step by step.
    pub limit_now: u32,
    /// Requests unfinished.
    pub in_flight: u32,
    /// Requests in the queue.
    pub queued: usize,
    /// The same by class, P0 to P3.
    pub waiting: [usize; Class::ALL.len()],
    /// Requests are unfinished and nothing comes back.
    pub stalled: bool,
}

impl Gate {
    /// A gate at the policy's initial limit. `seed` keeps the law's experiments apart from those of
    /// other gateways before the same upstream.
    #[must_use]
    pub fn new(policy: LimitPolicy, queue_policy: QueuePolicy, seed: u64, clock: Clock) -> Arc<Self> {
        let limiter = Limiter::new(&policy, seed, clock.now());
        let (classes, queue) = (Vec::new(), FairQueue::default());
        let state = State { policy, queue_policy, limiter, classes, queue };
        Arc::new(Self { state: Mutex::new(state), clock })
    }

    /// The number of a route, by which the law knows what its requests cost; the same after a reload.
    /// Routes beyond [`ROUTE_CLASSES`] share the last.
    #[must_use]
    pub fn route_class(&self, route: &str) -> u8 {
        let mut state = self.lock();
        let known = state.classes.iter().position(|name| name == route);
        let place = known.unwrap_or_else(|| {
            if state.classes.len() < ROUTE_CLASSES {
                state.classes.push(route.to_owned());
            }
            state.classes.len().saturating_sub(1)
        });
        u8::try_from(place).unwrap_or(u8::MAX)
    }

    /// What was learnt of the upstream behind it.
    #[must_use]
    pub fn learnt(&self) -> Learnt {
        let state = self.lock();
        let (limit, baselines) = state.limiter.learnt();
        let known = |(route, baseline): (&String, Option<f64>)| Some((route.clone(), baseline?));
        let baselines = state.classes.iter().zip(baselines).filter_map(known).collect();
        Learnt { limit, baselines }
    }

    /// Goes on from what an earlier process had learnt. Routes say their class before.
    pub fn take_up(&self, learnt: &Learnt) {
        let mut state = self.lock();
        let State { policy, limiter, classes, .. } = &mut *state;
        let baselines: Vec<_> = classes.iter().map(|route| learnt.baselines.get(route).copied()).collect();
        let now = self.clock.now();
        limiter.take_up(policy, learnt.limit, &baselines, now);
    }

    /// Asks for a permit.
    pub fn knock(self: &Arc<Self>, asking: &Asking, now: Moment) -> Knock {
        let mut state = self.lock();
        let State { policy, queue_policy, limiter, queue, .. } = &mut *state;
        if !limiter.has_room(policy) {
            limiter.held_back();
        } else if let Some(held) = queue.go(queue_policy, asking) {
            return match limiter.try_acquire(policy, asking.route, now) {
                Some(dispatch) => Knock::Permit(self.permit(dispatch, Some(held))),
                None => Knock::Turned(Turned::Full),
            };
        }
        if policy.wait.is_zero() {
            return Knock::Turned(Turned::Full);
        }
        let (grant, granted) = oneshot::channel();
        let deadline = now.after(policy.wait);
        let pushed = queue.push(queue_policy, asking, deadline, now, grant);
        drop(state);
        match pushed {
            Ok((place, pushed_out)) => {
                send(pushed_out.map(|waiter| (waiter, Err(Turned::PushedOut))));
                Knock::Wait(Wait { gate: Arc::clone(self), place, granted, deadline, over: false })
            }
            Err((why, _)) => Knock::Turned(why),
        }
    }

    /// Asks for a permit without waiting; health probes do.
    pub fn try_permit(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        let State { policy, limiter, .. } = &mut *state;
        limiter.try_acquire(policy, 0, self.clock.now()).map(|dispatch| self.permit(dispatch, None))
    }

    /// New rules, from now on. What is under way goes on.
    pub fn govern(self: &Arc<Self>, policy: LimitPolicy, queue_policy: QueuePolicy) {
        let grants = {
            let mut state = self.lock();
            (state.policy, state.queue_policy) = (policy, queue_policy);
            self.grants(&mut state)
        };
        send(grants);
    }

    /// Lets the law look at the counts, hands out what it gives free, and turns away who is too many.
    pub fn tick(self: &Arc<Self>) {
        let (turned, grants) = {
            let mut state = self.lock();
            let State { policy, limiter, queue, .. } = &mut *state;
            let now = self.clock.now();
            limiter.tick(policy, now);
            let baseline = limiter.facts().map_or(0.0, |facts| facts.baseline_s);
            let baseline = Duration::try_from_secs_f64(baseline).unwrap_or_default();
            let turned = queue.tick(Pace::of(baseline, policy.wait), now);
            (turned, self.grants(&mut state))
        };
        send(turned.into_iter().map(|(why, waiter)| (waiter, Err(why))));
        send(grants);
    }

    /// The upstream is there again after an outage.
    pub fn open_gently(&self) {
        let mut state = self.lock();
        let State { policy, limiter, .. } = &mut *state;
        limiter.open_gently(policy, self.clock.now());
    }

    /// What the law believes, if it believes more than a limit.
    #[must_use]
    pub fn knee(&self) -> Option<KneeFacts> {
        self.lock().limiter.facts()
    }

    /// The rules of now.
    #[must_use]
    pub fn policy(&self) -> LimitPolicy {
        self.lock().policy
    }

    /// A look.
    #[must_use]
    pub fn facts(&self, now: Moment) -> GateFacts {
        let state = self.lock();
        GateFacts {
            limit: state.limiter.goal(&state.policy),
            standing: state.limiter.standing(&state.policy),
            limit_now: state.limiter.limit(&state.policy),
            in_flight: state.limiter.in_flight(),
            queued: state.queue.len(),
            waiting: state.queue.waiting(),
            stalled: state.limiter.is_stalled(&state.policy, now),
        }
    }

    /// Longest wait in the queue.
    #[must_use]
    pub fn wait_max(&self) -> Duration {
        self.lock().policy.wait
    }

    fn permit(self: &Arc<Self>, dispatch: Dispatch, held: Option<Held>) -> Permit {
        let (outcome, left, overloaded) = (Outcome::Ignored, false, false);
        Permit { gate: Arc::clone(self), dispatch, held, outcome, left, overloaded }
    }

    fn release(self: &Arc<Self>, dispatch: &Dispatch, held: Option<Held>, outcome: Outcome) {
        let grants = {
            let mut state = self.lock();
            let State { policy, limiter, queue, .. } = &mut *state;
            limiter.release(policy, dispatch, outcome, self.clock.now());
            held.into_iter().for_each(|held| queue.done(held));
            self.grants(&mut state)
        };
        send(grants);
    }

    fn grants(self: &Arc<Self>, state: &mut State) -> Vec<(Waiter, Result<Permit, Turned>)> {
        let State { policy, queue_policy, limiter, queue, .. } = state;
        let mut grants = Vec::new();
        if queue.is_empty() {
            return grants;
        }
        let now = self.clock.now();
        while limiter.has_room(policy) {
            let Some((held, waiter)) = queue.pop(queue_policy, limiter.limit(policy), now) else { break };
            match limiter.try_acquire(policy, held.route(), now) {
                Some(dispatch) => grants.push((waiter, Ok(self.permit(dispatch, Some(held))))),
                None => queue.done(held),
            }
        }
        grants
    }

    /// A panic elsewhere must not take the gate with it: counts are consistent at every unlock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Outside the lock: a permit that nobody takes is dropped here and goes to the next in the queue.
fn send(answers: impl IntoIterator<Item = (Waiter, Result<Permit, Turned>)>) {
    for (waiter, answer) in answers {
        drop(waiter.send(answer));
    }
}

impl Wait {
    /// The permit.
    ///
    /// # Errors
    /// [`Turned`]: there is none in time, or before that for what the queue knows.
    pub async fn permit(mut self, clock: &Clock) -> Result<Permit, Turned> {
        let deadline = clock.instant(self.deadline);
        let heard = tokio::time::timeout_at(deadline, &mut self.granted).await;
        let Ok(Ok(answer)) = heard else { return Err(Turned::Late) };
        self.over = true;
        answer
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.over {
            let entry = self.gate.lock().queue.remove(self.place);
            drop(entry);
        }
    }
}

impl Permit {
    /// The request goes out now.
    pub fn sent(&mut self) {
        self.dispatch.sent(self.gate.clock.now());
        self.outcome = Outcome::Dropped;
    }

    /// All of it had gone out at `when`: how long a client took to send is not the upstream's doing.
    pub fn sent_whole(&mut self, when: Moment) {
        self.dispatch.sent(when);
    }

    /// The head of the answer is here.
    pub fn first_byte(&mut self) {
        let now = self.gate.clock.now();
        self.gate.lock().limiter.head(&mut self.dispatch, now);
    }

    /// The request leaves the limit before it ends: a tunnel or an event stream may last for hours. Its
    /// head has come, which is all that its answer tells of the upstream.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.gate.release(&self.dispatch, self.held.take(), Outcome::Served);
        }
    }

    /// The answer is a refusal by the upstream: however well it ends, and however quickly, it is no
    /// sample of what work costs.
    pub fn overloaded(&mut self) {
        self.overloaded = true;
    }

    /// How it ended; the permit is free when this value is gone.
    pub fn settle(mut self, outcome: Outcome) {
        let refused = self.overloaded && outcome == Outcome::Served;
        self.outcome = if refused { Outcome::Dropped } else { outcome };
    }

    /// The limit under which it was given, for upstreams that check promise 1 themselves: among the
    /// requests that they hold, the one let through last had at most its limit unfinished with it.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.dispatch.limit()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.left {
            self.gate.release(&self.dispatch, self.held.take(), self.outcome);
        }
    }
}
