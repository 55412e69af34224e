//! A disk that does not answer, against the real binary: `tests/integration/disk/hang.c` holds each of its
//! flushes while a file exists.

use std::path::Path;
use std::process::Command;

use http::{Method, StatusCode};

use crate::process::{Process, configuration, tornello};
use crate::stage::{Got, Origin, ask, get, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";

/// The library that holds flushes, built by the C compiler that Rust links with.
fn hang(folder: &Path) -> std::path::PathBuf {
    let library = folder.join("hang.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/disk/hang.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(built.unwrap().success());
    library
}

async fn state(process: &Process) -> String {
    let board = get(process.site, &format!("{ROOM}/board")).await.json();
    format!("{} {}", board["board"]["state"].as_str().unwrap(), board["board"]["reason"])
}

async fn ticket(process: &Process, method: Method, ticket: &str) -> Got {
    ask(process.site, method, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_holds_the_room_and_nothing_else() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    configuration(folder.path(), origin.address, "");
    let stuck = folder.path().join("stuck");
    let mut command = tornello();
    command.env("LD_PRELOAD", hang(folder.path())).env("TORNELLO_TEST_STUCK", &stuck);
    let mut process = Process::launch(command, folder.path(), None);
    let pass = visit(process.site, "/", "").await.cookie().unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(ask(process.site, Method::POST, &format!("{ROOM}/tickets"), &[]).await.json());
    }
    let token = |at: usize| held[at]["ticket"].as_str().unwrap();
    until("the line stands", || async { state(&process).await.starts_with("queueing").then_some(()) }).await;

    std::fs::write(&stuck, "").unwrap();
    let refused = ticket(&process, Method::DELETE, token(1)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "promised what is not durable");
    until("the board says so", || async { state(&process).await.contains("recovery").then_some(()) }).await;
    assert_eq!(visit(process.site, "/", &pass).await.status, StatusCode::OK, "those inside go on");
    let look = ticket(&process, Method::GET, token(2)).await.json();
    assert_eq!(look["number"], held[2]["number"], "{look}");
    let said = async |words: &str| process.log.lock().unwrap().contains(words).then_some(());
    until("the log says so", || said("the disk does not answer")).await;
    process.signal("-HUP");
    until("a reload is no matter of the disk", || async { (process.generation().await == 2).then_some(()) })
        .await;

    std::fs::remove_file(&stuck).unwrap();
    until("the line goes on", || async { state(&process).await.starts_with("queueing").then_some(()) }).await;
    let leave = || async {
        let left = ticket(&process, Method::DELETE, token(1)).await;
        (left.status == StatusCode::OK).then_some(())
    };
    until("the place is given up", leave).await;
    drop(process);
    let mut command = tornello();
    command.env("LD_PRELOAD", folder.path().join("hang.so")).env("TORNELLO_TEST_STUCK", &stuck);
    process = Process::launch(command, folder.path(), None);
    let claim = format!("{ROOM}/claims");
    let claimed = ask(process.site, Method::POST, &claim, &[("tornello-ticket", token(1))]).await;
    assert_eq!(claimed.status, StatusCode::GONE, "what was given up is back");

    // And a stop ends, too: without the last marks, which it says.
    std::fs::write(&stuck, "").unwrap();
    process.signal("-TERM");
    assert_eq!(crate::process::exit_code(&mut process).await, Some(0));
    let said =
        || async { process.log.lock().unwrap().contains("stopped without the last marks").then_some(()) };
    until("it says what is missing", said).await;
}
