//! What a citizen sees: a real Chromium before the real gateway, from the first look to the service.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what cannot be")]

#[path = "browser/called.rs"]
mod called;
#[path = "browser/day.rs"]
mod day;
#[path = "browser/draw.rs"]
mod draw;
#[path = "browser/driver.rs"]
mod driver;
#[path = "browser/firefox.rs"]
mod firefox;
#[path = "browser/handoff.rs"]
mod handoff;
#[path = "browser/invited.rs"]
mod invited;
#[path = "browser/matrix.rs"]
mod matrix;
#[path = "browser/media.rs"]
mod media;
#[path = "browser/moved.rs"]
mod moved;
#[path = "browser/nocookies.rs"]
mod nocookies;
#[path = "browser/payloads.rs"]
mod payloads;
#[path = "browser/sheets.rs"]
mod sheets;
#[path = "browser/socket.rs"]
mod socket;
#[path = "browser/window.rs"]
mod window;

use std::collections::VecDeque;
use std::path::Path;

use day::{Day, Person, SERVICE, until};
use driver::{Browser, Habits};
use fantoccini::Locator;
use serde::Deserialize;

const ENGLISH: Habits = Habits { language: "en", javascript: true, cookies: true };
const NO_SCRIPT: Habits = Habits { language: "it", javascript: false, cookies: true };
/// A room for one, whose pages look five times a second however long the line is.
const ONE_SEAT: &str = r#"
title = "Bonus Mobilità"
seats = { floor = 1, ceiling = 1 }
poll = { min = "200ms", divisor = 1000 }
"#;
/// An address of the service to which people must come back as it is.
const WISH: &str = "/domanda?modulo=1&anno=2026";
/// Bytes that a server may send before it hears from the client again: ten segments.
const FIRST_FLIGHT: u64 = 14_000;

/// The room is taken, and so many wait.
async fn crowded(day: &Day, waiting: usize) -> (Person, VecDeque<Person>) {
    let inside = Person::walks_in(day).await;
    let mut line = VecDeque::new();
    for _ in 0..waiting {
        line.push_back(Person::joins(day).await);
    }
    (inside, line)
}

/// The waiting page as its reader sees it; nothing where nothing is shown.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Sight {
    title: String,
    heading: String,
    ahead: Option<String>,
    number: Option<String>,
    note: Option<String>,
    message: Option<String>,
}

/// Reads all of it in one moment. The service's page has no pane, and its heading is its own.
const LOOK: &str = r#"
const pane = document.querySelector(".pane") || document.body;
const shown = css => {
  const found = pane.querySelector(css);
  return found && found.checkVisibility() && found.textContent.trim() || null;
};
return {
  title: document.title, heading: shown("h1") || "", ahead: shown("[data-f=ahead]"),
  number: shown("[data-f=number]"), note: shown("[data-f=note]"), message: shown("[data-f=message] p"),
};
"#;

impl Browser {
    async fn sight(&self) -> Sight {
        // While one page gives way to another there is none to look at.
        let seen = self.execute(LOOK, Vec::new()).await;
        seen.map_or_else(|_| Sight::default(), |seen| serde_json::from_value(seen).unwrap())
    }

    async fn sees(&self, what: &str, condition: impl Fn(&Sight) -> bool) -> Sight {
        until(what, async || Some(self.sight().await).filter(&condition)).await
    }
}

fn count(shown: Option<&String>) -> Option<u64> {
    shown.map(|text| text.replace(',', "").parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_place_counts_down_and_lets_in() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let (mut inside, mut line) = crowded(&day, 60).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    let place = browser.sees("its place", |page| page.ahead.is_some()).await;
    assert_eq!((place.ahead.as_deref(), place.number.as_deref()), (Some("60"), Some("61")));
    assert_eq!(place.heading, "You are in the queue");
    assert_eq!(place.title, "60 ahead of you · Bonus Mobilità");
    let sizes = browser.run("return performance.getEntriesByType('navigation')[0].toJSON()").await;
    assert!(sizes["encodedBodySize"].as_u64().unwrap() <= FIRST_FLIGHT, "{sizes}");
    assert!(sizes["decodedBodySize"].as_u64() > sizes["encodedBodySize"].as_u64(), "{sizes}");

    let mut shown = vec![60];
    let mut look = async |what: &str, enough: &dyn Fn(&Sight, u64) -> bool| {
        until(what, async || {
            let page = browser.sight().await;
            shown.extend(count(page.ahead.as_ref()));
            enough(&page, *shown.last().unwrap()).then_some(())
        })
        .await;
    };
    // Calls go ahead of the seats: what is shown may be far below those who are not in yet.
    for goal in [50, 15] {
        while line.len() as u64 > goal {
            let mut next = line.pop_front().unwrap();
            inside.goes().await;
            next.comes_in().await;
            inside = next;
        }
        look("fewer people ahead", &|_, ahead| ahead <= goal).await;
    }
    let others = async {
        for mut next in line {
            inside.goes().await;
            next.comes_in().await;
            inside = next;
        }
        inside.goes().await;
    };
    tokio::join!(others, look("the service", &|page, _| page.heading == SERVICE));
    assert!(shown.is_sorted_by(|before, after| before >= after), "a place rose: {shown:?}");
    shown.dedup();
    assert!(shown.len() >= 3, "{shown:?}");
    assert_eq!(browser.current_url().await.unwrap().as_str(), day.url(WISH));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_closes_the_tab_and_comes_back_has_the_same_number() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let (_inside, _line) = crowded(&day, 3).await;
    browser.goto(&day.url("/")).await.unwrap();
    let before = browser.sees("its place", |page| page.number.is_some()).await;
    let _later = Person::joins(&day).await;

    // Another window has none of what the first one stored for itself: only cookies are left.
    let other = browser.new_window(true).await.unwrap();
    browser.close_window().await.unwrap();
    browser.switch_to_window(other.handle).await.unwrap();
    browser.goto(&day.url("/")).await.unwrap();
    let after = browser.sees("its place again", |page| page.number.is_some()).await;
    assert_eq!((after.number.as_deref(), &after.ahead), (Some("4"), &before.ahead));
    assert_eq!(day.board().await["issued"], 5, "coming back took another number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_javascript_a_button_a_link_and_a_button_lead_in() {
    let Some(browser) = Browser::open(NO_SCRIPT).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let (mut inside, line) = crowded(&day, 2).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    assert_eq!(browser.text("h1").await, "C'è una coda");
    browser.click("nav a[hreflang=en]").await;
    until("English by a link", async || (browser.text("h1").await == "There is a queue").then_some(())).await;
    browser.click("nav a[hreflang=it]").await;
    until("Italian again", async || (browser.text("h1").await == "C'è una coda").then_some(())).await;
    assert_eq!(day.board().await["issued"], 2, "looking took a number");
    browser.click("form button").await;

    until("the place", async || (browser.text(".ahead dd").await == "2").then_some(())).await;
    assert_eq!(browser.current_url().await.unwrap().path(), "/.tornello/rooms/sala/place");
    assert_eq!(browser.text("dl div:last-child dd").await, "3");
    for mut next in line {
        inside.goes().await;
        next.comes_in().await;
        inside = next;
    }
    inside.goes().await;
    let called = async || {
        let called = browser.text("form.act button").await == "Entra nel servizio";
        if !called {
            browser.press("a.button").await;
        }
        called.then_some(())
    };
    until("the button that leads in", called).await;
    let entered = async || {
        let entered = browser.text("h1").await == SERVICE;
        if !entered {
            browser.press("form.act button").await;
        }
        entered.then_some(())
    };
    until("the service", entered).await;
    assert_eq!(browser.current_url().await.unwrap().as_str(), day.url(WISH));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_language_is_switched_in_place_and_stays() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let (_inside, _line) = crowded(&day, 1).await;
    browser.goto(&day.url(WISH)).await.unwrap();
    browser.sees("English", |page| page.heading == "You are in the queue").await;
    browser.click(".pane nav a[hreflang=it]").await;
    let italian = browser.sees("Italian", |page| page.heading == "Sei in coda").await;
    assert_eq!(italian.number.as_deref(), Some("2"));
    assert_eq!(italian.title, "1 prima di te · Bonus Mobilità");
    assert_eq!(browser.run("return document.documentElement.lang").await, "it");
    assert_eq!(browser.current_url().await.unwrap().as_str(), day.url(WISH), "the address is the service's");
    browser.refresh().await.unwrap();
    browser.sees("Italian after a reload", |page| page.heading == "Sei in coda").await;
    browser.click(".pane nav a[hreflang=en]").await;
    browser.sees("English again", |page| page.heading == "You are in the queue").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());

    // The console does tell when the policy is broken; else its silence would prove nothing.
    let foreign =
        "document.head.append(Object.assign(document.createElement('script'), { text: 'ran = 1' }));
        return typeof ran";
    assert_eq!(browser.run(foreign).await, "undefined", "a foreign script ran");
    let complaints = browser.complaints().await;
    assert!(complaints.iter().any(|line| line.contains("Content Security Policy")), "{complaints:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_and_a_message_reach_those_who_wait() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let (inside, mut line) = crowded(&day, 2).await;
    browser.goto(&day.url("/")).await.unwrap();
    let place = browser.sees("its place", |page| page.ahead.as_deref() == Some("2")).await;
    assert_eq!((place.note, place.message), (None, None));

    let message = r#"message = { it = "Riapriamo alle 10:30.", en = "We open again at <10:30>." }"#;
    day.reload(&format!("{message}\nhold = true\n{ONE_SEAT}")).await;
    let held = browser.sees("the halt and the message", |page| page.note.is_some() && page.message.is_some());
    let held = held.await;
    assert!(held.note.unwrap().starts_with("The people who run this service have stopped the queue"));
    assert_eq!(held.message.as_deref(), Some("We open again at <10:30>."));
    assert_eq!((held.ahead.as_deref(), held.number.as_deref()), (Some("2"), Some("3")));
    browser.click(".pane nav a[hreflang=it]").await;
    let stopped = "Chi gestisce il servizio ha fermato la coda";
    let told = |page: &Sight| page.note.as_ref().is_some_and(|note| note.starts_with(stopped));
    let italian = browser.sees("the halt in Italian", told).await;
    assert_eq!(italian.message.as_deref(), Some("Riapriamo alle 10:30."));
    inside.goes().await;

    // It stands ready: who is called and does not come at once may be overtaken by who is called next.
    tokio::join!(day.reload(ONE_SEAT), line[0].comes_in());
    // Calls go ahead of the seats: it may be next, and then there is no count.
    let moved = |page: &Sight| page.note.is_none() && page.ahead.as_deref() != Some("2");
    let moving = browser.sees("the line moves", moved).await;
    assert_eq!((moving.note, moving.message), (None, None));
}

#[tokio::test]
async fn the_waiting_page_is_one_flight_on_the_wire() {
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    let zipped = day.navigate("/", &[("accept-encoding", "gzip, deflate, br, zstd")]).await;
    assert_eq!(
        (zipped.status.as_u16(), &zipped.headers["content-encoding"]),
        (503, &"gzip".parse().unwrap())
    );
    assert!(zipped.headers["vary"].to_str().unwrap().contains("Accept-Encoding"));
    assert!(zipped.body.len() as u64 <= FIRST_FLIGHT, "{} bytes", zipped.body.len());
    let again = day.navigate("/", &[("accept-encoding", "gzip"), ("cookie", "a=b")]).await;
    assert_eq!(again.body, zipped.body, "not the same for everybody");
    let plain = day.navigate("/", &[("accept-encoding", "br")]).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    assert!(plain.headers["vary"].to_str().unwrap().contains("Accept-Encoding"));
    assert!(plain.text().starts_with("<!doctype html>") && plain.body.len() > zipped.body.len());
}

#[tokio::test]
async fn whoever_sends_a_form_is_answered_with_a_page() {
    let day = Day::begin(ONE_SEAT).await;
    let form = "return=%2Fdomanda%3Fmodulo%3D1&lang=it";
    // The ticket is gone, with the cookies.
    let reply = day.submit("/.tornello/v1/rooms/sala/claims", form).await;
    assert_eq!(reply.status, 303);
    let place = reply.headers["location"].to_str().unwrap();
    assert_eq!(place, "/.tornello/rooms/sala/place?return=%2Fdomanda%3Fmodulo%3D1&lang=it");
    let page = day.navigate(place, &[]).await.text();
    assert!(page.contains("Non troviamo il tuo posto") && page.contains("sala&#x2f;tickets"), "{page}");
    let reply = day.submit("/.tornello/v1/rooms/altra/tickets", form).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.headers["content-type"]),
        (404, &"text/html; charset=utf-8".parse().unwrap())
    );
    let long = format!("{form}&x={}", "x".repeat(5000));
    let reply = day.submit("/.tornello/v1/rooms/sala/tickets", &long).await;
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("I dati inviati sono troppo grandi"), "{}", reply.text());
}

#[tokio::test]
async fn status_and_rules_say_what_is_in_force() {
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    let _waits = Person::joins(&day).await;
    let page = day.navigate("/.tornello/status", &[]).await;
    assert_eq!(page.headers["content-language"], "it");
    for words in ["Il servizio risponde.", "Bonus Mobilità", "C&#x27;è una coda. 1 persona è in coda."] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    let told = day.navigate("/.tornello/v1/status", &[]).await.json();
    assert_eq!((&told["service"], &told["rooms"][0]["waiting"]), (&"up".into(), &1.into()), "{told}");
    assert_eq!(day.submit("/.tornello/status", "").await.status, 405);

    let rules =
        async |tag: &str| day.navigate(&format!("/.tornello/rooms/sala/rules?lang={tag}"), &[]).await.text();
    assert!(rules("de").await.contains("Ein Aufruf gilt 10 Min."), "{}", rules("de").await);
    day.reload(&format!("call = \"90s\"\n{ONE_SEAT}")).await;
    assert!(rules("de").await.contains("Ein Aufruf gilt 1 Min. 30 Sek."));
    assert!(rules("sl").await.contains("Klic velja 1 min 30 s."));
    let told = day.navigate("/.tornello/v1/rooms/sala/rules", &[]).await.json();
    assert_eq!((&told["call_ms"], &told["seats"]["ceiling"]), (&90_000.into(), &1.into()), "{told}");

    day.closes();
    until("the status knows of the dead service", async || {
        let page = day.navigate("/.tornello/status", &[("cookie", "tornello-language=fr")]).await.text();
        page.contains("Le service ne répond pas en ce moment.").then_some(())
    })
    .await;
    assert_eq!(day.navigate("/.tornello/v1/status", &[]).await.json()["service"], "down");
}

#[tokio::test]
async fn apps_of_named_origins_speak_the_protocol_and_no_others() {
    const APP: &str = "https://app.example.org";
    let day = Day::begin(&format!("{ONE_SEAT}\n[edge]\ncors_origins = [\"{APP}\"]\n")).await;
    let _inside = Person::walks_in(&day).await;
    let tickets = "/.tornello/v1/rooms/sala/tickets";
    let from = |origin| [("origin", origin), ("sec-fetch-site", "cross-site"), ("accept", "*/*")];
    let asks = [&from(APP)[..], &[("access-control-request-method", "POST")]].concat();
    let allowed = day.send(http::Method::OPTIONS, tickets, &asks).await;
    assert_eq!(
        (allowed.status.as_u16(), &allowed.headers["access-control-allow-origin"]),
        (204, &APP.parse().unwrap())
    );
    assert!(allowed.headers["access-control-allow-headers"].to_str().unwrap().contains("tornello-ticket"));
    let joined = day.send(http::Method::POST, tickets, &from(APP)).await;
    assert_eq!(
        (joined.status.as_u16(), &joined.headers["access-control-allow-origin"]),
        (201, &APP.parse().unwrap())
    );
    assert!(!joined.headers.contains_key("access-control-allow-credentials"));
    let ticket = joined.json()["ticket"].as_str().unwrap().to_owned();
    let again = [&from(APP)[..], &[("tornello-ticket", ticket.as_str())]].concat();
    let again = day.send(http::Method::POST, tickets, &again).await;
    assert_eq!(
        (again.status.as_u16(), &again.json()["number"]),
        (200, &joined.json()["number"]),
        "idempotent"
    );

    for other in ["https://other.example.org", "http://app.example.org", "null"] {
        let refused = day.send(http::Method::POST, tickets, &from(other)).await;
        assert_eq!(refused.status, 400, "{other}");
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{other}");
        let board = day.send(http::Method::GET, "/.tornello/v1/rooms/sala/board", &from(other)).await;
        assert_eq!(board.headers["access-control-allow-origin"], "*");
    }
    // A script inside a page whose pass has run out is told so in JSON.
    for fields in
        [&[("sec-fetch-dest", "empty"), ("accept", "*/*")][..], &[("x-requested-with", "XMLHttpRequest")]]
    {
        for method in [http::Method::GET, http::Method::POST] {
            let told = day.send(method.clone(), "/api/data", fields).await;
            assert_eq!(
                (told.status.as_u16(), &told.headers["content-type"]),
                (503, &"application/problem+json".parse().unwrap())
            );
            assert_eq!(told.json()["join"], tickets);
        }
    }
}

/// The picture in the README, at the path in `TORNELLO_SCREENSHOT`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and writes a picture"]
async fn screenshot() {
    const SEATS: usize = 20;
    let path = std::env::var_os("TORNELLO_SCREENSHOT");
    let path = path.unwrap_or_else(|| "benches/img/waiting-page.png".into());
    let room = r#"
title = "Bonus Mobilità 2026"
seats = { floor = 20, ceiling = 20 }
message = { en = "There is enough for every application that arrives by 18:00 on Friday." }
poll = { min = "1s" }
"#;
    let british = Habits { language: "en-GB,en", javascript: true, cookies: true };
    let browser = Browser::open(british).await.expect("a picture needs a browser");
    browser.view(1000, 760, 1.25).await;
    let day = Day::begin(room).await;
    let mut inside = VecDeque::new();
    for _ in 0..SEATS {
        inside.push_back(Person::walks_in(&day).await);
    }
    let mut line = VecDeque::new();
    for _ in 0..640 {
        line.push_back(Person::joins(&day).await);
    }
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("a place", |page| page.ahead.as_deref() == Some("640")).await;
    browser.goto("about:blank").await.unwrap();
    // A steady pace, which is known after a while: were the first to go through at once, all others would be called
    // at that pace, and nobody would wait.
    let mut one_goes_in = async || {
        inside.pop_front().unwrap().goes().await;
        let mut next = line.pop_front().expect("the line ends before a wait is told");
        next.comes_in().await;
        inside.push_back(next);
    };
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(400));
    let going_on = async {
        loop {
            pace.tick().await;
            one_goes_in().await;
        }
    };
    let picture = async {
        loop {
            let board = day.board().await;
            println!("{} a second, spread {}, {}", board["rate"], board["spread"], board["state"]);
            if board["spread"].is_number() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        }
        browser.goto(&day.url("/")).await.unwrap();
        until("an estimate", async || {
            let wait = browser.text(".pane [data-f=wait]").await;
            let is_told = wait.contains("minutes");
            if !is_told {
                println!("the page says {wait:?}, the board {}", day.board().await);
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            is_told.then_some(())
        })
        .await;
        let heading = browser.find(Locator::Css(".pane h1")).await.unwrap();
        assert_eq!(heading.text().await.unwrap(), "You are in the queue");
        browser.screenshot().await.unwrap()
    };
    let picture = tokio::select! {
        picture = picture => picture,
        () = going_on => unreachable!("it goes on"),
    };
    assert!(picture.len() < 120_000, "{} bytes", picture.len());
    let path = Path::new(&path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, picture).unwrap();
}
