//! A program that asks at its own rate, whatever the answer: an open loop with as many connections as
//! unanswered requests need.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::task::JoinSet;

use super::client::Client;
use super::crowd::World;
use super::law::seconds;
use super::origin::{PERSON, STEP, canary};
use super::plan::bot_address;
use super::room::{self, Offer};
use super::scenario::Bots;

/// Most requests of one bot without an answer; beyond, a beat is skipped.
const UNANSWERED_MAX: usize = 64;

/// One bot. `owner` is the identity under which it asks.
pub(super) struct Bot {
    pub(super) world: Arc<World>,
    pub(super) bots: Bots,
    pub(super) number: u64,
    pub(super) owner: u64,
    pub(super) arrival: Duration,
    pub(super) timeout: Duration,
}

impl Bot {
    /// Asks until dropped.
    pub(super) async fn live(self) {
        tokio::time::sleep(self.world.began.after(self.arrival).since(self.world.clock.now())).await;
        let address = bot_address(self.owner);
        let mut beat =
            tokio::time::interval(seconds(1.0 / self.bots.rate_rps).max(Duration::from_micros(100)));
        let mut idle: Vec<Client> = Vec::new();
        let mut asking: JoinSet<Client> = JoinSet::new();
        let mut sent: u32 = 0;
        loop {
            tokio::select! {
                // In order, so that a seed decides all.
                biased;
                Some(done) = asking.join_next() => idle.extend(done),
                _ = beat.tick() => {
                    if asking.len() < UNANSWERED_MAX && let Some(request) = self.request(sent) {
                        sent = sent.wrapping_add(1);
                        let ledger = self.world.tally.ledger();
                        let client =
                            idle.pop().unwrap_or_else(|| Client::new(&self.world.target, address, ledger));
                        let canary = canary(self.world.seed, self.owner);
                        asking.spawn(ask(Arc::clone(&self.world), client, request, self.timeout, canary));
                    }
                }
            }
        }
    }

    fn request(&self, sent: u32) -> Option<Request<Full<Bytes>>> {
        let turn = usize::try_from(sent).unwrap_or(0) % self.bots.steps.len().max(1);
        let endpoint = self.world.scenario.endpoints.get(*self.bots.steps.get(turn)?)?;
        // Steps of bots of one owner must not look like repeats of each other.
        let step = u32::try_from(self.number).unwrap_or(0).wrapping_shl(22) | (sent & 0x003F_FFFF);
        Request::builder()
            .uri(endpoint.path.as_str())
            .header(http::header::HOST, self.world.host.clone())
            .header(http::header::ACCEPT, "*/*")
            .header(PERSON, self.owner)
            .header(STEP, step)
            .body(Full::new(Bytes::new()))
            .ok()
    }
}

async fn ask(
    world: Arc<World>,
    mut client: Client,
    request: Request<Full<Bytes>>,
    timeout: Duration,
    canary: String,
) -> Client {
    world.tally.bot_request();
    if let Ok(reply) = client.ask(&request, timeout).await
        && reply.status.is_success()
        && room::offer(&reply) == Offer::Nothing
    {
        world.tally.bot_served();
        let body = String::from_utf8_lossy(&reply.body);
        world.tally.foreign(u64::from(body.contains("canary=") && !body.contains(&canary)));
    }
    client
}
