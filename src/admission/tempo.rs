//! How fast something happens, by what happened lately.
//!
//! A mean over a memory that fades exponentially, divided by how much of that memory there is yet: one
//! second after the first event the mean is over that second, and not over a memory in which nothing
//! could happen. Few events say little, so the memory is never shorter than the time that
//! `EVENTS` of them take; when they stop, the tempo falls as `EVENTS ÷ time since`.

use std::time::Duration;

/// A tempo rests on about so many events at least.
const EVENTS: f64 = 20.0;

/// Events per second.
#[derive(Clone, Debug)]
pub struct Tempo {
    memory_s: f64,
    pending: u64,
    /// What is left of the events, and of the time in which they happened.
    events: f64,
    time_s: f64,
}

impl Tempo {
    /// Nothing was seen yet; what is older than `memory` will count for little.
    #[must_use]
    pub fn new(memory: Duration) -> Self {
        Self { memory_s: memory.as_secs_f64().max(0.001), pending: 0, events: 0.0, time_s: 0.0 }
    }

    /// `count` more events happened.
    pub fn add(&mut self, count: u64) {
        self.pending += count;
    }

    /// Remembers longer, or for a shorter time, from now on.
    pub fn remember(&mut self, memory: Duration) {
        self.memory_s = memory.as_secs_f64().max(0.001);
    }

    /// Closes a step of `elapsed`, in which events could happen.
    pub fn step(&mut self, elapsed: Duration) {
        if elapsed.is_zero() {
            return;
        }
        let needed_s = if self.events > 0.0 { EVENTS * self.time_s / self.events } else { 0.0 };
        let memory_s = self.memory_s.max(needed_s);
        let kept = (-elapsed.as_secs_f64() / memory_s).exp();
        self.events = self.events * kept + std::mem::take(&mut self.pending) as f64;
        self.time_s = self.time_s * kept + memory_s * (1.0 - kept);
    }

    /// Events per second; 0 until something was measured.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        if self.time_s > 0.0 { self.events / self.time_s } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_second_counts_as_a_second() {
        let mut tempo = Tempo::new(SECOND * 10);
        assert!(tempo.per_second().abs() < 1e-9);
        for _ in 0..10 {
            tempo.add(5);
            tempo.step(SECOND / 10);
        }
        assert!((tempo.per_second() - 50.0).abs() < 1.0, "{}", tempo.per_second());
    }

    #[test]
    fn what_was_is_forgotten_in_its_memory_and_a_stop_is_seen() {
        let mut tempo = Tempo::new(SECOND * 10);
        for _ in 0..600 {
            tempo.add(2);
            tempo.step(SECOND / 10);
        }
        assert!((tempo.per_second() - 20.0).abs() < 0.3, "{}", tempo.per_second());
        (0..100).for_each(|_| tempo.step(SECOND / 10));
        assert!(tempo.per_second() > 5.0 && tempo.per_second() < 9.0, "{}", tempo.per_second());
        (0..10_000).for_each(|_| tempo.step(SECOND / 10));
        assert!(tempo.per_second() < EVENTS / 900.0, "{}", tempo.per_second());
    }

    #[test]
    fn a_slow_pace_does_not_flicker() {
        let mut tempo = Tempo::new(SECOND * 10);
        let mut seen = Vec::new();
        for second in 0..2_000 {
            tempo.add(u64::from(second % 20 == 0));
            tempo.step(SECOND);
            seen.extend((second > 1_000).then(|| tempo.per_second()));
        }
        assert!(seen.iter().all(|pace| (0.047..0.054).contains(pace)), "{seen:?}");
    }

    proptest! {
        /// Whatever happens, the tempo is a number, and never more than the fastest step.
        #[test]
        fn a_tempo_lies_between_what_was_seen(steps in prop::collection::vec((0u64..1_000, 0u64..5_000), 1..200)) {
            let (mut tempo, mut fastest) = (Tempo::new(SECOND * 10), 0.0_f64);
            let mut pending = 0;
            for (events, ms) in steps {
                tempo.add(events);
                pending += events;
                tempo.step(Duration::from_millis(ms));
                if ms > 0 {
                    // A long step has faded by its own end, so it counts for a little more than its mean.
                    fastest = fastest.max(std::mem::take(&mut pending) as f64 * 1_000.0 / ms as f64);
                }
                let pace = tempo.per_second();
                prop_assert!(pace.is_finite() && pace >= 0.0 && pace <= fastest * 1.3 + 1e-9, "{pace} of {fastest}");
            }
        }
    }
}
