//! The origin as a process of its own, and the few words that are spoken with it over its pipes.
//!
//! It listens at once and says where; at `begin` it serves, and the scenario's faults count from there;
//! `look` is answered with a sample; `end` with the whole account, when every connection has ended. When
//! the pipe closes it ends: it outlives nobody.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::Trouble;
use super::child::Child;
use crate::lab::origin::Received;
use crate::lab::{Origin, OriginHandle, OriginTruth, Scenario};

/// Longest wait for connections to end before the account is closed.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Longest wait for an answer over the pipe: the machine may be very busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// The origin at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Requests of the pools unfinished, queued ones included.
    pub in_flight: u64,
    /// Requests that the pools received.
    pub received: u64,
    /// Answers of the pools that were of use.
    pub useful: u64,
    /// Worker time of the pools that was of use, in seconds.
    pub useful_work_s: f64,
    /// Workers of the pools.
    pub slots: u64,
}

/// The origin's last words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// What it saw.
    pub truth: OriginTruth,
    /// Each request, in order.
    pub received: Vec<Received>,
}

/// Runs the origin's side until told to end.
///
/// # Errors
/// If the address cannot be had or the pipes break.
pub async fn serve(scenario: &Scenario, seed: u64, address: SocketAddr) -> std::io::Result<()> {
    crate::edge::raise_open_files();
    let listener = TcpListener::bind(address).await?;
    say(&listener.local_addr()?)?;
    let mut waiting = Some(listener);
    let mut origin: Option<OriginHandle> = None;
    let mut words = heard();
    while let Some(word) = words.recv().await {
        match word.as_str() {
            "begin" => {
                if let Some(listener) = waiting.take() {
                    origin = Some(Origin::start(listener, scenario, seed)?);
                }
            }
            "look" => say(&origin.as_ref().map(look).unwrap_or_default())?,
            "end" => {
                say(&last_words(origin.as_ref()).await)?;
                return Ok(());
            }
            other => return Err(std::io::Error::other(format!("unknown word {other:?}"))),
        }
    }
    Ok(())
}

/// The words of the other side; over when its pipe is closed.
fn heard() -> mpsc::Receiver<String> {
    let (pass_on, words) = mpsc::channel(8);
    // A thread: reading from a pipe without end is nothing for a runtime that wants to end.
    std::thread::spawn(move || {
        for word in std::io::stdin().lines().map_while(Result::ok) {
            if pass_on.blocking_send(word).is_err() {
                return;
            }
        }
    });
    words
}

fn say(what: &impl Serialize) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn look(origin: &OriginHandle) -> Look {
    let truth = origin.truth();
    Look {
        in_flight: origin.in_flight(),
        received: truth.pool_requests,
        useful: truth.useful,
        useful_work_s: truth.busy_s - truth.wasted_s,
        slots: origin.slots(),
    }
}

/// What was sent before a connection was closed is still read: so the account waits for the end of all.
async fn last_words(origin: Option<&OriginHandle>) -> Account {
    let Some(origin) = origin else { return Account::default() };
    let quiet = async {
        let mut seen = usize::MAX;
        loop {
            let received = origin.received().len();
            if origin.connections() == 0 && seen == received {
                return;
            }
            seen = received;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = tokio::time::timeout(LAST_WORDS, quiet).await;
    Account { truth: origin.truth(), received: origin.received() }
}

/// The other side of the pipes.
#[derive(Debug)]
pub struct OriginProcess {
    child: Child,
    say: ChildStdin,
    hear: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl OriginProcess {
    /// Runs `command`, which is this program as the origin of a scenario, and waits until it listens.
    ///
    /// # Errors
    /// If it does not start or cannot listen.
    pub async fn start(command: Command) -> Result<Self, Trouble> {
        let mut child = Child::start("origin", command)?;
        let Some((say, hear, wrong)) = child.streams() else { return Err(gone("it has no pipes")) };
        let mut hear = BufReader::new(hear).lines();
        let address = match next(&mut hear).await {
            Ok(address) => address,
            Err(trouble) => {
                let mut wrong = BufReader::new(wrong).lines();
                let said = wrong.next_line().await.ok().flatten();
                return Err(said.map_or(trouble, |said| gone(&said)));
            }
        };
        Ok(Self { child, say, hear, address })
    }

    /// The leg begins.
    ///
    /// # Errors
    /// If the process is gone.
    pub async fn begin(&mut self) -> Result<(), Trouble> {
        self.tell("begin").await
    }

    /// How it is now.
    ///
    /// # Errors
    /// If the process is gone.
    pub async fn look(&mut self) -> Result<Look, Trouble> {
        self.tell("look").await?;
        next(&mut self.hear).await
    }

    /// Processor time so far, in seconds.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.child.cpu_s()
    }

    /// Ends it and takes its account.
    ///
    /// # Errors
    /// If the process is gone.
    pub async fn end(mut self) -> Result<Account, Trouble> {
        self.tell("end").await?;
        let account = next(&mut self.hear).await?;
        self.child.wait().await?;
        Ok(account)
    }

    async fn tell(&mut self, word: &str) -> Result<(), Trouble> {
        let line = format!("{word}\n");
        self.say.write_all(line.as_bytes()).await.map_err(|error| gone(&error.to_string()))
    }
}

async fn next<T: for<'de> Deserialize<'de>>(hear: &mut Lines<BufReader<ChildStdout>>) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, hear.next_line()).await {
        Ok(Ok(Some(line))) => serde_json::from_str(&line).map_err(|error| gone(&error.to_string())),
        Ok(Ok(None)) => Err(gone("it ended")),
        Ok(Err(error)) => Err(gone(&error.to_string())),
        Err(_) => Err(gone("it does not answer")),
    }
}

fn gone(why: &str) -> Trouble {
    Trouble(format!("the scenario's origin: {why}"))
}
