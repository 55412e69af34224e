//! The real binary as a process: what it says, what it keeps, and a small client for it.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tornello");
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway with a configuration file that can be changed. Killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) site: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
    head: String,
    said: Arc<Mutex<Vec<u8>>>,
    reading: Vec<JoinHandle<()>>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(mut from: impl Read + Send + 'static, said: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut block = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut block) {
            said.lock().unwrap().extend_from_slice(&block[..read]);
        }
    })
}

impl Gateway {
    /// With `more` besides its listeners.
    pub(crate) fn start(more: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let head = format!(
            "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nstate_directory = {:?}\n",
            folder.path().join("state").display().to_string()
        );
        let file = folder.path().join("tornello.toml");
        std::fs::write(&file, format!("{head}{more}")).map_err(|error| error.to_string())?;
        let mut child = Command::new(PROGRAM)
            .args(["run", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        let (site, admin) = loop {
            line.clear();
            if log.read_line(&mut line).unwrap_or(0) == 0 {
                let _ = child.kill();
                return Err(format!("it ended: {}", String::from_utf8_lossy(&said.lock().unwrap())));
            }
            said.lock().unwrap().extend_from_slice(line.as_bytes());
            let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if json["fields"]["message"] == "ready" {
                let address = |key: &str| json["fields"][key].as_str().and_then(|text| text.parse().ok());
                let found = address("listen").zip(address("admin"));
                break found.ok_or("it does not say where it listens")?;
            }
        };
        let output = child.stdout.take().expect("piped");
        let reading = vec![follow(output, &said), follow(log, &said)];
        Ok(Self { child, site, admin, folder, head, said, reading })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("tornello.toml")
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, more: &str) -> Result<(), String> {
        std::fs::write(self.file(), format!("{}{more}", self.head)).map_err(|error| error.to_string())
    }

    /// `tornello reload`.
    pub(crate) fn reload(&self) -> Result<Output, String> {
        let admin = self.admin.to_string();
        let done = Command::new(PROGRAM).args(["reload", "--admin", &admin]).output();
        done.map_err(|error| error.to_string())
    }

    /// Everything that it has said: both logs.
    pub(crate) fn said(&self) -> Vec<u8> {
        self.said.lock().unwrap().clone()
    }

    /// Ends it as an operator would, and gives everything that it said and the folder with its state.
    pub(crate) fn end(mut self) -> Result<Vec<u8>, String> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        for reading in self.reading.drain(..) {
            let _ = reading.join();
        }
        let mut all = self.said();
        let mut folders = vec![self.folder.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())?.flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    all.extend(std::fs::read(entry.path()).map_err(|error| error.to_string())?);
                }
            }
        }
        Ok(all)
    }
}

/// An answer, head and body apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request on a connection of its own, from an address of the loopback network. `more` are further
/// head lines, each with its line end.
pub(crate) async fn ask(
    to: SocketAddr,
    from: Ipv4Addr,
    method: &str,
    path: &str,
    more: &str,
    body: &str,
) -> Result<Answer, String> {
    let exchange = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let mut stream: TcpStream = socket.connect(to).await?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| format!("{path}: no answer in {PATIENCE:?}"))?
        .map_err(|error| format!("{path}: {error}"))?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{path}: no whole head"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// The same, a GET from 127.0.0.1.
pub(crate) async fn get(to: SocketAddr, path: &str, more: &str) -> Result<Answer, String> {
    ask(to, Ipv4Addr::LOCALHOST, "GET", path, more, "").await
}

/// The head lines of a person who navigates.
pub(crate) const NAVIGATES: &str =
    "accept: text/html\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";
