//! A cut as an experiment: did throughput fall with the limit?
//!
//! If it did, all that was in flight was worked on, and the cut is undone. If it did not, what was cut
//! away had only waited. A climb asks upwards: if throughput grows with the limit, all was worked on.

use super::reading::Reading;

/// Why a limit was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Answers took longer than the baselines say.
    Latency,
    /// From time to time, to see whether less would do.
    Dip,
    /// More is let through, to see whether more is served: no cut.
    Climb,
    /// Too many requests were dropped.
    Errors,
    /// Nothing came back.
    Stall,
}

/// What an experiment showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Throughput stayed: fewer in flight are enough. A cut stands, a climb is undone.
    Free,
    /// Throughput went with the limit: everything in flight was worked on. A cut is undone, a climb stands.
    Costly,
    /// Neither is sure; others may load the same upstream.
    Unclear,
}

/// An experiment under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) cause: Cause,
    /// Before the cut.
    pub(super) before: Reading,
    pub(super) limit_before: f64,
}

/// Elasticity, 0 (free) to 1 (costly), and its standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elasticity {
    pub(super) value: f64,
    pub(super) error: f64,
}

pub(super) const COSTLY: f64 = 0.75;
const FREE: f64 = 0.5;
/// Elasticity up to which a cut was free though demand went with it.
const SPARED: f64 = 0.25;
/// A cut to more than this part of the limit is small.
const SMALL: f64 = 0.8;
/// Standard errors by which throughput must have moved too far, and in a second look.
const VOID: f64 = 1.5;
const VOID_AGAIN: f64 = 2.25;
/// Standard errors, and natural logarithm, by which throughput must have fallen for certain.
const FELL: (f64, f64) = (2.0, 0.14);
/// Standard errors by which it must have risen.
const GREW: f64 = 3.0;
/// Standard errors by which it must have risen where a pool is taken to have come back, and a natural logarithm
/// besides.
const MORE: (f64, f64) = (2.0, 0.15);
/// Part of the answers at the cap from which on the mean wait says little.
const TELLING: f64 = 0.4;
/// Least variance of what the wait says: it rests on the baselines.
const WAIT_DOUBT: f64 = 0.01;

impl Trial {
    /// Elasticity by throughput alone over a chain of free cuts, if it reaches far enough to be sure.
    ///
    /// Each link of a chain may err; its ends are far apart.
    pub(super) fn over(anchor: &Reading, after: &Reading) -> Option<f64> {
        let reach = (after.in_flight.max(0.05) / anchor.in_flight.max(0.05)).ln();
        let error = (noise(anchor) + noise(after)).sqrt() / reach.abs().max(1e-9);
        let value = (after.output.max(1e-9) / anchor.output.max(1e-9)).ln() / reach;
        (reach.abs() > 0.6 && error < 0.2).then_some(value)
    }

    /// Throughput moved more than the limit can explain between the two: the upstream itself has changed,
    /// and what was measured at first says nothing about it any more.
    pub(super) fn is_void(anchor: &Reading, later: &Reading) -> bool {
        let reach = (later.in_flight.max(0.05) / anchor.in_flight.max(0.05)).ln();
        let moved = (later.output.max(1e-9) / anchor.output.max(1e-9)).ln();
        let error = VOID * (noise(anchor) + noise(later)).sqrt();
        moved < reach.min(0.0) - error || moved > reach.max(0.0) + error
    }

    /// Fewer were served after the cut, beyond chance: what is left in flight is all worked on.
    pub(super) fn fell(&self, after: &Reading) -> bool {
        let fell = (self.before.output.max(1e-9) / after.output.max(1e-9)).ln();
        fell > (FELL.0 * (noise(&self.before) + noise(after)).sqrt()).max(FELL.1)
    }

    /// More were served with more in flight, beyond chance: at first there was work for more, and no queue.
    pub(super) fn grew(first: &Reading, later: &Reading) -> bool {
        let grew = (later.output.max(1e-9) / first.output.max(1e-9)).ln();
        later.in_flight > first.in_flight && grew > GREW * (noise(first) + noise(later)).sqrt()
    }

    /// More are served than while all workers were busy: by more than chance, and than work that got a little
    /// quicker.
    pub(super) fn serves_more(full: &Reading, now: &Reading) -> bool {
        let grew = (now.output.max(1e-9) / full.output.max(1e-9)).ln();
        grew > MORE.1 + MORE.0 * (noise(full) + noise(now)).sqrt()
    }

    /// Hardly fewer were served with far fewer in flight. That tells also where nobody was held back.
    pub(super) fn is_spared(&self, after: &Reading) -> bool {
        after.in_flight < self.before.in_flight
            && Self::over(&self.before, after).is_some_and(|value| value < SPARED)
    }

    /// Throughput fell by more than was taken away, so that answers take longer than before, though fewer
    /// are in flight. No cut does that. Where most still waits, less than the usual doubt is needed.
    pub(super) fn seems_slower(&self, after: &Reading) -> bool {
        self.slowed(after, VOID)
    }

    /// It does so by a second look, for which more is asked: what was at work at the moment of a cut ends, and
    /// what is let through after it began at about one time, so that a first window may see few of them end.
    pub(super) fn got_slower(&self, after: &Reading) -> bool {
        self.slowed(after, VOID_AGAIN)
    }

    fn slowed(&self, after: &Reading, doubt: f64) -> bool {
        let before = &self.before;
        let doubt = if after.saturated { 0.5 * doubt } else { doubt };
        let reach = (after.in_flight.max(0.05) / before.in_flight.max(0.05)).ln();
        let moved = (after.output.max(1e-9) / before.output.max(1e-9)).ln();
        moved < reach.min(0.0) - doubt * (noise(before) + noise(after)).sqrt()
    }

    /// A cut for latency to nearly what the limit was. What others do meanwhile moves throughput as much as the
    /// cut does, so that each tells a little, and many tell much.
    pub(super) fn is_small(&self, limit: f64) -> bool {
        self.cause == Cause::Latency && limit > SMALL * self.limit_before
    }

    /// What was at work before the cut, by throughput alone: if the cut went below the knee, all that is
    /// in flight now is worked on, and the knee is by so much further up as throughput fell. If it did
    /// not, this is what is in flight now, and still above the knee.
    pub(super) fn at_work(&self, after: &Reading) -> f64 {
        let fell = self.before.output / after.output.max(1e-9);
        after.in_flight * fell.clamp(1.0, 4.0)
    }

    /// Reads the experiment. Two witnesses, weighed by their variance: throughput, and the wait.
    ///
    /// Throughput: `ln(X / X₀) / ln(I / I₀)`, where a dip compares with what the baselines take to be
    /// at work (`I₀` less its queue). The wait: a free cut takes `I₀ − I` requests out of the queue, a
    /// costly one none beyond those that the baselines know of; a climb adds as many, or none.
    pub(super) fn elasticity(&self, after: &Reading) -> Elasticity {
        let before = &self.before;
        let at_work = (before.in_flight - before.queue.max(0.0)).max(0.1);
        let is_dip = self.cause == Cause::Dip;
        let full = if is_dip { at_work } else { before.in_flight }.max(0.1);
        let way = if self.cause == Cause::Climb { 1.0 } else { -1.0 };
        let reach = way * (way * (after.in_flight.max(0.05) / full).ln()).max(0.02);
        let by_throughput = (after.output.max(1e-9) / before.output.max(1e-9)).ln() / reach;
        let throughput_variance = (noise(before) + noise(after)) / (reach * reach);
        let taken = -way * (way * (after.in_flight - full)).max(0.05);
        let by_wait = if is_dip {
            // Quicker than the baselines say: they hold a wait, so that more was queued than known.
            (after.queue < 0.25 * taken).then(|| (1.0 + after.queue / taken, after.queue_error))
        } else {
            let tells = before.capped.max(after.capped) < TELLING;
            let error = before.queue_error.hypot(after.queue_error);
            let freed = before.throughput * (before.wait - after.wait);
            tells.then(|| (1.0 - freed / taken, error))
        };
        let first = (by_throughput.clamp(-1.0, 2.0), throughput_variance.max(1e-4));
        let second =
            by_wait.map(|(value, error)| (value.clamp(-1.0, 2.0), ((error / taken).powi(2)).max(WAIT_DOUBT)));
        let Some(second) = second else {
            return Elasticity { value: first.0, error: first.1.sqrt() };
        };
        let (first_weight, second_weight) = (1.0 / first.1, 1.0 / second.1);
        let weight = first_weight + second_weight;
        Elasticity {
            value: (first.0 * first_weight + second.0 * second_weight) / weight,
            error: weight.sqrt().recip(),
        }
    }
}

/// Relative variance of an output: that of what answers cost, over their number. One answer of a dear class
/// may be most of it, and be counted in either window.
fn noise(reading: &Reading) -> f64 {
    let count = (reading.throughput * reading.seconds).max(1.0);
    reading.spread.clamp(0.3, 3.0).max(reading.unlike).powi(2) / count
}

impl Elasticity {
    pub(super) fn verdict(&self) -> Verdict {
        if self.value >= COSTLY {
            Verdict::Costly
        } else if self.value < FREE {
            Verdict::Free
        } else {
            Verdict::Unclear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three seconds in which so many were unfinished and so many a second served.
    fn reading(in_flight: f64, throughput: f64) -> Reading {
        Reading {
            seconds: 3.0,
            answers: 150,
            throughput,
            output: throughput,
            in_flight,
            spread: 0.5,
            ..Reading::default()
        }
    }

    fn trial(before: Reading) -> Trial {
        Trial { cause: Cause::Latency, before, limit_before: before.in_flight }
    }

    #[test]
    fn as_many_served_with_a_quarter_in_flight_is_free_whoever_asks() {
        let trial = trial(reading(25.0, 56.0));
        assert!(trial.is_spared(&reading(6.0, 55.0)));
        assert!(!trial.is_spared(&reading(6.0, 20.0)), "fewer came, and fewer were served");
        assert!(!trial.is_spared(&reading(20.0, 55.0)), "too near to tell");
        assert!(!trial.is_spared(&reading(60.0, 56.0)), "no cut");
    }

    #[test]
    fn a_cut_is_small_that_leaves_most_of_the_limit() {
        let trial = trial(reading(40.0, 400.0));
        assert!(trial.is_small(36.0) && !trial.is_small(32.0));
        assert!(!Trial { cause: Cause::Dip, ..trial }.is_small(36.0), "a dip goes as deep as it has to");
    }

    #[test]
    fn throughput_that_falls_by_more_than_the_cut_is_another_upstream() {
        let trial = trial(reading(52.0, 48.0));
        assert!(!trial.seems_slower(&reading(26.0, 24.0)), "a cut that cost what it took");
        assert!(!trial.seems_slower(&reading(26.0, 48.0)), "a cut that was free");
        assert!(trial.seems_slower(&reading(26.0, 15.0)) && trial.got_slower(&reading(26.0, 15.0)));
        let doubtful = reading(26.0, 22.3);
        assert!(!trial.seems_slower(&doubtful));
        let doubtful = Reading { saturated: true, ..doubtful };
        assert!(trial.seems_slower(&doubtful), "and most still waits");
        assert!(!trial.got_slower(&doubtful), "but that is not sure");
    }
}
