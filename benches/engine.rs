//! Which engine carries an exchange with an upstream: the matrix of small tests behind the choice, and what each engine costs.
//!
//! `cargo bench --bench engine` prints one table and one line for machines. Everything runs on the loopback against scripted
//! upstreams; a cell is true or false because of what crossed a socket, not because of what a source says.
//!
//! - A: pingora's `HttpSession` over a stream of its `TransportConnector`
//! - B: hyper's client connection over the same kind of stream
//! - C: hyper's client connection over a plain TCP stream
//! - D: as C, but the exchange polls the connection itself instead of a second task
//! - E: as D, but only the socket is pooled: every exchange begins with a fresh hyper connection

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench measures real time and stops at the first thing that cannot be"
)]

mod engine {
    pub(crate) mod cases;
    pub(crate) mod client;
    pub(crate) mod departures;
    pub(crate) mod exchange;
    pub(crate) mod load;
    pub(crate) mod session;
    pub(crate) mod upload;
    pub(crate) mod upstream;
    pub(crate) mod wire;

    pub(crate) use super::{Build, Engine};
}

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use engine::cases::{self, Verdict};
use engine::client::{ClientEngine, Manner};
use engine::exchange::{Connection, Order};
use engine::session::SessionEngine;
use engine::{departures, load};

/// An engine under test.
pub(crate) enum Engine {
    Session(Box<SessionEngine>),
    Client(Box<ClientEngine>),
}

/// Makes an engine towards an address.
pub(crate) type Build = fn(SocketAddr) -> Engine;

const NAMES: [&str; 7] = ["A", "B", "C", "D", "E", "F", "G"];
const PLAIN: Manner = Manner { own_driver: false, socket_only: false, read_bytes: None, patient: true };
const BUILDS: [Build; 7] = [
    |addr| Engine::Session(Box::new(SessionEngine::new(addr, 4_096))),
    |addr| Engine::Client(Box::new(ClientEngine::over_pingora(addr, PLAIN))),
    |addr| Engine::Client(Box::new(ClientEngine::over_tcp(addr, PLAIN))),
    |addr| Engine::Client(Box::new(ClientEngine::over_tcp(addr, Manner { own_driver: true, ..PLAIN }))),
    |addr| {
        let manner = Manner { own_driver: true, socket_only: true, ..PLAIN };
        Engine::Client(Box::new(ClientEngine::over_tcp(addr, manner)))
    },
    |addr| {
        let manner = Manner { own_driver: true, socket_only: true, read_bytes: Some(32 * 1024), ..PLAIN };
        Engine::Client(Box::new(ClientEngine::over_tcp(addr, manner)))
    },
    |addr| {
        let manner = Manner { own_driver: true, read_bytes: Some(32 * 1024), ..PLAIN };
        Engine::Client(Box::new(ClientEngine::over_tcp(addr, manner)))
    },
];
/// hyper without the wire that lets the read side have the last word.
const BARE: Build =
    |addr| Engine::Client(Box::new(ClientEngine::over_tcp(addr, Manner { patient: false, ..PLAIN })));

impl Engine {
    pub(crate) async fn exchange(&self, order: Order) -> Connection {
        match self {
            Self::Session(engine) => engine.exchange(order).await,
            Self::Client(engine) => engine.exchange(order).await,
        }
    }

    pub(crate) async fn fetch(&self, path: &'static str) -> usize {
        match self {
            Self::Session(engine) => engine.fetch(path).await,
            Self::Client(engine) => engine.fetch(path).await,
        }
    }

    pub(crate) async fn fill(&self, count: usize, path: &'static str) {
        match self {
            Self::Session(engine) => engine.fill(count, path).await,
            Self::Client(engine) => engine.fill(count, path).await,
        }
    }

    /// How a close that the reactor has not told yet is seen before a request that must not be lost.
    pub(crate) fn sees_a_close(&self) -> &'static str {
        match self {
            Self::Client(engine) if engine.can_look() => "seen, the kernel asked",
            _ => "seen, after a turn of the reactor",
        }
    }

    /// Who frames a body of unknown length.
    pub(crate) fn frames_unknown(&self) -> &'static str {
        match self {
            Self::Session(_) => "chunked, added by us",
            Self::Client(_) => "chunked, by itself",
        }
    }
}

fn main() {
    match std::env::var(load::ROLE) {
        Ok(role) if role == "upstream" => load::serve(),
        Ok(role) => load::fill(&BUILDS, &role),
        Err(_) => matrix(),
    }
}

/// Plays a case against every engine at once, each on a runtime of its own so that nothing outlives its cell.
fn play<R: Future<Output = Verdict>>(threads: usize, case: impl Fn(Build) -> R + Sync) -> Vec<Verdict> {
    std::thread::scope(|scope| {
        let playing: Vec<_> = BUILDS
            .iter()
            .map(|build| {
                let case = &case;
                scope.spawn(move || {
                    let mut builder = match threads {
                        1 => tokio::runtime::Builder::new_current_thread(),
                        _ => tokio::runtime::Builder::new_multi_thread(),
                    };
                    let runtime = builder.enable_all().build().unwrap();
                    let verdict = runtime.block_on(async {
                        tokio::time::timeout(Duration::from_secs(60), case(*build)).await
                    });
                    runtime.shutdown_timeout(Duration::from_millis(100));
                    verdict.unwrap_or_else(|_| Verdict::new(false, "never ended"))
                })
            })
            .collect();
        playing
            .into_iter()
            .map(|cell| cell.join().unwrap_or_else(|_| Verdict::new(false, "panicked")))
            .collect()
    })
}

/// Plays the early refusal that is followed by a reset, beside hyper without its patient wire.
async fn refusal_then_reset(build: Build) -> Verdict {
    let seen = cases::refusals_seen(build).await;
    Verdict::new(seen == 100, format!("{seen} of 100 seen"))
}

fn matrix() {
    let rows: Vec<(&str, Vec<Verdict>)> = vec![
        ("answer while the body is still being sent, part by part", play(2, cases::duplex)),
        ("upstream answers before it reads, 12 MiB each way", play(2, cases::talks_first)),
        ("early 413, half the upload held back", play(2, cases::early_refusal)),
        ("early 413, then a reset", play(2, refusal_then_reset)),
        ("body without a length", play(2, cases::no_length)),
        ("trailers", play(2, cases::trailers)),
        ("101 with a first frame, then a busy tunnel", play(2, cases::upgrade)),
        ("caller hangs up: connecting, sending, awaiting, reading", play(2, departures::hang_ups)),
        ("head dripping, 0.5 s deadline", play(2, cases::dripping)),
        ("upstream dies mid-body: length, chunked; close, reset", play(2, cases::truncation)),
        ("pooled connection closed while idle", play(2, departures::stale)),
        ("the same, not yet noticed by the reactor", play(1, departures::stale_unnoticed)),
        ("stray bytes after an answer, at once and while idle", play(2, cases::unasked)),
        ("1xx before the answer", play(2, cases::interim)),
        ("HEAD, 204, 304 with Content-Length", play(2, cases::bodyless)),
    ];
    println!(
        "| case | A `HttpSession` | B hyper, pingora's stream | C hyper, TCP | D as C, one task | E as D, pooled sockets |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, verdicts) in &rows {
        let cells: Vec<String> = verdicts.iter().map(cell).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    let backend = load::Backend::start();
    let mut idle = Vec::new();
    for path in load::PATHS {
        let bytes: Vec<u64> =
            (0..BUILDS.len()).map(|engine| load::idle_bytes(engine, path, backend.addr)).collect();
        let size = if path == load::PATHS[0] { "200 B" } else { "64 KiB" };
        let cells: Vec<String> =
            bytes.iter().map(|bytes| format!("{:.1} KiB", *bytes as f64 / 1024.0)).collect();
        println!("| resident per idle connection after a {size} answer | {} |", cells.join(" | "));
        idle.push(bytes);
    }
    let mut cpu = Vec::new();
    for (size, name) in ["200 B", "64 KiB"].into_iter().enumerate() {
        let times = load::cpu(&BUILDS, size, backend.addr);
        let cells: Vec<String> =
            times.iter().map(|[median, min, max]| format!("{median:.1} ({min:.1}-{max:.1})")).collect();
        println!("| CPU per exchange of {name} on keep-alive, µs: median (range) | {} |", cells.join(" | "));
        cpu.push(times);
    }
    let [small, large] =
        [0, 1].map(|size: usize| cpu[size].iter().map(|[median, ..]| *median).collect::<Vec<f64>>());
    let bare = play_bare();
    println!();
    let kept = |engine: usize| rows.iter().filter(|(_, verdicts)| verdicts[engine].kept).count();
    let scores: Vec<String> =
        NAMES.iter().enumerate().map(|(at, name)| format!("{name}={}/{}", kept(at), rows.len())).collect();
    println!(
        "engine: kept {} cpu_us {small:.2?} cpu_us_64k {large:.2?} ratio B/A={:.2} C/B={:.2} D/C={:.2} E/C={:.2} idle_bytes {:?} \
         idle_bytes_64k {:?} hyper_without_patient_wire_413_then_reset={bare}/100",
        scores.join(" "),
        small[1] / small[0],
        small[2] / small[1],
        small[3] / small[2],
        small[4] / small[2],
        idle[0],
        idle[1],
    );
}

fn play_bare() -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(cases::refusals_seen(BARE))
}

fn cell(verdict: &Verdict) -> String {
    format!("{}: {}", if verdict.kept { "ok" } else { "**lost**" }, verdict.how.replace('|', "/"))
}
