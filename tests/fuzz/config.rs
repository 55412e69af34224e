//! Configurations: any text has an answer that can be shown, and what is accepted can be built.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;
use tornello::app::assemble::{Upstreams, Workshop, assemble};
use tornello::clock::Clock;
use tornello::config::{Settings, Severity, difference, needs_restart, parse, render, to_json};
use tornello::proxy::Random;
use tornello::store::journal::Journal;

/// What accepted configurations are built with.
struct Bench {
    runtime: Runtime,
    workshop: Workshop,
}

static BENCH: OnceLock<Bench> = OnceLock::new();

impl Bench {
    fn new() -> Self {
        let journal = Arc::new(Journal::open(&crate::state("config")).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let workshop = Workshop {
            journal,
            hungry: Arc::default(),
            clock: Clock::start(),
            upstreams: Upstreams::Real,
            seed: 0,
            random: Random::new(|bytes| bytes.fill(7)),
        };
        Self { runtime, workshop }
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (settings, found) = match parse(text, "fuzz.toml") {
        Ok((settings, found)) => (Some(settings), found),
        Err(found) => (None, found),
    };
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    assert_eq!(settings.is_none(), errors > 0, "refused without a word, or accepted with an error");
    for diagnostic in &found {
        assert!(diagnostic.line >= 1 && diagnostic.line <= text.matches('\n').count() + 1);
        assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty());
    }
    assert!(settings.is_some() || !render(&found, text, false).is_empty());
    assert!(to_json(&found)["diagnostics"].is_array());
    if let Some(settings) = settings {
        assert!(difference(&settings, &settings).is_empty(), "a configuration differs from itself");
        assert!(needs_restart(&settings, &settings).is_empty());
        build(settings);
    }
}

fn build(mut settings: Settings) {
    // Names that a fuzzer makes up are not looked up, nor are its addresses spoken to.
    for upstream in settings.upstreams.values_mut() {
        for address in &mut upstream.addresses {
            address.address = "127.0.0.1:9".to_owned();
        }
    }
    let bench = BENCH.get_or_init(Bench::new);
    let names = (settings.routes.len(), settings.rooms.len(), settings.upstreams.len());
    let live = bench.runtime.block_on(assemble(&bench.workshop, settings, None));
    let live = live.unwrap_or_else(|error| panic!("accepted, and cannot be built: {error}"));
    assert_eq!((live.routes.len(), live.rooms.len(), live.clusters.len()), names);
}
