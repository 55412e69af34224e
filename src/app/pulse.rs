//! The pulse: ten times a second rooms take a step, the journal is written, boards
//! go up, metrics are set.
//!
//! A room's cursor is published only when it is on the disk. If the disk fails, or does not answer, every
//! room is held and says so; those inside go on, and limits are found as before.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::chronicle;
use crate::admission::knee::{self, KneeFacts, PhaseName};
use crate::admission::lane::LaneFacts;
use crate::admission::room::{Load, RoomFacts, RoomMarks};
use crate::admission::{Class, Moment};
use crate::config::quiet;
use crate::edge::stopped;
use crate::proxy::Proxy;
use crate::proxy::board::{self, Notice, state};
use crate::proxy::cluster::Cluster;
use crate::proxy::lane;
use crate::proxy::live::{Live, Room};
use crate::store::book;
use crate::store::journal::{Entry, Journal, Pages};
use crate::store::learnt::{ALIVE_KEY, Lesson, Subject};
use crate::store::line::{Line, Pending, Posted, hold};

/// Time between two beats.
const BEAT: Duration = Duration::from_millis(100);
/// Full buckets are forgotten this often.
const SWEEP_EVERY: u64 = 20;
/// What was learnt of upstreams is written down this often, if it moved, and if that is so long ago.
const LEARN_EVERY: u64 = 10;
/// That the gateway is there is written with whatever is written, if the last time is so long ago; and by itself
/// while there is anybody.
const ALIVE_WITH: Duration = Duration::from_millis(100);
const ALIVE_EVERY: Duration = Duration::from_secs(2);
/// A disk that takes longer over one write counts as failed until it is done.
const WRITE_PATIENCE: Duration = Duration::from_millis(800);
/// The last marks wait so long at most for a disk that does not answer: a stop must end.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// What beats.
pub struct Pulse {
    proxy: Arc<Proxy>,
    journal: Arc<Journal>,
    hungry: Arc<Notify>,
    durable: BTreeMap<String, RoomMarks>,
    /// What the journal says that was learnt of upstreams and rooms.
    lessons: BTreeMap<String, Lesson>,
    /// One write at a time.
    writing: Option<Writing>,
    store_failed: bool,
    beats: u64,
}

/// Steps that wait for the disk, and the task that waits with them.
struct Writing {
    plans: Vec<(Arc<Line>, Pending)>,
    lessons: Vec<(String, Lesson)>,
    pages: Vec<(Arc<Line>, Vec<book::Line>)>,
    written: Written,
}

/// Whether it was written; if not, the cause was said. Goes on whether it is looked at or not.
type Written = Pin<Box<dyn Future<Output = bool> + Send>>;

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, beats) = (self.store_failed, self.beats);
        f.debug_struct("Pulse").field("store_failed", &failed).field("beats", &beats).finish_non_exhaustive()
    }
}

impl Pulse {
    /// A pulse that has not beaten yet.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>, journal: Arc<Journal>, hungry: Arc<Notify>) -> Self {
        let (durable, lessons) = (BTreeMap::new(), BTreeMap::new());
        Self { proxy, journal, hungry, durable, lessons, writing: None, store_failed: false, beats: 0 }
    }

    /// Beats until told to stop, then makes the last marks durable.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let ticks = tick_limits(Arc::clone(&self.proxy), stop.clone());
        tokio::join!(ticks, self.beat_until(stop));
    }

    async fn beat_until(mut self, mut stop: watch::Receiver<bool>) {
        let hungry = Arc::clone(&self.hungry);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                // While a write is under way a beat could give nobody a number.
                () = hungry.notified(), if self.writing.is_none() => self.beat().await,
                _ = beat.tick() => self.beat().await,
            }
        }
        self.rest().await;
    }

    /// One beat.
    pub async fn beat(&mut self) {
        let live = self.proxy.live.load_full();
        let now = self.proxy.clock.now();
        self.step_rooms(&live, now).await;
        self.put_up_boards(&live);
        self.measure(&live, now);
        self.beats += 1;
        if self.beats.is_multiple_of(SWEEP_EVERY) {
            self.proxy.buckets.sweep(now);
        }
    }

    async fn step_rooms(&mut self, live: &Live, now: Moment) {
        self.settle(Duration::ZERO).await;
        // A room that comes back after it was configured away starts from what the store says of it.
        self.durable.retain(|name, _| live.rooms.contains_key(name));
        let mut plans: Vec<(Arc<Line>, Pending)> = Vec::new();
        let mut pages = Vec::new();
        for room in live.rooms.values() {
            let durable = self.durable.entry(room.line.name.clone()).or_insert_with(|| {
                // What was restored is durable by definition.
                room.line.with(|line| line.marks())
            });
            let unix = self.proxy.clock.unix();
            room.follow_opening(unix);
            room.line.follow_webhook(live.generation, room.webhook.as_ref().map(|hook| hook.key()));
            let load = load(live, room, self.store_failed, now);
            let load = Load { hold: load.hold.or_else(|| room.quiet(unix)), ..load };
            let lots = || room.lots_due(&self.proxy.board_key, unix);
            if let Some(pending) = room.line.plan(&room.settings.policy, load, *durable, lots, now) {
                plans.push((Arc::clone(&room.line), pending));
            }
            let lines = chronicle::due(&self.proxy, room, load.limit, now);
            if !lines.is_empty() {
                pages.push((Arc::clone(&room.line), lines));
            }
        }
        // What is planned while a write is under way is planned again when it is done.
        if self.writing.is_some() {
            if !plans.is_empty() {
                self.disk_is_silent();
            }
            return;
        }
        let mut lessons = if self.beats.is_multiple_of(LEARN_EVERY) { self.news(live) } else { Vec::new() };
        let is_quiet = plans.is_empty() && lessons.is_empty() && pages.is_empty();
        let life_sign = self.life_sign(live, is_quiet);
        if is_quiet && life_sign.is_none() && !self.store_failed {
            return;
        }
        lessons.extend(life_sign);
        let entry = |(line, pending): &(Arc<Line>, Pending)| {
            let (room, pending) = (line.name.clone(), pending.clone());
            let Pending { marks, lanes, ends, lots, people, slots, moves, reminders, .. } = pending;
            Entry { room, marks, lanes, ends, lots, people, slots, moves, reminders }
        };
        let entries = plans.iter().map(entry).collect();
        let written = write(&self.journal, entries, lessons.clone(), to_write(&pages));
        self.writing = Some(Writing { plans, lessons, pages, written });
        self.settle(WRITE_PATIENCE).await;
    }

    /// Publishes what was written, if it is by now or will be within `patience`.
    async fn settle(&mut self, patience: Duration) {
        let Some(writing) = &mut self.writing else { return };
        let Ok(written) = timeout(patience, &mut writing.written).await else {
            // No room waits for lessons, or for its log.
            if !writing.plans.is_empty() {
                self.disk_is_silent();
            }
            return;
        };
        let Some(Writing { plans, lessons, pages, .. }) = self.writing.take() else { return };
        if !written {
            self.store_failed |= !plans.is_empty();
            self.proxy.witness.metrics.store_errors.inc();
            return;
        }
        if std::mem::replace(&mut self.store_failed, false) {
            tracing::info!("state can be made durable again");
        }
        self.lessons.extend(lessons);
        self.durable.extend(plans.iter().map(|(line, pending)| (line.name.clone(), pending.marks)));
        let (now, key) = (self.proxy.clock.now(), self.proxy.board_key.signing().verifying_key());
        for (line, lines) in &pages {
            line.book.publish(&line.name, lines, &key);
        }
        for (line, pending) in &plans {
            line.publish(pending, now);
            if pending.lots.line.is_some() && line.awaits_draw() {
                // All numbers at once take a while.
                let line = Arc::clone(line);
                tokio::task::spawn_blocking(move || line.draw());
            }
        }
    }

    fn disk_is_silent(&mut self) {
        if !std::mem::replace(&mut self.store_failed, true) {
            tracing::error!("the disk does not answer; rooms are held until it does");
            self.proxy.witness.metrics.store_errors.inc();
        }
    }

    /// What was learnt of upstreams and rooms and is not written down yet.
    fn news<'a>(&self, live: &'a Live) -> Vec<(String, Lesson)> {
        let (unix, now) = (self.proxy.clock.unix(), self.proxy.clock.now());
        let is_news = |key: &str, learnt: &Subject| {
            self.lessons.get(key).is_none_or(|known| !known.tells(learnt, unix))
        };
        let of_upstream = |(name, cluster): (&'a String, &Arc<Cluster>)| {
            let learnt = cluster.gate.learnt();
            let initial = f64::from(cluster.gate.policy().initial);
            let is_something = !learnt.baselines.is_empty() || (learnt.limit - initial).abs() > 0.5;
            is_something.then(|| (name, Subject::Upstream(cluster.settings.places(), learnt)))
        };
        let of_room = |(name, room): (&'a String, &Arc<Room>)| {
            Some((name, Subject::Room(room.line.with(|room| room.habits(now))?)))
        };
        let upstreams = live.clusters.iter().filter_map(of_upstream);
        let all = upstreams.chain(live.rooms.iter().filter_map(of_room));
        let keyed = all.map(|(name, learnt)| (learnt.key(name), learnt));
        let news = keyed.filter(|(key, learnt)| is_news(key, learnt));
        news.map(|(key, learnt)| (key, Lesson { unix_ms: unix.0, learnt })).collect()
    }

    /// That the gateway is there, if that must be written, where nothing else is if it `is_quiet`. A restart counts
    /// from there for how long nobody was answered.
    fn life_sign(&self, live: &Live, is_quiet: bool) -> Option<(String, Lesson)> {
        let unix = self.proxy.clock.unix();
        let every = if is_quiet { ALIVE_EVERY } else { ALIVE_WITH };
        let is_due = self.lessons.get(ALIVE_KEY).is_none_or(|known| known.distance(unix) >= every);
        let is_of_use = || !is_quiet || live.rooms.values().any(|room| room.line.is_peopled());
        (is_due && is_of_use()).then(|| (ALIVE_KEY.to_owned(), Lesson::alive(unix)))
    }

    fn put_up_boards(&self, live: &Live) {
        for (name, room) in &live.rooms {
            let policy = &room.settings.policy;
            let lanes = lane::lanes(room);
            let lots = room.line.with_lots(|lots| (lots.commitment(), lots.redraw()));
            let (commitment, redraw) = lots.unwrap_or_default();
            let facts = room.line.facts(policy);
            let scale = board::scale(&policy.poll, &facts, &lanes);
            let notice = Notice {
                room: name,
                poll: &policy.poll,
                scale,
                message: room.message_id.as_deref(),
                generation: live.generation,
                time: self.proxy.clock.unix(),
                opens: room.opens(self.proxy.clock.unix()),
                draw: commitment.as_deref(),
                lanes: &lanes,
                redraw,
                log: room.line.book.head(),
                quiet: quiet::next(&room.settings.quiet, self.proxy.clock.unix()),
                stood_still: room.line.with(|line| (line.slots() > 0).then(|| line.stood_still())),
            };
            room.line.put_up(Posted { board: self.proxy.board_key.board(&facts, &notice), scale });
        }
    }

    fn measure(&self, live: &Live, now: Moment) {
        let metrics = &self.proxy.witness.metrics;
        metrics.bucket_keys.set(count(self.proxy.buckets.len()));
        metrics.config_generation.set(i64::try_from(live.generation).unwrap_or(i64::MAX));
        for (name, cluster) in &live.clusters {
            let facts = cluster.gate.facts(now);
            let label = [name.as_str()];
            metrics.limit.with_label_values(&label).set(i64::from(facts.limit_now));
            metrics.in_flight.with_label_values(&label).set(i64::from(facts.in_flight));
            metrics.tunnels.with_label_values(&label).set(i64::from(cluster.tunnels.open()));
            for (class, waiting) in Class::ALL.into_iter().zip(facts.waiting) {
                metrics.queued.with_label_values(&[name, class.word()]).set(count(waiting));
            }
            if let Some(knee) = cluster.gate.knee() {
                self.measure_knee(name, &knee);
            }
            metrics.upstream_up.with_label_values(&label).set(i64::from(!cluster.is_down()));
        }
        for (name, room) in &live.rooms {
            self.measure_room(name, &room.line.facts(&room.settings.policy));
            let lanes = lane::lanes(room);
            self.measure_lanes(name, &lanes);
            for lane in lane::gone(room, &lanes) {
                self.measure_no_lane(name, &lane);
            }
            let slots = room.line.with(|line| line.slots());
            metrics.room_slots.with_label_values(&[name.as_str()]).set(count(slots));
        }
    }

    fn measure_knee(&self, name: &str, knee: &KneeFacts) {
        let metrics = &self.proxy.witness.metrics;
        metrics.limit_baseline.with_label_values(&[name]).set(knee.baseline_s);
        metrics.limit_queue.with_label_values(&[name]).set(knee.queue);
        for phase in PhaseName::ALL {
            let is = i64::from(phase == knee.phase);
            metrics.limit_phase.with_label_values(&[name, phase.word()]).set(is);
        }
        for (cause, verdict, count) in knee.cuts.each().filter(|(.., count)| *count > 0) {
            let counter = metrics.limit_cuts.with_label_values(&[name, cause, verdict]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    fn measure_room(&self, name: &str, facts: &RoomFacts) {
        let metrics = &self.proxy.witness.metrics;
        let label = [name];
        metrics.room_issued.with_label_values(&label).set(i64::try_from(facts.issued).unwrap_or(i64::MAX));
        metrics.room_called.with_label_values(&label).set(i64::try_from(facts.cursor).unwrap_or(i64::MAX));
        metrics.room_seats.with_label_values(&label).set(i64::from(facts.seats));
        metrics.room_active.with_label_values(&label).set(count(facts.active));
        metrics.room_front_row.with_label_values(&label).set(count(facts.front_row));
        metrics.room_late.with_label_values(&label).set(i64::try_from(facts.late).unwrap_or(i64::MAX));
        metrics.room_show_rate.with_label_values(&label).set(facts.show_rate);
        metrics.room_kappa.with_label_values(&label).set(facts.kappa);
        let (now, _) = state(facts.state);
        for known in ["closed", "prequeue", "open", "queueing", "held", "ended"] {
            metrics.room_state.with_label_values(&[name, known]).set(i64::from(known == now));
        }
    }

    /// What it has of people is none; what it had is counted on.
    fn measure_no_lane(&self, name: &str, lane: &str) {
        let metrics = &self.proxy.witness.metrics;
        for gauge in [&metrics.lane_waiting, &metrics.lane_front_row, &metrics.lane_late] {
            // An error says that nothing was ever measured there.
            _ = gauge.remove_label_values(&[name, lane]);
        }
    }

    fn measure_lanes(&self, name: &str, lanes: &[(String, LaneFacts)]) {
        let metrics = &self.proxy.witness.metrics;
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for (lane, facts) in lanes {
            let label = [name, lane];
            metrics.lane_waiting.with_label_values(&label).set(gauge(facts.issued - facts.cursor));
            metrics.lane_front_row.with_label_values(&label).set(count(facts.front_row));
            metrics.lane_late.with_label_values(&label).set(gauge(facts.late));
            for (counter, now) in [(&metrics.lane_called, facts.called), (&metrics.lane_seated, facts.seated)]
            {
                let counter = counter.with_label_values(&label);
                counter.inc_by(now.saturating_sub(counter.get()));
            }
        }
    }

    /// The last marks of a clean stop: nothing is uncertain after it.
    async fn rest(mut self) {
        self.settle(LAST_PATIENCE).await;
        let live = self.proxy.live.load_full();
        let entries = live.rooms.iter().map(|(name, room)| Entry::last(name, &room.line)).collect();
        // All of it: a restart counts from there for how long nobody was answered.
        self.lessons.clear();
        let mut lessons = self.news(&live);
        lessons.extend(self.life_sign(&live, false));
        let last = |room: &Arc<Room>| (Arc::clone(&room.line), chronicle::close(&self.proxy, room));
        let pages: Vec<_> = live.rooms.values().map(last).collect();
        let written = write(&self.journal, entries, lessons, to_write(&pages));
        if timeout(LAST_PATIENCE, written).await.is_err() {
            tracing::error!(
                "stopped without the last marks: the disk does not answer; some numbers will be skipped"
            );
        }
    }
}

/// Lets the laws of all limits look at their counts, whatever else the gateway waits for.
async fn tick_limits(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(knee::BEAT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = tick.tick() => proxy.live.load().clusters.values().for_each(|cluster| cluster.gate.tick()),
        }
    }
}

/// Of several upstreams behind a room the one that binds: one that does not answer, else the one at which
/// people spend most of their time. A narrow limit before something quick holds nobody back.
fn load(live: &Live, room: &Room, store_failed: bool, now: Moment) -> Load {
    let facts = room.clusters.iter().map(|cluster| (cluster.gate.facts(now), cluster.is_down(), cluster));
    let binding = facts.min_by_key(|(facts, down, _)| {
        let asked = facts.in_flight.saturating_add(inside(facts.waiting));
        (!down, !facts.stalled, Reverse(asked), Reverse(facts.standing))
    });
    let out = |cluster: &Arc<Cluster>| cluster.is_down() || cluster.gate.facts(now).stalled;
    let hold = |upstream_out| hold(store_failed, upstream_out, room.depends_on.iter().any(out));
    match binding {
        Some((facts, down, cluster)) => Load {
            limit: facts.standing,
            in_flight: facts.in_flight,
            waiting: inside(facts.waiting),
            wait_max: cluster.gate.wait_max(),
            inside: passes_before(live, cluster),
            hold: hold(down || facts.stalled),
        },
        None => Load { hold: hold(false), ..Load::default() },
    }
}

/// People inside all rooms before an upstream.
fn passes_before(live: &Live, cluster: &Arc<Cluster>) -> usize {
    let before = |room: &&Arc<Room>| room.clusters.iter().any(|one| Arc::ptr_eq(one, cluster));
    live.rooms.values().filter(before).map(|room| room.line.with(|line| line.active())).sum()
}

/// Requests that wait for a permit and belong to people inside: P0 and P1.
fn inside([finishing, passes, ..]: [usize; Class::ALL.len()]) -> u32 {
    u32::try_from(finishing + passes).unwrap_or(u32::MAX)
}

fn to_write(pages: &[(Arc<Line>, Vec<book::Line>)]) -> Vec<Pages> {
    pages.iter().map(|(line, lines)| Pages { room: line.name.clone(), lines: lines.clone() }).collect()
}

fn write(
    journal: &Arc<Journal>,
    entries: Vec<Entry>,
    lessons: Vec<(String, Lesson)>,
    pages: Vec<Pages>,
) -> Written {
    let keep = move |journal: &Journal| match journal.write_with(&entries, &lessons, &pages) {
        Ok(()) => true,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, cause, "rooms are held until it works again");
            false
        }
    };
    if journal.is_in_memory() {
        return Box::pin(std::future::ready(keep(journal)));
    }
    let journal = Arc::clone(journal);
    let kept = tokio::task::spawn_blocking(move || keep(&journal));
    Box::pin(async {
        kept.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the writer of durable state ended");
            false
        })
    })
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
