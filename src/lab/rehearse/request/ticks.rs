//! Samples of a rehearsed leg, as often as those of a live one.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::gateway::Gateway;
use crate::admission::Moment;
use crate::clock::Clock;
use crate::lab::account::{TICK_MS, Tick};
use crate::lab::origin::OriginHandle;
use crate::lab::tally::Tally;

/// What samples are taken of.
pub(super) struct Watched<'a> {
    pub(super) tally: &'a Tally,
    pub(super) origin: &'a OriginHandle,
    pub(super) gateway: Option<&'a Gateway>,
    pub(super) clock: Clock,
}

/// Does `work`, and samples until it is done and once more.
pub(super) async fn while_sampled<T>(watched: &Watched<'_>, work: impl Future<Output = T>) -> (T, Vec<Tick>) {
    let began = watched.clock.now();
    let mut ticks = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(TICK_MS));
    let mut work = pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            _ = beat.tick() => ticks.push(watched.tick(began)),
        }
    };
    ticks.push(watched.tick(began));
    (done, ticks)
}

impl Watched<'_> {
    fn tick(&self, began: Moment) -> Tick {
        let (now, count, truth) = (self.clock.now(), self.tally.count(), self.origin.truth());
        let times = self.tally.ledger().page_times();
        let mut tick = Tick {
            at_s: now.since(began).as_secs_f64(),
            arrived: count.arrived,
            waiting: count.waiting,
            completed: count.completed,
            gave_up: count.gave_up,
            in_flight: self.origin.in_flight(),
            received: truth.pool_requests,
            bots_served: count.bots_served,
            useful: truth.useful,
            useful_work_s: truth.busy_s - truth.wasted_s,
            capacity: self.origin.slots() as f64,
            p50_s: times.map(|(median, _)| median.as_secs_f64()),
            p99_s: times.map(|(_, slow)| slow.as_secs_f64()),
            ..Tick::default()
        };
        if let Some(life) = self.gateway.and_then(Gateway::alive) {
            self.gauges(&mut tick, &life.proxy.live.load(), now);
        }
        tick
    }

    /// Sums over the rooms; of the upstreams behind them the lowest limit, which seats follow.
    fn gauges(&self, tick: &mut Tick, live: &crate::proxy::live::Live, now: Moment) {
        if live.rooms.is_empty() {
            return;
        }
        let facts: Vec<_> = live.rooms.values().map(|room| room.line.facts(&room.settings.policy)).collect();
        tick.issued = Some(facts.iter().map(|room| room.issued).sum());
        tick.called = Some(facts.iter().map(|room| room.cursor).sum());
        tick.seats = Some(facts.iter().map(|room| u64::from(room.seats)).sum());
        tick.active = Some(facts.iter().map(|room| room.active as u64).sum());
        let behind: BTreeSet<&str> = live
            .rooms
            .values()
            .flat_map(|room| room.clusters.iter().map(|cluster| cluster.name.as_str()))
            .collect();
        let limits = behind.iter().filter_map(|name| live.clusters.get(*name));
        tick.limit = limits.map(|cluster| u64::from(cluster.gate.facts(now).limit)).min();
    }
}
