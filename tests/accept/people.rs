//! M13: one person with four tabs stands where one with one tab stands, and goes in once.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::backend::Backend;
use super::gateway::{Gateway, ask, get};
use super::row::Judged;

const ROOMS: &str = "/.tornello/v1/rooms/main";
/// So many with one tab, and as many with four.
const EACH: usize = 60;
const TABS: usize = 4;
/// Nobody waits longer for this row.
const PATIENCE: Duration = Duration::from_secs(60);

struct Person {
    token: String,
    tickets: Vec<String>,
    /// Signs in before anything else; else when all tabs have a place.
    known: bool,
}

#[expect(clippy::disallowed_methods, reason = "tokens carry wall time")]
fn token(issuer: &Ed25519KeyPair, person: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = json!({ "iss": "https://login.example", "aud": "bonus", "sub": person.to_string(), "exp": now + 3_600 });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&json!({ "alg": "EdDSA", "kid": "k1" })), encode(&claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(issuer.sign(message.as_bytes())))
}

async fn post(site: SocketAddr, endpoint: &str, head: &str) -> Result<(u16, Value), String> {
    let answer = ask(site, Ipv4Addr::LOCALHOST, "POST", &format!("{ROOMS}/{endpoint}"), head, "").await?;
    Ok((answer.status, serde_json::from_str(&answer.body).unwrap_or_default()))
}

impl Person {
    fn head(&self, signed_in: bool, ticket: Option<&str>) -> String {
        let token =
            if signed_in { format!("authorization: Bearer {}\r\n", self.token) } else { String::new() };
        token + &ticket.map_or_else(String::new, |ticket| format!("tornello-ticket: {ticket}\r\n"))
    }

    async fn opens_a_tab(&mut self, site: SocketAddr) -> Result<(), String> {
        let (status, joined) = post(site, "tickets", &self.head(self.known, None)).await?;
        let ticket = joined["ticket"].as_str().ok_or_else(|| format!("{status}: {joined}"))?;
        self.tickets.push(ticket.to_owned());
        Ok(())
    }

    /// Shows each of its tickets, the last one first. Returns the number that is left.
    async fn signs_in(&self, site: SocketAddr) -> Result<u64, String> {
        let mut number = 0;
        for ticket in self.tickets.iter().rev() {
            let (_, kept) = post(site, "tickets", &self.head(true, Some(ticket))).await?;
            number = kept["number"].as_u64().ok_or_else(|| kept.to_string())?;
        }
        Ok(number)
    }
}

/// Each tab asks for itself until its person was served or it is told that its place is over. Returns how
/// often one was let in, and as which of all the first time.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
async fn served(
    person: Arc<Person>,
    site: SocketAddr,
    order: Arc<AtomicUsize>,
) -> Result<(usize, usize), String> {
    let (mut times, mut rank, begun) = (0, 0, Instant::now());
    let mut open: Vec<&str> = person.tickets.iter().map(String::as_str).collect();
    while !open.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("neither let in nor told anything for {PATIENCE:?}"));
        }
        let mut left = Vec::new();
        for ticket in open {
            let head = person.head(true, Some(ticket));
            let (status, claimed) = post(site, "claims", &head).await?;
            match (status, claimed["pass"].as_str()) {
                (200, Some(pass)) => {
                    let bought = get(site, "/buy", &format!("{head}tornello-pass: {pass}\r\n")).await?;
                    if bought.status != 200 {
                        return Err(format!("inside, and answered {}", bought.status));
                    }
                    times += 1;
                    if times == 1 {
                        rank = order.fetch_add(1, Ordering::SeqCst) + 1;
                    }
                }
                (410, _) => {}
                (202 | 409, _) => left.push(ticket),
                _ => return Err(format!("{status}: {claimed}")),
            }
        }
        open = left;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What was given up helps nobody, with or without a name.
    for ticket in &person.tickets {
        let (status, claimed) = post(site, "claims", &person.head(false, Some(ticket))).await?;
        if status != 410 {
            return Err(format!("a place that is over answers {status}: {claimed}"));
        }
    }
    Ok((times, rank))
}

/// Sixty people with one tab and sixty with four come by turns, so that neither kind comes earlier. The
/// further tabs open while others come. Half of them sign in first, half when they have all their places.
pub(crate) async fn m13() -> Result<Judged, String> {
    let issuer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).map_err(|error| error.to_string())?;
    let backend = Backend::selling(10_000, Duration::from_millis(10)).await?;
    let keys = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let key = URL_SAFE_NO_PAD.encode(issuer.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": key }] });
    std::fs::write(keys.path(), set.to_string()).map_err(|error| error.to_string())?;
    let configuration = |hold: bool| {
        format!(
            "[edge]\nmax_connections_per_prefix = 10000\n\n[identity]\njwt = {{ keys = {:?}, issuer = \
             \"https://login.example\", audience = \"bonus\" }}\n\n[door]\nrate = \"1000/s\"\nburst = 10000\n\
             prefix = {{ rate = \"10000/s\", burst = 100000 }}\n\n[upstream.app]\naddresses = [\"{}\"]\n\n\
             [room.main]\none_place_per = \"person\"\nhold = {hold}\nseats = {{ floor = 3, ceiling = 3 }}\n\
             poll = {{ min = \"200ms\", max = \"1s\" }}\n\n[route.main]\nupstream = \"app\"\nroom = \"main\"\n",
            keys.path(),
            backend.address
        )
    };
    let gateway = Gateway::start(&configuration(true))?;
    let site = gateway.site;
    let mut people = Vec::new();
    for at in 0..2 * EACH {
        let mut person = Person { token: token(&issuer, at), tickets: Vec::new(), known: (at / 2) % 2 == 0 };
        person.opens_a_tab(site).await?;
        people.push(person);
        // Who came ten before opens the second tab now, and so on.
        for back in (10..TABS * 10).step_by(10) {
            if let Some(earlier) = at.checked_sub(back).filter(|earlier| has_four(*earlier)) {
                people[earlier].opens_a_tab(site).await?;
            }
        }
    }
    for person in people.iter_mut().enumerate().filter(|(at, _)| has_four(*at)).map(|(_, person)| person) {
        while person.tickets.len() < TABS {
            person.opens_a_tab(site).await?;
        }
    }
    let mut numbers = Vec::new();
    for person in &people {
        numbers.push(person.signs_in(site).await?);
    }
    if !numbers.is_sorted() {
        return Err(format!("whoever came first does not stand first: {numbers:?}"));
    }
    gateway.configure(&configuration(false))?;
    if !gateway.reload()?.status.success() {
        return Err("the hold cannot be ended".to_owned());
    }
    let order = Arc::new(AtomicUsize::new(0));
    let mut running = Vec::new();
    for person in people {
        running.push(tokio::spawn(served(Arc::new(person), site, Arc::clone(&order))));
    }
    let (mut ranks, mut most, mut unserved) = ([0.0; 2], 0, 0);
    for (at, person) in running.into_iter().enumerate() {
        let (times, rank) = person.await.map_err(|error| error.to_string())??;
        ranks[usize::from(has_four(at))] += rank as f64 / EACH as f64;
        most = most.max(times);
        unserved += usize::from(times == 0);
    }
    let sold = backend.stock.lock().unwrap().sold;
    let apart = (ranks[1] - ranks[0]) / ranks[0];
    Ok(Judged::new(
        apart.abs() <= 0.05 && most <= 1 && unserved == 0 && sold == 2 * EACH as u64,
        format!(
            "mean rank {:.1} with one tab, {:.1} with four ({:+.1} %), {most} place used by one person at most, \
             {sold} of {} served",
            ranks[0],
            ranks[1],
            apart * 100.0,
            2 * EACH
        ),
    ))
}

/// By turns, and the turns turn: who comes first of a pair has one tab in every other pair.
fn has_four(at: usize) -> bool {
    (at + at / 2) % 2 == 1
}
