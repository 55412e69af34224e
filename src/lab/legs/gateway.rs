//! The gateway as a process of its own: started as an operator would, asked as an operator would, and
//! killed as no operator would.
//!
//! Its access log, read from its standard output, is its own account of each request. A kill ends a
//! *life*; the next one begins at once, on the same ports and the same state.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStderr, Command};
use tokio::task::JoinHandle;
use toml::{Table, Value as Toml};

use super::access::{Counters, Life};
use super::child::Child;
use super::{Folder, Trouble};

/// Longest wait until it says that it is ready.
const START: Duration = Duration::from_secs(20);
/// Longest wait for what is under way, and then for the process to end.
const REST: Duration = Duration::from_secs(15);
/// Longest wait for an answer of the admin listener.
const ADMIN: Duration = Duration::from_secs(2);

/// Where it shall listen; 0 is any port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The crowd's.
    pub site: u16,
    /// The operators'.
    pub admin: u16,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    program: PathBuf,
    folder: Folder,
    table: Table,
    child: Child,
    reading: JoinHandle<()>,
    lives: Vec<Arc<Mutex<Life>>>,
    cpu_before_s: f64,
    /// Where the crowd is met.
    pub site: SocketAddr,
    /// Where operators are met.
    pub admin: SocketAddr,
}

/// What a gateway leaves behind.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) lives: Vec<Life>,
    /// The counters at the end of the last life. `None` if they could not be had.
    pub(super) counters: Option<Counters>,
    pub(super) cpu_s: f64,
}

impl Gateway {
    /// Starts `program run` with the configuration in `table`, whose `listen` is replaced.
    ///
    /// # Errors
    /// If it does not start; with what it said.
    pub async fn start(program: &Path, table: Table, ports: Ports) -> Result<Self, Trouble> {
        let folder = Folder::new()?;
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let born = born(program, folder.path(), &table, at(ports.site), at(ports.admin)).await?;
        let (child, reading, life, site, admin) = born;
        Ok(Self {
            program: program.to_owned(),
            folder,
            table,
            child,
            reading,
            lives: vec![life],
            cpu_before_s: 0.0,
            site,
            admin,
        })
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// If it ended by itself.
    pub fn lives_on(&mut self) -> Result<(), Trouble> {
        match self.child.ended() {
            None => Ok(()),
            Some(status) => Err(Trouble(format!("the gateway ended by itself in mid-leg: {status}"))),
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it ended by itself.
    pub async fn kill(&mut self) -> Result<(), Trouble> {
        self.lives_on()?;
        self.cpu_before_s += self.child.cpu_s();
        self.child.kill().await?;
        // Its last lines are in the pipe.
        let _ = (&mut self.reading).await;
        Ok(())
    }

    /// Starts it again, on the same ports and state.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn again(&mut self) -> Result<(), Trouble> {
        let born = born(&self.program, self.folder.path(), &self.table, self.site, self.admin).await?;
        let life;
        (self.child, self.reading, life, self.site, self.admin) = born;
        self.lives.push(life);
        Ok(())
    }

    /// Processor time of all lives, in seconds.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.cpu_before_s + self.child.cpu_s()
    }

    /// Resident memory now, in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        self.child.resident()
    }

    /// Wall time, in milliseconds since 1970, of the last line that the life before wrote.
    #[must_use]
    pub fn last_line_ms(&self) -> Option<u64> {
        let life = self.lives.last()?.lock().unwrap_or_else(PoisonError::into_inner);
        life.lines.last().map(|line| line.time_ms)
    }

    /// Waits until nothing is under way, reads the counters, and ends it.
    pub(super) async fn end(mut self) -> Result<Remains, Trouble> {
        let counters = tokio::time::timeout(REST, at_rest(self.admin)).await.ok();
        let cpu_s = self.cpu_s();
        self.child.end(REST).await?;
        let _ = (&mut self.reading).await;
        let take = |life: &Arc<Mutex<Life>>| {
            std::mem::take(&mut *life.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok(Remains { lives: self.lives.iter().map(take).collect(), counters, cpu_s })
    }
}

/// The counters, once there are no connections and nothing is unfinished.
async fn at_rest(admin: SocketAddr) -> Counters {
    let mut before = None;
    loop {
        if let Ok(text) = ask(admin, "/metrics").await {
            let counters = Counters::parse(&text);
            let answered = counters.sum("tornello_requests_total");
            let busy = counters.sum("tornello_connections") + counters.sum("tornello_in_flight");
            if busy == 0 && before == Some(answered) {
                return counters;
            }
            before = Some(answered);
        }
        // Longer than the beat at which gauges are set.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

type Born = (Child, JoinHandle<()>, Arc<Mutex<Life>>, SocketAddr, SocketAddr);

async fn born(
    program: &Path,
    folder: &Path,
    table: &Table,
    site: SocketAddr,
    admin: SocketAddr,
) -> Result<Born, Trouble> {
    let mut table = table.clone();
    let threads = table.get("listen").and_then(|listen| listen.get("threads")).cloned();
    let mut listen = Table::new();
    listen.insert("http".into(), Toml::String(site.to_string()));
    listen.insert("admin".into(), Toml::String(admin.to_string()));
    listen.insert("state_directory".into(), Toml::String(folder.join("state").display().to_string()));
    listen.extend(threads.map(|threads| ("threads".to_owned(), threads)));
    table.insert("listen".into(), Toml::Table(listen));
    let file = folder.join("tornello.toml");
    let text = toml::to_string(&table).map_err(|error| Trouble(error.to_string()))?;
    std::fs::write(&file, text).map_err(Trouble::with(file.display()))?;
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&file).env_remove("NOTIFY_SOCKET");
    let mut child = Child::start("the gateway", command)?;
    let Some((_, access, log)) = child.streams() else {
        return Err(Trouble("the gateway has no pipes".into()));
    };
    let life = Arc::new(Mutex::new(Life::default()));
    let kept = Arc::clone(&life);
    let reading = tokio::spawn(async move {
        let mut lines = BufReader::with_capacity(1 << 16, access).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            kept.lock().unwrap_or_else(PoisonError::into_inner).hear(&line);
        }
    });
    let mut log = BufReader::new(log).lines();
    let (site, admin) = match tokio::time::timeout(START, ready(&mut log)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(said)) => return Err(Trouble(format!("the gateway did not start:\n{said}"))),
        Err(_) => return Err(Trouble(format!("the gateway was not ready within {} s", START.as_secs()))),
    };
    // What it says later is of no use here, but a full pipe would stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    Ok((child, reading, life, site, admin))
}

/// Reads its log until it says where it listens; else all that it said.
async fn ready(log: &mut Lines<BufReader<ChildStderr>>) -> Result<(SocketAddr, SocketAddr), String> {
    let mut said = String::new();
    while let Ok(Some(line)) = log.next_line().await {
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        let fields = value.get("fields").cloned().unwrap_or_default();
        let word = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        if word("message") == "ready" {
            let site = word("listen").split(", ").next().and_then(|site| site.parse().ok());
            return site.zip(word("admin").parse().ok()).ok_or(line);
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(said)
}

/// Asks an admin listener.
pub(super) async fn ask(admin: SocketAddr, path: &str) -> Result<String, Trouble> {
    let tell = |error: &dyn std::fmt::Display| Trouble(format!("{admin}: {error}"));
    let asking = async {
        let stream = tokio::net::TcpStream::connect(admin).await.map_err(|error| tell(&error))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| tell(&error))?;
        let driving = tokio::spawn(connection);
        let request = Request::builder().uri(path).header("host", admin.to_string());
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| tell(&error))?;
        let response = sender.send_request(request).await.map_err(|error| tell(&error))?;
        let body = response.into_body().collect().await.map_err(|error| tell(&error))?;
        driving.abort();
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    tokio::time::timeout(ADMIN, asking).await.unwrap_or_else(|_| Err(tell(&"no answer")))
}
