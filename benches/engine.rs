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
//!   (which reads 32 KiB at a time, because it cannot learn)

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench measures real time and stops at the first thing that cannot be"
)]

mod engine {
    pub(crate) mod ask;
    pub(crate) mod bodies;
    pub(crate) mod client;
    pub(crate) mod departures;
    pub(crate) mod exchange;
    pub(crate) mod heads;
    pub(crate) mod link;
    pub(crate) mod load;
    pub(crate) mod session;
    pub(crate) mod talk;
    pub(crate) mod upload;
    pub(crate) mod upstream;

    pub(crate) use super::{Build, Engine};
}

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use engine::ask::Verdict;
use engine::client::{ClientEngine, Manner};
use engine::exchange::{Connection, Order};
use engine::session::SessionEngine;
use engine::{bodies, departures, heads, load};

/// An engine under test.
pub(crate) enum Engine {
    Session(Box<SessionEngine>),
    Client(Box<ClientEngine>),
}

/// Makes an engine towards an address.
pub(crate) type Build = fn(SocketAddr) -> Engine;

const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];
const PLAIN: Manner = Manner { own_driver: false, socket_only: false, read_bytes: None, patient: true };
const OWN: Manner = Manner { own_driver: true, ..PLAIN };
const SOCKETS: Manner = Manner { socket_only: true, read_bytes: Some(32 * 1024), ..OWN };
const BUILDS: [Build; 5] = [
    |addr| Engine::Session(Box::new(SessionEngine::new(addr, 4_096))),
    |addr| Engine::Client(Box::new(ClientEngine::over_pingora(addr, PLAIN))),
    |addr| Engine::Client(Box::new(ClientEngine::over_tcp(addr, PLAIN))),
    |addr| Engine::Client(Box::new(ClientEngine::over_tcp(addr, OWN))),
    |addr| Engine::Client(Box::new(ClientEngine::over_tcp(addr, SOCKETS))),
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
    let seen = bodies::refusals_seen(build).await;
    Verdict::new(seen == 100, format!("{seen} of 100 seen"))
}

fn matrix() {
    let rows: Vec<(&str, Vec<Verdict>)> = vec![
        ("answer while the body is still being sent, part by part", play(2, bodies::duplex)),
        ("upstream answers before it reads: 12 MiB up, 48 down", play(2, bodies::talks_first)),
        ("early 413, half the upload held back", play(2, bodies::early_refusal)),
        ("early 413, then a reset", play(2, refusal_then_reset)),
        ("body without a length", play(2, bodies::no_length)),
        ("trailers", play(2, bodies::trailers)),
        ("101 with a first frame, then a busy tunnel", play(2, heads::upgrade)),
        ("caller hangs up: connecting, sending, awaiting, reading", play(2, departures::hang_ups)),
        ("head dripping, 0.5 s deadline", play(2, heads::dripping)),
        ("upstream dies mid-body: length, chunked; close, reset", play(2, heads::truncation)),
        ("pooled connection closed while idle", play(2, departures::stale)),
        ("the same, not yet noticed by the reactor", play(1, departures::stale_unnoticed)),
        ("stray bytes after an answer, at once and while idle", play(2, heads::unasked)),
        ("1xx before the answer", play(2, heads::interim)),
        ("HEAD, 204, 304 with Content-Length", play(2, heads::bodyless)),
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
        let account = load::cpu(&BUILDS, size, backend.addr);
        let cells: Vec<String> = account
            .iter()
            .map(|cost| {
                format!("{:.1} ({:.1}-{:.1}); {:.2} of A", cost.median, cost.least, cost.most, cost.of_first)
            })
            .collect();
        println!(
            "| CPU per exchange of {name} on keep-alive, µs: median (range); ratio | {} |",
            cells.join(" | ")
        );
        cpu.push(account);
    }
    let of_a = |size: usize, engine: usize| cpu[size][engine].of_first;
    let medians = |size: usize| cpu[size].iter().map(|cost| cost.median).collect::<Vec<f64>>();
    let bare = play_bare();
    println!();
    let kept = |engine: usize| rows.iter().filter(|(_, verdicts)| verdicts[engine].kept).count();
    let scores: Vec<String> =
        NAMES.iter().enumerate().map(|(at, name)| format!("{name}={}/{}", kept(at), rows.len())).collect();
    println!(
        "engine: kept {} cpu_us {:.2?} cpu_us_64k {:.2?} ratio B/A={:.2} C/B={:.2} D/C={:.2} E/D={:.2} \
         ratio_64k B/A={:.2} C/B={:.2} D/C={:.2} E/D={:.2} idle_bytes {:?} idle_bytes_64k {:?} \
         hyper_without_patient_wire_413_then_reset={bare}/100",
        scores.join(" "),
        medians(0),
        medians(1),
        of_a(0, 1),
        of_a(0, 2) / of_a(0, 1),
        of_a(0, 3) / of_a(0, 2),
        of_a(0, 4) / of_a(0, 3),
        of_a(1, 1),
        of_a(1, 2) / of_a(1, 1),
        of_a(1, 3) / of_a(1, 2),
        of_a(1, 4) / of_a(1, 3),
        idle[0],
        idle[1],
    );
}

fn play_bare() -> usize {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(bodies::refusals_seen(BARE))
}

fn cell(verdict: &Verdict) -> String {
    format!("{}: {}", if verdict.kept { "ok" } else { "**lost**" }, verdict.how.replace('|', "/"))
}
