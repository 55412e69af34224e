//! The report on one or more legs of one scenario and seed: figures, verdicts, words.
//!
//! Built from what the legs left behind (`account`), or from summaries made elsewhere; shown as a table
//! or as JSON.

mod summary;
mod table;
mod verdict;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::account::Kind;

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
    /// How it was played.
    pub mode: Mode,
    /// One a leg, in the order of playing.
    pub legs: Vec<LegSummary>,
    /// Every metric of every leg against its target.
    pub verdicts: Vec<Verdict>,
    /// Answers in words.
    pub words: Vec<String>,
}

impl Report {
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

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = [("without", self.first(&Kind::Origin)), ("with", self.first(&Kind::Gateway))];
        let is_named =
            |leg: &LegSummary| named.iter().flat_map(|(_, leg)| *leg).any(|it| std::ptr::eq(it, leg));
        let peers: Vec<&LegSummary> = self.legs.iter().filter(|leg| !is_named(leg)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("scenario", &self.scenario)?;
        map.serialize_entry("seed", &self.seed)?;
        map.serialize_entry("played", &self.mode)?;
        for (name, leg) in named {
            if let Some(leg) = leg {
                map.serialize_entry(name, leg)?;
            }
        }
        map.serialize_entry("peers", &peers)?;
        map.serialize_entry("verdicts", &self.verdicts)?;
        map.serialize_entry("words", &self.words)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn report() -> Report {
        let leg = |title: &str, kind| LegSummary {
            title: title.to_owned(),
            kind,
            people: 4,
            completed: 3,
            gave_up: 1,
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
