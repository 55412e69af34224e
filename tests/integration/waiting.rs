//! The waiting room over HTTP: places are given once, kept, called in order, and used once.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use crate::stage::{Gate, Got, Origin, ask, try_ask, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";

/// An origin that ends the session of whoever asks for `/end`.
async fn origin() -> Origin {
    Origin::start(None, |request| {
        let mut response = Response::new(Full::new(Bytes::from_static(b"served")));
        if request.uri().path() == "/end" {
            response.headers_mut().insert("tornello-session", "end".parse().unwrap());
        }
        if let Some(units) = request.uri().path().strip_prefix("/left/") {
            response.headers_mut().insert("tornello-remaining", units.parse().unwrap());
        }
        response
    })
    .await
}

pub(crate) fn room(origin: &Origin, seats: u32, more: &str) -> String {
    format!(
        r#"
[door]
rate = "1000/s"
burst = 10000
[upstream.app]
addresses = ["{}"]
[room.main]
seats = {{ floor = {seats}, ceiling = {seats} }}
poll = {{ min = "100ms", max = "1s" }}
{more}
[route.all]
path = "/"
upstream = "app"
room = "main"
"#,
        origin.address
    )
}

async fn join(gate: &Gate, cookie: &str) -> Got {
    ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[("cookie", cookie)]).await
}

async fn claim(gate: &Gate, ticket: &str) -> Got {
    ask(gate.site(), Method::POST, &format!("{ROOM}/claims"), &[("tornello-ticket", ticket)]).await
}

/// Claims until inside; the cookie of the pass.
async fn admitted(gate: &Gate, ticket: &str) -> String {
    until("the claim is heard", || async {
        let got = claim(gate, ticket).await;
        (got.status == StatusCode::OK).then(|| got.cookie().unwrap())
    })
    .await
}

async fn ticket(gate: &Gate) -> (String, u64) {
    let got = join(gate, "").await;
    assert_eq!(got.status, StatusCode::CREATED, "{}", got.text());
    let json = got.json();
    (json["ticket"].as_str().unwrap().to_owned(), json["number"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_room_lets_people_through_and_a_full_one_shows_the_same_page_to_all() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let first = visit(gate.site(), "/", "").await;
    assert_eq!(first.status, StatusCode::OK);
    let pass = first.cookie().unwrap();
    assert!(pass.starts_with("tornello-pass-main="), "{pass}");
    assert_eq!(first.headers["cache-control"], "private, no-store");
    let (second, third) = (visit(gate.site(), "/x?id=1", "").await, visit(gate.site(), "/", "a=b").await);
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(second.headers.contains_key("retry-after") && second.headers["cache-control"] == "no-store");
    assert!(!second.headers.contains_key("set-cookie"), "a page is no place to give cookies");
    assert_eq!(second.body, third.body);
    assert_eq!(visit(gate.site(), "/", &pass).await.status, StatusCode::OK, "the pass goes on");
    let machine = ask(gate.site(), Method::GET, "/", &[]).await;
    assert_eq!(machine.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(machine.headers["content-type"], "application/problem+json");
    let problem = machine.json();
    assert_eq!(
        (&problem["reason"], &problem["join"]),
        (&"waiting".into(), &format!("{ROOM}/tickets").into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_given_once_and_looking_changes_nothing() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    visit(gate.site(), "/", "").await;
    let first = join(&gate, "").await;
    assert_eq!(first.json()["number"], 1);
    let cookie = first.cookie().unwrap();
    for _ in 0..3 {
        let again = join(&gate, &cookie).await;
        assert_eq!((again.status, &again.json()["number"]), (StatusCode::OK, &1.into()));
        let look = ask(gate.site(), Method::GET, &format!("{ROOM}/ticket"), &[("cookie", &cookie)]).await;
        assert_eq!(look.json()["number"], 1);
        visit(gate.site(), "/", &cookie).await;
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let got = ask(gate.site(), method, &format!("{ROOM}/tickets"), &[]).await;
        assert_eq!(
            (got.status, &got.headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
        );
    }
    assert_eq!(ticket(&gate).await.1, 2, "nobody else took a number");
}

/// A sibling host can set a cookie of our name for this one; it must not hide the good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_tossed_cookie_hides_no_place() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    visit(gate.site(), "/", "").await;
    let cookie = join(&gate, "").await.cookie().unwrap();
    let tossed = format!("tornello-ticket-main=x; {cookie}");
    assert_eq!(join(&gate, &tossed).await.json()["number"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_navigation_takes_no_seat() {
    let origin = origin().await;
    let limit =
        "limit = { law = \"fixed\", initial = 1, floor = 1, ceiling = 9, wait = \"10ms\" }\n[room.main]";
    let gate = Gate::start(&room(&origin, 5, "").replace("[room.main]", limit)).await;
    origin.delay(1_000);
    let busy = gate.site();
    let first = tokio::spawn(async move { visit(busy, "/", "").await });
    until("the limit is used up", || async { (gate.in_flight("app") == 1).then_some(()) }).await;
    for _ in 0..4 {
        assert_eq!(visit(gate.site(), "/", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let live = gate.running.proxy.live.load_full();
    let room = &live.rooms["main"];
    assert_eq!(room.line.facts(&room.settings.policy).active, 1, "only the one who is served");
    first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_called_in_order_and_a_pass_is_used_once() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let (first, second) = (ticket(&gate).await.0, ticket(&gate).await.0);
    for early in [&first, &second] {
        assert_eq!(claim(&gate, early).await.status, StatusCode::CONFLICT);
    }
    let ended = visit(gate.site(), "/end", &inside).await;
    assert!(ended.status == StatusCode::OK && !ended.headers.contains_key("tornello-session"));
    let pass = admitted(&gate, &first).await;
    assert_eq!(claim(&gate, &first).await.cookie().unwrap().split('=').next(), pass.split('=').next());
    assert_ne!(claim(&gate, &second).await.status, StatusCode::OK, "one seat");
    assert_eq!(visit(gate.site(), "/", &inside).await.status, StatusCode::SERVICE_UNAVAILABLE, "it is over");
    assert_eq!(visit(gate.site(), "/end", &pass).await.status, StatusCode::OK);
    admitted(&gate, &second).await;
    assert_eq!(claim(&gate, &first).await.status, StatusCode::GONE, "used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_called_navigation_claims_by_itself_and_apps_use_headers() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 2, "")).await;
    let (one, two) = (
        visit(gate.site(), "/", "").await.cookie().unwrap(),
        visit(gate.site(), "/", "").await.cookie().unwrap(),
    );
    let browser = join(&gate, "").await.cookie().unwrap();
    let app = ticket(&gate).await.0;
    visit(gate.site(), "/end", &one).await;
    let got = until("the navigation is let in", || async {
        let got = visit(gate.site(), "/", &browser).await;
        (got.status == StatusCode::OK).then_some(got)
    })
    .await;
    assert!(got.cookie().unwrap().starts_with("tornello-pass-main="));
    visit(gate.site(), "/end", &two).await;
    let pass = admitted(&gate, &app).await;
    let token = pass.split_once('=').unwrap().1;
    let got = ask(gate.site(), Method::POST, "/", &[("tornello-pass", token)]).await;
    assert_eq!(got.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_signed_here_is_nothing() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let pass = visit(gate.site(), "/", "").await.cookie().unwrap();
    let (ticket, _) = ticket(&gate).await;
    let mut forged = ticket.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(claim(&gate, &forged).await.status, StatusCode::NOT_FOUND);
    let as_pass = format!("tornello-pass-main={ticket}");
    assert_eq!(visit(gate.site(), "/", &as_pass).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let other_room = pass.replace("-main", "-other");
    assert_eq!(visit(gate.site(), "/", &other_room).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_without_a_pass_is_not_sent_and_says_so() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    visit(gate.site(), "/", "").await;
    let before = origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst);
    let headers = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let got = try_ask(gate.site(), Method::POST, "/", &headers, Bytes::from_static(b"form")).await.unwrap();
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    let got = try_ask(gate.site(), Method::POST, "/", &[], Bytes::from_static(b"form")).await.unwrap();
    assert_eq!(got.json()["reason"], "not_sent");
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_is_the_same_for_all_and_follows_the_line() {
    let origin = origin().await;
    let gate =
        Gate::start(&room(&origin, 1, "message = { it = \"Si entra dalle 9.\", en = \"Doors open at 9.\" }"))
            .await;
    visit(gate.site(), "/", "").await;
    for _ in 0..5 {
        ticket(&gate).await;
    }
    let board = until("the board shows five", || async {
        let got = ask(gate.site(), Method::GET, &format!("{ROOM}/board"), &[]).await;
        (got.json()["board"]["issued"] == 5).then_some(got)
    })
    .await;
    assert_eq!(board.headers["cache-control"], "public, max-age=1");
    assert!(board.body.len() <= 512 && !board.headers.contains_key("set-cookie"));
    assert_eq!(board.json()["board"]["state"], "queueing");
    let messages = ask(gate.site(), Method::GET, &format!("{ROOM}/messages"), &[]).await.json();
    assert_eq!(messages["id"], board.json()["board"]["message"]);
    assert_eq!(messages["text"]["it"], "Si entra dalle 9.");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_button_a_place_page_and_a_way_in() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let site = gate.site().to_string();
    let referer = format!("http://{site}/apply?x=1");
    let form = [
        ("accept", "text/html,*/*;q=0.8"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("referer", &referer),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let joined =
        try_ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &form, Bytes::from_static(b"lang=en"))
            .await
            .unwrap();
    assert_eq!(joined.status, StatusCode::SEE_OTHER);
    let place = joined.headers["location"].to_str().unwrap().to_owned();
    assert!(place.starts_with("/.tornello/rooms/main/place?return=") && place.contains("apply"), "{place}");
    let cookie = joined.cookie().unwrap();
    let page = visit(gate.site(), &place, &cookie).await;
    assert!(page.status == StatusCode::OK && page.headers["cache-control"] == "no-store", "{page:?}");
    visit(gate.site(), "/end", &inside).await;
    let mut with_cookie = form.to_vec();
    with_cookie.push(("cookie", &cookie));
    let body = Bytes::from_static(b"return=%2Fapply%3Fx%3D1");
    let entered = until("the button lets in", || async {
        let got = try_ask(gate.site(), Method::POST, &format!("{ROOM}/claims"), &with_cookie, body.clone())
            .await
            .unwrap();
        (got.headers["location"] == "/apply?x=1").then_some(got)
    })
    .await;
    assert!(entered.cookie().unwrap().starts_with("tornello-pass-main="));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_can_neither_join_nor_claim() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    for foreign in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")]
    {
        let got = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[foreign]).await;
        assert!(got.status.is_client_error() && !got.headers.contains_key("set-cookie"), "{foreign:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_called_than_units_remain() {
    let origin = origin().await;
    let gate = Gate::start(&room(&origin, 3, "")).await;
    let pass = visit(gate.site(), "/", "").await.cookie().unwrap();
    visit(gate.site(), "/left/1", &pass).await;
    let first = ticket(&gate).await.0;
    assert_eq!(claim(&gate, &first).await.status, StatusCode::CONFLICT);
    let board = until("the board says what remains", || async {
        let board = ask(gate.site(), Method::GET, &format!("{ROOM}/board"), &[]).await.json();
        (board["board"]["remaining"] == 1).then_some(board)
    })
    .await;
    assert_eq!(board["board"]["cursor"], 0, "the one unit is for the one inside");
    visit(gate.site(), "/left/9", &pass).await;
    admitted(&gate, &first).await;
}
