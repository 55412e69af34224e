//! One leg in figures: every outcome metric, the samples over time, the distribution of waits, and who
//! was let in in which order.
//!
//! Times in seconds, shares between 0 and 1, all counted from the *intended* arrival. *People* are
//! those who want something scarce; the others are counted apart, as those who must not suffer. `None`
//! is what could not be measured in this leg. Who never had a definite answer enters `first_answer`
//! with the time until they left, which flatters the leg.

use std::time::Duration;

use serde::Serialize;

use super::super::account::{CountLine, Kill, Kind, LegRecord, Tick};
use super::super::crowd::{End, PersonRecord};
use super::super::order::kendall_tau;
use super::super::scenario::Scenario;

/// One leg. Built from a `LegRecord`, or field by field by whoever has no record of each person.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LegSummary {
    /// What the leg is called.
    pub title: String,
    /// Whom the crowd called.
    #[serde(flatten)]
    pub kind: Kind,
    /// People who wanted something scarce.
    pub people: u64,
    /// Of them, those for whom there was some: the stock, if it was smaller than their number.
    pub eligible: u64,
    /// Who reached their goal.
    pub completed: u64,
    /// Who left without it.
    pub gave_up: u64,
    /// Who were told for good that nothing is left.
    pub told_exhausted: u64,
    /// Who were still trying when the leg was over.
    pub still_there: u64,
    /// Who never had a definite answer.
    pub unanswered: u64,
    /// T1: intended arrival to first definite answer, median.
    pub first_answer_p50_s: f64,
    /// The same, 99th percentile.
    pub first_answer_p99_s: f64,
    /// The same, worst.
    pub first_answer_max_s: f64,
    /// T2: intended arrival to the goal, of those who reached it, median.
    pub goal_p50_s: Option<f64>,
    /// The same, 99th percentile.
    pub goal_p99_s: Option<f64>,
    /// T2 if everybody were served in order of arrival at full capacity, median.
    pub ideal_p50_s: Option<f64>,
    /// The same, 99th percentile.
    pub ideal_p99_s: Option<f64>,
    /// Useful work over the work that the pools could have done, while more was asked than they can.
    pub goodput: Option<f64>,
    /// Worker time spent on requests whose client had left, or that were repeats of a step done.
    pub origin_wasted_share: f64,
    /// Share of those let in who had been told an interval and were let in within it.
    pub announced_inside: Option<f64>,
    /// Middle of the announced interval minus the wait, mean. Positive: let in earlier than told.
    pub announced_error_s: Option<f64>,
    /// Kendall's τ of arrival against admission, of those admitted.
    pub order_tau: Option<f64>,
    /// Share of pairs of people let in the other way round than they came.
    pub inversions: Option<f64>,
    /// Most people who came later and were let in before one person.
    pub overtakes_max: Option<u64>,
    /// Probability that a fair lot gives ranks as unlike the arrivals as these, or more alike.
    pub lot_p: Option<f64>,
    /// Jain's index of admissions per person; without a room, of being served.
    pub jain: Option<f64>,
    /// Chances by what must not matter.
    pub parity: Vec<Parity>,
    /// Share of bots in what was handed out, over their share of identities.
    pub bot_gain: Option<f64>,
    /// Requests that the pools received per answer of use; 1 is ideal.
    pub origin_amplification: Option<f64>,
    /// From the moment at which a dependency was whole again to quiet, the longest.
    pub recovery_s: Option<f64>,
    /// Personal pages that belonged to somebody else.
    pub foreign_canaries: u64,
    /// Times that a ticket was gone or its number worse.
    pub lost_places: u64,
    /// Turns that were over before they could be used.
    pub burnt_turns: u64,
    /// Goals reached beyond the stock; `None` where there is no stock.
    pub oversold: Option<u64>,
    /// Requests that arrived above the limit they carried.
    pub over_limit: u64,
    /// Processor time by process, in seconds.
    pub cpu: Vec<(String, f64)>,
    /// Memory of the gateway per person who waits, in bytes: growth since before the crowd.
    pub waiting_bytes: Option<f64>,
    /// What the waiting protocol sends to one device in an hour, in bytes.
    pub phone_bytes_per_hour: Option<f64>,
    /// People who held a ticket.
    pub joined: u64,
    /// People who broke a request off after it was sent.
    pub hung_up: u64,
    /// Everybody else's pages, 99th percentile.
    pub browsers_p99_s: Option<f64>,
    /// How many of the others reached their goal.
    pub browsers_completed: u64,
    /// How many others there were.
    pub browsers: u64,
    /// How many of the others were given a place to wait in.
    pub browsers_queued: u64,
    /// Requests that the crowd sent, bots included.
    pub requests: u64,
    /// Those of bots.
    pub bot_requests: u64,
    /// Those of bots that were answered with a page.
    pub bots_served: u64,
    /// Requests that the origin received.
    pub origin_requests: u64,
    /// Most requests of a pool unfinished at once.
    pub origin_in_flight_max: u64,
    /// Length of the leg.
    pub elapsed_s: f64,
    /// What was killed.
    pub kills: Vec<Kill>,
    /// What was counted by several.
    pub agreement: Vec<CountLine>,
    /// Samples over time, at most `SERIES_MAX`.
    pub series: Vec<Tick>,
    /// How many waited how long for the goal.
    pub waits: Vec<Bin>,
    /// Ranks of arrival and of admission, at most `POINTS_MAX` of them.
    pub order: Vec<Point>,
}

/// Most samples kept.
pub const SERIES_MAX: usize = 480;
/// Most points of order kept.
pub const POINTS_MAX: usize = 1_500;
/// Bars of the distribution of waits.
pub const BINS: usize = 30;

/// People whose time to the goal lies in [`from_s`, `to_s`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// From.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
    /// How many.
    pub people: u64,
}

/// One person's ranks among those admitted, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Point {
    /// By intended arrival.
    pub arrival: u32,
    /// By admission.
    pub admission: u32,
}

/// Chances by one trait that must not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parity {
    /// Which trait: `devices`, `address`, `language`, `client`.
    pub by: String,
    /// The groups that it makes.
    pub groups: Vec<Group>,
    /// Smallest over greatest share served. `None` with fewer than two groups.
    pub served: Option<f64>,
    /// Smallest over greatest mean place in the order of admission, relative to that of arrival.
    pub rank: Option<f64>,
}

/// People who have one trait in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Their name.
    pub name: String,
    /// How many.
    pub people: u64,
    /// How many reached their goal.
    pub served: u64,
    /// Mean wait to the goal of those who reached it.
    pub mean_wait_s: Option<f64>,
    /// Mean of rank of admission over mean of rank of arrival, of those admitted.
    pub rank: Option<f64>,
}

impl LegSummary {
    /// The figures of a leg of this scenario, played with this seed.
    #[must_use]
    pub fn new(scenario: &Scenario, _seed: u64, leg: &LegRecord) -> Self {
        let LegRecord { outcome, truth, .. } = leg;
        let seeks: Vec<bool> = scenario.classes.iter().map(|class| scenario.seeks(class)).collect();
        let (people, others): (Vec<_>, Vec<_>) =
            outcome.people.iter().partition(|person| seeks.get(person.class).copied().unwrap_or(false));
        let ended = |end: End| people.iter().filter(|person| person.end == end).count() as u64;
        let waits = sorted(
            people
                .iter()
                .map(|person| person.first_answer.unwrap_or(person.ended).saturating_sub(person.arrival)),
        );
        let goals = sorted(
            people
                .iter()
                .filter(|person| person.end == End::Completed)
                .map(|person| person.ended.saturating_sub(person.arrival)),
        );
        let order: Vec<(Duration, Duration)> =
            people.iter().filter_map(|person| Some((person.arrival, person.admitted?))).collect();
        let browsing = sorted(
            others.iter().flat_map(|person| &person.page_us).map(|us| Duration::from_micros(u64::from(*us))),
        );
        let sum = |count: fn(&PersonRecord) -> u64| outcome.people.iter().map(count).sum::<u64>();
        Self {
            title: leg.title.clone(),
            kind: leg.kind.clone(),
            people: people.len() as u64,
            eligible: people.len() as u64,
            completed: ended(End::Completed),
            gave_up: ended(End::GaveUp) + ended(End::Failed),
            still_there: ended(End::StillThere),
            unanswered: people.iter().filter(|person| person.first_answer.is_none()).count() as u64,
            first_answer_p50_s: percentile(&waits, 50).unwrap_or_default(),
            first_answer_p99_s: percentile(&waits, 99).unwrap_or_default(),
            first_answer_max_s: percentile(&waits, 100).unwrap_or_default(),
            goal_p50_s: percentile(&goals, 50),
            goal_p99_s: percentile(&goals, 99),
            order_tau: kendall_tau(&order),
            joined: people.iter().filter(|person| person.placed.is_some()).count() as u64,
            lost_places: sum(|person| person.lost_places),
            foreign_canaries: sum(|person| person.foreign_canaries),
            hung_up: people.iter().filter(|person| person.hung_up).count() as u64,
            browsers_p99_s: percentile(&browsing, 99),
            browsers_completed: others.iter().filter(|person| person.end == End::Completed).count() as u64,
            browsers_queued: others.iter().filter(|person| person.placed.is_some()).count() as u64,
            browsers: others.len() as u64,
            requests: outcome.count.requests,
            bot_requests: outcome.count.bot_requests,
            bots_served: outcome.count.bots_served,
            origin_requests: truth.requests,
            origin_amplification: (truth.useful > 0)
                .then(|| truth.pool_requests as f64 / truth.useful as f64),
            origin_wasted_share: truth.wasted_share(),
            origin_in_flight_max: truth.in_flight_max,
            over_limit: truth.over_limit,
            elapsed_s: outcome.elapsed.as_secs_f64(),
            cpu: leg.cpu.clone(),
            kills: leg.kills.clone(),
            agreement: leg.agreement.clone(),
            series: leg.ticks.clone(),
            ..Self::default()
        }
    }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times
}

/// The smallest time that at least `percent` % of all do not exceed, in seconds.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::crowd::LegOutcome;
    use crate::lab::tally::Count;
    use crate::lab::truth::OriginTruth;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn person(arrival: u64, first: Option<u64>, admitted: Option<u64>, end: End, ended: u64) -> PersonRecord {
        let mut person = PersonRecord::new(0, ms(arrival));
        (person.first_answer, person.admitted) = (first.map(ms), admitted.map(ms));
        (person.end, person.ended) = (end, ms(ended));
        person
    }

    #[test]
    fn who_never_had_an_answer_counts_until_they_left() {
        let people = vec![
            person(0, Some(10), Some(100), End::Completed, 1_000),
            person(100, Some(120), Some(300), End::Completed, 2_100),
            person(200, Some(230), Some(200), End::Completed, 3_200),
            person(300, None, None, End::GaveUp, 30_300),
        ];
        let count = Count { requests: 99, ..Count::default() };
        let outcome = LegOutcome { people, count, elapsed: ms(31_000) };
        let record = LegRecord::new("WITH", Kind::Gateway, outcome, OriginTruth::default());
        let leg = LegSummary::new(&Scenario::shipped().unwrap(), 1, &record);
        assert!((leg.first_answer_p99_s - 30.0).abs() < 1e-9 && leg.unanswered == 1);
        assert!((leg.first_answer_p50_s - 0.020).abs() < 1e-9);
        assert_eq!((leg.people, leg.completed, leg.gave_up), (4, 3, 1));
        assert_eq!(leg.goal_p50_s, Some(2.0));
        assert!((leg.order_tau.unwrap() - 1.0 / 3.0).abs() < 1e-9);
    }
}
