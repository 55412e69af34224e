//! What operators decide, once validated: quotas, limits and room rules.
//!
//! A policy is always an argument, never a field of the state it governs, so that a reload is one
//! pointer store and every bucket, line, limit and pass lives on under the new rules. Constructors
//! refuse nonsense; there is no `0` that means "unlimited".

use std::num::NonZeroU32;
use std::time::Duration;

use super::Class;
pub use super::poll::PollRule;

/// A rate and a burst: at most `burst` tokens at once, refilled one every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    interval: Duration,
    burst: NonZeroU32,
}

impl Quota {
    /// A quota of one token every `interval`, holding at most `burst`.
    ///
    /// Returns `None` for an interval of zero (which would be no limit at all) or one beyond a day.
    #[must_use]
    pub fn new(interval: Duration, burst: NonZeroU32) -> Option<Self> {
        let legal = !interval.is_zero() && interval <= Duration::from_secs(86_400);
        legal.then_some(Self { interval, burst })
    }

    /// Nanoseconds in which one token grows back (GCRA's emission interval, `T`). Never zero.
    #[must_use]
    pub fn interval_ns(&self) -> u64 {
        u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Tokens that a full bucket holds.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// Nanoseconds in which an empty bucket fills up (`burst · T`).
    #[must_use]
    pub fn depth_ns(&self) -> u64 {
        self.interval_ns().saturating_mul(u64::from(self.burst.get()))
    }
}

/// The law that moves an upstream's limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LawPolicy {
    /// Where more in flight would only wait longer; see [`Knee`](super::knee::Knee).
    Knee,
    /// The operator's number, whatever is measured.
    Fixed,
    /// Additive increase, multiplicative decrease; see [`Aimd`](super::law::Aimd).
    Aimd {
        /// Time to the first byte above which the upstream counts as overloaded.
        latency: Duration,
    },
    /// See [`Vegas`](super::law::Vegas).
    Vegas,
    /// See [`Gradient2`](super::law::Gradient2).
    Gradient2,
}

impl LawPolicy {
    /// The law's name in configurations.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Knee => "knee",
            Self::Fixed => "fixed",
            Self::Aimd { .. } => "aimd",
            Self::Vegas => "vegas",
            Self::Gradient2 => "gradient2",
        }
    }
}

/// How many requests may be unfinished at an upstream, and how long others may wait for room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitPolicy {
    /// The law that moves the limit between `floor` and `ceiling`.
    pub law: LawPolicy,
    /// Where the limit starts.
    pub initial: u32,
    /// The limit never falls below this; at least 1.
    pub floor: u32,
    /// The limit never rises above this.
    pub ceiling: u32,
    /// Longest wait for a permit in the queue before the upstream.
    pub wait: Duration,
    /// No answer for this long while requests are unfinished: stalled, and no new calls go out.
    pub stall: Duration,
}

/// How those who wait for room at an upstream are treated; see [`FairQueue`](super::queue::FairQueue).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// Most that wait; at least 1.
    pub length: usize,
    /// Most unfinished requests of one user at the upstream, at least 1; `None` bounds nobody.
    pub per_user: Option<u32>,
    /// The parts of P0 to P3 in the limit while all of them want it, in proportion; each at least 1.
    pub parts: [u32; Class::ALL.len()],
}

impl QueuePolicy {
    /// The part of a class.
    #[must_use]
    pub fn part(&self, class: Class) -> u32 {
        let [finish, admitted, entry, bulk] = self.parts;
        match class {
            Class::Finish => finish,
            Class::Admitted => admitted,
            Class::Entry => entry,
            Class::Bulk => bulk,
        }
    }
}

impl Default for QueuePolicy {
    /// Ten thousand, nobody bounded, 20 : 60 : 15 : 5.
    fn default() -> Self {
        Self { length: 10_000, per_user: None, parts: [20, 60, 15, 5] }
    }
}

/// The rules of a waiting room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomPolicy {
    /// Fewest seats, whatever is measured; at least 1.
    pub seats_floor: u32,
    /// Most seats, whatever is measured.
    pub seats_ceiling: u32,
    /// This room's part of its upstream's limit, in (0, 1].
    pub share: f64,
    /// How long a call stands before its holder counts as late. The number is kept.
    pub call: Duration,
    /// A pass unused for this long may be ended, if somebody needs the seat.
    pub idle: Duration,
    /// Hard cap of a pass.
    pub session: Duration,
    /// How often clients poll.
    pub poll: PollRule,
    /// No calls while set; the text of the reason is the operator's message.
    pub hold: bool,
    /// Emergency: everybody passes through, counted and logged.
    pub open: bool,
    /// Its lanes; the first one takes everybody whom no other does. Empty where there is one line.
    pub lanes: Vec<LanePolicy>,
}

/// A lane of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanePolicy {
    /// Its name.
    pub name: String,
    /// Its part of all calls and seats, in proportion to the others'; at least 1.
    pub weight: u32,
}

impl RoomPolicy {
    /// The weight of a lane, 1 if the policy does not name it; that of everybody else, who are in its first lane,
    /// for `None`.
    #[must_use]
    pub fn weight(&self, lane: Option<&str>) -> u32 {
        let named = |name: &str| self.lanes.iter().skip(1).find(|lane| lane.name == name);
        lane.map_or_else(|| self.lanes.first(), named).map_or(1, |lane| lane.weight)
    }
}
