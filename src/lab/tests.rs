//! Whole legs: the crowd against the origin alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Leg, LegReport, Origin, Scenario, Tally};

/// Plays the scenario against its origin, without anything between.
async fn without(scenario: Scenario) -> LegReport {
    let scenario = Arc::new(scenario);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::start(listener, &scenario, scenario.seed).unwrap();
    let tally = Arc::new(Tally::default());
    let leg = Leg {
        target: origin.address(),
        seed: scenario.seed,
        horizon: scenario.horizon,
        scenario: Arc::clone(&scenario),
    };
    let outcome = leg.run(&tally).await;
    LegReport::new(&scenario, &outcome, &origin.truth())
}

/// The whole small form takes most of a minute: `cargo test -- --ignored the_small_form --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and both cores"]
async fn the_small_form_collapses_without_a_gateway() {
    let leg = without(Scenario::shipped().unwrap()).await;
    println!("{leg:#?}");
    assert!(leg.completed * 2 < leg.people, "{} of {}", leg.completed, leg.people);
    assert!(leg.elapsed_s < Duration::from_secs(60).as_secs_f64());
}
