//! The sessions of one room: who is inside, since when, and who was.
//!
//! Times are of the room's clock, which stands still while the room is held. A pass is named by its
//! ticket, so that a repeated claim is the same session. One that ran out may be revived, once, for a
//! request that would lose work.
//!
//! A seat comes back where nobody is on it: from whoever was given one in the front row and did not look,
//! from whoever came in and never asked for anything, and from whoever has been idle. The first two lose
//! nothing, their numbers stay good.
//!
//! Memory: an entry per session, and for ten minutes one per session that ran out. Of one that was ended
//! the number says enough: it is used.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::dues::Dues;
use super::extensions::{EXTENSIONS, VisitTime};
use super::moment::Moment;
use super::policy::RoomPolicy;
use super::room::Tally;
use super::tempo::Tempo;

/// The name of a pass: derived from its ticket, or random where nobody waited.
pub type PassId = [u8; 16];

/// Ids are MACs or random, and nobody can choose one: a table of them needs no keyed hash.
type ByMac = foldhash::fast::RandomState;

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
    /// How long a seat that fell to somebody waits for its holder to hear of it.
    heard_within: Duration,
    /// Something was asked for under it.
    asked: bool,
    /// It had run out before and was let through once more.
    revived: bool,
    /// How often its holder asked for more time and got it.
    extended: u8,
    /// It was signed before this process began.
    older_than_we: bool,
    /// When it is looked at whether it is over.
    due: Moment,
}

impl Session {
    /// Its time is over. Never before its holder knew of it.
    fn ran_out(&self, clock: Moment) -> bool {
        self.known && clock.since(self.begun) > self.cap
    }

    /// How often its holder may still ask for more time.
    fn extensions(&self) -> u8 {
        if self.revived { 0 } else { EXTENSIONS.saturating_sub(self.extended) }
    }

    /// The last moment at which it is not over, as it stands now, with an idle clock of `idle` that
    /// counts while seats are `needed`.
    fn runs_out(&self, needed: bool, idle: Duration) -> Moment {
        let never_used = (idle / NEVER_USED_PART).max(NEVER_USED).min(idle);
        let unused = match (self.number, self.known) {
            (0, false) if !needed => Some(NEVER_RETURNED),
            (0, false) => Some(NEVER_RETURNED.min(never_used)),
            _ if !needed => None,
            (_, false) => Some(self.heard_within),
            (1.., true) if !self.asked => Some(never_used),
            (_, true) => Some(idle),
        };
        let capped = self.begun.after(self.cap);
        unused.map_or(capped, |unused| capped.min(self.used.after(unused)))
    }
}

/// A pass that is over.
#[derive(Clone, Copy, Debug)]
struct Ended {
    number: u64,
    /// It was signed before this process began.
    older_than_we: bool,
    /// It cannot be revived: ended on purpose, or revived once already.
    spent: bool,
    /// Forgotten then.
    until: Moment,
}

/// The end of a session comes nearer than it was.
fn comes_nearer(
    session: &mut Session,
    id: PassId,
    looked: Option<(bool, Duration)>,
    dues: &mut Dues<PassId>,
) {
    let Some((needed, idle)) = looked else { return };
    let due = session.runs_out(needed, idle);
    if due < session.due {
        session.due = due;
        dues.enter(due, id);
    }
}

/// How long after its end a pass may be revived, once.
const REVIVAL_WITHIN: Duration = Duration::from_secs(600);
/// How long a revived pass lasts.
const REVIVAL: Duration = Duration::from_secs(120);

/// A pass that was given at the open door and never shown again holds its seat this long at most, needed
/// or not: programs that keep no cookies must fill neither the room nor the memory.
const NEVER_RETURNED: Duration = Duration::from_secs(60);

/// A pass that was claimed and never used may be idle for a fifth of the time of others, if not less than
/// this: people with several devices claim with one and go in with another.
const NEVER_USED: Duration = Duration::from_secs(10);
const NEVER_USED_PART: u32 = 5;
/// Memory of how many sessions end.
const DEPARTURES_MEMORY: Duration = Duration::from_secs(10);

/// The passes of one room.
#[derive(Debug)]
pub struct Passes {
    live: HashMap<PassId, Session, ByMac>,
    ended: HashMap<PassId, Ended, ByMac>,
    /// When what ended is forgotten, so that a step does not look at the rest.
    ends: BTreeSet<(Moment, PassId)>,
    departures: Tempo,
    /// Numbers whose sessions are over for good, until somebody takes note.
    over: Vec<u64>,
    /// When to look at whom, by the rules of `looked`. An end comes nearer only when a session begins and
    /// when its holder first hears of it; all other use moves it away.
    dues: Dues<PassId>,
    looked: Option<(bool, Duration)>,
    /// Visits begun and taken up.
    tally: Tally,
}

impl Default for Passes {
    fn default() -> Self {
        let departures = Tempo::new(DEPARTURES_MEMORY);
        Self {
            live: HashMap::default(),
            ended: HashMap::default(),
            ends: BTreeSet::new(),
            departures,
            over: Vec::new(),
            dues: Dues::default(),
            looked: None,
            tally: Tally::default(),
        }
    }
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

    /// This pass was in use, and is over.
    #[must_use]
    pub fn is_over(&self, id: &PassId) -> bool {
        self.ended.contains_key(id)
    }

    /// The pass of a number that is inside. Looks at everybody there.
    #[must_use]
    pub fn of(&self, number: u64) -> Option<PassId> {
        self.live.iter().find(|(_, session)| number > 0 && session.number == number).map(|(id, _)| *id)
    }

    /// The numbers of those inside; 0 for whoever did not wait.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.live.values().map(|session| session.number)
    }

    /// Sessions that end, a second.
    #[must_use]
    pub fn departures(&self) -> f64 {
        self.departures.per_second()
    }

    /// Visits so far: those that are not inside any more are over.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let Tally { straight, seated, taken_up, .. } = self.tally;
        Tally { over: (straight + seated + taken_up).saturating_sub(self.live.len() as u64), ..self.tally }
    }

    fn count(&mut self, number: u64) -> &mut u64 {
        if number == 0 { &mut self.tally.straight } else { &mut self.tally.seated }
    }

    fn uncount(&mut self, number: u64) {
        let count = self.count(number);
        *count = count.saturating_sub(1);
    }

    /// A session begins; its holder does not know yet, and should hear of it within `heard_within`.
    pub fn begin(
        &mut self,
        policy: &RoomPolicy,
        id: PassId,
        number: u64,
        heard_within: Duration,
        clock: Moment,
    ) {
        let session = Session {
            number,
            begun: clock,
            used: clock,
            cap: policy.session,
            known: false,
            heard_within: heard_within.min(policy.idle),
            asked: false,
            revived: false,
            extended: 0,
            older_than_we: false,
            due: Moment(u64::MAX),
        };
        *self.count(number) += 1;
        self.add(id, session);
    }

    /// A session begins, or begins again after a restart, with a request under it.
    pub fn take_up(&mut self, policy: &RoomPolicy, shown: &ShownPass, clock: Moment) {
        self.begin(policy, shown.id, shown.number, policy.idle, clock);
        if shown.older_than_we || shown.number == 0 {
            // It began before this process did, or was let go at the open door and is back.
            self.uncount(shown.number);
            self.tally.taken_up += u64::from(shown.older_than_we);
        }
        if let Some(session) = self.hear(&shown.id, clock) {
            (session.asked, session.older_than_we) = (true, shown.older_than_we);
        }
    }

    /// Its holder asks, and is told to be inside. False if there is no such session.
    pub fn tell(&mut self, id: &PassId, clock: Moment) -> bool {
        self.hear(id, clock).is_some()
    }

    fn hear(&mut self, id: &PassId, clock: Moment) -> Option<&mut Session> {
        let session = self.live.get_mut(id).filter(|session| !session.ran_out(clock))?;
        session.used = clock;
        if !session.known {
            // Its time runs from when its holder knows, not from when the seat fell to the number.
            (session.begun, session.known) = (clock, true);
            comes_nearer(session, *id, self.looked, &mut self.dues);
        }
        Some(session)
    }

    /// A request under a pass that verified. `None` if nothing is known of it.
    pub fn touch(&mut self, shown: &ShownPass, clock: Moment) -> Option<Touch> {
        if let Some(session) = self.hear(&shown.id, clock) {
            session.asked = true;
            session.older_than_we |= shown.older_than_we;
            return Some(Touch::Live);
        }
        if let Some(session) = self.live.remove(&shown.id) {
            // It ran out since the last step, and ends here: nobody is told two things within a step.
            self.departures.add(1);
            self.ran_out(shown.id, &session, clock);
        }
        let ended = self.ended.get(&shown.id).copied()?;
        if !shown.finishing || ended.spent || ended.until < clock {
            return Some(Touch::Over);
        }
        self.forget(&shown.id);
        let session = Session {
            number: shown.number,
            begun: clock,
            used: clock,
            cap: REVIVAL,
            known: true,
            heard_within: REVIVAL,
            asked: true,
            revived: true,
            extended: 0,
            older_than_we: ended.older_than_we,
            due: Moment(u64::MAX),
        };
        self.add(shown.id, session);
        Some(Touch::Revived)
    }

    /// Ends a session for good. False if there is none.
    pub fn end(&mut self, id: &PassId, clock: Moment) -> bool {
        let Some(session) = self.live.remove(id) else { return false };
        self.spent(*id, &session, clock);
        self.departures.add(1);
        true
    }

    /// Ends every session, and forgets those that were.
    pub fn end_all(&mut self) {
        let Self { tally, departures, .. } = std::mem::take(self);
        (self.tally, self.departures) = (tally, departures);
    }

    /// A pass is over for good, whatever became of its session. A number that was used says so by itself;
    /// a pass without one is remembered for as long as its token is good.
    pub fn revoke(&mut self, policy: &RoomPolicy, id: PassId, number: u64, clock: Moment) {
        self.end(&id, clock);
        self.forget(&id);
        if number == 0 {
            let until = clock.after(policy.session);
            self.ended.insert(id, Ended { number, older_than_we: true, spent: true, until });
            self.ends.insert((until, id));
        }
    }

    /// The numbers whose sessions went over for good since this was asked last.
    pub fn take_over(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.over)
    }

    /// A session that its holder never heard of is taken back, as if it had not begun.
    pub fn take_back(&mut self, id: &PassId) {
        if let Some(session) = self.live.get(id).filter(|session| !session.known).copied() {
            self.live.remove(id);
            self.uncount(session.number);
        }
    }

    /// A session lasts `longer` from now.
    pub fn extend(&mut self, id: &PassId, longer: Duration, clock: Moment) {
        if let Some(session) = self.live.get_mut(id) {
            session.cap = session.cap.max(clock.since(session.begun).saturating_add(longer));
        }
    }

    /// What is left of a session. `None` if there is none, or none whose holder knows of it: only then does its
    /// time begin.
    #[must_use]
    pub fn time(&self, policy: &RoomPolicy, id: &PassId, clock: Moment) -> Option<VisitTime> {
        let session = self.live.get(id).filter(|session| session.known && !session.ran_out(clock))?;
        Some(VisitTime {
            left: session.begun.after(session.cap).since(clock),
            idle: session.used.after(policy.idle).since(clock),
            extensions: session.extensions(),
        })
    }

    /// Its holder asks for more time: as long as a visit may be idle, from now on at least. Whoever has
    /// that much keeps the ten times; one that was let through once more is not extended.
    pub fn more_time(&mut self, policy: &RoomPolicy, id: &PassId, clock: Moment) -> Option<VisitTime> {
        let session = self.live.get_mut(id).filter(|session| session.known && !session.ran_out(clock))?;
        session.used = clock;
        let cap = clock.since(session.begun).saturating_add(policy.idle);
        if session.extensions() > 0 && cap > session.cap {
            (session.cap, session.extended) = (cap, session.extended + 1);
        }
        self.time(policy, id, clock)
    }

    /// Closes a step of `elapsed` of the room's clock.
    pub fn step(&mut self, elapsed: Duration) {
        self.departures.step(elapsed);
    }

    /// Ends sessions past their cap and, if seats are `needed`, those whose seats are of use to nobody.
    /// Returns the numbers whose seats went back unused, and when their holders looked last; they stay
    /// good.
    pub fn expire(&mut self, policy: &RoomPolicy, needed: bool, clock: Moment) -> Vec<(u64, Moment)> {
        self.forget_the_old(clock);
        let rules = (needed, policy.idle);
        if self.looked != Some(rules) || self.dues.are_stale(self.live.len()) {
            self.looked = Some(rules);
            let sessions = self.live.iter_mut();
            let due = |(id, session): (&PassId, &mut Session)| {
                session.due = session.runs_out(needed, policy.idle);
                (session.due, *id)
            };
            self.dues = sessions.map(due).collect();
        }
        let mut over = Vec::new();
        while let Some((due, id)) = self.dues.next(clock) {
            let Some(session) = self.live.get_mut(&id).filter(|session| session.due == due) else { continue };
            let next = session.runs_out(needed, policy.idle);
            if clock <= next {
                session.due = next;
                self.dues.enter(next, id);
            } else {
                over.extend(self.live.remove_entry(&id));
            }
        }
        self.departures.add(over.len() as u64);
        let mut unused = Vec::new();
        for (id, session) in over {
            if session.number != 0 && !session.asked {
                self.uncount(session.number);
                unused.push((session.number, session.used));
            } else if session.revived {
                self.spent(id, &session, clock);
            } else if session.known {
                self.ran_out(id, &session, clock);
            }
        }
        unused
    }

    fn forget_the_old(&mut self, clock: Moment) {
        while self.ends.first().is_some_and(|(until, _)| *until < clock) {
            let forgotten = self.ends.pop_first().and_then(|(_, id)| self.ended.remove(&id));
            self.over.extend(forgotten.map(|ended| ended.number).filter(|number| *number > 0));
        }
    }

    fn add(&mut self, id: PassId, mut session: Session) {
        comes_nearer(&mut session, id, self.looked, &mut self.dues);
        self.live.insert(id, session);
    }

    /// It may be revived for a while, if it was not already.
    fn ran_out(&mut self, id: PassId, session: &Session, clock: Moment) {
        self.remember(id, session, session.revived, clock.after(REVIVAL_WITHIN));
    }

    /// It is over for good. A number that was used says so by itself, and who came in by the open door
    /// comes in again by it or not at all; only a pass of that kind that is older than this process, which
    /// any process takes up, must be remembered for as long as its token verifies.
    fn spent(&mut self, id: PassId, session: &Session, clock: Moment) {
        let long = if session.older_than_we { session.cap } else { REVIVAL_WITHIN };
        if session.number == 0 {
            self.remember(id, session, true, clock.after(long));
        } else {
            self.forget(&id);
            self.over.push(session.number);
        }
    }

    fn remember(&mut self, id: PassId, session: &Session, spent: bool, until: Moment) {
        self.forget(&id);
        let Session { number, older_than_we, .. } = *session;
        self.ended.insert(id, Ended { number, older_than_we, spent, until });
        self.ends.insert((until, id));
    }

    fn forget(&mut self, id: &PassId) {
        if let Some(ended) = self.ended.remove(id) {
            self.ends.remove(&(ended.until, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::policy::PollRule;
    use proptest::prelude::*;

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
            lanes: Vec::new(),
        }
    }

    fn shown(finishing: bool) -> ShownPass {
        ShownPass { id: ID, number: 1, age: Duration::ZERO, finishing, older_than_we: false }
    }

    fn inside(start: Moment) -> Passes {
        let mut passes = Passes::default();
        passes.begin(&policy(), ID, 1, SECOND, start);
        assert_eq!(passes.touch(&shown(false), start), Some(Touch::Live));
        passes
    }

    #[test]
    fn a_pass_that_never_came_back_gives_its_seat_up_early_and_is_good_if_it_does_come() {
        let (mut passes, policy) =
            (Passes::default(), RoomPolicy { idle: SECOND * 600, session: SECOND * 900, ..policy() });
        passes.begin(&policy, ID, 0, SECOND, Moment(0));
        passes.begin(&policy, [8; 16], 0, SECOND, Moment(0));
        passes.tell(&[8; 16], Moment(0));
        let times = [ID, [8; 16]].map(|id| passes.time(&policy, &id, Moment(0)).map(|time| time.left));
        assert_eq!(times, [None, Some(policy.session)], "the other does not run yet");
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
        assert_eq!(passes.expire(&policy, false, over), []);
        assert_eq!(passes.touch(&shown(false), over), Some(Touch::Over));
        let late = over.after(SECOND * 599);
        assert_eq!(passes.touch(&shown(true), late), Some(Touch::Revived));
        passes.expire(&policy, false, late.after(SECOND * 60));
        assert_eq!(passes.touch(&shown(true), late.after(SECOND * 119)), Some(Touch::Live));
        passes.expire(&policy, false, late.after(SECOND * 121));
        let again = passes.touch(&shown(true), late.after(SECOND * 122));
        assert_eq!(again, None, "not twice: that its number is used is all that is known");
    }

    #[test]
    fn a_pass_that_was_ended_is_no_session_any_more() {
        let (policy, mut passes) = (policy(), inside(Moment(1)));
        assert!(passes.end(&ID, Moment(2)) && !passes.end(&ID, Moment(3)));
        assert_eq!(passes.touch(&shown(true), Moment(4)), None, "its number is used, and says so");
        let straight_in = ShownPass { number: 0, ..shown(true) };
        passes.take_up(&policy, &straight_in, Moment(5));
        assert!(passes.end(&ID, Moment(6)));
        assert_eq!(passes.touch(&straight_in, Moment(7)), Some(Touch::Over));
    }

    #[test]
    fn a_seat_of_which_nobody_hears_or_that_nobody_uses_goes_back_early_and_its_number_stays_good() {
        let (mut passes, policy) =
            (Passes::default(), RoomPolicy { idle: SECOND * 600, session: SECOND * 3_600, ..policy() });
        (1_u8..=3).for_each(|n| passes.begin(&policy, [n; 16], u64::from(n), SECOND * 12, Moment(0)));
        passes.tell(&[2; 16], Moment(0));
        passes.touch(&ShownPass { id: [3; 16], number: 3, ..shown(false) }, Moment(0));
        let at = |seconds: u32| Moment(0).after(SECOND * seconds);
        assert_eq!(passes.expire(&policy, false, at(500)), [], "nobody needs them");
        assert_eq!(passes.expire(&policy, true, at(12)), []);
        assert_eq!(passes.expire(&policy, true, at(13)), [(1, Moment(0))], "never heard");
        assert_eq!(passes.expire(&policy, true, at(121)), [(2, Moment(0))], "never used");
        assert_eq!(passes.expire(&policy, true, at(600)), []);
        assert_eq!((passes.expire(&policy, true, at(601)), passes.len()), (vec![], 0), "idle");
        assert_eq!(passes.touch(&ShownPass { id: [2; 16], number: 2, ..shown(true) }, at(602)), None);
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

    proptest! {
        /// Who is not looked at is not over: looking each time comes to the same.
        #[test]
        fn nobody_is_overlooked(steps in prop::collection::vec((0u8..8, 0u8..6, 0u64..9_000), 1..300)) {
            let (mut passes, mut thorough) = (Passes::default(), Passes::default());
            let mut policy = RoomPolicy { idle: SECOND * 5, session: SECOND * 90, ..policy() };
            let (mut clock, mut needed) = (Moment(1), true);
            for (action, who, millis) in steps {
                let (id, number) = ([who; 16], u64::from(who / 2));
                let shown = ShownPass { id, number, finishing: who == 1, ..shown(false) };
                clock = clock.after(Duration::from_millis(millis));
                for passes in [&mut passes, &mut thorough] {
                    match action {
                        0 if !passes.contains(&id) => passes.begin(&policy, id, number, SECOND * 3, clock),
                        1 => drop(passes.tell(&id, clock)),
                        2 => drop(passes.touch(&shown, clock)),
                        3 => passes.extend(&id, SECOND * 100, clock),
                        7 => drop(passes.more_time(&policy, &id, clock)),
                        _ => {}
                    }
                }
                match action {
                    4 => needed = !needed,
                    5 => policy.idle = SECOND * (1 + u32::from(who) * 20),
                    _ => {}
                }
                thorough.looked = None;
                let sorted = |mut unused: Vec<(u64, Moment)>| {
                    unused.sort_unstable();
                    unused
                };
                let (one, other) =
                    (passes.expire(&policy, needed, clock), thorough.expire(&policy, needed, clock));
                prop_assert_eq!(sorted(one), sorted(other));
                prop_assert_eq!((passes.len(), passes.ended.len()), (thorough.len(), thorough.ended.len()));
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_what_was_ended_and_ten_minutes_long_of_what_ran_out() {
        let (start, policy) = (Moment(1), RoomPolicy { session: SECOND * 36_000, ..policy() });
        let mut passes = Passes::default();
        for n in 1_u8..=200 {
            let shown = ShownPass { id: [n; 16], number: u64::from(n), ..shown(false) };
            passes.take_up(&policy, &shown, start);
        }
        (1_u8..=100).for_each(|n| assert!(passes.end(&[n; 16], start)));
        assert_eq!((passes.ended.len(), passes.ends.len()), (0, 0));
        passes.expire(&policy, true, start.after(SECOND * 61));
        assert_eq!((passes.ended.len(), passes.ends.len()), (100, 100));
        passes.expire(&policy, true, start.after(SECOND * 661));
        assert_eq!((passes.ended.len(), passes.ends.len()), (100, 100));
        passes.expire(&policy, true, start.after(SECOND * 662));
        assert_eq!((passes.ended.len(), passes.ends.len()), (0, 0));
    }

    #[test]
    fn what_a_restart_may_take_up_again_is_remembered_for_as_long_as_it_verifies() {
        let (start, policy) = (Moment(1), RoomPolicy { session: SECOND * 36_000, ..policy() });
        let mut passes = Passes::default();
        let old = ShownPass { number: 0, older_than_we: true, ..shown(false) };
        passes.take_up(&policy, &old, start);
        passes.end(&ID, start);
        passes.expire(&policy, false, start.after(SECOND * 35_000));
        assert_eq!(passes.touch(&old, start.after(SECOND * 35_000)), Some(Touch::Over));
    }

    #[test]
    fn a_holder_gets_more_time_ten_times_and_a_revived_one_none() {
        let (start, policy) = (Moment(1), policy());
        let mut passes = inside(start);
        let end = policy.session;
        let time = passes.time(&policy, &ID, start).unwrap();
        assert_eq!((time.left, time.idle, time.extensions), (end, policy.idle, 10));
        if policy.idle < end {
            assert_eq!(passes.more_time(&policy, &ID, start).unwrap().extensions, 10, "it has that much");
        }
        let mut clock = start.after(end);
        for left in (0..10).rev() {
            let time = passes.more_time(&policy, &ID, clock).unwrap();
            assert_eq!((time.left, time.extensions), (policy.idle, left));
            clock = clock.after(policy.idle);
            assert_eq!(passes.touch(&shown(false), clock), Some(Touch::Live));
        }
        assert_eq!(passes.more_time(&policy, &ID, clock).unwrap().left, Duration::ZERO);
        let over = clock.after(SECOND);
        assert_eq!((passes.time(&policy, &ID, over), passes.more_time(&policy, &ID, over)), (None, None));
        assert_eq!(passes.touch(&shown(true), over), Some(Touch::Revived));
        let revived = passes.more_time(&policy, &ID, over).unwrap();
        assert_eq!((revived.left, revived.extensions), (REVIVAL, 0));
    }

    #[test]
    fn the_upstream_can_make_a_session_longer() {
        let start = Moment(1);
        let mut passes = inside(start);
        passes.extend(&ID, SECOND * 600, start.after(SECOND * 200));
        assert_eq!(passes.touch(&shown(false), start.after(SECOND * 799)), Some(Touch::Live));
    }
}
