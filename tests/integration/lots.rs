//! One person, one lot, against the real binary: on all devices and in all tabs, however many ask at once, through
//! leaving and coming back, another device, a kill and the draw.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::ceremony::{board, by_parties, give, published, verify};
use crate::opening::ahead;
use crate::process::{Process, configuration, tornello};
use crate::stage::{Gate, Got, Origin, ask, get, try_ask, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";
/// Connections on which each person asks at once.
const DEVICES: usize = 20;
/// Where a pass says which it is.
const PASS_ID: std::ops::Range<usize> = 27..43;
const PERSONS: &str = "one_place_per = \"person\"\nrequire_identity = true\n";

/// A room of persons whom a proxy names; `identity` are further keys of how they are known.
fn configured(folder: &Path, origin: &Origin, draw: &str, persons: &str, identity: &str) {
    let file = configuration(folder, origin.address, &format!("{persons}{draw}"));
    let text = std::fs::read_to_string(&file).unwrap();
    let more = format!(
        "[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[identity]\n{identity}\n[door]\nrate = \"1000/s\"\nburst = 100000\n"
    );
    std::fs::write(file, text + &more).unwrap();
}

async fn post(site: SocketAddr, end: &str, fields: &[(&str, &str)]) -> Got {
    ask(site, Method::POST, &format!("{ROOM}/{end}"), fields).await
}

/// Joins until there is an answer; `None` if the gateway is gone.
async fn joins(site: SocketAddr, person: String) -> Option<(String, String)> {
    let (path, shown) = (format!("{ROOM}/tickets"), [("x-user", person.as_str())]);
    loop {
        let got = try_ask(site, Method::POST, &path, &shown, Bytes::new()).await.ok()?;
        match got.status {
            StatusCode::CREATED | StatusCode::OK => {
                let ticket = got.json()["ticket"].as_str().unwrap().to_owned();
                return Some((person, ticket));
            }
            // The rules are being frozen, or the disk is busy.
            StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("{other}: {}", got.text()),
        }
    }
}

/// All of them at once, each on connections of their own.
fn at_once(site: SocketAddr, persons: &[String], devices: usize) -> JoinSet<Option<(String, String)>> {
    let all = (0..devices).flat_map(|_| persons.iter().cloned());
    all.map(|person| joins(site, person)).collect()
}

/// What each was told: always the same.
fn hear(tickets: &mut BTreeMap<String, String>, told: impl IntoIterator<Item = (String, String)>) {
    for (person, ticket) in told {
        let first = tickets.entry(person.clone()).or_insert_with(|| ticket.clone());
        assert_eq!(*first, ticket, "{person} has two places");
    }
}

async fn look(site: SocketAddr, fields: &[(&str, &str)]) -> Value {
    ask(site, Method::GET, &format!("{ROOM}/ticket"), fields).await.json()
}

fn names(from: u32, to: u32) -> Vec<String> {
    (from..to).map(|nth| format!("person-{nth}")).collect()
}

/// Whoever does not say who they are is not drawn: neither by the protocol, nor by the button of the page.
async fn nobody_unknown(site: SocketAddr) {
    let got = post(site, "tickets", &[]).await;
    assert_eq!((got.status, &got.json()["reason"]), (StatusCode::UNAUTHORIZED, &"not_believed".into()));
    let form = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
    let (path, sent) = (format!("{ROOM}/tickets"), Bytes::from_static(b"return=%2F&lang=en"));
    let got = try_ask(site, Method::POST, &path, &form, sent).await.unwrap();
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert!(got.headers["content-type"].to_str().unwrap().starts_with("text/html"), "a page: {}", got.text());
    assert!(!got.headers.contains_key("set-cookie"));
}

fn reload(process: &Process) -> Output {
    tornello().args(["reload", "--admin", &process.admin.to_string()]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Everything by which somebody might come by a second lot.
async fn tries_for_another_lot(process: &Process, tickets: &BTreeMap<String, String>) {
    let (site, [anna, bruno]) = (process.site, ["person-0", "person-1"].map(|name| ("x-user", name)));
    let (of_anna, of_bruno) = (tickets["person-0"].as_str(), tickets["person-1"].as_str());
    for verb in [Method::DELETE, Method::POST] {
        let end = if verb == Method::DELETE { "ticket" } else { "leave" };
        let left = ask(site, verb, &format!("{ROOM}/{end}"), &[anna]).await;
        assert_eq!((left.status, &left.json()["state"]), (StatusCode::OK, &"left".into()));
        let again = post(site, "tickets", &[anna]).await;
        assert_eq!((again.status, &again.json()["ticket"]), (StatusCode::OK, &of_anna.into()));
    }
    // On a shared computer, and with a ticket that was left there.
    let cookie = format!("tornello-ticket-main={of_anna}");
    let other = post(site, "tickets", &[("cookie", &cookie), bruno]).await.json();
    assert_eq!(other["ticket"], of_bruno, "{other}");
    // By a code of the other device: their own place for themselves, and nothing for others.
    let code = post(site, "handoff", &[anna]).await.json();
    let typed = [("tornello-handoff", code["code"].as_str().unwrap()), ("tornello-try", "w")];
    for who in [None, Some(bruno), Some(("x-user", "nobody-yet"))] {
        let fields: Vec<_> = typed.into_iter().chain(who).collect();
        let got = post(site, "arrival", &fields).await;
        assert_eq!(got.json()["reason"], "handoff_foreign", "{who:?}: {}", got.text());
    }
    let arrived = post(site, "arrival", &[typed[0], typed[1], anna]).await.json();
    assert_eq!((&arrived["ticket"], &arrived["state"]), (&of_anna.into(), &"prequeue".into()), "{arrived}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_lot_whatever_they_do_through_kills_and_the_draw() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let opens = ahead(Duration::from_secs(25));
    let (draw, header) = (by_parties(opens), "header = \"x-user\"");
    configured(folder.path(), &origin, &draw, PERSONS, header);
    let process = Process::start(folder.path(), None);
    nobody_unknown(process.site).await;
    let mut tickets = BTreeMap::new();
    let told = at_once(process.site, &names(0, 6), DEVICES).join_all().await;
    assert_eq!(told.iter().flatten().count(), 6 * DEVICES);
    hear(&mut tickets, told.into_iter().flatten());

    // Killed in the middle of many.
    let mut asking = at_once(process.site, &names(6, 18), DEVICES);
    for _ in 0..10 {
        hear(&mut tickets, asking.join_next().await.unwrap().unwrap());
    }
    drop(process); // kill -9
    while let Some(told) = asking.join_next().await {
        hear(&mut tickets, told.unwrap());
    }
    let process = Process::start(folder.path(), None);
    let told = at_once(process.site, &names(0, 18), 3).join_all().await;
    hear(&mut tickets, told.into_iter().flatten());
    let all = u64::try_from(tickets.len()).unwrap();
    assert_eq!((all, tickets.values().collect::<BTreeSet<_>>().len()), (18, 18), "nobody has another's");

    tries_for_another_lot(&process, &tickets).await;
    for (persons, identity, why) in [
        ("", header, "a place of each browser"),
        ("one_place_per = \"person\"\n", header, "whoever is unknown, too"),
        (PERSONS, "invitations = { list = \"/nowhere\", key = \"/nowhere\" }", "others name persons"),
        (PERSONS, "header = \"x-account\"", "another header names persons"),
    ] {
        configured(folder.path(), &origin, &draw, persons, identity);
        let refused = reload(&process);
        let said = said(&refused);
        assert!(!refused.status.success(), "{why}: {said}");
        assert!(said.contains("frozen") || said.contains("require_identity = true"), "{why}: {said}");
    }
    configured(folder.path(), &origin, &draw, PERSONS, header);
    nobody_unknown(process.site).await;
    assert!(ahead(Duration::ZERO) < opens, "the machine is too slow for this test");
    while ahead(Duration::ZERO) < opens {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let state = until("those who came are committed to", || async {
        let board = board(&process).await;
        board["draw"].is_string().then_some(board)
    })
    .await;
    assert_eq!(state["issued"], all, "as many as there are persons: {state}");
    let late = joins(process.site, "late".to_owned()).await.unwrap();
    assert_eq!(look(process.site, &[("tornello-ticket", &late.1)]).await["number"], all + 1);
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    let given = give(&process, folder.path());
    assert_eq!(given.status.code(), Some(0), "{given:?}");
    until("the room opens", || async { (board(&process).await["state"] != "held").then_some(()) }).await;

    let text = published(&process).await;
    assert_eq!(text.lines().count() as u64, 3 + all, "{text}");
    let key = get(process.site, "/.tornello/v1/keys").await.text();
    let mut drawn = BTreeMap::new();
    for (person, ticket) in &tickets {
        let by_name = [("x-user", person.as_str())];
        let here = look(process.site, &by_name).await;
        let there = look(process.site, &[("tornello-ticket", ticket)]).await;
        let again = post(process.site, "tickets", &by_name).await.json();
        for place in [&here, &there, &again] {
            assert_eq!(
                (&place["ticket"], &place["number"]),
                (&ticket.as_str().into(), &here["number"]),
                "{place}"
            );
        }
        drawn.insert(here["number"].as_u64().unwrap(), person.clone());
        let receipt = ask(process.site, Method::GET, &format!("{ROOM}/receipt"), &by_name).await.text();
        let good = verify(folder.path(), &text, &key, &receipt);
        assert_eq!(good.status.code(), Some(0), "{good:?}");
        assert!(said(&good).contains("not checked, one for each person by \"header x-user\""), "{good:?}");
        // On a second device, and where somebody else's ticket was left.
        let cookie = format!("tornello-ticket-main={}", tickets["person-0"]);
        for fields in [vec![by_name[0]], vec![by_name[0], ("cookie", &cookie)]] {
            let proof = ask(process.site, Method::GET, &format!("{ROOM}/draw/proof"), &fields).await.json();
            let leaf = proof["leaf"].as_str().unwrap_or_else(|| panic!("{proof}"));
            assert!(receipt.contains(leaf), "{person}: {proof} is not of {receipt}");
        }
    }
    assert!(drawn.keys().copied().eq(1..=all), "each number is one person's: {drawn:?}");

    one_seat(&process, &drawn[&1], &tickets).await;
    drop(process);
    configured(folder.path(), &origin, &draw, "", header);
    let refused =
        tornello().arg("run").arg("--config").arg(folder.path().join("tornello.toml")).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("frozen"), "{refused:?}");
}

/// With all their devices the first one goes in once, by one pass.
async fn one_seat(process: &Process, person: &str, tickets: &BTreeMap<String, String>) {
    let navigates = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let cookie = format!("tornello-ticket-main={}", tickets[person]);
    let shown =
        [vec![("x-user", person)], vec![("x-user", person), ("cookie", &cookie)], vec![("x-user", person)]];
    let mut passes = BTreeSet::new();
    for device in shown {
        let fields: Vec<_> = navigates.into_iter().chain(device).collect();
        let got = until("the first one goes in", || async {
            let got = ask(process.site, Method::GET, "/", &fields).await;
            (got.status == StatusCode::OK).then_some(got)
        })
        .await;
        passes.extend(got.cookie().map(|cookie| {
            let token = URL_SAFE_NO_PAD.decode(cookie.split_once('=').unwrap().1).unwrap();
            token[PASS_ID].to_vec()
        }));
    }
    assert_eq!(passes.len(), 1, "{passes:?}");
    let status: Value = ask(process.admin, Method::GET, "/status", &[]).await.json();
    assert_eq!(status["rooms"]["main"]["active"], 1, "one seat for three devices: {status}");
    let others = visit(process.site, "/", "").await.status;
    assert_eq!(others, StatusCode::UNAUTHORIZED, "nobody comes in unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_has_one_lot_on_all_devices_and_the_page_asks_for_it() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let codes = crate::invitations::make(folder.path(), 2, "may");
    let of = |name: &str| folder.path().join(name).display().to_string();
    let draw = by_parties(ahead(Duration::from_secs(3_000)));
    let invitations = format!("invitations = {{ list = \"{}\", key = \"{}\" }}", of("list"), of("key"));
    let room = crate::waiting::room(&origin, 1, &format!("{PERSONS}{draw}"));
    let gate = Gate::start(&format!("[identity]\n{invitations}\n{room}")).await;
    let site = gate.site();
    until("there are places", || async {
        (post(site, "tickets", &[("tornello-invitation", &codes[1])]).await.status == StatusCode::CREATED)
            .then_some(())
    })
    .await;
    let asking: JoinSet<Got> = (0..DEVICES)
        .map(|_| {
            let code = codes[0].clone();
            async move { post(site, "tickets", &[("tornello-invitation", &code)]).await }
        })
        .collect();
    let told: BTreeSet<String> =
        asking.join_all().await.iter().map(|got| got.json()["ticket"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.len(), 1, "one lot of {DEVICES} devices");
    assert_eq!(gate.running.proxy.live.load().rooms["main"].line.with_lots(|lots| lots.kept()), Some(2));
    let lot = [("it", "stessa partecipazione"), ("en", "the same lot"), ("de", "dasselbe Los")];
    for (tag, words) in lot.into_iter().chain([("fr", "la même participation"), ("sl", "isto udeležbo")]) {
        let page = visit(site, &format!("/.tornello/rooms/main/rules?lang={tag}"), "").await.text();
        assert!(page.contains(words), "{tag}: {page}");
    }
    // Without JavaScript: asked for it, then given the same place.
    let send = async |body: String| {
        let form = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        try_ask(site, Method::POST, &format!("{ROOM}/tickets"), &form, Bytes::from(body)).await.unwrap()
    };
    let asked = send("return=%2F&lang=en".to_owned()).await;
    assert!(asked.text().contains("name=\"invitation\"") && asked.cookie().is_none(), "{}", asked.text());
    let taken = send(format!("return=%2F&lang=en&invitation={}", codes[0])).await;
    let ticket = told.first().unwrap();
    assert_eq!(taken.cookie().unwrap().split_once('=').unwrap().1, ticket);
}
