//! What must be true of a room between any two steps.

use std::collections::BTreeSet;

use super::Room;

impl Room {
    /// The cheap part, checked at the end of what moves the cursor, in debug builds.
    pub fn check_invariants(&self) {
        let marks = self.marks();
        debug_assert!(marks.cursor <= marks.issued, "called a number that was not given");
        debug_assert!(marks.issued <= marks.reserved, "gave a number that is not durable");
        let comes = |number| number <= marks.cursor || self.numbers.is_passed_over(number);
        debug_assert!(self.front.last().is_none_or(comes), "uncalled in front");
    }

    /// All of it: each called number is in one place at most, and nobody is anywhere uncalled but by a slot.
    /// Looks at everybody who is called: for simulations.
    ///
    /// # Errors
    /// The first thing that is broken, in words.
    pub fn check(&self) -> Result<(), String> {
        let marks = self.marks();
        if marks.cursor > marks.issued || marks.issued > marks.reserved {
            return Err(format!("numbers are in disorder: {marks:?}"));
        }
        self.late.check(marks.cursor)?;
        self.slots.check()?;
        let mut places = BTreeSet::new();
        let inside = self.passes.numbers().filter(|number| *number != 0);
        let here = inside.chain(self.front.numbers()).chain(self.absent.keys().copied());
        for number in here {
            let called = number <= marks.cursor || self.numbers.is_passed_over(number);
            if !called || !self.numbers.is_spent(number) {
                return Err(format!("{number} came in and was not called, or is not used"));
            }
            if !places.insert(number) {
                return Err(format!("{number} is in two places"));
            }
        }
        for number in self.late.numbers().chain(self.extensions.numbers()) {
            let called = number <= marks.cursor || self.numbers.is_passed_over(number);
            if !called || self.numbers.is_spent(number) {
                return Err(format!("{number} has a call, and was not called or is used"));
            }
        }
        Ok(())
    }
}
