//! HTTP/2 from RFC 9113 (and HPACK, RFC 7541) sentence by sentence, against the real binary with a
//! recording upstream: each case with what must happen. Nothing is ever split in two at the upstream,
//! nothing is passed on unclean.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod cases;
mod upstream;
mod wire;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use cases::{Case, Want};
use wire::{Outcome, PREFACE, frame, play};

/// The gateway. Killed when dropped.
struct Gateway {
    child: Child,
    site: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    fn start(upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tornello.toml");
        let text = format!(
            "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = \"{}/state\"\n[upstream.app]\naddresses = [\"{upstream}\"]\n[route.all]\nupstream = \"app\"\n",
            folder.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tornello"))
            .args(["run", "--no-access-log", "--config"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let site = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
            let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if json["fields"]["message"] == "ready" {
                break json["fields"]["listen"].as_str().unwrap().parse().unwrap();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, site, _folder: folder }
    }
}

#[test]
fn every_case_has_the_outcome_that_the_rfc_demands_and_none_is_split_or_unclean() {
    let (address, record) = upstream::start();
    let gateway = Gateway::start(address);
    let cases = cases::all();
    assert!(cases.len() >= 140, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for (number, Case { name, bytes, whole, want }) in cases.iter().enumerate() {
        let bytes = bytes(&format!("/c/{number}/"));
        let hello = if *whole { Vec::new() } else { [PREFACE, &frame(4, 0, 0, &[])].concat() };
        let answers = if let Want::Served(count) = want { *count } else { 1 };
        let outcome = play(gateway.site, &[hello, bytes].concat(), answers);
        if !want.allows(outcome) {
            wrong.push(format!("{number} {name}: {outcome:?}, wanted {want:?}"));
        }
    }
    // A sign of life after all of it, which also comes after everything that was sent on before.
    assert_eq!(play(gateway.site, &cases::plain("/end"), 1), Outcome::Status(200));
    let heads = record.heads();
    for (number, Case { name, want, .. }) in cases.iter().enumerate() {
        let reached = heads.iter().filter(|head| head.contains(&format!(" /c/{number}/"))).count();
        let wanted = if let Want::Served(count) = want { *count } else { 0 };
        if reached != wanted {
            wrong.push(format!("{number} {name}: {reached} requests at the upstream, wanted {wanted}"));
        }
    }
    let unknown = heads.iter().filter(|head| !head.contains(" /c/") && !head.contains(" /end "));
    wrong.extend(unknown.map(|head| format!("at the upstream, and nobody sent it: {head:?}")));
    wrong.extend(heads.iter().filter_map(|head| upstream::fault(head)));
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
