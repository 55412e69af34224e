//! A panic ends the request that it happened in, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Method, StatusCode};
use tornello::app::Options;
use tornello::proxy::{Onlooker, Step};

use crate::stage::{Gate, Origin, ask, get, try_ask, until, visit};

const PANICS: usize = 1_000;

/// Panics where the path says so, without a word on the test's output.
fn planted() -> Options {
    let onlooker = Onlooker(Arc::new(|step, asked| {
        let planted = match step {
            Step::Read => "/panic/read",
            Step::Permitted => "/panic/permitted",
            Step::Answered => "/panic/answered",
        };
        if asked.path == planted {
            std::panic::resume_unwind(Box::new("planted"));
        }
    }));
    Options { onlooker: Some(onlooker), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_request_and_no_other() {
    let origin = Origin::echo().await;
    let text = format!(
        r#"
[quota.wide]
rate = "100000/s"
[upstream.app]
addresses = ["{}"]
limit = {{ law = "fixed", initial = 8, floor = 1, ceiling = 100, wait = "30s" }}
[room.main]
[route.room]
path = "/room"
upstream = "app"
room = "main"
[route.all]
path = "/"
upstream = "app"
quota = "wide"
"#,
        origin.address
    );
    let gate = Gate::start_with(&text, planted()).await;
    let site = gate.site();
    let served = Arc::new(AtomicU64::new(0));
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let served = Arc::clone(&served);
        others.spawn(async move {
            loop {
                let got = try_ask(site, Method::POST, "/fine", &[], Bytes::from_static(b"x")).await.unwrap();
                assert_eq!(got.status, StatusCode::OK, "{}", got.text());
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut broken = tokio::task::JoinSet::new();
    for number in 0..PANICS {
        let path = ["/panic/read", "/panic/permitted", "/panic/answered"][number % 3];
        broken.spawn(async move { try_ask(site, Method::GET, path, &[], Bytes::new()).await });
        if number % 16 == 15 {
            while let Some(ended) = broken.join_next().await {
                let got = ended.unwrap().unwrap();
                assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
                assert_eq!(got.json()["reason"], "internal");
            }
        }
    }
    while let Some(ended) = broken.join_next().await {
        assert_eq!(ended.unwrap().unwrap().status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    let before = served.load(Ordering::Relaxed);
    assert!(before > 0, "the others were served meanwhile");
    until("the others go on", || async { (served.load(Ordering::Relaxed) > before + 20).then_some(()) })
        .await;
    assert!(others.try_join_next().is_none(), "none of the others failed");
    others.shutdown().await;
    until("every permit is free", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    let metrics = &gate.running.proxy.witness.metrics;
    assert_eq!(metrics.panics.get(), PANICS as u64);
    let counted = metrics.requests.with_label_values(&["all", "fault", "panic", "500"]).get()
        + metrics.requests.with_label_values(&["-", "fault", "panic", "500"]).get();
    assert_eq!(counted, PANICS as u64, "each has its record");
    // Neither the room nor anything else that is shared was hurt.
    assert_eq!(visit(site, "/room", "").await.status, StatusCode::OK);
    let page = visit(site, "/panic/read", "").await;
    assert!(page.status == StatusCode::INTERNAL_SERVER_ERROR && page.text().contains("<html"));
    assert_eq!(get(gate.running.admin, "/live").await.status, StatusCode::OK);
    let joined = ask(site, Method::POST, "/.tornello/v1/rooms/main/tickets", &[]).await;
    assert_eq!(joined.status, StatusCode::CREATED);
}
