//! What a decision costs: prints nanoseconds, asserts nothing about them.

use std::time::Duration;

use tornello::admission::law::ROUTE_CLASSES;
use tornello::admission::limiter::Limiter;
use tornello::admission::policy::LawPolicy;
use tornello::admission::{Moment, Outcome};
use tornello::clock::Clock;

use super::setting::policy;

const ROUNDS: u64 = 2_000_000;

/// `cargo test --release --test simulation cost -- --ignored --nocapture`
#[test]
#[ignore = "prints what a decision costs"]
fn a_request_through_the_limiter() {
    for (name, law) in [
        ("fixed", LawPolicy::Fixed),
        ("aimd", LawPolicy::Aimd { latency: Duration::from_millis(500) }),
        ("vegas", LawPolicy::Vegas),
        ("gradient2", LawPolicy::Gradient2),
        ("knee", LawPolicy::Knee),
    ] {
        let policy = policy(law);
        let mut limiter = Limiter::new(&policy, 1, Moment(0));
        let mut served = 0_u64;
        let clock = Clock::start();
        let mut ticking = Duration::ZERO;
        for round in 0..ROUNDS {
            let now = Moment(round * 50_000);
            let class = (round % ROUTE_CLASSES as u64) as u8;
            let Some(mut dispatch) = limiter.try_acquire(&policy, class, now) else { continue };
            let later = now.after(Duration::from_micros(5_000 + round % 977));
            limiter.head(&mut dispatch, later);
            limiter.release(&policy, &dispatch, Outcome::Served, later);
            served += 1;
            if round % 1_000 == 0 {
                let tick = clock.now();
                limiter.tick(&policy, now);
                ticking += clock.now().since(tick);
            }
        }
        let each = (clock.now().since(Moment(0)) - ticking).as_nanos() as f64 / served as f64;
        let tick = ticking.as_nanos() as f64 / (ROUNDS / 1_000) as f64;
        println!("{name:<10} {each:>6.1} ns a request (acquire, head, release); {tick:>7.1} ns a tick");
        assert_eq!(served, ROUNDS, "one at a time is always let through");
    }
}
