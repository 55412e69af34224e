//! How many requests the upstream works on at once when it is full: what several windows say of it.
//!
//! Where some wait, each window tells it: what is in flight less what waits. One window of a small pool
//! is off by a seventh (45 answers of exponential length), and a cut to what it says goes by as much
//! too deep. The pool itself seldom changes, so windows are weighed together, as a Kalman filter does,
//! until one of them cannot be of the same pool.

use super::reading::Reading;

/// Standard deviation by which a pool changes from window to window, of what it is.
const DRIFT: f64 = 0.03;
/// Standard deviations by which a window must differ to be of another pool.
const ANOTHER: f64 = 2.5;
/// Above this relative standard deviation nothing is known.
const VAGUE: f64 = 0.2;

/// An estimate, and its relative variance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crew {
    at_work: f64,
    variance: f64,
}

impl Crew {
    /// Takes a window in which the limit held somebody back.
    pub(super) fn see(&mut self, reading: &Reading) {
        let waits = reading.queue > reading.queue_error;
        let at_work = reading.at_work();
        if reading.saturated {
            // So long a wait tells no number, but that the pool may have shrunk.
            return self.forget();
        }
        if !waits && at_work <= self.at_work {
            // What was in flight was worked on, and more might have been.
            return;
        }
        let variance = (reading.queue_error / at_work).powi(2).max(1e-4);
        let before = self.variance + DRIFT * DRIFT;
        let differs = (at_work / self.at_work.max(1e-9)).ln();
        if self.at_work <= 0.0 || differs.abs() > ANOTHER * (before + variance).sqrt() {
            (self.at_work, self.variance) = (at_work, variance);
            return;
        }
        let gain = before / (before + variance);
        self.at_work += gain * (at_work - self.at_work);
        self.variance = (1.0 - gain) * before;
    }

    /// What answers cost was off by this factor, and so was this.
    pub(super) fn scale(&mut self, factor: f64) {
        self.at_work *= factor;
    }

    /// It is another upstream now.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Requests at work when all workers are; `None` if too little was seen.
    pub(super) fn at_work(&self) -> Option<f64> {
        (self.at_work > 0.0 && self.variance < VAGUE * VAGUE).then_some(self.at_work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window with so many in flight, of whom so many wait, each time give or take one.
    fn window(in_flight: f64, queue: f64) -> Reading {
        Reading { answers: 45, in_flight, queue, queue_error: 1.0, limited: true, ..Reading::default() }
    }

    fn seen(windows: &[(f64, f64)]) -> Crew {
        let mut crew = Crew::default();
        for (in_flight, queue) in windows {
            crew.see(&window(*in_flight, *queue));
        }
        crew
    }

    #[test]
    fn one_window_moves_it_by_a_part_of_what_chance_does() {
        let windows = [(14.0, 5.0), (14.0, 4.5), (14.0, 5.5), (14.0, 5.0), (14.0, 6.9)];
        let at_work = seen(&windows).at_work().unwrap();
        assert!((8.3..9.0).contains(&at_work), "the last window alone says 7.1: {at_work}");
    }

    #[test]
    fn half_of_the_pool_gone_is_another_pool() {
        let at_work = seen(&[(14.0, 4.0), (14.0, 4.0), (14.0, 8.9)]).at_work().unwrap();
        assert!((at_work - 5.1).abs() < 1e-9, "{at_work}");
    }

    #[test]
    fn where_nobody_waits_it_can_only_be_more() {
        let few = seen(&[(14.0, 4.0), (6.0, 0.0)]);
        assert!((few.at_work().unwrap() - 10.0).abs() < 1e-9);
        let more = seen(&[(14.0, 4.0), (20.0, 0.0)]);
        assert!((more.at_work().unwrap() - 20.0).abs() < 1e-9, "all twenty were worked on");
    }

    #[test]
    fn what_is_vague_is_not_told() {
        assert_eq!(Crew::default().at_work(), None);
        let mut vague = Crew::default();
        vague.see(&Reading { queue_error: 3.0, ..window(14.0, 5.0) });
        assert_eq!(vague.at_work(), None);
    }
}
