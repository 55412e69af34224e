//! The crowd: everybody of a scenario, each at their own time, whatever happens to the others.
//!
//! Arrivals are an open loop: they were drawn before, and a slow answer delays nobody else. All times
//! that are reported count from the *intended* arrival. There is no mode WITH or WITHOUT: the crowd is
//! given an address, and behaves as the answers ask for.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::task::JoinSet;

use super::bot::Bot;
use super::chance::Chance;
use super::flag::Flag;
use super::person::{Device, Person};
use super::plan::{self, Plan};
use super::scenario::{Bots, Conduct, Scenario};
use super::site::Target;
use super::tally::{Count, Tally};
use super::trace::Trace;
pub use super::trace::{End, PersonRecord, Traits, Way};
use crate::admission::Moment;
use crate::clock::Clock;

/// One leg to be played.
#[derive(Clone, Debug)]
pub struct Leg {
    /// What is played.
    pub scenario: Arc<Scenario>,
    /// Whom the crowd calls: the gateway, or the origin itself.
    pub target: Target,
    /// Seed of the crowd.
    pub seed: u64,
    /// Longest duration of the leg; it is over earlier when everybody has finished or left.
    pub horizon: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct LegOutcome {
    /// Everybody but bots, by class and number.
    pub people: Vec<PersonRecord>,
    /// The counters at the end.
    pub count: Count,
    /// How long it took.
    pub elapsed: Duration,
}

/// What everybody in a leg shares.
#[derive(Debug)]
pub(super) struct World {
    pub(super) scenario: Arc<Scenario>,
    pub(super) target: Target,
    pub(super) host: HeaderValue,
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) began: Moment,
    pub(super) tally: Arc<Tally>,
    seeks: Vec<bool>,
}

impl World {
    /// Whether people of this class want something scarce.
    pub(super) fn seeks(&self, class: usize) -> bool {
        self.seeks.get(class).copied().unwrap_or(false)
    }
}

impl Leg {
    /// Plays the leg.
    pub async fn run(&self, tally: &Arc<Tally>) -> LegOutcome {
        self.run_until(tally, std::future::pending()).await
    }

    /// The same, over as soon as `interrupted`: what was measured until then is the outcome.
    pub async fn run_until(&self, tally: &Arc<Tally>, interrupted: impl Future<Output = ()>) -> LegOutcome {
        let scenario = &self.scenario;
        let clock = self.target.clock();
        let began = clock.now();
        let world = Arc::new(World {
            scenario: Arc::clone(scenario),
            target: self.target.clone(),
            host: HeaderValue::from_str(&self.target.host())
                .unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            seed: self.seed,
            clock,
            began,
            tally: Arc::clone(tally),
            seeks: scenario.classes.iter().map(|class| scenario.seeks(class)).collect(),
        });
        let stopped = Arc::new(Flag::default());
        let mut records = Vec::new();
        let mut walking = JoinSet::new();
        let mut bots = JoinSet::new();
        // Person 0 is whoever says no number.
        let mut next = 1;
        for (class, kind) in scenario.classes.iter().enumerate() {
            match &kind.conduct {
                Conduct::Bots(habits) if habits.honours_ticket => {
                    for number in 0..kind.people as u64 {
                        let mut chance = Chance::new(self.seed, ((next + number) << 8) | 0xFF);
                        let arrival = kind.arrival.draw(&mut chance);
                        let owner = next + number % habits.identities.max(1) as u64;
                        bots.spawn(queue_up(
                            Arc::clone(&world),
                            class,
                            habits.clone(),
                            (owner, number),
                            arrival,
                        ));
                    }
                    next += habits.identities as u64;
                }
                Conduct::Bots(habits) => {
                    for number in 0..kind.people as u64 {
                        let mut chance = Chance::new(self.seed, ((next + number) << 8) | 0xFF);
                        let bot = Bot {
                            world: Arc::clone(&world),
                            bots: habits.clone(),
                            number,
                            owner: next + number % habits.identities.max(1) as u64,
                            arrival: kind.arrival.draw(&mut chance),
                            timeout: kind.timeout,
                        };
                        bots.spawn(bot.live());
                    }
                    next += habits.identities as u64;
                }
                Conduct::People(habits) => {
                    let plans = plan::people(scenario, class, habits, next, self.seed);
                    next += plans.len() as u64;
                    if world.seeks(class) {
                        tally.expect(plans.len() as u64);
                    }
                    for plan in plans {
                        let arrival = plan.arrivals.first().copied().unwrap_or_default();
                        let record = records.len();
                        records.push(PersonRecord {
                            traits: plan.traits(),
                            way: plan.way(scenario, habits),
                            ..PersonRecord::new(class, arrival)
                        });
                        send_out(&world, plan, record, &stopped, &mut walking);
                    }
                }
            }
        }
        let over = async {
            while let Some(walked) = walking.join_next().await {
                let Ok((record, trace)) = walked else { continue };
                if let Some(record) = records.get_mut::<usize>(record) {
                    record.add(trace, began, clock.now());
                }
            }
        };
        let end_of_time = async {
            tokio::select! {
                biased;
                () = tokio::time::sleep(self.horizon) => {}
                () = interrupted => {}
            }
            stopped.set(true);
            // The walks end at once; only then is everybody accounted for.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = over => {}
            () = end_of_time => {}
        }
        let elapsed = clock.now().since(began);
        bots.shutdown().await;
        LegOutcome { people: records, count: tally.count(), elapsed }
    }
}

/// A program that waits where a place is offered, goes its way, and begins again, until dropped.
/// `who` is its owner, and its own number.
async fn queue_up(world: Arc<World>, class: usize, bots: Bots, who: (u64, u64), arrival: Duration) {
    tokio::time::sleep(world.began.after(arrival).since(world.clock.now())).await;
    let habits = plan::habits(&bots);
    for lap in 0.. {
        let plan = plan::program(class, &bots, who.0, who.1, lap);
        let mut trace = Trace::default();
        Device::new(&world, &habits, &plan, 0, Arc::default(), &mut trace).live().await;
        world.tally.foreign(trace.foreign_canaries);
        tokio::time::sleep(habits.think.draw(&mut Chance::new(0, 0))).await;
    }
}

/// Sends a person out, one task a device.
fn send_out(
    world: &Arc<World>,
    plan: Plan,
    record: usize,
    stopped: &Arc<Flag>,
    walking: &mut JoinSet<(usize, Trace)>,
) {
    let (plan, person) = (Arc::new(plan), Arc::new(Person::default()));
    for device in 0..plan.arrivals.len() {
        let (world, plan, person) = (Arc::clone(world), Arc::clone(&plan), Arc::clone(&person));
        let stopped = Arc::clone(stopped);
        walking.spawn(async move {
            let mut trace = Trace::default();
            let class = world.scenario.classes.get(plan.class);
            if let Some(Conduct::People(people)) = class.map(|class| &class.conduct) {
                let device = Device::new(&world, people, &plan, device, person, &mut trace);
                tokio::select! {
                    biased;
                    () = stopped.until(true) => {}
                    () = device.live() => {}
                }
            }
            (record, trace)
        });
    }
}
