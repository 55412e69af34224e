//! The report for a terminal: legs side by side.

use std::fmt::Write as _;

use super::super::scenario::{Conduct, Scenario};
use super::{LegSummary, Report};

/// The table for people.
#[must_use]
pub fn table(report: &Report, scenario: &Scenario) -> String {
    let mut text = format!("{}, seed {}: {}\n\n", report.scenario, report.seed, crowd(scenario));
    let line = |label: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>14}")).collect();
        format!("{label:<46}{cells}\n")
    };
    text += &line("", report.legs.iter().map(|leg| leg.title.clone()).collect());
    let mut row = |label: &str, show: &dyn Fn(&LegSummary) -> String| {
        let _ = write!(text, "{}", line(label, report.legs.iter().map(show).collect()));
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
    let class = |class: &super::super::scenario::Class| match &class.conduct {
        Conduct::People(_) => format!("{} {}", class.people, class.id),
        Conduct::Bots(bots) => {
            format!("{} {} at {}/s of {} owners", class.people, class.id, bots.rate_rps, bots.identities)
        }
    };
    scenario.classes.iter().map(class).collect::<Vec<_>>().join(", ")
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
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_promise_and_straight_columns() {
        let text = table(&report(), &Scenario::shipped().unwrap());
        assert!(text.contains("WITHOUT") && text.contains("3 (75.0 %)"), "{text}");
        let widths: Vec<usize> = text.lines().skip(2).map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
