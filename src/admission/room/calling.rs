//! How many to call: ahead of the free seats by the time that people take to come.

use crate::admission::shows::ShowRate;

/// Calls of which nothing is known yet may be this many times the seats, or `2 ÷ show rate` times if
/// that is more: the front row stays bounded even if everybody turns up in the same second. Calls
/// judged missing do not count, or a line of no-shows would stand still until their time is over.
const CALLS_PER_SEAT: f64 = 4.0;
const COMERS_PER_SEAT: f64 = 2.0;
/// Who stands in the front row beyond those whom the mean needs: so many standard deviations of the seats
/// that fall free while the called are on their way (a Poisson count has its root for one). Where hardly
/// any falls free in that time, nobody is called before one does: a call too early is waited out in front.
const SPARE_DEVIATIONS: f64 = 2.0;

/// What a step must know to call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Seats of the room.
    pub(super) seats: u64,
    /// Seats that nobody is on.
    pub(super) free: u64,
    /// Seats that fall free, a second.
    pub(super) departures: f64,
    /// People who are here and have no seat.
    pub(super) front: u64,
    /// Of these, those who came by a slot before the line did.
    pub(super) away: u64,
    /// People expected from the calls that are out.
    pub(super) on_their_way: f64,
    /// Calls of which nothing is known yet.
    pub(super) fresh: u64,
    /// Numbers given and not called, and those to be called again.
    pub(super) waiting: u64,
    /// Units that are left and that nobody has, may take, or is called for; `None` if they are not counted.
    pub(super) unclaimed: Option<u64>,
}

impl Demand {
    /// People to call now: enough that, at the measured show rate, the free seats fill up and those that
    /// fall free while the called are on their way as well (`departures · claim delay`, and some to
    /// spare), less those who are here or on their way already. Never more than what is left for them.
    ///
    /// However many come back by their slots at once, the line has half of the seats: of them, so many count as
    /// here as the other half needs, and what is to spare.
    pub(super) fn calls(&self, shows: &ShowRate) -> u64 {
        let falling_free = self.departures * shows.delay().as_secs_f64();
        let spare = SPARE_DEVIATIONS * falling_free.sqrt();
        let half = (self.free as f64 + falling_free) / 2.0;
        let here = self.front.saturating_sub(self.away) as f64 + (self.away as f64).min(half + spare);
        let needed = self.free as f64 + falling_free + spare - here - self.on_their_way;
        let per_seat = CALLS_PER_SEAT.max(COMERS_PER_SEAT / shows.rate());
        let fresh_max = whole(per_seat * self.seats as f64);
        whole((needed / shows.rate()).max(0.0))
            .min(fresh_max.saturating_sub(self.fresh))
            .min(self.waiting)
            .min(self.unclaimed.unwrap_or(u64::MAX))
    }
}

/// Rounds down; what is beyond any line saturates.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
    let whole = number as u64;
    whole
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn calls_go_ahead_by_what_falls_free_meanwhile_and_some_to_spare() {
        let mut shows = ShowRate::new(Duration::from_secs(4));
        shows.judge(1_000, 1_000);
        let demand = Demand {
            seats: 100,
            free: 10,
            departures: 4.0,
            front: 0,
            away: 0,
            on_their_way: 0.0,
            fresh: 0,
            waiting: 10_000,
            unclaimed: None,
        };
        let all = demand.calls(&shows);
        assert_eq!(all, 67, "(10 + 16 + 8) at a show rate of about a half");
        let slow = Demand { free: 0, departures: 0.01, ..demand };
        assert_eq!(slow.calls(&shows), 0, "nobody is called into a full house that nobody leaves");
        assert_eq!(Demand { front: 30, on_their_way: 5.0, ..demand }.calls(&shows), 0);
        assert_eq!(Demand { unclaimed: Some(3), ..demand }.calls(&shows), 3);
        assert_eq!(Demand { fresh: 395, ..demand }.calls(&shows), 5);
    }

    #[test]
    fn however_many_come_back_by_slots_the_line_has_half_of_the_seats() {
        let shows = ShowRate::new(Duration::from_secs(4));
        let full = Demand {
            seats: 100,
            free: 0,
            departures: 4.0,
            front: 1_000,
            away: 1_000,
            on_their_way: 0.0,
            fresh: 0,
            waiting: 10_000,
            unclaimed: None,
        };
        assert_eq!(full.calls(&shows), 10, "8 of 16 at a show rate of 0.8, and none to spare");
        assert_eq!(Demand { on_their_way: 8.0, ..full }.calls(&shows), 0, "and no more than that");
        assert_eq!(Demand { away: 0, ..full }.calls(&shows), 0, "those who were called come first");
        assert_eq!(Demand { front: 4, away: 4, ..full }.calls(&shows), 25, "16 + 8 - 4");
        let slow = Demand { departures: 0.01, ..full };
        assert_eq!(slow.calls(&shows), 0, "nobody is called where no seat falls free");
    }

    proptest! {
        /// Bounded by who waits, by what is left, and by the seats, whatever was learnt.
        #[test]
        fn calls_never_exceed_their_bounds(
            seats in 1u64..1_000, free in 0u64..1_000, departures in 0.0f64..500.0, front in 0u64..2_000,
            away in 0u64..2_500,
            on_their_way in 0.0f64..5_000.0, fresh in 0u64..50_000, waiting in 0u64..10_000,
            unclaimed in prop::option::of(0u64..1_000), came in 0u64..1_000, missed in 0u64..1_000,
        ) {
            let mut shows = ShowRate::new(Duration::from_secs(3));
            shows.judge(came, missed);
            let demand = Demand { seats, free, departures, front, away, on_their_way, fresh, waiting, unclaimed };
            let calls = demand.calls(&shows);
            prop_assert!(calls <= waiting && unclaimed.is_none_or(|units| calls <= units));
            prop_assert!(calls == 0 || calls + fresh <= 40 * seats);
        }
    }
}
