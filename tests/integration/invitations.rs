//! Codes by which people are invited: one place each, asked for by page and form, and not guessed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::stage::{Gate, Got, Origin, ask, try_ask, until, visit};
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";
/// A code by which nobody is invited.
const NOBODY: &str = "0000-00000-00000";
/// By then a list that changed is in force.
const LIST_READ: Duration = Duration::from_secs(3);

/// Makes so many codes.
pub(crate) fn make(folder: &Path, count: u32, codes: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
    command.current_dir(folder).args(["invite", "make", &count.to_string(), "--codes", codes]);
    let output = command.args(["--list", "list", "--key", "key"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let codes = std::fs::read_to_string(folder.join(codes)).unwrap();
    codes.lines().map(str::to_owned).collect()
}

async fn gate(folder: &Path, origin: &Origin) -> Gate {
    let of = |name: &str| folder.join(name).display().to_string();
    let invitations =
        format!("[identity]\ninvitations = {{ list = \"{}\", key = \"{}\" }}\n", of("list"), of("key"));
    let room = room(origin, 2, "one_place_per = \"person\"\nrequire_identity = true");
    Gate::start(&format!("{invitations}{room}")).await
}

async fn join(gate: &Gate, code: &str) -> Got {
    let fields = [("tornello-invitation", code)];
    ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &fields).await
}

fn refused(got: &Got) -> (StatusCode, String) {
    (got.status, got.json()["reason"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_a_person_on_any_device_and_the_list_is_read_again() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let codes = make(folder.path(), 2, "may");
    let gate = gate(folder.path(), &origin).await;
    let page = visit(gate.site(), "/a", "").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "nobody waits, and nobody is let past");
    assert!(page.text().contains("invitation-it"), "{}", page.text());
    let plain = ask(gate.site(), Method::GET, "/a", &[]).await;
    assert_eq!(plain.status, StatusCode::SERVICE_UNAVAILABLE);

    let without = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await;
    assert_eq!(refused(&without), (StatusCode::FORBIDDEN, "no_invitation".into()));
    let slip = codes[0].replacen(&codes[0][..1], if codes[0].starts_with('Z') { "Y" } else { "Z" }, 1);
    assert_eq!(
        refused(&join(&gate, &slip).await),
        (StatusCode::UNPROCESSABLE_ENTITY, "invitation_misread".into())
    );
    assert_eq!(refused(&join(&gate, NOBODY).await), (StatusCode::FORBIDDEN, "invitation_unknown".into()));

    let first = join(&gate, &codes[0]).await;
    let again = join(&gate, &codes[0].to_lowercase().replace('-', " ")).await;
    let other = join(&gate, &codes[1]).await;
    assert_eq!(
        [first.status, again.status, other.status],
        [201, 200, 201].map(|s| StatusCode::from_u16(s).unwrap())
    );
    assert_eq!(first.json()["ticket"], again.json()["ticket"], "the same place on another device");
    assert_ne!(first.json()["number"], other.json()["number"]);
    let ticket = first.cookie().unwrap();
    let hand = |end: &'static str, fields: &'static [(&str, &str)]| {
        let shown = [("cookie", ticket.as_str())].into_iter().chain(fields.iter().copied());
        let (site, fields) = (gate.site(), shown.collect::<Vec<_>>());
        async move { ask(site, Method::POST, &format!("{ROOM}/{end}"), &fields).await }
    };
    let typed = &[("tornello-handoff", "0000-0000-00000"), ("tornello-try", "w")];
    for got in [hand("handoff", &[]).await, hand("arrival", typed).await] {
        assert_eq!(refused(&got), (StatusCode::CONFLICT, "handoff_invited".into()));
    }
    let place = visit(gate.site(), "/.tornello/rooms/main/place?return=%2Fa&lang=en", &ticket).await.text();
    assert!(!place.contains("/handoff") && !page.text().contains("data-do=\"handoff\""), "{place}");
    let inside = until("it is called and goes in", || async {
        let got = visit(gate.site(), "/a", &ticket).await;
        (got.status == StatusCode::OK).then_some(got)
    })
    .await;
    assert!(inside.cookie().unwrap().starts_with("tornello-pass-main="));

    let later = make(folder.path(), 1, "june");
    // Looked at once a second; asking in vain meanwhile would be paid for.
    tokio::time::sleep(LIST_READ).await;
    let got = join(&gate, &later[0]).await;
    assert_eq!(got.status, StatusCode::CREATED, "the new list is in force");
    assert_ne!(got.json()["number"], other.json()["number"]);
    std::fs::write(folder.path().join("list"), "no list").unwrap();
    tokio::time::sleep(LIST_READ).await;
    assert_eq!(join(&gate, &codes[1]).await.status, StatusCode::OK, "the old one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_by_forms_and_guessing_it_is_bounded() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let codes = make(folder.path(), 2, "may");
    let gate = gate(folder.path(), &origin).await;
    let send = async |body: String| {
        let form = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        let path = format!("{ROOM}/tickets");
        try_ask(gate.site(), Method::POST, &path, &form, Bytes::from(body)).await.unwrap()
    };
    let asked = send("return=%2Fa&lang=en".to_owned()).await.text();
    assert!(asked.contains("You are invited by a code") && asked.contains("name=\"invitation\""), "{asked}");
    let misread = send("return=%2Fa&lang=en&invitation=ABCD".to_owned()).await.text();
    assert!(misread.contains("a letter is wrong or missing"), "{misread}");
    let unknown = send(format!("return=%2Fa&lang=de&invitation={NOBODY}")).await.text();
    assert!(unknown.contains("Mit diesem Code ist niemand eingeladen"), "{unknown}");
    let taken = send(format!("return=%2Fa&lang=en&invitation={}", codes[0])).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER);
    let place =
        visit(gate.site(), taken.headers["location"].to_str().unwrap(), &taken.cookie().unwrap()).await;
    assert!(!place.text().contains("name=\"invitation\""), "{}", place.text());

    for _ in 0..20 {
        let slip = join(&gate, "not a code").await;
        assert_eq!(slip.status, StatusCode::UNPROCESSABLE_ENTITY, "a slip counts for nothing");
        assert_eq!(join(&gate, &codes[0]).await.status, StatusCode::OK, "nor does a good one");
    }
    let mut guesses = 1;
    while join(&gate, NOBODY).await.status == StatusCode::FORBIDDEN {
        guesses += 1;
        assert!(guesses <= 70, "nothing stops it");
    }
    assert!(guesses >= 50, "{guesses}");
    let shut = join(&gate, &codes[1]).await;
    assert_eq!(
        shut.status,
        StatusCode::TOO_MANY_REQUESTS,
        "whoever guessed is not told of a good one, either"
    );
    assert!(shut.headers.contains_key("retry-after"));
}

#[test]
fn check_says_what_is_wrong_with_key_and_list() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), 1, "may");
    let of = |name: &str| folder.path().join(name);
    let (list, key) = (of("list").display().to_string(), of("key").display().to_string());
    let text = format!(
        "[identity]\ninvitations = {{ list = \"{list}\", key = \"{key}\" }}\n\
         [upstream.app]\naddresses = [\"127.0.0.1:1\"]\n\
         [room.main]\none_place_per = \"person\"\nrequire_identity = true\n\
         [route.all]\nupstream = \"app\"\nroom = \"main\"\n"
    );
    let config = of("tornello.toml");
    std::fs::write(&config, crate::stage::placed(&text, folder.path())).unwrap();
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
        let output = command.args(["check", "--config"]).arg(&config).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(check().0, "{}", check().1);
    std::fs::write(of("list"), "tornello-invitations 1\nnonsense\n").unwrap();
    let (good, said) = check();
    assert!(!good && said.contains("line 2 is not 32 digits of hex"), "{said}");
    std::fs::remove_file(of("key")).unwrap();
    let (good, said) = check();
    assert!(!good && said.contains(&key) && said.contains("tornello invite make"), "{said}");
}
