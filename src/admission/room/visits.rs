//! How long those inside may stay, and how they get more time.

use super::{PassId, Room, VisitTime};
use crate::admission::moment::Moment;
use crate::admission::policy::RoomPolicy;

impl Room {
    /// What is left of a visit. `None` if the pass is not inside.
    #[must_use]
    pub fn visit_time(&self, policy: &RoomPolicy, pass: &PassId, now: Moment) -> Option<VisitTime> {
        self.passes.time(policy, pass, self.clock(now))
    }

    /// Somebody inside asks for more time, see [`Passes::more_time`](crate::admission::passes::Passes).
    pub fn extend_visit(&mut self, policy: &RoomPolicy, pass: &PassId, now: Moment) -> Option<VisitTime> {
        let clock = self.clock(now);
        self.passes.more_time(policy, pass, clock)
    }
}
