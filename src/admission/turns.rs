//! Whose turn it is among lanes with weights: start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996).
//!
//! Each turn moves a lane's tag on by a stride, the smaller the greater its weight; the lane whose tag is
//! lowest is next, the lower lane at a tie. Whoever wants nothing is passed over, so that nothing stays
//! unused; and whoever wants something again begins where the others are by now, and makes up for nothing
//! that it did not want.
//!
//! Of two lanes that both want more all the time, the turns of each divided by its weight differ by at most
//! one over the lower weight and one over the other: so no lane with a weight ever starves.

use super::lane::{LANES, LaneId};

/// How far a turn moves a lane of weight 1.
const STRIDE: u64 = 1 << 28;

/// Somebody wants turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    /// Which lane.
    pub lane: LaneId,
    /// Its weight, at least 1.
    pub weight: u32,
    /// How many it wants.
    pub wants: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    tags: [u64; LANES],
    /// Where the turn that was given last began.
    now: u64,
}

impl Turns {
    /// Whose turn is next. `None` if nobody wants one.
    #[must_use]
    pub fn next(&self, all: &[Asks]) -> Option<LaneId> {
        let wanting = all.iter().filter(|asks| asks.wants > 0);
        wanting.min_by_key(|asks| (self.start(asks.lane), asks.lane)).map(|asks| asks.lane)
    }

    /// A lane has had so many turns, one after the other.
    pub fn had(&mut self, lane: LaneId, weight: u32, turns: u64) {
        let (start, stride) = (self.start(lane), STRIDE / u64::from(weight.max(1)));
        if let Some(tag) = self.tags.get_mut(usize::from(lane.index())) {
            *tag = start.saturating_add(turns.saturating_mul(stride));
        }
        self.now = start.saturating_add(turns.saturating_sub(1).saturating_mul(stride));
    }

    /// Gives out as many of `turns` as are wanted: to each lane so many.
    pub fn give(&mut self, all: &mut [Asks], mut turns: u64) -> Vec<(LaneId, u64)> {
        let before: Vec<u64> = all.iter().map(|asks| asks.wants).collect();
        while turns > 0
            && let Some(lane) = self.next(all)
        {
            let alone = all.iter().filter(|asks| asks.wants > 0).count() == 1;
            let Some(asks) = all.iter_mut().find(|asks| asks.lane == lane) else { break };
            let given = if alone { asks.wants.min(turns) } else { 1 };
            self.had(lane, asks.weight, given);
            asks.wants -= given;
            turns -= given;
        }
        all.iter().zip(before).map(|(asks, before)| (asks.lane, before - asks.wants)).collect()
    }

    /// Where a turn of this lane would begin. While it wants turns its tag is never behind.
    fn start(&self, lane: LaneId) -> u64 {
        self.tags.get(usize::from(lane.index())).map_or(self.now, |tag| (*tag).max(self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lane(index: u8) -> LaneId {
        LaneId::new(index).unwrap()
    }

    fn asks(weights: &[u32], wants: &[u64]) -> Vec<Asks> {
        let both = weights.iter().zip(wants).zip(0..);
        both.map(|((weight, wants), index)| Asks { lane: lane(index), weight: *weight, wants: *wants })
            .collect()
    }

    fn given(turns: &mut Turns, weights: &[u32], wants: &[u64], count: u64) -> Vec<u64> {
        turns.give(&mut asks(weights, wants), count).into_iter().map(|(_, given)| given).collect()
    }

    #[test]
    fn each_has_its_part_and_what_one_does_not_want_is_lent() {
        let mut turns = Turns::default();
        assert_eq!(given(&mut turns, &[3, 1], &[1_000, 1_000], 400), [300, 100]);
        assert_eq!(given(&mut turns, &[3, 1], &[1_000, 10], 400), [390, 10]);
        assert_eq!(given(&mut turns, &[3, 1], &[0, 1_000], 400), [0, 400]);
        assert_eq!(given(&mut turns, &[3, 1], &[5, 7], 400), [5, 7]);
    }

    #[test]
    fn whoever_comes_back_makes_up_for_nothing() {
        let mut turns = Turns::default();
        given(&mut turns, &[1, 1], &[100_000, 0], 100_000);
        let after = given(&mut turns, &[1, 1], &[1_000, 1_000], 100);
        assert_eq!(after, [50, 50]);
        // One that ran dry within a handful of turns saved up nothing of the rest of them, either.
        given(&mut turns, &[1, 1], &[1_000, 1], 500);
        assert_eq!(given(&mut turns, &[1, 1], &[1_000, 1_000], 100), [50, 50]);
    }

    proptest! {
        /// Nothing stays unused, nobody gets what it did not want, and those who want more all the time
        /// have their parts, whatever handfuls the turns come in and whatever the others do.
        #[test]
        fn turns_are_shared_by_weight(
            weights in prop::collection::vec(1u32..=100, 2..6),
            handfuls in prop::collection::vec((0u64..60, prop::collection::vec(0u64..40, 6)), 1..60),
        ) {
            let (mut turns, mut had) = (Turns::default(), vec![0u64; weights.len()]);
            for (count, wants) in &handfuls {
                // The first two always want more.
                let wants: Vec<u64> = wants.iter().zip(0..).map(|(wants, index)| if index < 2 { 1_000 } else { *wants }).take(weights.len()).collect();
                let given = given(&mut turns, &weights, &wants, *count);
                prop_assert_eq!(given.iter().sum::<u64>(), *count);
                for ((had, given), wants) in had.iter_mut().zip(&given).zip(&wants) {
                    prop_assert!(given <= wants);
                    *had += given;
                }
                let part = |index: usize| had[index] as f64 / f64::from(weights[index]);
                let apart = 1.0 / f64::from(weights[0]) + 1.0 / f64::from(weights[1]);
                prop_assert!((part(0) - part(1)).abs() <= apart + 1e-6, "{had:?} of {weights:?}");
            }
        }

        /// Nobody waits longer for a turn than the others' weights and its own say.
        #[test]
        fn nobody_starves(weights in prop::collection::vec(1u32..=100, 2..6), idle in 0u64..500, who in 0usize..6) {
            let who = who % weights.len();
            let mut turns = Turns::default();
            let but: Vec<u64> = (0..weights.len()).map(|index| if index == who { 0 } else { 10_000 }).collect();
            given(&mut turns, &weights, &but, idle);
            let all = vec![10_000; weights.len()];
            let sum: u32 = weights.iter().sum();
            let bound = u64::from(sum.div_ceil(weights[who])) + weights.len() as u64;
            let given = given(&mut turns, &weights, &all, bound);
            prop_assert!(given[who] >= 1, "{given:?} of {weights:?}");
        }
    }
}
