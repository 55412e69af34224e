//! Persons with several devices before a draw, while processes and disks come and go: each has one lot.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::*;
use crate::admission::chance::Chance;
use crate::admission::draw::Draw;
use crate::admission::people::{People, RoomKey};

/// So many tasks are waited for between two steps.
const TURNS: usize = 4;
/// A statistic beyond this happens by chance once in 10,000 times to either side: p within [1e-4, 1 - 1e-4].
const BEYOND: f64 = 3.719;

fn random_id(chance: &mut Chance) -> [u8; 16] {
    (u128::from(chance.bits()) << 64 | u128::from(chance.bits())).to_le_bytes()
}

/// What is on the disk: to whom each lot is, none to two and none to nobody, nobody with two.
fn holders(disk: &Disk) -> Result<BTreeMap<RoomKey, Claims>, String> {
    let (_, leaves) = disk.journal.lots("main").unwrap();
    let (_, places) = disk.journal.people("main", [7; 32]).unwrap();
    let keys: Vec<RoomKey> = places.iter().map(|(key, _)| *key).collect();
    let people = People::restore(places);
    let mut held = BTreeMap::new();
    let mut indices = BTreeSet::new();
    for key in keys {
        let claims = people.place(key, RoomId::of("main")).unwrap().claims;
        let index = claims.index.unwrap();
        if leaves.get(index as usize) != Some(&leaf(&claims.id, index.into())) {
            return Err(format!("person {key} has lot {index}, and that is not theirs"));
        }
        if !indices.insert(index) {
            return Err(format!("lot {index} is two persons'"));
        }
        held.insert(key, claims);
    }
    if held.len() == leaves.len() {
        Ok(held)
    } else {
        Err(format!("{} persons have {} lots", held.len(), leaves.len()))
    }
}

/// A few days before an opening.
struct Story {
    disk: Disk,
    line: Arc<Line>,
    chance: Chance,
    /// What each person was told on some device.
    told: BTreeMap<RoomKey, Claims>,
    /// Devices that wait for an answer.
    asking: Vec<(RoomKey, JoinHandle<Entered>)>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let disk = Disk { of_persons: true, ..Disk::new() };
        let line = disk.line();
        Self { disk, line, chance: Chance::new(seed), told: BTreeMap::new(), asking: Vec::new() }
    }

    /// A device of somebody asks for a place.
    fn ask(&mut self) {
        let (key, ticket) = (self.chance.bits() % 7, fresh(random_id(&mut self.chance)));
        let line = Arc::clone(&self.line);
        self.asking.push((key, tokio::spawn(async move { line.enter(ticket, Some(key)).await })));
    }

    /// Whoever is answered is told what the others of the same person were told.
    async fn hear(&mut self) -> Result<(), String> {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        for (key, asking) in std::mem::take(&mut self.asking) {
            if !asking.is_finished() {
                self.asking.push((key, asking));
                continue;
            }
            if let Entered::Drawn(lot) = asking.await.unwrap() {
                let first = *self.told.entry(key).or_insert(lot);
                if first != lot {
                    return Err(format!("person {key} was told of {first:?} and of {lot:?}"));
                }
            }
        }
        Ok(())
    }

    /// The process is killed, or has stopped, and another one begins.
    fn begin_again(&mut self) {
        self.asking.drain(..).for_each(|(_, asking)| asking.abort());
        self.line = self.disk.line();
    }

    async fn step(&mut self) -> Result<(), String> {
        let before = OPENS_AT - 1_000;
        match self.chance.bits() % 12 {
            0..6 => self.ask(),
            6..9 => self.disk.beat(&self.line, before, 2),
            // A write that takes its time: more come while it is under way.
            9 => {
                let line = Arc::clone(&self.line);
                let lots = || line.lots_due(UnixTime(before), &self.disk.key, || Some(self.disk.rules()));
                let durable = self.disk.journal.marks("main").unwrap();
                let load = Load { limit: 1, ..Load::default() };
                let pending = line.plan(&policy(), load, durable, lots, Moment(2));
                self.ask();
                self.ask();
                self.hear().await?;
                if let Some(pending) = pending {
                    self.disk.write(&pending);
                    line.publish(&pending, Moment(2));
                }
            }
            10 => {
                let reach = u8::from(self.chance.bits().is_multiple_of(2));
                self.disk.beat(&self.line, before, reach);
                self.begin_again();
            }
            _ => {
                self.disk.journal.write(&[Entry::last("main", &self.line)], &[]).unwrap();
                self.begin_again();
            }
        }
        self.hear().await?;
        holders(&self.disk)?.iter().try_for_each(|(key, lot)| match self.told.get(key) {
            Some(told) if told != lot => Err(format!("person {key} was told {told:?} and has {lot:?}")),
            _ => Ok(()),
        })
    }
}

#[tokio::test]
async fn whatever_devices_do_and_processes_suffer_a_person_has_one_lot() {
    let (mut told, mut again) = (0, 0);
    for seed in 0..200 {
        let mut story = Story::new(seed);
        for step in 0..80 {
            story.step().await.unwrap_or_else(|what| panic!("seed {seed}, step {step}: {what}"));
        }
        let (disk, line) = (&story.disk, Arc::clone(&story.line));
        disk.beat(&line, OPENS_AT - 1, 2);
        let held = holders(disk).unwrap();
        assert!(
            story.told.iter().all(|(key, lot)| held.get(key) == Some(lot)),
            "seed {seed}: a lot was lost"
        );
        (0..2).for_each(|later| disk.beat(&line, OPENS_AT + later, 2));
        // Who has a lot has it when the log is closed, and nobody else gets one any more.
        for key in 0..9 {
            let lot = line.enter(fresh([99; 16]), Some(key)).await;
            let expected = held.get(&key).map_or(Entered::Behind, |lot| Entered::Drawn(*lot));
            assert_eq!(lot, expected, "seed {seed}, person {key}");
        }
        assert_eq!(line.with_lots(|lots| lots.committed()).unwrap(), u32::try_from(held.len()).ok());
        told += story.told.len();
        again += held.len();
    }
    println!("200 stories: {again} persons with a lot, {told} told of it; 0 with two, 0 lots of nobody");
    assert!(told > 600, "hardly anybody was told anything: {told}");
}

/// Somebody's body may have begun under rules by which each browser had a lot.
#[tokio::test]
async fn nobody_without_a_name_has_a_lot_where_each_person_has_one() {
    let disk = Disk { of_persons: true, ..Disk::new() };
    let line = disk.line();
    let nameless = enter(&disk, &line, [1; 16], OPENS_AT - 1_000, 2).await;
    assert_eq!(nameless, Some(Entered::NotKept));
    let entering = line.enter(fresh([2; 16]), Some(5));
    let (entered, ()) = tokio::join!(entering, async { disk.beat(&line, OPENS_AT - 1_000, 2) });
    assert_eq!(entered, Entered::Drawn(Claims { index: Some(0), ..fresh([2; 16]) }));
    assert_eq!(holders(&disk).unwrap().len(), 1);
}

/// Where threads meet: a beat looks at lots and at persons while others enter.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lots_and_whose_they_are_go_to_the_disk_together() {
    let disk = Disk::new();
    let line = disk.line();
    disk.beat(&line, OPENS_AT - 1_000, 2);
    let asks = (0..8_000_u64).map(|nth| {
        let line = Arc::clone(&line);
        let id = (u128::from(nth) << 64 | 7).to_le_bytes();
        tokio::spawn(async move { line.enter(fresh(id), Some(nth / 4)).await })
    });
    let asks: Vec<JoinHandle<Entered>> = asks.collect();
    while !asks.iter().all(JoinHandle::is_finished) {
        disk.beat(&line, OPENS_AT - 1_000, 2);
        holders(&disk).unwrap();
        tokio::task::yield_now().await;
    }
    disk.beat(&line, OPENS_AT - 1_000, 2);
    let held = holders(&disk).unwrap();
    assert_eq!(held.len(), 2_000);
    for (nth, asked) in (0..).zip(asks) {
        // Whoever waited too long is told nothing.
        if let Entered::Drawn(lot) = asked.await.unwrap() {
            assert_eq!(Some(&lot), held.get(&(nth / 4)));
        }
    }
}

/// How much better those stand who come with fifty tabs than the middle of all, as a normal deviate: below zero is
/// better. Of a hundred persons they are ten, and of all they got they take the best.
async fn favour(one_lot_per_person: bool) -> f64 {
    const PERSONS: u64 = 100;
    const TABS: u64 = 50;
    const DRAWS: u32 = 2_000;
    let (disk, mut chance) = (Disk { of_persons: one_lot_per_person, ..Disk::new() }, Chance::new(12));
    let line = disk.line();
    disk.beat(&line, OPENS_AT - 1_000, 2);
    let is_greedy = |person: u64| person.is_multiple_of(10);
    let tabs = (0..PERSONS).flat_map(|person| {
        std::iter::repeat_n(person, usize::try_from(if is_greedy(person) { TABS } else { 1 }).unwrap())
    });
    let mut tabs: Vec<(u64, u64)> = tabs.map(|person| (chance.bits(), person)).collect();
    tabs.sort_unstable();
    let mut asks = Vec::new();
    for (_, person) in tabs {
        let (line, ticket) = (Arc::clone(&line), fresh(random_id(&mut chance)));
        let key = one_lot_per_person.then_some(person);
        asks.push((person, tokio::spawn(async move { line.enter(ticket, key).await })));
    }
    while !asks.iter().all(|(_, asked)| asked.is_finished()) {
        tokio::task::yield_now().await;
        disk.beat(&line, OPENS_AT - 1_000, 2);
    }
    let mut lots: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    for (person, asked) in asks {
        let Entered::Drawn(lot) = asked.await.unwrap() else { panic!("{person} has no place") };
        lots.entry(person).or_default().insert(lot.index.unwrap());
    }
    let count = u32::try_from(disk.journal.lots("main").unwrap().1.len()).unwrap();
    let greedy: Vec<&BTreeSet<u32>> =
        lots.iter().filter(|(person, _)| is_greedy(**person)).map(|(_, lots)| lots).collect();
    let (mut sum, n, g) = (0.0, f64::from(count), greedy.len() as f64);
    for nth in 0..DRAWS {
        let draw = Draw { seed: Sha256::digest(nth.to_le_bytes()).into(), count };
        let numbers: Vec<u64> = draw.numbers().collect();
        let best = |lots: &&BTreeSet<u32>| lots.iter().map(|index| numbers[*index as usize]).min().unwrap();
        sum += greedy.iter().map(best).sum::<u64>() as f64 / g;
    }
    // Their mean of one draw: of g that are taken from n without putting back.
    let deviation = ((n + 1.0) * (n - g) / (12.0 * g)).sqrt();
    (sum / f64::from(DRAWS) - (n + 1.0) / 2.0) / deviation * f64::from(DRAWS).sqrt()
}

#[tokio::test]
async fn fifty_tabs_of_a_person_win_no_better_number_than_one() {
    let (of_persons, of_browsers) = (favour(true).await, favour(false).await);
    println!(
        "those with fifty tabs stand {of_persons:.2} deviations from the middle, {of_browsers:.0} where each tab has a lot"
    );
    assert!(of_persons.abs() < BEYOND, "{of_persons}");
    assert!(of_browsers < -BEYOND, "the test sees nothing: {of_browsers}");
}
