//! Small days, rehearsed: the same each time, and as a gateway of that configuration would have it.

use super::*;
use crate::admission::policy::LawPolicy;
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
fn half_a_minute_without_a_gateway_costs_nobody_their_place() {
    let (rehearsal, ..) = small();
    let scenario = Scenario::parse(crate::lab::DEFAULT_SCENARIO, "small").unwrap();
    let mut scenario = scenario.with_people(400);
    // Whoever comes while nobody answers leaves for good: here all come before.
    scenario.classes.truncate(1);
    scenario.horizon = Duration::from_secs(240);
    // People's pages back off in real seconds, up to a minute.
    scenario.time_scale = 1.0;
    scenario.faults = vec![Fault {
        at: Duration::from_secs(11),
        until: Some(Duration::from_secs(41)),
        kind: FaultKind::Kill(Victim::Gateway),
    }];
    let settings = settings_for(&scenario).unwrap();
    let rehearsal = Rehearsal { scenario: Arc::new(scenario), ..rehearsal };
    let leg = rehearsal.with(&settings).unwrap();
    let summary = LegSummary::new(&rehearsal.scenario, &leg);
    assert_eq!(leg.kills.len(), 1);
    assert!(leg.kills.iter().all(|kill| kill.back_s.is_some_and(|back| back >= 41.0)), "{:#?}", leg.kills);
    assert_eq!(
        (summary.over_limit, summary.lost_places, summary.completed),
        (0, 0, summary.people),
        "{summary:#?}"
    );
    // Whoever looks late is let in late: up to a minute and a quarter after the first.
    assert!(summary.order_tau.is_some_and(|tau| tau > 0.75), "{summary:#?}");
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

/// An upstream that answers 503 to everybody, at once.
const ALL_FAIL: &str = r#"
name = "all fail"
horizon_s = 6.0
[[class]]
id = "visitor"
people = 400
steps = ["page"]
timeout_s = 3.0
retry = "none"
arrival = { law = "steps", from_s = 0.0, stretches = [{ for_s = 4.0, per_s = 100.0 }] }
patience_s = { spinner = 600, ticket = 600 }
[[endpoint]]
id = "page"
path = "/page"
pool = "app"
service_s = { law = "fixed", s = 0.05 }
[pool.app]
slots = 30
zombies = true
[[fault]]
at_s = 0.0
until_s = 6.0
pool = "app"
error_rate = 1.0
error_status = 503
error_at_once = true
"#;

#[test]
fn a_rehearsed_503_is_a_refusal_for_the_limit() {
    let limit = |status: &str| {
        let scenario = Scenario::parse(&ALL_FAIL.replace("503", status), "all fail").unwrap();
        let mut settings = settings_for(&scenario).unwrap();
        for upstream in settings.upstreams.values_mut() {
            upstream.limit.law = LawPolicy::Aimd { latency: Duration::from_secs(1) };
        }
        let leg = Rehearsal { scenario: Arc::new(scenario), seed: 1 }.with(&settings).unwrap();
        leg.ticks.iter().rev().find_map(|tick| tick.limit).unwrap()
    };
    let (refused, missing) = (limit("503"), limit("404"));
    assert!(
        refused < 10 && missing >= 20,
        "of twenty {refused} where it says that it is overloaded, else {missing}"
    );
}

/// The day of the vouchers, whose identity provider is halved from the tenth second on, for five seconds or for
/// good; each visit may last for so long.
fn halved(seed: u64, for_good: bool, session: Option<Duration>) -> LegSummary {
    let (mut scenario, _) = crate::lab::scenario::Source::find("s-bb").unwrap().read().unwrap();
    let [fault] = scenario.faults.as_mut_slice() else { panic!("one thing breaks in it") };
    let FaultKind::Slots { slots, .. } = fault.kind else { panic!("{fault:?}") };
    assert_eq!((fault.at, slots, scenario.pools[0].slots), (Duration::from_secs(10), 2, 5));
    if for_good {
        scenario.horizon = Duration::from_secs(120);
        fault.until = Some(scenario.horizon);
    }
    let mut settings = settings_for(&scenario).unwrap();
    for room in settings.rooms.values_mut() {
        room.policy.session = session.unwrap_or(room.policy.session);
    }
    let rehearsal = Rehearsal { scenario: Arc::new(scenario), seed };
    LegSummary::new(&rehearsal.scenario, &rehearsal.with(&settings).unwrap())
}

#[test]
fn no_turn_is_burnt_while_the_identity_provider_is_halved() {
    for (seed, for_good) in [(1, false), (2, false), (3, false), (4, true), (5, true)] {
        let day = halved(seed, for_good, None);
        println!(
            "seed {seed}, for good: {for_good}: {} turns burnt, {} of {} served, {} places lost",
            day.burnt_turns, day.completed, day.eligible, day.lost_places
        );
        assert_eq!((day.burnt_turns, day.lost_places), (0, 0), "seed {seed}: {day:#?}");
        assert_eq!(day.completed, day.eligible, "seed {seed}: {day:#?}");
    }
    let short = halved(1, false, Some(Duration::from_secs(1)));
    assert!(short.burnt_turns > 0, "visits of a second are burnt, and it is seen");
}
