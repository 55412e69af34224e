//! The upstream can tell who comes from inside.

use std::process::Command;

use http::{Method, StatusCode};

use crate::process::{Process, configuration};
use crate::stage::{Origin, ask, visit};

fn python(field: &str, key: &std::path::Path, room: &str) -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/pass/check.py");
    Command::new("/usr/bin/python3").arg(script).arg(field).arg(key).arg(room).status().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_twenty_lines_tells_a_pass_from_a_forgery() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let (key, other) = (folder.path().join("app.key"), folder.path().join("other.key"));
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::write(&other, "0123456789abcdef0123456789abcdeF\n").unwrap();
    let file = configuration(folder.path(), origin.address, "");
    let text = std::fs::read_to_string(&file).unwrap();
    let with_key = format!("[upstream.app]\npass_key = {key:?}");
    std::fs::write(&file, text.replace("[upstream.app]", &with_key)).unwrap();
    let process = Process::start(folder.path(), None);
    let forged =
        "t=1793318400,r=main,n=1,p=AAAAAAAAAAAAAAAAAAAAAA,s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let seen = |text: &str| {
        let all: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("tornello-pass: ")).map(str::to_owned).collect();
        all
    };
    // In the open room: no pass, no field, whatever the client says.
    let outside = ask(process.site, Method::GET, "/", &[("tornello-pass", forged)]).await;
    assert_eq!((outside.status, seen(&outside.text()).len()), (StatusCode::OK, 0), "{}", outside.text());
    let first = visit(process.site, "/", "").await;
    let inside = visit(process.site, "/", &first.cookie().unwrap()).await;
    let [field] = &seen(&inside.text())[..] else { panic!("one field: {}", inside.text()) };
    assert_eq!(seen(&first.text()).len(), 1, "from the first request on");
    assert!(python(field, &key, "main"), "{field}");
    let later = format!("t=9{}", field.strip_prefix("t=").unwrap());
    for bad in [forged, "", &field[..field.len() - 1], &later, &field.replace("n=0", "n=1")] {
        assert!(!python(bad, &key, "main"), "{bad}");
    }
    assert!(!python(field, &other, "main") && !python(field, &key, "other"));
}
