//! The README's own commands, run as they stand there, and the demo's result. A target of its own, so
//! that nothing else runs beside it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of the README's code blocks that are commands.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines).map(str::trim);
    let known = ["make ", "cargo ", "./target/release/tornello "];
    lines.filter(|line| known.iter().any(|start| line.starts_with(start))).map(str::to_owned).collect()
}

/// Runs a command line of the README in `folder`, with the binary under test.
fn run(line: &str, folder: &Path) -> Output {
    let line = line.replace("./target/release/tornello", env!("CARGO_BIN_EXE_tornello"));
    Command::new("sh").arg("-c").arg(line).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let (mut made, mut ran) = (0, Vec::new());
    for line in commands() {
        if let Some(target) = line.strip_prefix("make ") {
            assert!(makefile.contains(&format!("\n{target}:")), "no target for `{line}`");
            made += 1;
        } else if line.contains(" run ") {
            let line = line.replace(
                "./target/release/tornello",
                &format!("exec timeout -s TERM 2 {}", env!("CARGO_BIN_EXE_tornello")),
            );
            // Port 80 and the packaged state directory are not a test's to use.
            let file = folder.path().join("tornello.toml");
            let text = std::fs::read_to_string(&file).unwrap();
            let state = folder.path().join("state").display().to_string();
            let listen =
                "[listen]\nadmin = \"127.0.0.1:0\"\n".to_owned() + &format!("state_directory = {state:?}\n");
            let text = text.replacen("[listen]\n", &listen, 1);
            let http = text.lines().find(|line| line.starts_with("http")).unwrap().to_owned();
            std::fs::write(&file, text.replace(&http, "http = \"127.0.0.1:0\"")).unwrap();
            let done = run(&line, folder.path());
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(said.contains("\"ready\"") && said.contains("\"stopped\""), "{line}: {said}");
            ran.push(line);
        } else if line.starts_with("./target") {
            let done = run(&line, folder.path());
            assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
            ran.push(line);
        }
    }
    assert!(made >= 2 && ran.len() >= 3, "{made} targets, {ran:?}");
}

/// The comparison that the README shows, whole: the crowd, the origin and both legs are real.
#[test]
fn the_demo_turns_the_crowd_into_a_queue() {
    let done = Command::new(env!("CARGO_BIN_EXE_tornello")).args(["demo", "--json"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    println!("{report:#}");
    let figure = |leg: &str, key: &str| report[leg][key].as_f64().unwrap_or_else(|| panic!("{leg}.{key}"));
    let completed = |leg: &str| figure(leg, "completed") / figure(leg, "people");
    assert!(completed("without") < 0.5, "without: {}", completed("without"));
    assert!(completed("with") >= 0.99, "with: {}", completed("with"));
    for key in ["over_limit", "lost_places", "foreign_canaries", "unanswered"] {
        assert!(figure("with", key).abs() < f64::EPSILON, "{key}: {}", figure("with", key));
    }
    assert!(figure("with", "hung_up") >= 0.2 * figure("with", "people"), "people did hang up");
    assert!(figure("with", "first_answer_p99_s") < figure("without", "first_answer_p99_s"));
    assert!(figure("with", "order_tau") > 0.9 && figure("with", "origin_wasted_share") < 0.5);
}
