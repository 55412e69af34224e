//! One slow dependency touches no other route.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::stage::{Gate, Origin, now, try_ask, until};

/// Milliseconds of `count` requests one after the other.
async fn measure(site: std::net::SocketAddr, path: &str, count: usize) -> Vec<f64> {
    let mut took = Vec::new();
    for _ in 0..count {
        let begun = now();
        let got = try_ask(site, Method::GET, path, &[], Bytes::new()).await.unwrap();
        assert_eq!(got.status, StatusCode::OK, "no error and no waiting on the other route");
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    took.sort_by(f64::total_cmp);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saturated_upstream_leaves_other_routes_alone() {
    let (slow, quick) = (Origin::echo().await, Origin::echo().await);
    slow.delay(2_000);
    let gate = Gate::start(&format!(
        r#"
[upstream.slow]
addresses = ["{}"]
limit = {{ law = "fixed", initial = 4, floor = 1, ceiling = 100, wait = "500ms" }}
[upstream.quick]
addresses = ["{}"]
[route.slow]
path = "/slow"
upstream = "slow"
[route.quick]
path = "/"
upstream = "quick"
"#,
        slow.address, quick.address
    ))
    .await;
    let quiet = measure(gate.site(), "/", 300).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let site = gate.site();
        crowd.spawn(async move {
            loop {
                let _ = try_ask(site, Method::GET, "/slow", &[], Bytes::new()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    until("the slow upstream is full", || async { (slow.in_flight() == 4).then_some(()) }).await;
    let busy = measure(gate.site(), "/", 300).await;
    let p99 = |sorted: &[f64]| sorted[sorted.len() * 99 / 100 - 1];
    let (quiet, busy) = (p99(&quiet), p99(&busy));
    // A ratio within one run, with room for the scheduler of a noisy machine.
    assert!(
        busy <= (2.0 * quiet).max(quiet + 20.0),
        "p99 {quiet:.1} ms quiet, {busy:.1} ms beside a saturated upstream"
    );
    assert_eq!(slow.in_flight(), 4);
}
