//! Who comes, when, from where, with what: drawn from the seed before the leg begins, so that two legs
//! of one seed meet the same people.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::chance::Chance;
use super::law::Span;
use super::scenario::{Bots, Patience, People, RetryRule, Scenario};
use super::trace::{Traits, Way};

/// One person.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) class: usize,
    /// Number of the person, from 1; the number of an owner for bots.
    pub(super) person: u64,
    /// Intended arrival of each device, from the leg's start. Never empty; the first is the person's.
    pub(super) arrivals: Vec<Duration>,
    pub(super) app: bool,
    pub(super) language: String,
    pub(super) shared_address: bool,
    pub(super) home: Ipv4Addr,
    /// Where they go while waiting, if they do.
    pub(super) away: Option<Ipv4Addr>,
    /// The way to the goal, repeats written out.
    pub(super) steps: Vec<usize>,
    /// How long they stay without a place, and with one; from the intended arrival.
    pub(super) patience: (Duration, Duration),
    /// A browser that runs no scripts.
    pub(super) no_script: bool,
    /// A browser that keeps no cookies.
    pub(super) no_cookies: bool,
    /// Somebody in a browser who presses F5 while nothing comes.
    pub(super) presses_f5: bool,
    /// How long they are away after closing the page while waiting, if they do.
    pub(super) closes_for: Option<Duration>,
    /// A program that waits as people do, and must be counted apart.
    pub(super) program: bool,
    /// Steps are numbered from here on, so that those of programs of one owner stay apart.
    pub(super) first_step: u32,
    /// From this step on, the first slow answer is not waited for.
    pub(super) hang_up_from: Option<usize>,
}

impl Plan {
    /// What must not matter.
    pub(super) fn traits(&self) -> Traits {
        Traits {
            devices: u8::try_from(self.arrivals.len()).unwrap_or(u8::MAX),
            shared_address: self.shared_address,
            app: self.app,
            language: self.language.clone(),
        }
    }

    /// What their way takes.
    pub(super) fn way(&self, scenario: &Scenario, people: &People) -> Way {
        let pauses = self.steps.len().saturating_sub(1) as f64 * people.think.mean_s();
        let mut way = Way { whole_s: pauses, ..Way::default() };
        for endpoint in self.steps.iter().filter_map(|step| scenario.endpoints.get(*step)) {
            let service_s = endpoint.service.mean_s();
            way.whole_s += service_s;
            if endpoint.pool.is_some() {
                way.pool_requests += 1;
                way.work_s += service_s;
            }
        }
        way
    }
}

/// Devices of one person are picked up within this time.
const DEVICES_WITHIN_S: f64 = 0.5;

/// Own addresses begin at 127.16.0.1, those taken on the way at 127.64.0.1, shared ones at 127.8.0.1,
/// bots' at 127.9.0.1.
fn address(second: u32, index: u64) -> Ipv4Addr {
    let low = u32::try_from(index & 0x001F_FFFF).unwrap_or(0) + 1;
    Ipv4Addr::from((127 << 24) | ((second << 16) + low))
}

/// Everybody of a class of people. `first` numbers the first of them.
pub(super) fn people(scenario: &Scenario, class: usize, people: &People, first: u64, seed: u64) -> Vec<Plan> {
    let Some(kind) = scenario.classes.get(class) else { return Vec::new() };
    (first..)
        .take(kind.people)
        .map(|person| {
            let mut chance = Chance::new(seed, person << 8);
            let arrival = kind.arrival.draw(&mut chance);
            let devices = chance.weighted(&people.devices) + 1;
            let arrivals = (0..devices)
                .map(|device| match device {
                    0 => arrival,
                    _ => arrival + super::law::seconds(chance.between(0.0, DEVICES_WITHIN_S)),
                })
                .collect();
            let shared = chance.happens(people.nat_share);
            let behind = chance.below(usize::from(people.nat_addresses)) as u64;
            let steps = way(people, &mut chance);
            let shares: Vec<f64> = people.locale.iter().map(|(_, share)| *share).collect();
            let language = people.locale.get(chance.weighted(&shares));
            Plan {
                class,
                person,
                arrivals,
                app: chance.happens(people.app_share),
                language: language.map_or_else(|| "it".to_owned(), |(name, _)| name.clone()),
                shared_address: shared,
                home: if shared { address(8, behind) } else { address(16, person) },
                away: chance.happens(people.change_ip).then(|| address(64, person)),
                // Not from the last step on: if its answer is too quick, there is no other to break off.
                hang_up_from: chance
                    .happens(people.hang_up)
                    .then(|| chance.below(steps.len().saturating_sub(1))),
                steps,
                patience: patience(&people.patience, &mut chance),
                no_script: chance.happens(people.no_script),
                no_cookies: chance.happens(people.no_cookies),
                presses_f5: chance.happens(people.f5_share),
                closes_for: chance.happens(people.close_tab).then(|| people.away.draw(&mut chance)),
                program: false,
                first_step: 1,
            }
        })
        .collect()
}

/// A program that waits where a place is offered, on its `lap`th way: it goes the way again as soon as
/// it is through, under the name of its owner.
pub(super) fn program(class: usize, bots: &Bots, owner: u64, number: u64, lap: u32) -> Plan {
    let forever = super::law::seconds(super::law::LONGEST_S);
    Plan {
        class,
        person: owner,
        arrivals: vec![Duration::ZERO],
        app: true,
        language: "en".to_owned(),
        shared_address: false,
        home: bot_address(owner),
        away: None,
        steps: bots.steps.clone(),
        patience: (forever, forever),
        no_script: false,
        no_cookies: false,
        presses_f5: false,
        closes_for: None,
        program: true,
        // Unlike any step of another program of the same owner, and of any way before.
        first_step: u32::try_from(number).unwrap_or(0).wrapping_shl(22) | (lap.wrapping_shl(6) & 0x003F_FFFF),
        hang_up_from: None,
    }
}

/// The habits of such a program: at its own rate, and patient.
pub(super) fn habits(bots: &Bots) -> People {
    let beat = Span::fixed(1.0 / bots.rate_rps);
    People {
        steps: bots.steps.clone(),
        repeat: None,
        cases: 1,
        closing: 0,
        app_share: 1.0,
        no_script: 0.0,
        no_cookies: 0.0,
        devices: vec![1.0],
        nat_share: 0.0,
        nat_addresses: 1,
        locale: Vec::new(),
        think: beat,
        retry: RetryRule::RetryAfter,
        retry_gap: beat,
        f5_share: 0.0,
        f5_every: Duration::from_secs(1),
        patience: Patience { spinner: beat, ticket: beat },
        silent_leave: 1.0,
        refreshes: 0,
        change_ip: 0.0,
        close_tab: 0.0,
        away: beat,
        hang_up: 0.0,
    }
}

/// The address of an owner of bots.
pub(super) fn bot_address(owner: u64) -> Ipv4Addr {
    address(9, owner)
}

fn patience(patience: &Patience, chance: &mut Chance) -> (Duration, Duration) {
    let spinner = patience.spinner.draw(chance);
    (spinner, patience.ticket.draw(chance).max(spinner))
}

fn way(people: &People, chance: &mut Chance) -> Vec<usize> {
    let mut steps = people.steps.clone();
    if let Some(repeat) = &people.repeat {
        let stretch: Vec<usize> =
            people.steps.iter().skip(repeat.from).take(repeat.to + 1 - repeat.from).copied().collect();
        for _ in 0..chance.weighted(&repeat.times) {
            steps.splice(repeat.to + 1..repeat.to + 1, stretch.iter().copied());
        }
    }
    let case = steps.get(..steps.len().saturating_sub(people.closing)).unwrap_or_default();
    let before = usize::try_from(people.cases).unwrap_or(1).saturating_sub(1);
    [case.repeat(before), steps].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scenario::Conduct;

    fn cards(seed: u64) -> (Scenario, Vec<Plan>) {
        let scenario = Scenario::shipped().unwrap();
        let Conduct::People(habits) = scenario.classes[0].conduct.clone() else { panic!("people") };
        let plans = people(&scenario, 0, &habits, 1, seed);
        (scenario, plans)
    }

    #[test]
    fn the_same_seed_is_the_same_crowd() {
        assert_eq!(cards(1).1, cards(1).1);
        assert_ne!(cards(1).1, cards(2).1);
    }

    #[test]
    fn the_crowd_has_the_shares_of_the_scenario() {
        let (_, plans) = cards(1);
        let share = |test: &dyn Fn(&Plan) -> bool| plans.iter().filter(|p| test(p)).count() as f64 / 1200.0;
        assert!((share(&|p| p.arrivals.len() == 1) - 0.70).abs() < 0.04);
        assert!((share(&|p| p.hang_up_from.is_some()) - 0.30).abs() < 0.04);
        assert!((share(&|p| p.home.octets()[1] == 8) - 0.30).abs() < 0.04);
        assert!((share(&|p| p.app) - 0.70).abs() < 0.04);
        assert!((share(&|p| p.language == "it") - 0.90).abs() < 0.03);
        assert!(plans.iter().all(|p| p.arrivals[0] <= Duration::from_secs(10)));
    }

    #[test]
    fn a_second_card_is_walked_after_the_first() {
        let (scenario, plans) = cards(1);
        let names = |plan: &Plan| -> Vec<String> {
            plan.steps.iter().map(|step| scenario.endpoints[*step].id.clone()).collect()
        };
        let one = ["wallet", "card_add", "card_verify", "wallet", "receipt"];
        let two =
            ["wallet", "card_add", "card_verify", "wallet", "card_add", "card_verify", "wallet", "receipt"];
        assert!(plans.iter().all(|plan| names(plan) == one || names(plan) == two));
        let twice = plans.iter().filter(|plan| names(plan) == two).count();
        assert!((500..700).contains(&twice), "{twice} of 1200 have two cards");
    }

    #[test]
    fn a_way_costs_what_its_steps_cost() {
        let (scenario, plans) = cards(1);
        let Conduct::People(habits) = &scenario.classes[0].conduct else { panic!("people") };
        let one = plans.iter().find(|plan| plan.steps.len() == 5).unwrap().way(&scenario, habits);
        assert_eq!(one.pool_requests, 5);
        assert!((one.work_s - 0.182).abs() < 1e-9, "{one:?}");
        assert!((one.whole_s - one.work_s - 4.0 * habits.think.mean_s()).abs() < 1e-9);
    }

    #[test]
    fn an_intermediary_walks_case_after_case() {
        let mut scenario = Scenario::shipped().unwrap();
        let Conduct::People(habits) = &mut scenario.classes[1].conduct else { panic!("people") };
        (habits.cases, habits.closing) = (3, 1);
        let habits = habits.clone();
        let plans = people(&scenario, 1, &habits, 1, 1);
        for plan in plans {
            // Seven of eight steps three times, and the last one at the end.
            assert_eq!(plan.steps.len(), 22);
            assert_eq!((&plan.steps[..7], plan.steps[21]), (&plan.steps[14..21], habits.steps[7]));
        }
        assert!((habits.requests() - 22.0).abs() < 1e-9);
    }

    #[test]
    fn own_addresses_are_nobody_elses() {
        let (_, plans) = cards(1);
        let own: Vec<_> = plans.iter().map(|p| p.home).filter(|ip| ip.octets()[1] != 8).collect();
        let distinct: std::collections::HashSet<_> = own.iter().collect();
        assert_eq!(own.len(), distinct.len());
        assert!(own.iter().all(Ipv4Addr::is_loopback));
    }
}
