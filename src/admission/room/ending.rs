//! The end of the event: everybody is out, and nobody comes in any more.

use super::Room;
use crate::admission::front_row::FrontRow;
use crate::admission::opening::Shut;

impl Room {
    /// Ends every visit, and shuts the room for good.
    pub fn end_for_good(&mut self) {
        self.shut = Some(Shut::Ended);
        self.passes.end_all();
        self.lanes.all_mut().for_each(|lane| lane.front = FrontRow::default());
        self.absent.clear();
    }
}
