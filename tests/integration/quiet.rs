//! Quiet hours: who waits when they begin is not called in them, who comes in them is, and a reload ends them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use crate::stage::{Gate, Origin, ask, until, visit};
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";

/// From an hour ago to half a day from now.
fn quiet_now() -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = |hours: i8| (now.hour() + hours) % 24;
    format!("{:02}:00-{:02}:00 UTC", hour(23), hour(12))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_waits_is_called_in_quiet_hours_and_a_reload_ends_them() {
    let origin = Origin::start(None, |request| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"served")));
        if request.uri().path() == "/end" {
            response.headers_mut().insert("tornello-session", "end".parse().unwrap());
        }
        response
    })
    .await;
    let (gate, hours) = (Gate::start(&room(&origin, 1, "")).await, quiet_now());
    let inside = visit(gate.site(), "/", "").await;
    assert_eq!(inside.status, StatusCode::OK, "nobody waits");
    let joined = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await.json();
    let ticket = joined["ticket"].as_str().unwrap().to_owned();
    gate.apply(&room(&origin, 1, &format!("quiet = [\"{hours}\"]"))).await;
    let board = until("it is quiet", || async {
        let board =
            ask(gate.site(), Method::GET, &format!("{ROOM}/board"), &[]).await.json()["board"].clone();
        (board["state"] == "held").then_some(board)
    })
    .await;
    assert_eq!(board["reason"], "quiet", "{board}");
    assert!(board["quiet_ms"][0].as_u64() <= board["time_ms"].as_u64(), "{board}");
    visit(gate.site(), "/end", &inside.cookie().unwrap()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let look = || async {
        ask(gate.site(), Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", &ticket)]).await.json()
    };
    assert_eq!(look().await["state"], "waiting", "a seat is free, and it is night");
    let cookie = format!("tornello-ticket-main={ticket}");
    let place = visit(gate.site(), "/.tornello/rooms/main/place?lang=en", &cookie).await.text();
    assert!(place.contains("nobody is called during quiet hours"), "{place}");
    let rules = visit(gate.site(), "/.tornello/rooms/main/rules?lang=en", "").await.text();
    assert!(rules.contains(&hours), "{rules}");
    gate.apply(&room(&origin, 1, "")).await;
    until("it is called", || async { (look().await["state"] == "called").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_in_quiet_hours_is_called_and_closes_the_room_for_nobody() {
    let origin = Origin::start(None, |_| Response::new(Full::new(Bytes::from_static(b"served")))).await;
    let gate = Gate::start(&room(&origin, 2, &format!("quiet = [\"{}\"]", quiet_now()))).await;
    // By then these hours have begun for the room.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let joined = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await.json();
    let ticket = joined["ticket"].as_str().unwrap().to_owned();
    until("it is called", || async {
        let headers = [("tornello-ticket", ticket.as_str())];
        let look = ask(gate.site(), Method::GET, &format!("{ROOM}/ticket"), &headers).await.json();
        (look["state"] == "called").then_some(())
    })
    .await;
    assert_eq!(visit(gate.site(), "/", "").await.status, StatusCode::OK, "a seat is free");
}
