//! What held the line up: judged at each step, while somebody waits, from what the room and the pool
//! show then.
//!
//! The order of the questions is the order of the causes: whether anybody may be called at all, whether
//! there is anything left, whether the pool is busy (then all is well, and only more of it would help),
//! whether the seats are full and by whose number, and else why free seats are not taken.

use serde::Serialize;

/// A pool at least this busy does what it can.
const BUSY: f64 = 0.90;
/// Seats at least this full are full.
const FULL: f64 = 0.97;

/// What holds the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// The workers of the pool are busy: nothing else is in the way.
    Pool,
    /// The seats may not rise above what the operator wrote.
    SeatsCeiling,
    /// The seats may not fall below what the operator wrote, and the pool is given more than it bears.
    SeatsFloor,
    /// The limit of requests, and with it the seats.
    Limit,
    /// The seats are held by people who are not asking for anything, because nobody tells the gateway
    /// that they are done.
    IdleSeats,
    /// Free seats wait for people who were called and have not looked yet, because the board tells
    /// everybody to look less often.
    PollingBudget,
    /// Free seats wait for people who were called and do not come.
    ShowRate,
    /// Free seats wait for people who were called and come only with their next look.
    CallDelay,
    /// Nothing is left.
    Stock,
    /// The upstream stands still, or the operator holds the room.
    Held,
}

/// Time by what held the line, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spent(Vec<(Binding, f64)>);

/// What a step shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    pub(super) held: bool,
    pub(super) sold_out: bool,
    /// Busy workers over workers.
    pub(super) busy: f64,
    /// Requests that would be in flight over the limit.
    pub(super) pressed: f64,
    pub(super) active: u64,
    /// Those of them who have not finished.
    pub(super) at_work: u64,
    pub(super) seats: u64,
    pub(super) ceiling: u64,
    pub(super) floor: u64,
    pub(super) slots: u64,
    /// Share of the calls on their way that the board's scale delays.
    pub(super) delayed: f64,
    pub(super) show_rate: f64,
}

impl Binding {
    pub(super) fn of(signs: &Signs) -> Self {
        let full = signs.active as f64 >= FULL * signs.seats as f64;
        if signs.held || signs.slots == 0 {
            Self::Held
        } else if signs.sold_out {
            Self::Stock
        } else if signs.busy >= BUSY {
            // Held at the floor, the limit cannot protect a pool that bears less.
            if signs.seats == signs.floor && signs.floor > 1 && signs.pressed > 1.5 {
                Self::SeatsFloor
            } else {
                Self::Pool
            }
        } else if full && (signs.at_work as f64) < 0.8 * signs.active as f64 {
            Self::IdleSeats
        } else if full && signs.seats >= signs.ceiling {
            Self::SeatsCeiling
        } else if full {
            Self::Limit
        } else if signs.delayed > 0.5 {
            Self::PollingBudget
        } else if signs.show_rate < 0.5 {
            Self::ShowRate
        } else {
            Self::CallDelay
        }
    }
}

impl Spent {
    pub(super) fn add(&mut self, binding: Binding, seconds: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == binding) {
            Some((_, spent)) => *spent += seconds,
            None => self.0.push((binding, seconds)),
        }
    }

    /// Time with somebody waiting, in seconds.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        self.0.iter().map(|(_, spent)| spent).sum()
    }

    /// Share of that time that this held the line.
    #[must_use]
    pub fn share(&self, binding: Binding) -> f64 {
        let spent = self.0.iter().find(|(known, _)| *known == binding).map_or(0.0, |(_, spent)| *spent);
        spent / self.total_s().max(f64::MIN_POSITIVE)
    }

    /// What held the line most, and for which share of the time. `None` if nobody waited.
    #[must_use]
    pub fn most(&self) -> Option<(Binding, f64)> {
        self.ranked().first().copied()
    }

    /// All that held the line, with shares of the time, the greatest first.
    #[must_use]
    pub fn ranked(&self) -> Vec<(Binding, f64)> {
        let mut ranked: Vec<(Binding, f64)> =
            self.0.iter().map(|(binding, _)| (*binding, self.share(*binding))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked
    }
}
