//! The samples for apps, as they stand in the documentation: those for which there is a program here wait and get in.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::stage::{Gate, Origin, ask, try_ask, visit};
use crate::waiting::room;

const TEXT: &str = include_str!("../../src/proxy/desk/apps.md");

/// The sample in a language.
fn sample(language: &str) -> &'static str {
    let begin = format!("```{language}\n");
    TEXT.split(&begin).nth(1).expect(language).split("```").next().unwrap()
}

fn placed(sample: &str, gate: SocketAddr) -> String {
    sample.replace("https://www.example.org", &format!("http://{gate}")).replace("ROOM", "main")
}

/// What a sample says that had to wait for the one seat.
async fn waits_and_gets_in(command: impl FnOnce(SocketAddr) -> Command) -> (Gate, Origin, String) {
    let origin = Origin::echo().await;
    let gate = Gate::start(&room(&origin, 1, "")).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let mut command = command(gate.site());
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!running.is_finished(), "it did not wait");
    let pass = Bytes::from(inside.split_once('=').unwrap().1.to_owned());
    try_ask(gate.running.admin, Method::POST, "/rooms/main/revoke", &[], pass).await.unwrap();
    let ran = tokio::time::timeout(Duration::from_secs(30), running).await.expect("it waits in vain");
    let Output { status, stdout, stderr } = ran.unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    (gate, origin, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_in_curl_and_javascript_wait_and_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let curl = waits_and_gets_in(|gate| {
        let mut command = Command::new("sh");
        command.arg("-euc").arg(placed(&format!("ticket=\n{}", sample("sh")), gate));
        command
    });
    let javascript = waits_and_gets_in(|gate| {
        let file = folder.path().join("sample.mjs");
        let end = "console.log(await pass(ahead => console.error(ahead)));";
        std::fs::write(&file, format!("{}\n{end}", placed(sample("js"), gate))).unwrap();
        let mut command = Command::new("node");
        command.arg(file);
        command
    });
    let ((.., page), (gate, _origin, pass)) = tokio::join!(curl, javascript);
    assert!(page.starts_with("GET /\n"), "the service's page: {page}");
    let fields = [("tornello-pass", pass.trim())];
    assert_eq!(ask(gate.site(), Method::GET, "/", &fields).await.status, StatusCode::OK, "{pass}");
}

/// For Kotlin and Swift there is no compiler here: what they say to the gateway and read of it is what the others do.
#[test]
fn the_samples_in_kotlin_and_swift_speak_of_what_there_is() {
    let openapi = include_str!("../../src/proxy/desk/openapi.json");
    for language in ["kotlin", "swift"] {
        let sample = sample(language);
        for word in [
            "tickets",
            "claims",
            "Tornello-Ticket",
            "ticket",
            "pass",
            "reason",
            "ahead",
            "poll_after_ms",
            "retry_after",
        ] {
            assert!(sample.contains(word), "{language} does not know {word}");
            assert!(openapi.contains(&format!("{word}\"")), "there is no {word}");
        }
    }
}
