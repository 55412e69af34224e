//! The ideal that a leg is measured against: everybody served in order of arrival, the pools never idle
//! while somebody is there, nothing wasted.
//!
//! A fluid: work flows through the workers at the rate they have at that time, first come first served.
//! Who comes waits until the work before theirs is done, then takes as long as their way takes when
//! nothing stands in it. No real system can do better for all; one that spreads a person's work over
//! several workers at once could for some. Several pools count as one with all their workers.

/// The workers that there are from a moment on, in order of time.
pub type Workers = [(f64, f64)];

/// One person, as the ideal needs them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// When they come, in seconds.
    pub at_s: f64,
    /// Work that they bring, in seconds of one worker.
    pub work_s: f64,
    /// How long their way takes if they never wait, in seconds.
    pub way_s: f64,
}

/// What the ideal comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ideal {
    /// Seconds from coming to the goal, in the order of arrival.
    pub goals_s: Vec<f64>,
    /// From when to when more work was there than could be done: the longest such stretch.
    pub overload: Option<(f64, f64)>,
}

/// The ideal for `visits` in order of arrival.
#[must_use]
pub fn ideal(visits: &[Visit], workers: &Workers) -> Ideal {
    let mut out = Ideal::default();
    let mut free = 0.0_f64;
    let mut stretch: Option<(f64, f64)> = None;
    for visit in visits {
        let begins = free.max(visit.at_s);
        if stretch.is_none() || free <= visit.at_s {
            stretch = Some((visit.at_s, visit.at_s));
        }
        free = done(begins, visit.work_s, workers);
        out.goals_s.push(begins - visit.at_s + visit.way_s);
        if let Some(stretch) = &mut stretch {
            stretch.1 = free;
            let longest = out.overload.map_or(0.0, |(from, to)| to - from);
            if stretch.1 - stretch.0 > longest {
                out.overload = Some(*stretch);
            }
        }
    }
    out
}

/// Work that the workers can do between two moments, in seconds of one worker.
#[must_use]
pub fn possible_s(from: f64, to: f64, workers: &Workers) -> f64 {
    let ends = workers.iter().skip(1).map(|(at, _)| *at).chain([f64::INFINITY]);
    workers
        .iter()
        .zip(ends)
        .map(|((begins, rate), ends)| rate * (ends.min(to) - begins.max(from)).max(0.0))
        .sum()
}

/// When `work` is done that begins at `from`. Never, if no workers come back.
fn done(from: f64, mut work: f64, workers: &Workers) -> f64 {
    let mut at = from;
    for (index, (_, rate)) in workers.iter().enumerate() {
        let ends = workers.get(index + 1).map_or(f64::INFINITY, |(at, _)| *at);
        if ends <= at {
            continue;
        }
        let needs = if *rate > 0.0 { work / rate } else { f64::INFINITY };
        if at + needs <= ends {
            return at + needs;
        }
        work -= rate * (ends - at);
        at = ends;
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(at_s: f64) -> Visit {
        Visit { at_s, work_s: 2.0, way_s: 3.0 }
    }

    #[test]
    fn two_workers_two_seconds_each_one_a_second() {
        let visits = [visit(0.0), visit(0.0), visit(0.5), visit(9.0)];
        let ideal = ideal(&visits, &[(0.0, 2.0)]);
        assert_eq!(ideal.goals_s, [3.0, 4.0, 4.5, 3.0]);
        assert_eq!(ideal.overload, Some((0.0, 3.0)));
    }

    #[test]
    fn workers_that_are_away_are_missed() {
        let workers = [(0.0, 2.0), (1.0, 0.0), (5.0, 1.0)];
        let ideal = ideal(&[visit(0.0), visit(0.0)], &workers);
        assert_eq!(ideal.goals_s, [3.0, 4.0]);
        assert_eq!(ideal.overload, Some((0.0, 7.0)));
        assert!((possible_s(0.5, 7.0, &workers) - 3.0).abs() < 1e-12);
        assert!((possible_s(0.0, 0.5, &workers) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nobody_is_no_overload() {
        assert_eq!(ideal(&[], &[(0.0, 2.0)]), Ideal::default());
    }
}
