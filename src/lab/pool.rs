//! A pool: workers behind one first-come first-served queue, without end or bounded.
//!
//! A worker finishes what it took, whether or not anybody still waits for it; with `zombies` it also
//! takes what is queued for people who have left. That is how overloaded backends behave, and why
//! they do not come back by themselves.
//!
//! Invariants: busy ≤ slots, except after the slots were cut, until the work in hand is done;
//! in flight = queued + being worked on + answered but not yet handed over.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::chance::{Chance, mix};
use super::flag::Flag;
use super::law::Span;
use super::scenario::{Errors, Pool};
use super::truth::OriginTruth;

/// Who asks for which step of their way. Without one, a request repeats nothing.
pub(super) type StepKey = (u64, u32);

/// One pool, or all endpoints without one (then slots are without number).
#[derive(Debug)]
pub(super) struct Lane {
    scarce: bool,
    zombies: bool,
    bounded: Option<usize>,
    thrash: f64,
    seed: u64,
    state: Mutex<State>,
    stalled: Flag,
}

#[derive(Debug)]
struct State {
    slots: usize,
    busy: usize,
    in_flight: u64,
    limits: Limits,
    queue: VecDeque<Job>,
    steps: HashMap<StepKey, StepLog>,
    errors: Errors,
    slowness: f64,
    chance: Chance,
    truth: OriginTruth,
}

#[derive(Clone, Copy, Debug, Default)]
struct StepLog {
    asked: u32,
    handed_over: bool,
}

#[derive(Debug)]
struct Job {
    service: Duration,
    key: Option<StepKey>,
    answer: oneshot::Sender<Done>,
    unfinished: InFlight,
}

/// The work is done; what is left is to hand the answer over.
#[derive(Debug)]
pub(super) struct Done {
    /// The status, if it is an error.
    pub(super) failed: Option<u16>,
    pub(super) unfinished: InFlight,
}

/// One request received whose answer is not yet handed over in full. Ends when dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    lane: Arc<Lane>,
    limit: Option<u64>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.lane.state();
        state.in_flight -= 1;
        if let Some(limit) = self.limit {
            state.limits.remove(limit);
        }
    }
}

/// The limits that the requests in flight carry.
#[derive(Debug, Default)]
struct Limits(BTreeMap<u64, u64>);

impl Limits {
    fn add(&mut self, limit: u64) {
        *self.0.entry(limit).or_default() += 1;
    }

    fn remove(&mut self, limit: u64) {
        if let Some(count) = self.0.get_mut(&limit) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&limit);
            }
        }
    }

    /// Whether so many in flight break the promise that the gateway made with each of them.
    ///
    /// Whichever of those here was let through last was let through with at most its own limit
    /// unfinished, all others here among them. So more than the highest limit here is one too many,
    /// whatever order they arrived in and however the limit moved meanwhile.
    fn broken_by(&self, in_flight: u64) -> bool {
        self.0.last_key_value().is_some_and(|(highest, _)| in_flight > *highest)
    }
}

impl Lane {
    /// The workers of a pool.
    pub(super) fn of(pool: &Pool, seed: u64) -> Arc<Self> {
        Self::new(true, pool, seed)
    }

    /// Workers without number, for what needs no pool.
    pub(super) fn open(seed: u64) -> Arc<Self> {
        let pool = Pool { id: String::new(), slots: usize::MAX, bounded: None, zombies: true, thrash: 0.0 };
        Self::new(false, &pool, seed)
    }

    fn new(scarce: bool, pool: &Pool, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            scarce,
            zombies: pool.zombies,
            bounded: pool.bounded,
            thrash: pool.thrash,
            seed,
            state: Mutex::new(State {
                slots: pool.slots,
                busy: 0,
                in_flight: 0,
                limits: Limits::default(),
                queue: VecDeque::new(),
                steps: HashMap::new(),
                errors: Errors::of(0.0),
                slowness: 1.0,
                chance: Chance::new(seed, u64::MAX),
                truth: OriginTruth::default(),
            }),
            stalled: Flag::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in. Its work goes on whether or not the receiver lives. `None`: too many wait
    /// already, and this one is not taken.
    pub(super) fn arrive(
        self: &Arc<Self>,
        key: Option<StepKey>,
        limit: Option<u64>,
        service: &Span,
    ) -> Option<oneshot::Receiver<Done>> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state();
            let waits = state.busy >= state.slots || self.stalled.is_up();
            if self.bounded.is_some_and(|bound| waits && state.queue.len() >= bound) {
                state.truth.requests += 1;
                state.truth.pool_requests += 1;
                return None;
            }
            state.in_flight += 1;
            let in_flight = state.in_flight;
            if let Some(limit) = limit {
                state.limits.add(limit);
            }
            let over = state.limits.broken_by(in_flight);
            let attempt = match key {
                None => state.truth.requests,
                Some(key) => {
                    let log = state.steps.entry(key).or_default();
                    log.asked += 1;
                    let asked = log.asked;
                    state.truth.duplicates += u64::from(asked > 1);
                    u64::from(asked)
                }
            };
            let truth = &mut state.truth;
            truth.requests += 1;
            truth.limited += u64::from(limit.is_some());
            truth.over_limit += u64::from(over);
            if self.scarce {
                truth.pool_requests += 1;
                truth.in_flight_max = truth.in_flight_max.max(in_flight);
            }
            // The same attempt at the same step costs the same in every leg of the same seed.
            let (person, step) = key.unwrap_or_default();
            let mut chance = Chance::new(self.seed ^ mix(person), (u64::from(step) << 32) | attempt);
            let service = service.draw(&mut chance);
            let unfinished = InFlight { lane: Arc::clone(self), limit };
            if let Some(status) = state.errors.at_once.then(|| state.fails()).flatten() {
                drop(state);
                // Who asked is the caller, and still here.
                let _ = answer.send(Done { failed: Some(status), unfinished });
                return Some(answered);
            }
            let service = service.mul_f64(state.slowness);
            state.queue.push_back(Job { service, key, answer, unfinished });
        }
        self.start_work();
        Some(answered)
    }

    /// Lets free workers take what is queued.
    fn start_work(self: &Arc<Self>) {
        while let Some(job) = self.next_job() {
            if !self.zombies && job.answer.is_closed() {
                self.state().busy -= 1;
                continue;
            }
            let lane = Arc::clone(self);
            tokio::spawn(async move { lane.work(job).await });
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut state = self.state();
        if self.stalled.is_up() || state.busy >= state.slots {
            return None;
        }
        let mut job = state.queue.pop_front()?;
        state.busy += 1;
        if self.thrash > 0.0 {
            let waiting = state.queue.len() as f64 / state.slots.max(1) as f64;
            job.service = job.service.mul_f64(1.0 + self.thrash * waiting);
        }
        Some(job)
    }

    async fn work(self: Arc<Self>, job: Job) {
        tokio::time::sleep(job.service).await;
        self.stalled.until(false).await;
        let failed = {
            let mut state = self.state();
            if state.errors.at_once { None } else { state.fails() }
        };
        let left = job.answer.send(Done { failed, unfinished: job.unfinished }).err();
        {
            let mut state = self.state();
            state.busy -= 1;
            if self.scarce {
                state.settle(job.key, job.service, left.is_none() && failed.is_none());
            }
        }
        drop(left);
        self.start_work();
    }

    /// Changes the number of workers; work in hand is finished.
    pub(super) fn set_slots(self: &Arc<Self>, slots: usize) {
        self.state().slots = slots;
        self.start_work();
    }

    /// Holds everything: nothing is begun and nothing is answered until it is lifted.
    pub(super) fn stall(self: &Arc<Self>, stalled: bool) {
        self.stalled.set(stalled);
        self.start_work();
    }

    pub(super) fn set_errors(&self, errors: Errors) {
        self.state().errors = errors;
    }

    /// How many times as long the work takes of those who come from now on.
    pub(super) fn set_slowness(&self, times: f64) {
        self.state().slowness = times.clamp(0.0, 1_000.0);
    }

    pub(super) fn slots(&self) -> usize {
        self.state().slots
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.state().in_flight
    }

    pub(super) fn truth(&self) -> OriginTruth {
        self.state().truth.clone()
    }

    /// Forgets what is queued: the origin is going away.
    pub(super) fn clear(&self) {
        let queued = std::mem::take(&mut self.state().queue);
        drop(queued);
    }
}

impl State {
    /// Draws whether an answer is an error, and with which status.
    fn fails(&mut self) -> Option<u16> {
        let Errors { share, status, .. } = self.errors;
        (share > 0.0 && self.chance.happens(share.min(1.0))).then_some(status)
    }

    fn settle(&mut self, key: Option<StepKey>, service: Duration, handed_over: bool) {
        let repeat = match key {
            None => false,
            Some(key) => {
                let log = self.steps.entry(key).or_default();
                let before = log.handed_over;
                log.handed_over |= handed_over;
                before
            }
        };
        let useful = handed_over && !repeat;
        self.truth.busy_s += service.as_secs_f64();
        self.truth.useful += u64::from(useful);
        if !useful {
            self.truth.wasted_s += service.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::UnixTime;
    use crate::clock::Clock;

    const TEN_MS: Span = Span::Fixed { s: 0.01 };

    fn pool(slots: usize, zombies: bool) -> Pool {
        Pool { id: "sia".to_owned(), slots, bounded: None, zombies, thrash: 0.0 }
    }

    fn lane(slots: usize, zombies: bool) -> Arc<Lane> {
        Lane::of(&pool(slots, zombies), 1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_bounded_queue_refuses_one_more_that_would_wait() {
        let lane = Lane::of(&Pool { bounded: Some(1), ..pool(1, true) }, 1);
        let arrive = |person| lane.arrive(Some((person, 1)), None, &TEN_MS);
        let (working, waiting) = (arrive(1).unwrap(), arrive(2).unwrap());
        assert!(arrive(3).is_none());
        drop(working.await.unwrap());
        assert!(arrive(4).is_some(), "a place is free again");
        drop(waiting.await.unwrap());
        assert_eq!((lane.truth().requests, lane.truth().pool_requests), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn thrashing_work_takes_longer_the_more_wait() {
        let lane = Lane::of(&Pool { thrash: 0.5, ..pool(1, true) }, 1);
        let held: Vec<_> =
            (1..=3).filter_map(|person| lane.arrive(Some((person, 1)), None, &TEN_MS)).collect();
        for answered in held {
            answered.await.unwrap();
        }
        // The first begins alone, the second with one behind it, the third is alone again.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!((lane.truth().busy_s - 0.035).abs() < 1e-9, "{:?}", lane.truth());
    }

    #[tokio::test(start_paused = true)]
    async fn one_worker_serves_in_the_order_of_arrival() {
        let lane = lane(1, true);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for person in 1..=5 {
            let answered = lane.arrive(Some((person, 1)), None, &TEN_MS).unwrap();
            let order = Arc::clone(&order);
            tasks.push(tokio::spawn(async move {
                answered.await.unwrap();
                order.lock().unwrap().push(person);
            }));
        }
        assert_eq!(lane.in_flight(), 5);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(lane.in_flight(), 0);
        let truth = lane.truth();
        assert_eq!((truth.useful, truth.in_flight_max, truth.duplicates), (5, 5, 0));
        assert!(truth.wasted_share() < 1e-12);
    }

    #[tokio::test(start_paused = true)]
    async fn zombies_keep_their_turn_and_are_counted_as_waste() {
        let lane = lane(1, true);
        let first = lane.arrive(Some((1, 1)), None, &TEN_MS).unwrap();
        drop(lane.arrive(Some((2, 1)), None, &TEN_MS).unwrap());
        assert_eq!(lane.in_flight(), 2, "who left is still in flight");
        let again = lane.arrive(Some((2, 1)), None, &TEN_MS).unwrap();
        drop(first.await.unwrap());
        drop(again.await.unwrap());
        let truth = lane.truth();
        assert_eq!((truth.useful, truth.duplicates), (2, 1));
        assert!((truth.busy_s - 0.03).abs() < 1e-9 && (truth.wasted_s - 0.01).abs() < 1e-9, "{truth:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeat_of_a_step_done_is_waste_even_if_delivered() {
        let lane = lane(2, true);
        drop(lane.arrive(Some((1, 1)), None, &TEN_MS).unwrap().await.unwrap());
        drop(lane.arrive(Some((1, 1)), None, &TEN_MS).unwrap().await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let truth = lane.truth();
        assert_eq!(truth.useful, 1);
        assert!((truth.wasted_share() - 0.5).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_notices_drops_what_is_queued_for_those_who_left() {
        let lane = lane(1, false);
        let first = lane.arrive(Some((1, 1)), None, &TEN_MS).unwrap();
        drop(lane.arrive(Some((2, 1)), None, &TEN_MS).unwrap());
        drop(first.await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(lane.in_flight(), 0);
        assert!((lane.truth().busy_s - 0.01).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_limit_is_counted_by_those_in_flight_including_oneself() {
        let lane = lane(1, true);
        let held: Vec<_> =
            (1..=3).map(|person| lane.arrive(Some((person, 1)), Some(2), &TEN_MS).unwrap()).collect();
        assert_eq!(lane.truth().over_limit, 1);
        for answered in held {
            answered.await.unwrap();
        }
        drop(lane.arrive(Some((4, 1)), Some(1), &TEN_MS).unwrap().await.unwrap());
        assert_eq!((lane.truth().over_limit, lane.truth().limited), (1, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_in_flight_until_its_answer_is_handed_over() {
        let lane = lane(1, true);
        let done = lane.arrive(None, None, &TEN_MS).unwrap().await.unwrap();
        assert_eq!(lane.in_flight(), 1);
        drop(done.unfinished);
        assert_eq!(lane.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn slots_stalls_and_errors_are_obeyed() {
        let lane = lane(1, true);
        lane.set_slots(3);
        let held: Vec<_> =
            (1..=3).map(|person| lane.arrive(Some((person, 1)), None, &TEN_MS).unwrap()).collect();
        let all = async {
            for answered in held {
                answered.await.unwrap();
            }
        };
        let in_time = tokio::time::timeout(Duration::from_millis(15), all).await;
        assert!(in_time.is_ok(), "three workers work at once");

        lane.stall(true);
        let mut held = lane.arrive(Some((4, 1)), None, &TEN_MS).unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut held).await.is_err());
        lane.stall(false);
        assert_eq!(held.await.unwrap().failed, None);

        lane.set_errors(Errors::of(1.0));
        assert_eq!(lane.arrive(Some((5, 1)), None, &TEN_MS).unwrap().await.unwrap().failed, Some(500));
    }

    #[tokio::test(start_paused = true)]
    async fn errors_at_once_take_no_worker_and_no_time() {
        let lane = lane(1, true);
        let working = lane.arrive(Some((1, 1)), None, &TEN_MS).unwrap();
        lane.set_errors(Errors { share: 1.0, status: 503, at_once: true });
        let clock = Clock::of_runtime(UnixTime(0));
        let began = clock.now();
        let done = lane.arrive(Some((2, 1)), None, &TEN_MS).unwrap().await.unwrap();
        assert_eq!((done.failed, clock.now().since(began)), (Some(503), Duration::ZERO));
        assert_eq!(lane.in_flight(), 2, "until it is handed over");
        drop(done);
        // What was taken before is answered as ever.
        assert_eq!(working.await.unwrap().failed, None);
        assert_eq!(lane.in_flight(), 0);
        let truth = lane.truth();
        assert!((truth.busy_s - 0.01).abs() < 1e-9 && truth.requests == 2 && truth.useful == 1, "{truth:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_work_takes_longer_and_is_worked_longer() {
        let lane = lane(2, true);
        let before = lane.arrive(Some((1, 1)), None, &TEN_MS).unwrap();
        lane.set_slowness(3.0);
        let clock = Clock::of_runtime(UnixTime(0));
        let began = clock.now();
        let slow = lane.arrive(Some((2, 1)), None, &TEN_MS).unwrap();
        before.await.unwrap();
        assert_eq!(clock.now().since(began), Duration::from_millis(10));
        slow.await.unwrap();
        assert_eq!(clock.now().since(began), Duration::from_millis(30));
        lane.set_slowness(1.0);
        lane.arrive(Some((3, 1)), None, &TEN_MS).unwrap().await.unwrap();
        assert_eq!(clock.now().since(began), Duration::from_millis(40));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!((lane.truth().busy_s - 0.05).abs() < 1e-9, "{:?}", lane.truth());
    }
}
