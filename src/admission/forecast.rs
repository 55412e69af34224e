//! How fast the line moves, and whether that is known well enough to be told to people.
//!
//! Nobody can see further ahead than they have looked back, so the pace is taken over a part of the
//! time for which there has been a line: seconds after a rush began, minutes in the third hour. It
//! counts numbers, also those that were given up, because `ahead` counts them. The calls that only fill
//! the empty seats of an opening door say nothing of the pace that follows, and of the time until the first of
//! those who came through it has gone seconds are remembered. Until some have been called after that no pace is
//! shown: whoever reckons by too low a one sleeps past the turn, and others go in before.
//!
//! Beside it runs a mean over a quarter of that memory. Where the two disagree the line is getting
//! faster or slower, and a wait told now would be a guess: nothing is told.
//!
//! Where nobody waits nothing is called, so nothing is measured, and no pace is told either. A line that
//! comes back soon goes on with the pace that it had; one that was gone for as long as it had been there
//! is forgotten, with its pace.

use std::time::Duration;

use super::tempo::Tempo;

/// Memory of the pace, as a part of the time for which there has been a line.
const LOOK_BACK: f64 = 0.4;
const MEMORY_MIN: Duration = Duration::from_secs(4);
const MEMORY_MAX: Duration = Duration::from_secs(900);
/// The quicker mean forgets so many times sooner.
const QUICKER: u32 = 4;
/// Nothing is told before so many numbers were called at full seats.
const NUMBERS: u64 = 50;
/// No pace is shown before so many were.
const FEWEST: u64 = 20;
/// A wait is told where the two means differ by at most this factor; while it is told, by the wider one.
const AGREE: f64 = 1.25;
const STILL_AGREE: f64 = 1.6;
/// The interval that is told: the wait at the pace of now, divided and multiplied by one plus this. Its
/// ends then lie a factor of two apart.
const SPREAD: f64 = 0.4;

/// The pace of one line.
#[derive(Clone, Debug)]
pub struct Forecast {
    slow: Tempo,
    quick: Tempo,
    /// For how long there has been a line.
    line: Duration,
    /// Numbers called since the seats were full for the first time.
    called: u64,
    full: bool,
    told: bool,
    /// Whether anybody waited in the last step.
    stands: bool,
}

impl Default for Forecast {
    fn default() -> Self {
        let quick = Tempo::new(MEMORY_MIN / QUICKER);
        Self {
            slow: Tempo::new(MEMORY_MIN),
            quick,
            line: Duration::ZERO,
            called: 0,
            full: false,
            told: false,
            stands: false,
        }
    }
}

impl Forecast {
    /// The cursor passed so many numbers.
    pub fn called(&mut self, numbers: u64) {
        self.slow.add(numbers);
        self.quick.add(numbers);
        self.called += if self.full { numbers } else { 0 };
    }

    /// Closes a step of `elapsed` of the room's clock. `line` is whether anybody waits, `full` whether
    /// every seat is taken.
    pub fn step(&mut self, elapsed: Duration, line: bool, full: bool) {
        self.stands = line;
        if !line {
            self.line = self.line.saturating_sub(elapsed);
            if self.line.is_zero() {
                *self = Self::default();
            }
            return;
        }
        if full && !self.full {
            // What was called until now filled the room.
            *self = Self { full: true, line: self.line, stands: true, ..Self::default() };
        }
        self.line += elapsed;
        let line = if self.called == 0 { Duration::ZERO } else { self.line };
        let memory = line.mul_f64(LOOK_BACK).clamp(MEMORY_MIN, MEMORY_MAX);
        self.slow.remember(memory);
        self.quick.remember(memory / QUICKER);
        self.slow.step(elapsed);
        self.quick.step(elapsed);
        let within = if self.told { STILL_AGREE } else { AGREE };
        self.told = self.called >= NUMBERS && self.disagreement() <= within;
    }

    /// Numbers that the line passes, a second; 0 while that is not known, and where there is no line.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.full && self.called < FEWEST { 0.0 } else { self.guess() }
    }

    /// The same, also where it rests on few.
    #[must_use]
    pub fn guess(&self) -> f64 {
        if self.stands { self.slow.per_second() } else { 0.0 }
    }

    /// How uncertain a wait at this pace is: between the wait divided by one plus this and the wait
    /// times one plus this. Eight of ten waits shall lie inside; rehearsed days come to five to eight.
    /// `None` while that is not known.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        (self.told && self.stands).then_some(SPREAD)
    }

    fn disagreement(&self) -> f64 {
        let (slow, quick) = (self.slow.per_second(), self.quick.per_second());
        if slow > 0.0 && quick > 0.0 { (slow / quick).max(quick / slow) } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_millis(100);

    fn run(forecast: &mut Forecast, seconds: u32, per_beat: impl Fn(u32) -> u64) {
        for beat in 0..seconds * 10 {
            forecast.called(per_beat(beat));
            forecast.step(BEAT, true, true);
        }
    }

    #[test]
    fn calls_that_fill_the_room_are_no_pace() {
        let mut forecast = Forecast::default();
        forecast.called(500);
        forecast.step(BEAT, true, false);
        run(&mut forecast, 20, |_| 2);
        assert!((forecast.rate() - 20.0).abs() < 1.0, "{}", forecast.rate());
        assert_eq!(forecast.spread(), Some(SPREAD));
    }

    #[test]
    fn nothing_is_told_before_it_is_known_nor_while_it_changes() {
        let mut forecast = Forecast::default();
        run(&mut forecast, 2, |_| 2);
        assert_eq!(forecast.spread(), None, "forty numbers");
        run(&mut forecast, 60, |_| 2);
        assert_eq!(forecast.spread(), Some(SPREAD));
        run(&mut forecast, 10, |_| 8);
        assert_eq!(forecast.spread(), None, "four times as fast");
        run(&mut forecast, 120, |_| 8);
        assert_eq!(forecast.spread(), Some(SPREAD));
        assert!((forecast.rate() - 80.0).abs() < 8.0, "{}", forecast.rate());
    }

    #[test]
    fn what_follows_a_room_that_was_filled_too_well_is_shown_when_it_is_known() {
        let mut forecast = Forecast::default();
        // More were called than there are seats: the next are when those have gone in.
        run(&mut forecast, 60, |_| 0);
        for called in 1..FEWEST {
            forecast.called(1);
            forecast.step(BEAT / 4, true, true);
            assert!(forecast.rate().abs() < f64::EPSILON, "{} after {called}", forecast.rate());
        }
        forecast.called(1);
        forecast.step(BEAT / 4, true, true);
        let ten_times = 40.0 / 10.0;
        assert!(forecast.rate() > ten_times, "of the minute before seconds count: {}", forecast.rate());
    }

    #[test]
    fn the_longer_there_is_a_line_the_longer_it_remembers() {
        let after_a_burst = |seconds: u32| {
            let mut forecast = Forecast::default();
            run(&mut forecast, seconds, |_| 2);
            run(&mut forecast, 3, |_| 6);
            forecast.rate()
        };
        assert!(after_a_burst(10) > 33.0 && after_a_burst(1_000) < 21.0);
    }

    fn nobody_waits(forecast: &mut Forecast, seconds: u32) {
        (0..seconds * 10).for_each(|_| forecast.step(BEAT, false, false));
    }

    #[test]
    fn where_nobody_waits_no_pace_is_told_and_a_line_that_comes_back_soon_has_the_one_it_had() {
        let mut forecast = Forecast::default();
        run(&mut forecast, 60, |_| 2);
        forecast.step(BEAT, false, true);
        assert_eq!((forecast.rate(), forecast.spread()), (0.0, None), "at once");
        nobody_waits(&mut forecast, 50);
        assert_eq!((forecast.rate(), forecast.spread()), (0.0, None));
        run(&mut forecast, 1, |_| 2);
        assert!((forecast.rate() - 20.0).abs() < 1.0, "{}", forecast.rate());
        assert_eq!(forecast.spread(), Some(SPREAD));
    }

    #[test]
    fn a_line_that_was_gone_for_as_long_as_it_stood_is_forgotten_with_its_pace() {
        let mut forecast = Forecast::default();
        run(&mut forecast, 60, |_| 2);
        nobody_waits(&mut forecast, 61);
        forecast.step(BEAT, true, true);
        assert_eq!((forecast.rate(), forecast.spread()), (0.0, None), "it begins anew");
        run(&mut forecast, 20, |_| 1);
        assert!((forecast.rate() - 10.0).abs() < 1.0, "{}", forecast.rate());

        // All were called at once, and it was over: no pace for those who come minutes later.
        let mut burst = Forecast::default();
        burst.called(466);
        (0..20).for_each(|_| burst.step(BEAT, true, false));
        assert!(burst.rate() > 150.0, "{}", burst.rate());
        nobody_waits(&mut burst, 3);
        burst.step(BEAT, true, false);
        assert!(burst.rate().abs() < f64::EPSILON);
    }
}
