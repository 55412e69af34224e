//! Small days, rehearsed: the same each time, and as a gateway of that configuration would have it.

use super::*;
use crate::lab::LegSummary;

/// A twentieth of the small form, its stall and its kill included.
fn small() -> (Rehearsal, Settings, String) {
    let text = crate::lab::DEFAULT_SCENARIO.to_owned();
    let scenario = Scenario::parse(&text, "small").unwrap().with_people(60);
    let settings = settings_for(&scenario).unwrap();
    (Rehearsal { scenario: Arc::new(scenario), seed: 1 }, settings, text)
}

#[test]
fn the_same_seed_is_the_same_report_byte_for_byte() {
    let (rehearsal, settings, text) = small();
    let report = |seed| {
        let rehearsal = Rehearsal { seed, ..rehearsal.clone() };
        rehearsal.report(&text, &settings, 1).unwrap().json().unwrap()
    };
    let first = report(1);
    assert_eq!(first, report(1));
    assert_ne!(first, report(2));
}

#[test]
fn nobody_overtakes_and_no_place_is_lost_through_a_kill() {
    let (rehearsal, settings, _) = small();
    let kills = rehearsal.kills().len();
    let leg = rehearsal.with(&settings).unwrap();
    let summary = LegSummary::new(&rehearsal.scenario, &leg);
    assert_eq!(
        (summary.over_limit, summary.foreign_canaries, summary.lost_places),
        (0, 0, 0),
        "{summary:#?}"
    );
    assert_eq!(summary.completed, summary.people, "{summary:#?}");
    assert!(leg.kills.len() == kills && leg.kills.iter().all(|kill| kill.back_s.is_some()));
    assert!(leg.ticks.iter().any(|tick| tick.seats.is_some_and(|seats| seats > 0)));
}

#[test]
fn an_origin_that_is_overrun_without_a_gateway_is_not_with_one() {
    let (rehearsal, ..) = small();
    let scenario = Arc::new((*rehearsal.scenario).clone().with_people(800));
    let settings = settings_for(&scenario).unwrap();
    let rehearsal = Rehearsal { scenario, ..rehearsal };
    let summary = |leg: LegRecord| LegSummary::new(&rehearsal.scenario, &leg);
    let (without, with) =
        (summary(rehearsal.without().unwrap()), summary(rehearsal.with(&settings).unwrap()));
    assert!(without.origin_in_flight_max > with.origin_in_flight_max, "{without:#?} {with:#?}");
    assert!(without.origin_wasted_share > 2.0 * with.origin_wasted_share, "{without:#?} {with:#?}");
}
