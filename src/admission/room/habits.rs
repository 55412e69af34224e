//! What a room has learnt of its people, and may take up again after a restart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Room;
use crate::admission::moment::Moment;
use crate::admission::seats::Insiders;
use crate::admission::shows::Shown;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    /// Of those inside, once somebody was.
    #[serde(flatten)]
    pub insiders: Option<Insiders>,
    /// Of those who are called. A state of before may have none.
    #[serde(default)]
    pub calls: Option<Shown>,
    /// Seconds until those are back who were cut off by a restart.
    #[serde(default)]
    pub back_s: f64,
}

impl Habits {
    /// The same after nobody was answered for `down`: of those who were inside fewer and fewer come back.
    #[must_use]
    pub fn after(self, down: Duration) -> Self {
        Self { insiders: self.insiders.map(|insiders| insiders.after(down)), ..self }
    }
}

impl Room {
    /// What was learnt of its people by `now`, if there was anybody.
    #[must_use]
    pub fn habits(&self, now: Moment) -> Option<Habits> {
        let (insiders, back) = (self.seats.insiders(), self.calls.until_back(self.clock(now)));
        let shows = self.calls.shows();
        let is_something = insiders.is_some() || shows.has_learnt() || !back.is_zero();
        let calls = Some(shows.shown());
        is_something.then_some(Habits { insiders, calls, back_s: back.as_secs_f64() })
    }

    /// Goes on from what an earlier process had learnt.
    pub fn take_up(&mut self, habits: &Habits) {
        habits.insiders.iter().for_each(|insiders| self.seats.take_up(insiders));
        habits.calls.iter().for_each(|shown| self.calls.take_up(shown));
    }

    /// Nobody was answered for the `down` before `now`: whoever waits comes back by and by. Of those who
    /// were cut off earlier the last was still to come back by `before`.
    pub fn cut_off(&mut self, down: Duration, before: Duration, now: Moment) {
        self.calls.cut_off(down, before, self.clock(now));
    }

    /// Somebody waits, is called or is inside.
    #[must_use]
    pub fn is_peopled(&self) -> bool {
        self.active() > 0 || self.lanes.front() > 0 || self.calls.outstanding() > 0 || self.is_waited_in()
    }

    /// Somebody waits for a call.
    #[must_use]
    pub fn is_waited_in(&self) -> bool {
        self.lanes.all().any(|lane| lane.numbers.people() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, pass};
    use super::super::{Claim, HoldReason};
    use super::*;

    const STEP: Duration = Duration::from_millis(100);
    const DOWN: Duration = Duration::from_secs(10);

    /// A hundred seats, ten of which fall free a second; whoever is called looks again after two steps.
    fn busy() -> Bench {
        let mut bench = Bench::waiting(100, 5_000);
        (bench.policy.poll.min, bench.load.in_flight) = (STEP, 50);
        let mut leaves = 1;
        for step in 0..600_u64 {
            bench.step(STEP);
            let heard = bench.room.marks().cursor;
            (leaves..=heard).filter(|number| (number + step) % 2 == 0).for_each(|number| {
                bench.claim(number);
            });
            bench.room.end(&pass(leaves), bench.now);
            leaves += u64::from(step > 10);
        }
        bench
    }

    /// The same people and a new process: those inside ask at once, and nobody who waits looks before so many
    /// steps are over. How many it called until then.
    fn restarted(bench: &mut Bench, steps: u32, knows: impl FnOnce(&mut Room, &Habits, Moment)) -> u64 {
        let (marks, habits) = (bench.room.marks(), bench.room.habits(bench.now).unwrap());
        bench.now = bench.now.after(DOWN);
        bench.room = Room::restore(&bench.policy, marks, bench.now);
        knows(&mut bench.room, &habits, bench.now);
        let inside = marks.cursor.saturating_sub(90)..=marks.cursor;
        for _ in 0..steps {
            inside.clone().for_each(|number| _ = bench.touch(number));
            bench.step(STEP);
        }
        bench.room.check().unwrap();
        bench.room.marks().cursor - marks.cursor
    }

    fn all(room: &mut Room, habits: &Habits, now: Moment) {
        room.take_up(&habits.after(DOWN));
        room.cut_off(DOWN, Duration::from_secs_f64(habits.back_s), now);
    }

    #[test]
    fn who_cannot_have_looked_after_a_restart_is_not_taken_to_be_missing() {
        let mut bench = busy();
        let called = restarted(&mut bench, 200, all);
        assert!(
            (10..=40).contains(&called),
            "{called} called, of a hundred seats that are taken but for some"
        );
        assert!(bench.room.facts(&bench.policy).show_rate > 0.7);
        let next = bench.room.marks().cursor - called + 1;
        assert_eq!(bench.claim(next), Claim::Admitted, "whoever comes then has a seat");
    }

    #[test]
    fn a_room_that_forgets_its_calls_or_does_not_wait_calls_many_more() {
        let forgets = |room: &mut Room, habits: &Habits, _| room.take_up(&Habits { calls: None, ..*habits });
        let impatient = |room: &mut Room, habits: &Habits, _| room.take_up(&habits.after(DOWN));
        let called = [restarted(&mut busy(), 200, forgets), restarted(&mut busy(), 200, impatient)];
        assert!(called.iter().all(|called| *called > 80), "{called:?}: else the test above tells nothing");
    }

    #[test]
    fn a_second_restart_knows_of_the_first() {
        let mut bench = busy();
        restarted(&mut bench, 20, all);
        let habits = bench.room.habits(bench.now).unwrap();
        assert!((20.0..21.0).contains(&habits.back_s), "22.6 s, less two: {}", habits.back_s);
        assert!(habits.insiders.unwrap().active > 30.0, "{habits:?}");
        restarted(&mut bench, 1, all);
        assert!(bench.room.habits(bench.now).unwrap().back_s > 40.0);
    }

    #[test]
    fn people_come_back_while_the_room_is_held() {
        let mut bench = busy();
        bench.load.hold = Some(HoldReason::Upstream);
        restarted(&mut bench, 300, all);
        assert!(bench.room.habits(bench.now).unwrap().back_s < f64::EPSILON);
    }
}
