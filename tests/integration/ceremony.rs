//! A draw held by the gateway, from the first place to the last check by somebody else, with two kills in
//! between: whoever was told of a place is drawn, nobody passes before, and what is published is what people
//! have.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tornello::admission::draw::log::is_in;
use tornello::proof::draw::reveal::commitment;
use tornello::proof::{from_hex, hex};

use crate::opening::ahead;
use crate::process::{Process, configuration, tornello};
use crate::stage::{Got, Origin, ask, get, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";
const SECRETS: [(&str, [u8; 32]); 2] = [("office", [1; 32]), ("notary", [2; 32])];

/// A place before the opening: the ticket and its receipt.
struct Place {
    ticket: String,
    receipt: String,
}

async fn look(process: &Process, path: &str, ticket: &str) -> Got {
    ask(process.site, Method::GET, &format!("{ROOM}/{path}"), &[("tornello-ticket", ticket)]).await
}

async fn take_places(process: &Process, count: usize, places: &mut Vec<Place>) {
    for _ in 0..count {
        let joined = until("a place is given", || async {
            let got = ask(process.site, Method::POST, &format!("{ROOM}/tickets"), &[]).await;
            (got.status == StatusCode::CREATED).then_some(got)
        })
        .await
        .json();
        assert_eq!((&joined["state"], &joined["number"]), (&"prequeue".into(), &0.into()), "{joined}");
        let ticket = joined["ticket"].as_str().unwrap().to_owned();
        let receipt = look(process, "receipt", &ticket).await.text();
        places.push(Place { ticket, receipt });
    }
}

/// With a place or without one.
async fn nobody_passes(process: &Process, places: &[Place]) {
    let ticket = format!("tornello-ticket-main={}", places[0].ticket);
    for cookies in ["", &ticket] {
        let status = visit(process.site, "/", cookies).await.status;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "somebody passed before the draw");
    }
}

pub(crate) async fn board(process: &Process) -> Value {
    get(process.site, &format!("{ROOM}/board")).await.json()["board"].clone()
}

pub(crate) fn give(process: &Process, folder: &Path) -> Output {
    let told: Vec<Value> =
        SECRETS.iter().map(|(name, secret)| json!({ "name": name, "secret": hex(secret) })).collect();
    let file = folder.join("reveals.json");
    std::fs::write(&file, json!({ "reveals": told }).to_string()).unwrap();
    let admin = process.admin.to_string();
    tornello().args(["draw", "randomness", "main"]).arg(file).args(["--admin", &admin]).output().unwrap()
}

/// The command, on what was published.
pub(crate) fn verify(folder: &Path, text: &str, key: &str, receipt: &str) -> Output {
    let (file, kept) = (folder.join("draw.jsonl"), folder.join("receipt.json"));
    std::fs::write(&file, text).unwrap();
    std::fs::write(&kept, receipt).unwrap();
    let mut command = tornello();
    command.args(["verify", "draw"]).arg(file).args(["--key", key, "--receipt"]).arg(kept);
    command.output().unwrap()
}

/// What everybody can read of the draw.
pub(crate) async fn published(process: &Process) -> String {
    let statements = get(process.site, &format!("{ROOM}/draw")).await.text();
    statements + &get(process.site, &format!("{ROOM}/draw/tickets/0")).await.text()
}

/// What is configured of a draw at `opens`.
pub(crate) fn by_parties(opens: Timestamp) -> String {
    let parties: Vec<String> = SECRETS
        .iter()
        .map(|(name, secret)| {
            let promise = hex(&commitment("main", name, secret));
            let outside = *name == "notary";
            format!("{{ name = \"{name}\", outside = {outside}, commitment = \"{promise}\" }}")
        })
        .collect();
    let parties = parties.join(", ");
    format!("opens_at = \"{opens}\"\nprequeue = \"1h\"\ndraw = \"parties\"\nparties = [{parties}]")
}

fn rules(folder: &Path, origin: &Origin) -> u64 {
    let opens = ahead(Duration::from_secs(12));
    configuration(folder, origin.address, &by_parties(opens));
    u64::try_from(opens.as_millisecond()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_is_held_through_kills_and_anybody_can_do_it_again() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let opens_ms = rules(folder.path(), &origin);
    let now_ms = || u64::try_from(ahead(Duration::ZERO).as_millisecond()).unwrap();
    let mut places = Vec::new();
    let process = Process::start(folder.path(), None);
    take_places(&process, 20, &mut places).await;
    assert_eq!(get(process.site, &format!("{ROOM}/draw")).await.text().lines().count(), 1, "the rules");
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    take_places(&process, 5, &mut places).await;
    for place in &places {
        assert_eq!(look(&process, "ticket", &place.ticket).await.json()["state"], "prequeue");
        assert_eq!(look(&process, "receipt", &place.ticket).await.text(), place.receipt);
    }
    let early = give(&process, folder.path());
    assert_eq!(early.status.code(), Some(2), "secrets are told after the commitment only: {early:?}");
    assert!(now_ms() < opens_ms, "the machine is too slow for this test");
    while now_ms() < opens_ms {
        nobody_passes(&process, &places).await;
    }
    let state = until("those who came are committed to", || async {
        nobody_passes(&process, &places).await;
        let board = board(&process).await;
        board["draw"].is_string().then_some(board)
    })
    .await;
    assert_eq!(
        (&state["state"], &state["reason"], &state["issued"]),
        (&"held".into(), &"draw".into(), &25.into())
    );
    let behind = ask(process.site, Method::POST, &format!("{ROOM}/tickets"), &[]).await.json();
    assert_eq!((&behind["number"], &behind["state"]), (&26.into(), &"waiting".into()), "{behind}");
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    assert_eq!(board(&process).await["draw"], state["draw"], "one commitment, whatever happens");
    assert_eq!(visit(process.site, "/", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let given = give(&process, folder.path());
    assert_eq!(given.status.code(), Some(0), "{given:?}");
    until("the room opens", || async { (board(&process).await["state"] != "held").then_some(()) }).await;

    let text = published(&process).await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3 + 25, "{text}");
    let mut numbers = BTreeSet::new();
    for (place, told) in places.iter().zip(&lines[3..]) {
        let mine = look(&process, "ticket", &place.ticket).await.json();
        assert_eq!(mine["number"], told["number"], "{mine} {told}");
        numbers.insert(mine["number"].as_u64().unwrap());
        let kept: Value = serde_json::from_str(&place.receipt).unwrap();
        assert_eq!((&kept["receipt"]["leaf"], &kept["receipt"]["number"]), (&told["leaf"], &0.into()));
        let proof = look(&process, "draw/proof", &place.ticket).await.json();
        let bytes = |value: &Value| from_hex::<32>(value.as_str().unwrap()).unwrap();
        let path: Vec<[u8; 32]> = proof["path"].as_array().unwrap().iter().map(bytes).collect();
        let (index, root) =
            (u32::try_from(proof["ticket"].as_u64().unwrap()).unwrap(), bytes(&proof["root"]));
        assert!(is_in(&bytes(&told["leaf"]), index, 25, &root, &path), "{proof}");
    }
    assert_eq!(numbers, (1..=25).collect(), "everybody has a number of their own");

    let key = get(process.site, "/.tornello/v1/keys").await.text();
    for place in [&places[0], &places[24]] {
        let good = verify(folder.path(), &text, &key, &place.receipt);
        assert_eq!(good.status.code(), Some(0), "{good:?}");
    }
    let (front, last) = text.trim_end().rsplit_once("\"number\":").unwrap();
    let other = if last.starts_with('1') { "2}" } else { "1}" };
    let forged = verify(folder.path(), &format!("{front}\"number\":{other}\n"), &key, &places[0].receipt);
    assert_eq!(forged.status.code(), Some(1), "{forged:?}");

    let first = &places[lines[3..].iter().position(|line| line["number"] == 1).unwrap()];
    let cookie = format!("tornello-ticket-main={}", first.ticket);
    until("number 1 goes in", || async {
        (visit(process.site, "/", &cookie).await.status == StatusCode::OK).then_some(())
    })
    .await;
    // Who read the configuration cannot be told another story by a restart.
    drop(process);
    let file = folder.path().join("tornello.toml");
    let other = std::fs::read_to_string(&file).unwrap().replace("draw = \"parties\"", "draw = \"drand\"");
    let other = other.lines().filter(|line| !line.starts_with("parties")).collect::<Vec<_>>().join("\n");
    std::fs::write(&file, other).unwrap();
    let refused = tornello().arg("run").arg("--config").arg(&file).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("frozen"), "{said}");
}
