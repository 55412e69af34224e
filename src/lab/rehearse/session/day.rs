//! A day as the session level sees it: who comes when, what a session costs, what stands behind, and
//! the operator's own room before it. Plain data; [`super::read`] takes it from a scenario and a
//! configuration.
//!
//! Seconds, from the beginning of the day. One beat is the time between two steps of the room.

use crate::admission::policy::{LimitPolicy, RoomPolicy};
use crate::lab::law::Span;
use crate::lab::scenario::Repeat;

/// A day to rehearse.
#[derive(Clone, Debug)]
pub struct Day {
    /// Its name.
    pub name: String,
    /// What fixes everything that is drawn.
    pub seed: u64,
    /// When it is over, whoever still waits.
    pub horizon_s: f64,
    /// When what they come for opens: from then on the order of arrival counts. Nothing is shut before.
    pub opens_s: f64,
    /// Time between two steps of the room.
    pub beat_s: f64,
    /// Who wants something scarce. At most [`GROUPS_MAX`].
    pub groups: Vec<Group>,
    /// What does the scarce work.
    pub pool: Pool,
    /// Units to sell, if the day ends with them.
    pub stock: Option<u64>,
    /// The rules of the room, as the operator wrote them.
    pub room: RoomPolicy,
    /// The rules of the limit that the seats follow.
    pub limit: LimitPolicy,
    /// The network that sends most, and what the door lets one network do.
    pub door: Door,
    /// What the scenario asks for and this level does not play, in words.
    pub absent: Vec<String>,
}

/// Most groups of a day.
pub const GROUPS_MAX: usize = 16;

/// People of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub id: String,
    /// How many.
    pub people: u64,
    /// Which share has come by the end of each beat. Rises to 1; those beyond the horizon never come.
    pub come_by: Vec<f64>,
    /// Share of people with 1, 2, ... devices, each of which takes a place.
    pub devices: Vec<f64>,
    /// How long they stay in the line, from their arrival.
    pub patience: Span,
    /// Share of those who leave without saying so, and of devices put away so.
    pub silent_leave: f64,
    /// Share that is away for a while during the wait.
    pub close_tab: f64,
    /// How long those are away.
    pub away: Span,
    /// What they do once inside.
    pub errand: Errand,
}

/// What a session consists of.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The way to the goal.
    pub steps: Vec<Step>,
    /// A part of it that is walked more than once.
    pub repeat: Option<Repeat>,
    /// How often the whole way is walked.
    pub cases: u32,
    /// Time between two steps.
    pub think: Span,
    /// The last answer tells the gateway that the session is over.
    pub ends: bool,
    /// Units that a session takes of the stock.
    pub units: u64,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The pool does the work. Otherwise the answer just takes its time.
    pub scarce: bool,
    /// How long the work takes.
    pub service: Span,
}

/// The scarce workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Their name.
    pub id: String,
    /// How many there are from each moment on; the first entry is at 0. 0 workers is a standstill.
    pub slots: Vec<(f64, usize)>,
    /// service · (1 + thrash · waiting / slots).
    pub thrash: f64,
}

/// The door where joins and claims are paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Door {
    /// Changes a second that one network may make.
    pub network_per_s: f64,
    /// Share of all people who come from the biggest network.
    pub network_share: f64,
}

impl Pool {
    /// Workers at a time.
    #[must_use]
    pub fn slots_at(&self, t_s: f64) -> usize {
        let begun = self.slots.partition_point(|(from_s, _)| *from_s <= t_s);
        begun.checked_sub(1).and_then(|last| self.slots.get(last)).map_or(0, |(_, slots)| *slots)
    }

    /// The same with so many workers more, wherever it has any.
    #[must_use]
    pub fn with_more(&self, more: usize) -> Self {
        let slots = self.slots.iter().map(|&(at, slots)| (at, if slots > 0 { slots + more } else { 0 }));
        Self { slots: slots.collect(), ..self.clone() }
    }
}

impl Errand {
    /// How often each step is walked, on average.
    fn visits(&self) -> impl Iterator<Item = (&Step, f64)> {
        let again = self.repeat.as_ref().map_or(1.0, |repeat| {
            let total: f64 = repeat.times.iter().sum();
            repeat.times.iter().enumerate().map(|(extra, share)| (extra + 1) as f64 * share).sum::<f64>()
                / total
        });
        let stretch = self.repeat.as_ref().map(|repeat| repeat.from..=repeat.to);
        self.steps.iter().enumerate().map(move |(index, step)| {
            let inside = stretch.as_ref().is_some_and(|stretch| stretch.contains(&index));
            (step, if inside { again } else { 1.0 } * f64::from(self.cases))
        })
    }

    /// Work of the pool in a session, in seconds, by the means of the laws.
    #[must_use]
    pub fn work_s(&self) -> f64 {
        let scarce = self.visits().filter(|(step, _)| step.scarce);
        scarce.map(|(step, times)| times * step.service.mean_s()).sum()
    }

    /// Requests of a session that the pool answers, on average.
    #[must_use]
    pub fn scarce_requests(&self) -> f64 {
        self.visits().filter(|(step, _)| step.scarce).map(|(_, times)| times).sum()
    }
}

impl Day {
    /// People who want something scarce.
    #[must_use]
    pub fn people(&self) -> u64 {
        self.groups.iter().map(|group| group.people).sum()
    }

    /// Work of the pool for one of them, in seconds, on average.
    #[must_use]
    pub fn work_s(&self) -> f64 {
        self.mean(Errand::work_s)
    }

    /// Requests that the pool answers for one of them, on average.
    #[must_use]
    pub fn scarce_requests(&self) -> f64 {
        self.mean(Errand::scarce_requests)
    }

    /// Sessions a second that the pool can do at a time.
    #[must_use]
    pub fn sessions_per_s(&self, t_s: f64) -> f64 {
        self.pool.slots_at(t_s) as f64 / self.work_s().max(f64::MIN_POSITIVE)
    }

    fn mean(&self, of: impl Fn(&Errand) -> f64) -> f64 {
        let sum: f64 = self.groups.iter().map(|group| group.people as f64 * of(&group.errand)).sum();
        sum / (self.people() as f64).max(1.0)
    }
}
