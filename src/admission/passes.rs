//! The sessions of one room: who is inside, since when, and who was.
//!
//! Times are of the room's clock, which stands still while the room is held. A pass is named by its
//! ticket, so that a repeated claim is the same session. One that ran out may be revived, once, for a
//! request that would lose work.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::moment::Moment;
use super::policy::RoomPolicy;
use super::seats::Pace;

/// The name of a pass: derived from its ticket, or random where nobody waited.
pub type PassId = [u8; 16];

/// A pass as it came with a request; its MAC was good.
#[derive(Clone, Copy, Debug)]
pub struct ShownPass {
    /// Its id.
    pub id: PassId,
    /// The number that it was given for; 0 if nobody waited.
    pub number: u64,
    /// Time since it was signed.
    pub age: Duration,
    /// The request would lose work if it were refused.
    pub finishing: bool,
    /// It was signed before this process began, whose memory does not reach that far.
    pub older_than_we: bool,
}

/// What a shown pass is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Inside.
    Live,
    /// It had run out and was let through once more, to finish.
    Revived,
    /// Over.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    number: u64,
    begun: Moment,
    used: Moment,
    cap: Duration,
    /// Its holder knows of it. A seat may fall to somebody of the front row who is not looking.
    known: bool,
}

impl Session {
    /// Its time is over. Never before its holder knew of it.
    fn ran_out(&self, clock: Moment) -> bool {
        self.known && clock.since(self.begun) > self.cap
    }
}

/// A pass that is over, remembered for as long as its token would verify.
#[derive(Clone, Copy, Debug)]
struct Ended {
    at: Moment,
    /// It cannot be revived: ended on purpose, or revived once already.
    spent: bool,
}

/// How long after its end a pass may be revived, once.
const REVIVAL_WITHIN: Duration = Duration::from_secs(600);
/// How long a revived pass lasts.
const REVIVAL: Duration = Duration::from_secs(120);

/// A pass that was given at the open door and never shown again holds its seat this long, needed or
/// not: programs that keep no cookies must fill neither the room nor the memory.
const NEVER_RETURNED: Duration = Duration::from_secs(60);

/// The passes of one room.
#[derive(Debug, Default)]
pub struct Passes {
    live: HashMap<PassId, Session>,
    ended: HashMap<PassId, Ended>,
    /// Ends in order of time, so that a step forgets what is old without looking at the rest.
    ends: VecDeque<(Moment, PassId)>,
    departures: Pace,
}

impl Passes {
    /// Passes in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Nobody is inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// This pass is in use.
    #[must_use]
    pub fn contains(&self, id: &PassId) -> bool {
        self.live.contains_key(id)
    }

    /// Sessions that end, a second.
    #[must_use]
    pub fn departures(&self) -> f64 {
        self.departures.per_second()
    }

    /// A session begins; its holder does not know yet.
    pub fn begin(&mut self, policy: &RoomPolicy, id: PassId, number: u64, clock: Moment) {
        let session = Session { number, begun: clock, used: clock, cap: policy.session, known: false };
        self.live.insert(id, session);
    }

    /// Its holder asks, and is told to be inside. False if there is no such session.
    pub fn tell(&mut self, id: &PassId, clock: Moment) -> bool {
        let Some(session) = self.live.get_mut(id) else { return false };
        if session.ran_out(clock) {
            return false;
        }
        if !session.known {
            // Its time runs from when its holder knows, not from when the seat fell to the number.
            session.begun = clock;
        }
        (session.known, session.used) = (true, clock);
        true
    }

    /// A request under a pass that verified. `None` if nothing is known of it.
    pub fn touch(&mut self, shown: &ShownPass, clock: Moment) -> Option<Touch> {
        if self.tell(&shown.id, clock) {
            return Some(Touch::Live);
        }
        if self.live.contains_key(&shown.id) {
            // It ran out since the last step, and ends here: nobody is told two things within a step.
            self.live.remove(&shown.id);
            self.departures.add(1);
            let spent = self.ended.get(&shown.id).is_some_and(|ended| ended.spent);
            self.remember(shown.id, Ended { at: clock, spent });
        }
        let ended = self.ended.get(&shown.id).copied()?;
        if !shown.finishing || ended.spent || clock.since(ended.at) > REVIVAL_WITHIN {
            return Some(Touch::Over);
        }
        // Remembered from now on, and so for longer than the revived pass lasts.
        self.remember(shown.id, Ended { at: clock, spent: true });
        let session = Session { number: shown.number, begun: clock, used: clock, cap: REVIVAL, known: true };
        self.live.insert(shown.id, session);
        Some(Touch::Revived)
    }

    /// Ends a session for good. False if there is none.
    pub fn end(&mut self, id: &PassId, clock: Moment) -> bool {
        let ended = self.live.remove(id).is_some();
        if ended {
            self.remember(*id, Ended { at: clock, spent: true });
            self.departures.add(1);
        }
        ended
    }

    /// A session that its holder never heard of is taken back, as if it had not begun.
    pub fn take_back(&mut self, id: &PassId) {
        if self.live.get(id).is_some_and(|session| !session.known) {
            self.live.remove(id);
        }
    }

    /// A session lasts `longer` from now.
    pub fn extend(&mut self, id: &PassId, longer: Duration, clock: Moment) {
        if let Some(session) = self.live.get_mut(id) {
            session.cap = session.cap.max(clock.since(session.begun).saturating_add(longer));
        }
    }

    /// Closes a step of `elapsed`.
    pub fn step(&mut self, elapsed: Duration) {
        self.departures.step(elapsed);
    }

    /// Ends sessions past their cap and, if seats are `needed`, idle ones. Returns the numbers whose
    /// holders never knew that they had a seat.
    pub fn expire(&mut self, policy: &RoomPolicy, needed: bool, clock: Moment) -> Vec<u64> {
        let over = self.live.extract_if(|_, session| {
            let returned = session.known || session.number != 0;
            let unused = clock.since(session.used);
            let idle = if returned { needed && unused > policy.idle } else { unused > NEVER_RETURNED };
            idle || clock.since(session.begun) > session.cap
        });
        let over: Vec<(PassId, Session)> = over.collect();
        self.departures.add(over.len() as u64);
        let mut unknown = Vec::new();
        for (id, session) in over {
            if session.known {
                let spent = self.ended.get(&id).is_some_and(|ended| ended.spent);
                self.remember(id, Ended { at: clock, spent });
            } else if session.number != 0 {
                unknown.push(session.number);
            }
        }
        self.forget(policy.session.max(REVIVAL_WITHIN), clock);
        unknown
    }

    fn remember(&mut self, id: PassId, ended: Ended) {
        self.ended.insert(id, ended);
        self.ends.push_back((ended.at, id));
    }

    fn forget(&mut self, after: Duration, clock: Moment) {
        while let Some((at, id)) = self.ends.pop_front_if(|(at, _)| clock.since(*at) > after) {
            if self.ended.get(&id).is_some_and(|ended| ended.at == at) {
                self.ended.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::policy::PollRule;

    const ID: PassId = [7; 16];
    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> RoomPolicy {
        RoomPolicy {
            seats_floor: 1,
            seats_ceiling: 10,
            share: 1.0,
            call: SECOND * 600,
            idle: SECOND * 60,
            session: SECOND * 300,
            poll: PollRule { min: SECOND, max: SECOND * 10, divisor: 10, budget: 1_000 },
            hold: false,
            open: false,
        }
    }

    fn shown(finishing: bool) -> ShownPass {
        ShownPass { id: ID, number: 1, age: Duration::ZERO, finishing, older_than_we: false }
    }

    fn inside(start: Moment) -> Passes {
        let mut passes = Passes::default();
        passes.begin(&policy(), ID, 1, start);
        assert!(passes.tell(&ID, start));
        passes
    }

    #[test]
    fn a_pass_that_never_came_back_gives_its_seat_up_early_and_is_good_if_it_does_come() {
        let (mut passes, policy) =
            (Passes::default(), RoomPolicy { idle: SECOND * 600, session: SECOND * 900, ..policy() });
        passes.begin(&policy, ID, 0, Moment(0));
        passes.begin(&policy, [8; 16], 0, Moment(0));
        passes.tell(&[8; 16], Moment(0));
        let later = Moment(0).after(SECOND * 61);
        assert!(passes.expire(&policy, true, later).is_empty(), "nobody waited for it");
        assert!(!passes.contains(&ID) && passes.contains(&[8; 16]));
        let shown = ShownPass { id: ID, number: 0, age: SECOND * 61, finishing: false, older_than_we: false };
        assert_eq!(passes.touch(&shown, later), None, "not over: the room takes it up again");
    }

    #[test]
    fn a_pass_that_ran_out_is_revived_once_and_to_finish_only() {
        let (start, policy) = (Moment(1), policy());
        let mut passes = inside(start);
        let over = start.after(SECOND * 301);
        assert_eq!(passes.expire(&policy, false, over), [0; 0]);
        assert_eq!(passes.touch(&shown(false), over), Some(Touch::Over));
        let late = over.after(SECOND * 599);
        assert_eq!(passes.touch(&shown(true), late), Some(Touch::Revived));
        passes.expire(&policy, false, late.after(SECOND * 60));
        assert_eq!(passes.touch(&shown(true), late.after(SECOND * 119)), Some(Touch::Live));
        passes.expire(&policy, false, late.after(SECOND * 121));
        assert_eq!(passes.touch(&shown(true), late.after(SECOND * 122)), Some(Touch::Over), "not twice");
    }

    #[test]
    fn a_pass_that_was_ended_is_over_even_to_finish() {
        let mut passes = inside(Moment(1));
        assert!(passes.end(&ID, Moment(2)) && !passes.end(&ID, Moment(3)));
        assert_eq!(passes.touch(&shown(true), Moment(4)), Some(Touch::Over));
    }

    #[test]
    fn idle_sessions_end_only_where_seats_are_needed() {
        let (start, policy) = (Moment(1), policy());
        let mut passes = inside(start);
        let idle = start.after(SECOND * 61);
        passes.expire(&policy, false, idle);
        assert_eq!(passes.len(), 1);
        passes.expire(&policy, true, idle);
        assert_eq!(passes.len(), 0);
    }

    #[test]
    fn what_is_over_is_forgotten_when_its_token_is() {
        let (start, policy) = (Moment(1), policy());
        let mut passes = inside(start);
        passes.end(&ID, start);
        passes.expire(&policy, false, start.after(SECOND * 600));
        assert_eq!((passes.ended.len(), passes.ends.len()), (1, 1));
        passes.expire(&policy, false, start.after(SECOND * 601));
        assert_eq!((passes.ended.len(), passes.ends.len()), (0, 0));
    }

    #[test]
    fn the_upstream_can_make_a_session_longer() {
        let start = Moment(1);
        let mut passes = inside(start);
        passes.extend(&ID, SECOND * 600, start.after(SECOND * 200));
        assert_eq!(passes.touch(&shown(false), start.after(SECOND * 799)), Some(Touch::Live));
    }
}
