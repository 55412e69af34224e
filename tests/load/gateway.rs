//! A gateway process, what it says of itself, and what the system says of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static TURN: RwLock<()> = RwLock::const_new(());

/// What may run beside a test: anything that measures no time, or nothing.
#[expect(dead_code, reason = "held, never looked at")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) site: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
    _turn: Turn,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// With `more` besides its listeners. Others of its kind may run at the same time.
    pub(crate) async fn start(more: &str) -> Self {
        Self::launch(more, Turn::Shared(TURN.read().await))
    }

    /// While it lives no other test of this target runs: times are measured.
    pub(crate) async fn start_alone(more: &str) -> Self {
        Self::launch(more, Turn::Alone(TURN.write().await))
    }

    /// The same, on a state directory that `fill` has filled. Says how long the start took, too.
    pub(crate) async fn start_on(more: &str, fill: impl FnOnce(&Path)) -> (Self, Duration) {
        let folder = tempfile::tempdir().unwrap();
        fill(&folder.path().join("state"));
        let turn = Turn::Alone(TURN.write().await);
        let begun = now();
        let gateway = Self::launch_in(folder, more, turn, tornello());
        (gateway, begun.elapsed())
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// kill -9, and the same again on any core. Says how long the start took.
    pub(crate) fn restart(&mut self) -> Duration {
        self.kill();
        let begun = now();
        (self.child, self.site, self.admin) = run(tornello(), self.folder.path());
        begun.elapsed()
    }

    fn launch(more: &str, turn: Turn) -> Self {
        Self::launch_in(tempfile::tempdir().unwrap(), more, turn, tornello())
    }

    /// The same on one core, without an access log.
    pub(crate) async fn start_on_core(more: &str, core: usize) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), env!("CARGO_BIN_EXE_tornello"), "run", "--no-access-log"]);
        Self::launch_in(tempfile::tempdir().unwrap(), more, Turn::Alone(TURN.write().await), command)
    }

    fn launch_in(folder: tempfile::TempDir, more: &str, turn: Turn, command: Command) -> Self {
        let state = folder.path().join("state");
        let head = format!(
            "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = {:?}\n",
            state.display().to_string()
        );
        std::fs::write(folder.path().join("tornello.toml"), head + more).unwrap();
        let (child, site, admin) = run(command, folder.path());
        Self { child, site, admin, folder, _turn: turn }
    }

    /// The sum of a metric over the series that contain `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = fetch(self.admin, "/metrics").await.unwrap();
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']) && rest.contains(labels))
        });
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Resident memory, bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Processor time that it has taken, of all its threads.
    pub(crate) fn processor(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = tasks.map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
            text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }

    /// Open files.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

fn tornello() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tornello"));
    command.arg("run");
    command
}

/// Runs the configuration of a folder, until it says that it is ready.
fn run(mut command: Command, folder: &Path) -> (Child, SocketAddr, SocketAddr) {
    command.arg("--config").arg(folder.join("tornello.toml"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let (mut said, mut line) = (String::new(), String::new());
    let (site, admin) = loop {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {said}");
        said.push_str(&line);
        let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if json["fields"]["message"] == "ready" {
            let address = |key: &str| json["fields"][key].as_str().unwrap().parse().unwrap();
            break (address("listen"), address("admin"));
        }
    };
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (child, site, admin)
}

/// The whole answer to a GET on a connection of its own.
pub(crate) async fn fetch(to: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Waits until `look` says so, at most a minute.
pub(crate) async fn until(what: &str, look: impl AsyncFnMut() -> bool) {
    within(Duration::from_secs(60), what, look).await;
}

/// Waits until `look` says so, at most so long.
pub(crate) async fn within(time: Duration, what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(time, looking).await.is_ok(), "in vain until {what}");
}

#[expect(clippy::disallowed_methods, reason = "tests of real processes read the real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
