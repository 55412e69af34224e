//! Whether a figure is what was promised.

use serde::Serialize;

/// One metric of one leg against its target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The leg's title.
    pub leg: String,
    /// Stable name of the metric, as in `--json`.
    pub metric: &'static str,
    /// The target in words. Empty: the figure is reported and not judged.
    pub target: String,
    /// What was measured, in the metric's unit.
    pub measured: Option<f64>,
    /// The same for people.
    pub shown: String,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
}

/// How a figure stands to its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
pub enum Standing {
    /// As promised.
    Met,
    /// Not as promised.
    Missed,
    /// Nothing was promised.
    Reported,
    /// Cannot be said of this leg, for this reason.
    NotApplicable(&'static str),
}
