//! Rows about the public log: what an outsider reads in it, checks it with, and can count on.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::backend::Backend;
use super::gateway::{Gateway, NAVIGATES, PROGRAM, ask, get};
use super::row::Judged;

const ROOM: &str = "/.tornello/v1/rooms/main";
const CITIZENS: u8 = 150;
const BOTS: u8 = 12;
/// Nobody waits longer for these rows.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

/// All parts of the log, one after the other.
async fn log(site: SocketAddr) -> Result<String, String> {
    let told = get(site, &format!("{ROOM}/log"), "").await?;
    let told: Value = serde_json::from_str(&told.body).map_err(|error| error.to_string())?;
    let mut text = String::new();
    for part in 0..told["parts"].as_u64().unwrap_or_default() {
        text += &get(site, &format!("{ROOM}/log/{part}"), "").await?.body;
    }
    Ok(text)
}

/// The log, once it has an event that `is` what is waited for.
async fn log_with(site: SocketAddr, what: &str, is: impl Fn(&Value) -> bool) -> Result<String, String> {
    let begun = now();
    while begun.elapsed() < Duration::from_secs(10) {
        let text = log(site).await?;
        let told = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|it| is(&it["entry"]["event"]));
        if text.lines().any(told) {
            return Ok(text);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("the log does not tell of {what}"))
}

/// What the command says of a log; `None` if it does not believe it.
fn verified(folder: &Path, text: &str, more: &[&str]) -> Result<Option<String>, String> {
    let file = folder.join("log.jsonl");
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let done = Command::new(PROGRAM).args(["verify", "log"]).arg(&file).args(more).output();
    let done = done.map_err(|error| error.to_string())?;
    Ok(done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned()))
}

/// M16: a configuration that makes a personal route shareable.
pub(crate) async fn m16() -> Result<Judged, String> {
    let backend = Backend::start().await?;
    let configuration = |more: &str| {
        format!(
            "[upstream.app]\naddresses = [\"{}\"]\n\n[room.main]\n\n[route.main]\nupstream = \"app\"\n\
             room = \"main\"\n{more}",
            backend.address
        )
    };
    let gateway = Gateway::start(&configuration(""))?;
    gateway.configure(&configuration("shared = true\n"))?;
    let done = gateway.reload()?;
    let reasons = String::from_utf8_lossy(&done.stderr).into_owned();
    let refused = done.status.code() == Some(2) && reasons.contains("shared");
    let answer = get(gateway.site, "/", &format!("{NAVIGATES}cookie: session=me\r\n")).await?;
    let kept = answer.status == 200
        && answer.body == "canary=me."
        && answer.head.contains("cache-control: private, no-store");
    let is_it = |event: &Value| {
        event["name"] == "reload" && event["taken"] == false && event["refused"] == "shareable"
    };
    let text = log_with(gateway.site, "the reload", is_it).await?;
    let key = get(gateway.site, "/.tornello/v1/keys", "").await?.body;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let logged = verified(folder.path(), &text, &["--key", &key])?;
    let logged = logged.is_some_and(|told| told.contains("reload refused (shareable)"));
    let says = |yes: bool, text: &str| if yes { text.to_owned() } else { format!("NOT {text}") };
    Ok(Judged::new(
        refused && kept && logged,
        format!(
            "{}, {}, {}",
            says(refused, "refused"),
            says(kept, "the old one stays"),
            says(logged, "in the public log, which verifies")
        ),
    ))
}

/// What was done to the gateway, counted by those who did it.
#[derive(Debug, Default)]
struct Truth {
    arrived: AtomicU64,
    queued: AtomicU64,
    admitted: AtomicU64,
    done: AtomicU64,
    abuse: AtomicU64,
    wait: AtomicU64,
}

impl Truth {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// A place was asked for by somebody who shows none.
    async fn join(&self, site: SocketAddr, from: Ipv4Addr) -> Result<Option<String>, String> {
        let joined = ask(site, from, "POST", &format!("{ROOM}/tickets"), "", "").await?;
        match joined.status {
            201 => {
                Self::count(&self.arrived);
                Self::count(&self.queued);
                let told: Value = serde_json::from_str(&joined.body).unwrap_or_default();
                Ok(told["ticket"].as_str().map(str::to_owned))
            }
            429 => {
                Self::count(&self.abuse);
                Ok(None)
            }
            // The disk is busy; nothing was given.
            503 => Ok(None),
            status => Err(format!("a place is answered {status}: {}", joined.body)),
        }
    }

    /// The service itself was asked for. True if it was reached.
    async fn buy(&self, site: SocketAddr, from: Ipv4Addr, head: &str) -> Result<bool, String> {
        let bought = ask(site, from, "GET", "/buy", head, "").await?;
        match bought.status {
            200 => return Ok(true),
            429 => Self::count(&self.abuse),
            503 => Self::count(&self.wait),
            status => return Err(format!("the service is answered {status}: {}", bought.body)),
        }
        Ok(false)
    }

    /// Comes, waits if need be, buys, and goes with that.
    async fn citizen(&self, site: SocketAddr, from: Ipv4Addr) -> Result<(), String> {
        let begun = now();
        if self.buy(site, from, NAVIGATES).await? {
            // The door was open.
            [&self.arrived, &self.admitted, &self.done].into_iter().for_each(Self::count);
            return Ok(());
        }
        let ticket = loop {
            if let Some(ticket) = self.join(site, from).await? {
                break ticket;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        let head = format!("tornello-ticket: {ticket}\r\n");
        while begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(400)).await;
            let claimed = ask(site, from, "POST", &format!("{ROOM}/claims"), &head, "").await?;
            if claimed.status == 429 {
                Self::count(&self.abuse);
            }
            let told: Value = serde_json::from_str(&claimed.body).unwrap_or_default();
            let Some(pass) = told["pass"].as_str().filter(|_| claimed.status == 200) else { continue };
            Self::count(&self.admitted);
            while !self.buy(site, from, &format!("tornello-pass: {pass}\r\n")).await? {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            Self::count(&self.done);
            return Ok(());
        }
        Err("somebody is not let in".to_owned())
    }

    /// Takes three places and none of its turns, and asks for the service as fast as it can.
    async fn bot(&self, site: SocketAddr, from: Ipv4Addr, until: Instant) -> Result<(), String> {
        for _ in 0..3 {
            self.join(site, from).await?;
        }
        while now() < until {
            self.buy(site, from, "").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn configuration(backend: SocketAddr, hold: bool) -> String {
    format!(
        "[edge]\nmax_connections_per_prefix = 10000\n\n[door]\nrate = \"10/s\"\nburst = 20\n\
         prefix = {{ rate = \"5000/s\", burst = 20000 }}\n\n[quota.public]\nrate = \"2/s\"\nburst = 10\n\
         prefix = {{ rate = \"5000/s\", burst = 20000 }}\n\n[upstream.app]\naddresses = [\"{backend}\"]\n\n\
         [room.main]\nhold = {hold}\nseats = {{ floor = 8, ceiling = 8 }}\ncall = \"30s\"\n\
         poll = {{ min = \"200ms\", max = \"1s\" }}\n\n[route.main]\nupstream = \"app\"\nroom = \"main\"\n\
         quota = \"public\"\n"
    )
}

/// What becomes of a log in other hands: lines taken out, doubled, moved, changed.
fn forgeries<'t>(text: &'t str) -> Vec<String> {
    let lines: Vec<&'t str> = text.lines().collect();
    let last = lines.len() - 1;
    let with = |change: &dyn Fn(&mut Vec<&'t str>)| {
        let mut changed = lines.clone();
        change(&mut changed);
        changed.join("\n")
    };
    let mut forged = vec![
        with(&|all| _ = all.remove(0)),
        with(&|all| _ = all.remove(last / 2)),
        // The board names the last one.
        with(&|all| all.truncate(last)),
        with(&|all| all.insert(1, lines[0])),
        with(&|all| all.push(lines[last])),
        with(&|all| all.swap(last - 1, last)),
    ];
    for at in (0..text.len()).step_by(text.len() / 14) {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        forged.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    forged
}

/// The number before which `word` stands in what the command says.
fn figure(told: &str, word: &str) -> Result<u64, String> {
    let rest = told.split_once(&format!("{word} ")).map(|(_, rest)| rest);
    let digits = rest.and_then(|rest| rest.split(|it: char| !it.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("no `{word}` in {told}"))
}

/// M17: citizens and bots, and what those count who only have the log and the key.
pub(crate) async fn m17() -> Result<Judged, String> {
    let backend = Backend::selling(100_000, Duration::from_millis(200)).await?;
    let gateway = Gateway::start(&configuration(backend.address, false))?;
    let (site, truth) = (gateway.site, Arc::new(Truth::default()));
    let mut crowd = JoinSet::new();
    for at in 0..CITIZENS {
        let truth = Arc::clone(&truth);
        crowd.spawn(async move {
            tokio::time::sleep(Duration::from_millis(10 * u64::from(at))).await;
            truth.citizen(site, Ipv4Addr::new(127, 1, 1, at + 1)).await
        });
    }
    for at in 0..BOTS {
        let (truth, until) = (Arc::clone(&truth), now() + Duration::from_secs(6));
        crowd.spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            truth.bot(site, Ipv4Addr::new(127, 1, 2, at + 1), until).await
        });
    }
    while let Some(ended) = crowd.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    // A hold ends the minute: what was counted is told with it.
    gateway.configure(&configuration(backend.address, true))?;
    if !gateway.reload()?.status.success() {
        return Err("the room cannot be held".to_owned());
    }
    let text = log_with(site, "the hold", |event| event["name"] == "held").await?;
    let board = get(site, &format!("{ROOM}/board"), "").await?.body;
    let text = if log(site).await?.len() > text.len() { log(site).await? } else { text };
    let key = get(site, "/.tornello/v1/keys", "").await?.body;
    // Nothing answers any more: what is left is what was published.
    drop(gateway);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let kept = folder.path().join("board.json").display().to_string();
    std::fs::write(&kept, board).map_err(|error| error.to_string())?;
    let more = ["--key", &key, "--board", &kept];
    let Some(told) = verified(folder.path(), &text, &more)? else {
        return Ok(Judged::new(false, "the log does NOT verify".to_owned()));
    };
    let (mut worst, mut totals) = (0.0_f64, String::new());
    let truths = [
        ("arrived", &truth.arrived),
        ("queued", &truth.queued),
        ("admitted", &truth.admitted),
        ("done", &truth.done),
        ("abuse", &truth.abuse),
        ("wait", &truth.wait),
    ];
    for (word, truth) in truths {
        let (found, truth) = (figure(&told, word)?, truth.load(Relaxed));
        if truth < 100 {
            return Err(format!("{word}: only {truth}, which 1 % says nothing of"));
        }
        worst = worst.max((found as f64 - truth as f64).abs() / truth as f64);
        totals += &format!("{word} {found} of {truth}, ");
    }
    let forged = forgeries(&text);
    let mut believed = 0;
    for text in &forged {
        believed += usize::from(verified(folder.path(), text, &more)?.is_some());
    }
    Ok(Judged::new(
        worst <= 0.01 && believed == 0,
        format!(
            "{totals}off by {:.2} % at most; {believed} of {} forgeries are believed",
            worst * 100.0,
            forged.len()
        ),
    ))
}
