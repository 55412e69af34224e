//! What follows from a verdict: where the limit goes, what the baselines learn, when is asked again.
//!
//! A verdict on a small cut is of less weight: baselines move by a part of what it says, as by the gain of a
//! Kalman filter, and a dip that was due comes soon all the same, because it tells more.

use super::class::Move;
use super::reading::Reading;
use super::trial::{Cause, Trial, Verdict};
use super::{DIP_EVERY, DOUBT, Knee, Moment, seconds};

/// Standard error of what a small cut says of the baselines: others move, too.
const SMALL_DOUBT: f64 = 0.1;
/// Holds between a small cut and a dip, at least.
const SOON: f64 = 15.0;
/// Where what is left after a dip waits for less than this part of the baselines, they are known, and dips get
/// rare.
const KNOWN: f64 = 0.15;

/// A cut and what came of it.
pub(super) struct End {
    pub(super) trial: Trial,
    pub(super) reading: Reading,
    /// The limit since the cut.
    pub(super) limit: f64,
    /// What suits what was at work before the cut, by throughput.
    pub(super) aim: f64,
    /// Where the limit goes if the cut is undone.
    pub(super) back: f64,
    /// The fast start goes on.
    pub(super) goes_on: bool,
    /// Most of what is in flight after the cut still waits.
    pub(super) still_waits: bool,
}

impl End {
    fn is_dip(&self) -> bool {
        self.trial.cause == Cause::Dip
    }

    fn is_small(&self) -> bool {
        self.trial.is_small(self.limit)
    }

    /// Standard error of what the wait after the cut says of the baselines, relative.
    fn measured(&self) -> f64 {
        self.reading.queue_error / self.reading.in_flight.max(0.1)
    }

    fn seconds(&self) -> f64 {
        self.trial.before.seconds + self.reading.seconds
    }
}

/// The part by which what is known with so much doubt moves to what was measured with so much.
fn gain(doubt: f64, measured: f64) -> f64 {
    doubt.powi(2) / (doubt.powi(2) + measured.powi(2))
}

impl Knee {
    /// The next dip comes after so many times what the experiment lasted, or later. After a small cut one that
    /// was due before stays so, beyond that time; how often that came to nothing is counted.
    fn dip_after(&mut self, end: &End, times: f64, now: Moment) {
        let planned = self.next_dip;
        let pause = times * end.seconds();
        self.schedule_dip(pause, now);
        if end.is_small() {
            let soonest = pause.max(SOON * self.hold) * self.jitter();
            self.put_off += u32::from(now >= planned);
            self.next_dip = self.next_dip.min(planned.max(now.after(seconds(soonest))));
        }
    }

    /// The part by which baselines that hold a wait go down to what the end of a cut shows.
    fn gain_down(&self, end: &End) -> f64 {
        if end.is_small() { gain(self.doubt, end.measured()) } else { 1.0 }
    }

    /// The cut took what was worked on: the limit goes back, and what answers take now is what they cost.
    pub(super) fn costly(&mut self, end: &End, now: Moment) -> f64 {
        self.anchor = None;
        self.fast_start = end.goes_on;
        let measured = if end.is_small() { end.measured().hypot(SMALL_DOUBT) } else { end.measured() };
        let gain = if end.is_dip() {
            gain(self.doubt, measured).max(0.2)
        } else if end.is_small() {
            gain(self.doubt, measured)
        } else {
            1.0
        };
        let left = (1.0 - gain).sqrt() * self.doubt;
        self.doubt = left.max(DOUBT.0).max(measured.min(self.doubt));
        self.learn(&end.reading, gain);
        let is_known = end.is_dip() && end.reading.wait.abs() < KNOWN * end.reading.baseline.max(1e-9);
        self.dip_every = if is_known { (self.dip_every * 2.0).min(DIP_EVERY.1) } else { DIP_EVERY.0 };
        self.conclude(Some(Verdict::Costly), end.back);
        self.dip_after(end, if is_known { 8.0 } else { 3.0 }, now);
        end.back
    }

    /// What was cut away had only waited: the cut stands, and goes on where most still waits.
    pub(super) fn free(&mut self, end: &End, now: Moment) -> f64 {
        let End { trial, reading, limit, .. } = end;
        self.fast_start = false;
        self.shift(Move { gain: self.gain_down(end), bounds: (0.3, 1.0) });
        self.dip_every = DIP_EVERY.0;
        if end.is_dip() {
            // They held a wait, and may still.
            self.doubt = self.doubt.max(DOUBT.1);
        }
        self.conclude(Some(Verdict::Free), *limit);
        let again = if end.is_dip() {
            let at_work = reading.in_flight - reading.queue.max(0.0);
            let to = self.dip(at_work, *limit);
            (to < 0.95 * limit).then_some(to)
        } else {
            end.still_waits.then(|| self.to_the_knee(reading, *limit))
        };
        if let Some(to) = again {
            return self.cut(trial.cause, *reading, *limit, to, now);
        }
        self.dip_after(end, 2.0, now);
        if end.is_dip() {
            return *limit;
        }
        // The cut may have gone deeper than to what was at work; where some still wait it did not.
        let at_work = (trial.at_work(reading) - reading.queue.max(0.0)).max(0.1);
        self.aimed_at(at_work, reading).min(end.aim).max(*limit)
    }

    /// The knee lies between here and there: what answers take here holds less wait than the baselines do, if
    /// they say that it is less.
    pub(super) fn unclear(&mut self, end: &End, now: Moment) -> f64 {
        let End { trial, reading, limit, .. } = end;
        self.shift(Move { gain: self.gain_down(end), bounds: (0.5, 1.0) });
        self.fast_start = end.goes_on;
        let back = if end.goes_on { end.back } else { end.aim };
        self.conclude(Some(Verdict::Unclear), back);
        // A deeper cut tells more than a way back would.
        let to = self.to_the_knee(reading, *limit);
        if !end.is_dip() && end.still_waits && to < 0.95 * limit {
            return self.cut(trial.cause, *reading, *limit, to, now);
        }
        self.dip_after(end, 2.0, now);
        back
    }
}
