//! A room of those who are invited: the page asks for the code of the letter, with script and without.

use std::path::Path;
use std::process::Command;

use super::day::{Day, SERVICE, until};
use super::driver::{Browser, Habits};
use super::{ENGLISH, NO_SCRIPT, ONE_SEAT};

/// Where the page with script asks for it.
const FIELD: &str = "[data-f=invitation]";

/// Makes so many codes.
fn codes(folder: &Path, count: u32) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
    command.current_dir(folder).args(["invite", "make", &count.to_string(), "--codes", "letters"]);
    let made = command.args(["--list", "list", "--key", "key"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let letters = std::fs::read_to_string(folder.join("letters")).unwrap();
    letters.lines().map(str::to_owned).collect()
}

async fn day(folder: &Path) -> Day {
    let of = |name: &str| folder.join(name).display().to_string();
    let asks = "one_place_per = \"person\"\nrequire_identity = true";
    let invitations = format!("invitations = {{ list = \"{}\", key = \"{}\" }}", of("list"), of("key"));
    Day::begin(&format!("{ONE_SEAT}\n{asks}\n[identity]\n{invitations}")).await
}

/// Types in the field, and presses the Enter key.
async fn enters(browser: &Browser, css: &str, text: &str) {
    let field = browser.find(fantoccini::Locator::Css(css)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(&format!("{text}\u{E007}")).await.unwrap();
}

async fn says(browser: &Browser, css: &str, words: &str) {
    until(words, async || browser.text(css).await.contains(words).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_of_a_letter_is_typed_and_leads_in_on_one_device_and_to_the_same_place_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let codes = codes(folder.path(), 2);
    let day = day(folder.path()).await;
    let Some(first) = Browser::open(ENGLISH).await else { return };
    first.goto(&day.url("/")).await.unwrap();
    says(&first, "h1", "You are invited by a code").await;
    assert_eq!(first.complaints().await, Vec::<String>::new());
    enters(&first, FIELD, "not a code").await;
    says(&first, "[data-f=uninvited]", "a letter is wrong or missing").await;
    enters(&first, FIELD, "0000-00000-00000").await;
    says(&first, "[data-f=uninvited]", "Nobody is invited by this code").await;
    assert_eq!(day.board().await["issued"], 0, "nobody has a place without a code");
    enters(&first, FIELD, &codes[0].to_lowercase()).await;
    first.sees("the service, for nobody waits", |page| page.heading == SERVICE).await;

    drop(first);

    // Whoever has the second letter waits, without script, and finds the same place with it.
    let plain = Browser::open(Habits { language: "en", ..NO_SCRIPT }).await.unwrap();
    plain.goto(&day.url("/")).await.unwrap();
    plain.click("form button").await;
    says(&plain, "h1", "You are invited by a code").await;
    enters(&plain, "input[name=invitation]", "ABCD").await;
    says(&plain, ".lead", "a letter is wrong or missing").await;
    enters(&plain, "input[name=invitation]", &codes[1]).await;
    says(&plain, "h1", "You are in the queue").await;
    let number = plain.text("dl div:last-child dd").await;
    assert!(!plain.source().await.unwrap().contains(&codes[1]), "the code is on no page");

    drop(plain);

    let first = Browser::open(ENGLISH).await.unwrap();
    first.goto(&day.url("/")).await.unwrap();
    says(&first, "h1", "You are invited by a code").await;
    enters(&first, FIELD, &codes[1]).await;
    first.sees("the same place", |page| page.number.as_ref() == Some(&number)).await;
    assert_eq!(first.complaints().await, Vec::<String>::new());
    assert_eq!(day.board().await["issued"], number.parse::<u64>().unwrap(), "and no other was given");
}
