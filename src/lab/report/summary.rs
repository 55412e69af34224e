//! One leg in figures: every outcome metric, the samples over time, the distribution of waits, and who
//! was let in in which order.
//!
//! Times in seconds, shares between 0 and 1, all counted from the *intended* arrival. *People* are
//! those who want something scarce; the others are counted apart, as those who must not suffer. `None`
//! is what could not be measured in this leg. Who never had a definite answer enters `first_answer`
//! with the time until they left, which flatters the leg.

use serde::Serialize;

use super::super::account::{CountLine, Kill, Kind, Tick};

/// One leg. Built from a `LegRecord`, or field by field by whoever has no record of each person.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LegSummary {
    /// What the leg is called.
    pub title: String,
    /// Whom the crowd called.
    #[serde(flatten)]
    pub kind: Kind,
    /// People who wanted something scarce.
    pub people: u64,
    /// Of them, those for whom there was some: the stock, if it was smaller than their number.
    pub eligible: u64,
    /// Who reached their goal.
    pub completed: u64,
    /// Who left without it.
    pub gave_up: u64,
    /// Who were told for good that nothing is left.
    pub told_exhausted: u64,
    /// Who were still trying when the leg was over.
    pub still_there: u64,
    /// Who never had a definite answer.
    pub unanswered: u64,
    /// T1: intended arrival to first definite answer, median.
    pub first_answer_p50_s: f64,
    /// The same, 99th percentile.
    pub first_answer_p99_s: f64,
    /// The same, worst.
    pub first_answer_max_s: f64,
    /// T2: intended arrival to the goal, of those who reached it, median.
    pub goal_p50_s: Option<f64>,
    /// The same, 99th percentile.
    pub goal_p99_s: Option<f64>,
    /// T2 if everybody were served in order of arrival at full capacity, median.
    pub ideal_p50_s: Option<f64>,
    /// The same, 99th percentile.
    pub ideal_p99_s: Option<f64>,
    /// Useful work over the work that the pools could have done, while more was asked than they can.
    pub goodput: Option<f64>,
    /// Worker time spent on requests whose client had left, or that were repeats of a step done.
    pub origin_wasted_share: f64,
    /// Share of those let in who had been told an interval and were let in within it.
    pub announced_inside: Option<f64>,
    /// Share of the looks of those let in, after the first five minutes of the line, at which the interval told
    /// held the moment that came.
    pub told_inside: Option<f64>,
    /// Share of the others during whose wait the line stood still. They count as missed all the same.
    pub told_missed_by_hold: Option<f64>,
    /// End over beginning of the waits told at these looks, median.
    pub told_spread: Option<f64>,
    /// Middle of the announced interval minus the wait, mean. Positive: let in earlier than told.
    pub announced_error_s: Option<f64>,
    /// Kendall's τ of arrival against admission, of those admitted.
    pub order_tau: Option<f64>,
    /// Share of pairs of people let in the other way round than they came.
    pub inversions: Option<f64>,
    /// Most people who came later and were let in before one person.
    pub overtakes_max: Option<u64>,
    /// Probability that a fair lot gives ranks as unlike the arrivals as these, or more alike.
    pub lot_p: Option<f64>,
    /// Jain's index of admissions per person; without a room, of being served.
    pub jain: Option<f64>,
    /// Chances by what must not matter.
    pub parity: Vec<Parity>,
    /// Share of bots in what was handed out until the last person was let in, over their share of identities.
    pub bot_gain: Option<f64>,
    /// Requests that the pools received until the last person was done, without those that served programs,
    /// over those that the ways of those who reached their goal need; a request that a person broke off and
    /// had to send again is needed.
    pub amplification: Option<f64>,
    /// Requests that the pools received per answer of use; 1 is ideal.
    pub origin_amplification: Option<f64>,
    /// From the moment at which less was asked than the pools can do to quiet. `None` if there was no
    /// such moment, or quiet never came.
    pub recovery_s: Option<f64>,
    /// Quiet never came, though less was asked than the pools can do.
    pub never_quiet: bool,
    /// Answers that helped nobody: neither a page, nor a place, nor a reason with a time.
    pub bare_refusals: u64,
    /// Connections of people that were refused, reset or closed before a whole answer.
    pub broken: u64,
    /// Personal pages that belonged to somebody else.
    pub foreign_canaries: u64,
    /// Times that a ticket was gone or its number worse.
    pub lost_places: u64,
    /// Turns that were over before they could be used.
    pub burnt_turns: u64,
    /// Goals reached beyond the stock; `None` where there is no stock.
    pub oversold: Option<u64>,
    /// Requests that arrived above the limit they carried.
    pub over_limit: u64,
    /// Processor time by process, in seconds.
    pub cpu: Vec<(String, f64)>,
    /// Memory of the gateway per person who waits, in bytes: growth since before the crowd.
    pub waiting_bytes: Option<f64>,
    /// What the waiting protocol sends to one device in an hour, in bytes.
    pub phone_bytes_per_hour: Option<f64>,
    /// People who held a ticket.
    pub joined: u64,
    /// People who broke a request off after it was sent.
    pub hung_up: u64,
    /// Everybody else's pages, 99th percentile.
    pub browsers_p99_s: Option<f64>,
    /// How many of the others reached their goal.
    pub browsers_completed: u64,
    /// How many others there were.
    pub browsers: u64,
    /// Answers to the others that were neither a page, nor a place, nor a reason with a time.
    pub browsers_bare_refusals: u64,
    /// How many of the others were given a place to wait in.
    pub browsers_queued: u64,
    /// Requests that the crowd sent, bots included.
    pub requests: u64,
    /// Those of bots.
    pub bot_requests: u64,
    /// Those of bots that were answered with a page.
    pub bots_served: u64,
    /// Requests that the origin received.
    pub origin_requests: u64,
    /// Most requests of a pool unfinished at once.
    pub origin_in_flight_max: u64,
    /// Length of the leg.
    pub elapsed_s: f64,
    /// What was killed.
    pub kills: Vec<Kill>,
    /// What was counted by several.
    pub agreement: Vec<CountLine>,
    /// Samples over time, at most `SERIES_MAX`.
    pub series: Vec<Tick>,
    /// How many waited how long for the goal.
    pub waits: Vec<Bin>,
    /// Ranks of arrival and of admission, at most `POINTS_MAX` of them.
    pub order: Vec<Point>,
}

/// Most samples kept.
pub const SERIES_MAX: usize = 480;
/// Most points of order kept.
pub const POINTS_MAX: usize = 1_500;
/// Most bars of the distribution of waits.
pub const BINS: usize = 64;

/// People whose time to the goal lies in [`from_s`, `to_s`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// From.
    pub from_s: f64,
    /// To.
    pub to_s: f64,
    /// How many.
    pub people: u64,
}

/// One person's ranks among those admitted, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Point {
    /// By intended arrival.
    pub arrival: u32,
    /// By admission.
    pub admission: u32,
}

/// Chances by one trait that must not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parity {
    /// Which trait: `devices`, `address`, `language`, `client`.
    pub by: String,
    /// The groups that it makes.
    pub groups: Vec<Group>,
    /// Smallest over greatest share served. `None` with fewer than two groups.
    pub served: Option<f64>,
    /// Smallest over greatest mean place in the order of admission, relative to that of arrival.
    pub rank: Option<f64>,
}

/// People who have one trait in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Their name.
    pub name: String,
    /// How many.
    pub people: u64,
    /// How many reached their goal.
    pub served: u64,
    /// Mean wait to the goal of those who reached it.
    pub mean_wait_s: Option<f64>,
    /// Mean of rank of admission over mean of rank of arrival, of those admitted.
    pub rank: Option<f64>,
}

impl LegSummary {
    /// Whether requests were played one by one, and not only sessions.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.requests > 0
    }

    /// Whether requests to the origin carried a limit that it could hold them to.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.kind == Kind::Gateway && self.has_requests()
    }

    /// Processor time of what stands before the origin, in seconds.
    #[must_use]
    pub fn proxy_cpu_s(&self) -> Option<f64> {
        let of_proxy = |name: &str| !matches!(name, "crowd" | "origin");
        let times = self.cpu.iter().filter(|(name, _)| of_proxy(name)).map(|(_, cpu)| *cpu);
        times.reduce(|sum, cpu| sum + cpu)
    }
}
