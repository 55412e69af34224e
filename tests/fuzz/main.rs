//! Bytes of any kind, against what must hold for all of them. `make fuzz` runs every target.
//!
//! One program, so that the crate is built and linked once more and not once a target; `FUZZ` names the
//! target. Seeds are in `corpus/TARGET/`. An input that ever broke something becomes a unit test.

#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a target that panics has found something, which is its purpose"
)]

mod chain;
mod config;
mod head;
mod listener;
mod path;
mod proxy;
mod upstream;

use std::path::PathBuf;
use std::sync::OnceLock;

/// What is run on each input.
type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

fn named() -> Target {
    match std::env::var("FUZZ").as_deref() {
        Ok("chain") => chain::run,
        Ok("config") => config::run,
        Ok("head") => head::run,
        Ok("listener") => listener::run,
        Ok("path") => path::run,
        Ok("proxy") => proxy::run,
        other => panic!("FUZZ names no target: {other:?}"),
    }
}

/// A fresh folder for what a gateway keeps. The process ends by being stopped, so each run clears what
/// the one before left.
fn state(target: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tornello-fuzz-{target}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.get_or_init(named)(bytes));
