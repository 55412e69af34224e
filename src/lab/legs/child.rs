//! One process of a leg: in a group of its own, so that Ctrl-C on the terminal is for us to act on, and
//! killed when dropped.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child as Process, ChildStderr, ChildStdin, ChildStdout, Command};

use super::Trouble;

/// What the kernel counts processor time in, for everybody who reads /proc.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: Process,
    id: u32,
}

impl Child {
    /// Starts it with pipes to all three of its streams.
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self, Trouble> {
        let process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Trouble::with(format_args!("{name} cannot be started")))?;
        let id = process.id().unwrap_or(0);
        Ok(Self { name: name.to_owned(), process, id })
    }

    /// Its three streams; each can be taken once.
    pub(super) fn streams(&mut self) -> Option<(ChildStdin, ChildStdout, ChildStderr)> {
        Some((self.process.stdin.take()?, self.process.stdout.take()?, self.process.stderr.take()?))
    }

    /// Reads what it says, so that no full pipe stops it; the beginning is kept.
    pub(super) fn listen_to(&mut self) -> tokio::task::JoinHandle<String> {
        let (said, wrong) = (self.process.stdout.take(), self.process.stderr.take());
        tokio::spawn(async move {
            let (said, wrong) = tokio::join!(beginning(said), beginning(wrong));
            said + &wrong
        })
    }

    /// Processor time so far, of it and of its children, in seconds. 0 once it is gone.
    pub(super) fn cpu_s(&self) -> f64 {
        family(self.id).into_iter().filter_map(cpu_s).sum()
    }

    /// Resident memory now, of it and of its children, in bytes.
    pub(super) fn resident(&self) -> u64 {
        family(self.id).into_iter().filter_map(resident).sum()
    }

    /// `kill -9`; returns when it is dead.
    pub(super) async fn kill(&mut self) -> Result<(), Trouble> {
        self.process.kill().await.map_err(Trouble::with(format_args!("{} cannot be killed", self.name)))
    }

    /// Asks it to end, and kills it if it has not within `patience`.
    pub(super) async fn end(&mut self, patience: Duration) -> Result<ExitStatus, Trouble> {
        // Only while it was not waited for is the id still its own.
        if self.process.id().is_some()
            && let Some(pid) = i32::try_from(self.id).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        if let Ok(ended) = tokio::time::timeout(patience, self.process.wait()).await {
            return ended.map_err(Trouble::with(&self.name));
        }
        self.kill().await?;
        Err(Trouble(format!(
            "{} did not end within {} s of SIGTERM, and was killed",
            self.name,
            patience.as_secs()
        )))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    pub(super) async fn wait(&mut self) -> Result<ExitStatus, Trouble> {
        self.process.wait().await.map_err(Trouble::with(&self.name))
    }
}

/// What is kept of a process's words.
const WORDS_MAX: usize = 16 * 1024;

async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let room = WORDS_MAX - kept.len();
        kept.extend(buffer.iter().take(length.min(room)));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Processor time of this process so far, in seconds.
pub(super) fn own_cpu_s() -> f64 {
    cpu_s(std::process::id()).unwrap_or(0.0)
}

/// The fields of /proc/ID/stat from the third (state) on; the second may hold spaces.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn cpu_s(id: u32) -> Option<f64> {
    let stat = stat(id)?;
    let ticks = |field: usize| stat.get(field - 3)?.parse::<u64>().ok();
    // User and system time, and the same of children that were waited for.
    Some([14, 15, 16, 17].into_iter().filter_map(ticks).sum::<u64>() as f64 / TICKS_PER_SECOND)
}

fn resident(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// A process and its children, workers of a master.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    if let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) {
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_is_measured_and_ends_when_asked() {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]);
        let mut child = Child::start("loop", command).unwrap();
        while child.cpu_s() < 0.05 {
            tokio::task::yield_now().await;
        }
        assert!(child.resident() > 0 && child.ended().is_none());
        let status = child.end(Duration::from_secs(5)).await.unwrap();
        assert!(!status.success() && !child.cpu_s().is_normal());
    }

    #[tokio::test]
    async fn what_is_not_there_is_named() {
        let trouble = Child::start("nothing", Command::new("/nowhere/nothing")).unwrap_err();
        assert!(trouble.to_string().starts_with("nothing cannot be started: "), "{trouble}");
    }
}
