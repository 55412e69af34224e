//! Whole legs: the crowd against the origin alone, and against a model of a gateway. In real time, and waiting for
//! most of it: they run side by side.

mod gate;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::law::Span;
use super::scenario::{Conduct, Patience, RetryRule};
use super::{Kind, Leg, LegRecord, LegSummary, Origin, OriginHandle, Report, Scenario, Tally, report};
use gate::Gate;

async fn origin(scenario: &Scenario) -> OriginHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Origin::start(listener, scenario, scenario.seed).unwrap()
}

async fn play(scenario: &Scenario, origin: &OriginHandle, target: std::net::SocketAddr) -> LegSummary {
    let leg = Leg {
        scenario: Arc::new(scenario.clone()),
        target: target.into(),
        seed: scenario.seed,
        horizon: scenario.horizon,
    };
    let tally = Arc::new(Tally::default());
    let outcome = leg.run(&tally).await;
    assert_eq!(tally.count().waiting, 0, "nobody waits after the leg");
    let kind = if target == origin.address() { Kind::Origin } else { Kind::Gateway };
    let record = LegRecord::new("a leg", kind, outcome, origin.truth());
    LegSummary::new(scenario, &record)
}

/// Plays the scenario against its origin, without anything between.
async fn without(scenario: &Scenario) -> LegSummary {
    let origin = origin(scenario).await;
    play(scenario, &origin, origin.address()).await
}

/// The same with a gate between.
async fn with(scenario: &Scenario, seats: usize, misbehave: impl FnOnce(&mut Gate)) -> LegSummary {
    let origin = origin(scenario).await;
    let limit = scenario.pools[0].slots;
    let mut gate = Gate::new(origin.address(), limit, seats);
    misbehave(&mut gate);
    let gate = gate.serve().await;
    play(scenario, &origin, gate).await
}

/// A shipped scenario in a tenth of the time, without faults.
fn in_a_tenth(name: &str, changes: &[(&str, &str)]) -> Scenario {
    let mut source = super::scenario::Source::find(name).unwrap();
    for (from, to) in changes {
        assert!(source.text.contains(from));
        source.text = source.text.replace(from, to);
    }
    let (mut scenario, _) = source.read().unwrap();
    scenario.faults.clear();
    scenario
}

/// A tenth of the small form: as crowded, and over in a few seconds.
fn tenth() -> Scenario {
    let changes = [
        ("from_s = 0, to_s = 10", "from_s = 0, to_s = 1"),
        ("from_s = 0, to_s = 40", "from_s = 0, to_s = 4"),
        ("spinner = 30, ticket = 180", "spinner = 3, ticket = 18"),
        ("horizon_s = 60", "horizon_s = 12"),
    ];
    in_a_tenth("s-cb", &changes).with_people(120)
}

/// What the scenario calls impatience may be this machine's slowness: a test of the protocol waits.
fn patient(mut scenario: Scenario) -> Scenario {
    scenario.horizon = Duration::from_secs(60);
    for class in &mut scenario.classes {
        class.timeout = Duration::from_secs(10);
        if let Conduct::People(people) = &mut class.conduct {
            people.patience = Patience { spinner: Span::fixed(60.0), ticket: Span::fixed(60.0) };
        }
    }
    scenario
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_crowd_is_served_without_a_gateway() {
    let mut scenario = tenth().with_people(12);
    scenario.classes.retain(|class| class.id != "bot");
    let leg = without(&scenario).await;
    assert_eq!((leg.completed, leg.people, leg.gave_up), (12, 12, 0), "{leg:#?}");
    assert_eq!((leg.browsers_completed, leg.foreign_canaries, leg.over_limit), (12, 0, 0));
    assert!(leg.elapsed_s < 11.0, "a leg is over when everybody has finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crowd_follows_the_waiting_protocol() {
    let scenario = patient(tenth());
    let leg = with(&scenario, 40, |_| {}).await;
    assert_eq!(leg.completed, leg.people, "{leg:#?}");
    assert_eq!((leg.over_limit, leg.lost_places, leg.foreign_canaries), (0, 0, 0), "{leg:#?}");
    assert!(leg.joined > leg.people / 2 && leg.hung_up > 0, "{leg:#?}");
    assert!(leg.origin_in_flight_max <= 12, "{leg:#?}");
    // One second of arrivals against three of waiting, and a front row without order.
    assert!(leg.order_tau.unwrap() > 0.6, "{leg:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_lost_and_pages_leaked_are_noticed() {
    let mut scenario = tenth().with_people(60);
    scenario.classes.retain(|class| class.id == "card");
    scenario.horizon = Duration::from_secs(3);
    let forgetful = with(&scenario, 4, |gate| gate.forgets = true);
    let leaky = with(&scenario, 40, |gate| gate.leaks = true);
    let (forgetful, leaky) = tokio::join!(forgetful, leaky);
    assert!(forgetful.lost_places > 0, "{forgetful:#?}");
    assert!(leaky.foreign_canaries > 0, "{leaky:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_two_devices_go_on_with_one() {
    let mut scenario = patient(tenth().with_people(40));
    scenario.classes.retain(|class| class.id == "card");
    let Conduct::People(people) = &mut scenario.classes[0].conduct else { panic!("people") };
    (people.devices, people.hang_up) = (vec![0.0, 1.0], 0.0);
    let leg = with(&scenario, 40, |_| {}).await;
    assert_eq!((leg.completed, leg.people), (40, 40), "{leg:#?}");
    // Both may see the first page at once, but no step is walked twice.
    assert!(leg.origin_amplification.unwrap() < 1.1, "{leg:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_with_a_ticket_ends_too() {
    let mut scenario = tenth().with_people(40);
    scenario.classes.retain(|class| class.id == "card");
    let Conduct::People(people) = &mut scenario.classes[0].conduct else { panic!("people") };
    people.patience = Patience { spinner: Span::fixed(1.0), ticket: Span::fixed(2.0) };
    let leg = with(&scenario, 1, |_| {}).await;
    assert!(leg.gave_up > 0 && leg.unanswered == 0, "{leg:#?}");
    assert_eq!(leg.completed + leg.gave_up, leg.people, "{leg:#?}");
    assert!(leg.elapsed_s < 6.0, "{leg:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_fails_everybody_in_the_end() {
    let mut scenario = tenth().with_people(20);
    scenario.classes.retain(|class| class.id == "card");
    let Conduct::People(people) = &mut scenario.classes[0].conduct else { panic!("people") };
    people.retry = RetryRule::None;
    let origin = origin(&scenario).await;
    assert!(origin.set_error_rate("sia", 1.0) && !origin.set_error_rate("aia", 1.0));
    let leg = play(&scenario, &origin, origin.address()).await;
    assert_eq!((leg.gave_up, leg.unanswered), (20, 20), "a bare 500 is no answer: {leg:#?}");
}

/// The whole small form takes a minute and a half:
/// `cargo test --lib the_small_form -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and a half and both cores"]
async fn the_small_form_collapses_without_a_gate_and_not_with_one() {
    let mut scenario = Scenario::shipped().unwrap();
    scenario.faults.clear();
    let without = without(&scenario).await;
    let with = with(&scenario, 60, |_| {}).await;
    let legs = vec![without.clone(), with.clone()];
    let report = Report::new(&scenario, "", scenario.seed, report::Mode::Live, legs);
    println!("{}", report::table(&report));
    assert!(without.completed * 2 < without.people);
    assert!(with.completed * 100 >= with.people * 99);
    assert_eq!((with.over_limit, with.foreign_canaries), (0, 0));
}

/// A tenth of the small form of the bicycles, patient. Nobody reloads: that alone would be more than the login can do.
fn bicycles() -> Scenario {
    let changes = [
        ("opens_s = 5 ", "opens_s = 0.5 "),
        ("from_s = 0, to_s = 5 ", "from_s = 0, to_s = 0.5 "),
        ("at_s = 5, mean_s = 1 ", "at_s = 0.5, mean_s = 0.1 "),
    ];
    let mut scenario = patient(in_a_tenth("s-bb", &changes).with_people(150));
    let Conduct::People(people) = &mut scenario.classes[0].conduct else { panic!("people") };
    people.f5_share = 0.0;
    scenario
}

/// What the origin saw of an endpoint.
fn endpoint(truth: &super::OriginTruth, id: &str) -> super::EndpointTruth {
    truth.endpoints.iter().find(|endpoint| endpoint.id == id).cloned().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_sold_than_there_is_and_all_others_are_told() {
    let scenario = bicycles();
    let origin = origin(&scenario).await;
    let leg = play(&scenario, &origin, origin.address()).await;
    let truth = origin.truth();
    let voucher = endpoint(&truth, "voucher");
    assert_eq!((leg.people, leg.completed, voucher.sold), (150, 120, 120), "{leg:#?}");
    assert_eq!((leg.still_there, leg.gave_up), (0, 0), "{leg:#?}");
    // Everybody got through the login, and nobody was left without an answer.
    assert!(voucher.exhausted >= 30 && voucher.answered >= 120, "{voucher:?}");
    for endpoint in &truth.endpoints {
        assert_eq!(endpoint.unfinished(), 0, "{endpoint:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_queue_says_no_and_each_request_ends_in_one_way() {
    let mut scenario = bicycles();
    scenario.pools[0].bounded = Some(3);
    let origin = origin(&scenario).await;
    let leg = play(&scenario, &origin, origin.address()).await;
    let login = endpoint(&origin.truth(), "login");
    assert!(login.refused > 0 && leg.still_there == 0, "{login:?}");
    assert_eq!(login.received, login.answered + login.refused + login.abandoned, "{login:?}");
    assert!(leg.origin_in_flight_max <= 5 + 3 + 3, "at most so many work, wait or are being handed over");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_gone_refuses_connections_and_comes_back() {
    let mut scenario = bicycles().with_people(40);
    scenario.stocks[0].units = 1_000;
    let Conduct::People(people) = &mut scenario.classes[0].conduct else { panic!("people") };
    people.retry = RetryRule::Hammer;
    let origin = origin(&scenario).await;
    let address = origin.address();
    origin.set_alive(false);
    let gone = async {
        // The listener closes when its task is next at work.
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("connections are refused");
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        origin.set_alive(true);
    };
    let (leg, ()) = tokio::join!(play(&scenario, &origin, address), back);
    assert_eq!((leg.completed, leg.people), (40, 40), "{leg:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_page_or_keeps_pressing_f5_keeps_the_place() {
    let mut scenario = patient(tenth().with_people(40));
    scenario.classes.retain(|class| class.id == "card");
    let Conduct::People(people) = &mut scenario.classes[0].conduct else { panic!("people") };
    (people.app_share, people.f5_share, people.f5_every) = (0.0, 0.5, Duration::from_millis(100));
    (people.close_tab, people.away) = (0.5, Span::fixed(0.3));
    let leg = with(&scenario, 10, |_| {}).await;
    assert_eq!((leg.completed, leg.people, leg.lost_places), (40, 40, 0), "{leg:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_that_wait_as_people_do_are_let_in_and_counted_apart() {
    let mut scenario = patient(tenth().with_people(40));
    scenario.classes.retain(|class| class.id != "browse");
    let bots = scenario.classes.iter_mut().find(|class| class.id == "bot").unwrap();
    let Conduct::Bots(habits) = &mut bots.conduct else { panic!("bots") };
    (habits.honours_ticket, habits.steps) = (true, vec![0, 4]);
    let origin = origin(&scenario).await;
    let gate = Gate::new(origin.address(), 12, 20).serve().await;
    let tally = Arc::new(Tally::default());
    let leg =
        Leg { scenario: Arc::new(scenario.clone()), target: gate.into(), seed: 1, horizon: scenario.horizon };
    let outcome = leg.run(&tally).await;
    assert!(outcome.people.iter().all(|person| person.end == super::crowd::End::Completed));
    let count = outcome.count;
    assert!(count.bots_admitted > 0 && count.bots_served >= count.bots_admitted, "{count:?}");
    assert_eq!((count.bots_foreign, count.people), (0, 40));
}
