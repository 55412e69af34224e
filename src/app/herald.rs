//! The herald: once a second it looks whose turn comes soon in each room with a webhook, and tells the body.
//!
//! Off the request path, and one message at a time for each room: a receiver that hangs delays those who wait
//! to be told there, and nobody else. Those not told yet stay registered, over a restart too; when a reload takes a
//! room's webhook away, they go with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admission::lane::{LaneFacts, place};
use crate::admission::reminders::Turn;
use crate::admission::room::Claim;
use crate::edge::stopped;
use crate::proxy::Proxy;
use crate::proxy::live::Room;
use crate::proxy::webhook::Webhook;
use crate::store::line::Line;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most turns in one message.
const BATCH: usize = 100;
/// Pauses before another try of the same message; then it is given up.
const PAUSES_S: [u64; 5] = [1, 2, 4, 8, 16];

/// Tells until told to stop. Of whom it tells then the next process tells again.
pub async fn tell(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    let mut telling: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = look.tick() => {}
        }
        telling.retain(|_, task| !task.is_finished());
        let live = proxy.live.load_full();
        for (name, room) in &live.rooms {
            if telling.contains_key(name) || room.line.reminders(|all| all.is_empty()) {
                continue;
            }
            let task = tell_all_due(Arc::clone(&proxy), name.clone());
            telling.insert(name.clone(), tokio::spawn(task));
        }
    }
    for task in telling.values() {
        task.abort();
    }
}

/// One message after the other, until nobody's turn is near who was not told. Each goes where the
/// configuration of that moment says.
async fn tell_all_due(proxy: Arc<Proxy>, name: String) {
    loop {
        let room = proxy.live.load().rooms.get(&name).map(Arc::clone);
        let Some((room, webhook)) = room.and_then(|room| Some((Arc::clone(&room), room.webhook.clone()?)))
        else {
            return;
        };
        let lanes = room.line.with(|line| line.lane_facts());
        let ahead = webhook.settings.ahead;
        let mut due: Vec<(Turn, LaneFacts)> = Vec::new();
        for lane in lanes {
            let (cursor, most) = (lane.id.origin() + lane.cursor, BATCH - due.len());
            let turns = room.line.reminders(|all| all.due(cursor, lane.guess, ahead, most));
            due.extend(turns.into_iter().map(|turn| (turn, lane)));
        }
        if due.is_empty() {
            return;
        }
        let numbers = due.iter().map(|(turn, _)| turn.number).collect();
        let telling = Telling { line: Arc::clone(&room.line), numbers };
        let turns: Vec<_> = due
            .iter()
            .filter(|(turn, _)| is_awaited(&room, turn))
            .map(|(turn, lane)| {
                let number = place(turn.number);
                let people = number.saturating_sub(lane.cursor + 1);
                let state = if number <= lane.cursor { "called" } else { "soon" };
                let wait = (lane.guess > 0.0).then(|| (people as f64 / lane.guess * 1000.0).round());
                json!({ "token": turn.token, "state": state, "ahead": people, "wait_ms": wait })
            })
            .collect();
        if turns.is_empty() {
            telling.settle();
            continue;
        }
        let (id, now) = (format!("{:016x}", proxy.fresh_id()), proxy.clock.unix());
        let count = turns.len() as u64;
        let body = json!({
            "v": 1, "room": room.line.name, "delivery": id, "time_ms": now.0, "turns": turns,
        });
        let taken = deliver(&proxy, &room, &webhook, &id, Bytes::from(body.to_string())).await;
        telling.settle();
        let result = if taken { "told" } else { "failed" };
        let counter = &proxy.witness.metrics.announced;
        counter.with_label_values(&[room.line.name.as_str(), result]).inc_by(count);
    }
}

/// Those of whom the body is being told. Whoever stops in the middle gives them back.
struct Telling {
    line: Arc<Line>,
    numbers: Vec<u64>,
}

impl Telling {
    fn settle(mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        self.line.reminders(|all| all.settle(numbers));
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        self.line.reminders(|all| all.give_back(numbers));
    }
}

/// Still waits, or is called and has not come.
fn is_awaited(room: &Room, turn: &Turn) -> bool {
    // Of the pass nothing is known here: a number that is used counts as over.
    let claim = room.line.with(|line| line.look(turn.number, &[0; 16]));
    matches!(claim, Claim::Waiting { .. } | Claim::Late { .. })
}

/// Tries the same message until it is taken, a few times; not after the end of the event.
async fn deliver(proxy: &Proxy, room: &Room, webhook: &Webhook, id: &str, body: Bytes) -> bool {
    let (line, room) = (&room.line, room.line.name.as_str());
    let mut pauses = PAUSES_S.into_iter();
    loop {
        if line.ended().is_some() {
            return false;
        }
        let Err(not) = webhook.post(id, Bytes::clone(&body), proxy.clock.unix()).await else { return true };
        let Some(pause) = pauses.next().filter(|_| not.again) else {
            tracing::warn!(room, delivery = id, why = not.why, "the webhook did not take whose turn comes");
            return false;
        };
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
}
