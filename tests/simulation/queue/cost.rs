//! What a permit costs at the gate as it serves, its lock included: prints nanoseconds, asserts nothing
//! about them.

use std::sync::Arc;
use std::time::Duration;

use tornello::admission::policy::{LawPolicy, LimitPolicy, QueuePolicy};
use tornello::admission::queue::Asking;
use tornello::admission::{Class, Moment, Outcome, UserKey};
use tornello::clock::Clock;
use tornello::store::gate::{Gate, Knock};

const ROUNDS: u64 = 2_000_000;

fn policy() -> LimitPolicy {
    LimitPolicy {
        law: LawPolicy::Knee,
        initial: 100,
        floor: 100,
        ceiling: 1_000,
        wait: Duration::from_millis(100),
        stall: Duration::from_secs(3),
    }
}

/// Knock, send, first byte, settle; `user` is whose.
fn request(gate: &Arc<Gate>, clock: &Clock, user: u64) {
    let asking = Asking {
        class: Class::Admitted,
        user: Some(UserKey(user)),
        personal: true,
        route: 0,
        share: 0.6,
        optional: false,
    };
    let Knock::Permit(mut permit) = gate.knock(&asking, clock.now()) else { panic!("there is room") };
    permit.sent();
    permit.first_byte();
    permit.settle(Outcome::Served);
}

fn run(queue: QueuePolicy, threads: u64) -> f64 {
    let clock = Clock::start();
    let gate = Gate::new(policy(), queue, 1, clock);
    let begun = clock.now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (gate, clock) = (&gate, &clock);
            scope.spawn(move || (0..ROUNDS).for_each(|round| request(gate, clock, round * threads + thread)));
        }
    });
    let took = clock.now().since(begun);
    assert_eq!(gate.facts(Moment(0)).in_flight, 0);
    // Each thread has a processor: what one request takes from it.
    took.as_nanos() as f64 / ROUNDS as f64
}

/// `cargo test --release --test simulation queue::cost -- --ignored --nocapture`
#[test]
#[ignore = "prints what a permit costs"]
fn a_permit_at_the_gate() {
    let capped = QueuePolicy { per_user: Some(6), ..QueuePolicy::default() };
    for (name, queue) in [("no cap for a user", QueuePolicy::default()), ("with a cap", capped)] {
        let (one, two) = (run(queue, 1), run(queue, 2));
        println!("{name:<18} {one:>6.1} ns on one thread, {two:>6.1} ns on each of two that do nothing else");
    }
}
