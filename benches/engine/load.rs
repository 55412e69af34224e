//! What each engine costs: CPU time of this process per exchange on keep-alive, and resident bytes per idle connection.
//!
//! The upstream is the same executable in another process, so that its work and its memory are not counted. CPU time is what the
//! scheduler accounted to the only thread that works here, in nanoseconds. Memory is measured in a fresh process per engine,
//! because an allocator keeps what it once had.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Build, Engine};

/// The variable that tells a re-executed copy of this bench what it is.
pub(crate) const ROLE: &str = "TORNELLO_ENGINE_ROLE";

const CONCURRENT: usize = 64;
const ROUNDS: usize = 5;
/// A round takes every engine in turn this often, so that a machine that slows down does so for all of them.
const TURNS: usize = 10;
const EXCHANGES_PER_TURN: [usize; 2] = [1_600, 640];
const IDLE: usize = 2_000;

/// The smallest answer, and one that stretches buffers.
pub(crate) const PATHS: [&str; 2] = ["/small", "/large"];
const BYTES: [usize; 2] = [200, 64 * 1024];

/// The upstream process; it ends when its standard input closes.
pub(crate) struct Backend {
    child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) addr: SocketAddr,
}

impl Backend {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(ROLE, "upstream")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin, addr: line.trim().parse().unwrap() }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.child.wait());
    }
}

/// Serves [`PATHS`] until standard input closes.
pub(crate) fn serve() {
    current_thread().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let whole = |bytes: usize| {
                Arc::new([super::upstream::answer(200, &"x".repeat(bytes))].concat().into_bytes())
            };
            let (small, large) = (whole(BYTES[0]), whole(BYTES[1]));
            while let Ok((mut stream, _)) = listener.accept().await {
                let (small, large) = (Arc::clone(&small), Arc::clone(&large));
                drop(stream.set_nodelay(true));
                tokio::spawn(async move {
                    let mut head = Vec::with_capacity(1024);
                    while matches!(stream.read_buf(&mut head).await, Ok(bytes) if bytes > 0) {
                        if head.ends_with(b"\r\n\r\n") {
                            let answer = if head.starts_with(b"GET /large") { &large } else { &small };
                            if stream.write_all(answer).await.is_err() {
                                return;
                            }
                            head.clear();
                        }
                    }
                });
            }
        });
        drop(tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await);
    });
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// CPU time per exchange in microseconds over the rounds, and the median of the rounds' ratios to the first engine.
pub(crate) struct Cost {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) of_first: f64,
}

/// What an exchange of `PATHS[size]` costs each engine.
pub(crate) fn cpu(builds: &[Build], size: usize, addr: SocketAddr) -> Vec<Cost> {
    let runtime = current_thread();
    let engines: Vec<Arc<Engine>> =
        builds.iter().map(|build| runtime.block_on(async { Arc::new(build(addr)) })).collect();
    for engine in &engines {
        // Fills the pool; not counted.
        runtime.block_on(burst(engine, size));
    }
    let rounds: Vec<Vec<f64>> = (0..ROUNDS)
        .map(|_| {
            let mut spent_ns = vec![0; engines.len()];
            for _ in 0..TURNS {
                for (engine, spent_ns) in engines.iter().zip(&mut spent_ns) {
                    let before = cpu_ns();
                    runtime.block_on(burst(engine, size));
                    *spent_ns += cpu_ns() - before;
                }
            }
            let exchanges = (TURNS * EXCHANGES_PER_TURN[size]) as f64;
            spent_ns.into_iter().map(|ns| ns as f64 / 1_000.0 / exchanges).collect()
        })
        .collect();
    let sorted = |value: &dyn Fn(&Vec<f64>) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    (0..engines.len())
        .map(|engine| {
            let times = sorted(&|round| round[engine]);
            let ratios = sorted(&|round| round[engine] / round[0]);
            Cost {
                median: times[ROUNDS / 2],
                least: times[0],
                most: times[ROUNDS - 1],
                of_first: ratios[ROUNDS / 2],
            }
        })
        .collect()
}

async fn burst(engine: &Arc<Engine>, size: usize) {
    let workers: Vec<_> = (0..CONCURRENT)
        .map(|_| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                for _ in 0..EXCHANGES_PER_TURN[size] / CONCURRENT {
                    assert_eq!(engine.fetch(PATHS[size]).await, BYTES[size], "a short answer");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

fn cpu_ns() -> u64 {
    let account =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the scheduler's account (Linux)");
    account.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("nanoseconds on a CPU")
}

/// Resident bytes per idle connection of one engine after an answer from `path`, measured in a fresh process.
pub(crate) fn idle_bytes(engine: usize, path: &str, addr: SocketAddr) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .env(ROLE, format!("idle {engine} {path} {addr}"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("bytes per idle connection")
}

/// The measured process: one exchange to warm up, then [`IDLE`] connections at once, all left idle.
pub(crate) fn fill(builds: &[Build], role: &str) {
    let words: Vec<&str> = role.split(' ').collect();
    let build = builds[words[1].parse::<usize>().unwrap()];
    let path = PATHS.into_iter().find(|path| *path == words[2]).unwrap();
    let runtime = current_thread();
    runtime.block_on(async {
        let engine = build(words[3].parse().unwrap());
        engine.fetch(path).await;
        let before = resident_bytes();
        engine.fill(IDLE, path).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        println!("{}", resident_bytes().saturating_sub(before) / IDLE as u64);
    });
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
