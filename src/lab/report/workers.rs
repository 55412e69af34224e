//! The workers that the pools of a scenario have over time.

use std::time::Duration;

use super::super::scenario::{FaultKind, Scenario};

impl Scenario {
    /// From when on how many, all pools together, in order of time. Workers that hang, or whose
    /// origin is gone, are none.
    #[must_use]
    pub fn workers(&self) -> Vec<(f64, f64)> {
        let moments = self.faults.iter().flat_map(|fault| [Some(fault.at), fault.until]).flatten();
        let mut moments: Vec<Duration> = moments.chain([Duration::ZERO]).collect();
        moments.sort_unstable();
        moments.dedup();
        moments.into_iter().map(|at| (at.as_secs_f64(), self.workers_at(at))).collect()
    }

    fn workers_at(&self, at: Duration) -> f64 {
        let now = |(pool, whole): (usize, usize)| {
            let faults = self
                .faults
                .iter()
                .filter(|fault| fault.at <= at && fault.until.is_none_or(|until| at < until));
            faults.fold(whole, |workers, fault| match fault.kind {
                FaultKind::Slots { pool: other, slots } if other == pool => workers.min(slots),
                FaultKind::Stall { pool: other } if other == pool => 0,
                FaultKind::OriginDead => 0,
                _ => workers,
            })
        };
        self.pools.iter().map(|pool| pool.slots).enumerate().map(now).sum::<usize>() as f64
    }

    /// For how many people there is something: as many as there are units, where units are sold.
    #[must_use]
    pub fn eligible(&self, people: u64) -> u64 {
        let units = self.stocks.iter().map(|stock| stock.units).reduce(|sum, units| sum + units);
        units.map_or(people, |units| units.min(people))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scenario::{Fault, Stock};

    #[test]
    fn a_fault_takes_workers_away_and_gives_them_back() {
        let mut scenario = Scenario::shipped().unwrap();
        scenario.faults.clear();
        assert_eq!(scenario.workers(), [(0.0, 12.0)]);
        let mut break_down = |at, until, kind| {
            let (at, until) = (Duration::from_secs(at), Some(Duration::from_secs(until)));
            scenario.faults.push(Fault { at, until, kind });
        };
        break_down(20, 30, FaultKind::Slots { pool: 0, slots: 6 });
        break_down(25, 35, FaultKind::Stall { pool: 0 });
        let workers = [(0.0, 12.0), (20.0, 6.0), (25.0, 0.0), (30.0, 0.0), (35.0, 12.0)];
        assert_eq!(scenario.workers(), workers);
    }

    #[test]
    fn there_is_something_for_as_many_as_there_are_units() {
        let mut scenario = Scenario::shipped().unwrap();
        assert_eq!(scenario.eligible(1_500), 1_500);
        scenario.stocks = vec![Stock { id: "vouchers".into(), units: 1_200 }];
        assert_eq!((scenario.eligible(1_500), scenario.eligible(900)), (1_200, 900));
    }
}
