//! A room with its lock, its durable blocks and its board.
//!
//! The only place where a [`Room`] is locked. A number is given only from a durable block; the cursor
//! is published only when it is durable; whoever gives a place up is told so when that is durable. If the
//! disk fails, nobody is called and nobody joins, and those inside go on.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use tokio::sync::{Notify, watch};

use super::book::Book;
use super::journal::Ending;
use super::lots::{Drawn, Lots, LotsNews};
use super::reminders::{LeftReminders, ReminderBook, ReminderNews, WebhookKey};
use super::slots::{LeftSlots, SlotBook, SlotNews};
use crate::admission::handoff::{Handoffs, Mark};
use crate::admission::lane::{LaneId, LaneMarks};
use crate::admission::moves::{Move, MoveNews, Moves, NotMoved};
use crate::admission::number_set::NumberSet;
use crate::admission::people::{Changes, People, PlaceBytes, RoomKey, room_key};
use crate::admission::policy::RoomPolicy;
use crate::admission::reminders::Reminders;
use crate::admission::room::{BlockUsedUp, Ends, HoldReason, Load, Room, RoomFacts, RoomMarks};
use crate::admission::ticket::{Claims, RoomId};
use crate::admission::{Moment, PersonKey, UnixTime};
use crate::proof::draw::DrawError;
use crate::proof::draw::rules::{OneLotPer, Rules};

/// Numbers reserved at a time, at least. After a crash those of the last block that were not given
/// count as people ahead until the line has passed them, so a quiet room reserves few.
const BLOCK: u64 = 64;
/// Most numbers of those who asked to be told that are sealed in one step, while others wait.
const REMINDERS: usize = 2_000;
/// Longest wait for the disk.
const BLOCK_WAIT: Duration = Duration::from_millis(900);

/// One waiting room as the shell sees it.
pub struct Line {
    /// Its name in the configuration.
    pub name: String,
    /// Its id in tickets.
    pub id: RoomId,
    /// Its public log.
    pub book: Book,
    room: Mutex<Room>,
    /// What is durable of the lanes beside the first.
    pub(super) lanes: Mutex<Vec<LaneMarks>>,
    lots: Mutex<Lottery>,
    /// So many of those who came before the opening are durable, and so many statements of their draw.
    told: watch::Sender<(u32, usize)>,
    drawn: OnceLock<Drawn>,
    /// Never locked while `room`, `lots` or `moves` is.
    people: Mutex<People>,
    /// Keys the people of this room.
    secret: [u8; 32],
    more: Notify,
    /// How many ends are durable.
    kept: watch::Sender<u64>,
    /// How many changes of people's places are durable.
    people_kept: watch::Sender<u64>,
    slots: SlotBook,
    hungry: Arc<Notify>,
    posted: ArcSwap<Posted>,
    reminders: Mutex<ReminderBook>,
    /// How many of its changes are durable.
    reminders_kept: watch::Sender<u64>,
    handoffs: Mutex<Handoffs>,
    moves: Mutex<Moves>,
    /// Some place moved, or is about to: nothing is looked up while none did.
    moves_any: AtomicBool,
    /// How many moves are durable.
    moves_kept: watch::Sender<u64>,
    ended: OnceLock<Ending>,
}

/// What all who wait are told alike, from one beat of the pulse to the next.
#[derive(Debug)]
pub struct Posted {
    /// The board's bytes.
    pub board: Bytes,
    /// The poll rule's scale on it, for those who do not compute their pause themselves.
    pub scale: f64,
}

/// Whether a room draws lots.
#[derive(Debug, Default)]
pub enum Lottery {
    /// It goes by arrival.
    #[default]
    Never,
    /// It will, when the first may come: then its rules are frozen. Until then no number is reserved.
    Awaited,
    /// They are being frozen, by these rules: they are on their way to the disk, or there already.
    Freezing(Box<Rules>),
    /// It does.
    Held(Box<Lots>),
}

/// Somebody came before the opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// Is drawn, by this ticket.
    Drawn(Claims),
    /// Too late for the draw: stands behind those who are drawn.
    Behind,
    /// Nothing could be written down in time.
    NotKept,
}

/// What comes of it when somebody wants a lot.
enum Taking {
    /// This one, which may not be durable yet.
    Lot(Claims),
    /// Nothing yet: the rules are being frozen.
    Frozen,
    /// None.
    Not(Entered),
}

/// What a room left behind.
#[derive(Default)]
pub struct Left {
    /// How far it was.
    pub marks: RoomMarks,
    /// And its other lanes.
    pub lanes: Vec<LaneMarks>,
    /// Which of its numbers were over.
    pub over: NumberSet,
    /// The key of its people, and where they stood.
    pub secret: [u8; 32],
    /// By key.
    pub people: Vec<(RoomKey, PlaceBytes)>,
    /// Its public log.
    pub book: Book,
    /// Its event is over.
    pub ending: Option<Ending>,
    /// Its slots.
    pub slots: LeftSlots,
    /// Whose place moved to another device, by number as tickets hold it.
    pub moves: Vec<(u64, Move)>,
    /// Who asked to be told before the turn.
    pub reminders: LeftReminders,
}

/// A step that waits for the disk.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What must be durable first.
    pub marks: RoomMarks,
    /// And these of its other lanes.
    pub lanes: Vec<LaneMarks>,
    /// And these ends.
    pub ends: Ends,
    /// And this of its draw.
    pub lots: LotsNews,
    /// And these places of people.
    pub people: Changes,
    /// And these slots.
    pub slots: SlotNews,
    /// And these moves.
    pub moves: MoveNews,
    /// And these who asked to be told before their turn.
    pub reminders: ReminderNews,
    cursor: u64,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Line {
    /// A room as its marks say it was left. It says on `hungry` that its block is used up.
    #[must_use]
    pub fn restore(
        name: &str,
        policy: &RoomPolicy,
        left: Left,
        hungry: Arc<Notify>,
        now: Moment,
    ) -> Arc<Self> {
        let mut room = Room::restore(policy, left.marks, now);
        room.restore_lanes(left.lanes, now);
        room.restore_over(&left.over);
        room.restore_slots(policy, &SlotBook::slots(&left.slots), now);
        let lanes = Mutex::new(room.lane_marks());
        let line = Self {
            name: name.to_owned(),
            id: RoomId::of(name),
            book: left.book,
            room: Mutex::new(room),
            lanes,
            lots: Mutex::default(),
            told: watch::Sender::new((0, 0)),
            drawn: OnceLock::new(),
            people: Mutex::new(People::restore(left.people)),
            secret: left.secret,
            more: Notify::new(),
            kept: watch::Sender::new(0),
            people_kept: watch::Sender::new(0),
            slots: SlotBook::new(&left.slots, now),
            hungry,
            posted: ArcSwap::from_pointee(Posted { board: Bytes::new(), scale: 1.0 }),
            reminders: Mutex::new(ReminderBook::new(left.reminders)),
            reminders_kept: watch::Sender::new(0),
            handoffs: Mutex::default(),
            moves_any: AtomicBool::new(!left.moves.is_empty()),
            moves: Mutex::new(Moves::restore(&left.moves)),
            moves_kept: watch::Sender::new(0),
            ended: OnceLock::new(),
        };
        if let Some(ending) = left.ending {
            line.end(ending);
        }
        Arc::new(line)
    }

    /// The event is over, which is durable: nobody is in this room or known to it any more.
    pub fn end(&self, ending: Ending) {
        self.ended.get_or_init(|| ending);
        self.with(Room::end_for_good);
        *self.lock_people() = People::default();
        self.lock_reminders().clear();
        self.handoffs(|codes| *codes = Handoffs::default());
        *self.lock_moves() = Moves::default();
    }

    /// The event is over since then.
    #[must_use]
    pub fn ended(&self) -> Option<Ending> {
        self.ended.get().copied()
    }

    /// Runs one short step on the room. Nothing in it may wait.
    pub fn with<T>(&self, step: impl FnOnce(&mut Room) -> T) -> T {
        step(&mut self.lock())
    }

    /// Runs one short step on those who asked to be told before their turn.
    pub fn reminders<T>(&self, step: impl FnOnce(&mut Reminders) -> T) -> T {
        step(&mut self.lock_reminders().all)
    }

    /// The webhook by the configuration of that generation, or that there is none: then nobody is to be told any more.
    pub fn follow_webhook(&self, generation: u64, key: Option<&WebhookKey>) {
        let unread = self.lock_reminders().follow(generation, key, &self.secret);
        if unread > 0 {
            tracing::warn!(
                room = self.name,
                unread,
                "the secret of the webhook was another one when these asked to be told of their turn: they are forgotten"
            );
        }
    }

    /// Waits until all who asked to be told before their turn are so after a crash as well. False if the disk did not
    /// take it in time; it will be tried again.
    pub async fn reminders_kept(&self) -> bool {
        let changes = self.reminders(|all| all.changes());
        self.is_kept(&self.reminders_kept, changes).await
    }

    /// What a clean stop leaves of those who asked, with these `ends`.
    pub(super) fn final_reminders(&self, ends: &Ends) -> ReminderNews {
        self.lock_reminders().unkept(&ends.words, usize::MAX)
    }

    /// Runs one short step on the codes by which places move.
    pub fn handoffs<T>(&self, step: impl FnOnce(&mut Handoffs) -> T) -> T {
        step(&mut self.handoffs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A ticket or pass as it counts whose holder is known otherwise: after all moves of its place.
    #[must_use]
    pub fn at_last(&self, claims: Claims) -> Claims {
        if !self.moves_any.load(Ordering::Acquire) {
            return claims;
        }
        Claims { moves: self.lock_moves().of(&claims), ..claims }
    }

    /// Whether the place of this ticket or pass moved to another device since it was given.
    #[must_use]
    pub fn is_gone(&self, claims: &Claims) -> bool {
        self.moves_any.load(Ordering::Acquire) && self.lock_moves().is_gone(claims)
    }

    /// Whether it is about to: whoever signs in now does not take it along.
    #[must_use]
    pub fn is_moving(&self, claims: &Claims) -> bool {
        self.moves_any.load(Ordering::Acquire) && self.lock_moves().is_moving(claims)
    }

    /// Moves the place of a ticket to another device: the ticket that counts from now on, when that is durable.
    ///
    /// # Errors
    /// [`NotMoved`]: then all is as it was.
    pub async fn move_place(
        &self,
        ticket: &Claims,
        mark: Option<Mark>,
        at: UnixTime,
    ) -> Result<Claims, NotMoved> {
        let (moved, changes) = {
            // Nobody signs in with it between the look and the question.
            let people = self.lock_people();
            if people.is_held(ticket, self.lot_of(ticket)) {
                return Err(NotMoved::Held);
            }
            let mut moves = self.lock_moves();
            self.moves_any.store(true, Ordering::Release);
            (moves.ask(ticket, mark, at)?, moves.changes())
        };
        self.is_kept(&self.moves_kept, changes).await;
        // What is in memory decides: others may have asked, and given up, meanwhile.
        if self.lock_moves().decide(&moved, mark, at) { Ok(moved) } else { Err(NotMoved::NotKept) }
    }

    /// The ticket that somebody was to get who typed this and may have got no answer, if it still counts.
    #[must_use]
    pub fn unanswered(&self, mark: Mark, now: UnixTime) -> Option<Claims> {
        let ticket = self.resolve(self.lock_moves().unanswered(mark, now)?);
        (!self.is_gone(&ticket)).then_some(ticket)
    }

    /// What must be made durable of moves.
    #[must_use]
    pub fn unkept_moves(&self) -> MoveNews {
        self.lock_moves().unkept()
    }

    fn lock_moves(&self) -> MutexGuard<'_, Moves> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the next number of a lane; waits for a durable block if need be. `None` if none came in time.
    pub async fn join(&self, lane: LaneId) -> Option<u64> {
        self.once_there_are_numbers(|| self.with(|room| room.join_in(lane))).await
    }

    /// The same in one step on the places of people, which may find that no number is needed: of the devices of one
    /// person that come at once one takes it, and the others find it taken.
    pub async fn join_as<T>(
        &self,
        mut step: impl FnMut(&mut People, &mut Room) -> Result<T, BlockUsedUp>,
    ) -> Option<T> {
        self.once_there_are_numbers(|| self.with_people(&mut step)).await
    }

    async fn once_there_are_numbers<T>(&self, mut step: impl FnMut() -> Result<T, BlockUsedUp>) -> Option<T> {
        let given = async {
            loop {
                let more = self.more.notified();
                match step() {
                    Ok(given) => return given,
                    Err(BlockUsedUp) => {
                        self.hungry.notify_one();
                        more.await;
                    }
                }
            }
        };
        tokio::time::timeout(BLOCK_WAIT, given).await.ok()
    }

    /// Waits until every number that is over by now is so after a crash as well. False if the disk did not
    /// take it in time; it will be tried again.
    pub async fn ends_kept(&self) -> bool {
        let ended = self.with(|room| room.ended());
        self.is_kept(&self.kept, ended).await
    }

    /// What a person is called in this room.
    #[must_use]
    pub fn key_of(&self, person: &PersonKey) -> RoomKey {
        room_key(&self.secret, person)
    }

    /// Runs one short step on the places of people, and on the room with it. Nothing in it may wait.
    pub fn with_people<T>(&self, step: impl FnOnce(&mut People, &mut Room) -> T) -> T {
        step(&mut self.lock_people(), &mut self.lock())
    }

    /// Waits until every place of a person is so after a crash as well. False if the disk did not take it
    /// in time; it will be tried again.
    pub async fn people_kept(&self) -> bool {
        let changes = self.lock_people().changes();
        self.is_kept(&self.people_kept, changes).await
    }

    /// Waits until every slot that is taken by now is so after a crash as well. False if the disk did not
    /// take it in time; it will be tried again.
    pub async fn slots_kept(&self) -> bool {
        let changes = self.with(|room| room.slot_changes());
        self.is_kept(&self.slots.kept, changes).await
    }

    /// Waits until so many changes are durable.
    async fn is_kept(&self, kept: &watch::Sender<u64>, changes: u64) -> bool {
        let mut kept = kept.subscribe();
        if *kept.borrow_and_update() >= changes {
            return true;
        }
        self.hungry.notify_one();
        let durable = kept.wait_for(|kept| *kept >= changes);
        tokio::time::timeout(BLOCK_WAIT, durable).await.is_ok_and(|kept| kept.is_ok())
    }

    /// First half of a step: what the room would do, if it were durable, with what is due of its draw by `lots`.
    /// `None` if nothing must be.
    #[must_use]
    pub fn plan(
        &self,
        policy: &RoomPolicy,
        load: Load,
        durable: RoomMarks,
        lots: impl FnOnce() -> LotsNews,
        now: Moment,
    ) -> Option<Pending> {
        // Lots and whose they are go to the disk together: nobody comes between these two looks.
        let (people, lots) = {
            let people = self.lock_people();
            (people.unkept(), lots())
        };
        let (undrawn, moves) = (self.is_undrawn(), self.unkept_moves());
        let mut room = self.lock();
        let cursor = room.step(policy, load, now);
        let mut marks = room.marks();
        if let Some(drawn) = lots.closes {
            marks.issued = marks.issued.max(drawn.into());
        }
        // Those who are drawn come once.
        let issued = if lots.closes.is_some() { marks.issued } else { durable.issued };
        // Nobody has a number before those who are drawn.
        let reserved = if undrawn && lots.closes.is_none() {
            durable.reserved
        } else {
            reserved(&marks, &RoomMarks { issued, ..durable })
        };
        let wanted = RoomMarks { epoch: marks.epoch, issued: marks.issued, reserved, cursor };
        let lanes = self.plan_lanes(&room);
        let (ends, slots) = (room.unkept(), self.slots.unkept(&room));
        drop(room);
        let reminders = self.lock_reminders().unkept(&ends.words, REMINDERS);
        let is_news = wanted != durable
            || !lanes.is_empty()
            || !ends.words.is_empty()
            || !lots.is_empty()
            || !people.places.is_empty()
            || !slots.is_empty()
            || !moves.moves.is_empty()
            || !reminders.is_empty();
        let marks = wanted;
        is_news.then_some(Pending { marks, lanes, ends, lots, people, slots, moves, reminders, cursor })
    }

    /// Second half: the marks are on the disk.
    pub fn publish(&self, pending: &Pending, now: Moment) {
        self.publish_lots(&pending.lots);
        let mut room = self.lock();
        if let Some(drawn) = pending.lots.closes {
            room.begin_after(drawn.into());
        }
        room.reserve(pending.marks.reserved);
        room.call_up_to(pending.cursor, now);
        room.call_lanes(&pending.lanes, now);
        room.kept(&pending.ends);
        self.slots.keep(&mut room, &pending.slots);
        drop(room);
        self.keep_lanes(&pending.lanes);
        self.lock_people().kept(&pending.people);
        let moved = self.lock_moves().kept(&pending.moves);
        self.reminders(|all| {
            all.kept(&pending.reminders.changes);
            // Before whoever has them now can ask.
            moved.into_iter().for_each(|number| all.forget_place(number));
        });
        raise(&self.moves_kept, pending.moves.count);
        raise(&self.kept, pending.ends.count);
        raise(&self.people_kept, pending.people.count);
        raise(&self.reminders_kept, pending.reminders.changes.count);
        self.slots.tell(&pending.slots);
        self.more.notify_waiters();
    }

    /// Marks for a clean stop: nothing is uncertain, and no number is given after them.
    #[must_use]
    pub fn final_marks(&self) -> (RoomMarks, Ends, SlotNews) {
        let mut room = self.lock();
        room.close_block();
        (room.marks(), room.unkept(), self.slots.unkept(&room))
    }

    /// What a clean stop leaves of lots and people: nobody holds a lot that is not there.
    pub(super) fn final_people(&self) -> (Changes, LotsNews) {
        let people = self.lock_people();
        (people.unkept(), self.with_lots(|lots| lots.unkept()).unwrap_or_default())
    }

    /// Whether this room draws lots.
    pub fn set_lots(&self, lottery: Lottery) {
        if let Lottery::Held(lots) = &lottery {
            self.told.send_replace((lots.kept(), lots.lines().len()));
            // What was said of the draw counts, whatever marks were written last.
            if let Some(drawn) = lots.committed() {
                self.with(|room| room.begin_after(drawn.into()));
            }
        }
        *self.lock_lots() = lottery;
    }

    /// No lots are drawn, if their rules are not frozen: those that were sent to the disk may be there, and the
    /// next process would hold the draw that this one forgot. True if lots would have been drawn.
    pub fn forgo_draw(&self) -> bool {
        let mut lots = self.lock_lots();
        let awaited = matches!(*lots, Lottery::Awaited);
        if awaited {
            *lots = Lottery::Never;
        }
        awaited
    }

    /// Looks at the draw, if its rules are frozen.
    pub fn with_lots<T>(&self, look: impl FnOnce(&mut Lots) -> T) -> Option<T> {
        match &mut *self.lock_lots() {
            Lottery::Held(lots) => Some(look(lots)),
            Lottery::Never | Lottery::Awaited | Lottery::Freezing(_) => None,
        }
    }

    /// The rules of the draw, if they are frozen, or were sent to the disk to be.
    #[must_use]
    pub fn frozen(&self) -> Option<Rules> {
        match &*self.lock_lots() {
            Lottery::Never | Lottery::Awaited => None,
            Lottery::Freezing(rules) => Some((**rules).clone()),
            Lottery::Held(lots) => Some(lots.rules().clone()),
        }
    }

    /// Lots are drawn here, and those who came are not committed to yet: there are no numbers.
    #[must_use]
    pub fn is_undrawn(&self) -> bool {
        match &*self.lock_lots() {
            Lottery::Never => false,
            Lottery::Awaited | Lottery::Freezing(_) => true,
            Lottery::Held(lots) => !lots.is_committed(),
        }
    }

    /// Somebody who came before the opening has no number yet.
    #[must_use]
    pub fn awaits_draw(&self) -> bool {
        self.drawn.get().is_none() && self.with_lots(|_| ()).is_some()
    }

    /// Somebody waits here, is called or is inside.
    #[must_use]
    pub fn is_peopled(&self) -> bool {
        self.awaits_draw() || self.with(|room| room.is_peopled())
    }

    /// What the draw has decided, if it has.
    #[must_use]
    pub fn drawn(&self) -> Option<&Drawn> {
        self.drawn.get()
    }

    /// Draws all numbers, if it is decided how. Takes its time.
    pub fn draw(&self) {
        if let Some((draw, log)) = self.with_lots(|lots| lots.decided()).flatten() {
            self.drawn.get_or_init(|| Drawn::new(draw, log));
        }
    }

    /// A ticket with the number that was drawn for it, if there is one by now.
    #[must_use]
    pub fn resolve(&self, ticket: Claims) -> Claims {
        let number = |index| self.drawn.get().and_then(|drawn| drawn.number(index));
        Claims {
            number: ticket.index.map_or(ticket.number, |index| number(index).unwrap_or_default()),
            ..ticket
        }
    }

    /// Comes before the opening, with a ticket that has no index yet; waits until that is durable. A person who has a
    /// lot by then, on whatever device, has that one.
    pub async fn enter(&self, ticket: Claims, person: Option<RoomKey>) -> Entered {
        let mut told = self.told.subscribe();
        let mut mine = None;
        let entering = async {
            loop {
                told.borrow_and_update();
                if self.ended.get().is_some() {
                    return Entered::NotKept;
                }
                if mine.is_none() {
                    mine = match self.take_lot(ticket, person) {
                        Taking::Lot(lot) => Some(lot),
                        Taking::Frozen => None,
                        Taking::Not(why) => return why,
                    };
                }
                // That of another device may have been written before this one came.
                if let Some(lot) = mine.filter(|lot| self.is_there(lot)) {
                    return Entered::Drawn(lot);
                }
                self.hungry.notify_one();
                if told.changed().await.is_err() {
                    return Entered::NotKept;
                }
            }
        };
        tokio::time::timeout(BLOCK_WAIT, entering).await.unwrap_or(Entered::NotKept)
    }

    /// A lot is entered and becomes its person's in one step: of many who come at once as one, one enters.
    fn take_lot(&self, ticket: Claims, person: Option<RoomKey>) -> Taking {
        let (mut people, mut lottery) = (self.lock_people(), self.lock_lots());
        let lots = match &mut *lottery {
            Lottery::Never => return Taking::Not(Entered::Behind),
            Lottery::Awaited | Lottery::Freezing(_) => return Taking::Frozen,
            Lottery::Held(lots) => lots,
        };
        // Somebody whose body came in while a reload made this a draw by persons, and who gave no name.
        if person.is_none() && lots.rules().one_lot_per == OneLotPer::Person {
            return Taking::Not(Entered::NotKept);
        }
        let held = person.and_then(|key| people.place(key, self.id)).map(|place| place.claims);
        if let Some(held) = held.filter(|held| held.index.is_some()) {
            return Taking::Lot(held);
        }
        let lot = |index| Claims { number: 0, index: Some(index), ..ticket };
        if person.is_some() && !People::can_hold(&lot(u32::MAX)) {
            return Taking::Not(Entered::NotKept);
        }
        let Some(lot) = lots.enter(&ticket.id).map(lot) else { return Taking::Not(Entered::Behind) };
        if let Some(key) = person {
            people.hold(key, &lot);
        }
        Taking::Lot(lot)
    }

    /// Whether a place is there after a crash as well: a lot may not be yet, and then it is nobody's.
    #[must_use]
    pub fn is_there(&self, claims: &Claims) -> bool {
        claims.index.is_none_or(|index| self.told.borrow().0 > index)
    }

    /// By which index somebody was drawn, or is to be, who shows this.
    #[must_use]
    pub fn lot_of(&self, claims: &Claims) -> Option<u32> {
        claims.index.or_else(|| self.drawn.get()?.index(claims.number))
    }

    /// What is due of the draw: its rules when the first may come, and each statement in its time.
    pub fn lots_due(
        &self,
        now: UnixTime,
        key: &SigningKey,
        rules: impl FnOnce() -> Option<Rules>,
    ) -> LotsNews {
        let mut lottery = self.lock_lots();
        if matches!(*lottery, Lottery::Awaited)
            && let Some(rules) = rules()
        {
            // From here on nobody may change them: whether the disk has them is not known.
            *lottery = Lottery::Freezing(Box::new(rules));
        }
        match &mut *lottery {
            Lottery::Never | Lottery::Awaited => LotsNews::default(),
            Lottery::Held(lots) => lots.due(now, key),
            Lottery::Freezing(rules) => LotsNews { line: Some((0, rules.seal(key))), ..LotsNews::default() },
        }
    }

    /// Gives randomness to the draw, and waits until it is written down. False if the disk did not take it in
    /// time; it will be tried again.
    ///
    /// # Errors
    /// [`DrawError`]: it is not what the rules ask for; or there is no draw.
    pub async fn offer(&self, line: &str) -> Result<bool, DrawError> {
        let mut told = self.told.subscribe();
        let offered = self.with_lots(|lots| lots.offer(line).map(|()| lots.lines().len()));
        let before = offered.ok_or_else(|| DrawError::Held("no draw is held here".to_owned()))??;
        self.hungry.notify_one();
        let written = told.wait_for(|(_, lines)| *lines > before);
        Ok(tokio::time::timeout(BLOCK_WAIT, written).await.is_ok_and(|written| written.is_ok()))
    }

    fn publish_lots(&self, news: &LotsNews) {
        if news.is_empty() {
            return;
        }
        let mut lottery = self.lock_lots();
        let published = match (&mut *lottery, &news.line) {
            (Lottery::Held(lots), _) => lots.publish(news),
            (Lottery::Freezing(_), Some((0, rules))) => crate::proof::draw::rules::own_key(rules)
                .and_then(|key| Lots::restore(vec![rules.clone()], Vec::new(), key))
                .map(|lots| *lottery = Lottery::Held(Box::new(lots))),
            (Lottery::Never | Lottery::Awaited | Lottery::Freezing(_), _) => Ok(()),
        };
        if let Err(error) = published {
            tracing::error!(room = self.name, %error, "what was written of the draw is not believed");
        }
        if let Lottery::Held(lots) = &*lottery {
            self.told.send_replace((lots.kept(), lots.lines().len()));
        }
    }

    fn lock_people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_reminders(&self) -> MutexGuard<'_, ReminderBook> {
        self.reminders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_lots(&self) -> MutexGuard<'_, Lottery> {
        self.lots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look.
    #[must_use]
    pub fn facts(&self, policy: &RoomPolicy) -> RoomFacts {
        self.lock().facts(policy)
    }

    /// The board's bytes, the same for all.
    #[must_use]
    pub fn board(&self) -> Bytes {
        Bytes::clone(&self.posted.load().board)
    }

    /// The scale of the poll rule that the board tells; 1 before the first board.
    #[must_use]
    pub fn poll_scale(&self) -> f64 {
        self.posted.load().scale
    }

    /// Puts up a new board.
    pub fn put_up(&self, posted: Posted) {
        self.posted.store(Arc::new(posted));
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to where numbers should be durable, with a block ahead of those that were given since.
pub(super) fn reserved(marks: &RoomMarks, durable: &RoomMarks) -> u64 {
    let spare = durable.reserved.saturating_sub(marks.issued);
    let block = BLOCK.max(marks.issued.saturating_sub(durable.issued).saturating_mul(4));
    if spare < block / 2 { marks.issued + block } else { durable.reserved }
}

pub(super) fn raise(kept: &watch::Sender<u64>, count: u64) {
    kept.send_if_modified(|kept| {
        let more = *kept < count;
        *kept = (*kept).max(count);
        more
    });
}

/// Why a room must not call now, as its store stands, and what is behind it and needed on the way.
#[must_use]
pub fn hold(store_failed: bool, upstream_out: bool, dependency_out: bool) -> Option<HoldReason> {
    let reasons = [
        (store_failed, HoldReason::Store),
        (upstream_out, HoldReason::Upstream),
        (dependency_out, HoldReason::Dependency),
    ];
    reasons.into_iter().find_map(|(is, reason)| is.then_some(reason))
}

#[cfg(test)]
mod tests;
