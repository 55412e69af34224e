//! The public log and the end of an event, against the real binary: through kills, and until nothing of
//! anybody is left.

use std::path::Path;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use tornello::proof::log::Counts;
use tornello::proof::log::verify::{Verified, head_of_board, verify};
use tornello::proof::sealed::public_key;

use crate::process::{Process, configuration, exit_code, tornello};
use crate::stage::{Origin, ask, get, until};

const ROOM: &str = "/.tornello/v1/rooms/main";

/// The log as an outsider has it, and whether it is believed with the board of the moment before.
async fn log(process: &Process, key: &str) -> (String, Verified) {
    let board = until("the board names the log", || async {
        let board = get(process.site, &format!("{ROOM}/board")).await.text();
        board.contains(r#""log":""#).then_some(board)
    });
    let board = board.await;
    let parts = get(process.site, &format!("{ROOM}/log")).await.json()["parts"].as_u64().unwrap();
    let mut text = String::new();
    for part in 0..parts {
        text += &get(process.site, &format!("{ROOM}/log/{part}")).await.text();
    }
    let key = public_key(key).unwrap();
    let log = verify(&text, &key, false).unwrap_or_else(|error| panic!("{error}: {text}"));
    log.holds(head_of_board(&board, &key).unwrap()).unwrap();
    (text, log)
}

fn words(log: &Verified) -> Vec<&'static str> {
    log.events.iter().map(|(_, _, event)| event.word()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_goes_on_through_kills_and_no_line_that_was_shown_is_another_one_later() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "hold = true");
    let (mut key, mut kept) = (String::new(), Vec::new());
    for cycle in 0..10 {
        let mut process = Process::start(folder.path(), None);
        key = get(process.site, "/.tornello/v1/keys").await.text();
        let mut joins = JoinSet::new();
        for _ in 0..8 {
            let site = process.site;
            joins.spawn(async move { ask(site, Method::POST, &format!("{ROOM}/tickets"), &[]).await.status });
        }
        kept.push(log(&process, &key).await.0);
        if cycle % 2 == 0 {
            // Nothing is left but what was written.
            process.signal("-9");
        } else {
            while joins.join_next().await.is_some() {}
            process.signal("-TERM");
        }
        exit_code(&mut process).await;
    }
    let process = Process::start(folder.path(), None);
    let (_, log) = log(&process, &key).await;
    let key = public_key(&key).unwrap();
    for earlier in kept {
        assert_eq!(log.agrees(&verify(&earlier, &key, true).unwrap()), Ok(()));
    }
    let starts = words(&log).into_iter().filter(|word| *word == "start").count();
    assert_eq!((starts, words(&log).contains(&"stop")), (11, true));
    assert_eq!(log.lost, 5, "{log}");
}

/// Every byte of all files under a folder.
fn bytes_under(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes_under(&path) } else { std::fs::read(path).unwrap() });
    }
    all
}

fn find(all: &[u8], some: &[u8]) -> bool {
    all.windows(some.len()).any(|at| at == some)
}

/// The id of a ticket, as it stands in the store beside whoever holds it.
fn id_of(ticket: &str) -> [u8; 16] {
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, ticket).unwrap();
    let (ids, _) = claims[claims.len() - 32..].as_chunks::<16>();
    ids[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_an_event_nothing_leads_to_anybody_any_more() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let file = configuration(folder.path(), origin.address, "one_place_per = \"person\"\nhold = true");
    let text = std::fs::read_to_string(&file).unwrap();
    let identity = "[identity]\nheader = \"x-person\"\n[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    std::fs::write(&file, format!("{text}{identity}")).unwrap();
    let mut process = Process::start(folder.path(), None);
    let key = get(process.site, "/.tornello/v1/keys").await.text();
    let named = [("x-person", "RSSMRA80A01H501U")];
    let joined = ask(process.site, Method::POST, &format!("{ROOM}/tickets"), &named).await;
    assert_eq!(joined.status, StatusCode::CREATED, "{}", joined.text());
    let ticket = joined.json()["ticket"].as_str().unwrap().to_owned();
    let shows = [("tornello-ticket", ticket.as_str())];
    let state = folder.path().join("state");
    let place = id_of(&ticket);
    assert!(find(&bytes_under(&state), &place), "the place is kept, by the person's key");
    assert!(!find(&bytes_under(&state), named[0].1.as_bytes()), "a name never is");

    let end = |arguments: &[&str]| {
        let admin = process.admin.to_string();
        tornello().args(["end", "--admin", &admin]).args(arguments).output().unwrap()
    };
    assert_eq!(end(&["main"]).status.code(), Some(2), "not by mistake");
    assert_eq!(end(&["other", "--for-good"]).status.code(), Some(2));
    assert_eq!(get(process.site, &format!("{ROOM}/board")).await.json()["board"]["state"], "held");
    let ended = end(&["main", "--for-good"]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains("event_key"), "{said}");

    assert!(!find(&bytes_under(&state), &place), "nobody is left in any file");
    let again = ask(process.site, Method::POST, &format!("{ROOM}/tickets"), &named).await;
    assert_eq!((again.status, &again.json()["reason"]), (StatusCode::FORBIDDEN, &Value::from("ended")));
    assert_eq!(ask(process.site, Method::GET, "/", &named).await.status, StatusCode::FORBIDDEN);
    let look = ask(process.site, Method::GET, &format!("{ROOM}/ticket"), &shows).await.json();
    assert_eq!(look["state"], "ended");
    let told = until("the log tells of the end", || async {
        let (_, log) = log(&process, &key).await;
        words(&log).contains(&"ended").then_some(log)
    });
    let Counts { arrived, queued, .. } = told.await.totals;
    assert_eq!((arrived, queued), (1, 1));
    process.signal("-TERM");
    assert_eq!(exit_code(&mut process).await, Some(0));

    let process = Process::start(folder.path(), None);
    let board = until("the board is up", || async {
        let board = get(process.site, &format!("{ROOM}/board")).await.json();
        board["board"]["state"].is_string().then_some(board)
    });
    assert_eq!(board.await["board"]["state"], "ended", "for good");
    let dead = ask(process.site, Method::GET, &format!("{ROOM}/ticket"), &shows).await;
    assert_eq!(dead.status, StatusCode::NOT_FOUND, "the key that made this ticket is gone");
    assert_eq!(ask(process.site, Method::GET, "/", &named).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(process.site, "/.tornello/v1/keys").await.text(), key, "what is public verifies still");
    let (_, log) = log(&process, &key).await;
    assert_eq!(words(&log).iter().filter(|word| **word == "ended").count(), 1);
}
