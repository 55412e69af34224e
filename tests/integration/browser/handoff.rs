//! A place moves to another device by a short code and comes back by another, and the page says so.

use http::Method;

use super::day::{Day, Person, until};
use super::driver::Browser;
use super::{ENGLISH, ONE_SEAT};

const ROOM: &str = "/.tornello/v1/rooms/sala";

async fn says(browser: &Browser, css: &str, words: &str) -> String {
    until(words, async || Some(browser.text(css).await).filter(|text| text.contains(words))).await
}

async fn types(browser: &Browser, code: &str) {
    browser.run("document.querySelector('[data-f=have]').value = ''").await;
    let field = browser.find(fantoccini::Locator::Css("[data-f=have]")).await.unwrap();
    field.send_keys(code).await.unwrap();
    browser.click("[data-do=use]").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_code_takes_the_place_to_another_device_and_back_and_the_page_says_so() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await.unwrap();
    browser.sees("its place", |page| page.number.as_deref() == Some("1")).await;
    browser.click("details:last-of-type summary").await;
    browser.click("[data-do=handoff]").await;
    let given = says(&browser, "[data-f=handoff]", "within 5 minutes: ").await;
    let (_, rest) = given.split_once("minutes: ").unwrap();
    let code = rest.chars().take(15).collect::<String>();
    let typed = [("tornello-handoff", code.as_str()), ("tornello-try", "a word")];
    let other = day.send(Method::POST, &format!("{ROOM}/arrival"), &typed).await.json();
    assert_eq!(other["number"], 1, "{other}");

    says(&browser, "h1", "Your place has moved to another device").await;
    browser.refresh().await.unwrap();
    says(&browser, "h1", "Your place has moved to another device").await;
    browser.click("[data-do=rejoin]").await;
    browser.sees("a new place", |page| page.number.as_deref() == Some("2")).await;

    // The other device hands it back.
    browser.click("summary").await;
    types(&browser, "ABCD").await;
    says(&browser, "[data-f=coded]", "a letter is wrong or missing").await;
    types(&browser, "0000-0000-00000").await;
    says(&browser, "[data-f=coded]", "no longer counts, or was already used").await;
    assert_eq!(browser.sight().await.number.as_deref(), Some("2"), "it keeps its own meanwhile");
    let shown = [("tornello-ticket", other["ticket"].as_str().unwrap())];
    let back = day.send(Method::POST, &format!("{ROOM}/handoff"), &shown).await.json();
    types(&browser, &back["code"].as_str().unwrap().to_lowercase()).await;
    browser.sees("the place of the other", |page| page.number.as_deref() == Some("1")).await;
    says(&browser, "[data-f=coded]", "now the place of this browser").await;
    browser.refresh().await.unwrap();
    browser.sees("it stays", |page| page.number.as_deref() == Some("1")).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
