//! The front row: those who were called, came, and found no seat. Seats go to the lowest number.
//!
//! After a rush it can hold tens of thousands, all of whom ask where they stand every second or two, so
//! a place in it must not cost a count of everybody before: see [`RankedSet`].
//!
//! A seat is of use to somebody who looks. How soon each of them looks again is known from how they
//! looked before: who is silent for much longer is *absent*, is passed over, and stands here again by the
//! same number as soon as they are back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::moment::Moment;
use super::passes::PassId;
use super::ranked_set::RankedSet;

/// Somebody is absent after so many of their own pauses without a look.
const PAUSES: u32 = 2;
/// And of the pauses that they are told to make, if theirs are shorter or not known.
const TOLD_PAUSES: u32 = 6;

/// Somebody who stands here.
#[derive(Clone, Copy, Debug)]
struct Comer {
    pass: PassId,
    seen: Moment,
    /// Time between their last two looks; zero if there was one only.
    pause: Duration,
}

/// Who gets the next seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A number with its pass, and how long to wait for its holder to look.
    Present(u64, PassId, Duration),
    /// A number whose holder is not there, and when they looked last. It does not stand here any more.
    Absent(u64, Moment),
}

/// Numbers that wait for a seat, with the passes that they will get.
#[derive(Debug, Default)]
pub struct FrontRow {
    comers: BTreeMap<u64, Comer>,
    /// The same numbers, counted.
    places: RankedSet,
}

impl FrontRow {
    /// A number stands here from now on. `seen` is when its holder looked before that, if ever.
    pub fn insert(&mut self, number: u64, pass: PassId, seen: Option<Moment>, clock: Moment) {
        let pause = seen.map_or(Duration::ZERO, |seen| clock.since(seen));
        self.comers.insert(number, Comer { pass, seen: clock, pause });
        self.places.insert(number);
    }

    /// The holder of a number looks. False if it does not stand here.
    pub fn look(&mut self, number: u64, clock: Moment) -> bool {
        let Some(comer) = self.comers.get_mut(&number) else { return false };
        let pause = clock.since(comer.seen);
        (comer.pause, comer.seen) = (comer.pause.max(pause), clock);
        true
    }

    /// A number goes. `None` if it was not here.
    pub fn remove(&mut self, number: u64) -> Option<PassId> {
        let comer = self.comers.remove(&number)?;
        self.places.remove(number);
        Some(comer.pass)
    }

    /// The lowest number goes first. `told` is the pause that they are told to make between two looks.
    pub fn next(&mut self, told: Duration, clock: Moment) -> Option<Next> {
        let (number, Comer { pass, seen, pause }) = self.comers.pop_first()?;
        self.places.remove(number);
        let patience = (pause * PAUSES).max(told * TOLD_PAUSES);
        Some(if clock.since(seen) > patience {
            Next::Absent(number, seen)
        } else {
            Next::Present(number, pass, patience)
        })
    }

    /// The pass that a number will get, if it stands here.
    #[must_use]
    pub fn pass(&self, number: u64) -> Option<&PassId> {
        self.comers.get(&number).map(|comer| &comer.pass)
    }

    /// A number stands here.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.comers.contains_key(&number)
    }

    /// Numbers that go before this one.
    #[must_use]
    pub fn ahead_of(&self, number: u64) -> u64 {
        self.places.below(number)
    }

    /// The numbers here, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.comers.keys().copied()
    }

    /// The highest number here.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.comers.last_key_value().map(|(number, _)| *number)
    }

    /// How many stand here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.comers.len()
    }

    /// Nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.comers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_does_not_look_is_passed_over_by_their_own_habit() {
        let mut row = FrontRow::default();
        let at = |seconds: u64| Moment(0).after(SECOND * u32::try_from(seconds).unwrap());
        (1..=3).for_each(|number| row.insert(number, [1; 16], None, at(0)));
        assert!(row.look(2, at(60)) && row.look(3, at(60)) && !row.look(4, at(60)));
        assert_eq!(row.next(SECOND, at(70)), Some(Next::Absent(1, at(0))));
        assert_eq!(
            row.next(SECOND, at(170)),
            Some(Next::Present(2, [1; 16], SECOND * 120)),
            "looks once a minute"
        );
        assert_eq!(row.next(SECOND, at(190)), Some(Next::Absent(3, at(60))));
        row.insert(3, [1; 16], Some(at(60)), at(200));
        assert_eq!(row.next(SECOND, at(400)), Some(Next::Present(3, [1; 16], SECOND * 280)));
        assert_eq!(row.next(SECOND, at(400)), None);
    }

    proptest! {
        /// Whoever comes and goes, a place is the number of those with a lower number.
        #[test]
        fn a_place_is_the_count_of_those_before(steps in prop::collection::vec((0u8..4, 0u64..9_000), 1..300)) {
            let mut row = FrontRow::default();
            let mut known = std::collections::BTreeSet::new();
            for (step, number) in steps {
                match step {
                    0 | 1 => {
                        row.insert(number, [1; 16], None, Moment(0));
                        known.insert(number);
                    }
                    2 => prop_assert_eq!(row.remove(number).is_some(), known.remove(&number)),
                    _ => {
                        let first = known.pop_first();
                        let expected = first.map(|first| Next::Present(first, [1; 16], SECOND * 6));
                        prop_assert_eq!(row.next(SECOND, Moment(0)), expected);
                    }
                }
                prop_assert_eq!(row.ahead_of(number), known.range(..number).count() as u64);
                prop_assert_eq!((row.len(), row.last()), (known.len(), known.last().copied()));
                prop_assert!(row.places.numbers().eq(known.iter().copied()));
            }
        }
    }
}
