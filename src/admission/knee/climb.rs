//! Climbs: the limit goes up for a moment, to see whether more is served.
//!
//! Below the knee a baseline that is a tenth too low looks like the queue that is aimed at, and the limit
//! would stay where it is until a dip comes. If throughput grows with the limit, there was no queue: what
//! answers take is what they cost, and the limit stays up. If it does not, the way up cost nothing but a
//! short wait; climbs get rare where they show nothing, and do not come where the queue is beyond doubt.
//!
//! That more is served than ever before would seem a reason to look for the knee as at the beginning. It is
//! none: of two gateways before one upstream each takes the other's share for new workers, and both chase
//! each other up without an end. Climbs are paced, and settle. (Only a pool of which most had gone, and that
//! serves more again, goes back to what it was known to be: `crew.rs`.)

use super::growth::OFTEN;
use super::reading::Reading;
use super::trial::{Cause, Trial, Verdict};
use super::{Knee, LimitPolicy, Moment, Next, SHALLOW, TRIAL_MAX, seconds};

/// A climb goes up by this part of the limit, and by its root at least; less than `LEAST` tells nothing.
const STEP: f64 = 0.25;
const LEAST: f64 = 1.1;
/// A queue that is longer than baselines explain that are off by so many of their standard errors is one: more
/// would only wait. A dip will tell if not, unless so little is at work that there can be none.
const CERTAIN: f64 = 3.0;
/// Beats between climbs: at first, and at most.
const EVERY: (f64, f64) = (10.0, 800.0);
/// A climb that showed nothing makes the pause so many times as long.
const RARER: f64 = 4.0;
/// The pause in times for which a request is held, at least: after a climb, and after a cut.
const HOLDS: (f64, f64) = (3.0, 6.0);
/// Windows are one as long as the limit moves by less than this part of itself from one to the next.
const NEAR: f64 = 0.1;
/// A cut to more than this part of the limit leaves little to climb back.
const SHALLOW_CUT: f64 = 0.65;

/// When the next climb comes.
#[derive(Debug)]
pub(super) struct Climbs {
    /// The windows since the limit is about what it is, as one, and the limit in the last.
    steady: Option<(Reading, f64)>,
    next: Moment,
    /// Beats.
    every: f64,
}

impl Default for Climbs {
    fn default() -> Self {
        Self { steady: None, next: Moment(0), every: EVERY.0 }
    }
}

impl Climbs {
    #[cfg(test)]
    pub(super) fn next_in(&self, now: Moment) -> std::time::Duration {
        self.next.since(now)
    }

    /// The limit is cut to this part of itself, or a climb begins.
    pub(super) fn cut(&mut self, cause: Cause, to: f64, beat: f64, hold: f64, now: Moment) {
        self.steady = None;
        let soonest = HOLDS.1 * hold;
        match cause {
            Cause::Latency if to > SHALLOW_CUT => self.next = self.next.max(now.after(seconds(soonest))),
            Cause::Latency => {
                self.every = EVERY.0;
                self.next = now.after(seconds(soonest.max(self.every * beat)));
            }
            _ => {}
        }
    }
}

/// By how much a climb goes up.
fn step_up(limit: f64) -> f64 {
    (STEP * limit).max(limit.sqrt())
}

impl Knee {
    /// Not too much waits, as far as the baselines know: asks from time to time.
    pub(super) fn climb(&mut self, reading: Reading, limit: f64, policy: &LimitPolicy, now: Moment) -> f64 {
        let reading = self.price(reading);
        let before = self.climbs.steady.filter(|(_, at)| (at - limit).abs() < NEAR * limit);
        let before = before.map(|(before, _)| self.price(before));
        let steady = match before {
            Some(before) if !Trial::is_void(&before, &reading) => before.and(&reading),
            _ => reading,
        };
        self.climbs.steady = Some((steady, limit));
        let is_known = steady.is_counted() || steady.seconds >= self.beats(TRIAL_MAX).max(6.0 * self.hold);
        let to = (limit + step_up(limit)).min(f64::from(policy.ceiling));
        let at_work = steady.at_work();
        let is_queue = steady.queue - steady.queue_error > CERTAIN * self.doubt * at_work
            && self.dip(at_work, limit) <= SHALLOW * at_work;
        let is_due = now >= self.climbs.next && self.paced(limit, to, step_up(limit), now) >= to;
        if !is_due || !is_known || is_queue || to <= LEAST * limit {
            return limit;
        }
        self.cut(Cause::Climb, steady, limit, to, now)
    }

    /// A climb was broken off by demand: as long a pause as after the last.
    pub(super) fn break_climb_off(&mut self, now: Moment) {
        self.put_climbs_off(self.climbs.every, now);
    }

    fn put_climbs_off(&mut self, beats: f64, now: Moment) {
        let pause = self.beats(beats).max(HOLDS.0 * self.hold) * self.jitter();
        self.climbs.next = now.after(seconds(pause));
    }

    /// Reads a climb.
    pub(super) fn judge_climb(&mut self, trial: &Trial, reading: &Reading, limit: f64, now: Moment) -> f64 {
        let verdict = trial.elasticity(reading).verdict();
        let from = trial.limit_before;
        let (back, every) = match verdict {
            Verdict::Costly => {
                self.anchor = None;
                self.doubt = self.doubt.max(reading.queue_error / reading.in_flight.max(0.1));
                self.learn(reading, 1.0);
                // One need not feel one's way any more.
                self.growth = OFTEN;
                (limit, EVERY.0)
            }
            // Half as much more served is also what somebody else's share before the same upstream gives.
            Verdict::Unclear | Verdict::Free => (from, (RARER * self.climbs.every).min(EVERY.1)),
        };
        self.climbs.every = every;
        self.put_climbs_off(if verdict == Verdict::Costly { 0.0 } else { every }, now);
        self.conclude(Some(verdict), back);
        if back < limit {
            // What waits because of the climb is none of the next window's business.
            self.settle(Next::Run, now);
        }
        back
    }
}
