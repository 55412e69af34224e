//! What the knee can say about itself.

use super::trial::{Cause, Verdict};

/// What the law is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseName {
    /// Growing with every answer, until answers get slower.
    FastStart,
    /// Watching, growing when held back.
    Run,
    /// Measuring before a dip.
    Reference,
    /// Waiting until a cut has taken effect.
    Settle,
    /// Measuring after a cut.
    Probe,
    /// Nothing comes back.
    Stalled,
}

impl PhaseName {
    /// All of them, in the order in which they usually come.
    pub const ALL: [Self; 6] =
        [Self::FastStart, Self::Run, Self::Reference, Self::Settle, Self::Probe, Self::Stalled];

    /// The word in metrics and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::FastStart => "fast_start",
            Self::Run => "run",
            Self::Reference => "reference",
            Self::Settle => "settle",
            Self::Probe => "probe",
            Self::Stalled => "stalled",
        }
    }
}

/// A cut of the limit, or a climb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Why.
    pub cause: Cause,
    /// What it showed; `None` while that is open, and for stalls, which are no experiment.
    pub verdict: Option<Verdict>,
    /// The limit before.
    pub from: f64,
    /// The limit after.
    pub to: f64,
}

/// Cuts and climbs so far, by cause and verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutCounts([[u64; 4]; 5]);

/// Words of the causes, as in [`CutCounts::each`].
const CAUSES: [&str; 5] = ["latency", "dip", "climb", "errors", "stall"];
/// Words of the verdicts.
const VERDICTS: [&str; 4] = ["free", "costly", "unclear", "none"];

impl Cause {
    /// The word in metrics and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Dip => "dip",
            Self::Climb => "climb",
            Self::Errors => "errors",
            Self::Stall => "stall",
        }
    }
}

impl Verdict {
    /// The word in metrics and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Costly => "costly",
            Self::Unclear => "unclear",
        }
    }
}

impl CutCounts {
    pub(super) fn add(&mut self, cause: Cause, verdict: Option<Verdict>) {
        let column = verdict.map_or(3, |verdict| match verdict {
            Verdict::Free => 0,
            Verdict::Costly => 1,
            Verdict::Unclear => 2,
        });
        let row = match cause {
            Cause::Latency => 0,
            Cause::Dip => 1,
            Cause::Climb => 2,
            Cause::Errors => 3,
            Cause::Stall => 4,
        };
        if let Some(cell) = self.0.get_mut(row).and_then(|row| row.get_mut(column)) {
            *cell += 1;
        }
    }

    /// Cause, verdict ("none" if the cut was no experiment, or it was broken off) and count.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.0.iter().zip(CAUSES).flat_map(|(row, cause)| {
            row.iter().zip(VERDICTS).map(move |(count, verdict)| (cause, verdict, *count))
        })
    }
}

/// What the law believes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KneeFacts {
    /// What it is doing.
    pub phase: PhaseName,
    /// Seconds that an answer takes to begin when nobody waits, over the mix of the last window.
    pub baseline_s: f64,
    /// Mean number in flight in the last window.
    pub in_flight: f64,
    /// Those of them that waited at the upstream.
    pub queue: f64,
    /// The limit held somebody back in the last window.
    pub limited: bool,
    /// The last cut.
    pub last_cut: Option<Cut>,
    /// Cuts so far.
    pub cuts: CutCounts,
}
