//! The metrics: what each is called, how it is written, what it must be.
//!
//! One list for the table, the JSON, the page and the acceptance rows. The targets hold for the small
//! forms on one machine.

use super::show;
use super::summary::{LegSummary, Parity};
use super::verdict::{Standing, Verdict};

/// One metric.
pub struct Metric {
    /// Stable name.
    pub name: &'static str,
    /// The same for people.
    pub label: &'static str,
    /// What it must be, in words. Empty: it is reported, not judged.
    pub target: &'static str,
    /// Its value in a leg.
    pub value: fn(&LegSummary) -> Option<f64>,
    /// How the value is written.
    pub show: fn(f64) -> String,
    /// Whether the value is as it must be.
    pub met: fn(f64) -> bool,
    /// What is the matter when there is no value.
    pub absent: &'static str,
}

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metric").field(&self.name).finish()
    }
}

impl Metric {
    /// How a leg stands to it.
    #[must_use]
    pub fn judge(&self, leg: &LegSummary) -> Verdict {
        let measured = (self.value)(leg);
        let standing = match measured {
            None => Standing::NotApplicable(self.absent),
            Some(_) if self.target.is_empty() => Standing::Reported,
            Some(value) if (self.met)(value) => Standing::Met,
            Some(_) => Standing::Missed,
        };
        Verdict {
            leg: leg.title.clone(),
            metric: self.name,
            target: self.target.to_owned(),
            measured,
            shown: measured.map_or_else(|| "-".to_owned(), self.show),
            standing,
        }
    }
}

fn whole(count: u64) -> Option<f64> {
    Some(count as f64)
}

fn ratio(over: Option<f64>, under: Option<f64>) -> Option<f64> {
    let (over, under) = (over?, under?);
    (under > 0.0).then(|| over / under)
}

fn least(leg: &LegSummary, of: fn(&Parity) -> Option<f64>) -> Option<f64> {
    leg.parity.iter().filter_map(of).min_by(f64::total_cmp)
}

/// Why a figure of requests is missing where sessions were played.
const SESSIONS: &str = "requests were not played one by one";

/// A figure that only requests can give.
fn by_request(leg: &LegSummary, value: f64) -> Option<f64> {
    leg.has_requests().then_some(value)
}

fn never(_: f64) -> bool {
    true
}

fn zero(value: f64) -> bool {
    value.abs() < f64::EPSILON
}

/// Makes the list below read as a table.
macro_rules! metrics {
    ($($name:literal $label:literal, $target:literal $met:expr, $show:ident, $value:expr, $absent:expr;)*) => {
        /// All metrics, in the order in which they are shown.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name, label: $label, target: $target,
            value: $value, show: show::$show, met: $met, absent: $absent,
        }),*];
    };
}

metrics! {
    "completed" "reached their goal, of those for whom there was something", "≥ 99 %" |it| it >= 0.99, percent,
        |leg| ratio(whole(leg.completed), whole(leg.eligible)), "nobody came";
    "goodput" "useful work done, of what could be done in the crush", "≥ 90 %" |it| it >= 0.90, percent,
        |leg| leg.goodput, "the pools were never asked for more than they can do, or nobody looked";
    "waste" "work of the origin thrown away", "≤ 5 %" |it| it <= 0.05, percent,
        |leg| by_request(leg, leg.origin_wasted_share), SESSIONS;
    "amplification" "requests to the pools, of those that were needed", "≤ 1.05" |it| it <= 1.05, number,
        |leg| leg.amplification, "nobody reached the goal, or requests were not played one by one";
    "first_answer_p50" "first definite answer, median", "" never, seconds,
        |leg| by_request(leg, leg.first_answer_p50_s), SESSIONS;
    "first_answer_p99" "first definite answer, p99", "≤ 1 s" |it| it <= 1.0, seconds,
        |leg| by_request(leg, leg.first_answer_p99_s), SESSIONS;
    "first_answer_max" "first definite answer, worst", "≤ 2 s" |it| it <= 2.0, seconds,
        |leg| by_request(leg, leg.first_answer_max_s), SESSIONS;
    "unanswered" "people who never had a definite answer", "0" zero, count,
        |leg| by_request(leg, leg.unanswered as f64), SESSIONS;
    "bare_refusals" "answers with neither page, place, nor reason and time", "0" zero, count,
        |leg| by_request(leg, leg.bare_refusals as f64), SESSIONS;
    "broken" "connections refused, reset or closed without an answer", "" never, count,
        |leg| by_request(leg, leg.broken as f64), SESSIONS;
    "goal_p50" "time to the goal, median of those who reached it", "" never, seconds,
        |leg| leg.goal_p50_s, "nobody reached the goal";
    "goal_p99" "time to the goal, p99 of those who reached it", "" never, seconds,
        |leg| leg.goal_p99_s, "nobody reached the goal";
    "goal_p99_over_ideal" "the same, over the ideal of one perfect line", "≤ 1.1" |it| it <= 1.1, number,
        |leg| ratio(leg.goal_p99_s, leg.ideal_p99_s), "nobody reached the goal, or the ideal is not known";
    "announced_inside" "let in within the interval announced", "≥ 80 %" |it| it >= 0.80, percent,
        |leg| leg.announced_inside, "nobody was told an interval and then let in";
    "told_inside" "the same, at each look after the line's first five minutes", "≥ 80 %" |it| it >= 0.80, percent,
        |leg| leg.told_inside, "nobody looked, or was told an interval, so late";
    "told_missed_by_hold" "of the others, those whose wait held a standstill", "" never, percent,
        |leg| leg.told_missed_by_hold, "nobody was told an interval so late that did not hold";
    "told_spread" "longest over shortest wait told then, median", "≤ 2" |it| it <= 2.0, number,
        |leg| leg.told_spread, "nobody looked, or was told an interval, so late";
    "announced_error" "announced minus real, mean (early rather than late)", "≥ 0 s" |it| it >= 0.0, signed_seconds,
        |leg| leg.announced_error_s, "nobody was told an interval and then let in";
    "order_tau" "order kept (Kendall's τ; 1: let in as they came)", "≥ 0.98" |it| it >= 0.98, number,
        |leg| leg.order_tau, "fewer than two were let in";
    "inversions" "pairs let in the other way round", "" never, percent,
        |leg| leg.inversions, "fewer than two were let in";
    "overtakes_max" "most later people let in before one person", "" never, count,
        |leg| leg.overtakes_max.map(|it| it as f64), "fewer than two were let in";
    "lot_p" "lots fair (KS test of ranks among those present at the opening)", "> 0.01" |it| it > 0.01, number,
        |leg| leg.lot_p, "no lots are drawn in what was played";
    "jain" "equal admissions per person (Jain's index)", "≥ 0.99" |it| it >= 0.99, number,
        |leg| leg.jain, "nobody was let in";
    "parity_served" "chance by devices, address, language, client: least over greatest", "≥ 0.95" |it| it >= 0.95, number,
        |leg| least(leg, |parity| parity.served), "nobody was served, or no two groups are large enough";
    "parity_rank" "place in the line by the same: least over greatest", "≥ 0.95" |it| it >= 0.95, number,
        |leg| least(leg, |parity| parity.rank), "nobody was let in, or no two groups are large enough";
    "bot_gain" "bots' share until all are let in, over that of identities", "≤ 1.0" |it| it <= 1.0, number,
        |leg| leg.bot_gain, "no bots, or nothing was handed out";
    "recovery" "from load below capacity to quiet", "≤ 10 s" |it| it <= 10.0, seconds,
        |leg| if leg.never_quiet { Some(f64::INFINITY) } else { leg.recovery_s }, "there was no crush, or nobody looked";
    "browsers_p99" "those who only look around: a page, p99", "≤ 200 ms" |it| it <= 0.2, seconds,
        |leg| leg.browsers_p99_s, "nobody only looked around";
    "browsers_queued" "those who only look around: made to queue", "0" zero, count,
        |leg| (leg.browsers > 0).then_some(leg.browsers_queued as f64), "nobody only looked around";
    "foreign_canaries" "pages of somebody else", "0" zero, count,
        |leg| by_request(leg, leg.foreign_canaries as f64), SESSIONS;
    "lost_places" "places lost or worsened", "0" zero, count,
        |leg| by_request(leg, leg.lost_places as f64).filter(|_| leg.joined > 0), "nobody was given a place, or requests were not played one by one";
    "burnt_turns" "turns over before they could be used", "0" zero, count,
        |leg| (leg.joined > 0).then_some(leg.burnt_turns as f64), "nobody was given a place";
    "oversold" "goals reached beyond the stock", "0" zero, count,
        |leg| leg.oversold.map(|it| it as f64), "nothing in this scenario is sold out";
    "over_limit" "requests at the origin above the limit they carried", "0" zero, count,
        |leg| leg.is_limited().then_some(leg.over_limit as f64), "no limit was announced to the origin, or requests were not played one by one";
    "in_flight_max" "most unfinished requests at the origin", "" never, count,
        |leg| by_request(leg, leg.origin_in_flight_max as f64), SESSIONS;
    "gateway_cpu" "processor time of what stands before the origin", "" never, seconds,
        |leg| leg.proxy_cpu_s(), "nothing stands before the origin, or it is no process of its own";
    "waiting_bytes" "memory per waiting person, connections included", "≤ 64 B" |it| it <= 64.0, bytes,
        |leg| leg.waiting_bytes, "not measured";
    "phone_bytes_per_hour" "sent to a phone that waits an hour", "≤ 100 kB" |it| it <= 100_000.0, bytes,
        |leg| leg.phone_bytes_per_hour, "nobody waited with a place";
}

/// Every metric of every leg.
#[must_use]
pub fn judge(legs: &[LegSummary]) -> Vec<Verdict> {
    legs.iter().flat_map(|leg| METRICS.iter().map(|metric| metric.judge(leg))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::account::Kind;

    fn standing(leg: &LegSummary, name: &str) -> Standing {
        METRICS.iter().find(|metric| metric.name == name).unwrap().judge(leg).standing
    }

    #[test]
    fn names_are_unique_and_every_target_can_be_met_and_missed() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS.iter().filter(|metric| !metric.target.is_empty()) {
            let ends = [f64::NEG_INFINITY, 0.0, f64::INFINITY].map(metric.met);
            assert!(ends.contains(&true) && ends.contains(&false), "{}", metric.name);
        }
    }

    #[test]
    fn a_figure_is_met_or_missed_or_cannot_be_said() {
        let mut leg = LegSummary { kind: Kind::Gateway, people: 200, eligible: 100, ..LegSummary::default() };
        leg.completed = 99;
        assert_eq!(standing(&leg, "completed"), Standing::Met);
        leg.completed = 98;
        assert_eq!(standing(&leg, "completed"), Standing::Missed);
        leg.goal_p99_s = Some(22.0);
        assert!(matches!(standing(&leg, "goal_p99_over_ideal"), Standing::NotApplicable(_)));
        leg.ideal_p99_s = Some(20.0);
        assert_eq!(standing(&leg, "goal_p99_over_ideal"), Standing::Met);
        assert_eq!(standing(&leg, "goal_p99"), Standing::Reported);
        assert!(matches!(standing(&leg, "lost_places"), Standing::NotApplicable(_)));
        (leg.joined, leg.lost_places) = (1, 1);
        assert!(
            matches!(standing(&leg, "lost_places"), Standing::NotApplicable(_)),
            "sessions lose no place"
        );
        leg.requests = 1;
        assert_eq!(standing(&leg, "lost_places"), Standing::Missed);
    }

    #[test]
    fn the_worst_parity_counts() {
        let parity = |served| Parity { served, ..Parity::default() };
        let leg = LegSummary {
            parity: vec![parity(Some(0.97)), parity(None), parity(Some(0.90))],
            ..LegSummary::default()
        };
        assert_eq!(standing(&leg, "parity_served"), Standing::Missed);
        assert!(matches!(standing(&leg, "parity_rank"), Standing::NotApplicable(_)));
    }
}
