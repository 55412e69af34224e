//! What a day came to.
//!
//! Seconds and people. *Waits* run from a person's arrival to the moment of having a seat and knowing
//! it. Every person who came is in exactly one of the counts; [`Outcome::unaccounted`] is 0, and a test
//! keeps it so.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::binding::Spent;

/// Precision of waits: 1 ms up to three digits, at most a month.
const WAIT_MAX_MS: u64 = 31 * 86_400_000;

/// Times, in milliseconds inside, with three significant digits.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, WAIT_MAX_MS, 3).expect("constant bounds, and valid ones"))
    }
}

impl Times {
    /// Takes one.
    pub fn add(&mut self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "not negative, saturates")]
        let ms = (seconds.max(0.0) * 1_000.0) as u64;
        self.0.saturating_record(ms);
    }

    /// The time that `share` of all do not exceed, in seconds. `None` of nobody.
    #[must_use]
    pub fn at(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1_000.0)
    }

    /// How many were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Mean, in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.mean() / 1_000.0
    }

    /// `(up to, how many)` in so many steps of equal width.
    #[must_use]
    pub fn histogram(&self, steps: u64) -> Vec<(f64, u64)> {
        let width = self.0.max().div_ceil(steps.max(1)).max(1);
        self.0
            .iter_linear(width)
            .map(|bar| ((bar.value_iterated_to() + 1) as f64 / 1_000.0, bar.count_since_last_iteration()))
            .collect()
    }
}

/// One look at the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sight {
    /// When.
    pub at_s: f64,
    /// People who have come.
    pub arrived: u64,
    /// People who wait, now.
    pub waiting: u64,
    /// People who reached their goal.
    pub served: u64,
    /// People who left without it.
    pub left: u64,
    /// Highest number given.
    pub issued: u64,
    /// Highest number called.
    pub called: u64,
    /// Seats, now.
    pub seats: u64,
    /// Passes in use, now.
    pub active: u64,
    /// The limit, now.
    pub limit: u64,
    /// Requests in flight, now.
    pub in_flight: u64,
    /// Workers, now.
    pub slots: u64,
    /// Worker time so far.
    pub busy_s: f64,
    /// Looks at the board, a second.
    pub looks_per_s: f64,
    /// By how much the board tells everybody to look less often.
    pub scale: f64,
    /// Share of those called that come, as the room has learnt it.
    pub show_rate: f64,
}

/// How well the wait was announced at the join, over a sample of those who got in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Announced {
    /// Who got in and had been told an interval.
    pub told: u64,
    /// Who got in and had been told none, because nobody had been called yet.
    pub untold: u64,
    /// Whose wait lay inside.
    pub inside: u64,
    /// Whose wait was shorter.
    pub earlier: u64,
    /// Whose wait was longer.
    pub later: u64,
    /// Sum of real wait less the middle of the interval, in seconds.
    pub error_s: f64,
}

impl Announced {
    /// Share of those who had been told an interval whose wait lay inside. `None` of nobody.
    #[must_use]
    pub fn share_inside(&self) -> Option<f64> {
        (self.told > 0).then(|| self.inside as f64 / self.told as f64)
    }
}

/// A whole day.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// People who came.
    pub arrived: u64,
    /// People who never came within the day.
    pub not_come: u64,
    /// People who reached their goal.
    pub served: u64,
    /// People who lost patience in the line.
    pub left: u64,
    /// People who lost patience inside, or whose pass ran out there.
    pub left_inside: u64,
    /// Of them, those whose pass ran out.
    pub turned_out: u64,
    /// Units handed out beyond the stock. Must be 0.
    pub oversold: u64,
    /// People who waited when the stock ended, and were told.
    pub told_exhausted: u64,
    /// People still inside when the day was over.
    pub still_inside: u64,
    /// People still in the line when the day was over.
    pub still_waiting: u64,
    /// People who went straight in, without a number.
    pub straight_in: u64,
    /// Places given.
    pub places: u64,
    /// Numbers called, those given up before their call included.
    pub called: u64,
    /// Places whose holder said goodbye before the call.
    pub given_up: u64,
    /// Calls that somebody came for.
    pub claimed: u64,
    /// Claims that were told that their number was used up, though it was not. Must be 0.
    pub lost_places: u64,
    /// From arrival to the seat.
    pub waits: Times,
    /// From the call to the seat.
    pub call_to_seat: Times,
    /// From arrival to the goal.
    pub goals: Times,
    /// Sampled pairs (order of arrival, order of admission).
    pub order: Vec<(u64, u64)>,
    /// Most people with a higher number that got in before one of the sample.
    pub overtakes_max: u64,
    /// One of so many was sampled.
    pub sampled: u64,
    /// See [`Announced`].
    pub announced: Announced,
    /// When the last one got in or left.
    pub ended_s: f64,
    /// When the last seat was taken.
    pub last_seat_s: f64,
    /// Worker time used, in seconds.
    pub busy_s: f64,
    /// Worker time that there was while somebody waited, in seconds.
    pub wanted_s: f64,
    /// The part of it that was used, in seconds.
    pub wanted_busy_s: f64,
    /// Looks at the board.
    pub looks: f64,
    /// Most looks in a second.
    pub looks_peak: f64,
    /// Most people waiting at once.
    pub waiting_peak: u64,
    /// Highest scale of the board.
    pub scale_peak: f64,
    /// Most places joined or claimed in a second, over a beat.
    pub door_peak: f64,
    /// Time with somebody waiting, by what held the line.
    pub spent: Spent,
    /// Bytes of the rehearsal for each place given.
    pub bytes_per_place: f64,
    /// Over time; at most [`SIGHTS_MAX`].
    pub sights: Vec<Sight>,
}

/// Most points of a series.
pub const SIGHTS_MAX: usize = 480;

impl Outcome {
    /// People who came and of whom nothing is known. 0, or the rehearsal is wrong.
    #[must_use]
    pub fn unaccounted(&self) -> i128 {
        let ends = [
            self.served,
            self.left,
            self.left_inside,
            self.told_exhausted,
            self.still_inside,
            self.still_waiting,
        ];
        i128::from(self.arrived) - ends.into_iter().map(i128::from).sum::<i128>()
    }

    /// Share of the worker time that was used while somebody waited. `None` if nobody did.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        (self.wanted_s > 0.0).then(|| self.wanted_busy_s / self.wanted_s)
    }

    /// Share of the calls that somebody came for.
    #[must_use]
    pub fn show_rate(&self) -> Option<f64> {
        let calls = self.called.saturating_sub(self.given_up);
        (calls > 0).then(|| self.claimed as f64 / calls as f64)
    }

    /// Looks at the board a second, on average.
    #[must_use]
    pub fn looks_mean(&self) -> f64 {
        self.looks / self.ended_s.max(1.0)
    }
}
