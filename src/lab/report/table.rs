//! The report for a terminal: legs side by side, targets, verdicts.

use std::fmt::Write as _;

use super::super::account::Kind;
use super::metric::METRICS;
use super::show::{part, thousands};
use super::{LegSummary, Report, Standing};

const LABEL: usize = 66;
const CELL: usize = 14;

/// The table for people. Verdicts are those of the gateway's leg.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = format!("{}, seed {}: {}\n\n", report.scenario, report.seed, report.crowd);
    let line = |label: &str, cells: &mut dyn Iterator<Item = String>, target: &str, verdict: &str| {
        let cells: String = cells.map(|cell| format!(" {cell:>CELL$}")).collect();
        format!("{}\n", format!("{label:<LABEL$}{cells}  {target:<9} {verdict}").trim_end())
    };
    text += &line("", &mut report.legs.iter().map(|leg| leg.title.clone()), "target", "verdict");
    let mut plain = |label: &str, show: &dyn Fn(&LegSummary) -> String| {
        let _ = write!(text, "{}", line(label, &mut report.legs.iter().map(show), "", ""));
    };
    plain("people who wanted something scarce", &|leg| thousands(leg.people));
    plain("  reached their goal", &|leg| part(leg.completed, leg.people));
    plain("  gave up", &|leg| part(leg.gave_up, leg.people));
    plain("  still trying at the end", &|leg| thousands(leg.still_there));
    plain("  hung up on a request and came back", &|leg| thousands(leg.hung_up));
    plain("people who only looked around: reached their goal", &|leg| {
        part(leg.browsers_completed, leg.browsers)
    });
    if report.legs.iter().any(LegSummary::has_requests) {
        plain("requests sent by the crowd", &|leg| thousands(leg.requests));
        plain("  by bots", &|leg| thousands(leg.bot_requests));
        plain("  by bots, and served", &|leg| thousands(leg.bots_served));
        plain("requests received by the origin", &|leg| thousands(leg.origin_requests));
    }
    plain("length of the leg", &|leg| super::show::seconds(leg.elapsed_s));
    text.push('\n');
    let judged = report.first(&Kind::Gateway);
    for metric in METRICS {
        let verdict = match judged.map(|leg| metric.judge(leg).standing) {
            Some(Standing::Met) => "met".to_owned(),
            Some(Standing::Missed) => "MISSED".to_owned(),
            Some(Standing::NotApplicable(why)) => format!("- {why}"),
            Some(Standing::Reported) | None => String::new(),
        };
        let mut cells = report.legs.iter().map(|leg| metric.judge(leg).shown);
        text += &line(metric.label, &mut cells, metric.target, &verdict);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_promise_and_straight_columns() {
        let text = table(&report());
        assert!(text.contains("WITHOUT") && text.contains("3 (75.0 %)"), "{text}");
        for metric in METRICS {
            assert!(text.contains(metric.label), "{}\n{text}", metric.label);
            assert!(metric.label.chars().count() <= LABEL && metric.target.chars().count() <= 9);
        }
        let ends = LABEL + 4 * (1 + CELL);
        let straight = |line: &str| line.chars().nth(ends).is_none_or(|end| end == ' ');
        assert!(text.lines().skip(2).all(straight), "{text}");
        assert!(text.contains("MISSED") && text.contains("met\n") && text.contains("- no lots"), "{text}");
    }
}
