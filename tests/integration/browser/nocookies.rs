//! A browser that keeps nothing: the place has a code, and the code is the place, here and elsewhere.

use super::day::{Day, Person, SERVICE, until};
use super::driver::{Browser, Habits};
use super::{ENGLISH, ONE_SEAT};

const NO_COOKIES: Habits = Habits { language: "en", javascript: true, cookies: false };
const NOTHING: Habits = Habits { language: "en", javascript: false, cookies: false };

impl Browser {
    async fn value(&self, css: &str) -> String {
        let script = format!("return document.querySelector({css:?}).value");
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    async fn writes(&self, css: &str, text: &str) {
        let field = self.find(fantoccini::Locator::Css(css)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_cookies_the_code_brings_back_the_place_and_leads_in_elsewhere() {
    let day = Day::begin(&format!("page_asks = true\n{ONE_SEAT}")).await;
    let inside = Person::walks_in(&day).await;
    let Some(bare) = Browser::open(NO_COOKIES).await else { return };
    bare.goto(&day.url("/")).await.unwrap();
    bare.sees("its place", |page| page.number.as_deref() == Some("1")).await;
    assert_eq!(bare.text(".code h2").await, "Your browser does not accept cookies");
    let code = bare.value("[data-f=ticket]").await;
    bare.click("[data-do=copy]").await;
    until("the code is copied", async || (bare.text("[data-f=coded]").await == "Code copied.").then_some(()))
        .await;
    // Coming back it is somebody new, until the code is there.
    bare.refresh().await.unwrap();
    bare.sees("another place", |page| page.number.as_deref() == Some("2")).await;
    bare.click("summary").await;
    bare.writes("[data-f=have]", &format!(" {code} ")).await;
    bare.click("[data-do=use]").await;
    bare.sees("the first place again", |page| page.number.as_deref() == Some("1")).await;

    let browser = bare.beside(ENGLISH).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("a place", |page| page.number.as_deref() == Some("3")).await;
    browser.click("summary").await;
    browser.writes("[data-f=have]", &code).await;
    browser.click("[data-do=use]").await;
    browser.sees("the place of the code", |page| page.number.as_deref() == Some("1")).await;
    until("it is this browser's", async || {
        browser.text("[data-f=coded]").await.contains("now the place of this browser").then_some(())
    })
    .await;

    inside.goes().await;
    until("the turn", async || {
        bare.text("[role=alert]").await.contains("your browser does not keep cookies").then_some(())
    })
    .await;
    until("how long it stands", async || {
        bare.text("[data-f=call]").await.contains("Your turn stands for about").then_some(())
    })
    .await;
    bare.click("[data-do=enter]").await;
    until("why it stays", async || {
        bare.text("[data-f=coded]").await.contains("use the code there").then_some(())
    })
    .await;
    assert_eq!(bare.value("[data-f=ticket]").await, code, "it did not leave its place");
    browser.click("[data-do=enter]").await;
    browser.sees("the service", |page| page.heading == SERVICE).await;
    let shown = [("tornello-ticket", code.as_str())];
    let place = day.send(http::Method::GET, "/.tornello/v1/rooms/sala/ticket", &shown).await.json();
    assert_eq!((&place["number"], &place["state"]), (&1.into(), &"admitted".into()), "{place}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_cookies_and_javascript_the_code_goes_from_form_to_form() {
    let Some(browser) = Browser::open(NOTHING).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.click("form button").await;
    let heading = async |words: &str| {
        until(words, async || (browser.text("h1").await == words).then_some(())).await;
    };
    heading("We cannot find your place").await;
    browser.click("form.act button").await;
    until("a place with a code", async || {
        (browser.text(".code h2").await == "Code of your place").then_some(())
    })
    .await;
    let code = browser.value(".code input").await;
    let number = "dl div:last-child dd";
    assert_eq!(browser.text(number).await, "2", "the first was lost with its cookie");
    browser.click("form.act button").await;
    until("the same place", async || {
        let same = browser.text(number).await == "2" && browser.value(".code input").await == code;
        same.then_some(())
    })
    .await;
    // Closed and opened again, and pasted.
    browser.goto(&day.url("/.tornello/rooms/sala/place?return=%2F&lang=en")).await.unwrap();
    heading("We cannot find your place").await;
    browser.writes("form.code input[name=code][required]", &code).await;
    browser.click("form.code button").await;
    until("the place again", async || (browser.text(number).await == "2").then_some(())).await;
    inside.goes().await;
    let called = async || {
        let called = browser.text("h1").await == "It is your turn";
        if !called {
            browser.press("form.act button").await;
        }
        called.then_some(())
    };
    until("the turn", called).await;
    assert_eq!(browser.value(".code input").await, code);
    assert_eq!(day.board().await["issued"], 2);
    // To claim from here would be to lose the seat: the answer says what is missing, and the call stands.
    browser.click("form.act button").await;
    heading("Your browser does not accept cookies").await;
    assert!(browser.text(".lead").await.contains("use the code there"), "it does not say what to do");
    assert_eq!(browser.value(".code input").await, code);
    let shown = [("tornello-ticket", code.as_str())];
    let place = day.send(http::Method::GET, "/.tornello/v1/rooms/sala/ticket", &shown).await.json();
    assert_eq!((&place["number"], &place["state"]), (&2.into(), &"called".into()), "{place}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_used_up_or_wrong_costs_nobody_a_place() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    let given = day.send(http::Method::POST, "/.tornello/v1/rooms/sala/tickets", &[]).await.json();
    let used = given["ticket"].as_str().unwrap();
    let left = [("tornello-ticket", used)];
    day.send(http::Method::DELETE, "/.tornello/v1/rooms/sala/ticket", &left).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("its place", |page| page.number.as_deref() == Some("2")).await;
    browser.click("summary").await;
    let kept = "return sessionStorage.getItem('tornello-sala-ticket')";
    let mine = browser.run(kept).await;
    let none = "nonsense".repeat(10);
    for (code, words) in [(used, "has been used or given up"), (&none, "This code is not valid")] {
        browser.run("document.querySelector('[data-f=have]').value = ''").await;
        browser.writes("[data-f=have]", code).await;
        browser.click("[data-do=use]").await;
        until(words, async || browser.text("[data-f=coded]").await.contains(words).then_some(())).await;
        assert_eq!(
            (browser.sight().await.number.as_deref(), browser.run(kept).await),
            (Some("2"), mine.clone())
        );
    }
    assert_eq!(day.board().await["issued"], 2, "a code took a number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_code_in_a_form_is_said_and_gives_no_number_unasked() {
    let Some(browser) = Browser::open(NOTHING).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    let given = day.send(http::Method::POST, "/.tornello/v1/rooms/sala/tickets", &[]).await.json();
    let used = given["ticket"].as_str().unwrap();
    let left = [("tornello-ticket", used)];
    day.send(http::Method::DELETE, "/.tornello/v1/rooms/sala/ticket", &left).await;
    browser.goto(&day.url("/.tornello/rooms/sala/place?return=%2F&lang=en")).await.unwrap();
    browser.writes("form.code input[name=code][required]", used).await;
    browser.click("form.code button").await;
    let heading = async |words: &str| {
        until(words, async || (browser.text("h1").await == words).then_some(())).await;
    };
    heading("This code is no longer valid").await;
    assert!(browser.text(".lead").await.contains("has been used or given up"));
    assert_eq!(day.board().await["issued"], 1, "a used code took a number");
    // Asked for, by the button that says so.
    assert_eq!(browser.text("form.act button").await, "Take a new place");
    browser.click("form.act button").await;
    heading("You are in the queue").await;
    assert_eq!(browser.text("dl div:last-child dd").await, "2");
    assert_ne!(browser.value(".code input").await, used);
}
