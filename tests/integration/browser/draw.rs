//! A draw as whoever takes part in it sees it: the countdown, a place in the draw, the draw itself, the number
//! that it gives, the call, the service; with JavaScript and without.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tornello::proof::draw::reveal::commitment;
use tornello::proof::hex;

use super::day::{Day, Person, SERVICE, until};
use super::driver::Browser;
use super::{ENGLISH, NO_SCRIPT, Sight, WISH};
use crate::opening::ahead;

/// As api.drand.sh gave it.
const ROUND_1000: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
const SECRETS: [(&str, [u8; 32]); 2] = [("office", [1; 32]), ("notary", [2; 32])];

/// A room for one that opens so soon, for some time before which there are places in a draw.
fn room(opens: Duration, prequeue: &str) -> String {
    let party = |(name, secret): (&str, [u8; 32])| {
        let (promise, outside) = (hex(&commitment("sala", name, &secret)), name == "notary");
        format!("{{ name = \"{name}\", outside = {outside}, commitment = \"{promise}\" }}")
    };
    let parties = SECRETS.map(party).join(", ");
    format!(
        "title = \"Bonus Mobilità\"\nseats = {{ floor = 1, ceiling = 1 }}\n\
         poll = {{ min = \"200ms\", max = \"1s\", divisor = 1000 }}\n\
         opens_at = \"{}\"\nprequeue = \"{prequeue}\"\ndraw = \"parties\"\nparties = [{parties}]",
        ahead(opens)
    )
}

/// The opening is far.
fn far() -> String {
    room(Duration::from_secs(2_990), "1s")
}

/// The opening is near, and there are places now.
async fn comes_near(day: &Day) -> String {
    let near = room(Duration::from_secs(15), "1h");
    day.reload(&near).await;
    until("there are places", async || (day.board().await["state"] == "prequeue").then_some(())).await;
    near
}

/// The parties tell their secrets: everybody has a number.
async fn is_drawn(day: &Day) {
    let told = SECRETS.map(|(name, secret)| json!({ "name": name, "secret": hex(&secret) }));
    let reply = day.orders("/rooms/sala/draw", &json!({ "reveals": told }).to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
}

/// Others take part.
async fn others(day: &Day, count: usize) -> Vec<Person> {
    let mut others = Vec::new();
    for _ in 0..count {
        others.push(Person::joins(day).await);
    }
    others
}

/// They go in and out again when they are called, until whoever is watched is where the test wants it.
async fn go_in(others: Vec<Person>, watched: impl Future<Output = ()>) {
    let mut line = BTreeMap::new();
    for person in others {
        line.insert(person.number().await, person);
    }
    let going = async {
        for mut person in line.into_values() {
            person.comes_in().await;
            person.goes().await;
        }
        pending::<()>().await;
    };
    tokio::select! {
        () = watched => {}
        () = going => {}
    }
}

/// The numbers that were drawn, as everybody can read them.
async fn drawn(day: &Day) -> Vec<u64> {
    let path = "/.tornello/v1/rooms/sala/draw/tickets/0";
    let lines = until("the numbers", async || {
        let reply = day.send(Method::GET, path, &[]).await;
        (reply.status == StatusCode::OK).then(|| reply.text())
    });
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64().unwrap();
    lines.await.lines().map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draw_is_counted_down_to_held_and_leads_in() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let shown = async |css: &str| browser.text(css).await;
    let day = Day::begin(&far()).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    let heading = async |words: &str| {
        browser.sees(words, |page| page.heading == words).await;
    };
    let counted = async |words: &str| {
        // A page may begin with a board that the browser has kept for a second.
        until(words, async || shown("[data-f=countdown]").await.starts_with(words).then_some(())).await;
    };
    heading("The service is not open yet").await;
    counted("Opens in 49:").await;
    let room = comes_near(&day).await;
    browser.refresh().await.unwrap();
    heading("You have a place in the draw").await;
    assert!(shown("[data-f=lead]").await.contains("coming earlier gives no advantage"));
    counted("Opens in 0:").await;
    let others = others(&day, 3).await;
    browser.refresh().await.unwrap();
    heading("You have a place in the draw").await;
    until("the draw", async || {
        shown("[data-f=lead]").await.contains("is now being drawn by lot").then_some(())
    })
    .await;
    assert_eq!(shown("[data-f=countdown]").await, "", "there is nothing to count down to");
    assert_eq!(shown("h1").await, "You have a place in the draw");
    let said = "return document.querySelector('[data-f=say]').textContent";
    assert!(browser.run(said).await.as_str().unwrap().contains("is now being drawn by lot"));

    day.reload(&format!("hold = true\n{room}")).await;
    is_drawn(&day).await;
    let held = |page: &Sight| {
        let note = page.note.as_deref().unwrap_or_default();
        note.starts_with("The people who run this service have stopped the queue")
    };
    let place = browser.sees("the number, and the halt", held).await;
    assert_eq!(place.heading, "You are in the queue");
    let mut numbers = drawn(&day).await;
    let number: u64 = place.number.unwrap().parse().unwrap();
    assert_eq!(place.ahead.unwrap(), (number - 1).to_string());
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4], "who looks twice takes part once");
    let told = browser.run(said).await;
    assert!(told.as_str().unwrap().starts_with(&format!("Your number is {number}.")), "{told}");

    day.reload(&room).await;
    go_in(others, heading(SERVICE)).await;
    assert_eq!(browser.current_url().await.unwrap().as_str(), day.url(WISH));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Nothing ran when those who came should have been committed to: the beacon that decides was known before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draw_that_is_void_says_so_keeps_all_places_and_is_held_again() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let shown = async |css: &str| browser.text(css).await;
    let room = format!(
        "title = \"Bonus Mobilità\"\nseats = {{ floor = 1, ceiling = 1 }}\npoll = {{ min = \"200ms\", max = \"1s\" }}\n\
         opens_at = \"{}\"\nprequeue = \"1h\"\ndraw = \"drand\"",
        ahead(Duration::from_secs(60))
    );
    let day = Day::begin(&room).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    browser.sees("a place", |page| page.heading == "You have a place in the draw").await;
    let _others = others(&day, 3).await;

    let day = day.sleeps(&room, Duration::from_secs(100)).await;
    let board = until("another draw", async || {
        let board = day.board().await;
        (board["redraw_ms"].is_u64() && board["draw"].is_string()).then_some(board)
    })
    .await;
    assert_eq!((&board["state"], &board["reason"]), (&"held".into(), &"draw".into()), "{board}");
    assert_eq!(board["issued"], 4, "everybody who had a place is drawn: {board}");
    browser.goto(&day.url(WISH)).await.unwrap();
    until("that it is void", async || {
        let lead = shown("[data-f=lead]").await;
        let said =
            lead.starts_with("The first draw does not count") && lead.ends_with("You keep your place.");
        (said && lead.contains("it is decided after")).then_some(())
    })
    .await;
    assert_eq!(shown("h1").await, "You have a place in the draw");
    let said = browser.run("return document.querySelector('[data-f=say]').textContent").await;
    assert!(said.as_str().unwrap().starts_with("The first draw does not count"), "{said}");

    // Rules, that it is void, and a commitment to a round that comes out ten minutes later at least.
    let statements = day.send(Method::GET, "/.tornello/v1/rooms/sala/draw", &[]).await.text();
    let lines: Vec<Value> = statements.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [_, void, commitment] = &lines[..] else { panic!("{statements}") };
    let (void, commitment) = (&void["void"], &commitment["commitment"]);
    assert_eq!(
        (&void["next_round"], &commitment["count"]),
        (&commitment["round"], &4.into()),
        "{statements}"
    );
    let [said_ms, decided_ms] = [&void["signed_at_ms"], &board["redraw_ms"]].map(|ms| ms.as_u64().unwrap());
    assert!((600_000..604_000).contains(&(decided_ms - said_ms)), "{said_ms} {decided_ms}");
    // The round that would have counted decides nothing any more, nor does any that is known.
    for round in [&void["round"], &1_000.into()] {
        let told = json!({ "drand": { "round": round, "signature": ROUND_1000 } }).to_string();
        let refused = day.orders("/rooms/sala/draw", &told).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    }
    assert_eq!(day.navigate(WISH, &[]).await.status, StatusCode::SERVICE_UNAVAILABLE, "nobody passes");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draw_leads_in_without_javascript_as_well() {
    let Some(browser) = Browser::open(NO_SCRIPT).await else { return };
    let shown = async |css: &str| browser.text(css).await;
    let day = Day::begin(&far()).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    browser.click("form button").await;
    until("not open yet", async || (shown("h1").await == "Il servizio non è ancora aperto").then_some(()))
        .await;
    let room = comes_near(&day).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    browser.click("form button").await;
    until("a place in the draw", async || (shown("h1").await == "Hai un posto nel sorteggio").then_some(()))
        .await;
    assert!(shown(".lead").await.contains("essere arrivati prima non dà vantaggi"));
    assert_eq!(shown(".count").await, "Apre fra 1 min");
    let others = others(&day, 2).await;
    let look = async |what: &str, css: &str, words: &str| {
        until(what, async || {
            if shown(css).await.contains(words) {
                return Some(());
            }
            browser.press("a.button").await;
            None
        })
        .await;
    };
    look("the draw", ".lead", "ora si sorteggia l'ordine").await;
    assert_eq!(shown(".count").await, "", "there is nothing to count down to");
    day.reload(&format!("hold = true\n{room}")).await;
    is_drawn(&day).await;
    look("the halt", ".note", "Chi gestisce il servizio ha fermato la coda").await;
    assert_eq!(shown("h1").await, "Sei in coda");
    let number: u64 = shown("dl div:last-child dd").await.parse().unwrap();
    assert!(drawn(&day).await.contains(&number), "{number}");
    assert_eq!(shown(".ahead dd").await, (number - 1).to_string());

    day.reload(&room).await;
    go_in(others, async {
        look("the call", "form.act button", "Entra nel servizio").await;
        until("the service", async || {
            let inside = shown("h1").await == SERVICE;
            if !inside {
                browser.press("form.act button").await;
            }
            inside.then_some(())
        })
        .await;
    })
    .await;
    assert_eq!(browser.current_url().await.unwrap().as_str(), day.url(WISH));
}
