//! How the rows of acceptance are judged, on reports made up for it: a target that has no harness cannot
//! test itself.

use serde_json::{Value, json};

#[path = "../accept/baseline.rs"]
#[allow(dead_code, reason = "the target of its own uses the rest")]
mod baseline;
#[path = "../accept/judge.rs"]
#[allow(dead_code, reason = "the target of its own uses the rest")]
mod judge;
#[path = "../accept/row.rs"]
#[allow(dead_code, reason = "the target of its own uses the rest")]
mod row;

use baseline::{lost, names, text};
use judge::{convergence, m1, m2, m3, m4, m5, m6, m7, m9, m10, m22, m23};
use row::{Judged, Standing};

fn day() -> Value {
    let parity = ["devices", "address", "language", "client"].map(|by| json!({ "by": by, "served": 1.0 }));
    json!({
        "without": { "completed": 41, "people": 1200, "amplification": 364.2 },
        "with": {
            "first_answer_p99_s": 0.05, "first_answer_max_s": 0.4, "unanswered": 0, "bare_refusals": 0,
            "over_limit": 0, "origin_wasted_share": 0.04, "completed": 1200, "people": 1200, "eligible": 1200,
            "browsers_p99_s": 0.009, "browsers_queued": 0, "browsers": 1200, "browsers_completed": 1200,
            "browsers_bare_refusals": 0, "amplification": 1.03, "lost_places": 0, "joined": 1180,
            "kills": [{ "at_s": 15.0 }], "order_tau": 0.991, "burnt_turns": 0, "broken": 0,
            "never_quiet": false, "recovery_s": 3.0,
            "parity": parity,
        },
    })
}

fn changed(name: &str, value: Value) -> Value {
    let mut day = day();
    day["with"][name] = value;
    day
}

type Judge = fn(&Value) -> Result<Judged, String>;

#[test]
fn a_good_day_meets_its_rows_and_each_figure_can_miss_them() {
    let rows: [(Judge, &[(&str, Value)]); 7] = [
        (
            m1,
            &[
                ("first_answer_p99_s", json!(1.2)),
                ("first_answer_max_s", json!(2.1)),
                ("unanswered", json!(1)),
                ("bare_refusals", json!(1)),
            ],
        ),
        (m2, &[("over_limit", json!(1)), ("origin_wasted_share", json!(0.06)), ("completed", json!(1187))]),
        (
            m3,
            &[
                ("browsers_p99_s", json!(0.21)),
                ("browsers_queued", json!(1)),
                ("browsers_completed", json!(1199)),
                ("browsers_bare_refusals", json!(1)),
            ],
        ),
        (m5, &[("amplification", json!(1.06))]),
        (m6, &[("lost_places", json!(1))]),
        (m7, &[("order_tau", json!(0.97))]),
        (m10, &[("burnt_turns", json!(1)), ("completed", json!(1199)), ("completed", json!(1201))]),
    ];
    for (judge, bad) in rows {
        assert_eq!(judge(&day()).unwrap().standing, Standing::Met);
        for (name, value) in bad {
            let judged = judge(&changed(name, value.clone())).unwrap();
            assert_eq!(judged.standing, Standing::Missed, "{name} {value}: {judged:?}");
        }
    }
    let mut naive = day();
    naive["without"]["completed"] = json!(400);
    assert_eq!(m2(&naive).unwrap().standing, Standing::Missed, "the crowd must overwhelm the origin");
    assert_eq!(m9(&changed("broken", json!(1))).unwrap().standing, Standing::Missed);
}

#[test]
fn what_is_not_measured_is_not_met() {
    assert!(m1(&json!({ "with": {} })).is_err());
    assert!(m6(&changed("kills", json!([]))).is_err());
    assert!(m7(&changed("parity", json!([]))).is_err());
    let unfair = changed(
        "parity",
        json!(
            ["a", "b", "c", "d"].map(|by| json!({ "by": by, "served": if by == "c" { 0.9 } else { 1.0 } }))
        ),
    );
    assert_eq!(m7(&unfair).unwrap().standing, Standing::Missed);
    assert!(m22(&day(), 45.0, 30.0).is_err());
}

#[test]
fn a_shared_address_must_not_cost_anything() {
    let day = |served: u32, wait: f64| {
        let group = |name: &str, served: u32, wait: f64| json!({ "name": name, "people": 500, "served": served, "mean_wait_s": wait });
        let groups = [group("own", 500, 10.0), group("shared", served, wait)];
        json!({ "with": { "parity": [{ "by": "address", "groups": groups }] } })
    };
    assert_eq!(m23(0.4, &day(500, 10.2)).unwrap().standing, Standing::Met);
    assert_eq!(m23(1.1, &day(500, 10.2)).unwrap().standing, Standing::Missed);
    assert_eq!(m23(0.4, &day(499, 10.2)).unwrap().standing, Standing::Missed);
    assert_eq!(m23(0.4, &day(500, 11.0)).unwrap().standing, Standing::Missed);
    assert!(m23(0.4, &json!({})).is_err());
}

fn leg(limit: impl Fn(f64) -> f64) -> Value {
    let tick = |quarter: u32| {
        let at_s = f64::from(quarter) / 4.0;
        let capacity = if (20.0..30.0).contains(&at_s) { 6.0 } else { 12.0 };
        json!({ "at_s": at_s, "capacity": capacity, "limit": limit(at_s) })
    };
    let series: Vec<Value> = (0..200).map(tick).collect();
    json!({ "with": { "series": series, "completed": 1200, "people": 1200 } })
}

#[test]
fn the_moment_at_which_the_limit_is_found_is_found() {
    let swing = leg(|at| if (22.0..32.0).contains(&at) { 6.0 } else { 12.0 });
    let found = convergence(&swing["with"], 0.0, f64::INFINITY).unwrap();
    let after: Vec<Option<f64>> = found.iter().map(|(_, after)| *after).collect();
    // The median looks ahead: half of five seconds in the band will do.
    assert!(after[0] == Some(0.0) && after[1].unwrap() <= 2.0 && after[2].unwrap() <= 2.0, "{found:?}");
    let late = leg(|at| if at < 12.0 { 48.0 } else { 12.0 });
    assert!(convergence(&late["with"], 0.0, 20.0).unwrap()[0].1.unwrap() > 9.0);
    assert_eq!(convergence(&leg(|_| 20.0)["with"], 0.0, 20.0).unwrap(), [(12.0, None)]);

    let good = |at: f64| if at < 4.0 { 48.0 } else { 12.0 };
    assert_eq!(m4(&leg(good), &leg(good), &swing).unwrap().standing, Standing::Met);
    assert_eq!(m4(&leg(|_| 20.0), &leg(good), &swing).unwrap().standing, Standing::Missed);
    assert_eq!(m4(&leg(good), &leg(good), &leg(|_| 12.0)).unwrap().standing, Standing::Missed);
}

#[test]
fn a_herd_after_an_outage_is_seen() {
    let day = |burst: f64| {
        let tick = |quarter: u32| {
            let at_s = f64::from(quarter) / 4.0;
            let received = 45.0 * (at_s - 30.0).max(0.0) + if at_s > 33.0 { burst } else { 0.0 };
            json!({ "at_s": at_s, "capacity": 9.0, "received": received })
        };
        let mut day = changed("series", (0..200).map(tick).collect());
        day["with"]["recovery_s"] = json!(4.0);
        day
    };
    assert_eq!(m22(&day(0.0), 45.0, 30.0).unwrap().standing, Standing::Met);
    assert_eq!(m22(&day(10.0), 45.0, 30.0).unwrap().standing, Standing::Missed);
    let mut never = day(0.0);
    never["with"]["never_quiet"] = json!(true);
    assert_eq!(m22(&never, 45.0, 30.0).unwrap().standing, Standing::Missed);
}

#[test]
fn what_was_met_and_is_not_is_lost() {
    let before = names("# M9\nM1\n\n M2 \n");
    assert_eq!(before.len(), 2);
    let missed = Judged::new(false, String::new());
    assert!(lost("M1", &missed, &before) && !lost("M9", &missed, &before));
    assert!(lost("M2", &missed, &before));
    assert!(!lost("M1", &Judged::new(true, String::new()), &before));
}

#[test]
fn a_new_baseline_keeps_what_was_not_looked_at() {
    let before = names("M1\nM2\nM10");
    let judged = [("M2", Standing::Missed), ("M12", Standing::Met), ("M3", Standing::Missed)];
    let after = text(&before, &judged);
    assert_eq!(names(&after), names("M1\nM10\nM12"));
    assert!(after.ends_with("M1\nM10\nM12\n"), "{after}");
}
