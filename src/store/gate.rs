//! The gate before one upstream: its limiter, and the short queue of those who wait for a permit.
//!
//! Invariant (promise 1): a [`Permit`] exists only for a request let through below the limit, and
//! whoever holds the last reference to the upstream's work holds the permit. Dropping it settles.
//! Permits go to those who wait, in order, before anybody who comes later; those with a pass first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::admission::knee::KneeFacts;
use crate::admission::law::ROUTE_CLASSES;
use crate::admission::limiter::{Dispatch, Limiter};
use crate::admission::policy::LimitPolicy;
use crate::admission::queue::FifoQueue;
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
    limiter: Limiter,
    /// Routes that told their class; their place here is its number.
    classes: Vec<String>,
    /// Those who hold a pass or finish something, and behind them those who only come in.
    queues: [FifoQueue<(u8, oneshot::Sender<Permit>)>; 2],
}

/// Which of the queues a class stands in.
fn lane(class: Class) -> usize {
    match class {
        Class::Finish | Class::Admitted => 0,
        Class::Entry | Class::Bulk => 1,
    }
}

/// One unfinished request at the upstream. Freed on drop, whatever happened.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    dispatch: Dispatch,
    outcome: Outcome,
    /// Free already, see [`Permit::leave`].
    left: bool,
    /// The upstream's answer says that it is overloaded.
    overloaded: bool,
}

/// A place in the short queue. Dropping it gives the place up.
#[derive(Debug)]
pub struct Wait {
    granted: oneshot::Receiver<Permit>,
    deadline: Moment,
}

/// What the gate says at once.
#[derive(Debug)]
pub enum Knock {
    /// Go on.
    Permit(Permit),
    /// Wait, but not beyond the deadline.
    Wait(Wait),
    /// Not even room to wait.
    Full,
}

/// What metrics and rooms see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateFacts {
    /// Most requests that may be unfinished.
    pub limit: u32,
    /// Requests unfinished.
    pub in_flight: u32,
    /// Requests in the short queue.
    pub queued: usize,
    /// Requests are unfinished and nothing comes back.
    pub stalled: bool,
}

impl Gate {
    /// A gate at the policy's initial limit. `seed` keeps the law's experiments apart from those of
    /// other gateways before the same upstream.
    #[must_use]
    pub fn new(policy: LimitPolicy, seed: u64, clock: Clock) -> Arc<Self> {
        let limiter = Limiter::new(&policy, seed, clock.now());
        let state = State { policy, limiter, classes: Vec::new(), queues: Default::default() };
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

    /// Asks for a permit. Those inside the room go before those who only look in.
    pub fn knock(self: &Arc<Self>, class: Class, route_class: u8, now: Moment) -> Knock {
        let mut state = self.lock();
        let State { policy, limiter, queues, .. } = &mut *state;
        let nobody_before = queues.iter().take(lane(class) + 1).all(FifoQueue::is_empty);
        if !nobody_before {
            limiter.held_back();
        } else if let Some(dispatch) = limiter.try_acquire(policy, route_class, now) {
            return Knock::Permit(self.permit(dispatch));
        }
        if policy.wait.is_zero() {
            return Knock::Full;
        }
        let (grant, granted) = oneshot::channel();
        let deadline = now.after(policy.wait);
        match queues.get_mut(lane(class)).map(|queue| queue.push(deadline, (route_class, grant))) {
            Some(Ok(())) => Knock::Wait(Wait { granted, deadline }),
            _ => Knock::Full,
        }
    }

    /// Asks for a permit without waiting; health probes do.
    pub fn try_permit(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        let State { policy, limiter, .. } = &mut *state;
        limiter.try_acquire(policy, 0, self.clock.now()).map(|dispatch| self.permit(dispatch))
    }

    /// New rules, from now on. What is under way goes on.
    pub fn govern(self: &Arc<Self>, policy: LimitPolicy) {
        self.lock().policy = policy;
        self.pump();
    }

    /// Drops those who left or waited too long, and hands out what is free.
    pub fn pump(self: &Arc<Self>) {
        let grants = {
            let mut state = self.lock();
            let now = self.clock.now();
            state.queues.iter_mut().for_each(|queue| queue.sweep(now, |(_, waiter)| !waiter.is_closed()));
            self.grants(&mut state)
        };
        send(grants);
    }

    /// Lets the law look at the counts, and hands out what it gives free.
    pub fn tick(self: &Arc<Self>) {
        let grants = {
            let mut state = self.lock();
            let State { policy, limiter, .. } = &mut *state;
            limiter.tick(policy, self.clock.now());
            self.grants(&mut state)
        };
        send(grants);
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
            limit: state.limiter.limit(&state.policy),
            in_flight: state.limiter.in_flight(),
            queued: state.queues.iter().map(FifoQueue::len).sum(),
            stalled: state.limiter.is_stalled(&state.policy, now),
        }
    }

    /// Longest wait in the short queue.
    #[must_use]
    pub fn wait_max(&self) -> Duration {
        self.lock().policy.wait
    }

    fn permit(self: &Arc<Self>, dispatch: Dispatch) -> Permit {
        Permit { gate: Arc::clone(self), dispatch, outcome: Outcome::Ignored, left: false, overloaded: false }
    }

    fn release(self: &Arc<Self>, dispatch: &Dispatch, outcome: Outcome) {
        let grants = {
            let mut state = self.lock();
            let State { policy, limiter, .. } = &mut *state;
            limiter.release(policy, dispatch, outcome, self.clock.now());
            self.grants(&mut state)
        };
        send(grants);
    }

    fn grants(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let State { policy, limiter, queues, .. } = state;
        let mut grants = Vec::new();
        if queues.iter().all(FifoQueue::is_empty) {
            return grants;
        }
        let now = self.clock.now();
        while limiter.has_room(policy) {
            let waiter =
                queues.iter_mut().find_map(|queue| queue.pop(now, |(_, waiter)| !waiter.is_closed()));
            let Some((route_class, waiter)) = waiter else { break };
            let Some(dispatch) = limiter.try_acquire(policy, route_class, now) else { break };
            grants.push((waiter, self.permit(dispatch)));
        }
        grants
    }

    /// A panic elsewhere must not take the gate with it: counts are consistent at every unlock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Outside the lock: a permit that nobody takes is dropped here and goes to the next in the queue.
fn send(grants: Vec<(oneshot::Sender<Permit>, Permit)>) {
    for (waiter, permit) in grants {
        drop(waiter.send(permit));
    }
}

impl Wait {
    /// The permit, or `None` when the time for waiting is over.
    pub async fn permit(self, clock: &Clock) -> Option<Permit> {
        let deadline = clock.instant(self.deadline);
        tokio::time::timeout_at(deadline, self.granted).await.ok()?.ok()
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
            self.gate.release(&self.dispatch, Outcome::Served);
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
            self.gate.release(&self.dispatch, self.outcome);
        }
    }
}
