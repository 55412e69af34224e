//! What a leg leaves behind, played live or in virtual time: samples over time, what the crowd and the
//! origin saw, what each process used, and whether their counts agree.
//!
//! Times in seconds from the leg's start. *People* are those who want something scarce. Nothing here is
//! judged; `report` does that.

use serde::{Deserialize, Serialize};

use super::crowd::LegOutcome;
use super::truth::OriginTruth;

/// Time between two samples of a live leg, in milliseconds.
pub const TICK_MS: u64 = 250;

/// One sample. Counts are since the leg's start, except where it says *now*.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// When.
    pub at_s: f64,
    /// People who have come.
    pub arrived: u64,
    /// People who hold a place and wait, now.
    pub waiting: u64,
    /// People who reached their goal.
    pub completed: u64,
    /// People who left without it.
    pub gave_up: u64,
    /// Highest number given by the room. `None` where there is no room, here and below.
    pub issued: Option<u64>,
    /// Highest number called.
    pub called: Option<u64>,
    /// Seats of the room, now.
    pub seats: Option<u64>,
    /// Passes in use, now.
    pub active: Option<u64>,
    /// The lowest limit of the upstreams behind the rooms, now: the one that seats follow.
    pub limit: Option<u64>,
    /// Requests of the pools unfinished at the origin, now, queued ones included.
    pub in_flight: u64,
    /// Requests that the pools received.
    #[serde(default)]
    pub received: u64,
    /// Pages that programs got.
    #[serde(default)]
    pub bots_served: u64,
    /// Answers of the pools that were of use.
    pub useful: u64,
    /// Worker time of the pools, in seconds, whose answer was of use.
    pub useful_work_s: f64,
    /// Workers that the pools have, now: worker seconds that they could do in a second.
    pub capacity: f64,
    /// Median time to an answer of the requests for pages that ended since the last sample. `None`
    /// where none did.
    pub p50_s: Option<f64>,
    /// The same, 99th percentile.
    pub p99_s: Option<f64>,
}

/// Whom the crowd called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The origin itself.
    #[default]
    Origin,
    /// Tornello before the origin.
    Gateway,
    /// Another proxy before the origin.
    Peer {
        /// Which, and how it was told to limit.
        name: String,
    },
}

/// A process that was killed in mid-leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kill {
    /// When.
    pub at_s: f64,
    /// What.
    pub process: String,
    /// Requests of the crowd that were sent and not answered then: the only ones that counts may
    /// differ by.
    pub in_flight: u64,
    /// When it answered again. `None` if it did not.
    pub back_s: Option<f64>,
}

/// One thing that several of the three counted. `None` is who cannot know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountLine {
    /// What was counted.
    pub what: String,
    /// By the crowd.
    pub crowd: Option<u64>,
    /// By the origin.
    pub origin: Option<u64>,
    /// By the gateway, summed over its lives.
    pub gateway: Option<u64>,
    /// Requests in flight when something was killed.
    pub in_flight_at_kills: u64,
    /// Whether the counts are the same, but for those in flight at kills.
    pub agrees: bool,
}

impl CountLine {
    /// Compares what is known. A line with fewer than two counts proves nothing and agrees with
    /// nothing.
    #[must_use]
    pub fn new(
        what: &str,
        crowd: Option<u64>,
        origin: Option<u64>,
        gateway: Option<u64>,
        in_flight_at_kills: u64,
    ) -> Self {
        let known: Vec<u64> = [crowd, origin, gateway].into_iter().flatten().collect();
        let spread = known.iter().max().zip(known.iter().min()).map_or(0, |(most, least)| most - least);
        let agrees = known.len() > 1 && spread <= in_flight_at_kills;
        Self { what: what.to_owned(), crowd, origin, gateway, in_flight_at_kills, agrees }
    }
}

/// Resident memory of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Before the crowd came, in bytes.
    pub before: u64,
    /// At most, in bytes.
    pub most: u64,
    /// People who waited when it was most.
    pub waiting: u64,
}

/// Everything that a leg leaves behind.
#[derive(Clone, Debug)]
pub struct LegRecord {
    /// What the leg is called in the report: `WITHOUT`, `WITH`, `haproxy maxconn 12`.
    pub title: String,
    /// Whom the crowd called.
    pub kind: Kind,
    /// What came of everybody.
    pub outcome: LegOutcome,
    /// What the origin saw.
    pub truth: OriginTruth,
    /// Samples, in order of time.
    pub ticks: Vec<Tick>,
    /// Processor time by process (`crowd`, `origin`, `gateway`, a peer's name), in seconds.
    pub cpu: Vec<(String, f64)>,
    /// Memory of the gateway, if it is a process of its own.
    pub memory: Option<Memory>,
    /// What was killed.
    pub kills: Vec<Kill>,
    /// What was counted by several.
    pub agreement: Vec<CountLine>,
}

impl LegRecord {
    /// A leg of which only the crowd's and the origin's word is known.
    #[must_use]
    pub fn new(title: &str, kind: Kind, outcome: LegOutcome, truth: OriginTruth) -> Self {
        Self {
            title: title.to_owned(),
            kind,
            outcome,
            truth,
            ticks: Vec::new(),
            cpu: Vec::new(),
            memory: None,
            kills: Vec::new(),
            agreement: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_but_for_those_in_flight_at_kills() {
        let line =
            |crowd, origin, gateway, kills| CountLine::new("requests", crowd, origin, gateway, kills).agrees;
        assert!(line(Some(7), Some(7), Some(7), 0) && line(Some(7), None, Some(7), 0));
        assert!(!line(Some(7), Some(8), Some(7), 0) && line(Some(7), Some(8), Some(6), 2));
        assert!(!line(Some(7), Some(9), Some(6), 2) && !line(Some(7), None, None, 9));
    }
}
