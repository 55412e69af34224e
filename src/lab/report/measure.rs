//! From what a leg left behind to its figures.

use std::time::Duration;

use super::super::account::{Kind, LegRecord, Memory, Tick};
use super::super::chance::Chance;
use super::super::crowd::{End, PersonRecord};
use super::super::order::{kendall_tau, overtakes_max, ranks};
use super::super::scenario::{Conduct, Scenario};
use super::fairness::{self, bot_gain, jain, parity};
use super::goodput::{goodput, recovery_s};
use super::ideal::{Ideal, Visit, ideal};
use super::spread::{bins, percentile, sorted, thinned};
use super::summary::{LegSummary, POINTS_MAX, Parity, Point, SERIES_MAX};

/// Draws for the calm 99th percentile.
const DRAWS: usize = 20_000;

impl LegSummary {
    /// The figures of a leg of this scenario.
    #[must_use]
    pub fn new(scenario: &Scenario, leg: &LegRecord) -> Self {
        let LegRecord { outcome, truth, ticks, .. } = leg;
        let seeks: Vec<bool> = scenario.classes.iter().map(|class| scenario.seeks(class)).collect();
        let (people, others): (Vec<_>, Vec<_>) =
            outcome.people.iter().partition(|person| seeks.get(person.class).copied().unwrap_or(false));
        let ended = |end: End| people.iter().filter(|person| person.end == end).count() as u64;
        let sum = |count: fn(&PersonRecord) -> u64| outcome.people.iter().map(count).sum::<u64>();
        let answers = sorted(people.iter().map(|person| {
            person.first_answer.unwrap_or(person.ended).saturating_sub(person.arrival).as_secs_f64()
        }));
        let goals = sorted(people.iter().filter_map(|person| goal_s(person)));
        let browsing =
            sorted(others.iter().flat_map(|person| &person.page_us).map(|us| f64::from(*us) / 1_000_000.0));
        let workers = scenario.workers();
        let eligible = scenario.eligible(people.len() as u64);
        let perfect = perfect(&people, eligible, &workers);
        let recovery_s =
            perfect.overload.and_then(|(_, quiet)| recovery_s(ticks, quiet, calm_p99_s(scenario)?));
        let ideal_goals = sorted(perfect.goals_s.iter().copied());
        let asked = people.iter().filter(|person| person.end == End::Completed);
        let needed: u64 =
            asked.map(|person| u64::from(person.way.pool_requests) + u64::from(person.hung_up)).sum();
        let waited_s: f64 = people.iter().map(|person| person.waited.as_secs_f64()).sum();
        Self {
            title: leg.title.clone(),
            kind: leg.kind.clone(),
            people: people.len() as u64,
            eligible,
            oversold: (!scenario.stocks.is_empty()).then(|| {
                let units: u64 = scenario.stocks.iter().map(|stock| stock.units).sum();
                truth.sold().saturating_sub(units)
            }),
            completed: ended(End::Completed),
            gave_up: ended(End::GaveUp) + ended(End::Failed),
            told_exhausted: ended(End::SoldOut),
            still_there: ended(End::StillThere),
            unanswered: people.iter().filter(|person| person.first_answer.is_none()).count() as u64,
            first_answer_p50_s: percentile(&answers, 50).unwrap_or_default(),
            first_answer_p99_s: percentile(&answers, 99).unwrap_or_default(),
            first_answer_max_s: percentile(&answers, 100).unwrap_or_default(),
            goal_p50_s: percentile(&goals, 50),
            goal_p99_s: percentile(&goals, 99),
            ideal_p50_s: percentile(&ideal_goals, 50),
            ideal_p99_s: percentile(&ideal_goals, 99),
            goodput: perfect.overload.and_then(|overload| goodput(ticks, overload, &workers)),
            recovery_s,
            never_quiet: recovery_s.is_none() && perfect.overload.is_some() && !ticks.is_empty(),
            bare_refusals: sum(|person| person.bare_refusals),
            broken: sum(|person| person.broken),
            joined: people.iter().filter(|person| person.placed.is_some()).count() as u64,
            lost_places: sum(|person| person.lost_places),
            burnt_turns: sum(|person| person.burnt_turns),
            foreign_canaries: sum(|person| person.foreign_canaries) + outcome.count.bots_foreign,
            hung_up: people.iter().filter(|person| person.hung_up).count() as u64,
            browsers_p99_s: percentile(&browsing, 99),
            browsers_completed: others.iter().filter(|person| person.end == End::Completed).count() as u64,
            browsers_bare_refusals: others.iter().map(|person| person.bare_refusals).sum(),
            browsers_queued: others.iter().filter(|person| person.placed.is_some()).count() as u64,
            browsers: others.len() as u64,
            requests: outcome.count.requests,
            bot_requests: outcome.count.bot_requests,
            bots_served: outcome.count.bots_served,
            bot_gain: bots(scenario, contested(leg, &people), people.len() as u64),
            origin_requests: truth.requests,
            amplification: (needed > 0).then(|| received_by(scenario, leg, &people) / needed as f64),
            origin_amplification: (truth.useful > 0)
                .then(|| truth.pool_requests as f64 / truth.useful as f64),
            origin_wasted_share: truth.wasted_share(),
            origin_in_flight_max: truth.in_flight_max,
            over_limit: truth.over_limit,
            elapsed_s: outcome.elapsed.as_secs_f64(),
            cpu: leg.cpu.clone(),
            waiting_bytes: leg.memory.and_then(per_waiting),
            phone_bytes_per_hour: (waited_s > 0.0).then(|| {
                let bytes = people.iter().map(|person| person.waiting_bytes).sum::<u64>() as f64;
                // An hour of the real day is shorter here, and so is the time between two looks.
                bytes / waited_s * 3_600.0 / scenario.time_scale
            }),
            kills: leg.kills.clone(),
            agreement: leg.agreement.clone(),
            series: thinned(ticks, SERIES_MAX),
            waits: bins(&goals),
            ..Self::fair(scenario, &leg.kind, &people)
        }
    }

    /// The part of it that is about order and equal chances.
    fn fair(scenario: &Scenario, kind: &Kind, people: &[&PersonRecord]) -> Self {
        let opens = scenario.opens.unwrap_or_default();
        // Who is there before the opening came as early as everybody else who is.
        let after: Vec<_> = people
            .iter()
            .filter_map(|person| Some((person.arrival, person.admitted?)))
            .filter(|(arrival, _)| *arrival >= opens)
            .collect();
        let mut points: Vec<Point> =
            ranks(&after).into_iter().map(|(arrival, admission)| Point { arrival, admission }).collect();
        points.sort_unstable_by_key(|point| point.arrival);
        let tau = kendall_tau(&after);
        let told: Vec<(f64, f64, f64)> = people
            .iter()
            .filter_map(|person| {
                let ((low, high), admitted) = (person.announced?, person.admitted?);
                Some((low.as_secs_f64(), high.as_secs_f64(), admitted.as_secs_f64()))
            })
            .collect();
        let inside = told.iter().filter(|(low, high, admitted)| (low..=high).contains(&admitted)).count();
        let error: f64 = told.iter().map(|(low, high, admitted)| f64::midpoint(*low, *high) - admitted).sum();
        let some = |value: f64| (!told.is_empty()).then(|| value / told.len() as f64);
        let looks = at_looks(scenario, people);
        let shares = people.iter().map(|person| match kind {
            // Where nobody has to wait, nobody needs a pass.
            Kind::Gateway => f64::from(person.admissions.max(u32::from(person.admitted.is_some()))),
            Kind::Origin | Kind::Peer { .. } => f64::from(u8::from(person.end == End::Completed)),
        });
        Self {
            announced_inside: some(inside as f64),
            announced_error_s: some(error),
            told_inside: looks.inside,
            told_missed_by_hold: looks.missed_by_hold,
            told_spread: looks.spread,
            order_tau: tau,
            inversions: tau.map(|tau| (1.0 - tau) / 2.0),
            overtakes_max: (after.len() > 1).then(|| overtakes_max(&after)),
            jain: jain(shares),
            parity: parities(people),
            order: thinned(&points, POINTS_MAX),
            ..Self::default()
        }
    }
}

/// What was told at looks, held against what came.
#[derive(Debug, Default)]
struct Looks {
    /// Share of what came true.
    inside: Option<f64>,
    /// Share of the others during whose wait the line stood still: when it was told nobody could know.
    missed_by_hold: Option<f64>,
    /// End over beginning, median.
    spread: Option<f64>,
}

/// How much of what was told at looks came true, and how wide it was. In the first five minutes of a line nobody
/// knows its pace.
fn at_looks(scenario: &Scenario, people: &[&PersonRecord]) -> Looks {
    let Some(begins) = people.iter().filter_map(|person| person.placed).min() else {
        return Looks::default();
    };
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes).div_f64(scenario.time_scale);
    let from = begins + minutes(5);
    // Somebody looks all the time, so that no standstill is without a look.
    let mut stood: Vec<Duration> = people.iter().flat_map(|person| &person.stood).copied().collect();
    stood.sort_unstable();
    let stood_in = |look: Duration, admitted: Duration| {
        let after = stood.partition_point(|stood| *stood < look);
        stood.get(after).is_some_and(|stood| *stood <= admitted)
    };
    let (mut spreads, mut inside, mut by_hold) = (Vec::new(), 0, 0);
    for person in people {
        let Some(admitted) = person.admitted else { continue };
        for &(look, [low, high]) in person.told.iter().filter(|(look, _)| *look >= from) {
            // Waits are told in whole minutes: below one nothing is told apart.
            let wait = |end: Duration| end.saturating_sub(look).max(minutes(1)).as_secs_f64();
            spreads.push(wait(high) / wait(low));
            if (low..=high).contains(&admitted) {
                inside += 1;
            } else {
                by_hold += usize::from(stood_in(look, admitted));
            }
        }
    }
    let missed = spreads.len() - inside;
    let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
    Looks {
        inside: share(inside, spreads.len()),
        missed_by_hold: share(by_hold, missed),
        spread: percentile(&sorted(spreads.into_iter()), 50),
    }
}

/// Requests that the pools had received when the last who needed them was done, without those that served
/// programs: these are nobody's repeats, and whether they were more than a fair share is `bot_gain`'s to say.
/// What programs asked in vain counts, and all that they ask where they also ask what no pool serves.
fn received_by(scenario: &Scenario, leg: &LegRecord, people: &[&PersonRecord]) -> f64 {
    let end_s = people.iter().map(|person| person.ended.as_secs_f64()).fold(0.0, f64::max);
    let until = |all: u64, count: fn(&Tick) -> u64| counted_by(&leg.ticks, end_s, all, count);
    let received = until(leg.truth.pool_requests, |tick| tick.received);
    let has_pool = |step: &usize| scenario.endpoints.get(*step).is_some_and(|it| it.pool.is_some());
    let only_pools = scenario.classes.iter().all(|class| match &class.conduct {
        Conduct::Bots(bots) => bots.steps.iter().all(has_pool),
        Conduct::People(_) => true,
    });
    let bots = if only_pools { leg.outcome.count.bots_served } else { 0 };
    (received - until(bots, |tick| tick.bots_served)).max(0.0)
}

/// How much of `all` was counted by then; all of it where nobody looked any more.
fn counted_by(ticks: &[Tick], end_s: f64, all: u64, count: impl Fn(&Tick) -> u64) -> f64 {
    let pair = ticks.windows(2).find(|pair| matches!(pair, [_, after] if after.at_s >= end_s));
    let Some([before, after]) = pair else { return all as f64 };
    let passed = ((end_s - before.at_s) / (after.at_s - before.at_s)).clamp(0.0, 1.0);
    let (from, to) = (count(before) as f64, count(after) as f64);
    (from + passed * (to - from)).min(all as f64)
}

/// Time to the goal of who reached it.
fn goal_s(person: &PersonRecord) -> Option<f64> {
    (person.end == End::Completed).then(|| person.ended.saturating_sub(person.arrival).as_secs_f64())
}

fn perfect(people: &[&PersonRecord], eligible: u64, workers: &[(f64, f64)]) -> Ideal {
    let mut visits: Vec<Visit> = people
        .iter()
        .map(|person| Visit {
            at_s: person.arrival.as_secs_f64(),
            work_s: person.way.work_s,
            way_s: person.way.whole_s,
        })
        .collect();
    visits.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    visits.truncate(usize::try_from(eligible).unwrap_or(usize::MAX));
    ideal(&visits, workers)
}

/// Time that 99 of 100 pages of all people take if nobody waits, by many draws.
fn calm_p99_s(scenario: &Scenario) -> Option<f64> {
    let people = scenario.classes.iter().filter_map(|class| match &class.conduct {
        Conduct::People(people) => Some((class.people as f64, people)),
        Conduct::Bots(_) => None,
    });
    let pages: Vec<_> = people
        .flat_map(|(many, people)| people.steps.iter().map(move |step| (many, *step)))
        .filter_map(|(many, step)| Some((many, scenario.endpoints.get(step)?)))
        .collect();
    let weights: Vec<f64> = pages.iter().map(|(many, _)| *many).collect();
    let mut chance = Chance::new(scenario.seed, u64::MAX);
    let draws = (0..DRAWS).filter_map(|_| {
        let (_, page) = pages.get(chance.weighted(&weights))?;
        Some(page.service.draw(&mut chance).as_secs_f64())
    });
    percentile(&sorted(draws), 99)
}

/// What bots got, and what all got, until the last person was let in, or left: what they ask of a pool for
/// which nobody waits any more is taken from nobody.
fn contested(leg: &LegRecord, people: &[&PersonRecord]) -> (f64, f64) {
    let ends = people.iter().map(|person| person.admitted.unwrap_or(person.ended).as_secs_f64());
    let end_s = ends.fold(0.0, f64::max);
    let (served, useful) = (leg.outcome.count.bots_served, leg.truth.useful);
    let until = |all: u64, count: fn(&Tick) -> u64| counted_by(&leg.ticks, end_s, all, count);
    (until(served, |tick| tick.bots_served), until(useful, |tick| tick.useful))
}

fn bots(scenario: &Scenario, (served, useful): (f64, f64), people: u64) -> Option<f64> {
    let identities = scenario.classes.iter().map(|class| match &class.conduct {
        Conduct::Bots(bots) => bots.identities as u64,
        Conduct::People(_) => 0,
    });
    let identities: u64 = identities.sum();
    bot_gain(served, useful.max(served), identities, identities + people)
}

fn parities(people: &[&PersonRecord]) -> Vec<Parity> {
    let admitted: Vec<_> =
        people.iter().filter_map(|person| Some((person.arrival, person.admitted?))).collect();
    let mut ranked = ranks(&admitted).into_iter();
    let chances: Vec<fairness::Chance> = people
        .iter()
        .map(|person| fairness::Chance {
            wait_s: goal_s(person),
            ranks: person.admitted.and_then(|_| ranked.next()),
        })
        .collect();
    let by = |name: &str, group: &dyn Fn(&PersonRecord) -> String| {
        parity(name, people.iter().map(|person| group(person)).zip(chances.iter().copied()))
    };
    let either = |yes: bool, a: &str, b: &str| if yes { a.to_owned() } else { b.to_owned() };
    vec![
        by("devices", &|person| either(person.traits.devices > 1, "several", "one")),
        by("address", &|person| either(person.traits.shared_address, "shared", "own")),
        by("language", &|person| either(person.traits.language == "it", "it", "other")),
        by("client", &|person| either(person.traits.app, "app", "browser")),
    ]
}

fn per_waiting(memory: Memory) -> Option<f64> {
    (memory.waiting > 0).then(|| memory.most.saturating_sub(memory.before) as f64 / memory.waiting as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lab::crowd::{LegOutcome, Way};
    use crate::lab::tally::Count;
    use crate::lab::truth::OriginTruth;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn person(arrival: u64, first: Option<u64>, admitted: Option<u64>, end: End, ended: u64) -> PersonRecord {
        let mut person = PersonRecord::new(0, ms(arrival));
        (person.first_answer, person.admitted) = (first.map(ms), admitted.map(ms));
        (person.end, person.ended) = (end, ms(ended));
        person.way = Way { pool_requests: 5, work_s: 12.0, whole_s: 2.0 };
        person.placed = person.first_answer;
        person
    }

    fn leg(shape: impl FnOnce(&mut LegRecord)) -> LegSummary {
        let people = vec![
            person(0, Some(10), Some(100), End::Completed, 1_000),
            person(100, Some(120), Some(300), End::Completed, 2_100),
            person(200, Some(230), Some(200), End::Completed, 3_200),
            person(300, None, None, End::GaveUp, 30_300),
        ];
        let count = Count { requests: 99, ..Count::default() };
        let outcome = LegOutcome { people, count, elapsed: ms(31_000) };
        let mut record = LegRecord::new("WITH", Kind::Gateway, outcome, OriginTruth::default());
        shape(&mut record);
        LegSummary::new(&Scenario::shipped().unwrap(), &record)
    }

    #[test]
    fn who_never_had_an_answer_counts_until_they_left() {
        let leg = leg(|_| {});
        assert!((leg.first_answer_p99_s - 30.0).abs() < 1e-9 && leg.unanswered == 1);
        assert!((leg.first_answer_p50_s - 0.020).abs() < 1e-9);
        assert_eq!((leg.people, leg.completed, leg.gave_up, leg.joined), (4, 3, 1, 3));
        assert_eq!(leg.goal_p50_s, Some(2.0));
    }

    #[test]
    fn order_is_that_of_those_let_in() {
        let leg = leg(|_| {});
        assert!((leg.order_tau.unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert!((leg.inversions.unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(leg.overtakes_max, Some(1));
        let points: Vec<_> = leg.order.iter().map(|point| (point.arrival, point.admission)).collect();
        assert_eq!(points, [(0, 0), (1, 2), (2, 1)]);
    }

    #[test]
    fn the_ideal_is_twelve_workers_one_after_the_other() {
        // 12 worker seconds each on 12 workers: a second each, then two for the way.
        let leg = leg(|_| {});
        assert!((leg.ideal_p50_s.unwrap() - 2.9).abs() < 1e-9, "{leg:#?}");
        assert!((leg.ideal_p99_s.unwrap() - 4.7).abs() < 1e-9, "{leg:#?}");
    }

    #[test]
    fn a_request_broken_off_is_needed_again() {
        let leg = leg(|record| {
            record.truth.pool_requests = 32;
            record.outcome.people[0].hung_up = true;
            record.outcome.people[3].hung_up = true;
        });
        assert_eq!(leg.amplification, Some(2.0));
    }

    #[test]
    fn what_is_asked_when_all_are_done_is_not_counted() {
        let leg = leg(|record| {
            record.truth.pool_requests = 1_000;
            let last_s = record.outcome.people.iter().map(|person| person.ended.as_secs_f64());
            let last_s = last_s.fold(0.0, f64::max);
            let tick = |(at_s, received)| Tick { at_s, received, ..Tick::default() };
            let samples = [(0.0, 0), (last_s - 1.0, 20), (last_s + 1.0, 28), (last_s + 9.0, 1_000)];
            record.ticks = samples.map(tick).to_vec();
        });
        let needed = 15.0;
        assert!((leg.amplification.unwrap() - 24.0 / needed).abs() < 1e-9, "{:?}", leg.amplification);
    }

    #[test]
    fn what_served_programs_is_no_repeat_of_anybody() {
        let leg = leg(|record| {
            (record.truth.pool_requests, record.outcome.count.bots_served) = (39, 9);
        });
        assert_eq!(leg.amplification, Some(2.0));
    }

    #[test]
    fn what_bots_get_when_nobody_waits_any_more_is_taken_from_nobody() {
        // Twelve owners of bots, four people; the last of them leaves without having been let in.
        let last_s = 30.3;
        let tick = |(at_s, bots_served, useful)| Tick { at_s, bots_served, useful, ..Tick::default() };
        let gain = |ticks: &[(f64, u64, u64)]| {
            let leg = leg(|record| {
                (record.outcome.count.bots_served, record.truth.useful) = (900, 1_000);
                record.ticks = ticks.iter().copied().map(tick).collect();
            });
            leg.bot_gain.unwrap()
        };
        let share = 12.0 / 16.0;
        let until = gain(&[(0.0, 0, 0), (last_s - 1.0, 5, 50), (last_s + 1.0, 15, 150), (40.0, 900, 1_000)]);
        assert!((until - 0.1 / share).abs() < 1e-9, "ten of a hundred: {until}");
        let all = gain(&[]);
        assert!((all - 0.9 / share).abs() < 1e-9, "where nobody looked all of it counts: {all}");
    }

    #[test]
    fn what_was_announced_is_held_against_what_came() {
        let leg = leg(|record| {
            let people = &mut record.outcome.people;
            people[0].announced = Some((ms(0), ms(200)));
            people[1].announced = Some((ms(500), ms(900)));
            people[3].announced = Some((ms(0), ms(200)));
        });
        assert_eq!(leg.announced_inside, Some(0.5));
        assert!((leg.announced_error_s.unwrap() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn what_was_told_at_each_look_is_held_against_what_came() {
        let told = |looks: &[(u64, [u64; 2])]| {
            let leg = leg(|record| {
                let person = &mut record.outcome.people[0];
                person.told = looks.iter().map(|(look, ends)| (ms(*look), ends.map(ms))).collect();
                (person.placed, person.admitted) = (Some(ms(0)), Some(ms(40_000)));
            });
            (leg.told_inside, leg.told_spread)
        };
        assert_eq!(told(&[(10_000, [30_000, 50_000])]), (None, None), "five minutes are 15 s of this day");
        let looks = [(20_000, [30_000, 40_000]), (24_000, [41_000, 58_000]), (30_000, [35_000, 45_000])];
        let (inside, spread) = told(&looks);
        assert!((inside.unwrap() - 2.0 / 3.0).abs() < 1e-9);
        assert!((spread.unwrap() - 2.0).abs() < 1e-9, "34 s over 17 s");
    }

    #[test]
    fn misses_with_a_standstill_in_their_wait_are_counted_and_stay_misses() {
        let told = |stood: &[u64]| {
            let leg = leg(|record| {
                let [person, other, ..] = record.outcome.people.as_mut_slice() else { panic!("two people") };
                let told =
                    [(20_000, [30_000, 35_000]), (26_000, [30_000, 35_000]), (27_000, [38_000, 42_000])];
                person.told = told.iter().map(|(look, ends)| (ms(*look), ends.map(ms))).collect();
                (person.placed, person.admitted) = (Some(ms(0)), Some(ms(40_000)));
                other.stood = stood.iter().copied().map(ms).collect();
            });
            (leg.told_inside.unwrap(), leg.told_missed_by_hold)
        };
        let third = 1.0 / 3.0;
        let standstills: [(&[u64], f64); 4] =
            [(&[], 0.0), (&[24_000], 0.5), (&[19_000, 30_000], 1.0), (&[41_000], 0.0)];
        for (stood, by_hold) in standstills {
            let (inside, missed) = told(stood);
            assert!((inside - third).abs() < 1e-9, "{stood:?}");
            assert_eq!(missed, Some(by_hold), "{stood:?}");
        }
    }

    #[test]
    fn admissions_are_equal_or_not() {
        let leg = leg(|record| {
            for (person, admissions) in record.outcome.people.iter_mut().zip([1, 1, 2, 0]) {
                person.admissions = admissions;
            }
        });
        assert!((leg.jain.unwrap() - 16.0 / 24.0).abs() < 1e-9);
    }

    #[test]
    fn waiting_costs_memory_and_a_phones_bytes() {
        let leg = leg(|record| {
            record.memory = Some(Memory { before: 1_000, most: 2_000, waiting: 10 });
            for person in &mut record.outcome.people {
                (person.waited, person.waiting_bytes) = (ms(20_000), 500);
            }
        });
        assert_eq!(leg.waiting_bytes, Some(100.0));
        assert!((leg.phone_bytes_per_hour.unwrap() - 500.0 / 20.0 * 180.0).abs() < 1e-9);
    }

    #[test]
    fn goodput_and_recovery_come_from_the_samples() {
        let leg = leg(|record| {
            // Overload by the ideal: from 0 to 4 s, 48 worker seconds.
            record.ticks = (0..=32)
                .map(|quarter| Tick {
                    at_s: f64::from(quarter) / 4.0,
                    useful_work_s: 36.0 * (f64::from(quarter) / 16.0).min(1.0),
                    waiting: u64::from(quarter < 20),
                    capacity: 12.0,
                    ..Tick::default()
                })
                .collect();
        });
        assert!((leg.goodput.unwrap() - 0.75).abs() < 1e-9);
        assert!((leg.recovery_s.unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_calm_page_is_as_slow_as_the_services_that_make_it() {
        let calm = calm_p99_s(&Scenario::shipped().unwrap()).unwrap();
        assert!((0.1..0.4).contains(&calm), "{calm}");
    }
}
