//! The shipped scenarios are good, and amount to what is known of their days.

use super::*;

fn shipped(name: &str) -> Scenario {
    let source = Source::find(name).unwrap();
    let (scenario, warnings) =
        source.read().unwrap_or_else(|found| panic!("{}", config::render(&found, &source.text, false)));
    assert!(warnings.is_empty(), "{}", config::render(&warnings, &source.text, false));
    scenario
}

#[test]
fn every_shipped_scenario_is_without_fault_and_in_its_folder() {
    for (name, text) in SHIPPED {
        let scenario = shipped(name);
        let file = format!("{}/config/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
        let small = name.starts_with("s-");
        assert_eq!(scenario.level == Level::Request, small || name == "minimal", "{name}");
        assert!(!small || scenario.horizon <= Duration::from_secs(60), "{name}");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/scenarios");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), SHIPPED.len());
}

/// Sessions a second, sum of people, and share of the people who have come by a time in seconds.
#[test]
fn they_amount_to_what_is_known_of_their_days() {
    for (name, seekers, per_s, by_s, share) in [
        ("minimal", 3_000, 8.0, 150.0, 0.5),
        ("s-cb", 1_200, 45.4, 10.0, 1.0),
        ("s-bb", 1_500, 50.0, 5.0, 0.6),
        // 110 of 1,850 cases in the first ten seconds.
        ("s-in", 1_150, 45.0, 10.0, 110.0 / 1_850.0),
        // The launch: 128 a second for ten minutes, and what the night brought.
        ("cashback", 1_150_000, 11.4, 28_800.0, 0.941 * 0.069),
        ("bonus-bici", 600_000, 13.0, 3_600.0, 0.55),
        ("inps", 1_200_000, 60.0, 27_000.0, 297_000.0 / 2_337_000.0),
        ("national", 50_000_000, 2_000.0, 3_600.0, 0.6),
    ] {
        let scenario = shipped(name);
        assert_eq!(scenario.seekers(), seekers, "{name}");
        let first = people(&scenario.classes[0]);
        let rate = scenario.sessions_per_s(first, 0).unwrap();
        assert!((rate / per_s - 1.0).abs() < 0.01, "{name}: {rate} sessions a second");
        let come = scenario.classes[0].arrival.come_by(by_s);
        assert!((come - share).abs() < 0.002, "{name}: {come} have come by {by_s} s");
    }
}

#[test]
fn the_launch_of_the_cashback_brings_128_a_second() {
    let scenario = shipped("cashback");
    let arrival = &scenario.classes[0].arrival;
    let rate = |from: f64, to: f64| (arrival.come_by(to) - arrival.come_by(from)) * 1_150_000.0 / (to - from);
    assert!((rate(28_800.0, 29_400.0) - 128.0).abs() < 3.0, "{}", rate(28_800.0, 29_400.0));
    // The busiest hour: 32 a second, 2.8 times what the pool can do.
    assert!((rate(36_000.0, 39_600.0) - 30.0).abs() < 2.5, "{}", rate(36_000.0, 39_600.0));
}

#[test]
fn intermediaries_bring_the_cases_that_are_known() {
    for (name, cases) in [("s-in", 1_850.0), ("inps", 2_340_000.0)] {
        let scenario = shipped(name);
        let brought = |class: &Class| class.people as f64 * f64::from(people(class).cases);
        let all: f64 = scenario.classes.iter().map(brought).sum();
        assert!((all / cases - 1.0_f64).abs() < 0.001, "{name}: {all}");
    }
}
