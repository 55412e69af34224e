//! slowhttptest's four modes, two thousand connections each: the service stays there for others, who
//! hardly notice, who is slow is cut off in time, and nothing stays of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::{Gateway, fetch, now, within};

const CONNECTIONS: &str = "2000";
/// An answer that no buffer on the way holds.
const LONG: usize = 16 << 20;
/// What may stay of two thousand of them: 12 KiB each, which the allocator keeps for the next crowd.
const COST_MAX: u64 = 24 << 20;
/// Longest time after which nobody slow is there any more, and after that, nothing that they took.
const CUT_OFF: Duration = Duration::from_secs(30);
const BACK: Duration = Duration::from_secs(10);
/// Below this a quantile says more of the machine, which the tool itself keeps busy, than of the gateway.
const NOISE_US: u64 = 20_000;
/// What the machine does to one run it does not do to so many: a fault of ours shows in each.
const RUNS: usize = 3;
/// For so long the kernel and the origin are at work on what broken connections left.
const SETTLES: Duration = Duration::from_secs(10);
/// How long the steady load is measured alone.
const QUIET: Duration = Duration::from_secs(5);

/// Reads what it is sent, whole, and then answers.
async fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let long: Arc<[u8]> = vec![b'x'; LONG].into();
        while let Ok((stream, _)) = listener.accept().await {
            // Head and body are two writes: without it the second would wait for the reader's ACK.
            stream.set_nodelay(true).unwrap();
            tokio::spawn(answer(stream, Arc::clone(&long)));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, long: Arc<[u8]>) -> std::io::Result<()> {
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let end = loop {
            if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            heard.extend_from_slice(&buffer[..length]);
        };
        let head = String::from_utf8_lossy(&heard[..end]).to_lowercase();
        let heard_head = head.starts_with("head ");
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        while heard.len() < end + length.unwrap_or(0) {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            heard.extend_from_slice(&buffer[..length]);
        }
        heard.drain(..end + length.unwrap_or(0));
        let body = if head.contains(" /long ") { &long[..] } else { &long[..100] };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        if !heard_head {
            stream.write_all(body).await?;
        }
    }
}

/// The slowest hundredth of requests of somebody who asks at a steady pace: microseconds.
#[derive(Clone, Copy, Debug)]
struct Quantile(u64);

/// h2load at 200 requests a second over ten connections for so long.
fn steadily(site: SocketAddr, log: &Path, time: Duration) -> Child {
    let mut command = Command::new("h2load");
    command.args(["--h1", "-c", "10", "--rps", "20", "-D", &time.as_secs().to_string()]);
    command.arg(format!("--log-file={}", log.display())).arg(format!("http://{site}/"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Quantile {
    /// Of what h2load wrote; every request was answered with 200. Those that were under way when it
    /// ended are not in it.
    fn of(log: &Path) -> Self {
        let text = std::fs::read_to_string(log).unwrap();
        let mut times: Vec<u64> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split('\t').collect();
                assert_eq!(words[1], "200", "{line}");
                words[2].parse().unwrap()
            })
            .collect();
        times.sort_unstable();
        assert!(times.len() >= 500, "{} requests", times.len());
        Self(times[times.len() * 99 / 100])
    }
}

/// The same load with nothing else going on.
async fn quiet(gateway: &Gateway, log: &Path) -> Quantile {
    let mut child = steadily(gateway.site, log, QUIET);
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    Quantile::of(log)
}

/// What others notice of an attack.
#[derive(Clone, Copy, Debug)]
struct Noticed {
    /// Through the gateway.
    through: Quantile,
    /// At the same time and pace past it, at the origin: so much is the machine's.
    past: Quantile,
}

impl Noticed {
    fn hardly(&self, calm: Quantile) -> bool {
        self.through.0 <= (2 * calm.0.max(self.past.0)).max(NOISE_US)
    }
}

/// Runs one mode while others ask at a steady pace, and each second somebody new. Everybody slow is cut off
/// long before the tool itself would end.
async fn mode(
    gateway: &Gateway,
    origin: SocketAddr,
    (arguments, path): (&[&str], &str),
    folder: &Path,
) -> Noticed {
    let (log, control) = (folder.join("through"), folder.join("past"));
    // Attackers have machines of their own: here they get what processor time the others leave.
    let mut command = Command::new("nice");
    command.args(["-n", "19", "slowhttptest", "-c", CONNECTIONS, "-l", "60", "-p", "5", "-v", "1", "-u"]);
    command.arg(format!("http://{}{path}", gateway.site)).args(arguments);
    let attack = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let minute = Duration::from_secs(60);
    let mut loads =
        [(gateway.site, &log), (origin, &control)].map(|(to, log)| Ended(steadily(to, log, minute)));
    let mut attack = Ended(attack);
    let begun = now();
    let open = async || gateway.metric("tornello_connections", "").await;
    let (mut most, mut full_at, mut left) = (0.0_f64, begun, None);
    while left.is_none() {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), fetch(gateway.site, "/")).await;
        let answer = answer.expect("an answer").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{arguments:?}: {answer}");
        let there = open().await;
        if there > most {
            (most, full_at) = (there, now());
        }
        // Ten of the steady load, one of this probe. The tool ends when nobody of its is left.
        let over = (most > 1_500.0 && there <= 20.0) || attack.0.try_wait().unwrap().is_some();
        left = (over && begun.elapsed() > QUIET).then(|| full_at.elapsed());
        assert!(
            begun.elapsed() < Duration::from_secs(50),
            "{arguments:?}: {there} of {most} are still there"
        );
    }
    let left = left.unwrap();
    println!("{arguments:?}: {most} connections, gone {left:?} after the last had come");
    assert!(left <= CUT_OFF, "{arguments:?}: {left:?}");
    attack.end();
    loads.iter_mut().for_each(Ended::end);
    Noticed { through: Quantile::of(&log), past: Quantile::of(&control) }
}

/// A process that ends with its test.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end();
    }
}

async fn before(address: SocketAddr, limit: u32) -> Gateway {
    // All come from one address.
    Gateway::start_alone(&format!(
        "[edge]\nmax_connections_per_prefix = 6000\nhead_timeout = \"5s\"\npatience = \"12s\"\n\
         [upstream.app]\naddresses = [\"{address}\"]\n\
         limit = {{ law = \"fixed\", initial = {limit}, ceiling = 5000, wait = \"5s\", stall = \"60s\" }}\n\
         [route.all]\nupstream = \"app\"\n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off_and_others_served_meanwhile() {
    let address = origin().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("h2load");
    // Who trickles holds no permit, so a limit far below their number does for everybody else. Slow
    // readers do hold theirs until they are cut off: nothing of an upstream is stored.
    let modes: [(u32, &[&str], &str, Option<&str>); 4] = [
        (50, &["-H", "-i", "2", "-r", "1000"], "/", None),
        (50, &["-B", "-i", "2", "-s", "8192", "-x", "10", "-r", "250"], "/", Some("upload")),
        (50, &["-R", "-r", "1000"], "/", None),
        (
            5_000,
            &["-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "1", "-r", "250"],
            "/long",
            Some("answer"),
        ),
    ];
    for (limit, arguments, path, what) in modes {
        let mut run = 1;
        let (gateway, files, memory) = loop {
            let gateway = before(address, limit).await;
            let calm = quiet(&gateway, &log).await;
            let (files, memory) = (gateway.files(), gateway.resident());
            let noticed = mode(&gateway, address, (arguments, path), folder.path()).await;
            println!("{arguments:?}: p99 {calm:?} µs, meanwhile {noticed:?} µs");
            if noticed.hardly(calm) {
                break (gateway, files, memory);
            }
            assert!(run < RUNS, "{arguments:?}: {calm:?} µs, meanwhile {noticed:?} µs in run {run}");
            run += 1;
        };
        if let Some(what) = what {
            let cut = gateway.metric("tornello_slow_clients_total", what).await;
            assert!(cut >= 1_500.0, "{cut} at their {what}");
        }
        within(BACK, "nothing is in flight, and files and memory are back", async || {
            gateway.metric("tornello_in_flight", "").await == 0.0
                // Idle connections to the upstream are kept for a while.
                && gateway.files() <= files + 50
                && gateway.resident().saturating_sub(memory) <= COST_MAX
        })
        .await;
        println!("{arguments:?}: {} KiB stay", gateway.resident().saturating_sub(memory) >> 10);
    }
}

/// nginx as a plain proxy, on as many processors as there are.
fn nginx(folder: &Path, origin: SocketAddr) -> (Nginx, SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let configuration = format!(
        "worker_processes auto; daemon off; pid {0}/pid; error_log {0}/error;\n\
         events {{ worker_connections 16000; }}\n\
         http {{ access_log off; proxy_buffering off; proxy_http_version 1.1;\n\
           upstream app {{ server {origin}; keepalive 64; }}\n\
           server {{ listen {free} backlog=4096;\n\
             location / {{ proxy_pass http://app; proxy_set_header Connection \"\"; }} }} }}\n",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-e").arg(folder.join("error")).arg("-p").arg(folder).arg("-c").arg(file);
    (Nginx(command.stdin(Stdio::null()).spawn().unwrap()), free)
}

/// nginx and its workers: they outlive a killed master, and end with one that is asked to.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// The steady load alone, and while two thousand read slowly.
async fn beside_slow_readers(site: SocketAddr, log: &Path) -> (Quantile, Quantile) {
    let waited = |mut child: Child| tokio::task::spawn_blocking(move || child.wait().unwrap());
    waited(steadily(site, log, QUIET)).await.unwrap();
    let calm = Quantile::of(log);
    let mut command = Command::new("nice");
    command.args(["-n", "19", "slowhttptest", "-c", CONNECTIONS, "-l", "60", "-p", "5", "-v", "1"]);
    command.args(["-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "1", "-r", "250"]);
    command.arg("-u").arg(format!("http://{site}/long"));
    let attack = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _attack = Ended(attack);
    // Eight seconds of them coming, and as many of them reading.
    waited(steadily(site, log, Duration::from_secs(16))).await.unwrap();
    (calm, Quantile::of(log))
}

/// What slow readers cost others on this machine, before us and before nginx in turn.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes, for a quiet machine"]
async fn slow_readers_before_nginx_and_before_us() {
    let address = origin().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("h2load");
    for round in 1..=3 {
        let gateway = before(address, 5_000).await;
        println!("{round} tornello: {:?} µs", beside_slow_readers(gateway.site, &log).await);
        drop(gateway);
        tokio::time::sleep(SETTLES).await;
        let (nginx, site) = nginx(folder.path(), address);
        within(BACK, "nginx listens", async || TcpStream::connect(site).await.is_ok()).await;
        println!("{round} nginx: {:?} µs", beside_slow_readers(site, &log).await);
        drop(nginx);
        tokio::time::sleep(SETTLES).await;
    }
}
