//! Where a cut goes, and how growth feels its way.

use super::*;

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
