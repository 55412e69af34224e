//! Called: the page asks, says how long the call stands, and gives more time, by keyboard alone.

use std::time::Duration;

use serde_json::json;

use super::day::{Day, Person, SERVICE, WARNS, until};
use super::driver::Browser;
use super::{ENGLISH, ONE_SEAT};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
/// A warning leaves at least this (WCAG 2.2.1).
const TO_ACT_MS: u64 = 20_000;
/// What a look leads the page to say is there a tenth of a second later.
const SAID: Duration = Duration::from_millis(300);

/// What the server says of the call of this browser's ticket.
const CALL: &str = r#"
const done = arguments[arguments.length - 1];
fetch("/.tornello/v1/rooms/sala/ticket").then(answer => answer.json()).then(place => done(place.call), () => done(null));
"#;

/// How often the page of the service has looked how long the visit may last.
const LOOKS: &str = r#"
return performance.getEntriesByType("resource").filter(entry => entry.name.endsWith("/visit") && entry.responseEnd).length;
"#;

/// What the server says of the visit of this browser's pass.
const VISIT: &str = r#"
const done = arguments[arguments.length - 1];
fetch("/.tornello/v1/rooms/sala/visit").then(answer => answer.json()).then(it => done(it.visit), () => done(null));
"#;

impl Browser {
    /// Moves on with the keyboard until what `css` finds has the focus.
    async fn tabs_to(&self, css: &str) {
        until(css, async || {
            let here =
                "const it = document.activeElement; return it.matches(arguments[0]) && it.checkVisibility()";
            if self.execute(here, vec![json!(css)]).await.ok()? == json!(true) {
                return Some(());
            }
            self.types(TAB).await;
            None
        })
        .await;
    }

    async fn types(&self, keys: &str) {
        self.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    async fn looks(&self) -> u64 {
        self.run(LOOKS).await.as_u64().unwrap()
    }

    /// Somebody comes back to the page of the service, and it has looked.
    async fn looks_again(&self) {
        let before = self.looks().await;
        self.run("document.dispatchEvent(new Event('visibilitychange'))").await;
        until("another look", async || (self.looks().await > before).then_some(())).await;
        tokio::time::sleep(SAID).await;
    }

    /// How long the call stands, in ms, and how often it can be extended.
    async fn call(&self) -> Option<(u64, u64)> {
        let call = self.execute_async(CALL, Vec::new()).await.ok()?;
        Some((call["ends_in_ms"].as_u64()?, call["extensions"].as_u64()?))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_warns_in_time_and_is_extended_ten_times_by_keyboard() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(&format!("page_asks = true\ncall = \"70s\"\n{ONE_SEAT}")).await;
    let inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("its place", |page| page.number.is_some()).await;
    inside.goes().await;
    until("the call is said", async || {
        (browser.text("[role=alert]").await == "Go in when you are ready.").then_some(())
    })
    .await;
    until("the title", async || browser.title().await.ok()?.starts_with("It is your turn").then_some(()))
        .await;

    for left in (0..10).rev() {
        browser.tabs_to("[data-do=extend]").await;
        browser.types(ENTER).await;
        until("the call is longer", async || (browser.call().await?.1 == left).then_some(())).await;
        if left == 5 {
            until("a minute and some seconds", async || {
                browser.text("[data-f=call]").await.contains("about 1 more minute").then_some(())
            })
            .await;
            until("the warning", async || {
                browser.text("[data-f=call]").await.contains("ends in less than a minute").then_some(())
            })
            .await;
            let (ends_in_ms, _) = browser.call().await.unwrap();
            assert!((TO_ACT_MS..=60_000).contains(&ends_in_ms), "{ends_in_ms} ms");
            let said = "return document.querySelector('.pane [role=status]').textContent";
            assert!(
                browser.run(said).await.as_str().unwrap().contains("ask for it now"),
                "not said politely"
            );
        }
    }
    until("no more than ten times", async || browser.text("[data-do=extend]").await.is_empty().then_some(()))
        .await;
    until("the focus is not lost", async || {
        (browser.run("return document.activeElement.tagName").await == "H1").then_some(())
    })
    .await;
    assert_eq!(day.board().await["issued"], 1, "asking for time took a number");
    browser.tabs_to("[data-do=enter]").await;
    browser.types(ENTER).await;
    browser.sees("the service", |page| page.heading == SERVICE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_nobody_looks_at_takes_no_seat() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("its place", |page| page.number.is_some()).await;
    let waiting = browser.window().await.unwrap();
    let hide = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => arguments[0] });
        document.dispatchEvent(new Event('visibilitychange'))";
    let hide = hide.replace("arguments[0]", "window.away");
    browser.run(&format!("window.away = true; {hide}")).await;
    inside.goes().await;
    until("it is called, and told how long", async || {
        browser.text("[data-f=call]").await.contains("Your turn stands for about").then_some(())
    })
    .await;
    assert!(browser.call().await.is_some(), "it claimed while nobody looked");
    browser.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))").await;
    browser.sees("the service", |page| page.heading == SERVICE).await;
    assert_eq!(browser.window().await.unwrap(), waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_that_does_not_come_is_said() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("its place", |page| page.number.is_some()).await;
    let broken = "window.real = window.fetch;
        window.fetch = (what, how) => String(what).includes('/queue?') ? Promise.reject(new TypeError('gone')) : window.real(what, how)";
    browser.run(broken).await;
    browser.click(".pane nav a[hreflang=it]").await;
    let told = "The page could not be fetched in that language. You keep your place: try again in a moment.";
    until("the failure is said", async || (browser.text("[data-f=trouble]").await == told).then_some(()))
        .await;
    browser.run("window.fetch = window.real").await;
    browser.click(".pane nav a[hreflang=it]").await;
    browser.sees("Italian", |page| page.heading == "Sei in coda").await;
    assert_eq!(browser.text("[data-f=trouble]").await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_the_service_warn_before_a_visit_ends_and_get_more_time() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    // Idle for less than two minutes: it warns in the middle of the time, not from the start.
    let day = Day::begin(&format!("session = \"50s\"\nidle = \"50s\"\n{ONE_SEAT}")).await;
    browser.goto(&day.url(WARNS)).await.unwrap();
    let notice = "[data-tornello=visit]";
    until("the first look", async || (browser.looks().await > 0).then_some(())).await;
    tokio::time::sleep(SAID).await;
    assert_eq!(browser.text(notice).await, "", "nothing to say yet");
    let warned = async || {
        until("the warning, in the language of the page", async || {
            let text = browser.text(&format!("{notice} [role=alert]")).await;
            text.starts_with("La tua visita sta per finire").then_some(())
        })
        .await;
        let visit = browser.execute_async(VISIT, Vec::new()).await.unwrap();
        assert!(visit["ends_in_ms"].as_u64().unwrap() >= TO_ACT_MS, "{visit}");
        visit["extensions"].as_u64().unwrap()
    };
    assert_eq!(warned().await, 10);
    assert_eq!(browser.run("return document.activeElement.tagName").await, "BODY", "it took the focus");
    browser.types(TAB).await;
    browser.types(ENTER).await;
    until("more time is said", async || {
        (browser.text(&format!("{notice} [role=alert]")).await == "Hai più tempo.").then_some(())
    })
    .await;
    assert_eq!(warned().await, 9);
    let left = browser.text(&format!("{notice} button")).await;
    assert_eq!(left, "Mi serve più tempo");
    browser.click(&format!("{notice} button:last-child")).await;
    browser.looks_again().await;
    assert_eq!(browser.text(notice).await, "", "what was closed came back");
    browser.goto(&day.url("/.tornello/rooms/sala/place?return=%2F&lang=en")).await.unwrap();
    let says = async |words: &str| {
        until(words, async || browser.text(".soft").await.contains(words).then_some(())).await;
    };
    says("Your visit can last about 1 more minute.").await;
    day.reload(&format!("session = \"140s\"\nidle = \"140s\"\n{ONE_SEAT}")).await;
    browser.click("form.act button.quiet").await;
    says("Your visit can last about 2 more minutes.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_stays_idle_while_nobody_needs_the_seat_hardly_asks() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(&format!("session = \"600s\"\nidle = \"5s\"\n{ONE_SEAT}")).await;
    browser.goto(&day.url(WARNS)).await.unwrap();
    let notice = "[data-tornello=visit]";
    until("it was idle for as long as it may be", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let visit = browser.execute_async(VISIT, Vec::new()).await.ok()?;
        (visit["idle_in_ms"] == 0).then_some(())
    })
    .await;
    browser.looks_again().await;
    until("the warning goes", async || browser.text(notice).await.is_empty().then_some(())).await;
    let looks = browser.looks().await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(browser.looks().await, looks, "it asks although nothing happens");
    browser.run("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })").await;
    browser.run("document.dispatchEvent(new Event('visibilitychange'))").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(browser.looks().await, looks, "it asks although nobody looks");
}
