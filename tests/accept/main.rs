//! Acceptance: every row M1 to M25 of what a click day demands, measured with the real binary.
//!
//! `make accept` runs all of them and fails if one that was met before is not met any more
//! (`met.txt`); `make test` runs the short ones. Nothing is skipped in silence.
//!
//! Options: `--full`, `--write-met`, names of rows.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod backend;
mod baseline;
mod books;
mod canaries;
#[path = "../integration/daemon.rs"]
mod daemon;
mod days;
mod drivers;
mod gateway;
mod judge;
mod lanes;
mod limits;
mod lots;
#[path = "../integration/nginx.rs"]
mod nginx;
mod people;
mod proofs;
mod returns;
mod row;
mod stage;
mod stock;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;

use days::Days;
use row::{Judged, ROWS, Standing, Takes};

/// Without faults: what is asked is how soon the limit is found.
fn calm(scenario: &mut toml::Table) {
    scenario.remove("fault");
}

/// Only the fault of the pool.
fn swing(scenario: &mut toml::Table) {
    if let Some(toml::Value::Array(faults)) = scenario.get_mut("fault") {
        faults.retain(|fault| fault.get("kill").is_none());
    }
}

/// Work of one length, and time to see the end. Where lengths are exponential, nine workers serve 45 a second
/// give or take seven; what arrives follows what is served, and is above 1.1 times the mean in some second
/// whoever stands before them.
fn alike(scenario: &mut toml::Table) {
    scenario.insert("horizon_s".to_owned(), 100.into());
    let Some(toml::Value::Array(endpoints)) = scenario.get_mut("endpoint") else { return };
    let work = toml::Table::from_iter([("law".to_owned(), "fixed".into()), ("s".to_owned(), 0.2.into())]);
    for endpoint in endpoints.iter_mut().filter_map(toml::Value::as_table_mut) {
        if endpoint.contains_key("pool") {
            endpoint.insert("service_s".to_owned(), work.clone().into());
        }
    }
}

/// 500 people behind one address, and 500 with addresses of their own.
fn one_address(scenario: &mut toml::Table) {
    calm(scenario);
    let Some(toml::Value::Array(classes)) = scenario.get_mut("class") else { return };
    classes.truncate(1);
    let Some(toml::Value::Table(shared)) = classes.first_mut() else { return };
    for (key, value) in [("hang_up", 0.0), ("change_ip", 0.0), ("nat_share", 1.0)] {
        shared.insert(key.to_owned(), value.into());
    }
    shared.insert("people".to_owned(), 500.into());
    shared.insert("nat_addresses".to_owned(), 1.into());
    let mut own = shared.clone();
    own.insert("id".to_owned(), "own".into());
    own.insert("nat_share".to_owned(), 0.0.into());
    classes.push(own.into());
}

/// What an operator would write for S-CB, with a first guess at the limit.
fn guess(initial: u32) -> String {
    format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n\n[edge]\nmax_connections_per_prefix = 20000\n\n\
         [door]\nprefix = {{ rate = \"5000/s\", burst = 10000 }}\n\n\
         [upstream.cards]\naddresses = [\"127.0.0.1:1\"]\nannounce_limit = true\n\
         limit = {{ initial = {initial}, floor = 2, ceiling = 400, latency = \"150ms\", wait = \"400ms\" }}\n\n\
         [upstream.rest]\naddresses = [\"127.0.0.1:1\"]\n\n\
         [room.wallet]\ncall = \"30s\"\nidle = \"30s\"\nsession = \"90s\"\nseats = {{ floor = 4 }}\n\
         poll = {{ min = \"250ms\", max = \"6s\", divisor = 10 }}\n\n\
         [route.wallet]\npath = \"/wallet\"\nupstream = \"cards\"\nroom = \"wallet\"\ntimeout = \"10s\"\n\n\
         [route.rest]\npath = \"/\"\nupstream = \"rest\"\n"
    )
}

async fn measure(name: &str, days: &mut Days) -> Result<Judged, String> {
    match name {
        "M1" => judge::m1(&days.shipped("s-cb")?),
        "M2" => judge::m2(&days.shipped("s-cb")?),
        "M3" => judge::m3(&days.shipped("s-cb")?),
        "M4" => {
            let high = days.variant("limit × 4", "s-cb", calm, Some(&guess(48)))?;
            let low = days.variant("limit ÷ 4", "s-cb", calm, Some(&guess(3)))?;
            let swing = days.variant("pool 12-6-12", "s-cb", swing, Some(&guess(12)))?;
            judge::m4(&high, &low, &swing)
        }
        "M5" => judge::m5(&days.shipped("s-cb")?),
        "M6" => judge::m6(&days.shipped("s-cb")?),
        "M7" => judge::m7(&days.shipped("s-cb")?),
        "M8" => lots::m8().await,
        "M9" => judge::m9(&days.protected("s-bb")?),
        "M10" => judge::m10(&days.protected("s-bb")?),
        "M11" => limits::m11().await,
        "M12" => {
            let [inside, spread, first, error_s] = judge::honesty(&days.shipped("s-cb")?)?;
            let (oldest_s, reasoned) = drivers::datum().await?;
            let pause = if reasoned { "pause with reason" } else { "pause WITHOUT reason" };
            Ok(Judged::new(
                inside >= 0.80 && spread <= 2.0 + 1e-6 && oldest_s <= 2.0 && reasoned,
                format!(
                    "{:.1} % inside, ends a factor of {spread:.2} apart ({:.1} % of what was told first, {error_s:+.1} s \
                     on average), datum {oldest_s:.1} s old at most, {pause}",
                    inside * 100.0,
                    first * 100.0
                ),
            ))
        }
        "M13" => people::m13().await,
        "M14" => stock::m14().await,
        "M15" => {
            let leaked = judge::foreign(&days.protected("s-in")?)?;
            let seen = canaries::play().await?;
            let (own, none) = (seen.own.load(Relaxed), seen.none.load(Relaxed));
            let foreign = leaked + seen.foreign.load(Relaxed) as f64;
            let all = own + none;
            if own < 1_000_000 {
                return Err(format!("only {own} answers carried a canary"));
            }
            Ok(Judged::new(
                foreign.abs() < f64::EPSILON,
                format!("{foreign:.0} foreign in S-IN and {all} answers"),
            ))
        }
        "M16" => books::m16().await,
        "M17" => books::m17().await,
        "M18" => drivers::m18().await,
        "M19" => lanes::m19().await,
        "M20" => drivers::m20().await,
        "M21" => returns::m21(),
        "M22" => judge::m22(&days.variant("s-in, all work alike", "s-in", alike, None)?, 45.0, 30.0),
        "M23" => {
            let gain = judge::bots(&days.shipped("s-cb")?)?;
            let day = days.variant("one address", "s-cb", one_address, None)?;
            judge::m23(gain, &day)
        }
        "M24" => proofs::m24().await,
        "M25" => drivers::m25().await,
        _ => Err("there is no such row".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let wanted: BTreeSet<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let before = baseline::names(&std::fs::read_to_string(baseline::file()).unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut days, mut judged, mut lost) = (Days::default(), Vec::new(), Vec::new());
    let chosen = |name: &str| if wanted.is_empty() { true } else { wanted.contains(name) };
    println!("\nrunning {} rows", ROWS.iter().filter(|row| chosen(row.name)).count());
    for row in ROWS.iter().filter(|row| chosen(row.name)) {
        if row.takes == Takes::Long && !flag("--full") && wanted.is_empty() {
            println!("{:<4} not run here: make accept ({})", row.name, row.target);
            continue;
        }
        let found = runtime.block_on(measure(row.name, &mut days));
        let found = found.unwrap_or_else(|why| Judged::new(false, format!("could not be measured: {why}")));
        let fell = baseline::lost(row.name, &found, &before);
        let mark = if fell { "  <- was met before" } else { "" };
        println!("{:<4} {} {} ({}){mark}", row.name, found.standing, found.measured, row.target);
        judged.push((row.name, found.standing));
        if fell {
            lost.push(row.name);
        }
    }
    if flag("--write-met") {
        std::fs::write(baseline::file(), baseline::text(&before, &judged)).unwrap();
        lost.clear();
    }
    let count = |standing| judged.iter().filter(|(_, it)| *it == standing).count();
    println!("\n{} met, {} missed", count(Standing::Met), count(Standing::Missed));
    let verdict = if lost.is_empty() { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {} passed; {} failed", judged.len() - lost.len(), lost.len());
    if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
