//! An upstream of known capacity: workers that take jobs in the order of arrival.

use std::collections::VecDeque;

use tornello::admission::limiter::Dispatch;

use crate::dice::Dice;

/// How long the work of a request takes, around a mean of 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Lognormal with this standard deviation; 0 is constant.
    Lognormal(f64),
    /// This part of the requests takes so many times as long as the others.
    Bimodal { part: f64, times: f64 },
}

impl Shape {
    pub(crate) fn draw(self, dice: &mut Dice) -> f64 {
        match self {
            Self::Lognormal(cv) if cv <= 0.0 => 1.0,
            Self::Lognormal(cv) => {
                let variance = (1.0 + cv * cv).ln();
                (variance.sqrt() * normal(dice) - variance / 2.0).exp()
            }
            Self::Bimodal { part, times } => {
                let short = 1.0 / (1.0 - part + part * times);
                if dice.chance(part) { short * times } else { short }
            }
        }
    }
}

/// Box and Muller.
fn normal(dice: &mut Dice) -> f64 {
    let (first, second) = (1.0 - dice.part(), dice.part());
    (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}

/// A request at the origin.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) gateway: usize,
    pub(crate) dispatch: Dispatch,
    /// When its client began to wait for this attempt, seconds.
    pub(crate) asked: f64,
    /// Which try it is.
    pub(crate) attempt: u32,
    /// Seconds of work.
    pub(crate) work: f64,
}

/// The workers and what waits for them.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    pub(crate) workers: u32,
    pub(crate) busy: u32,
    pub(crate) queue: VecDeque<Job>,
    /// Nothing is begun, and nothing handed out, before this time.
    pub(crate) stalled_until: f64,
    /// Work gets longer by this part for each job in flight beyond the workers, over the workers.
    pub(crate) thrash: f64,
}

impl Origin {
    pub(crate) fn in_flight(&self) -> usize {
        self.queue.len() + self.busy as usize
    }

    /// The next job and when it will be done, if a worker is free.
    pub(crate) fn begin(&mut self, now: f64) -> Option<(f64, Job)> {
        if self.busy >= self.workers {
            return None;
        }
        let crowd = self.in_flight() as f64 / f64::from(self.workers.max(1)) - 1.0;
        let job = self.queue.pop_front()?;
        self.busy += 1;
        let slower = 1.0 + self.thrash * crowd.max(0.0);
        let start = now.max(self.stalled_until);
        Some((start + job.work * slower, job))
    }
}
