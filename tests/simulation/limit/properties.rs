//! What must hold whatever an upstream does.

use std::time::Duration;

use proptest::prelude::*;
use tornello::admission::limiter::Limiter;
use tornello::admission::policy::{LawPolicy, LimitPolicy};
use tornello::admission::{Moment, Outcome};

use super::play::play;
use super::setting::{Change, Setting, policy};
use crate::dice::Dice;

const LAWS: [LawPolicy; 5] = [
    LawPolicy::Knee,
    LawPolicy::Fixed,
    LawPolicy::Aimd { latency: Duration::from_millis(500) },
    LawPolicy::Vegas,
    LawPolicy::Gradient2,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Any sequence of samples of any length, in any order, with ticks and reloads between: nobody is let
    /// through at or above the limit, and the limit stays a number within its bounds.
    #[test]
    fn any_sequence_of_samples_keeps_the_limit_a_limit(
        law in 0..LAWS.len(),
        seed in any::<u64>(),
        steps in prop::collection::vec((0u8..8, 0u64..40, any::<u8>()), 1..800),
    ) {
        let mut policy = LimitPolicy { initial: 10, ceiling: 200, ..policy(LAWS[law]) };
        let mut limiter = Limiter::new(&policy, seed, Moment(0));
        let (mut now, mut open) = (Moment(0), Vec::new());
        for (action, exponent, choice) in steps {
            // From a nanosecond to a quarter of an hour.
            now = now.after(Duration::from_nanos(1 << exponent));
            match action {
                0..=2 => {
                    let (before, limit) = (limiter.in_flight(), limiter.limit(&policy));
                    let dispatch = limiter.try_acquire(&policy, choice, now);
                    prop_assert_eq!(dispatch.is_some(), before < limit);
                    open.extend(dispatch);
                }
                3 | 4 if !open.is_empty() => {
                    let mut dispatch = open.swap_remove(usize::from(choice) % open.len());
                    if choice % 5 != 0 {
                        limiter.head(&mut dispatch, now);
                    }
                    let outcome = [Outcome::Served, Outcome::Served, Outcome::Ignored, Outcome::Dropped];
                    limiter.release(&policy, &dispatch, outcome[usize::from(choice) % 4], now);
                }
                5 | 6 => limiter.tick(&policy, now),
                _ => {
                    policy.floor = u32::from(choice % 20) + 1;
                    policy.ceiling = policy.floor + u32::from(choice);
                    policy.law = if choice > 200 { LAWS[usize::from(choice) % LAWS.len()] } else { policy.law };
                    policy.initial = policy.initial.clamp(policy.floor, policy.ceiling);
                }
            }
            let limit = limiter.limit(&policy);
            prop_assert!(limit >= policy.floor && limit <= policy.ceiling);
            prop_assert_eq!(limiter.in_flight() as usize, open.len());
            if let Some(facts) = limiter.facts() {
                prop_assert!(facts.baseline_s.is_finite() && facts.queue.is_finite() && facts.in_flight.is_finite());
            }
        }
    }
}

/// All times of a run, this many times as long.
fn stretched(setting: &Setting, times: f64) -> Setting {
    let mut slow = setting.clone();
    slow.service *= times;
    slow.rate /= times;
    slow.slo *= times;
    slow.timeout *= times;
    slow.retry_after *= times;
    slow.beat *= times;
    slow.horizon *= times;
    slow.policy.wait = slow.policy.wait.mul_f64(times);
    slow.policy.stall = slow.policy.stall.mul_f64(times);
    slow.changes = setting
        .changes
        .iter()
        .map(|(at, change)| {
            let change = match *change {
                Change::Rate(rate) => Change::Rate(rate / times),
                Change::Stall(seconds) => Change::Stall(seconds * times),
                other => other,
            };
            (at * times, change)
        })
        .collect();
    slow
}

/// Ten times as slow, and ticked a tenth as often: the same limits, ten times as late. Times round
/// differently, so that runs part by chance; what they have in common is their mean.
#[test]
fn an_upstream_ten_times_as_slow_is_treated_alike() {
    let changes = vec![(20.0, Change::Workers(8)), (40.0, Change::Slower(2.0))];
    let setting = Setting { horizon: 60.0, changes, ..Setting::new(LawPolicy::Knee, 25, 2.0) };
    let pairs: Vec<_> =
        (1..=6).map(|seed| (play(&setting, seed), play(&stretched(&setting, 10.0), seed))).collect();
    for (from, to) in [(5.0, 20.0), (25.0, 40.0), (45.0, 60.0)] {
        let (mut limits, mut goodput) = ((0.0, 0.0), (0.0, 0.0));
        for (quick, slow) in &pairs {
            limits.0 += quick.mean_limit(0, from, to);
            limits.1 += slow.mean_limit(0, 10.0 * from, 10.0 * to);
            goodput.0 += quick.goodput(from, to) / pairs.len() as f64;
            goodput.1 += slow.goodput(10.0 * from, 10.0 * to) / pairs.len() as f64;
        }
        assert!((limits.0 / limits.1 - 1.0).abs() < 0.2, "from {from} s: {limits:?}");
        assert!((goodput.0 - goodput.1).abs() < 0.12, "from {from} s: {goodput:?}");
    }
}

/// Capacity walks at random, up to twofold every 5 s: nearly all of it is used.
#[test]
fn a_random_walk_of_capacity_is_followed() {
    for seed in 1..=4 {
        let mut dice = Dice::new(seed);
        let mut workers = 60.0_f64;
        let changes = (1..24)
            .map(|step| {
                workers = (workers * 2.0_f64.powf(2.0 * dice.part() - 1.0)).clamp(8.0, 400.0);
                (f64::from(step) * 5.0, Change::Workers(workers as u32))
            })
            .collect();
        let setting = Setting { horizon: 120.0, changes, ..Setting::new(LawPolicy::Knee, 60, 10.0) };
        let trace = play(&setting, seed);
        let goodput = trace.goodput(10.0, 120.0);
        assert!(goodput > 0.9, "seed {seed}: {goodput:.3}");
        let tail = trace.percentile(10.0, 120.0, 0.9);
        assert!(tail < 0.4, "seed {seed}: a tenth took longer than {tail:.3} s");
    }
}

/// Without demand there is no news: the limit does not climb while idle, and comes back from head-room
/// that nobody uses.
#[test]
fn an_idle_limit_does_not_climb() {
    for seed in 1..=3 {
        let mut setting = Setting { horizon: 120.0, ..Setting::new(LawPolicy::Knee, 100, 0.05) };
        setting.policy.initial = 20;
        let trace = play(&setting, seed);
        let limit = trace.median_limit(0, 100.0, 120.0);
        assert!(limit <= 25.0, "seed {seed}: {limit}");
    }
}
