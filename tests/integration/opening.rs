//! Rooms that open at a time: nobody passes before it, places are given for some time before it, and what
//! was told to whoever took one stays so.

use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use jiff::Timestamp;
use tornello::admission::UnixTime;

use crate::stage::{Gate, Got, Origin, ask, get, placed, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";

/// The moment so far ahead, as operators write it.
#[expect(clippy::disallowed_methods, reason = "tests of real processes read the real time")]
pub(crate) fn ahead(time: Duration) -> Timestamp {
    Timestamp::try_from(SystemTime::now() + time).unwrap()
}

fn text(origin: &Origin, more: &str) -> String {
    format!(
        "[upstream.app]\naddresses = [\"{}\"]\n[room.main]\nseats = {{ floor = 2, ceiling = 2 }}\n\
         poll = {{ min = \"100ms\", max = \"1s\" }}\n{more}\n[route.main]\nupstream = \"app\"\nroom = \"main\"\n",
        origin.address
    )
}

async fn join(gate: &Gate) -> Got {
    ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await
}

async fn board(gate: &Gate) -> serde_json::Value {
    get(gate.site(), &format!("{ROOM}/board")).await.json()["board"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_before_the_opening_and_then_those_with_places_go_first() {
    let origin = Origin::echo().await;
    let opens = ahead(Duration::from_secs(10));
    let gate = Gate::start(&text(&origin, &format!("opens_at = \"{opens}\"\nprequeue = \"8s\""))).await;
    let opens_ms = u64::try_from(opens.as_millisecond()).unwrap();
    let unix = || gate.running.proxy.clock.unix();
    let shut = board(&gate).await;
    assert_eq!((&shut["state"], &shut["opens_ms"]), (&"closed".into(), &opens_ms.into()));
    let refused = join(&gate).await;
    assert_eq!(
        (refused.status, &refused.json()["reason"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"closed".into())
    );
    let again: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&again), "soon after there are places, not {again} s later");
    let person = visit(gate.site(), "/", "").await;
    assert!(person.text().contains("data-f=\"countdown\""), "{}", person.text());
    assert_eq!(get(gate.site(), "/").await.json()["reason"], "closed");
    let mut places = Vec::new();
    for number in 1..=5_u64 {
        let joined = until("places are given", || async {
            let got = join(&gate).await;
            (got.status == StatusCode::CREATED).then_some(got)
        })
        .await;
        assert!(unix() >= UnixTime(opens_ms - 8_000), "a place was given too early");
        assert_eq!((&joined.json()["number"], &joined.json()["state"]), (&number.into(), &"waiting".into()));
        places.push(joined.cookie().unwrap());
    }
    assert_eq!(board(&gate).await["state"], "prequeue");
    // Everybody tries, all the time, in every way, until the opening.
    let mut inside = 0;
    while unix() < UnixTime(opens_ms) {
        for cookies in ["", places[0].as_str(), places[4].as_str()] {
            let before = unix();
            let got = visit(gate.site(), "/", cookies).await;
            if got.status == StatusCode::OK {
                assert!(unix() >= UnixTime(opens_ms), "in at {before:?}");
                inside += 1;
            }
            let path = format!("{ROOM}/claims");
            let claimed = ask(gate.site(), Method::POST, &path, &[("cookie", cookies)]).await;
            assert!(claimed.status != StatusCode::OK || unix() >= UnixTime(opens_ms));
        }
    }
    assert!(inside <= 2);
    until("the first is called", || async {
        (visit(gate.site(), "/", &places[0]).await.status == StatusCode::OK).then_some(())
    })
    .await;
    let open = board(&gate).await;
    assert!(open["opens_ms"].is_null() && open["state"] != "prequeue", "{open}");
    let latecomer = join(&gate).await.json();
    assert_eq!(latecomer["number"], 6, "who comes later stands behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_moves_until_somebody_has_a_place_by_it() {
    let origin = Origin::echo().await;
    let with = |hours: u64, prequeue: &str| {
        let opens = ahead(Duration::from_secs(hours * 3_600));
        text(&origin, &format!("opens_at = \"{opens}\"\nprequeue = \"{prequeue}\""))
    };
    let gate = Gate::start(&with(48, "1h")).await;
    gate.apply(&with(24, "48h")).await;
    until("a place is given", || async { (join(&gate).await.status == StatusCode::CREATED).then_some(()) })
        .await;
    for other in [with(25, "48h"), text(&origin, "")] {
        let report = gate.running.reloader.apply(&placed(&other, gate.state.path()), "test.toml").await;
        assert!(!report.applied);
        let said = &report.diagnostics;
        assert!(said.contains("room.main.opens_at cannot change: 1 people have a place"), "{said}");
    }
    assert_eq!(visit(gate.site(), "/", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
}
