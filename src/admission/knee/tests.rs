//! Where a cut goes, and how growth feels its way.

use super::*;
use crate::admission::policy::LawPolicy;

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
        knee.crew.see(&full);
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

#[test]
fn where_all_wait_a_cut_goes_to_twice_what_throughput_tells() {
    let crowded =
        Reading { in_flight: 90.0, queue: 90.0, throughput: 40.0, baseline: 0.2, ..Reading::default() };
    assert!((Knee::lowest(&crowded, 90.0) - 45.0).abs() < 1e-9, "waits that can be told apart");
    let saturated = Reading { saturated: true, ..crowded };
    assert!((Knee::lowest(&saturated, 90.0) - 16.0).abs() < 1e-9);
    assert!((Knee::lowest(&saturated, 20.0) - 10.0).abs() < 1e-9, "never above half");
    assert!((Knee::new(1).to_the_knee(&saturated, 90.0) - 16.0).abs() < 1e-9);
}

#[test]
fn answers_that_waited_end_a_fast_start_before_any_window_does() {
    let policy = LimitPolicy {
        law: LawPolicy::Knee,
        initial: 20,
        floor: 1,
        ceiling: 1_000,
        wait: Duration::ZERO,
        stall: Duration::from_secs(3),
    };
    let mut knee = Knee::new(1);
    for class in knee.classes.iter_mut().take(1) {
        class.take_up(0.1);
    }
    (knee.last.baseline, knee.reach) = (0.1, 40.0);
    knee.window = Some(Window::new(Moment(0), Load::default()));
    let mut after = |limit, millis| {
        let first_byte = Some(Duration::from_millis(millis));
        let (sent, outcome) = (Moment(0), Outcome::Served);
        let sample = Sample { sent, first_byte, outcome, limited: true, class: 0, rank: 1, in_flight: 20 };
        knee.on_sample(limit, &policy, &sample, Moment(1))
    };
    assert!((after(20.0, 199) - 21.0).abs() < 1e-9);
    assert!((after(20.0, 201) - 20.0).abs() < 1e-9, "it waited as long as it was worked on");
    assert!((after(40.0, 50) - 40.0).abs() < 1e-9, "twice the limit is far enough for one window");
}
