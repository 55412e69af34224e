//! A rehearsed day as a leg of a report.

use super::day::Day;
use super::outcome::{Outcome, Sight};
use crate::lab::account::{Kind, Tick};
use crate::lab::order::kendall_tau;
use crate::lab::report::{BINS, Bin, LegSummary, POINTS_MAX, Point};

/// The figures of a day. What this level does not play stays `None` or 0: it says nothing of single
/// requests, pages, bots or bytes.
#[must_use]
pub fn summary(day: &Day, outcome: &Outcome) -> LegSummary {
    let tau = kendall_tau(&outcome.order);
    let announced = outcome.announced;
    let told = announced.told as f64;
    let people = outcome.arrived + outcome.not_come;
    LegSummary {
        title: "WITH, rehearsed".to_owned(),
        kind: Kind::Gateway,
        people,
        eligible: day.stock.map_or(people, |units| units.min(people)),
        completed: outcome.served,
        gave_up: outcome.left + outcome.left_inside,
        told_exhausted: outcome.told_exhausted,
        still_there: outcome.still_inside + outcome.still_waiting,
        goal_p50_s: outcome.goals.at(0.5),
        goal_p99_s: outcome.goals.at(0.99),
        goodput: outcome.utilisation(),
        announced_inside: (announced.told > 0).then(|| announced.inside as f64 / told),
        announced_error_s: (announced.told > 0).then(|| -announced.error_s / told),
        order_tau: tau,
        inversions: tau.map(|tau| (1.0 - tau) / 2.0),
        overtakes_max: Some(outcome.overtakes_max),
        lost_places: outcome.lost_places,
        burnt_turns: outcome.turned_out,
        oversold: day.stock.map(|_| outcome.oversold),
        joined: outcome.arrived - outcome.straight_in,
        elapsed_s: outcome.ended_s,
        series: outcome.sights.iter().map(tick).collect(),
        waits: bins(outcome),
        order: points(&outcome.order),
        ..LegSummary::default()
    }
}

fn tick(sight: &Sight) -> Tick {
    Tick {
        at_s: sight.at_s,
        arrived: sight.arrived,
        waiting: sight.waiting,
        completed: sight.served,
        gave_up: sight.left,
        issued: Some(sight.issued),
        called: Some(sight.called),
        seats: Some(sight.seats),
        active: Some(sight.active),
        limit: Some(sight.limit),
        in_flight: sight.in_flight,
        // Nothing is asked twice at this level.
        received: sight.served,
        useful: sight.served,
        useful_work_s: sight.busy_s,
        capacity: sight.slots as f64,
        // Single requests are not played: none is received, none has a time.
        ..Tick::default()
    }
}

fn bins(outcome: &Outcome) -> Vec<Bin> {
    let mut from_s = 0.0;
    let bars = outcome.goals.histogram(BINS as u64);
    bars.into_iter()
        .map(|(to_s, people)| Bin { from_s: std::mem::replace(&mut from_s, to_s), to_s, people })
        .collect()
}

/// Ranks within the sample, thinned.
fn points(order: &[(u64, u64)]) -> Vec<Point> {
    let rank = |of: fn(&(u64, u64)) -> u64| {
        let mut sorted: Vec<u64> = order.iter().map(of).collect();
        sorted.sort_unstable();
        move |pair: &(u64, u64)| {
            u32::try_from(sorted.partition_point(|other| *other < of(pair))).unwrap_or(u32::MAX)
        }
    };
    let (arrival, admission) = (rank(|pair| pair.0), rank(|pair| pair.1));
    let every = order.len().div_ceil(POINTS_MAX).max(1);
    order
        .iter()
        .step_by(every)
        .map(|pair| Point { arrival: arrival(pair), admission: admission(pair) })
        .collect()
}
