//! Lots: those who come before an opening, as fast as they can, have numbers that owe nothing to when they
//! came, and the command draws the same from what was published.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tornello::proof::draw::reveal::commitment;
use tornello::proof::hex;

use super::backend::Backend;
use super::gateway::{Answer, Gateway, PROGRAM, ask, get};
use super::row::Judged;

const ROOM: &str = "/.tornello/v1/rooms/lots";
/// Who comes, in order of arrival.
const PEOPLE: usize = 2_000;
const AT_ONCE: usize = 50;
const OPENS_IN: Duration = Duration::from_secs(25);

/// The moment so far ahead.
#[expect(clippy::disallowed_methods, reason = "a real gateway opens at a real time")]
fn ahead(time: Duration) -> Result<Timestamp, String> {
    Timestamp::try_from(SystemTime::now() + time).map_err(|error| error.to_string())
}

/// Two parties' secrets, by the system's chance: another draw each time.
fn parties() -> Result<(String, String), String> {
    let (mut promised, mut told) = (Vec::new(), Vec::new());
    for name in ["office", "notary"] {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
        let (outside, promise) = (name == "notary", hex(&commitment("lots", name, &secret)));
        promised.push(format!("{{ name = \"{name}\", outside = {outside}, commitment = \"{promise}\" }}"));
        told.push(json!({ "name": name, "secret": hex(&secret) }));
    }
    Ok((promised.join(", "), json!({ "reveals": told }).to_string()))
}

async fn until<F: Future<Output = Result<bool, String>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<(), String> {
    for _ in 0..2 * OPENS_IN.as_secs() * 10 {
        if look().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("waited in vain until {what}"))
}

async fn join(site: SocketAddr) -> Result<String, String> {
    loop {
        let Answer { body, .. } =
            ask(site, Ipv4Addr::LOCALHOST, "POST", &format!("{ROOM}/tickets"), "", "").await?;
        let told: Value = serde_json::from_str(&body).unwrap_or_default();
        match (told["state"].as_str(), told["ticket"].as_str()) {
            (Some("prequeue"), Some(ticket)) => return Ok(ticket.to_owned()),
            (Some(state), _) => return Err(format!("{state}: too slow to come before the opening")),
            // The disk is busy.
            (None, _) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// One-sample Kolmogorov-Smirnov: the probability of a distance as large as that of the first half's numbers
/// from those of everybody.
fn ks(early: &[u64], all: usize) -> f64 {
    let mut ranks: Vec<f64> = early.iter().map(|number| *number as f64 / all as f64).collect();
    ranks.sort_by(f64::total_cmp);
    let n = ranks.len() as f64;
    let distance = ranks.iter().zip(0_u32..).map(|(rank, at)| {
        let at = f64::from(at);
        (rank - at / n).abs().max(((at + 1.0) / n - rank).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    let lambda = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance;
    let term = |k: u32| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sign * (-2.0 * f64::from(k * k) * lambda * lambda).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// M8. An honest draw has so small a p once in a hundred times: then there is another, and only who has it
/// twice is missed.
pub(crate) async fn m8() -> Result<Judged, String> {
    let (last_word, first) = drawn().await?;
    if last_word {
        return Ok(first);
    }
    let (_, second) = drawn().await?;
    Ok(Judged { measured: format!("{}; before it {}", second.measured, first.measured), ..second })
}

/// One draw, and whether that is the last word: only a small p is no reason to believe it.
async fn drawn() -> Result<(bool, Judged), String> {
    let (backend, (promised, told)) = (Backend::start().await?, parties()?);
    let more = format!(
        "[door]\nrate = \"1000/s\"\nburst = 100000\n\n[upstream.app]\naddresses = [\"{}\"]\n\n\
         [room.lots]\nopens_at = \"{}\"\nprequeue = \"1h\"\ndraw = \"parties\"\nparties = [{promised}]\n\
         seats = {{ ceiling = 1 }}\n\n[route.main]\nupstream = \"app\"\nroom = \"lots\"\n",
        backend.address,
        ahead(OPENS_IN)?,
    );
    let gateway = Gateway::start(&more)?;
    let mut tickets = Vec::new();
    while tickets.len() < PEOPLE {
        let mut wave: JoinSet<_> = (0..AT_ONCE).map(|_| join(gateway.site)).collect();
        while let Some(ticket) = wave.join_next().await {
            tickets.push(ticket.map_err(|error| error.to_string())??);
        }
    }
    let board = || async {
        let body = get(gateway.site, &format!("{ROOM}/board"), "").await?.body;
        serde_json::from_str::<Value>(&body).map_err(|error| error.to_string())
    };
    until("those who came are committed to", || async { Ok(board().await?["board"]["draw"].is_string()) })
        .await?;
    let given = ask(gateway.admin, Ipv4Addr::LOCALHOST, "POST", "/rooms/lots/draw", "", &told).await?;
    if given.status != 200 {
        return Err(format!("the secrets are not taken: {}", given.body));
    }
    until("the room opens", || async { Ok(board().await?["board"]["state"] != "held") }).await?;
    let mut numbers = Vec::new();
    for ticket in &tickets {
        let head = format!("tornello-ticket: {ticket}\r\n");
        let told: Value =
            serde_json::from_str(&get(gateway.site, &format!("{ROOM}/ticket"), &head).await?.body)
                .unwrap_or_default();
        numbers.push(told["number"].as_u64().filter(|number| *number > 0).ok_or("a place has no number")?);
    }
    let mut text = get(gateway.site, &format!("{ROOM}/draw"), "").await?.body;
    for part in 0..PEOPLE.div_ceil(1_000) {
        text += &get(gateway.site, &format!("{ROOM}/draw/tickets/{part}"), "").await?.body;
    }
    let key = get(gateway.site, "/.tornello/v1/keys", "").await?.body;
    // Nothing answers any more: what is left is what was published.
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    drop(gateway);
    let file = folder.path().join("draw.jsonl");
    let believes = |text: &str| {
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        let done = Command::new(PROGRAM).args(["verify", "draw"]).arg(&file).args(["--key", &key]).output();
        Ok::<_, String>(done.map_err(|error| error.to_string())?.status.success())
    };
    let good = believes(&text)?;
    let mut forged = 0_usize;
    for at in (0..text.len()).step_by(text.len() / 20) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        forged += usize::from(believes(&String::from_utf8_lossy(&bytes))?);
    }
    let published: Vec<u64> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["number"].as_u64())
        .collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    let each = sorted.iter().copied().eq(1..=PEOPLE as u64);
    let mut listed = published.clone();
    listed.sort_unstable();
    let p = ks(&numbers[..PEOPLE / 2], PEOPLE);
    let (fair, whole) = (p > 0.01, good && forged == 0 && each && listed == sorted);
    let judged = Judged::new(
        whole && fair,
        format!(
            "{PEOPLE} drawn, KS p {p:.2} for the earlier half; the command draws {} and believes {forged} of 20 forgeries",
            if good { "the same" } else { "something ELSE" }
        ),
    );
    Ok((fair || !whole, judged))
}
