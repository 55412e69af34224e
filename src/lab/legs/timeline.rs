//! The leg while it is played, sampled four times a second: the crowd's counters, the origin's, the
//! gateway's gauges, the processes' memory.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::gateway::ask;
use super::origin_process::Look;
use crate::config::Settings;
use crate::lab::Tally;
use crate::lab::account::Tick;

/// Where the gauges of a gateway are, and which of them are about something scarce.
#[derive(Clone, Debug)]
pub(super) struct Gauges {
    pub(super) admin: SocketAddr,
    rooms: BTreeSet<String>,
    upstreams: BTreeSet<String>,
}

/// What a gateway says of itself. Sums over its rooms; of the upstreams behind them the lowest limit,
/// which is the one that seats follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    issued: Option<u64>,
    called: Option<u64>,
    seats: Option<u64>,
    active: Option<u64>,
    limit: Option<u64>,
}

impl Gauges {
    /// Of the gateway that runs with these settings.
    pub(super) fn new(admin: SocketAddr, settings: &Settings) -> Self {
        let behind =
            settings.routes.values().filter_map(|route| Some((route.room.clone()?, route.upstream.clone())));
        let (rooms, upstreams) = behind.unzip();
        Self { admin, rooms, upstreams }
    }

    /// Asks the gateway. Nothing if it does not answer: it may be dead just now.
    pub(super) async fn read(&self) -> Option<Reading> {
        let text = ask(self.admin, "/status").await.ok()?;
        Some(self.reading(&serde_json::from_str(&text).ok()?))
    }

    fn reading(&self, status: &Value) -> Reading {
        let one = |table: &str, name: &str, key: &str| status.get(table)?.get(name)?.get(key)?.as_u64();
        let sum = |key: &str| {
            let rooms = self.rooms.iter().map(|name| one("rooms", name, key));
            rooms.reduce(|sum, one| Some(sum? + one?)).flatten()
        };
        Reading {
            issued: sum("issued"),
            called: sum("cursor"),
            seats: sum("seats"),
            active: sum("active"),
            limit: self.upstreams.iter().filter_map(|name| one("upstreams", name, "limit")).min(),
        }
    }
}

/// One sample.
pub(super) fn tick(at: Duration, tally: &Tally, look: &Look, reading: Option<Reading>) -> Tick {
    let (count, reading) = (tally.count(), reading.unwrap_or_default());
    let times = tally.ledger().page_times();
    Tick {
        at_s: at.as_secs_f64(),
        arrived: count.arrived,
        waiting: count.waiting,
        completed: count.completed,
        gave_up: count.gave_up,
        issued: reading.issued,
        called: reading.called,
        seats: reading.seats,
        active: reading.active,
        limit: reading.limit,
        in_flight: look.in_flight,
        received: look.received,
        bots_served: count.bots_served,
        useful: look.useful,
        useful_work_s: look.useful_work_s,
        capacity: look.slots as f64,
        p50_s: times.map(|(median, _)| median.as_secs_f64()),
        p99_s: times.map(|(_, slow)| slow.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_of_the_rooms_and_of_what_is_behind_them() {
        let gauges = Gauges {
            admin: ([127, 0, 0, 1], 1).into(),
            rooms: ["a".to_owned()].into(),
            upstreams: ["x".to_owned(), "y".to_owned()].into(),
        };
        let status = serde_json::json!({
            "rooms": { "a": { "issued": 5, "cursor": 3, "seats": 9, "active": 2 } },
            "upstreams": { "x": { "limit": 20 }, "y": { "limit": 30 }, "rest": { "limit": 500 } },
        });
        let reading = gauges.reading(&status);
        let whole =
            Reading { issued: Some(5), called: Some(3), seats: Some(9), active: Some(2), limit: Some(20) };
        assert_eq!(reading, whole);
        assert_eq!(gauges.reading(&Value::Null), Reading::default());
    }
}
