//! A draw held by a line and a journal, where every write may be the last one of its process.

mod persons;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::admission::Moment;
use crate::admission::policy::{PollRule, RoomPolicy};
use crate::admission::room::{Load, Room};
use crate::admission::ticket::{Claims, Kind, RoomId};
use crate::proof::draw::ROUND_AFTER_VOID;
use crate::proof::draw::drand;
use crate::proof::draw::randomness::Randomness;
use crate::proof::draw::reveal::{Party, Reveal, commitment};
use crate::proof::draw::rules::{OneLotPer, Source};
use crate::proof::hex;
use crate::store::journal::{Entry, Journal};
use crate::store::line::{Entered, Left, Line, Lottery, Pending};

const OPENS_AT: u64 = 1_800_000_000_000;
const SECRETS: [(&str, [u8; 32]); 2] = [("office", [1; 32]), ("notary", [2; 32])];

fn policy() -> RoomPolicy {
    let poll =
        PollRule { min: Duration::from_secs(1), max: Duration::from_secs(10), divisor: 10, budget: 1_000 };
    RoomPolicy {
        seats_floor: 1,
        seats_ceiling: 1,
        share: 1.0,
        call: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        session: Duration::from_secs(60),
        poll,
        hold: false,
        open: false,
        lanes: Vec::new(),
    }
}

/// What outlives a process.
struct Disk {
    journal: Journal,
    key: SigningKey,
    opens_at_ms: u64,
    /// Whose randomness counts, if not that of parties.
    beacon: Option<Source>,
    /// Each has one lot of these, not of browsers.
    of_persons: bool,
}

impl Disk {
    fn new() -> Self {
        let (journal, key) = (Journal::in_memory().unwrap(), SigningKey::from_bytes(&[7; 32]));
        Self { journal, key, opens_at_ms: OPENS_AT, beacon: None, of_persons: false }
    }

    fn rules(&self) -> Rules {
        let party = |(name, secret): (&str, [u8; 32])| Party {
            name: name.to_owned(),
            outside: name == "notary",
            commitment: hex(&commitment("main", name, &secret)),
        };
        Rules {
            kind: Rules::KIND.to_owned(),
            v: 1,
            room: "main".to_owned(),
            epoch: 1,
            opens_at_ms: self.opens_at_ms,
            line: hex(&[0; 32]),
            key: hex(self.key.verifying_key().as_bytes()),
            randomness: self
                .beacon
                .clone()
                .unwrap_or_else(|| Source::Reveals { parties: SECRETS.into_iter().map(party).collect() }),
            one_lot_per: if self.of_persons { OneLotPer::Person } else { OneLotPer::Browser },
            identified_by: self.of_persons.then(|| "trusted_header x-user".to_owned()).into_iter().collect(),
        }
    }

    /// A process begins.
    fn line(&self) -> Arc<Line> {
        let (marks, over) = (self.journal.marks("main").unwrap(), self.journal.over("main").unwrap());
        let (secret, people) = self.journal.people("main", [7; 32]).unwrap();
        let left = Left { marks, over, secret, people, ..Left::default() };
        let line = Line::restore("main", &policy(), left, Arc::default(), Moment(1));
        let (lines, leaves) = self.journal.lots("main").unwrap();
        line.set_lots(if lines.is_empty() {
            Lottery::Awaited
        } else {
            let lots = Lots::restore(lines, leaves, self.key.verifying_key());
            Lottery::Held(Box::new(lots.expect("its own words are believed")))
        });
        line.draw();
        line
    }

    /// A beat that comes as far as it does: plans, writes, publishes.
    fn beat(&self, line: &Line, now: u64, reach: u8) {
        let lots = || line.lots_due(UnixTime(now), &self.key, || Some(self.rules()));
        let load = Load { limit: 1, ..Load::default() };
        let durable = self.journal.marks("main").unwrap();
        let Some(pending) = line.plan(&policy(), load, durable, lots, Moment(2)) else { return };
        if reach > 0 {
            self.write(&pending);
        }
        if reach > 1 {
            line.publish(&pending, Moment(2));
            line.draw();
        }
    }

    fn write(&self, pending: &Pending) {
        let (room, marks) = ("main".to_owned(), pending.marks);
        let entry = Entry {
            room,
            marks,
            lanes: Vec::new(),
            ends: pending.ends.clone(),
            lots: pending.lots.clone(),
            people: pending.people.clone(),
            slots: pending.slots.clone(),
            moves: pending.moves.clone(),
            reminders: pending.reminders.clone(),
        };
        self.journal.write(&[entry], &[]).unwrap();
    }

    fn commitments(&self) -> Vec<String> {
        let (lines, _) = self.journal.lots("main").unwrap();
        lines.into_iter().filter(|line| line.starts_with(r#"{"commitment":"#)).collect()
    }
}

/// What somebody comes with.
fn fresh(id: [u8; 16]) -> Claims {
    let (kind, room, time) = (Kind::Ticket, RoomId::of("main"), UnixTime(1_799_999_990_000));
    Claims { kind, room, epoch: 1, number: 0, index: None, time, id, moves: 0 }
}

/// Enters, with a beat under way; `None` if the process ends first.
async fn enter(disk: &Disk, line: &Arc<Line>, id: [u8; 16], now: u64, reach: u8) -> Option<Entered> {
    let entering = tokio::spawn({
        let line = Arc::clone(line);
        async move { line.enter(fresh(id), None).await }
    });
    // The rules first, if they are not frozen yet, then the place.
    for _ in 0..3 {
        tokio::task::yield_now().await;
        disk.beat(line, now, reach);
    }
    if reach < 2 {
        entering.abort();
    }
    entering.await.ok()
}

#[tokio::test]
async fn whoever_was_told_of_a_place_is_drawn_whenever_the_process_ends() {
    // At each of these steps a process ends before writing, after writing, or goes on.
    for ends in 0_u32..81 {
        let disk = Disk::new();
        let mut told = Vec::new();
        let mut line = disk.line();
        for step in 0_u8..4 {
            let reach = u8::try_from(ends / 3_u32.pow(step.into()) % 3).unwrap();
            let id = [step; 16];
            if let Some(Entered::Drawn(lot)) = enter(&disk, &line, id, OPENS_AT - 1_000, reach).await {
                assert_eq!(Claims { index: None, ..lot }, fresh(id));
                told.push((id, lot.index.unwrap()));
            }
            if reach < 2 {
                line = disk.line();
            }
        }
        // The rules are there if anybody is; else they are frozen now.
        disk.beat(&line, OPENS_AT - 1, 2);
        assert!(line.with(Room::join).is_err(), "a number before the draw");
        let reach = u8::try_from(ends % 3).unwrap();
        disk.beat(&line, OPENS_AT, reach);
        let late = line.enter(fresh([90; 16]), None).await;
        assert_eq!(late, Entered::Behind, "closed from the moment it is made out");
        if reach < 2 {
            line = disk.line();
        }
        disk.beat(&line, OPENS_AT + 1, 2);
        disk.beat(&line, OPENS_AT + 2, 2);
        assert_eq!(disk.commitments().len(), 1, "{ends}");
        let (_, leaves) = disk.journal.lots("main").unwrap();
        for (id, index) in &told {
            assert_eq!(leaves[*index as usize], leaf(id, u64::from(*index)), "{ends}");
        }
        let count = leaves.len() as u64;
        assert!(line.with(Room::join).unwrap() > count, "{ends}: who comes later stands behind");
        let reveal =
            |(name, secret): (&str, [u8; 32])| Reveal { name: name.to_owned(), secret: hex(&secret) };
        let randomness = Randomness::Reveals(SECRETS.into_iter().map(reveal).collect());
        let randomness = serde_json::to_string(&randomness).unwrap();
        line.with_lots(|lots| lots.offer(&randomness)).unwrap().unwrap();
        disk.beat(&line, OPENS_AT + 3, 2);
        let first: Vec<_> = told.iter().map(|(_, index)| line.drawn().unwrap().number(*index)).collect();
        let line = disk.line();
        let again: Vec<_> = told.iter().map(|(_, index)| line.drawn().unwrap().number(*index)).collect();
        assert_eq!(first, again, "{ends}: a restart changes no number");
        assert!(first.iter().all(|number| number.is_some_and(|number| (1..=count).contains(&number))));
    }
}

#[tokio::test]
async fn rules_that_may_be_on_the_disk_are_not_forgone() {
    let disk = Disk::new();
    let line = disk.line();
    assert!(line.forgo_draw() && !line.forgo_draw(), "nobody came before the opening");
    assert_eq!(line.enter(fresh([1; 16]), None).await, Entered::Behind, "it goes by arrival now");
    // They were sent, and whether they were written is not known; then they were; then the process knows.
    for reach in 0..3 {
        let line = disk.line();
        disk.beat(&line, OPENS_AT - 1_000, reach);
        assert!(!line.forgo_draw() && line.frozen().is_some(), "{reach}");
        assert_eq!(disk.line().forgo_draw(), reach == 0, "the next process says the same if they are there");
    }
}

#[tokio::test]
async fn a_draw_that_is_void_says_when_the_next_one_is_decided_until_it_is() {
    let told = drand::time_of(1_000);
    let mut disk = Disk::new();
    disk.opens_at_ms = told.0 - ROUND_AFTER_VOID.as_secs() * 1_000 - 60_000;
    let round = drand::round_from(UnixTime(disk.opens_at_ms + 60_000));
    disk.beacon = Some(Source::Drand { chain: drand::QUICKNET.to_owned(), round });
    let redraw = |line: &Line| line.with_lots(|lots| lots.redraw()).unwrap();
    let line = disk.line();
    let lot = Claims { index: Some(0), ..fresh([1; 16]) };
    assert_eq!(enter(&disk, &line, [1; 16], disk.opens_at_ms - 1, 2).await, Some(Entered::Drawn(lot)));
    assert_eq!(redraw(&line), None, "nothing is void before the opening");
    // Nothing ran until it was too late to commit to anybody: half a minute before the round.
    let line = disk.line();
    let back = disk.opens_at_ms + 60_000;
    (0..3).for_each(|beat| disk.beat(&line, back + beat, 2));
    assert!(line.with_lots(|lots| lots.is_committed()).unwrap(), "another draw is held at once");
    let after = drand::round_from(UnixTime(back + ROUND_AFTER_VOID.as_secs() * 1_000));
    assert_eq!((after, redraw(&line)), (1_000, Some(told)));
    let line = disk.line();
    assert_eq!(redraw(&line), Some(told), "also after a restart");
    let randomness = Randomness::Drand { round: 1_000, signature: drand::ROUND_1000.to_owned() };
    let randomness = serde_json::to_string(&randomness).unwrap();
    line.with_lots(|lots| lots.offer(&randomness)).unwrap().unwrap();
    disk.beat(&line, told.0 + 1, 2);
    assert_eq!((redraw(&line), line.drawn().unwrap().number(0)), (None, Some(1)));
}
