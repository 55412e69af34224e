//! What a scenario file may say, what the shipped ones amount to, and how mistakes are told.

mod bad;
mod shipped;

use super::*;

fn small_form() -> Scenario {
    Scenario::shipped().unwrap_or_else(|message| panic!("{message}"))
}

fn people(class: &Class) -> &People {
    let Conduct::People(people) = &class.conduct else { panic!("{} are no people", class.id) };
    people
}

#[test]
fn the_demos_scenario_is_the_small_form() {
    let scenario = small_form();
    let sizes: Vec<_> = scenario.classes.iter().map(|class| (class.id.as_str(), class.people)).collect();
    assert_eq!(sizes, [("card", 1200), ("browse", 1200), ("bot", 60)]);
    let seekers: Vec<_> = scenario.classes.iter().map(|class| scenario.seeks(class)).collect();
    assert_eq!(seekers, [true, false, false]);

    let card = people(&scenario.classes[0]);
    // .3u + 1.5 · (1u + 2u + .3u) with u = 50 ms, and the receipt: 45 people a second on 12 slots.
    assert!((scenario.work_s(card) - 0.2645).abs() < 1e-9);
    assert!((scenario.sessions_per_s(card, 0).unwrap() - 45.37).abs() < 0.01);
    assert!((card.requests() - 6.5).abs() < 1e-9 && (card.devices_mean() - 1.43).abs() < 1e-9);
    // 5.5 pauses of 0.17 s and the work.
    assert!((scenario.session_s(card) - 1.199).abs() < 0.001, "{}", scenario.session_s(card));
    let browse = people(&scenario.classes[1]);
    assert_eq!(browse.steps.len(), 8);
    assert_eq!(scenario.endpoints[browse.steps[7]].id, "static");
    assert!(scenario.endpoints.iter().filter(|end| end.ends_session).all(|end| end.id == "receipt"));
}

#[test]
fn people_scale_in_proportion() {
    let scenario = small_form().with_people(300);
    let sizes: Vec<_> = scenario.classes.iter().map(|class| class.people).collect();
    assert_eq!(sizes, [300, 300, 15]);
}

#[test]
fn faults_are_read_with_what_they_hit() {
    let text = super::super::DEFAULT_SCENARIO;
    let (before, _) = text.split_once("[[fault]]").unwrap();
    let faults = r#"
        fault = [
            { at_s = 20, until_s = 30, pool = "sia", slots = 6 },
            { at_s = 1, until_s = 2, pool = "sia", stalled = true },
            { at_s = 1, until_s = 2, pool = "sia", error_rate = 0.5 },
            { at_s = 2, until_s = 3, pool = "sia", error_rate = 0.3, error_status = 503, error_at_once = true },
            { at_s = 1, until_s = 2, pool = "sia", slowness = 3 },
            { at_s = 3, until_s = 4.5, origin = "dead" },
            { at_s = 15, kill = "gateway" },
        ]
    "#;
    let scenario =
        Scenario::parse(&format!("{faults}\n{before}"), "s.toml").unwrap_or_else(|m| panic!("{m}"));
    let kinds: Vec<_> = scenario.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(
        kinds,
        [
            FaultKind::Slots { pool: 0, slots: 6 },
            FaultKind::Stall { pool: 0 },
            FaultKind::Errors { pool: 0, errors: Errors::of(0.5) },
            FaultKind::Errors { pool: 0, errors: Errors { share: 0.3, status: 503, at_once: true } },
            FaultKind::Slowness { pool: 0, times: 3.0 },
            FaultKind::OriginDead,
            FaultKind::Kill(Victim::Gateway),
        ]
    );
    assert_eq!(scenario.faults[5].until, Some(Duration::from_millis(4_500)));
    assert_eq!((scenario.faults[6].at, scenario.faults[6].until), (Duration::from_secs(15), None));
}

#[test]
fn a_scenario_is_found_by_its_name_or_its_path() {
    assert_eq!(Source::find("s-in").unwrap().read().unwrap().0.name, "S-IN");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/scenarios/s-bb.toml");
    assert_eq!(Scenario::find(file, false).unwrap().name, "S-BB");
    let message = Scenario::find("s-cv", false).unwrap_err();
    assert!(message.contains("did you mean `s-cb`?"), "{message}");
    let message = Scenario::find("nothing-like-it", false).unwrap_err();
    assert!(message.contains("`national`"), "{message}");
}
