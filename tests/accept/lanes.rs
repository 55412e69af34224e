//! M19: people, offices and a desk before one room, each in a lane of its own: shares by weight, what one lane
//! does not use is lent, and nobody chooses a lane.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::backend::Backend;
use super::gateway::{Gateway, ask};
use super::row::Judged;

const ROOMS: &str = "/.tornello/v1/rooms/main";
/// Name, weight, people, and the address that they come from: the proxy's that vouches for offices, the desk's.
const LANES: [(&str, u64, usize, Ipv4Addr); 3] = [
    ("citizens", 5, 500, Ipv4Addr::new(127, 0, 0, 1)),
    ("offices", 3, 300, Ipv4Addr::new(127, 0, 0, 2)),
    ("desk", 2, 60, Ipv4Addr::new(127, 0, 0, 3)),
];
const SEATS: usize = 20;
/// Nobody waits longer for this row.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who went in, in order, and when.
type Order = Arc<Mutex<Vec<(usize, Instant)>>>;

fn configuration(backend: SocketAddr, hold: bool) -> String {
    format!(
        "[edge]\nmax_connections_per_prefix = 10000\ntrusted_proxies = [\"127.0.0.2\"]\n\n\
         [door]\nrate = \"1000/s\"\nburst = 10000\nprefix = {{ rate = \"10000/s\", burst = 100000 }}\n\n\
         [upstream.app]\naddresses = [\"{backend}\"]\n\n\
         [room.main]\nhold = {hold}\nseats = {{ floor = {SEATS}, ceiling = {SEATS} }}\n\
         poll = {{ min = \"200ms\", max = \"1s\" }}\n\
         lanes = [{{ name = \"citizens\", weight = 5 }}, \
         {{ name = \"offices\", weight = 3, header = \"x-channel\", value = \"office\" }}, \
         {{ name = \"desk\", weight = 2, addresses = [\"127.0.0.3\"] }}]\n\n\
         [route.main]\nupstream = \"app\"\nroom = \"main\"\n"
    )
}

struct Person {
    lane: usize,
    ticket: String,
}

impl Person {
    /// Comes, and must be put in the lane that is proved. Everybody says to be an office; only of those whom
    /// the trusted proxy says it of it counts.
    async fn join(site: SocketAddr, lane: usize) -> Result<Self, String> {
        let (name, _, _, from) = LANES[lane];
        let joined = post(site, from, "tickets", "x-channel: office\r\n").await?;
        match (joined["ticket"].as_str(), joined["lane"].as_str()) {
            (Some(ticket), Some(given)) if given == name => Ok(Self { lane, ticket: ticket.to_owned() }),
            _ => Err(format!("a person of `{name}` is told {joined}")),
        }
    }

    /// Asks until it is in, and is served. What it says of other channels meanwhile changes nothing.
    #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
    async fn goes_in(self, site: SocketAddr, order: Order) -> Result<(), String> {
        let (name, from, begun) = (LANES[self.lane].0, LANES[self.lane].3, Instant::now());
        let head = format!("tornello-ticket: {}\r\nx-channel: desk\r\n", self.ticket);
        while begun.elapsed() < PATIENCE {
            let claimed = post(site, from, "claims", &head).await?;
            if let Some(pass) = claimed["pass"].as_str() {
                order.lock().unwrap().push((self.lane, Instant::now()));
                let pass = format!("tornello-pass: {pass}\r\n");
                let bought = ask(site, from, "GET", "/buy", &pass, "").await?;
                return if bought.status == 200 { Ok(()) } else { Err(bought.body) };
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        Err(format!("{name}: not let in within {PATIENCE:?}"))
    }
}

async fn post(site: SocketAddr, from: Ipv4Addr, endpoint: &str, head: &str) -> Result<Value, String> {
    let answer = ask(site, from, "POST", &format!("{ROOMS}/{endpoint}"), head, "").await?;
    Ok(serde_json::from_str(&answer.body).unwrap_or_default())
}

/// Parts of those who went in, in points, that differ most from the weights of `lanes`.
fn apart(went_in: &[(usize, Instant)], lanes: &[usize]) -> f64 {
    let sum: u64 = lanes.iter().map(|lane| LANES[*lane].1).sum();
    let apart = |lane: &usize| {
        let part = went_in.iter().filter(|(who, _)| who == lane).count() as f64 / went_in.len().max(1) as f64;
        100.0 * (part - LANES[*lane].1 as f64 / sum as f64).abs()
    };
    lanes.iter().map(apart).fold(0.0, f64::max)
}

/// The longest time in which nobody of a lane went in though somebody waited.
fn longest(went_in: &[(usize, Instant)], lane: usize) -> Duration {
    let mut last = went_in.first().map(|(_, first)| *first);
    let mut longest = Duration::ZERO;
    for (_, at) in went_in.iter().filter(|(who, _)| *who == lane) {
        longest = longest.max(last.map_or(Duration::ZERO, |last| *at - last));
        last = Some(*at);
    }
    longest
}

fn per_second(went_in: &[(usize, Instant)]) -> f64 {
    let (Some((_, first)), Some((_, last))) = (went_in.first(), went_in.last()) else { return 0.0 };
    went_in.len() as f64 / (*last - *first).as_secs_f64().max(0.001)
}

/// All come while nobody is called. The desk has so few people that its lane runs dry half-way.
pub(crate) async fn m19() -> Result<Judged, String> {
    let backend = Backend::selling(100_000, Duration::from_millis(250)).await?;
    let gateway = Gateway::start(&configuration(backend.address, true))?;
    let site = gateway.site;
    let mut waiting = Vec::new();
    for (lane, (_, _, people, _)) in LANES.into_iter().enumerate() {
        for _ in 0..people {
            waiting.push(Person::join(site, lane).await?);
        }
    }
    gateway.configure(&configuration(backend.address, false))?;
    if !gateway.reload()?.status.success() {
        return Err("the hold cannot be ended".to_owned());
    }
    let (order, mut people) = (Order::default(), tokio::task::JoinSet::new());
    for person in waiting {
        people.spawn(person.goes_in(site, Arc::clone(&order)));
    }
    people.join_all().await.into_iter().collect::<Result<Vec<()>, String>>()?;
    let order = std::mem::take(&mut *order.lock().unwrap());
    let dry = order.iter().rposition(|(lane, _)| *lane == 2).map_or(0, |last| last + 1);
    let end = order.len() - 3 * SEATS;
    // What fills the empty room at once says nothing of the pace, nor do the last ones.
    let (all, lent) = (&order[..dry], &order[dry.min(end)..end]);
    let (with, without) = (apart(all, &[0, 1, 2]), apart(lent, &[0, 1]));
    let (before, after) = (per_second(&all[SEATS.min(dry)..]), per_second(lent));
    let longest =
        (0..LANES.len()).map(|lane| longest(all, lane)).max().unwrap_or(Duration::MAX).as_secs_f64();
    Ok(Judged::new(
        with <= 2.0 && without <= 2.0 && after >= 0.9 * before && longest <= 2.0,
        format!(
            "5 : 3 : 2 within {with:.1} points of {} let in; the desk gone, 5 : 3 within {without:.1} of {}, and \
             {after:.0} a second instead of {before:.0}; nobody of a lane went in for {longest:.1} s at most; none \
             of {} chose a lane",
            all.len(),
            lent.len(),
            order.len()
        ),
    ))
}
