//! The limiter of one upstream: counts unfinished requests and keeps them within the limit.
//!
//! Invariant (promise 1): a request is let through only while `in_flight < limit`; a cut takes effect
//! by letting nobody through, never by ending what is under way. So `in_flight` may exceed a limit
//! that was just cut, and nothing is added until it is below again.

use super::Outcome;
use super::knee::KneeFacts;
use super::law::{self, Law, Load, Sample};
use super::moment::Moment;
use super::orphans::Orphans;
use super::policy::{LawPolicy, LimitPolicy};

/// Counts, and the law that moves the limit.
#[derive(Debug)]
pub struct Limiter {
    limit: f64,
    /// Below the limit while the gate opens after an outage: how wide it is, and since when it is looked
    /// at.
    opening: Option<(f64, Moment)>,
    /// Requests of an earlier process, and how many of them may be unfinished at the last look.
    orphans: Option<(Orphans, u32)>,
    /// What the law is told of the counts, but for what is under way since `counted`.
    load: Load,
    counted: Moment,
    /// How many were let through, and how many of them ended.
    let_through: u64,
    ended: u64,
    /// The limit held somebody back since the last request was let through freely.
    limited: bool,
    last_progress: Moment,
    law: Box<dyn Law>,
    law_policy: LawPolicy,
    seed: u64,
}

/// What a permit remembers until it is settled.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch {
    sent: Moment,
    limit: u32,
    limited: bool,
    class: u8,
    rank: u32,
    place: u64,
    first_byte: Option<std::time::Duration>,
}

impl Dispatch {
    /// The limit under which it was let through.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// The head of the answer has come.
    fn first_byte(&mut self, now: Moment) {
        self.first_byte = Some(now.since(self.sent));
    }

    /// The request goes out now; the time that it waited for a permit says nothing about the upstream.
    pub fn sent(&mut self, now: Moment) {
        self.sent = now;
    }
}

impl Limiter {
    /// A limiter at the policy's initial limit, with nothing in flight. `seed` keeps the experiments
    /// of several gateways before one upstream apart.
    #[must_use]
    pub fn new(policy: &LimitPolicy, seed: u64, now: Moment) -> Self {
        Self {
            limit: f64::from(policy.initial),
            opening: None,
            orphans: None,
            load: Load::default(),
            counted: now,
            let_through: 0,
            ended: 0,
            limited: false,
            last_progress: now,
            law: law::law(&policy.law, seed),
            law_policy: policy.law,
            seed,
        }
    }

    /// What the law has learnt: its limit, without short experiments, and what requests of each class take
    /// when nobody waits, in seconds.
    #[must_use]
    pub fn learnt(&self) -> (f64, Vec<Option<f64>>) {
        (self.law.standing(self.limit), self.law.baselines())
    }

    /// Goes on from what an earlier process had learnt, within today's floor and ceiling. What that one
    /// had sent may be unfinished still: it counts as if it were ours, and the gate opens gently.
    pub fn take_up(&mut self, policy: &LimitPolicy, limit: f64, baselines: &[Option<f64>], now: Moment) {
        self.take(policy, limit);
        self.law.take_up(baselines, now);
        let orphans = Orphans::of(f64::from(self.goal(policy)), baselines, now);
        self.orphans = orphans.left(now).map(|left| (orphans, left));
        self.open_gently(policy, now);
    }

    /// Lets one request of a class of routes through, if fewer than the limit are unfinished.
    pub fn try_acquire(&mut self, policy: &LimitPolicy, class: u8, now: Moment) -> Option<Dispatch> {
        if !self.has_room(policy) {
            self.held_back();
            return None;
        }
        if self.load.unanswered == 0 {
            self.last_progress = now;
        }
        self.count(policy, now);
        self.load.in_flight += 1;
        self.load.unanswered += 1;
        self.load.peak = self.load.peak.max(self.load.in_flight);
        self.let_through += 1;
        let limit = self.limit(policy);
        let limited = self.is_open() && (self.limited || self.load.in_flight >= limit);
        let (rank, place) = (self.load.in_flight, self.let_through);
        Some(Dispatch { sent: now, limit, limited, class, rank, place, first_byte: None })
    }

    /// Somebody found no room, or stood behind somebody who had found none.
    pub fn held_back(&mut self) {
        // While the gate opens it is not the limit that holds anybody back.
        if self.is_open() {
            self.limited = true;
            self.load.held_back += 1;
        }
    }

    /// The upstream is there again after an outage: one at a time, or as many as the floor, then one more
    /// with each answer (slow start, RFC 5681 §3.1), and in any case twice as many with each second, until
    /// the limit is reached. All who waited for this would otherwise come in the same instant.
    pub fn open_gently(&mut self, policy: &LimitPolicy, now: Moment) {
        self.opening = Some((f64::from(policy.floor.max(1)), now));
    }

    /// The head of an answer has come. Long answers to slow readers are no stall.
    pub fn head(&mut self, dispatch: &mut Dispatch, now: Moment) {
        dispatch.first_byte(now);
        self.load.unanswered = self.load.unanswered.saturating_sub(1);
        self.last_progress = now;
    }

    /// Nothing but the limit holds anybody back.
    fn is_open(&self) -> bool {
        self.opening.is_none() && self.orphans.is_none()
    }

    /// One request is finished at the upstream.
    pub fn release(&mut self, policy: &LimitPolicy, dispatch: &Dispatch, outcome: Outcome, now: Moment) {
        debug_assert!(self.load.in_flight > 0, "released more than was acquired");
        self.follow(policy);
        self.count(policy, now);
        let in_flight = self.load.in_flight;
        self.load.in_flight = in_flight.saturating_sub(1);
        if dispatch.first_byte.is_none() {
            self.load.unanswered = self.load.unanswered.saturating_sub(1);
        }
        if outcome == Outcome::Served {
            self.last_progress = now;
        }
        if let (Some((width, since)), Outcome::Served) = (self.opening, outcome) {
            self.widen(policy, width + 1.0, since);
        }
        let sample = Sample {
            sent: dispatch.sent,
            first_byte: dispatch.first_byte,
            outcome,
            limited: dispatch.limited || self.limited,
            class: dispatch.class,
            rank: dispatch.rank,
            place: dispatch.place,
            ended: self.ended,
            in_flight,
        };
        self.ended += 1;
        let wanted = self.law.on_sample(self.limit, policy, &sample, now);
        self.take(policy, wanted);
        self.limited = false;
    }

    /// The gate is as wide as this now; open when that is no less than the limit.
    fn widen(&mut self, policy: &LimitPolicy, width: f64, since: Moment) {
        self.opening = (width < f64::from(self.goal(policy))).then_some((width, since));
    }

    /// Lets the law look at the counts; about every [`BEAT`](super::knee::BEAT).
    pub fn tick(&mut self, policy: &LimitPolicy, now: Moment) {
        self.follow(policy);
        self.count(policy, now);
        self.orphans = self.orphans.and_then(|(orphans, _)| Some((orphans, orphans.left(now)?)));
        if let Some((width, since)) = self.opening {
            self.widen(policy, width * now.since(since).as_secs_f64().exp2(), now);
        }
        let wanted = self.law.on_tick(self.limit, policy, &self.load, now);
        self.load.peak = self.load.in_flight;
        self.take(policy, wanted);
    }

    /// A reload may have changed the law; the limit stays where it is.
    fn follow(&mut self, policy: &LimitPolicy) {
        if self.law_policy != policy.law {
            self.law = law::law(&policy.law, self.seed);
            self.law_policy = policy.law;
        }
    }

    /// Adds up what was unfinished until now.
    fn count(&mut self, policy: &LimitPolicy, now: Moment) {
        let passed = now.since(self.counted).as_secs_f64();
        self.counted = self.counted.max(now);
        self.load.area += passed * f64::from(self.load.in_flight);
        if self.load.in_flight >= self.goal(policy) {
            self.load.full += passed;
        }
    }

    fn take(&mut self, policy: &LimitPolicy, wanted: f64) {
        let wanted = if wanted.is_finite() { wanted } else { self.limit };
        self.limit = wanted.clamp(f64::from(policy.floor), f64::from(policy.ceiling));
    }

    /// Fewer requests than the limit are unfinished, those of an earlier process among them.
    #[must_use]
    pub fn has_room(&self, policy: &LimitPolicy) -> bool {
        self.load.in_flight.saturating_add(self.orphans()) < self.limit(policy)
    }

    /// Requests of an earlier process that may be unfinished.
    fn orphans(&self) -> u32 {
        self.orphans.map_or(0, |(_, left)| left)
    }

    /// Most requests that may be unfinished now, whoever sent them: [`Limiter::goal`], or less while the
    /// gate opens.
    #[must_use]
    pub fn limit(&self, policy: &LimitPolicy) -> u32 {
        let goal = self.goal(policy);
        let Some((width, _)) = self.opening else { return goal };
        #[expect(clippy::cast_possible_truncation, reason = "the smaller of it and a u32")]
        let whole = (width + f64::from(self.orphans())).min(f64::from(goal)) as u32;
        whole.max(1)
    }

    /// The law's number within today's floor and ceiling.
    #[must_use]
    pub fn goal(&self, policy: &LimitPolicy) -> u32 {
        Self::within(policy, self.limit)
    }

    /// The goal without the law's short experiments: what a room may fill with sessions.
    #[must_use]
    pub fn standing(&self, policy: &LimitPolicy) -> u32 {
        Self::within(policy, self.law.standing(self.limit))
    }

    fn within(policy: &LimitPolicy, limit: f64) -> u32 {
        let wanted = if policy.law == LawPolicy::Fixed { f64::from(policy.initial) } else { limit };
        let clamped = wanted.clamp(f64::from(policy.floor), f64::from(policy.ceiling));
        #[expect(clippy::cast_possible_truncation, reason = "clamped to two u32")]
        let whole = clamped as u32;
        whole
    }

    /// Requests unfinished at the upstream.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight
    }

    /// What the law believes, if it believes more than a limit.
    #[must_use]
    pub fn facts(&self) -> Option<KneeFacts> {
        self.law.facts()
    }

    /// Requests wait for an answer to begin, and none has begun for longer than the policy bears.
    #[must_use]
    pub fn is_stalled(&self, policy: &LimitPolicy, now: Moment) -> bool {
        self.load.unanswered > 0 && now.since(self.last_progress) > policy.stall
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    fn policy(limit: u32, floor: u32, ceiling: u32) -> LimitPolicy {
        LimitPolicy {
            law: LawPolicy::Aimd { latency: Duration::from_millis(50) },
            initial: limit,
            floor,
            ceiling,
            wait: Duration::ZERO,
            stall: Duration::from_secs(2),
        }
    }

    /// Keeps what it is told of overtaking.
    #[derive(Debug)]
    struct Beside(std::sync::mpsc::Sender<(u32, u32)>);

    impl Law for Beside {
        fn on_sample(&mut self, limit: f64, _: &LimitPolicy, sample: &Sample, _: Moment) -> f64 {
            self.0.send((sample.beside(), sample.rank)).unwrap();
            limit
        }
    }

    /// How many were worked on at once, as far as it shows, when four that are let through together and then
    /// one for each that ends end in this order.
    fn beside(order: &[usize]) -> Vec<u32> {
        let policy = policy(4, 1, 100);
        let mut limiter = Limiter::new(&policy, 1, Moment(0));
        let (told, heard) = std::sync::mpsc::channel();
        limiter.law = Box::new(Beside(told));
        let mut sent: Vec<_> = (0..4).map(|_| limiter.try_acquire(&policy, 0, Moment(0)).unwrap()).collect();
        for place in order {
            limiter.release(&policy, &sent[*place], Outcome::Served, Moment(1));
            sent.push(limiter.try_acquire(&policy, 0, Moment(1)).unwrap());
        }
        let heard: Vec<_> = heard.try_iter().collect();
        assert!(heard.iter().all(|(beside, rank)| beside <= rank), "{heard:?}");
        heard.into_iter().map(|(beside, _)| beside).collect()
    }

    #[test]
    fn who_overtakes_was_worked_on_beside_the_overtaken() {
        assert_eq!(beside(&[0, 1, 2, 3, 4, 5]), [1; 6], "in order, as a queue is served");
        assert_eq!(
            beside(&[1, 0, 3, 2, 5, 4]),
            [2, 0, 2, 0, 2, 0],
            "two workers; who was passed shows nothing"
        );
        assert_eq!(beside(&[3, 4, 5, 6]), [4; 4], "three stay out, and later ones pass them too");
    }

    proptest! {
        /// Whatever happens, nobody is let through at or above the limit of that moment, also when a
        /// reload moves floor and ceiling, and everything acquired can be released.
        #[test]
        fn never_over_the_limit(steps in prop::collection::vec((0u8..4, 0u64..200, 1u32..60), 1..500)) {
            let mut policy = policy(10, 1, 100);
            let mut limiter = Limiter::new(&policy, 1, Moment(0));
            let (mut now, mut open) = (Moment(0), Vec::new());
            for (action, millis, number) in steps {
                now = now.after(Duration::from_millis(millis));
                match action {
                    0 | 1 => {
                        let (before, limit) = (limiter.in_flight(), limiter.limit(&policy));
                        let dispatch = limiter.try_acquire(&policy, 0, now);
                        prop_assert_eq!(dispatch.is_some(), before < limit);
                        open.extend(dispatch);
                    }
                    2 => if let Some(mut dispatch) = open.pop() {
                        let outcome = [Outcome::Served, Outcome::Ignored, Outcome::Dropped][number as usize % 3];
                        limiter.head(&mut dispatch, now);
                        limiter.release(&policy, &dispatch, outcome, now);
                    },
                    _ => {
                        policy.floor = number.min(policy.ceiling);
                        policy.ceiling = policy.floor.max(number * 2);
                    }
                }
                prop_assert!(limiter.limit(&policy) >= policy.floor && limiter.limit(&policy) <= policy.ceiling);
                prop_assert_eq!(limiter.in_flight() as usize, open.len());
            }
        }
    }

    #[test]
    fn a_stall_is_requests_without_answers() {
        let (policy, start) = (policy(10, 1, 100), Moment(1));
        let mut limiter = Limiter::new(&policy, 1, start);
        let late = start.after(Duration::from_secs(60));
        assert!(!limiter.is_stalled(&policy, late), "idle is not stalled");
        let mut dispatch = limiter.try_acquire(&policy, 0, late).unwrap();
        assert!(!limiter.is_stalled(&policy, late.after(Duration::from_secs(2))));
        let later = late.after(Duration::from_secs(3));
        assert!(limiter.is_stalled(&policy, later));
        limiter.try_acquire(&policy, 0, later).unwrap();
        limiter.head(&mut dispatch, later);
        limiter.release(&policy, &dispatch, Outcome::Served, later);
        assert!(!limiter.is_stalled(&policy, later), "an answer is progress");
    }

    #[test]
    fn after_an_outage_it_opens_step_by_step_and_the_law_learns_nothing_of_it() {
        let policy = LimitPolicy { law: LawPolicy::Fixed, ..policy(16, 1, 100) };
        let mut now = Moment(0);
        let mut limiter = Limiter::new(&policy, 1, now);
        limiter.open_gently(&policy, now);
        let mut waves = Vec::new();
        while waves.last() != Some(&16) {
            let mut wave = Vec::new();
            while let Some(dispatch) = limiter.try_acquire(&policy, 0, now) {
                assert!(!dispatch.limited || wave.len() == 15);
                wave.push(dispatch);
            }
            waves.push(wave.len());
            assert_eq!(limiter.goal(&policy), 16, "the limit itself stays");
            now = now.after(Duration::from_millis(100));
            wave.iter_mut().for_each(|dispatch| limiter.head(dispatch, now));
            wave.iter().for_each(|dispatch| limiter.release(&policy, dispatch, Outcome::Served, now));
        }
        assert_eq!(waves, [1, 2, 4, 8, 16], "twice as many with each round");
        limiter.open_gently(&policy, now);
        let dispatch = limiter.try_acquire(&policy, 0, now).unwrap();
        limiter.release(&policy, &dispatch, Outcome::Dropped, now);
        assert_eq!(limiter.limit(&policy), 1, "a failure is no step");
        let seconds = [1, 2, 3, 4].map(|second| {
            limiter.tick(&policy, now.after(Duration::from_secs(second)));
            limiter.limit(&policy)
        });
        assert_eq!(seconds, [2, 4, 8, 16], "nobody waits for ever for slow answers");
    }

    #[test]
    fn what_an_earlier_process_had_sent_counts_until_it_is_done() {
        let policy = LimitPolicy { law: LawPolicy::Fixed, ..policy(10, 4, 100) };
        let mut limiter = Limiter::new(&policy, 1, Moment(0));
        limiter.take_up(&policy, 10.0, &[Some(0.05)], Moment(0));
        let (mut ours, mut all) = (0, Vec::new());
        for beat in 0..40 {
            let now = Moment(0).after(Duration::from_millis(50 * beat));
            limiter.tick(&policy, now);
            while let Some(dispatch) = limiter.try_acquire(&policy, 0, now) {
                ours += 1;
                assert!(dispatch.limit() <= 10 && !(dispatch.limited && beat < 24), "{beat} {dispatch:?}");
            }
            let left = 10.0 * (-0.05 * beat as f64 / 0.2).exp();
            assert!(f64::from(ours) + left <= 10.05, "{ours} and {left} of another at beat {beat}");
            all.push(ours);
        }
        assert_eq!((all[0], all[1], all[39]), (0, 2, 10), "{all:?}");
    }

    #[test]
    fn a_fixed_limit_follows_the_operator_at_once() {
        let mut policy = LimitPolicy { law: LawPolicy::Fixed, ..policy(3, 1, 100) };
        let limiter = Limiter::new(&policy, 1, Moment(0));
        assert_eq!(limiter.limit(&policy), 3);
        policy.initial = 7;
        assert_eq!(limiter.limit(&policy), 7);
    }
}
