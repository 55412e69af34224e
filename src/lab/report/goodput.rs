//! How much of what could be done was done for somebody, and how soon quiet came back. Both from the
//! samples of a leg.

use super::super::account::Tick;
use super::ideal::{Workers, possible_s};

/// Quiet must last so long to be believed, in seconds.
const LASTS_S: f64 = 1.0;
/// Times the calm 99th percentile that still counts as quiet.
const QUIET: f64 = 2.0;

/// Useful work over possible work between two moments of overload. `None` without samples from there.
#[must_use]
pub fn goodput(ticks: &[Tick], overload: (f64, f64), workers: &Workers) -> Option<f64> {
    let (from, to) = overload;
    let last = ticks.last()?;
    if ticks.first()?.at_s > from + LASTS_S || last.at_s <= from {
        return None;
    }
    let possible = possible_s(from, to, workers);
    let useful = useful_at(ticks, to) - useful_at(ticks, from);
    (possible > 0.0 && possible.is_finite()).then(|| useful / possible)
}

/// Useful work until a moment, straight between samples.
fn useful_at(ticks: &[Tick], at_s: f64) -> f64 {
    let after = ticks.partition_point(|tick| tick.at_s < at_s);
    let before = after.checked_sub(1).and_then(|index| ticks.get(index));
    match (before, ticks.get(after)) {
        (None, _) => 0.0,
        (Some(last), None) => last.useful_work_s,
        (Some(a), Some(b)) => {
            let share = (at_s - a.at_s) / (b.at_s - a.at_s).max(f64::MIN_POSITIVE);
            a.useful_work_s + share * (b.useful_work_s - a.useful_work_s)
        }
    }
}

/// From the moment at which the load was below the capacity again until nobody waits, the pools have
/// no more work than workers, and pages take at most twice as long as on a calm day. `None` if that
/// never came.
#[must_use]
pub fn recovery_s(ticks: &[Tick], from_s: f64, calm_p99_s: f64) -> Option<f64> {
    if ticks.last()?.at_s < from_s {
        // Everybody had gone, or was served, before.
        return ticks.last().filter(|last| last.waiting == 0).map(|_| 0.0);
    }
    let quiet = |tick: &Tick| {
        tick.waiting == 0
            && tick.in_flight as f64 <= tick.capacity.max(1.0)
            && tick.p99_s.is_none_or(|p99| p99 <= QUIET * calm_p99_s)
    };
    let mut since: Option<f64> = None;
    for tick in ticks.iter().filter(|tick| tick.at_s >= from_s) {
        if !quiet(tick) {
            since = None;
            continue;
        }
        let began = *since.get_or_insert(tick.at_s);
        if tick.at_s - began >= LASTS_S {
            return Some(began - from_s);
        }
    }
    // A leg is over when everybody has finished: then quiet has come, if only just.
    since.map(|began| began - from_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(useful: &[f64]) -> Vec<Tick> {
        let tick = |(second, work): (usize, &f64)| Tick {
            at_s: second as f64,
            useful_work_s: *work,
            capacity: 2.0,
            ..Tick::default()
        };
        useful.iter().enumerate().map(tick).collect()
    }

    #[test]
    fn half_of_what_two_workers_can_do() {
        let done = ticks(&[0.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        let of = |from, to| goodput(&done, (from, to), &[(0.0, 2.0)]);
        assert_eq!(of(0.0, 4.0), Some(0.5));
        assert_eq!(of(0.5, 3.5), Some(0.5));
        // What is not done by the end of the leg is missed.
        assert_eq!(of(0.0, 10.0), Some(0.2));
        assert_eq!(goodput(&done, (9.0, 10.0), &[(0.0, 2.0)]), None);
        assert_eq!(goodput(&[], (0.0, 1.0), &[(0.0, 2.0)]), None);
    }

    #[test]
    fn quiet_is_when_nobody_waits_and_pages_are_quick() {
        let mut day = ticks(&[0.0; 10]);
        for tick in &mut day[..4] {
            tick.waiting = 5;
        }
        day[5].p99_s = Some(0.3);
        assert_eq!(recovery_s(&day, 2.0, 0.1), Some(4.0));
        assert_eq!(recovery_s(&day, 2.0, 0.2), Some(2.0));
        day[9].in_flight = 3;
        assert_eq!(recovery_s(&day, 9.0, 0.1), None);
    }
}
