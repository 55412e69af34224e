//! The line of one room: who is next, who is called, who is inside.
//!
//! First come, first served. A number is given once and never changes; the cursor, the highest number
//! called, only rises. Being called uses nothing up: only a *claim* takes a seat, once. A claim that
//! finds no seat joins the front row, in number order, and gets the next one. A call that its holder
//! misses expires for the accounts only: the number stays good, and a late claim stands in the front
//! row by its number. So silence costs nobody a place.
//!
//! Memory: counters, one bit per *called* number, a record per pass. Nothing per waiting person.
//!
//! Invariants: `cursor ≤ issued`; passes given out by the line never exceed the seats at that moment;
//! the front row is empty or no seat is free; a number takes at most one seat ever.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::moment::Moment;
use super::policy::RoomPolicy;
use super::seats::{Pace, Seats, ShowRate};

/// The name of a pass: derived from its ticket, or random where nobody waited.
pub type PassId = [u8; 16];

/// Why the line stands still. Clocks stand still with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// An operator said so.
    Operator,
    /// The upstream is down or does not answer.
    Upstream,
    /// State could not be made durable.
    Store,
}

/// What a room does with those who arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomState {
    /// Nobody waits; people pass straight through.
    Open,
    /// People wait for seats.
    Queueing,
    /// Nobody is called.
    Held(HoldReason),
}

/// What survives a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomMarks {
    /// Epoch of the numbering; the first is 1.
    pub epoch: u32,
    /// Highest number known to be given.
    pub issued: u64,
    /// Numbers up to here may have been given: the end of the durable block.
    pub reserved: u64,
    /// Highest number called.
    pub cursor: u64,
}

/// A claim was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Inside. Repeating the claim says the same.
    Admitted,
    /// Called, but no seat is free yet; so many stand before.
    FrontRow {
        /// Numbers in the front row that go first.
        ahead: u64,
    },
    /// Not called yet; so many numbers are called before.
    Waiting {
        /// Uncalled numbers that go first.
        ahead: u64,
    },
    /// The session that this number gave is over.
    Done,
}

/// The durable block is used up: the store must reserve another before numbers can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockUsedUp;

/// What one look at the room says, for the board and for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoomFacts {
    /// See [`RoomState`].
    pub state: RoomState,
    /// Epoch of the numbering.
    pub epoch: u32,
    /// Highest number called.
    pub cursor: u64,
    /// Highest number given.
    pub issued: u64,
    /// Numbers called a second.
    pub rate: f64,
    /// Part of those called that come.
    pub show_rate: f64,
    /// Passes in use.
    pub active: usize,
    /// Claims without a seat yet.
    pub front_row: usize,
    /// Calls not claimed and not expired.
    pub outstanding: u64,
    /// Seats.
    pub seats: u32,
    /// Requests in flight per active pass.
    pub kappa: f64,
    /// Units left, if the upstream said.
    pub remaining: Option<u64>,
}

#[derive(Debug)]
struct Batch {
    numbers: RangeInclusive<u64>,
    called: Moment,
    open: u64,
    judged: bool,
}

#[derive(Clone, Copy, Debug)]
struct PassRecord {
    begun: Moment,
    used: Moment,
    cap: Duration,
}

/// A pass that is over, remembered for as long as its token would verify.
#[derive(Clone, Copy, Debug)]
struct Ended {
    at: Moment,
    /// It cannot be revived: ended on purpose, or revived once already.
    spent: bool,
}

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

/// How long after its end a pass may be revived, once.
const REVIVAL_WITHIN: Duration = Duration::from_secs(600);
/// How long a revived pass lasts.
const REVIVAL: Duration = Duration::from_secs(120);

/// The state of one room. The policy is an argument of each step.
#[derive(Debug)]
pub struct Room {
    marks: RoomMarks,
    uncertain: RangeInclusive<u64>,
    used: BTreeMap<u64, u64>,
    left: BTreeSet<u64>,
    batches: VecDeque<Batch>,
    front: BTreeMap<u64, PassId>,
    passes: HashMap<PassId, PassRecord>,
    ended: HashMap<PassId, Ended>,
    seats: Seats,
    shows: ShowRate,
    departures: Pace,
    calls: Pace,
    remaining: Option<u64>,
    hold: Option<HoldReason>,
    stood_still: Duration,
    last_step: Moment,
}

/// A call is judged missing after this many mean claim delays; a later claim corrects it.
const JUDGED_AFTER_DELAYS: u32 = 4;
/// All calls out at once may be this many times the seats, so that the front row stays bounded even
/// if everybody turns up in the same second.
const OUTSTANDING_PER_SEAT: u64 = 4;
#[expect(clippy::reversed_empty_ranges, reason = "no number is in it, as the name says")]
const EMPTY: RangeInclusive<u64> = 1..=0;

impl Room {
    /// A room as it was left, at `now`.
    ///
    /// Numbers between what is known to be given and the end of the durable block may or may not have
    /// been given before a crash. They are never given again, and when called they count as nobody.
    #[must_use]
    pub fn restore(policy: &RoomPolicy, marks: RoomMarks, now: Moment) -> Self {
        let uncertain =
            if marks.reserved > marks.issued { marks.issued + 1..=marks.reserved } else { EMPTY };
        let issued = marks.issued.max(marks.reserved);
        let cursor = marks.cursor.min(issued);
        Self {
            marks: RoomMarks { epoch: marks.epoch.max(1), issued, reserved: issued, cursor },
            uncertain,
            used: BTreeMap::new(),
            left: BTreeSet::new(),
            batches: VecDeque::new(),
            front: BTreeMap::new(),
            passes: HashMap::new(),
            ended: HashMap::new(),
            seats: Seats::default(),
            shows: ShowRate::new(policy.poll.min),
            departures: Pace::default(),
            calls: Pace::default(),
            remaining: None,
            hold: None,
            stood_still: Duration::ZERO,
            last_step: now,
        }
    }

    /// What must be durable for [`Room::restore`].
    #[must_use]
    pub fn marks(&self) -> RoomMarks {
        self.marks
    }

    /// Numbers up to `reserved` are durably ours to give.
    pub fn reserve(&mut self, reserved: u64) {
        self.marks.reserved = self.marks.reserved.max(reserved);
    }

    /// Gives the next number.
    ///
    /// # Errors
    /// [`BlockUsedUp`] until the store has reserved more.
    pub fn join(&mut self) -> Result<u64, BlockUsedUp> {
        if self.marks.issued >= self.marks.reserved {
            return Err(BlockUsedUp);
        }
        self.marks.issued += 1;
        Ok(self.marks.issued)
    }

    /// A holder gives the number up.
    pub fn leave(&mut self, number: u64, pass: &PassId, now: Moment) {
        if number > self.marks.cursor {
            self.left.insert(number);
        } else if self.front.remove(&number).is_none() && !self.end(pass, now) && self.mark_used(number) {
            self.close_call(number);
        }
    }

    /// The holder of a called number comes in, or asks again. Idempotent.
    pub fn claim(&mut self, policy: &RoomPolicy, number: u64, pass: PassId, now: Moment) -> Claim {
        if number > self.marks.cursor {
            return self.look(number, &pass);
        }
        if let Some(record) = self.passes.get_mut(&pass) {
            record.used = now;
            return Claim::Admitted;
        }
        if !self.front.contains_key(&number) {
            if !self.mark_used(number) {
                return Claim::Done;
            }
            self.shows_up(number, now);
            self.front.insert(number, pass);
            self.seat_front_row(policy, now);
        }
        self.front_place(number)
    }

    /// Where a number stands, changing nothing.
    #[must_use]
    pub fn look(&self, number: u64, pass: &PassId) -> Claim {
        if self.left.contains(&number) {
            Claim::Done
        } else if number > self.marks.cursor {
            Claim::Waiting { ahead: number.saturating_sub(self.marks.cursor + 1) }
        } else if self.passes.contains_key(pass) {
            Claim::Admitted
        } else if self.front.contains_key(&number) {
            self.front_place(number)
        } else if self.is_used(number) {
            Claim::Done
        } else {
            Claim::Waiting { ahead: 0 }
        }
    }

    /// Lets somebody through who never waited, if nobody waits and a seat is free.
    pub fn enter(&mut self, policy: &RoomPolicy, pass: PassId, now: Moment) -> bool {
        let straight = policy.open || self.state(policy) == RoomState::Open;
        if straight {
            self.admit(policy, pass, now);
        }
        straight
    }

    /// A request under a pass that verified. One unknown to us was given before a restart and is taken
    /// up again. `finishing` is a request that would lose work (an unsafe method): on a pass that ran
    /// out a short while ago it is let through once more.
    pub fn touch(&mut self, policy: &RoomPolicy, shown: &ShownPass, now: Moment) -> Touch {
        if let Some(record) = self.passes.get_mut(&shown.id)
            && now.since(record.begun) <= record.cap
        {
            record.used = now;
            return Touch::Live;
        }
        let past = self.ended.get(&shown.id).copied();
        match past.or_else(|| self.passes.contains_key(&shown.id).then_some(Ended { at: now, spent: false })) {
            Some(ended) if shown.finishing && !ended.spent && now.since(ended.at) <= REVIVAL_WITHIN => {
                self.ended.insert(shown.id, Ended { spent: true, ..ended });
                let record = PassRecord { begun: now, used: now, cap: REVIVAL };
                self.passes.insert(shown.id, record);
                Touch::Revived
            }
            Some(_) => Touch::Over,
            None if shown.age > policy.session || !self.mark_used(shown.number) => Touch::Over,
            None => {
                self.admit(policy, shown.id, now);
                Touch::Live
            }
        }
    }

    /// The upstream or its holder ends a session; its seat is free. False if there is none.
    pub fn end(&mut self, pass: &PassId, now: Moment) -> bool {
        let ended = self.passes.remove(pass).is_some();
        if ended {
            self.ended.insert(*pass, Ended { at: now, spent: true });
            self.departures.add(1);
        }
        ended
    }

    /// The upstream lets a session last `longer`.
    pub fn extend(&mut self, pass: &PassId, longer: Duration, now: Moment) {
        if let Some(record) = self.passes.get_mut(pass) {
            record.cap = record.cap.max(now.since(record.begun).saturating_add(longer));
        }
    }

    /// The upstream said how many units are left.
    pub fn remain(&mut self, units: u64) {
        self.remaining = Some(units);
    }

    /// One step of the room, a few times a second: clocks, seats, front row. Returns the cursor that
    /// should be published; the store makes it durable and then says [`Room::call_up_to`].
    pub fn step(&mut self, policy: &RoomPolicy, load: Load, now: Moment) -> u64 {
        let elapsed = now.since(self.last_step);
        self.last_step = now;
        self.departures.step(elapsed);
        self.calls.step(elapsed);
        self.seats.observe(load.in_flight, self.passes.len(), elapsed);
        self.seats.follow(policy, load.limit, elapsed);
        self.hold = if policy.hold { Some(HoldReason::Operator) } else { load.hold };
        if self.hold.is_some() {
            self.stood_still += elapsed;
            return self.marks.cursor;
        }
        self.end_sessions(policy, now);
        self.judge_calls(policy, now);
        self.seat_front_row(policy, now);
        self.marks.cursor + self.calls_wanted(now)
    }

    /// Calls all numbers up to `cursor`, which is durable by now.
    pub fn call_up_to(&mut self, cursor: u64, now: Moment) {
        let first = self.marks.cursor + 1;
        if cursor < first || cursor > self.marks.issued {
            return;
        }
        let gone: Vec<u64> = self.left.range(first..=cursor).copied().collect();
        for number in &gone {
            self.left.remove(number);
            self.mark_used(*number);
        }
        let gone = gone.iter().filter(|number| !self.uncertain.contains(number)).count() as u64;
        let open = (cursor - first + 1) - overlap(&self.uncertain, first, cursor) - gone;
        self.marks.cursor = cursor;
        self.calls.add(open);
        self.batches.push_back(Batch {
            numbers: first..=cursor,
            called: self.clock(now),
            open,
            judged: false,
        });
        self.check_invariants();
    }

    /// What the board and the metrics show.
    #[must_use]
    pub fn facts(&self, policy: &RoomPolicy) -> RoomFacts {
        RoomFacts {
            state: self.state(policy),
            epoch: self.marks.epoch,
            cursor: self.marks.cursor,
            issued: self.marks.issued,
            rate: self.calls.per_second(),
            show_rate: self.shows.rate(),
            active: self.passes.len(),
            front_row: self.front.len(),
            outstanding: self.outstanding(),
            seats: self.seats.seats(),
            kappa: self.seats.kappa(),
            remaining: self.remaining,
        }
    }

    /// What the room does with those who arrive now.
    #[must_use]
    pub fn state(&self, policy: &RoomPolicy) -> RoomState {
        if policy.hold {
            return RoomState::Held(HoldReason::Operator);
        }
        if let Some(reason) = self.hold {
            return RoomState::Held(reason);
        }
        let nobody_waits = self.marks.cursor == self.marks.issued && self.front.is_empty();
        if nobody_waits && self.free() > self.outstanding() {
            RoomState::Open
        } else {
            RoomState::Queueing
        }
    }

    fn free(&self) -> u64 {
        u64::from(self.seats.seats()).saturating_sub(self.passes.len() as u64)
    }

    fn outstanding(&self) -> u64 {
        self.batches.iter().map(|batch| batch.open).sum()
    }

    /// Time as this room's clocks count it: it stands still while nobody can be called.
    fn clock(&self, now: Moment) -> Moment {
        Moment(now.0.saturating_sub(super::moment::nanos(self.stood_still)))
    }

    /// Numbers to call now: enough that, at the measured show rate, the free seats fill up and those
    /// that fall free while the called are on their way as well (`departures · claim delay`), less
    /// those already on their way.
    fn calls_wanted(&self, now: Moment) -> u64 {
        let clock = self.clock(now);
        let on_their_way: f64 = self
            .batches
            .iter()
            .map(|batch| batch.open as f64 * self.shows.still_expected(clock.since(batch.called)))
            .sum();
        let falling_free = self.departures.per_second() * self.shows.delay().as_secs_f64();
        let needed = self.free() as f64 + falling_free - self.front.len() as f64 - on_their_way;
        let waiting = self.marks.issued - self.marks.cursor;
        let wanted = whole((needed / self.shows.rate()).max(0.0)).min(waiting);
        let calls_max = OUTSTANDING_PER_SEAT * u64::from(self.seats.seats());
        let wanted = wanted.min(calls_max.saturating_sub(self.outstanding()));
        let inside = self.passes.len() as u64 + self.front.len() as u64 + self.outstanding();
        let wanted = self.remaining.map_or(wanted, |units| wanted.min(units.saturating_sub(inside)));
        if needed > 0.0 { self.over_uncertain(wanted) } else { wanted }
    }

    /// Numbers that were perhaps never given cost nothing: a call that ends among them goes on to
    /// their end.
    fn over_uncertain(&self, wanted: u64) -> u64 {
        let last = self.marks.cursor + wanted.max(1);
        if self.uncertain.contains(&last) { self.uncertain.end() - self.marks.cursor } else { wanted }
    }

    fn front_place(&self, number: u64) -> Claim {
        match self.front.range(..number).count() {
            _ if !self.front.contains_key(&number) => Claim::Admitted,
            ahead => Claim::FrontRow { ahead: ahead as u64 },
        }
    }

    fn seat_front_row(&mut self, policy: &RoomPolicy, now: Moment) {
        while self.free() > 0 {
            let Some((_, pass)) = self.front.pop_first() else { break };
            self.admit(policy, pass, now);
        }
    }

    fn admit(&mut self, policy: &RoomPolicy, pass: PassId, now: Moment) {
        self.passes.insert(pass, PassRecord { begun: now, used: now, cap: policy.session });
    }

    /// Ends sessions past their cap, and idle ones while somebody needs their seats.
    fn end_sessions(&mut self, policy: &RoomPolicy, now: Moment) {
        let needed = !self.front.is_empty() || self.marks.cursor < self.marks.issued;
        let Self { passes, ended, departures, .. } = self;
        passes.retain(|id, pass| {
            let over = now.since(pass.begun) > pass.cap;
            let idle = needed && now.since(pass.used) > policy.idle;
            if over || idle {
                departures.add(1);
                let spent = ended.get(id).is_some_and(|ended| ended.spent);
                ended.insert(*id, Ended { at: now, spent });
            }
            !over && !idle
        });
        ended.retain(|_, past| now.since(past.at) <= policy.session.max(REVIVAL_WITHIN));
    }

    /// Learns from calls that are old enough, and closes the accounts of those past their time.
    fn judge_calls(&mut self, policy: &RoomPolicy, now: Moment) {
        let clock = self.clock(now);
        let judged_after = (self.shows.delay() * JUDGED_AFTER_DELAYS).min(policy.call);
        for batch in &mut self.batches {
            let age = clock.since(batch.called);
            if !batch.judged && age >= judged_after {
                batch.judged = true;
                (0..batch.open.min(1_000)).for_each(|_| self.shows.judge(false));
            }
            if age >= policy.call {
                batch.open = 0;
            }
        }
        while self.batches.front().is_some_and(|batch| clock.since(batch.called) >= policy.call) {
            self.batches.pop_front();
        }
    }

    fn shows_up(&mut self, number: u64, now: Moment) {
        let clock = self.clock(now);
        let batch = self.batches.iter().find(|batch| batch.numbers.contains(&number));
        if let Some((called, judged)) = batch.map(|batch| (batch.called, batch.judged)) {
            self.shows.claimed_after(clock.since(called));
            if judged { self.shows.correct() } else { self.shows.judge(true) }
        }
        self.close_call(number);
    }

    fn close_call(&mut self, number: u64) {
        if self.uncertain.contains(&number) {
            return;
        }
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.numbers.contains(&number)) {
            batch.open = batch.open.saturating_sub(1);
        }
    }

    /// Marks a called number as used; false if it was already. 0 is no number and is never used up.
    fn mark_used(&mut self, number: u64) -> bool {
        if number == 0 {
            return true;
        }
        let word = self.used.entry(number / 64).or_insert(0);
        let bit = 1 << (number % 64);
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    fn is_used(&self, number: u64) -> bool {
        self.used.get(&(number / 64)).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Checked at the end of what moves the cursor, in debug builds.
    pub fn check_invariants(&self) {
        debug_assert!(self.marks.cursor <= self.marks.issued, "called a number that was not given");
        debug_assert!(self.marks.issued <= self.marks.reserved, "gave a number that is not durable");
        debug_assert!(self.front.keys().all(|number| *number <= self.marks.cursor), "uncalled in front");
    }
}

/// What the room must know of its upstream at a step.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The upstream's limit.
    pub limit: u32,
    /// Requests unfinished there.
    pub in_flight: u32,
    /// Why nobody may be called, if so.
    pub hold: Option<HoldReason>,
}

fn overlap(range: &RangeInclusive<u64>, first: u64, last: u64) -> u64 {
    let (from, to) = ((*range.start()).max(first), (*range.end()).min(last));
    if range.is_empty() || from > to { 0 } else { to - from + 1 }
}

/// Rounds down; what is beyond any line saturates.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "not negative, rounds down, saturates")]
    let whole = number as u64;
    whole
}
