//! What becomes of a place that is not simply called and taken: missed, extended, given up, taken away,
//! and held while a login is down.

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::process::{Process, configuration};
use crate::stage::{Gate, Got, Origin, ask, try_ask, until, visit};
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";

async fn post(gate: &Gate, endpoint: &str, ticket: &str) -> Got {
    ask(gate.site(), Method::POST, &format!("{ROOM}/{endpoint}"), &[("tornello-ticket", ticket)]).await
}

async fn look(gate: &Gate, ticket: &str) -> serde_json::Value {
    ask(gate.site(), Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)]).await.json()
}

async fn ticket(gate: &Gate) -> String {
    post(gate, "tickets", "").await.json()["ticket"].as_str().unwrap().to_owned()
}

/// Ends a session from outside, as an operator does.
async fn revoke(gate: &Gate, token: &str) -> Got {
    let body = Bytes::from(token.to_owned());
    try_ask(gate.running.admin, Method::POST, "/rooms/main/revoke", &[], body).await.unwrap()
}

fn token(cookie: &str) -> &str {
    cookie.split_once('=').unwrap().1.split(';').next().unwrap()
}

async fn state(gate: &Gate, wanted: &str) -> serde_json::Value {
    until(wanted, || async {
        let board = ask(gate.site(), Method::GET, &format!("{ROOM}/board"), &[]).await.json();
        (board["board"]["state"] == wanted).then(|| board["board"].clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_call_keeps_its_number_and_comes_again() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "call = \"1s\"")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let (silent, present) = (ticket(&gate).await, ticket(&gate).await);
    revoke(&gate, token(&inside)).await;
    until("the first is called", || async {
        (look(&gate, &silent).await["state"] == "called").then_some(())
    })
    .await;
    let called = look(&gate, &silent).await;
    assert!(called["call"]["ends_in_ms"].as_u64().unwrap() <= 1_000, "{called}");
    assert_eq!(called["call"]["extensions"], 10);
    let pass = until("the second goes in", || async {
        let got = post(&gate, "claims", &present).await;
        (got.status == StatusCode::OK).then(|| got.json()["pass"].as_str().unwrap().to_owned())
    })
    .await;
    until("the first is late", || async { (look(&gate, &silent).await["state"] == "late").then_some(()) })
        .await;
    let late = post(&gate, "claims", &silent).await;
    assert_eq!((late.status, &late.json()["state"]), (StatusCode::ACCEPTED, &"late".into()), "{late:?}");
    assert_eq!(post(&gate, "extension", &silent).await.status, StatusCode::CONFLICT);
    assert_eq!(revoke(&gate, &pass).await.status, StatusCode::OK);
    let number = look(&gate, &silent).await["number"].clone();
    until("the late one goes in", || async {
        (post(&gate, "claims", &silent).await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!((number, look(&gate, &silent).await["number"].clone()), (1.into(), 1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_extended_ten_times_with_and_without_javascript() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "call = \"20s\"")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let mine = ticket(&gate).await;
    assert_eq!(post(&gate, "extension", &mine).await.json()["reason"], "no_call");
    revoke(&gate, token(&inside)).await;
    until("it is called", || async { (look(&gate, &mine).await["state"] == "called").then_some(()) }).await;
    for left in (1..10).rev() {
        let got = post(&gate, "extension", &mine).await.json();
        assert_eq!(got["call"]["extensions"], left, "{got}");
        assert!(got["call"]["ends_in_ms"].as_u64().unwrap() > 19_000, "{got}");
    }
    let cookie = format!("tornello-ticket-main={mine}");
    let form =
        [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded"), ("cookie", &cookie)];
    let place = "/.tornello/rooms/main/place?return=%2F&lang=en";
    assert!(visit(gate.site(), place, &cookie).await.text().contains("I need more time"));
    let body = Bytes::from_static(b"return=%2F&lang=en");
    let got = try_ask(gate.site(), Method::POST, &format!("{ROOM}/extension"), &form, body).await.unwrap();
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert!(!visit(gate.site(), place, &cookie).await.text().contains("I need more time"), "ten times");
    assert_eq!(look(&gate, &mine).await["call"]["extensions"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_given_up_is_told_so_and_not_called() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    visit(gate.site(), "/", "").await;
    let (first, second) = (ticket(&gate).await, ticket(&gate).await);
    let left =
        ask(gate.site(), Method::DELETE, &format!("{ROOM}/ticket"), &[("tornello-ticket", &first)]).await;
    assert_eq!((left.status, &left.json()["state"]), (StatusCode::OK, &"left".into()));
    assert!(left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(post(&gate, "claims", &first).await.status, StatusCode::GONE);
    let cookie = format!("tornello-ticket-main={second}");
    let form =
        [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded"), ("cookie", &cookie)];
    let body = Bytes::from_static(b"return=%2F&lang=en");
    let got = try_ask(gate.site(), Method::POST, &format!("{ROOM}/leave"), &form, body).await.unwrap();
    let told = visit(gate.site(), got.headers["location"].to_str().unwrap(), "").await.text();
    assert!(told.contains("You have given up your place"), "{told}");
    assert_eq!(look(&gate, &second).await["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_a_place_and_a_pass_away() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let (first, second) = (ticket(&gate).await, ticket(&gate).await);
    assert_eq!(revoke(&gate, "nonsense").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let headers = [("origin", "http://evil.example")];
    let body = Bytes::from(first.clone());
    let got = try_ask(gate.running.admin, Method::POST, "/rooms/main/revoke", &headers, body).await.unwrap();
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    assert_eq!(revoke(&gate, &first).await.json()["state"], "revoked");
    assert_eq!(revoke(&gate, token(&inside)).await.status, StatusCode::OK);
    let entered = until("the second goes in", || async {
        let got = post(&gate, "claims", &second).await;
        (got.status == StatusCode::OK).then(|| got.cookie().unwrap())
    })
    .await;
    assert_eq!(visit(gate.site(), "/", &inside).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(post(&gate, "claims", &first).await.status, StatusCode::GONE);
    assert_eq!(visit(gate.site(), "/", &entered).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_down_holds_the_room_and_burns_nobody() {
    let origin = Origin::echo().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    let health = "health = { interval = \"100ms\", timeout = \"100ms\", unhealthy = 1 }";
    let login = format!(
        "depends_on = [\"login\"]\ncall = \"1s\"\n[upstream.login]\naddresses = [\"{address}\"]\n{health}\n"
    );
    let gate = Gate::start(&room(&origin, 1, &login)).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let (first, second) = (ticket(&gate).await, ticket(&gate).await);
    revoke(&gate, token(&inside)).await;
    until("it is called", || async { (look(&gate, &first).await["state"] == "called").then_some(()) }).await;
    drop(gone);
    let board = state(&gate, "held").await;
    assert_eq!(board["reason"], "dependency");
    tokio::time::sleep(std::time::Duration::from_millis(1_300)).await;
    let still = look(&gate, &first).await;
    assert_eq!((&still["state"], &still["number"]), (&"called".into(), &1.into()), "its clock stands still");
    assert_eq!(look(&gate, &second).await["ahead"], 0);
    let _back = crate::stage::listen(address).await;
    state(&gate, "queueing").await;
    assert_eq!(post(&gate, "claims", &first).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_can_be_looked_at_and_extended_at_once_also_after_a_restart() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "idle = \"60s\"\nsession = \"60s\"");
    let asks = async |process: &Process, method: Method, endpoint: &str, pass: &str| {
        let got = ask(process.site, method, &format!("{ROOM}/{endpoint}"), &[("cookie", pass)]).await;
        got.status.as_u16()
    };
    let process = Process::start(folder.path(), None);
    let pass = visit(process.site, "/", "").await.cookie().unwrap();
    assert_eq!(asks(&process, Method::POST, "extension", &pass).await, 200, "the first request");
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    assert_eq!(asks(&process, Method::GET, "visit", &pass).await, 200, "after the restart");
    drop(process);
    let process = Process::start(folder.path(), None);
    assert_eq!(asks(&process, Method::POST, "extension", &pass).await, 200, "after another");
    assert_eq!(asks(&process, Method::GET, "visit", "").await, 404);
    let end =
        try_ask(process.admin, Method::POST, "/rooms/main/revoke", &[], Bytes::from(token(&pass).to_owned()));
    assert_eq!(end.await.unwrap().status, StatusCode::OK);
    assert_eq!(asks(&process, Method::GET, "visit", &pass).await, 404, "taken away, and not taken up");
    assert_eq!(asks(&process, Method::POST, "extension", &pass).await, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_begins_when_its_holder_knows_of_it() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let (first, second) = (ticket(&gate).await, ticket(&gate).await);
    revoke(&gate, token(&inside)).await;
    let goes_in = async |ticket: &str| {
        until("it goes in", || async {
            let got = post(&gate, "claims", ticket).await;
            (got.status == StatusCode::OK).then(|| got.json()["pass"].as_str().unwrap().to_owned())
        })
        .await
    };
    let pass = goes_in(&first).await;
    until("the second is called, and before all who wait", || async {
        (post(&gate, "claims", &second).await.status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    revoke(&gate, &pass).await;
    // The seat falls to it, and nobody has told it yet.
    let place = until("the seat is free", || async {
        Some(look(&gate, &second).await).filter(|place| place["state"] == "admitted")
    })
    .await;
    assert!(place["visit"].is_null(), "{place}");
    let inside = async |field: &str, token: &str| {
        ask(gate.site(), Method::GET, &format!("{ROOM}/visit"), &[(field, token)]).await.status
    };
    assert_eq!(inside("tornello-ticket", &second).await, StatusCode::NOT_FOUND, "a ticket takes nothing up");
    let pass = goes_in(&second).await;
    assert!(look(&gate, &second).await["visit"]["ends_in_ms"].is_u64());
    assert_eq!(inside("tornello-pass", &pass).await, StatusCode::OK);
}
