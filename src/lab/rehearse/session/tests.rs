//! Whole days of a few thousand people: nobody is lost, one seed is one day, and what comes of it is
//! what theory says.

use std::time::Duration;

use super::*;
use crate::admission::policy::{LawPolicy, LimitPolicy, PollRule, RoomPolicy};
use crate::lab::law::Span;

const SECOND: Duration = Duration::from_secs(1);

/// `people` come evenly within `within_s`; the rest of the day is quiet.
pub(super) fn evenly(day: &Day, within_s: f64) -> Vec<f64> {
    let beats = (1..).map(|beat| f64::from(beat) * day.beat_s);
    beats.take_while(|end| *end <= day.horizon_s + day.beat_s).map(|end| (end / within_s).min(1.0)).collect()
}

/// A little day: 6,000 people in a minute before a pool that does 20 sessions a second.
pub(super) fn small_day() -> Day {
    let scarce = |mean_s| Step { scarce: true, service: Span::Exp { mean_s } };
    let errand = Errand {
        steps: vec![scarce(0.3), scarce(1.0), scarce(0.7)],
        repeat: None,
        cases: 1,
        think: Span::Lognormal { median_s: 1.0, sigma: 0.5 },
        ends: true,
        units: 1,
    };
    let group = Group {
        id: "cards".into(),
        people: 6_000,
        come_by: Vec::new(),
        devices: vec![0.70, 0.20, 0.07, 0.03],
        patience: Span::Fixed { s: 3_600.0 },
        silent_leave: 0.5,
        close_tab: 0.0,
        away: Span::Fixed { s: 0.0 },
        errand,
    };
    let mut day = Day {
        name: "small".into(),
        seed: 1,
        horizon_s: 1_200.0,
        opens_s: 0.0,
        beat_s: beat_s(1_200.0),
        groups: vec![group],
        pool: Pool { id: "sia".into(), slots: vec![(0.0, 40)], thrash: 0.0 },
        stock: None,
        room: RoomPolicy {
            seats_floor: 4,
            seats_ceiling: 10_000,
            share: 1.0,
            call: SECOND * 300,
            idle: SECOND * 120,
            session: SECOND * 900,
            poll: PollRule { min: SECOND, max: SECOND * 30, divisor: 10, budget: 5_000 },
            hold: false,
            open: false,
            lanes: Vec::new(),
        },
        limit: LimitPolicy {
            law: LawPolicy::Aimd { latency: SECOND * 2 },
            initial: 20,
            floor: 4,
            ceiling: 10_000,
            wait: SECOND,
            stall: SECOND * 5,
        },
        door: Door { network_per_s: 5_000.0, network_share: 0.01 },
        absent: Vec::new(),
    };
    day.groups[0].come_by = evenly(&day, 60.0);
    day
}

fn play(day: &Day) -> Outcome {
    let outcome = rehearse(day, |_| ());
    assert_eq!(outcome.unaccounted(), 0, "{outcome:?}");
    assert_eq!(outcome.lost_places, 0);
    outcome
}

/// The day of the whole country: 50 million, 60 % of them before the opening after an hour, a wave of
/// 30 %, the rest evenly; 10,000 workers that do 2,000 sessions a second.
fn national_day(budget: u32) -> Day {
    let mut day = small_day();
    day.name = "national".into();
    day.horizon_s = 32_400.0;
    day.beat_s = beat_s(day.horizon_s);
    day.pool.slots = vec![(0.0, 10_000)];
    day.limit = LimitPolicy { law: LawPolicy::Fixed, initial: 20_000, ceiling: 20_000, ..day.limit };
    day.room.seats_ceiling = 200_000;
    day.room.call = SECOND * 600;
    day.room.poll = PollRule { min: SECOND * 5, max: SECOND * 120, divisor: 10, budget };
    let group = &mut day.groups[0];
    group.people = 50_000_000;
    group.patience = Span::Fixed { s: 86_400.0 };
    group.errand.steps =
        [0.5, 2.0, 2.5].map(|s| Step { scarce: true, service: Span::Exp { mean_s: s } }).to_vec();
    let opens = 3_600.0;
    let share = |t: f64| {
        let before = if t < opens { ((t - opens) / 600.0).exp() - (-opens / 600.0).exp() } else { 1.0 };
        let after = (t - opens).max(0.0);
        0.6 * before + 0.3 * (1.0 - (-after / 150.0).exp()) + 0.1 * (after / 21_600.0).min(1.0)
    };
    let beats = (1..).map(|beat| f64::from(beat) * day.beat_s).take_while(|end| *end <= 32_401.0);
    group.come_by = beats.map(|end| if end >= 32_400.0 { 1.0 } else { share(end) }).collect();
    day
}

/// Bytes of this process that are in memory, at most so far.
fn resident_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

#[test]
#[ignore = "a minute and a gibibyte in a release build"]
fn the_whole_country_fits_one_machine() {
    let outcome = play(&national_day(1_000_000));
    let gib = resident_peak() as f64 / f64::from(1 << 30);
    println!(
        "{} places, {} served, ended {:.2} h, {gib:.2} GiB",
        outcome.places,
        outcome.served,
        outcome.ended_s / 3_600.0
    );
    assert!(gib <= 8.0, "{gib} GiB");
}

/// The same in full: two runs of one seed must not differ in anything.
fn told(day: &Day) -> String {
    let outcome = play(day);
    let leg = serde_json::to_string(&summary(day, &outcome)).unwrap();
    format!("{leg}{:?}{:?}", findings(day, &outcome, None), figures(&outcome))
}

fn fixed(limit: u32, day: &Day) -> LimitPolicy {
    LimitPolicy { law: LawPolicy::Fixed, initial: limit, ..day.limit }
}

#[test]
fn one_seed_is_one_day_to_the_byte_and_another_seed_is_another() {
    let day = Day { stock: Some(5_000), ..small_day() };
    assert_eq!(told(&day), told(&day));
    assert_ne!(told(&day), told(&Day { seed: 2, ..day.clone() }));
}

#[test]
fn nobody_is_lost_whatever_people_and_the_service_do() {
    for seed in 1..=4 {
        let mut day = Day { seed, ..small_day() };
        let mut second = day.groups[0].clone();
        (second.id, second.people, second.errand.cases) = ("twice".into(), 500, 2);
        second.come_by = evenly(&day, 90.0);
        day.groups[0].patience = Span::Exp { mean_s: 120.0 };
        day.groups[0].close_tab = 0.3;
        day.groups[0].away = Span::Exp { mean_s: 60.0 };
        day.groups.push(second);
        day.pool.slots = vec![(0.0, 40), (50.0, 0), (70.0, 10), (120.0, 40)];
        day.stock = (seed % 2 == 0).then_some(1_500);
        day.room.call = SECOND * 20;
        day.room.idle = SECOND * 30;
        let outcome = play(&day);
        assert_eq!(outcome.arrived, 6_500);
        assert!(outcome.left > 0 && outcome.served > 0, "{outcome:?}");
        assert_eq!(outcome.oversold, 0);
        if let Some(stock) = day.stock {
            // The last units are offered to as many as there are units, so a call in vain holds one up.
            assert!(outcome.served <= stock && outcome.told_exhausted + outcome.still_waiting > 0);
        }
    }
}

#[test]
fn the_day_may_end_before_everybody_is_served() {
    let mut day = small_day();
    day.horizon_s = 100.0;
    let outcome = play(&day);
    assert!(outcome.still_waiting > 3_000 && outcome.still_inside > 10, "{outcome:?}");
}

#[test]
fn those_who_come_first_are_served_first() {
    let outcome = play(&small_day());
    let tau = crate::lab::order::kendall_tau(&outcome.order).unwrap();
    assert!(tau > 0.98, "{tau}");
    let served = outcome.order.len();
    assert!(served >= 5_990 && outcome.overtakes_max < 300, "{served}, {}", outcome.overtakes_max);
}

#[test]
fn a_ceiling_too_low_is_found_and_named() {
    let mut day = small_day();
    day.limit = fixed(80, &day);
    day.room.seats_ceiling = 10;
    let (binding, share) = play(&day).spent.most().unwrap();
    assert_eq!(binding, Binding::SeatsCeiling);
    assert!(share > 0.5, "{share}");
}

#[test]
fn a_limit_too_low_is_found_and_named() {
    let mut day = small_day();
    day.limit = fixed(20, &day);
    assert_eq!(play(&day).spent.most().unwrap().0, Binding::Limit);
}

#[test]
fn sessions_that_nobody_ends_are_found_and_named() {
    let mut day = small_day();
    day.limit = fixed(80, &day);
    day.groups[0].errand.ends = false;
    day.room.seats_ceiling = 150;
    assert_eq!(play(&day).spent.most().unwrap().0, Binding::IdleSeats);
}

#[test]
fn a_polling_budget_too_small_is_paid_by_the_far_end_and_keeps_no_seat_empty() {
    let mut day = small_day();
    day.limit = fixed(80, &day);
    day.room.poll.budget = 10;
    let outcome = play(&day);
    assert_eq!(outcome.spent.most().unwrap().0, Binding::Pool, "{:?}", outcome.spent);
    assert!(outcome.scale_peak > 2.0, "{}", outcome.scale_peak);
    assert!(outcome.call_to_seat.at(0.5).unwrap() < 5.0, "{:?}", outcome.call_to_seat.at(0.5));
}

#[test]
fn one_more_worker_ends_the_day_as_much_earlier_as_it_must() {
    let mut day = small_day();
    day.limit = fixed(90, &day);
    let more = Day { pool: day.pool.with_more(4), ..day.clone() };
    let (now, then) = (play(&day), play(&more));
    // A tenth more of workers: the work takes 1/1.1 of the time.
    let ratio = then.last_seat_s / now.last_seat_s;
    assert!((ratio - 1.0 / 1.1).abs() < 0.02, "{ratio}");
}

#[test]
fn a_form_of_the_scenarios_is_read_with_the_operators_own_room() {
    let scenario = crate::lab::Scenario::shipped().unwrap();
    let text = include_str!("../../../../config/click-days.toml");
    let (settings, _) = crate::config::parse(text, "click-days.toml").unwrap();
    let day = Day::read(&scenario, &settings, 7).unwrap();
    assert_eq!((day.people(), day.room.seats_ceiling, day.pool.slots_at(1.0)), (1_200, 5_000, 12));
    assert!((day.work_s() - 0.2645).abs() < 1e-9, "{}", day.work_s());
    let roomless = text.replace("room = \"wallet\"", "");
    let (settings, _) = crate::config::parse(&roomless, "click-days.toml").unwrap();
    assert!(Day::read(&scenario, &settings, 7).unwrap_err().contains("has no room"));
}

#[test]
fn everybody_who_can_be_served_is_and_in_the_time_that_the_work_takes() {
    let mut day = small_day();
    day.limit = fixed(80, &day);
    let outcome = play(&day);
    assert_eq!((outcome.served, outcome.arrived), (6_000, 6_000));
    // First come, first served at full capacity: 6,000 people at 20 a second.
    let ideal = 6_000.0 / day.sessions_per_s(0.0);
    // The last one's own session, which nobody else can shorten, comes on top.
    let full_s = outcome.last_seat_s;
    assert!((full_s / ideal - 1.0).abs() < 0.02, "{full_s} of {ideal}");
    assert!(outcome.utilisation().unwrap() > 0.95, "{:?}", outcome.utilisation());
    // They come at 100 a second and go at 20: who is number n waits n/20 - n/100.
    let median = outcome.waits.at(0.5).unwrap();
    assert!((median / 120.0 - 1.0).abs() < 0.05, "{median}");
    assert_eq!(outcome.spent.most().unwrap().0, Binding::Pool);
}
