//! The account of two legs: what the crowd and the origin counted, side by side.
//!
//! Times in seconds, shares between 0 and 1. *People* are those who want something scarce; the others
//! are counted apart, as those who must not suffer. Who never had a definite answer enters
//! `first_answer` with the time until they left, which flatters the leg.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::crowd::{End, LegOutcome, PersonRecord};
use super::order::kendall_tau;
use super::scenario::{Conduct, Scenario};
use super::truth::OriginTruth;

/// One leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LegReport {
    /// People who wanted something scarce.
    pub people: u64,
    /// Who reached their goal.
    pub completed: u64,
    /// Who left without it.
    pub gave_up: u64,
    /// Who were still trying when the leg was over.
    pub still_there: u64,
    /// Who never had a definite answer.
    pub unanswered: u64,
    /// Intended arrival to first definite answer.
    pub first_answer_p50_s: f64,
    /// The same, 99th percentile.
    pub first_answer_p99_s: f64,
    /// The same, worst.
    pub first_answer_max_s: f64,
    /// Intended arrival to the goal, of those who reached it.
    pub goal_p50_s: Option<f64>,
    /// The same, 99th percentile.
    pub goal_p99_s: Option<f64>,
    /// Kendall's τ of arrival against admission, of those admitted.
    pub order_tau: Option<f64>,
    /// People who held a ticket.
    pub joined: u64,
    /// Times that a ticket was gone or its number worse.
    pub lost_places: u64,
    /// Personal pages that belonged to somebody else.
    pub foreign_canaries: u64,
    /// People who broke a request off after it was sent.
    pub hung_up: u64,
    /// Everybody else's pages, 99th percentile.
    pub browsers_p99_s: Option<f64>,
    /// How many of the others reached their goal.
    pub browsers_completed: u64,
    /// How many others there were.
    pub browsers: u64,
    /// Requests that the crowd sent, bots included.
    pub requests: u64,
    /// Those of bots.
    pub bot_requests: u64,
    /// Those of bots that were answered with a page.
    pub bots_served: u64,
    /// Requests that the origin received.
    pub origin_requests: u64,
    /// Requests that its pools received per answer of use; 1 is ideal.
    pub origin_amplification: Option<f64>,
    /// Worker time spent on requests whose client had left, or that were repeats of a step done.
    pub origin_wasted_share: f64,
    /// Most requests of a pool unfinished at once.
    pub origin_in_flight_max: u64,
    /// Requests that arrived above the limit they carried.
    pub over_limit: u64,
    /// Length of the leg.
    pub elapsed_s: f64,
}

/// Both legs, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the crowd.
    pub seed: u64,
    /// The crowd against the origin.
    pub without: LegReport,
    /// The same crowd against the gateway before the same origin.
    pub with: LegReport,
}

impl LegReport {
    /// The account of a leg.
    #[must_use]
    pub fn new(scenario: &Scenario, outcome: &LegOutcome, truth: &OriginTruth) -> Self {
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
            people: people.len() as u64,
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
            joined: people.iter().filter(|person| person.joined).count() as u64,
            lost_places: sum(|person| person.lost_places),
            foreign_canaries: sum(|person| person.foreign_canaries),
            hung_up: people.iter().filter(|person| person.hung_up).count() as u64,
            browsers_p99_s: percentile(&browsing, 99),
            browsers_completed: others.iter().filter(|person| person.end == End::Completed).count() as u64,
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
        }
    }
}

impl Report {
    /// One JSON object.
    ///
    /// # Errors
    /// None that can be caused: every field is a number, a text or null.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The table for people.
#[must_use]
pub fn table(report: &Report, scenario: &Scenario) -> String {
    let Report { without, with, .. } = report;
    let mut text = format!("{}, seed {}: {}\n\n", report.scenario, report.seed, crowd(scenario));
    let _ = writeln!(text, "{:<46} {:>14} {:>14}", "", "WITHOUT", "WITH");
    let mut row = |label: &str, show: &dyn Fn(&LegReport) -> String| {
        let _ = writeln!(text, "{label:<46} {:>14} {:>14}", show(without), show(with));
    };
    row("people who wanted something scarce", &|leg| leg.people.to_string());
    row("reached their goal", &|leg| share(leg.completed, leg.people));
    row("gave up", &|leg| share(leg.gave_up, leg.people));
    row("still trying at the end", &|leg| leg.still_there.to_string());
    row("first definite answer, p99", &|leg| time(Some(leg.first_answer_p99_s)));
    row("  worst", &|leg| time(Some(leg.first_answer_max_s)));
    row("  never had one", &|leg| leg.unanswered.to_string());
    row("time to the goal, median", &|leg| time(leg.goal_p50_s));
    row("  p99", &|leg| time(leg.goal_p99_s));
    row("order kept (Kendall τ; 1 = as they came)", &|leg| {
        leg.order_tau.map_or_else(|| "-".to_owned(), |tau| format!("{tau:.3}"))
    });
    row("places lost or worsened", &|leg| leg.lost_places.to_string());
    row("pages of somebody else", &|leg| leg.foreign_canaries.to_string());
    row("only looking around: page p99", &|leg| time(leg.browsers_p99_s));
    row("  reached their goal", &|leg| share(leg.browsers_completed, leg.browsers));
    row("hung up on a request and came back", &|leg| leg.hung_up.to_string());
    row("requests sent by the crowd", &|leg| leg.requests.to_string());
    row("  by bots", &|leg| leg.bot_requests.to_string());
    row("  bots' requests served", &|leg| leg.bots_served.to_string());
    row("requests received by the origin", &|leg| leg.origin_requests.to_string());
    row("origin: worker time wasted", &|leg| percent(leg.origin_wasted_share));
    row("origin: most unfinished requests at once", &|leg| leg.origin_in_flight_max.to_string());
    row("origin: requests above the limit", &|leg| leg.over_limit.to_string());
    row("length of the leg", &|leg| time(Some(leg.elapsed_s)));
    text
}

fn crowd(scenario: &Scenario) -> String {
    let class = |class: &super::scenario::Class| match &class.conduct {
        Conduct::People(_) => format!("{} {}", class.people, class.id),
        Conduct::Bots(bots) => {
            format!("{} {} at {}/s of {} owners", class.people, class.id, bots.rate_rps, bots.identities)
        }
    };
    scenario.classes.iter().map(class).collect::<Vec<_>>().join(", ")
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

fn share(part: u64, whole: u64) -> String {
    format!("{part} ({})", percent(part as f64 / whole.max(1) as f64))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn time(s: Option<f64>) -> String {
    match s {
        None => "-".to_owned(),
        Some(s) if s < 1.0 => format!("{:.0} ms", s * 1_000.0),
        Some(s) => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::tally::Count;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn person(arrival: u64, first: Option<u64>, admitted: Option<u64>, end: End, ended: u64) -> PersonRecord {
        let mut person = PersonRecord::new(0, ms(arrival));
        (person.first_answer, person.admitted) = (first.map(ms), admitted.map(ms));
        (person.end, person.ended) = (end, ms(ended));
        person
    }

    fn leg() -> LegReport {
        let people = vec![
            person(0, Some(10), Some(100), End::Completed, 1_000),
            person(100, Some(120), Some(300), End::Completed, 2_100),
            person(200, Some(230), Some(200), End::Completed, 3_200),
            person(300, None, None, End::GaveUp, 30_300),
        ];
        let count = Count { requests: 99, ..Count::default() };
        let outcome = LegOutcome { people, count, elapsed: ms(31_000) };
        LegReport::new(&Scenario::shipped().unwrap(), &outcome, &OriginTruth::default())
    }

    #[test]
    fn who_never_had_an_answer_counts_until_they_left() {
        let leg = leg();
        assert!((leg.first_answer_p99_s - 30.0).abs() < 1e-9 && leg.unanswered == 1);
        assert!((leg.first_answer_p50_s - 0.020).abs() < 1e-9);
        assert_eq!((leg.people, leg.completed, leg.gave_up), (4, 3, 1));
        assert_eq!(leg.goal_p50_s, Some(2.0));
        assert!((leg.order_tau.unwrap() - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn the_json_has_the_promised_names() {
        let report = Report { scenario: "S-CB".into(), seed: 1, without: leg(), with: leg() };
        let value: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        for leg in ["without", "with"] {
            for name in [
                "people",
                "completed",
                "gave_up",
                "first_answer_p99_s",
                "origin_wasted_share",
                "origin_in_flight_max",
                "over_limit",
                "order_tau",
            ] {
                assert!(value[leg].get(name).is_some_and(serde_json::Value::is_number), "{leg}.{name}");
            }
        }
        assert_eq!((&value["scenario"], &value["seed"]), (&"S-CB".into(), &1.into()));
    }

    #[test]
    fn the_table_has_a_line_for_each_promise_and_straight_columns() {
        let report = Report { scenario: "S-CB".into(), seed: 1, without: leg(), with: leg() };
        let text = table(&report, &Scenario::shipped().unwrap());
        assert!(text.contains("WITHOUT") && text.contains("3 (75.0 %)"), "{text}");
        let widths: Vec<usize> = text.lines().skip(2).map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
