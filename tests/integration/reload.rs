//! A good configuration takes effect in under a second with no request lost; a bad one never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::stage::{Gate, Origin, ask, get, now, placed, try_ask, visit};

fn text(origin: &Origin, limit: u32, title: &str) -> String {
    format!(
        r#"
[upstream.app]
addresses = ["{}"]
limit = {{ law = "fixed", initial = {limit}, floor = 1, ceiling = 1000, wait = "2s" }}
[room.main]
title = "{title}"
[route.room]
path = "/room"
upstream = "app"
room = "main"
[route.all]
path = "/"
upstream = "app"
"#,
        origin.address
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_reloads_under_load_lose_nothing_and_each_is_in_force_at_once() {
    let origin = Origin::echo().await;
    origin.delay(2);
    let gate = Gate::start(&text(&origin, 50, "Title 0")).await;
    let (stop, failed, answered) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (site, stop, failed, answered) =
            (gate.site(), Arc::clone(&stop), Arc::clone(&failed), Arc::clone(&answered));
        crowd.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let got = try_ask(site, Method::GET, "/", &[], Bytes::new()).await;
                let good = got.is_ok_and(|got| got.status == StatusCode::OK);
                failed.fetch_add(u64::from(!good), Ordering::SeqCst);
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for number in 1..=200u32 {
        let begun = now();
        gate.apply(&text(&origin, 20 + number, &format!("Title {number}"))).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "reload {number} took {:?}", begun.elapsed());
        let live = gate.running.proxy.live.load();
        let limit = live.clusters["app"].gate.facts(gate.running.proxy.clock.now()).limit;
        assert_eq!(
            (limit, live.rooms["main"].settings.title.as_str()),
            (20 + number, format!("Title {number}").as_str())
        );
    }
    stop.store(true, Ordering::SeqCst);
    while crowd.join_next().await.is_some() {}
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {}", answered.load(Ordering::SeqCst));
    assert!(answered.load(Ordering::SeqCst) > 200);
}

/// Buckets, places and passes live on.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_survives_a_reload() {
    let origin = Origin::echo().await;
    let with = |rate: &str| {
        format!(
            r#"
[identity]
credential = {{ cookie = "session" }}
[quota.few]
rate = "{rate}"
burst = 2
[upstream.app]
addresses = ["{}"]
[room.main]
seats = {{ floor = 1, ceiling = 1 }}
[route.room]
path = "/room"
upstream = "app"
room = "main"
[route.all]
path = "/"
upstream = "app"
quota = "few"
"#,
            origin.address
        )
    };
    let gate = Gate::start(&with("1/h")).await;
    let pass = visit(gate.site(), "/room", "").await.cookie().unwrap();
    let joined = ask(gate.site(), Method::POST, "/.tornello/v1/rooms/main/tickets", &[]).await;
    let (ticket, number) = (joined.cookie().unwrap(), joined.json()["number"].clone());
    let spend = async || ask(gate.site(), Method::GET, "/", &[("cookie", "session=anna")]).await.status;
    assert_eq!(
        (spend().await, spend().await, spend().await),
        (StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS)
    );
    gate.apply(&with("2/h")).await;
    assert_eq!(spend().await, StatusCode::TOO_MANY_REQUESTS, "a reload does not refill");
    assert_eq!(visit(gate.site(), "/room", &pass).await.status, StatusCode::OK);
    let look = ask(gate.site(), Method::GET, "/.tornello/v1/rooms/main/ticket", &[("cookie", &ticket)]).await;
    assert_eq!(look.json()["number"], number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_refused_whole_with_its_line_and_remedy() {
    let origin = Origin::echo().await;
    let good = text(&origin, 50, "Title");
    let gate = Gate::start(&good).await;
    let refused = async |text: &str| {
        let report = gate.running.reloader.apply(&placed(text, gate.state.path()), "t.toml").await;
        assert!(!report.applied && report.generation == 1, "{report:#?}");
        assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK, "the old one goes on");
        report.diagnostics
    };
    let misspelt = refused(&good.replace("upstream = \"app\"\nroom", "upstraem = \"app\"\nroom")).await;
    assert!(misspelt.contains("t.toml:") && misspelt.contains("upstream"), "{misspelt}");
    let shared = refused(&good.replace("room = \"main\"\n", "room = \"main\"\nshared = true\n")).await;
    assert!(shared.contains("shared"), "{shared}");
    let moved = good.clone() + "\n[edge]\ndrain = \"banana\"\n";
    assert!(refused(&moved).await.contains("banana"));
    let moved = placed(&good, gate.state.path()).replacen("127.0.0.1:0", "127.0.0.1:1", 1);
    let report = gate.running.reloader.apply(&moved, "t.toml").await;
    assert!(!report.applied && report.diagnostics.contains("restart: listen.http"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_with_people_in_it_cannot_be_configured_away() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&text(&origin, 50, "Title")).await;
    let without = format!(
        "[upstream.app]\naddresses = [\"{}\"]\n[route.all]\npath = \"/\"\nupstream = \"app\"\n",
        origin.address
    );
    ask(gate.site(), Method::POST, "/.tornello/v1/rooms/main/tickets", &[]).await;
    let report = gate.running.reloader.apply(&placed(&without, gate.state.path()), "t.toml").await;
    assert!(!report.applied && report.diagnostics.contains("hold = true"), "{report:#?}");
}

/// The keys of the day: hold, message, open, drain of an address.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_the_day_act_at_once() {
    let (one, two) = (Origin::echo().await, Origin::echo().await);
    let day = |room: &str, drain: bool| {
        format!(
            r#"
[upstream.app]
addresses = ["{}", {{ address = "{}", drain = {drain} }}]
[room.main]
seats = {{ floor = 1, ceiling = 1 }}
{room}
[route.all]
path = "/"
upstream = "app"
room = "main"
"#,
            one.address, two.address
        )
    };
    let gate = Gate::start(&day("", false)).await;
    let pass = visit(gate.site(), "/", "").await.cookie().unwrap();
    gate.apply(&day("hold = true\nmessage = { it = \"Torniamo alle 10.\", en = \"Back at 10.\" }", true))
        .await;
    let machine = get(gate.site(), "/").await;
    assert_eq!(
        (machine.status, &machine.json()["reason"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"held".into())
    );
    let messages = get(gate.site(), "/.tornello/v1/rooms/main/messages").await.json();
    assert_eq!(messages["text"]["en"], "Back at 10.");
    let before = two.truth.requests.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(visit(gate.site(), "/", &pass).await.status, StatusCode::OK, "those inside go on");
    }
    assert_eq!(two.truth.requests.load(Ordering::SeqCst), before, "a drained address gets nothing new");
    gate.apply(&day("", true)).await;
    let waiting =
        ask(gate.site(), Method::POST, "/.tornello/v1/rooms/main/tickets", &[]).await.cookie().unwrap();
    gate.apply(&day("open = true", false)).await;
    crate::stage::until("who waited is let in as well", || async {
        (visit(gate.site(), "/", &waiting).await.status == StatusCode::OK).then_some(())
    })
    .await;
    for _ in 0..3 {
        assert_eq!(visit(gate.site(), "/", "").await.status, StatusCode::OK, "open lets everybody through");
    }
}
