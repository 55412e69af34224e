//! How many requests the upstream works on at once when it is full: what several windows say of it.
//!
//! Where some wait, each window tells it: what is in flight less what waits. One window of a small pool
//! is off by a seventh (45 answers of exponential length), and a cut to what it says goes by as much
//! too deep. The pool itself seldom changes, so windows are weighed together, as a Kalman filter does,
//! until one of them cannot be of the same pool.

use super::price::Prices;
use super::reading::Reading;
use super::trial::Trial;

/// Standard deviation by which a pool changes from window to window, of what it is.
const DRIFT: f64 = 0.03;
/// The same of one that was known, went and came back.
const DOUBT: f64 = 0.1;
/// Standard deviations by which a window must differ to be of another pool.
const ANOTHER: f64 = 2.5;
/// A pool that is less than this part of what it was has lost workers; half may be the share of a second
/// gateway.
const LOST: f64 = 0.45;
/// Windows that tell, one after another, in which more than that is seen to be there, until it is no loss: the one
/// in which workers go says neither what was there nor what is left.
const THERE: u32 = 3;
/// Windows that tell after which workers that are missing are missed no more: the pool is what it is.
const MISSED: u32 = 3_000;
/// Standard errors by which some must wait to be sure that no worker is idle.
const FULL: f64 = 2.5;
/// Standard errors beyond which some do wait.
const SOME: f64 = 2.0;
/// Answers after which what a full pool serves is known well enough.
const SERVED: u32 = 300;
/// Above this relative standard deviation nothing is known.
const VAGUE: f64 = 0.2;

/// An estimate, and its relative variance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crew {
    at_work: f64,
    variance: f64,
    /// What it was before most of the workers went, and by how much answers are thought to cost more since.
    lost: Option<(f64, f64)>,
    /// Windows in a row in which it seemed to be there.
    there: u32,
    /// Windows in which it was missing.
    missed: u32,
    /// Windows in which all workers that are left were busy, as one.
    full: Option<Reading>,
}

impl Crew {
    /// Takes a window in which the limit held somebody back, and what a request of each class costs. Whether
    /// workers that had gone are back.
    pub(super) fn see(&mut self, reading: &Reading, prices: &Prices) -> bool {
        self.miss();
        let waits = reading.queue > reading.queue_error;
        let is_full = reading.queue > FULL * reading.queue_error;
        let at_work = reading.at_work();
        if let Some(lost) = self.returned(reading, prices) {
            *self = Self { at_work: lost, variance: DOUBT * DOUBT, ..Self::default() };
            return true;
        }
        let variance = (reading.queue_error / at_work).powi(2).max(1e-4);
        let before = self.variance + DRIFT * DRIFT;
        let error = reading.queue_error.hypot(before.sqrt() * self.at_work);
        let nearly_all_wait = variance > VAGUE * VAGUE && self.at_work - at_work > ANOTHER * error;
        if reading.saturated || nearly_all_wait {
            // So long a wait tells no number, but that the pool may have shrunk.
            let full = self.full.filter(|_| self.missing().is_some());
            self.forget();
            // A standstill while workers are missing is no measure of what those that are left serve.
            self.full = full.or(Some(*reading));
            return false;
        }
        if !waits && at_work <= self.at_work {
            // What was in flight was worked on, and more might have been.
            return false;
        }
        let differs = (at_work / self.at_work.max(1e-9)).ln();
        if self.at_work <= 0.0 || differs.abs() > ANOTHER * (before + variance).sqrt() {
            if waits && at_work < self.at_work {
                self.lost.get_or_insert((self.at_work, 1.0));
            }
            self.find(at_work);
            (self.at_work, self.variance) = (at_work, variance);
            self.full = is_full.then_some(*reading);
            return false;
        }
        if is_full {
            self.serve(reading);
        }
        let gain = before / (before + variance);
        self.at_work += gain * (at_work - self.at_work);
        self.variance = (1.0 - gain) * before;
        self.find(self.at_work);
        false
    }

    /// What answers cost was off by this factor, and so was this.
    pub(super) fn scale(&mut self, factor: f64) {
        self.at_work *= factor;
        self.lost = self.lost.map(|(lost, since)| (lost, factor * since));
    }

    /// What the pool was before most of it went. Not more where answers cost more since: they may have cost
    /// less then.
    fn lost(&self) -> Option<f64> {
        self.lost.map(|(lost, since)| lost * since.min(1.0))
    }

    /// It is no loss if half is there, and stays.
    fn find(&mut self, at_work: f64) {
        let is_there = self.lost().is_some_and(|lost| at_work > LOST * lost);
        self.there = if is_there { self.there + 1 } else { 0 };
        if self.there >= THERE {
            (self.lost, self.there) = (None, 0);
        }
    }

    /// One more window in which workers are missing, or none are.
    fn miss(&mut self) {
        self.missed = if self.lost.is_some() { self.missed + u32::from(self.lacks_workers()) } else { 0 };
        if self.missed > MISSED {
            (self.lost, self.missed) = (None, 0);
        }
    }

    /// What the pool was before most of it went, if that is still missing.
    fn missing(&self) -> Option<f64> {
        self.lost().filter(|lost| self.at_work < LOST * lost)
    }

    /// Most of the workers that there were are missing.
    pub(super) fn lacks_workers(&self) -> bool {
        self.at_work > 0.0 && self.missing().is_some()
    }

    /// All workers were busy.
    fn serve(&mut self, reading: &Reading) {
        let before = self.full.take();
        let merged = before.map(|full| if full.answers < SERVED { full.and(reading) } else { full });
        self.full = merged.or(Some(*reading));
    }

    /// What the pool was before most of it went, if more is served now than what is left of it can: it need
    /// not be found again by small steps. Where only a share went to others before the same upstream, and
    /// comes back because they ask less for a moment, it is not looked for: they would chase each other up.
    fn returned(&self, reading: &Reading, prices: &Prices) -> Option<f64> {
        let (missing, full) = self.missing().zip(self.full)?;
        // Where more were served by chance, as many wait as before.
        let is_queue = reading.saturated || reading.queue > SOME * reading.queue_error;
        let serves_more = Trial::serves_more(&full.priced(prices), &reading.priced(prices));
        (serves_more && !is_queue).then_some(missing)
    }

    /// It may be another upstream now, or this one with fewer workers for a while.
    pub(super) fn forget(&mut self) {
        let lost = self.lost.or((self.at_work > 0.0).then_some((self.at_work, 1.0)));
        *self = Self { lost, missed: self.missed, ..Self::default() };
    }

    /// A fast start goes by answers that are too quick, and takes the pool for larger than it is: none of it is lost.
    pub(super) fn lose_nothing(&mut self) {
        self.lost = None;
    }

    /// Requests at work when all workers are; `None` if too little was seen.
    pub(super) fn at_work(&self) -> Option<f64> {
        (self.at_work > 0.0 && self.variance < VAGUE * VAGUE).then_some(self.at_work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices([None; crate::admission::law::ROUTE_CLASSES]);

    /// A window with so many in flight, of whom so many wait, each time give or take one.
    fn window(in_flight: f64, queue: f64) -> Reading {
        Reading { answers: 45, in_flight, queue, queue_error: 1.0, limited: true, ..Reading::default() }
    }

    fn seen(windows: &[(f64, f64)]) -> Crew {
        let mut crew = Crew::default();
        for (in_flight, queue) in windows {
            crew.see(&window(*in_flight, *queue), &PRICES);
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
    fn where_nearly_all_wait_it_is_not_the_pool_of_before() {
        assert_eq!(seen(&[(14.0, 4.0), (14.0, 4.0), (14.0, 14.0)]).at_work(), None);
    }

    #[test]
    fn answers_that_cost_more_do_not_make_the_lost_pool_larger() {
        let mut crew = seen(&[(36.0, 6.0), (36.0, 6.0), (36.0, 36.0)]);
        crew.scale(3.0);
        assert!(crew.lost().is_some_and(|lost| (lost - 30.0).abs() < 1e-9));
        crew.scale(1.0 / 6.0);
        assert!(crew.lost().is_some_and(|lost| (lost - 15.0).abs() < 1e-9), "but ups and downs are one move");
        (0..THERE).for_each(|_| _ = crew.see(&window(36.0, 6.0), &PRICES));
        assert_eq!(crew.lost(), None, "it is there: work got slower");
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
        vague.see(&Reading { queue_error: 3.0, ..window(14.0, 5.0) }, &PRICES);
        assert_eq!(vague.at_work(), None);
    }

    /// A second in which so many a second were served.
    fn serving(throughput: f64, in_flight: f64, queue: f64) -> Reading {
        Reading { seconds: 1.0, throughput, output: throughput, spread: 0.5, ..window(in_flight, queue) }
    }

    /// A pool of thirty that serves two hundred a second, less this part of it.
    fn after_the_loss(of: f64) -> Crew {
        let mut crew = Crew::default();
        let left = 30.0 * (1.0 - of);
        let before = [serving(200.0, 36.0, 6.0); 3];
        let after = [serving(200.0 * (1.0 - of), left + 5.0, 5.0); 5];
        let came_back = before.iter().chain(&after).any(|reading| crew.see(reading, &PRICES));
        assert!(!came_back && (crew.at_work().unwrap() - left).abs() < 1e-6);
        crew
    }

    #[test]
    fn workers_that_come_back_are_known_again() {
        let mut crew = after_the_loss(2.0 / 3.0);
        assert!(!crew.see(&serving(75.0, 14.0, 2.0), &PRICES), "hardly more than before is chance");
        assert!(crew.see(&serving(110.0, 15.0, 0.0), &PRICES));
        assert!((crew.at_work().unwrap() - 30.0).abs() < 0.1);
    }

    #[test]
    fn the_window_in_which_workers_go_does_not_hide_that_they_went() {
        let mut crew = Crew::default();
        let went = [serving(200.0, 36.0, 6.0), serving(140.0, 36.0, 16.0), serving(66.0, 36.0, 26.0)];
        let came_back = went.iter().any(|reading| crew.see(reading, &PRICES));
        assert!(!came_back && crew.lacks_workers(), "twenty of thirty, for as long as one window lasts");
        crew.see(&serving(66.0, 15.0, 5.0), &PRICES);
        assert!(crew.see(&serving(110.0, 15.0, 0.0), &PRICES));
        assert!(!crew.lacks_workers() && (crew.at_work().unwrap() - 30.0).abs() < 0.1);
    }

    #[test]
    fn two_thirds_that_stay_are_no_loss() {
        let mut crew = Crew::default();
        let stays = [serving(133.0, 36.0, 16.0); 4];
        crew.see(&serving(200.0, 36.0, 6.0), &PRICES);
        stays.iter().for_each(|reading| _ = crew.see(reading, &PRICES));
        assert!(crew.lost().is_none() && !crew.lacks_workers());
    }

    #[test]
    fn a_standstill_while_workers_are_missing_is_no_return() {
        let mut crew = after_the_loss(2.0 / 3.0);
        let late = Reading { saturated: true, ..serving(18.0, 15.0, 15.0) };
        let hiccup = [late, late, serving(66.0, 15.0, 5.0), serving(80.0, 15.0, 2.5)];
        assert!(!hiccup.iter().any(|reading| crew.see(reading, &PRICES)) && crew.lacks_workers());
        assert!(crew.see(&serving(110.0, 15.0, 0.0), &PRICES));
    }

    #[test]
    fn more_served_while_as_many_wait_is_chance() {
        let mut crew = after_the_loss(2.0 / 3.0);
        assert!(!crew.see(&serving(110.0, 15.0, 5.0), &PRICES));
    }

    #[test]
    fn workers_that_stay_away_are_missed_no_more() {
        let mut crew = after_the_loss(2.0 / 3.0);
        let full = serving(66.0, 15.0, 5.0);
        (0..MISSED - 10).for_each(|_| _ = crew.see(&full, &PRICES));
        assert!(crew.lacks_workers());
        // That all wait for once makes it no new loss.
        crew.see(&Reading { saturated: true, ..full }, &PRICES);
        (0..12).for_each(|_| _ = crew.see(&full, &PRICES));
        assert!(!crew.lacks_workers() && (crew.at_work().unwrap() - 10.0).abs() < 0.1);
        assert!(!crew.see(&serving(110.0, 15.0, 0.0), &PRICES), "and are found like any others");
    }

    #[test]
    fn a_share_that_went_to_another_gateway_is_not_looked_for() {
        let mut crew = after_the_loss(0.5);
        assert!(!crew.see(&serving(200.0, 20.0, 0.0), &PRICES));
        assert!(crew.at_work().unwrap() < 21.0);
    }
}
