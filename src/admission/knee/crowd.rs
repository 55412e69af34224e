//! The first crowd: what its answers cost, with those counted in that are not there yet.
//!
//! Whoever answers first is short, and a baseline of the first answers would be too low: of times spread
//! twice their mean a quarter of the truth. Of a crowd that was let through before one moment it is known
//! how many are still out, and that each of them takes longer than since then. Once that is [`CAP`] times
//! the mean of what is capped at so much, it does not matter any more how long they will take, and the mean
//! is that of all (a single moment of censoring, as in Kaplan and Meier 1958).

use super::class::{CAP, typical};
use crate::admission::Outcome;
use crate::admission::law::Sample;
use crate::admission::moment::Moment;

/// A crowd is of so many, and of those that were let through by then.
const CROWD: u64 = 32;

/// It is given up after so many times the mean of those that are there: where a third of it and more is out
/// for long, no time is long enough. What is known by then counts.
const PATIENCE: f64 = 9.0;

/// The first crowd of an upstream.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// How many were let through before the first of the crowd; `None` until that is known.
    from: Option<u64>,
    /// Seconds to first byte of those of the crowd that were answered; empty once the cost is known.
    times: Vec<f64>,
    /// How many ended without an answer that tells.
    mute: u64,
    /// How many were let through when there were enough, and when that was.
    size: Option<(u64, Moment)>,
    /// Seconds that one costs.
    cost: Option<f64>,
    /// The one class that was seen, if it was one.
    class: Option<u8>,
    is_mixed: bool,
}

impl Crowd {
    /// A request ended. Allocates, but only for the first few.
    pub(super) fn end(&mut self, sample: &Sample, now: Moment) {
        if self.cost.is_some() || self.size.is_some_and(|(size, _)| sample.place > size) {
            return;
        }
        let let_through = sample.ended + u64::from(sample.in_flight);
        // Of the first crowd nobody has ended yet.
        let from = *self.from.get_or_insert(if sample.ended == 0 { 0 } else { let_through });
        if sample.place <= from {
            return;
        }
        match (sample.outcome, sample.first_byte) {
            (Outcome::Served, Some(first_byte)) => {
                self.times.push(first_byte.as_secs_f64());
                self.is_mixed |= self.class.is_some_and(|class| class != sample.class);
                self.class = Some(sample.class);
            }
            _ => self.mute += 1,
        }
        if self.size.is_none() && let_through >= from + CROWD {
            self.size = Some((let_through, now));
            self.times.reserve(usize::try_from(let_through - from).unwrap_or_default());
        }
    }

    /// Looks whether enough is known; of all that are under way so many wait for their first byte.
    pub(super) fn tick(&mut self, unanswered: u32, now: Moment) {
        let Some((size, closed)) = self.size.filter(|_| self.cost.is_none()) else { return };
        let told = self.mute + self.times.len() as u64;
        let left = size.saturating_sub(self.from.unwrap_or_default()).saturating_sub(told);
        // Whose answer has begun is not censored, however long it is.
        let out = left.min(u64::from(unanswered));
        if self.times.is_empty() {
            if out == 0 {
                // Errors, all of them: the next crowd may tell more.
                *self = Self::default();
            }
            return;
        }
        let out = usize::try_from(out).unwrap_or_default();
        let age = now.since(closed).as_secs_f64();
        let mut times = self.times.clone();
        times.resize(self.times.len() + out, age);
        let (mean, _) = typical(&mut times);
        let ended = self.times.iter().sum::<f64>() / self.times.len() as f64;
        if out == 0 || age >= CAP * mean || age >= PATIENCE * ended {
            (self.cost, self.times) = (Some(mean), Vec::new());
        }
    }

    /// Seconds that one costs, each counted up to [`CAP`] times as long; `None` until it is known.
    pub(super) fn cost(&self) -> Option<f64> {
        self.cost
    }

    /// The same, for a class: `None` also where the crowd was not of it alone.
    pub(super) fn cost_of(&self, class: usize) -> Option<f64> {
        let is_its = !self.is_mixed && self.class.is_some_and(|only| usize::from(only) == class);
        self.cost.filter(|_| is_its)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A crowd of twenty that were let through at once, and after each that is done the next, `seconds` each
    /// in turn, looked at every tenth of a second; what it costs, and when that was known.
    fn crowd(seconds: impl Fn(u64) -> f64) -> (f64, f64) {
        let mut crowd = Crowd::default();
        let mut under_way: Vec<(f64, u64, f64)> = (0..20).map(|place| (seconds(place), place, 0.0)).collect();
        let (mut place, mut ended) = (20, 0);
        for tick in 1..1_000 {
            let now = f64::from(tick) / 10.0;
            let moment = |seconds: f64| Moment(0).after(Duration::from_secs_f64(seconds));
            loop {
                under_way.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (end, number, sent) = under_way[0];
                if end > now {
                    break;
                }
                let sample = Sample {
                    sent: moment(sent),
                    first_byte: Some(Duration::from_secs_f64(end - sent)),
                    outcome: Outcome::Served,
                    limited: true,
                    class: 0,
                    rank: 20,
                    place: number + 1,
                    ended,
                    in_flight: 20,
                };
                crowd.end(&sample, moment(end));
                ended += 1;
                under_way[0] = (end + seconds(place), place, end);
                place += 1;
            }
            crowd.tick(20, moment(now));
            if let Some(cost) = crowd.cost() {
                return (cost, now);
            }
        }
        panic!("never known");
    }

    #[test]
    fn answers_that_all_take_as_long_are_known_when_they_are_there() {
        let (cost, known) = crowd(|_| 1.0);
        assert!((cost - 1.0).abs() < 1e-6 && known < 2.2, "{cost} after {known}");
    }

    #[test]
    fn long_ones_count_though_they_are_still_out() {
        // Four in five take 0.2 s, the fifth 3 s: capped at thrice the mean, b = 0.16 + 0.2 · 3 b.
        let (cost, known) = crowd(|place| if place % 5 == 0 { 3.0 } else { 0.2 });
        assert!((0.33..0.5).contains(&cost), "{cost}");
        assert!(known < 1.7, "known before the long ones are there: {known}");
    }

    #[test]
    fn a_crowd_of_which_too_many_are_out_is_given_up() {
        let (cost, known) = crowd(|place| if place % 2 == 0 { 60.0 } else { 0.1 });
        assert!((0.1..0.9).contains(&cost) && known < 2.0, "{cost} after {known}");
    }

    #[test]
    fn long_bodies_are_not_out() {
        let mut crowd = Crowd::default();
        for place in 1..=13 {
            let sample = Sample { in_flight: 20, ..one(0, place, Outcome::Served, 0, 1) };
            crowd.end(&sample, Moment(1));
        }
        assert!(crowd.size.is_some());
        crowd.tick(0, Moment(0).after(Duration::from_secs(9)));
        assert!((crowd.cost().unwrap() - 0.1).abs() < 1e-9, "twenty that are read slowly have answered");
    }

    /// One of a crowd of thirty-two after `before` others, this many tenths of a second after it was let through.
    fn one(before: u64, place: u64, outcome: Outcome, class: u8, tenths: u64) -> Sample {
        Sample {
            sent: Moment(0),
            first_byte: Some(Duration::from_millis(100 * tenths)),
            outcome,
            limited: true,
            class,
            rank: 32,
            place: before + place,
            ended: before + place - 1,
            in_flight: 33 - u32::try_from(place).unwrap_or(33).min(33),
        }
    }

    #[test]
    fn a_crowd_of_several_classes_tells_nothing_of_one() {
        let mut crowd = Crowd::default();
        for place in 1..=32 {
            crowd.end(&one(0, place, Outcome::Served, u8::from(place % 2 == 0), 1), Moment(1));
        }
        crowd.tick(0, Moment(0).after(Duration::from_secs(1)));
        assert!(crowd.cost().is_some() && crowd.cost_of(0).is_none() && crowd.cost_of(1).is_none());
    }

    #[test]
    fn where_the_first_crowd_failed_the_next_is_looked_at() {
        let mut crowd = Crowd::default();
        for (before, outcome) in [(0, Outcome::Dropped), (32, Outcome::Served), (64, Outcome::Served)] {
            for place in 1..=32 {
                crowd.end(&one(before, place, outcome, 0, 3), Moment(1));
            }
            crowd.tick(32, Moment(2));
            assert_eq!(
                crowd.cost().is_some(),
                before == 64,
                "known only of one that was seen from its beginning"
            );
        }
        assert!((crowd.cost_of(0).unwrap() - 0.3).abs() < 1e-9);
    }
}
