//! A slot on the real binary: taken, written down, kept through kill -9, and good when its time has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::process::Process;
use crate::stage::{Got, Origin, ask, try_ask, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";
/// Who waits, and how many of them come in at once.
const CROWD: usize = 600;
const SEATS: usize = 10;

/// An origin that ends each session with its first answer, a moment later.
async fn origin() -> Origin {
    let origin = Origin::start(None, |_| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"served")));
        response.headers_mut().insert("tornello-session", "end".parse().unwrap());
        response
    })
    .await;
    origin.delay(60);
    origin
}

fn write_configuration(folder: &std::path::Path, origin: &Origin) {
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = \"{}/state\"\n\
         [door]\nrate = \"1000/s\"\nburst = 100000\nprefix = {{ rate = \"10000/s\", burst = 100000 }}\n\
         [upstream.app]\naddresses = [\"{}\"]\nlimit = {{ initial = 50, floor = 50, ceiling = 50 }}\n\
         [room.main]\nseats = {{ floor = {SEATS}, ceiling = {SEATS} }}\npoll = {{ min = \"100ms\", max = \"1s\" }}\n\
         slots = {{ after = \"1s\", length = \"10s\" }}\n\
         [route.all]\nupstream = \"app\"\nroom = \"main\"\n",
        folder.display(),
        origin.address
    );
    std::fs::write(folder.join("tornello.toml"), text).unwrap();
}

async fn post(process: &Process, endpoint: &str, ticket: &str) -> Got {
    ask(process.site, Method::POST, &format!("{ROOM}/{endpoint}"), &[("tornello-ticket", ticket)]).await
}

async fn look(process: &Process, ticket: &str) -> Value {
    ask(process.site, Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)]).await.json()
}

async fn join(process: &Process) -> String {
    post(process, "tickets", "").await.json()["ticket"].as_str().unwrap().to_owned()
}

/// One after the other claims, is served, and is gone, until told to stop.
async fn come_in(
    site: std::net::SocketAddr,
    tickets: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) {
    while let Some(ticket) = tickets.get(next.fetch_add(1, Relaxed)) {
        let head = [("tornello-ticket", ticket.as_str())];
        loop {
            if stop.load(Relaxed) {
                return;
            }
            let claimed = ask(site, Method::POST, &format!("{ROOM}/claims"), &head).await;
            if claimed.status == StatusCode::OK {
                visit(site, "/", &claimed.cookie().unwrap()).await;
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A line that moves, until some more than fifty were called into a full room.
async fn moving(process: &Process) -> (Arc<AtomicBool>, tokio::task::JoinSet<()>) {
    let mut tickets = Vec::new();
    for _ in 0..CROWD {
        tickets.push(join(process).await);
    }
    let (tickets, next, stop) = (Arc::new(tickets), Arc::default(), Arc::new(AtomicBool::new(false)));
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..3 * SEATS {
        crowd.spawn(come_in(process.site, Arc::clone(&tickets), Arc::clone(&next), Arc::clone(&stop)));
    }
    (stop, crowd)
}

fn times(slot: &Value) -> (i64, i64) {
    (slot["from_ms"].as_i64().unwrap(), slot["until_ms"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_kept_through_kill_and_lets_its_holder_in_when_its_time_has_come() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), origin().await);
    write_configuration(folder.path(), &origin);
    let process = Process::start(folder.path(), None);
    let (stop, mut crowd) = moving(&process).await;
    let (mine, other) = (join(&process).await, join(&process).await);
    assert_eq!(post(&process, "slot", "").await.status, StatusCode::NOT_FOUND);
    let early = post(&process, "slot", &mine).await;
    assert_eq!((early.status, &early.json()["reason"]), (StatusCode::CONFLICT, &"no_slot".into()));
    let offered = until("a slot is offered", || async {
        let slot = look(&process, &mine).await["slot"].clone();
        (slot["state"] == "offered").then_some(slot)
    })
    .await;
    // What is shown is what is taken: not one that begins at quite another time.
    let take = async |from_ms: i64| {
        let fields = [("tornello-ticket", mine.as_str()), ("content-type", "application/json")];
        let body = Bytes::from(format!("{{\"from_ms\":{from_ms}}}"));
        try_ask(process.site, Method::POST, &format!("{ROOM}/slot"), &fields, body).await.unwrap()
    };
    let moved = take(times(&offered).0 - 60_000).await;
    assert_eq!((moved.status, &moved.json()["reason"]), (StatusCode::CONFLICT, &"slot_moved".into()));
    assert_eq!(moved.json()["slot"]["state"], "offered", "{moved:?}");
    assert_eq!(look(&process, &mine).await["slot"]["state"], "offered", "none was taken");
    let taken = take(times(&moved.json()["slot"]).0).await;
    assert_eq!((taken.status, &taken.json()["state"]), (StatusCode::OK, &"slot".into()), "{taken:?}");
    let slot = taken.json()["slot"].clone();
    assert!((times(&slot).0 - times(&offered).0).abs() < 10_000, "{slot} was offered as {offered}");
    assert_eq!(times(&slot).1 - times(&slot).0, 10_000);

    // Without scripts: a form, a page with the time, a calendar.
    let cookie = format!("tornello-ticket-main={other}");
    let place = "/.tornello/rooms/main/place?return=%2Fa&lang=en";
    let offer = visit(process.site, place, &cookie).await.text();
    assert!(
        offer.contains("Book the time between") && offer.contains("name=\"from_ms\" value=\"1"),
        "{offer}"
    );
    let form =
        [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded"), ("cookie", &cookie)];
    let body = Bytes::from_static(b"return=%2Fa&lang=en&from_ms=1000");
    try_ask(process.site, Method::POST, &format!("{ROOM}/slot"), &form, body).await.unwrap();
    assert!(
        visit(process.site, place, &cookie).await.text().contains("Book the time between"),
        "another one"
    );
    let body = Bytes::from_static(b"return=%2Fa&lang=en");
    let got = try_ask(process.site, Method::POST, &format!("{ROOM}/slot"), &form, body).await.unwrap();
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    let told = visit(process.site, place, &cookie).await.text();
    assert!(
        told.contains("Your turn is booked") && told.contains("(UTC)") && told.contains("slot.ics"),
        "{told}"
    );
    let calendar = visit(process.site, &format!("{ROOM}/slot.ics?lang=en&return=%2Fa"), &cookie).await;
    let text = calendar.text();
    assert_eq!(calendar.headers["content-type"], "text/calendar; charset=utf-8");
    assert!(text.contains("\r\nDTSTART:") && text.replace("\r\n ", "").contains("/a\r\n"), "{text}");
    assert!(!text.contains(&other), "a calendar holds no ticket");
    // From the page that stands at the address of the service, it leads there.
    let site = process.site.to_string();
    let page = [("cookie", cookie.as_str()), ("referer", &format!("http://{site}/a?b=1"))];
    let entry = ask(process.site, Method::GET, &format!("{ROOM}/slot.ics?lang=en"), &page).await.text();
    assert!(entry.replace("\r\n ", "").contains(&format!("URL:http://{site}/a?b=1\r\n")), "{entry}");
    let board = ask(process.site, Method::GET, &format!("{ROOM}/board"), &[]).await.json();
    assert_eq!(board["board"]["stood_still_s"], 0, "{board}");

    // One network books some of them, and not all: here everybody is of one.
    let (mut booked, mut tried) = (0, 0);
    let refused = loop {
        tried += 1;
        assert!(tried < 2_000, "{booked} booked, and nothing stops it");
        let another = join(&process).await;
        let got = post(&process, "slot", &another).await;
        match got.status {
            StatusCode::OK => booked += 1,
            StatusCode::CONFLICT => {}
            _ => break got,
        }
    };
    assert_eq!(
        (refused.status, booked >= 20),
        (StatusCode::TOO_MANY_REQUESTS, true),
        "{booked}: {refused:?}"
    );
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(post(&process, "slot", &mine).await.status, StatusCode::OK, "it has one, and asks again");

    stop.store(true, Relaxed);
    while crowd.join_next().await.is_some() {}
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    let again = look(&process, &mine).await;
    assert_eq!((&again["state"], &again["slot"]["state"]), (&"slot".into(), &"taken".into()), "{again}");
    assert!((times(&again["slot"]).0 - times(&slot).0).abs() <= 1_100, "{again} was {slot}");
    let early = post(&process, "claims", &mine).await;
    assert_eq!((early.status, &early.json()["state"]), (StatusCode::CONFLICT, &"slot".into()), "{early:?}");
    let wait_ms = times(&again["slot"]).0 - early.json()["slot"]["from_ms"].as_i64().unwrap();
    assert!(wait_ms.abs() <= 1_100, "{early:?}");
    let board = || async { ask(process.site, Method::GET, &format!("{ROOM}/board"), &[]).await.json() };
    let mut pass = None;
    for _ in 0..400 {
        let got = post(&process, "claims", &mine).await;
        pass = (got.status == StatusCode::OK).then(|| got.cookie().unwrap());
        if pass.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let pass = pass.expect("its time has come");
    let (cursor, number) = (board().await["board"]["cursor"].as_u64(), again["number"].as_u64());
    println!("let in by slot as number {number:?} while the line stood at {cursor:?}");
    assert_eq!(visit(process.site, "/", &pass).await.text(), "served");
    assert_eq!(post(&process, "slot", &mine).await.status, StatusCode::CONFLICT, "it is used");
}
