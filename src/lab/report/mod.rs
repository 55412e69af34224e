//! The report on one or more legs of one scenario and seed: figures, verdicts, words.
//!
//! Built from what the legs left behind (`account`), or from summaries made elsewhere; shown as a table
//! or as JSON.

mod axis;
pub mod fairness;
pub mod goodput;
pub mod ideal;
mod measure;
mod metric;
mod page;
mod pictures;
mod plot;
pub mod show;
pub mod spread;
mod summary;
mod table;
mod verdict;
mod workers;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::account::Kind;
use super::scenario::{Class, Conduct, Scenario};
use show::thousands;

pub use metric::{METRICS, Metric, judge};
pub use page::page;
pub use summary::{BINS, Bin, Group, LegSummary, POINTS_MAX, Parity, Point, SERIES_MAX};
pub use table::table;
pub use verdict::{Standing, Verdict};

/// How the legs were played.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// Real sockets, real time.
    #[default]
    Live,
    /// Virtual time.
    Rehearsed {
        /// What was simulated: `request` or `session`.
        level: String,
        /// What the simulation leaves out or replaces by a model, in whole sentences.
        limits: Vec<String>,
    },
}

/// What came of it all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the crowd.
    pub seed: u64,
    /// Who came, in one line.
    pub crowd: String,
    /// The scenario's text.
    pub scenario_text: String,
    /// Somebody had enough before it was over: the last leg is cut short, further ones are missing.
    pub interrupted: bool,
    /// How it was played.
    pub mode: Mode,
    /// One a leg, in the order of playing.
    pub legs: Vec<LegSummary>,
    /// Every metric of every leg against its target.
    pub verdicts: Vec<Verdict>,
    /// Answers in words.
    pub words: Vec<String>,
    /// What else is to be known of how it was measured, such as what was in flight at a kill.
    pub notes: Vec<String>,
}

impl Report {
    /// A report on these legs of a scenario that was read from `text`, judged, without words.
    #[must_use]
    pub fn new(scenario: &Scenario, text: &str, seed: u64, mode: Mode, legs: Vec<LegSummary>) -> Self {
        Self {
            scenario: scenario.name.clone(),
            seed,
            crowd: crowd(scenario),
            scenario_text: text.to_owned(),
            interrupted: false,
            mode,
            verdicts: judge(&legs),
            legs,
            words: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One JSON object. The first leg of the origin is `without`, the first of the gateway `with`, all
    /// others are listed under `peers`.
    ///
    /// # Errors
    /// None that can be caused: every field is a number, a text or null.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The first leg of this kind.
    #[must_use]
    pub fn first(&self, kind: &Kind) -> Option<&LegSummary> {
        self.legs.iter().find(|leg| leg.kind == *kind)
    }
}

fn crowd(scenario: &Scenario) -> String {
    let class = |class: &Class| match &class.conduct {
        Conduct::People(_) => format!("{} {}", thousands(class.people as u64), class.id),
        Conduct::Bots(bots) => {
            format!("{} {} at {}/s of {} owners", class.people, class.id, bots.rate_rps, bots.identities)
        }
    };
    scenario.classes.iter().map(class).collect::<Vec<_>>().join(", ")
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = [("without", self.first(&Kind::Origin)), ("with", self.first(&Kind::Gateway))];
        let is_named =
            |leg: &LegSummary| named.iter().flat_map(|(_, leg)| *leg).any(|it| std::ptr::eq(it, leg));
        let peers: Vec<&LegSummary> = self.legs.iter().filter(|leg| !is_named(leg)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("scenario", &self.scenario)?;
        map.serialize_entry("seed", &self.seed)?;
        map.serialize_entry("crowd", &self.crowd)?;
        map.serialize_entry("interrupted", &self.interrupted)?;
        map.serialize_entry("played", &self.mode)?;
        for (name, leg) in named {
            if let Some(leg) = leg {
                map.serialize_entry(name, leg)?;
            }
        }
        map.serialize_entry("peers", &peers)?;
        map.serialize_entry("verdicts", &self.verdicts)?;
        map.serialize_entry("words", &self.words)?;
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::{CountLine, Kill, Tick};
    use super::*;

    pub(super) fn report() -> Report {
        let leg = |title: &str, kind| LegSummary {
            title: title.to_owned(),
            kind,
            people: 4,
            completed: 3,
            gave_up: 1,
            requests: 9,
            order_tau: Some(0.5),
            ..LegSummary::default()
        };
        Report {
            scenario: "S-CB".into(),
            seed: 1,
            legs: vec![
                leg("WITHOUT", Kind::Origin),
                leg("WITH", Kind::Gateway),
                leg("WITH again", Kind::Gateway),
                leg("haproxy", Kind::Peer { name: "haproxy".into() }),
            ],
            ..Report::default()
        }
    }

    /// Two legs as they might have gone.
    pub(super) fn played() -> Report {
        let tick = |quarter: u32, with: bool| {
            let at_s = f64::from(quarter) / 4.0;
            let count = |rate: f64, most: f64| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
                let whole = (rate * at_s).min(most) as u64;
                whole
            };
            let completed = if with { count(43.0, 1_200.0) } else { count(10.0, 41.0) };
            Tick {
                at_s,
                arrived: count(120.0, 1_200.0),
                completed,
                gave_up: if with { 0 } else { count(28.0, 1_159.0) },
                waiting: if with { count(120.0, 1_200.0) - completed } else { 0 },
                issued: with.then(|| count(120.0, 1_180.0)),
                called: with.then(|| count(44.0, 1_180.0)),
                active: with.then_some(24),
                seats: with.then_some(24),
                limit: with.then_some(11 + u64::from(quarter % 3)),
                in_flight: if with { 12 } else { count(1_000.0, 50_000.0) },
                received: completed * 5,
                bots_served: 0,
                useful: completed * 5,
                useful_work_s: completed as f64 * 0.26,
                capacity: 12.0,
                p50_s: Some(if with { 0.03 } else { 0.8 }),
                p99_s: Some(if with { 0.2 + at_s / 300.0 } else { 0.8 + at_s }),
            }
        };
        let leg = |with: bool, kind, title: &str| LegSummary {
            title: title.to_owned(),
            kind,
            people: 1_200,
            eligible: 1_200,
            completed: if with { 1_200 } else { 41 },
            gave_up: if with { 0 } else { 1_159 },
            unanswered: if with { 0 } else { 932 },
            first_answer_p99_s: if with { 0.05 } else { 30.8 },
            goal_p50_s: Some(12.0),
            goal_p99_s: Some(22.0),
            ideal_p99_s: Some(20.5),
            goodput: Some(if with { 0.95 } else { 0.06 }),
            order_tau: Some(0.99),
            overtakes_max: Some(14),
            joined: if with { 1_180 } else { 0 },
            origin_requests: 20_000,
            origin_in_flight_max: if with { 14 } else { 50_865 },
            elapsed_s: 42.0,
            requests: 90_000,
            cpu: vec![("crowd".into(), 11.0), ("gateway".into(), 3.2)],
            kills: with
                .then(|| Kill { at_s: 15.0, process: "gateway".into(), in_flight: 9, back_s: Some(15.2) })
                .into_iter()
                .collect(),
            agreement: vec![
                CountLine::new("pages of the wallet", Some(6_000), Some(6_002), Some(6_001), 9),
                CountLine::new("numbers given", Some(1_180), None, Some(1_181), 0),
            ],
            series: (0..168).map(|quarter| tick(quarter, with)).collect(),
            waits: (0..40)
                .map(|n| Bin { from_s: f64::from(n), to_s: f64::from(n + 1), people: 30 })
                .collect(),
            order: (0..400).map(|n| Point { arrival: n, admission: n ^ 5 }).collect(),
            parity: vec![Parity {
                by: "devices".into(),
                groups: vec![Group {
                    name: "one".into(),
                    people: 840,
                    served: 840,
                    mean_wait_s: Some(12.0),
                    rank: Some(1.0),
                }],
                ..Parity::default()
            }],
            ..LegSummary::default()
        };
        let legs = vec![leg(false, Kind::Origin, "WITHOUT"), leg(true, Kind::Gateway, "WITH")];
        let scenario = Scenario::shipped().unwrap();
        Report::new(&scenario, crate::lab::DEFAULT_SCENARIO, 7, Mode::Live, legs)
    }

    /// For looking at: `REPORT=FILE cargo test --lib looks -- --ignored`.
    #[test]
    #[ignore = "writes a file to look at"]
    fn how_the_page_looks() {
        let file = std::env::var("REPORT").unwrap();
        std::fs::write(file, page(&played())).unwrap();
    }

    #[test]
    fn the_json_has_the_promised_names() {
        let value: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        for leg in ["without", "with"] {
            for name in [
                "people",
                "completed",
                "gave_up",
                "first_answer_p99_s",
                "origin_wasted_share",
                "origin_in_flight_max",
                "over_limit",
                "order_tau",
            ] {
                assert!(value[leg].get(name).is_some_and(serde_json::Value::is_number), "{leg}.{name}");
            }
        }
        assert_eq!((&value["scenario"], &value["seed"]), (&"S-CB".into(), &1.into()));
        assert_eq!(value["with"]["kind"], "gateway");
        assert_eq!(
            (&value["peers"][0]["title"], &value["peers"][1]["name"]),
            (&"WITH again".into(), &"haproxy".into())
        );
    }
}
