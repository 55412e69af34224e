//! The help desk: `tornello explain ticket` says of a code that is read out where its place stands.

use std::process::{Command, Output};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::process::{Process, configuration};
use crate::stage::{Gate, Origin, ask, try_ask, until, visit};
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";

/// What a clerk sees, who types these words after `explain ticket`.
async fn explain(gate: &Gate, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
    command.args(["explain", "ticket"]).args(words).args(["--admin", &gate.running.admin.to_string()]);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

async fn told(gate: &Gate, code: &str) -> Value {
    let (exit, text) = explain(gate, &[code, "--json"]).await;
    assert_eq!(exit, Some(0), "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn join(gate: &Gate) -> String {
    let joined = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await.json();
    joined["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_desk_learns_where_a_place_stands_and_nothing_else() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let tickets = [join(&gate).await, join(&gate).await, join(&gate).await];
    let [first, second, third] = tickets.each_ref().map(String::as_str);

    let (exit, text) = explain(&gate, &[second]).await;
    assert_eq!(exit, Some(0), "{text}");
    for part in
        ["Room main, numbering 1, number 2", "1 number goes before it", "What to do: ", "Missed calls: none"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let by_code = told(&gate, second).await;
    assert_eq!(
        (&by_code["state"], &by_code["number"], &by_code["ahead"]),
        (&"waiting".into(), &2.into(), &1.into())
    );
    let by_number = told(&gate, "2").await;
    assert_eq!((&by_number["state"], &by_number["by"]), (&"waiting".into(), &"number".into()));
    assert!(!by_number.to_string().contains(second), "a number gives no ticket away: {by_number}");
    assert_eq!(told(&gate, "4").await["state"], "unknown");

    // The one inside came by the open door, and goes.
    let pass = inside.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
    let walked_in = told(&gate, &pass).await;
    assert_eq!((&walked_in["state"], &walked_in["number"]), (&"admitted".into(), &Value::Null));
    let revoke = async |token: &str| {
        let body = Bytes::from(token.to_owned());
        try_ask(gate.running.admin, Method::POST, "/rooms/main/revoke", &[], body).await.unwrap()
    };
    revoke(&pass).await;
    assert_eq!(told(&gate, &pass).await["state"], "done");
    let called = until("it is called", || async {
        Some(told(&gate, first).await).filter(|told| told["state"] == "called")
    })
    .await;
    assert_eq!(called["call"]["extensions"], 10, "{called}");
    let fields = [("tornello-ticket", first)];
    until("it goes in", || async {
        let got = ask(gate.site(), Method::POST, &format!("{ROOM}/claims"), &fields).await;
        (got.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(
        (&told(&gate, first).await["state"], &told(&gate, "1").await["state"]),
        (&"admitted".into(), &"admitted".into())
    );

    revoke(second).await;
    let fields = [("tornello-ticket", third)];
    ask(gate.site(), Method::DELETE, &format!("{ROOM}/ticket"), &fields).await;
    let (_, text) = explain(&gate, &[second]).await;
    assert!(
        text.contains("an operator took the place away") && text.contains("what is over does not come back"),
        "{text}"
    );
    assert_eq!(told(&gate, third).await["state"], "left");
}

/// Whoever is inside when the gateway is killed is so still, and the desk does not say otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn whom_a_restart_forgot_is_not_told_to_be_over() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "");
    let process = Process::start(folder.path(), None);
    let inside = visit(process.site, "/", "").await.cookie().unwrap();
    let pass = inside.split_once('=').unwrap().1.to_owned();
    drop(process); // kill -9
    let process = Process::start(folder.path(), None);
    let told = async || {
        let body = Bytes::from(pass.clone());
        try_ask(process.admin, Method::POST, "/explain/ticket", &[], body).await.unwrap().json()
    };
    let forgotten = told().await;
    assert_eq!((&forgotten["state"], &forgotten["by"]), (&"forgotten".into(), &"pass".into()), "{forgotten}");
    assert_eq!(visit(process.site, "/", &inside).await.status, StatusCode::OK);
    assert_eq!(told().await["state"], "admitted", "by its next request");
    let body = Bytes::from(pass.clone());
    try_ask(process.admin, Method::POST, "/rooms/main/revoke", &[], body).await.unwrap();
    assert_eq!(told().await["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_a_lane_is_told_as_its_holder_sees_it() {
    const LANES: &str = "hold = true\nlanes = [{ name = \"citizens\" }, { name = \"offices\", header = \"x-channel\", value = \"office\" }]";
    const OFFICE: [(&str, &str); 1] = [("x-channel", "office")];
    let origin = Origin::echo().await;
    let trusting = "[edge]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let gate = Gate::start(&format!("{}{trusting}", room(&origin, 1, LANES))).await;
    let citizen = join(&gate).await;
    let mut offices = Vec::new();
    for _ in 0..2 {
        let joined = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &OFFICE).await;
        offices.push(joined.json()["ticket"].as_str().unwrap().to_owned());
    }
    let second = offices[1].as_str();
    let (exit, text) = explain(&gate, &[second]).await;
    let said = "Room main, lane offices, numbering 1, number 2";
    assert!(exit == Some(0) && text.contains(said), "{text}");
    assert!(text.contains("1 number of its lane goes before it"), "{text}");
    let fields = [("tornello-ticket", second)];
    let whole = ask(gate.site(), Method::GET, &format!("{ROOM}/receipt"), &fields).await.text();
    let whole = &whole[whole.find("\"number\":").unwrap() + 9..];
    let whole = whole.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    assert_eq!(whole, ((1_u64 << 35) + 2).to_string());
    for words in [vec![second], vec![second, "--lane=offices"], vec!["2", "--lane=offices"], vec![whole]] {
        let (exit, text) = explain(&gate, &[&words[..], &["--json"]].concat()).await;
        let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{exit:?} {text}"));
        let place = (&told["lane"], &told["number"], &told["ahead"], &told["state"]);
        assert_eq!(place, (&"offices".into(), &2.into(), &1.into(), &"waiting".into()), "{words:?}: {told}");
    }
    let citizens = [&*citizen, "--lane=citizens", "--json"];
    assert!(explain(&gate, &citizens).await.1.contains("\"lane\": \"citizens\""));
    let (_, unknown) = explain(&gate, &["2", "--lane=citizens"]).await;
    assert!(unknown.contains("lane citizens, numbering 1, number 2: not known"), "{unknown}");
    for (words, why) in [
        (["2", "--room=main"], "name the lane with --lane; room `main` has: citizens, offices"),
        (["2", "--lane=desk"], "no lane `desk`; it has: citizens, offices"),
        ([second, "--lane=citizens"], "the code is of lane `offices`, not of lane `citizens`"),
        ([whole, "--lane=citizens"], "is of lane `offices`, not of `citizens`"),
        (["68719476737", "--room=main"], "no lane of room `main` has a number 68719476737"),
        (["34359738368", "--room=main"], "no number 34359738368"),
    ] {
        let (exit, text) = explain(&gate, &words).await;
        assert!(exit == Some(2) && text.contains(why), "{words:?}: {exit:?} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_none_says_why_and_no_page_may_ask() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let code = join(&gate).await;
    let (begin, last) = code.split_at(code.len() - 1);
    let misheard = format!("{begin}{}", if last == "A" { "Q" } else { "A" });
    for (words, why) in [
        ([begin, "--room=main"], "has 79 characters, and this has 78"),
        ([&misheard, "--room=main"], "a letter may be misheard"),
        (["no code", "--room=main"], "no ' '"),
        (["0", "--room=main"], "no number 0"),
        (["17", "--lane=offices"], "room `main` has one line, and no lanes"),
        (["17", "--room=other"], "no room `other`; there are: main"),
    ] {
        let (exit, text) = explain(&gate, &words).await;
        assert!(exit == Some(2) && text.contains(why), "{words:?}: {exit:?} {text}");
    }
    let page = [("origin", "http://evil.example")];
    let got = try_ask(gate.running.admin, Method::POST, "/explain/ticket", &page, Bytes::from(code)).await;
    assert_eq!(got.unwrap().status, StatusCode::FORBIDDEN);
}
