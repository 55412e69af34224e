//! What must be true of a room between any two steps.

use std::collections::BTreeSet;

use super::Room;
use crate::admission::lane::LaneId;

impl Room {
    /// The cheap part, checked at the end of what moves the cursor, in debug builds.
    pub fn check_invariants(&self) {
        for lane in self.lanes.all() {
            let marks = lane.numbers.marks();
            debug_assert!(marks.cursor <= marks.issued, "called a number that was not given");
            debug_assert!(marks.issued <= marks.reserved, "gave a number that is not durable");
            let comes = |number| number <= marks.cursor || lane.numbers.is_passed_over(number);
            debug_assert!(lane.front.last().is_none_or(comes), "uncalled in front");
        }
    }

    /// All of it: each called number is in one place at most, and nobody is anywhere uncalled but by a slot.
    /// Looks at everybody who is called: for simulations.
    ///
    /// # Errors
    /// The first thing that is broken, in words.
    pub fn check(&self) -> Result<(), String> {
        for lane in self.lanes.all() {
            let marks = lane.numbers.marks();
            if marks.cursor > marks.issued || marks.issued > marks.reserved {
                return Err(format!("numbers are in disorder: {marks:?}"));
            }
            if [marks.cursor, marks.reserved].into_iter().any(|number| LaneId::of(number) != lane.id) {
                return Err(format!("numbers of another lane: {marks:?}"));
            }
            lane.late.check(marks.cursor)?;
            if let Some(stray) =
                lane.front.numbers().chain(lane.late.numbers()).find(|number| LaneId::of(*number) != lane.id)
            {
                return Err(format!("{stray} stands in another lane"));
            }
        }
        self.slots.check()?;
        let mut places = BTreeSet::new();
        let inside = self.passes.numbers().filter(|number| *number != 0);
        let front = self.lanes.all().flat_map(|lane| lane.front.numbers());
        let here = inside.chain(front).chain(self.absent.keys().copied());
        for number in here {
            let numbers = &self.lanes.of(number).numbers;
            let called = numbers.is_called(number) || numbers.is_passed_over(number);
            if !called || !numbers.is_spent(number) {
                return Err(format!("{number} came in and was not called, or is not used"));
            }
            if !places.insert(number) {
                return Err(format!("{number} is in two places"));
            }
        }
        let late = self.lanes.all().flat_map(|lane| lane.late.numbers());
        for number in late.chain(self.extensions.numbers()) {
            let numbers = &self.lanes.of(number).numbers;
            let called = numbers.is_called(number) || numbers.is_passed_over(number);
            if !called || numbers.is_spent(number) {
                return Err(format!("{number} has a call, and was not called or is used"));
            }
        }
        Ok(())
    }
}
