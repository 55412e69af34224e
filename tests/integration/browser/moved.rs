//! A time to come back at that moved while the room stood still: the page says the new one at its next look.

use std::time::Duration;

use super::ENGLISH;
use super::day::{Day, Person, until};
use super::driver::Browser;
use super::{ONE_SEAT, count};

/// From now on this ticket has a slot, which begins in an hour.
const BOOKED: &str = r#"
const real = window.fetch;
window.from = Date.now() + 3600000;
window.still = window.asked = 0;
const slot = () => ({ state: "taken", from_ms: window.from, until_ms: window.from + 1800000 });
const told = body => new Response(JSON.stringify(body), { status: 200 });
window.fetch = async (what, how) => {
  const end = String(what).split("/").pop();
  if (end === "slot") return told({ state: "slot", slot: slot() });
  if (end !== "board" && end !== "ticket") return real(what, how);
  const body = await (await real(what, how)).json();
  if (end === "board") body.board.stood_still_s = window.still;
  else window.asked += 1, body.state = "slot", body.slot = slot();
  return told(body);
};
document.querySelector("[data-do=slot]").click();
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_said_at_the_next_look_and_asked_for_no_more_often() {
    let Some(browser) = Browser::open(ENGLISH).await else { return };
    let day = Day::begin(ONE_SEAT).await;
    let _inside = Person::walks_in(&day).await;
    browser.goto(&day.url("/")).await.unwrap();
    let place = browser.sees("its place", |page| page.number.is_some()).await;
    assert_eq!(count(place.number.as_ref()), Some(1));
    browser.run(BOOKED).await;
    let says = async || browser.text("[data-f=lead]").await;
    let first =
        until("the time", async || Some(says().await).filter(|text| text.starts_with("Come back between")))
            .await;
    let asked = async || browser.run("return window.asked").await.as_u64();
    until("how long it stood still by then", async || (asked().await? == 1).then_some(())).await;
    browser.run("window.still = 59").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked().await, Some(1), "nobody is asked while nothing moves");
    browser.run("window.still = 7200; window.from += 7200000").await;
    until("the new time", async || {
        Some(says().await).filter(|text| text.starts_with("Come back between") && *text != first)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked().await, Some(2));
}
