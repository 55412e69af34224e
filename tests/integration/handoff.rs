//! A place moves to another device by a short code: the one has it then, and the other has it no more.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tornello::proxy::letters::Letters;

use crate::process::{Process, configuration};
use crate::stage::{Gate, Got, Origin, ask, try_ask, until, visit};
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";
/// A code that nobody was given, as far as anybody can know.
const NOBODY: &str = "0000-0000-00000";

type Site = std::net::SocketAddr;

async fn post(site: Site, end: &str, fields: &[(&str, &str)]) -> Got {
    ask(site, Method::POST, &format!("{ROOM}/{end}"), fields).await
}

async fn look(site: Site, ticket: &str) -> Got {
    ask(site, Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)]).await
}

/// Takes a place.
async fn joins(site: Site) -> (String, Value) {
    let place = post(site, "tickets", &[]).await.json();
    (place["ticket"].as_str().unwrap().to_owned(), place)
}

/// Whoever holds the ticket asks for a code.
async fn code(site: Site, ticket: &str) -> String {
    let got = post(site, "handoff", &[("tornello-ticket", ticket)]).await;
    assert_eq!((got.status, &got.json()["expires_in_ms"]), (StatusCode::CREATED, &json!(300_000)));
    got.json()["code"].as_str().unwrap().to_owned()
}

/// It is typed elsewhere.
async fn types(site: Site, code: &str, word: &str) -> Got {
    let word = Some(("tornello-try", word)).filter(|(_, word)| !word.is_empty());
    let fields: Vec<_> = [("tornello-handoff", code)].into_iter().chain(word).collect();
    post(site, "arrival", &fields).await
}

fn says(got: &Got) -> (StatusCode, String) {
    (got.status, got.json()["reason"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: StatusCode, reason: &str) -> (StatusCode, String) {
    (status, reason.to_owned())
}

/// Claims until inside; the cookie of the pass.
async fn goes_in(site: Site, ticket: &str) -> String {
    until("the claim is heard", || async {
        let got = post(site, "claims", &[("tornello-ticket", ticket)]).await;
        (got.status == StatusCode::OK).then(|| got.cookie().unwrap())
    })
    .await
}

/// Somebody is on the one seat, and stays.
async fn crowded(site: Site) -> String {
    let pass = visit(site, "/", "").await.cookie().unwrap();
    assert_eq!(visit(site, "/", &pass).await.status, StatusCode::OK);
    pass
}

/// Sends the head of a request. Its body is asked for, so the head was judged, and whoever sent it is known.
async fn begins(site: Site, end: &str, fields: &[(&str, &str)]) -> TcpStream {
    const ASKED_FOR: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut stream = TcpStream::connect(site).await.unwrap();
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = "connection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n";
    let text = format!("POST {ROOM}/{end} HTTP/1.1\r\nhost: {site}\r\n{head}{fields}\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut said = [0; ASKED_FOR.len()];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&said), ASKED_FOR);
    stream
}

/// Sends the body, and hears the answer.
async fn ends(mut stream: TcpStream) -> (u16, Value) {
    stream.write_all(b"{}").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Nothing can be done with a ticket whose place has moved.
async fn is_gone(site: Site, ticket: &str) {
    let shown = [("tornello-ticket", ticket)];
    let moved = refused(StatusCode::GONE, "moved");
    for end in ["ticket", "receipt", "visit", "draw/proof", "slot.ics"] {
        let got = ask(site, Method::GET, &format!("{ROOM}/{end}"), &shown).await;
        assert_eq!(says(&got), moved, "{end}");
        assert!(!got.headers.contains_key("set-cookie"), "the cookie may be of another place");
    }
    for end in ["tickets", "claims", "extension", "slot", "leave", "handoff"] {
        assert_eq!(says(&post(site, end, &shown).await), moved, "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_moved_is_on_the_other_device_with_its_number_also_after_kill() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::ending().await);
    configuration(folder.path(), origin.address, "");
    let mut process = Process::start(folder.path(), None);
    let inside = crowded(process.site).await;
    let (before, _) = joins(process.site).await;
    let (old, place) = joins(process.site).await;
    let (stays, _) = joins(process.site).await;
    let given = code(process.site, &old).await;
    assert_eq!(look(process.site, &old).await.json()["number"], 2, "until it is used nothing has moved");
    let other = code(process.site, &stays).await;

    let got = types(process.site, &given.to_lowercase().replace('-', " "), "a word").await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let arrived = got.json();
    let new = arrived["ticket"].as_str().unwrap().to_owned();
    assert_eq!(got.cookie().unwrap(), format!("tornello-ticket-main={new}"));
    assert_ne!(new, old);
    for same in ["number", "ahead", "state", "epoch"] {
        assert_eq!(arrived[same], place[same], "{same}");
    }
    is_gone(process.site, &old).await;
    assert_eq!(types(process.site, &given, "a word").await.json()["ticket"], new.as_str(), "asked again");
    let wordless = types(process.site, &given, "").await;
    assert_eq!(says(&wordless), refused(StatusCode::UNPROCESSABLE_ENTITY, "handoff_wordless"));
    for word in ["no word", "another"] {
        let used = types(process.site, &given, word).await;
        assert_eq!(says(&used), refused(StatusCode::NOT_FOUND, "handoff_unknown"), "it counts once");
    }

    let sold = Bytes::from(old.clone());
    let revoked = try_ask(process.admin, Method::POST, "/rooms/main/revoke", &[], sold).await.unwrap();
    assert_eq!(revoked.status, StatusCode::CONFLICT, "{}", revoked.text());
    assert_eq!(look(process.site, &new).await.status, StatusCode::OK, "who has it now keeps it");

    let said = process.access.lock().unwrap().clone() + &process.log.lock().unwrap();
    drop(process); // kill -9
    let state = std::fs::read(folder.path().join("state/tornello.redb")).unwrap();
    let all = said + &String::from_utf8_lossy(&state);
    for secret in [&given, &given.replace('-', ""), "a word", &old, &new] {
        assert!(!all.contains(secret), "{secret} is in a log or in the state");
    }
    process = Process::start(folder.path(), None);
    is_gone(process.site, &old).await;
    assert_eq!(look(process.site, &new).await.json()["number"], 2);
    assert_eq!(
        types(process.site, &given, "a word").await.json()["ticket"],
        new.as_str(),
        "the answer was lost"
    );
    let over = types(process.site, &other, "a word").await;
    assert_eq!(says(&over), refused(StatusCode::NOT_FOUND, "handoff_unknown"), "codes end with the process");
    assert_eq!(look(process.site, &stays).await.json()["number"], 3, "and places do not");
    types(process.site, &code(process.site, &stays).await, "a word").await;
    is_gone(process.site, &stays).await;

    // Their turn comes, and the new device has it.
    visit(process.site, "/end", &inside).await;
    let left = post(process.site, "leave", &[("tornello-ticket", &before)]).await;
    assert_eq!(left.status, StatusCode::OK);
    let pass = goes_in(process.site, &new).await;
    assert_eq!(visit(process.site, "/", &pass).await.status, StatusCode::OK);
    is_gone(process.site, &old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_are_bounded_for_each_address_and_each_code() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let site = gate.site();
    crowded(site).await;
    let (ticket, _) = joins(site).await;
    let first = code(site, &ticket).await;
    let name = *Letters::<13>::read(&first).unwrap().letters();
    for wrong in 1..=5 {
        let mut other = name;
        other[8] = (other[8] + wrong) % 32;
        let got = types(site, &Letters::new(&other).text(&[]), "w").await;
        assert_eq!(says(&got), refused(StatusCode::NOT_FOUND, "handoff_unknown"));
    }
    assert_eq!(types(site, &first, "w").await.status, StatusCode::NOT_FOUND, "five tries are all it has");
    for _ in 0..20 {
        let slip = types(site, "ABCD", "w").await;
        assert_eq!(says(&slip), refused(StatusCode::UNPROCESSABLE_ENTITY, "handoff_misread"), "no guess");
    }
    let second = code(site, &ticket).await;
    let moved = types(site, &second, "w").await.json();
    assert_eq!(moved["number"], 1, "the place was not lost by it");
    let ticket = moved["ticket"].as_str().unwrap();
    let mut more = 0;
    while types(site, NOBODY, "w").await.status == StatusCode::NOT_FOUND {
        more += 1;
        assert!(more <= 60, "nothing stops it");
    }
    assert!(more >= 44, "six were typed before: {more}");
    let third = code(site, ticket).await;
    let shut = types(site, &third, "w").await;
    assert_eq!(shut.status, StatusCode::TOO_MANY_REQUESTS, "who guessed is told nothing");
    assert!(shut.headers.contains_key("retry-after"));
    assert_eq!(look(site, ticket).await.json()["number"], 1, "and the place is where it was");
    let mut asked = 3;
    while post(site, "handoff", &[("tornello-ticket", ticket)]).await.status == StatusCode::CREATED {
        asked += 1;
        assert!(asked <= 25, "codes are given without end");
    }
    let (neighbour, _) = joins(site).await;
    code(site, &neighbour).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_inside_takes_the_visit_along() {
    let origin = Origin::ending().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let site = gate.site();
    let first = crowded(site).await;
    let (old, _) = joins(site).await;
    let _waits = joins(site).await;
    visit(site, "/end", &first).await;
    let pass = goes_in(site, &old).await;
    assert_eq!(visit(site, "/", &pass).await.status, StatusCode::OK);
    let arrived = types(site, &code(site, &old).await, "w").await.json();
    assert_eq!(arrived["state"], "admitted");
    assert_eq!(visit(site, "/", &pass).await.status, StatusCode::SERVICE_UNAVAILABLE, "not here any more");
    let new = goes_in(site, arrived["ticket"].as_str().unwrap()).await;
    assert_eq!(visit(site, "/", &new).await.status, StatusCode::OK);
    assert_eq!(gate.running.proxy.live.load().rooms["main"].line.with(|line| line.active()), 1, "one seat");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_move_a_place_and_the_old_browser_is_told_and_may_begin_anew() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let site = gate.site();
    crowded(site).await;
    let (ticket, _) = joins(site).await;
    let old = format!("tornello-ticket-main={ticket}");
    let send = async |end: &str, cookie: &str, body: String| {
        let form = [
            ("accept", "text/html"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookie),
        ];
        try_ask(site, Method::POST, &format!("{ROOM}/{end}"), &form, Bytes::from(body)).await.unwrap()
    };
    let form = |code: &str, word: &str| format!("return=%2Fa&lang=en&code={code}&try={word}");
    let given = send("handoff", &old, form("", "")).await.text();
    let (_, rest) = given.split_once("within 5 minutes: ").expect("the code is on the page");
    let code: String = rest.chars().take(15).collect();
    let misread = send("arrival", "", form("ABCD", "w")).await.text();
    assert!(misread.contains("a letter is wrong or missing"), "{misread}");
    let unknown = send("tickets", "", form(NOBODY, "w")).await.text();
    assert!(unknown.contains("no longer counts, or was already used"), "{unknown}");
    // In the field for codes of places as well.
    let arrived = send("tickets", "", form(&code, "w")).await;
    assert!(arrived.text().contains("You are in the queue"), "{}", arrived.text());
    let new = arrived.cookie().unwrap();
    assert_eq!(send("arrival", "", form(&code, "w")).await.cookie().unwrap(), new, "the form was sent again");
    let told = visit(site, "/.tornello/rooms/main/place?return=%2Fa&lang=en", &old).await;
    assert!(told.text().contains("Your place has moved to another device"), "{}", told.text());
    assert!(told.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let told = send("claims", &old, form("", "")).await;
    assert!(told.text().contains("Your place has moved to another device"), "{}", told.text());
    let told = ask(site, Method::GET, &format!("{ROOM}/ticket"), &[("cookie", &old)]).await;
    assert_eq!(says(&told), refused(StatusCode::GONE, "moved"));
    assert!(told.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"), "it is told once");
    let (_, shown) = new.split_once('=').unwrap();
    let good = send("tickets", &old, form(shown, "")).await.text();
    assert!(good.contains("You are in the queue"), "the code counts, whatever the browser had: {good}");
    let anew = send("tickets", "", form("", "")).await;
    assert!(anew.text().contains("You are in the queue"));
    assert_ne!(anew.cookie().unwrap(), new);
    let place = visit(site, "/.tornello/rooms/main/place?return=%2Fa&lang=de", &new).await.text();
    assert!(place.contains("Auf einem anderen Gerät weitermachen"), "{place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_of_somebody_who_signed_in_is_theirs_everywhere_and_moves_to_nobody_else() {
    let origin = Origin::echo().await;
    let known = "[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[identity]\nheader = \"x-user\"\n";
    let gate = Gate::start(&format!("{known}{}", room(&origin, 1, "one_place_per = \"person\""))).await;
    let site = gate.site();
    crowded(site).await;
    let anna = ("x-user", "anna");
    let (loose, _) = joins(site).await;
    let place = post(site, "tickets", &[anna]).await.json();
    let ticket = place["ticket"].as_str().unwrap();
    let given = code(site, ticket).await;
    for other in [None, Some(("x-user", "bruno"))] {
        let typed = [("tornello-handoff", given.as_str()), ("tornello-try", "w")];
        let fields: Vec<_> = typed.into_iter().chain(other).collect();
        let got = post(site, "arrival", &fields).await;
        assert_eq!(says(&got), refused(StatusCode::FORBIDDEN, "handoff_foreign"));
    }
    let got = post(site, "arrival", &[("tornello-handoff", &given), ("tornello-try", "w"), anna]).await;
    assert_eq!((got.status, &got.json()["ticket"]), (StatusCode::OK, &json!(ticket)), "{}", got.text());
    assert_eq!(look(site, ticket).await.json()["number"], 2, "both devices have it");

    // A place that moved before its holder signs in is theirs as well.
    let moved = types(site, &code(site, &loose).await, "w").await.json();
    let new = moved["ticket"].as_str().unwrap();
    let carla = ("x-user", "carla");
    let held = post(site, "tickets", &[("tornello-ticket", new), carla]).await.json();
    assert_eq!(held["number"], 1, "{held}");
    let elsewhere = post(site, "tickets", &[carla]).await.json();
    assert_eq!(elsewhere["number"], 1, "{elsewhere}");
    assert_eq!(look(site, elsewhere["ticket"].as_str().unwrap()).await.json()["number"], 1);
    is_gone(site, &loose).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gave_a_place_away_does_not_get_it_back_by_a_body_that_comes_late() {
    let origin = Origin::echo().await;
    let known = "[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[identity]\nheader = \"x-user\"\n";
    let gate = Gate::start(&format!("{known}{}", room(&origin, 1, "one_place_per = \"person\""))).await;
    let site = gate.site();
    crowded(site).await;

    // Signs in with the old ticket while the place moves.
    let (old, _) = joins(site).await;
    let shown = ("tornello-ticket", old.as_str());
    let late = begins(site, "tickets", &[shown, ("x-user", "anna")]).await;
    let got = types(site, &code(site, &old).await, "w").await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text());
    let new = got.json()["ticket"].as_str().unwrap().to_owned();
    let (status, told) = ends(late).await;
    assert_eq!((status, &told["number"]), (201, &json!(2)), "a place of their own: {told}");
    assert_eq!(look(site, &new).await.json()["number"], 1);
    is_gone(site, &old).await;
    let elsewhere = post(site, "tickets", &[("x-user", "anna")]).await.json();
    assert_eq!(elsewhere["number"], 2, "{elsewhere}");

    // Gives it up, asks for a code, claims it.
    for end in ["leave", "handoff", "tickets", "claims"] {
        let (old, place) = joins(site).await;
        let late = begins(site, end, &[("tornello-ticket", &old)]).await;
        let new = types(site, &code(site, &old).await, "w").await.json();
        let (status, told) = ends(late).await;
        assert_eq!((status, &told["reason"]), (410, &json!("moved")), "{end}: {told}");
        let now = look(site, new["ticket"].as_str().unwrap()).await.json();
        assert_eq!((&now["number"], &now["state"]), (&place["number"], &json!("waiting")), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_moves_to_somebody_who_signed_in_is_theirs() {
    let origin = Origin::echo().await;
    let known = "[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[identity]\nheader = \"x-user\"\n";
    let gate = Gate::start(&format!("{known}{}", room(&origin, 1, "one_place_per = \"person\""))).await;
    let site = gate.site();
    crowded(site).await;
    let (old, _) = joins(site).await;
    let (given, bruno) = (code(site, &old).await, ("x-user", "bruno"));
    let typed = [("tornello-handoff", given.as_str()), ("tornello-try", "w"), bruno];
    let got = post(site, "arrival", &typed).await;
    assert_eq!((got.status, &got.json()["number"]), (StatusCode::OK, &json!(1)), "{}", got.text());
    is_gone(site, &old).await;
    let elsewhere = post(site, "tickets", &[bruno]).await.json();
    assert_eq!(elsewhere["number"], 1, "on each device: {elsewhere}");
    let given = code(site, elsewhere["ticket"].as_str().unwrap()).await;
    assert_eq!(says(&types(site, &given, "w").await), refused(StatusCode::FORBIDDEN, "handoff_foreign"));
}
