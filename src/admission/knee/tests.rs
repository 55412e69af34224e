//! Where a cut goes, and how growth feels its way.

use super::*;
use crate::admission::policy::LawPolicy;

const POLICY: LimitPolicy = LimitPolicy {
    law: LawPolicy::Knee,
    initial: 20,
    floor: 1,
    ceiling: 1_000,
    wait: Duration::ZERO,
    stall: Duration::from_secs(3),
};

/// A law that knows of nine workers, and a window in which all permits were always taken.
fn nine() -> (Knee, Reading) {
    let full = Reading {
        answers: 90,
        in_flight: 12.0,
        queue: 3.0,
        queue_error: 0.5,
        limited: true,
        ..Reading::default()
    };
    let mut knee = Knee::new(1);
    for _ in 0..4 {
        knee.crew.see(&full, &class::prices(&knee.classes));
    }
    assert!((knee.crew.at_work().unwrap() - 9.0).abs() < 1e-9);
    (knee, full)
}

#[test]
fn a_cut_leaves_room_for_chance_though_all_permits_were_taken() {
    let (knee, full) = nine();
    // A part of the nine, and half of seven tenths of a root of them.
    let to = knee.to_the_knee(&full, 20.0);
    assert!((to - (9.0 + 0.54 + 1.05)).abs() < 1e-9, "{to}");
    assert!((knee.to_the_knee(&full, 30.0) - 15.0).abs() < 1e-9, "not below half");
}

#[test]
fn growth_is_quick_up_to_what_is_known_and_hesitates_beyond() {
    let (mut knee, full) = nine();
    let short = Reading { queue: 0.0, ..full };
    assert!((knee.grow(&short, 6.0) - 9.0).abs() < 1e-9, "half as much again, at most");
    let (mut knee, _) = nine();
    let (mut limit, mut steps) = (16.0_f64, Vec::new());
    for _ in 0..4 {
        let next = knee.grow(&short, limit);
        steps.push((next - limit) / limit.sqrt());
        limit = next;
    }
    let expected = [0.25, 0.375, 0.75, 1.125];
    let close = steps.iter().zip(expected).all(|(step, expected)| (step - expected).abs() < 1e-9);
    assert!(close, "short again and again it is no chance: {steps:?}");
}

/// A law that knew of thirty workers, of whom ten are left, and a window of these.
fn ten_of_thirty() -> (Knee, Reading) {
    let served = |throughput: f64, in_flight: f64, queue: f64| Reading {
        seconds: 1.0,
        answers: 90,
        throughput,
        output: throughput,
        in_flight,
        queue,
        queue_error: 0.5,
        spread: 0.5,
        limited: true,
        ..Reading::default()
    };
    let (mut knee, left) = (Knee::new(1), served(66.0, 15.0, 5.0));
    for reading in [served(200.0, 34.0, 4.0), left, left, left, left] {
        knee.crew.see(&reading, &class::prices(&knee.classes));
    }
    assert!((knee.crew.at_work().unwrap() - 10.0).abs() < 1e-9);
    (knee, left)
}

#[test]
fn while_workers_are_missing_more_is_let_wait_and_no_band_overtakes_another() {
    let (knee, left) = ten_of_thirty();
    let aim = knee.aimed_at(10.0, &left) - 10.0;
    assert!(aim > 2.0 * (nine().0.aimed_at(10.0, &left) - 10.0), "{aim}");
    assert!(knee.low(&left) < aim && aim < knee.high(10.0));
    let (knee, full) = nine();
    assert!(knee.low(&full) < knee.high(9.0));
}

#[test]
fn workers_that_are_back_are_let_work_at_once() {
    let (mut knee, left) = ten_of_thirty();
    knee.fast_start = false;
    let back = Reading { throughput: 100.0, output: 100.0, queue: 0.0, ..left };
    let to = knee.close(back, 15.0, &POLICY, Moment(0));
    assert!((to - 30.0).abs() < 1e-9, "twice as much at a time: {to}");
    assert!((29.0..31.0).contains(&knee.crew.at_work().unwrap()));
}

#[test]
fn where_all_wait_a_cut_goes_to_twice_what_throughput_tells() {
    let crowded =
        Reading { in_flight: 90.0, queue: 90.0, throughput: 40.0, baseline: 0.2, ..Reading::default() };
    let mut knee = Knee::new(1);
    assert!((knee.lowest(&crowded, 90.0) - 45.0).abs() < 1e-9, "waits that can be told apart");
    let saturated = Reading { saturated: true, ..crowded };
    assert!((knee.lowest(&saturated, 90.0) - 16.0).abs() < 1e-9);
    assert!((knee.lowest(&saturated, 20.0) - 10.0).abs() < 1e-9, "never above half");
    assert!((knee.to_the_knee(&saturated, 90.0) - 16.0).abs() < 1e-9);
    knee.spread = 2.5;
    assert!((knee.lowest(&saturated, 90.0) - 45.0).abs() < 1e-9, "most answers cost far less than the mean");
}

#[test]
fn answers_that_waited_end_a_fast_start_before_any_window_does() {
    let mut knee = Knee::new(1);
    for class in knee.classes.iter_mut().take(1) {
        class.take_up(0.1);
    }
    knee.last.baseline = 0.1;
    knee.start.look(20.0);
    knee.window = Some(Window::new(Moment(0), Load::default()));
    let mut after = |limit, millis| {
        let first_byte = Some(Duration::from_millis(millis));
        let (sent, outcome) = (Moment(0), Outcome::Served);
        let (rank, place, ended, in_flight) = (1, 1, 0, 20);
        let sample =
            Sample { sent, first_byte, outcome, limited: true, class: 0, rank, place, ended, in_flight };
        knee.on_sample(limit, &POLICY, &sample, Moment(1))
    };
    assert!((after(20.0, 199) - 21.0).abs() < 1e-9);
    assert!((after(20.0, 201) - 20.0).abs() < 1e-9, "it waited as long as it was worked on");
    assert!((after(40.0, 50) - 40.0).abs() < 1e-9, "twice the limit is far enough for one window");
}

/// A window at this limit, which held people back: so many a second, of whom so many wait.
fn steady(limit: f64, throughput: f64, queue: f64) -> Reading {
    Reading {
        seconds: 2.0,
        answers: 200,
        throughput,
        output: throughput,
        in_flight: limit,
        queue,
        queue_error: 0.3,
        wait: queue / throughput,
        spread: 0.5,
        baseline: 0.1,
        limited: true,
        ..Reading::default()
    }
}

/// A law that takes `limit` for the knee, one in ten waiting, and has just begun a climb; and the limit then.
fn climbing(limit: f64) -> (Knee, f64) {
    let mut knee = Knee::new(1);
    (knee.fast_start, knee.last.baseline) = (false, 0.1);
    for class in knee.classes.iter_mut().take(1) {
        class.take_up(0.1);
    }
    let to = knee.climb(steady(limit, 10.0 * limit, 0.1 * limit), limit, &POLICY, Moment(1));
    assert!(to > limit && knee.trial.is_some_and(|trial| trial.cause == Cause::Climb));
    assert!((knee.standing(to) - limit).abs() < 1e-9, "no more seats because of a question");
    (knee, to)
}

#[test]
fn a_climb_after_which_more_is_served_stays_up_and_the_next_comes_soon() {
    let (mut knee, to) = climbing(20.0);
    let limit = knee.judge(steady(to, 10.0 * to, 0.1 * to), to, Moment(1));
    assert!((limit - to).abs() < 1e-9 && knee.phase == Phase::Run);
    assert_eq!(knee.last_cut.and_then(|cut| cut.verdict), Some(Verdict::Costly));
    assert!(knee.climbs.next_in(Moment(1)) < Duration::from_millis(100));
}

#[test]
fn a_climb_after_which_no_more_is_served_goes_back_and_they_get_rare() {
    let (mut knee, to) = climbing(20.0);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let limit = knee.judge(steady(to, 200.0, 0.1 * 20.0 + (to - 20.0)), to, Moment(1));
        assert!((limit - 20.0).abs() < 1e-9);
        assert!(matches!(knee.phase, Phase::Settle { then: Next::Run, .. }), "what waits is let go first");
        pauses.push(knee.climbs.next_in(Moment(1)).as_secs_f64());
        (knee.phase, knee.trial) = (
            Phase::Probe,
            Some(Trial { cause: Cause::Climb, before: steady(20.0, 200.0, 2.0), limit_before: 20.0 }),
        );
    }
    assert!(pauses.windows(2).all(|pair| pair[1] > 2.0 * pair[0]), "{pauses:?}");
}

#[test]
fn a_window_without_an_answer_says_nothing_of_what_answers_cost() {
    let mut knee = Knee::new(1);
    knee.close(steady(20.0, 200.0, 2.0), 20.0, &POLICY, Moment(1));
    knee.close(Reading { in_flight: 20.0, seconds: 1.0, ..Reading::default() }, 20.0, &POLICY, Moment(2));
    assert!(knee.is_born() && knee.last.throughput > 0.0, "or a stall would not be seen");
}

#[test]
fn errors_that_break_off_an_experiment_give_back_what_stood_before_it() {
    let mut knee = Knee::new(1);
    knee.trial = Some(Trial { cause: Cause::Dip, before: steady(34.0, 340.0, 3.0), limit_before: 34.0 });
    let failing = Reading { dropped: 0.3, drops: 20, ..steady(19.0, 190.0, 1.0) };
    let (mut limit, mut last) = (19.0, None);
    for second in 1..6 {
        limit = last.unwrap_or(limit);
        last = knee.drops(&failing, limit, Moment(second));
        knee.trial = None;
    }
    assert!((limit - 34.0).abs() < 1e-9, "they did not fall with the limit: {limit}");
}

#[test]
fn a_climb_that_demand_broke_off_is_put_off() {
    let (mut knee, to) = climbing(20.0);
    let calm = Reading { limited: false, ..steady(to, 100.0, 0.0) };
    assert!((knee.judge(calm, to, Moment(1)) - 20.0).abs() < 1e-9);
    assert!(knee.climbs.next_in(Moment(1)) >= Duration::from_millis(400));
}

#[test]
fn a_cut_that_seemed_void_is_undone_with_the_next_if_that_cost_as_much() {
    let (mut knee, _) = climbing(20.0);
    let waits = |limit: f64, throughput: f64| steady(limit, throughput, 0.9 * limit);
    knee.cut(Cause::Latency, waits(40.0, 200.0), 40.0, 20.0, Moment(1));
    for is_void in [false, true] {
        let limit = knee.judge(waits(20.0, 50.0), 20.0, Moment(2));
        assert!(
            (limit - 20.0).abs() < 1e-9 && knee.voided.is_some() == is_void,
            "something else, seen twice"
        );
    }
    knee.cut(Cause::Latency, waits(20.0, 50.0), 20.0, 10.0, Moment(3));
    let limit = knee.judge(waits(10.0, 25.0), 10.0, Moment(4));
    assert_eq!(knee.last_cut.and_then(|cut| cut.verdict), Some(Verdict::Costly));
    assert!((limit - 40.0).abs() < 1e-9, "{limit}");
}

#[test]
fn what_seems_void_is_looked_at_again_before_anything_is_cut() {
    let (mut knee, _) = climbing(20.0);
    let waits = |limit: f64, throughput: f64| steady(limit, throughput, 0.9 * limit);
    knee.cut(Cause::Latency, waits(40.0, 200.0), 40.0, 20.0, Moment(1));
    let (first, second) = (waits(20.0, 75.0), waits(20.0, 115.0));
    let limit = knee.judge(first, 20.0, Moment(2));
    assert!((limit - 20.0).abs() < 1e-9 && knee.trial.is_some(), "a gap after the cut, or a slower upstream");
    let limit = knee.judge(second, 20.0, Moment(3));
    assert_eq!(knee.last_cut.and_then(|cut| cut.verdict), Some(Verdict::Costly));
    assert!(limit > 37.0 && knee.looked.is_none(), "{limit}");
}

#[test]
fn where_the_queue_is_beyond_doubt_nothing_is_asked() {
    let climbs = |queue, doubt| {
        let mut knee = Knee::new(1);
        knee.doubt = doubt;
        knee.climb(steady(20.0, 200.0, queue), 20.0, &POLICY, Moment(1)) > 20.0
    };
    assert!(climbs(2.0, 0.05) && !climbs(4.0, 0.05), "a tenth in doubt, or a fifth beyond it");
    assert!(climbs(4.0, 0.2), "baselines may be off by as much");
    let mut knee = Knee::new(1);
    knee.doubt = 0.05;
    let one = Reading { queue_error: 0.1, ..steady(1.4, 40.0, 0.6) };
    assert!(knee.climb(one, 1.4, &POLICY, Moment(1)) > 1.4, "of one permit there is no dip");
}

#[test]
fn after_a_free_cut_the_limit_does_not_go_back_above_those_who_still_wait() {
    let after = |queue| {
        let (mut knee, _) = climbing(20.0);
        knee.cut(Cause::Latency, steady(40.0, 200.0, 20.0), 40.0, 24.0, Moment(1));
        let limit = knee.judge(steady(24.0, 196.0, queue), 24.0, Moment(2));
        assert_eq!(knee.last_cut.and_then(|cut| cut.verdict), Some(Verdict::Free));
        limit
    };
    assert!((after(4.0) - 24.0).abs() < 1e-9);
    assert!(after(0.0) > 26.0, "all that is left is worked on");
}

#[test]
fn a_cut_that_demand_broke_off_stands_where_all_had_waited() {
    let after = |cause, saturated| {
        let (mut knee, _) = climbing(20.0);
        knee.cut(cause, Reading { saturated, ..steady(48.0, 200.0, 40.0) }, 48.0, 24.0, Moment(1));
        let gone = Reading { limited: false, ..steady(3.0, 30.0, 0.0) };
        knee.judge(gone, 24.0, Moment(2))
    };
    assert!((after(Cause::Latency, true) - 24.0).abs() < 1e-9, "the next crowd would wait as well");
    assert!((after(Cause::Latency, false) - 48.0).abs() < 1e-9);
    assert!((after(Cause::Dip, true) - 48.0).abs() < 1e-9, "a question that nobody answered");
}

/// A law that has baselines of 0.1 s and little doubt of them, and was cut to `to` from forty permits, of
/// which six waited.
fn cut_from_forty(to: f64, seconds: f64) -> Knee {
    let (mut knee, _) = climbing(20.0);
    (knee.doubt, knee.hold) = (DOUBT.0, 0.05);
    knee.cut(Cause::Latency, Reading { seconds, ..steady(40.0, 400.0, 6.0) }, 40.0, to, Moment(1));
    knee
}

#[test]
fn what_a_small_cut_says_is_believed_in_part() {
    let learnt = |to: f64, doubt: f64| {
        let mut knee = cut_from_forty(to, 2.0);
        knee.doubt = doubt;
        for _ in 0..100 {
            knee.classes[0].answer(0.11, 1, Moment(1), Known::default(), Moment(2));
        }
        knee.judge(steady(to, 10.0 * to, 0.15 * to), to, Moment(2));
        assert_eq!(knee.last_cut.and_then(|cut| cut.verdict), Some(Verdict::Costly));
        (knee.classes[0].baseline().unwrap() - 0.1) / 0.01
    };
    let (big, small, doubted) = (learnt(24.0, 0.05), learnt(36.0, 0.05), learnt(36.0, 0.5));
    assert!((big - 1.0).abs() < 1e-6, "{big}");
    assert!((0.1..0.3).contains(&small), "{small}");
    assert!((0.9..1.0).contains(&doubted), "{doubted}");
}

#[test]
fn a_dip_that_is_due_is_not_put_off_by_small_cuts_for_long() {
    let due = Duration::from_secs(1);
    let dip_after = |to: f64| {
        let mut knee = cut_from_forty(to, 0.2);
        knee.next_dip = Moment(2).after(due);
        knee.judge(Reading { seconds: 0.2, ..steady(to, 400.0, to - 34.0) }, to, Moment(2));
        assert_eq!(knee.last_cut.and_then(|cut| cut.verdict), Some(Verdict::Free));
        knee.next_dip.since(Moment(2))
    };
    assert_eq!(dip_after(36.0), due);
    assert!(dip_after(30.0) > due);
    let run = |put_off| {
        let (mut knee, _) = climbing(20.0);
        (knee.phase, knee.trial, knee.doubt, knee.put_off) = (Phase::Run, None, DOUBT.0, put_off);
        let now = Moment(1).after(due);
        let limit = knee.run(steady(20.0, 200.0, 4.5), 20.0, &POLICY, now);
        assert!((limit - 20.0).abs() < 1e-9);
        knee.phase
    };
    assert_eq!(run(0), Phase::Recheck, "a queue that is a little too long");
    assert_eq!(run(3), Phase::Reference);
}

#[test]
fn an_experiment_does_not_wait_for_chance_that_lies_in_what_was_before() {
    let is_due = |cause, seconds| {
        let mut knee = cut_from_forty(36.0, 0.5);
        knee.phase = Phase::Probe;
        knee.trial = knee.trial.map(|trial| Trial { cause, ..trial });
        let vague = Reading { seconds, queue_error: 3.0, ..steady(36.0, 385.0, 4.0) };
        knee.is_due(&vague)
    };
    assert!(!is_due(Cause::Latency, 1.9) && is_due(Cause::Latency, 2.1));
    assert!(!is_due(Cause::Dip, 2.1) && is_due(Cause::Dip, 4.1));
}
