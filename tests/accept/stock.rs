//! M14: what people wait for ends while they wait.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::gateway::{Gateway, ask, get};
use super::row::Judged;

const ROOMS: &str = "/.tornello/v1/rooms/main";
const PEOPLE: usize = 120;
const UNITS: u64 = 20;
/// Nobody waits longer for this row.
const PATIENCE: Duration = Duration::from_secs(60);

/// 120 people for 20 units; each asks five times a second.
pub(crate) async fn m14() -> Result<Judged, String> {
    let backend = Backend::selling(UNITS, Duration::from_millis(100)).await?;
    let gateway = Gateway::start(&format!(
        "[edge]\nmax_connections_per_prefix = 10000\n\n[door]\nrate = \"1000/s\"\nburst = 10000\n\
         prefix = {{ rate = \"10000/s\", burst = 100000 }}\n\n[upstream.app]\naddresses = [\"{}\"]\n\n\
         [room.main]\nseats = {{ floor = 5, ceiling = 5 }}\npoll = {{ min = \"200ms\", max = \"1s\" }}\n\n\
         [route.main]\nupstream = \"app\"\nroom = \"main\"\n",
        backend.address
    ))?;
    let mut people = tokio::task::JoinSet::new();
    for _ in 0..PEOPLE {
        people.spawn(wait_and_buy(gateway.site));
    }
    let ended = people.join_all().await.into_iter().collect::<Result<Vec<_>, String>>()?;
    let told: Vec<Instant> = ended.iter().filter_map(|told| *told).collect();
    let stock = backend.stock.lock().unwrap();
    let exhausted = stock.exhausted.ok_or_else(|| format!("only {} of {UNITS} were sold", stock.sold))?;
    let last = told.iter().map(|told| told.saturating_duration_since(exhausted)).max().unwrap_or_default();
    let early = told.iter().filter(|told| **told < exhausted).count();
    let all = told.len() + usize::try_from(stock.sold).unwrap_or(0) == PEOPLE;
    Ok(Judged::new(
        all && early == 0 && stock.oversold == 0 && stock.sold == UNITS && last.as_secs_f64() <= 2.0,
        format!(
            "{} sold of {UNITS}, {} oversold, {} of {} told so, the last after {:.2} s, {early} before it was true",
            stock.sold,
            stock.oversold,
            told.len(),
            PEOPLE - usize::try_from(stock.sold).unwrap_or(0),
            last.as_secs_f64()
        ),
    ))
}

/// When it was told that nothing is left; `None` if it bought.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
async fn wait_and_buy(site: SocketAddr) -> Result<Option<Instant>, String> {
    let post = async |endpoint: &str, head: &str| {
        ask(site, Ipv4Addr::LOCALHOST, "POST", &format!("{ROOMS}/{endpoint}"), head, "").await
    };
    let joined = post("tickets", "").await?;
    let json: serde_json::Value = serde_json::from_str(&joined.body).unwrap_or_default();
    let ticket = json["ticket"].as_str().ok_or_else(|| format!("no ticket: {}", joined.body))?;
    let head = format!("tornello-ticket: {ticket}\r\n");
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let claimed = post("claims", &head).await?;
        let json: serde_json::Value = serde_json::from_str(&claimed.body).unwrap_or_default();
        match (claimed.status, json["reason"].as_str(), json["pass"].as_str()) {
            (200, _, Some(pass)) => {
                let bought = get(site, "/buy", &format!("tornello-pass: {pass}\r\n")).await?;
                return if bought.status == 200 { Ok(None) } else { Err(bought.body) };
            }
            (410, Some("sold_out"), _) => return Ok(Some(Instant::now())),
            (202 | 409, ..) => tokio::time::sleep(Duration::from_millis(200)).await,
            (status, ..) => return Err(format!("{status}: {}", claimed.body)),
        }
    }
    Err(format!("neither let in nor told anything for {PATIENCE:?}"))
}
