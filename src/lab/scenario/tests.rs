//! What a scenario file may say, and how mistakes in it are told.

use super::*;

fn shipped_with(from: &str, to: &str) -> Result<Scenario, String> {
    let text = super::super::DEFAULT_SCENARIO;
    assert!(text.contains(from), "the shipped scenario has no `{from}`");
    Scenario::parse(&text.replacen(from, to, 1), "s.toml")
}

#[test]
fn the_shipped_scenario_is_the_small_form() {
    let scenario = Scenario::shipped().unwrap();
    let sizes: Vec<_> = scenario.classes.iter().map(|class| (class.id.as_str(), class.people)).collect();
    assert_eq!(sizes, [("card", 1200), ("browse", 1200), ("bot", 60)]);
    let seekers: Vec<_> = scenario.classes.iter().map(|class| scenario.seeks(class)).collect();
    assert_eq!(seekers, [true, false, false]);

    let Conduct::People(card) = &scenario.classes[0].conduct else { panic!("cards are loaded by people") };
    // .3u + 1.5 · (1u + 2u + .3u) with u = 50 ms, and the receipt: 45 people a second on 12 slots.
    assert!((scenario.work_s(card) - 0.2645).abs() < 1e-9);
    let Conduct::People(browse) = &scenario.classes[1].conduct else { panic!("people look around") };
    assert_eq!(browse.steps.len(), 8);
    assert_eq!(scenario.endpoints[browse.steps[7]].id, "static");
    assert!(scenario.endpoints.iter().filter(|end| end.ends_session).all(|end| end.id == "receipt"));
}

#[test]
fn people_scale_in_proportion() {
    let scenario = Scenario::shipped().unwrap().with_people(300);
    let sizes: Vec<_> = scenario.classes.iter().map(|class| class.people).collect();
    assert_eq!(sizes, [300, 300, 15]);
}

/// Each refusal names the file, the line of the fault, and what to do about it.
#[test]
fn faults_are_refused_where_they_stand() {
    for (from, to, part) in [
        ("seed = 1", "sed = 1", "sed"),
        ("timeout_s = 0.8", "timeout_s = 0", "timeout_s"),
        ("retry = \"hammer\"", "retry = \"hammmer\"", "hammmer"),
        ("law = \"uniform\"", "law = \"unifrom\"", "unifrom"),
        ("\"card_verify\", \"wallet\"", "\"card_verif\", \"wallet\"", "`card_verif`"),
        ("static x5", "static xfive", "x5"),
        ("pool = \"sia\"\nservice", "pool = \"sai\"\nservice", "`sai`"),
        ("slots = 12", "slots = 0", "at least 1"),
        ("hang_up = 0.30", "hang_up = 30", "share"),
        ("hang_up = 0.30", "hangup = 0.30", "hangup"),
        ("identities = 12", "", "identities"),
        ("identities = 12", "identities = 12\npatience_s = { spinner = 1, ticket = 2 }", "bots"),
        ("from_s = 0, to_s = 10", "from_s = 10, to_s = 0", "uniform"),
        ("spinner = 30, ticket = 180", "spinner = 300, ticket = 180", "spinner"),
        ("from = 1, to = 3", "from = 1, to = 9", "repeat"),
        ("path = \"/home\"", "path = \"/wallet\"", "twice"),
        ("path = \"/home\"", "path = \"home\"", "absolute"),
        ("id = \"browse\"", "id = \"card\"", "twice"),
        ("mean_s = 0.015", "mean_s = -1", "between 0"),
        ("nat_addresses = 4", "nat_addresses = 0", "nat_addresses"),
        ("horizon_s = 60", "horizon_s = 0", "horizon_s"),
        ("zombies = true", "zombies = \"yes\"", "boolean"),
    ] {
        let message = shipped_with(from, to).expect_err(to);
        assert!(message.starts_with("s.toml:"), "{message}");
        assert!(message.contains(part), "`{to}` gave: {message}");
    }
}

#[test]
fn the_line_is_the_right_one() {
    let text = super::super::DEFAULT_SCENARIO;
    let line = text.lines().position(|line| line.starts_with("steps = [\"home\"")).unwrap() + 1;
    let message = shipped_with("\"messages\"", "\"mesages\"").unwrap_err();
    assert!(message.starts_with(&format!("s.toml:{line}:")), "{message}");
}

#[test]
fn a_fault_on_the_timeline_is_read() {
    let text = format!(
        "{}\n[[fault]]\nat_s = 20\nuntil_s = 30\npool = \"sia\"\nslots = 6\n",
        super::super::DEFAULT_SCENARIO
    );
    let scenario = Scenario::parse(&text, "s.toml").unwrap();
    assert_eq!(
        scenario.faults,
        [Fault { at: Duration::from_secs(20), until: Duration::from_secs(30), pool: 0, slots: 6 }]
    );
    let inverted = text.replace("until_s = 30", "until_s = 10");
    assert!(Scenario::parse(&inverted, "s.toml").unwrap_err().contains("at_s < until_s"));
}
