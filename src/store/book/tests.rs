//! What is written is published, and nothing else; whatever the disk does, there is one line with an index.

use super::*;
use crate::admission::room::{HoldReason, RoomFacts, RoomState, Tally};
use crate::proof::log::verify::{Verified, verify};
use crate::store::journal::Pages;

const OPEN: (&str, Option<&str>) = ("open", None);
const HELD: (&str, Option<&str>) = ("held", Some("operator"));
const START_MS: u64 = 1_800_000_000_000;

/// A journal, and the book of the life that has it.
struct Life {
    journal: Arc<Journal>,
    key: SigningKey,
    book: Book,
    /// Seconds since the first life began.
    second: u64,
    tally: Tally,
    state: (&'static str, Option<&'static str>),
    open: bool,
    drawn: u64,
    epoch: u32,
    statements: Vec<String>,
    erased: Option<Vec<String>>,
}

impl Life {
    fn first() -> Self {
        let journal = Arc::new(Journal::in_memory().unwrap());
        let secrets = journal.secrets([[1; 32], [2; 32], [3; 32]]).unwrap();
        let book = Book::open(&journal, "main").unwrap();
        let (tally, statements) = (Tally::default(), Vec::new());
        let key = SigningKey::from_bytes(&secrets.board);
        Self {
            journal,
            key,
            book,
            second: 0,
            tally,
            state: OPEN,
            open: false,
            drawn: 0,
            epoch: 1,
            statements,
            erased: None,
        }
    }

    /// What was not written is gone, and so is what was counted.
    fn next(self) -> Self {
        let book = Book::open(&self.journal, "main").unwrap();
        Self { book, tally: Tally::default(), ..self }
    }

    fn seen<T>(&self, look: impl FnOnce(&Seen<'_>, Moment, UnixTime) -> T) -> T {
        let facts = RoomFacts {
            state: RoomState::Held(HoldReason::Operator),
            epoch: self.epoch,
            cursor: 3,
            issued: 9,
            rate: 0.0,
            spread: None,
            show_rate: 1.0,
            active: 2,
            front_row: 0,
            outstanding: 0,
            late: 0,
            seats: 5,
            kappa: 0.5,
            remaining: None,
        };
        let (room, state, tally, drawn, open) = ("main", self.state, self.tally, self.drawn, self.open);
        let statements = &self.statements;
        let erased = self.erased.as_deref();
        let seen = Seen { room, state, facts, tally, drawn, limit: 7, open, statements, erased };
        look(&seen, Moment(self.second * 1_000_000_000), UnixTime(START_MS + self.second * 1_000))
    }

    fn due(&self) -> Vec<Line> {
        self.seen(|seen, now, unix| self.book.due(seen, &self.key, now, unix))
    }

    fn write(&self, lines: &[Line]) {
        let pages = Pages { room: "main".to_owned(), lines: lines.to_vec() };
        self.journal.write_with(&[], &[], &[pages]).unwrap();
    }

    /// A beat whose write succeeds.
    fn beat(&self) {
        let lines = self.due();
        self.write(&lines);
        self.book.publish("main", &lines, &self.key.verifying_key());
    }

    fn passes(&mut self, seconds: u64) {
        self.second += seconds;
        self.beat();
    }

    async fn log(&self) -> Verified {
        let parts = self.book.head().map_or(0, |head| head.index + 1).div_ceil(PART);
        let mut text = String::new();
        for part in 0..parts {
            text += std::str::from_utf8(&self.book.part(part).await.unwrap().0).unwrap();
        }
        let log = verify(&text, &self.key.verifying_key(), false).unwrap();
        assert_eq!(Some(log.head()), self.book.head());
        log
    }
}

fn words(log: &Verified) -> Vec<&'static str> {
    log.events.iter().map(|(_, _, event)| event.word()).collect()
}

#[tokio::test]
async fn a_minute_is_one_line_and_a_quiet_one_none() {
    let mut life = Life::first();
    life.beat();
    assert_eq!(life.book.head().unwrap().index, 0, "the start");
    life.tally = Tally { given: 5, straight: 2, seated: 3, taken_up: 0, over: 1 };
    for _ in 0..300 {
        life.beat();
    }
    assert_eq!(life.book.head().unwrap().index, 0, "the minute is not over");
    life.passes(60);
    let log = life.log().await;
    let Counts { arrived, queued, admitted, done, .. } = log.totals;
    assert_eq!((log.head().index, arrived, queued, admitted, done), (1, 7, 5, 5, 1));
    for _ in 0..59 {
        life.passes(60);
    }
    assert_eq!(life.book.head().unwrap().index, 1, "nothing happened");
    life.passes(60);
    assert_eq!(life.book.head().unwrap().index, 2, "nothing happened, for an hour");
    life.book.refuse(Why::Abuse);
    life.passes(60);
    let log = life.log().await;
    assert_eq!((log.head().index, log.totals.refused.abuse, log.totals.arrived), (3, 1, 7));
}

#[tokio::test]
async fn nothing_is_shown_before_it_is_written_and_what_is_signed_stays_as_it_is() {
    let mut life = Life::first();
    life.beat();
    life.tally.given = 4;
    life.second = 60;
    let signed = life.due();
    assert_eq!((signed.len(), life.book.head().unwrap().index), (1, 0));
    assert!(life.book.part(1).await.is_none());
    life.tally.given = 9;
    life.second = 130;
    let again = life.due();
    assert_eq!((again.len(), &again[0]), (2, &signed[0]), "the disk failed, and it is the same line");
    life.write(&again);
    // The process ends before it hears that all is written.
    let life = life.next();
    assert_eq!(life.book.head().unwrap().index, 2);
    assert_eq!(life.log().await.totals.queued, 9);
    let forged = Pages { room: "main".to_owned(), lines: vec![(2, signed[0].1.clone())] };
    assert!(life.journal.write_with(&[], &[], &[forged]).is_err(), "no line is written over");
}

#[tokio::test]
async fn a_crash_loses_the_open_minute_and_says_so_and_a_stop_loses_nothing() {
    let mut life = Life::first();
    life.beat();
    life.tally.given = 4;
    life.passes(60);
    life.tally.given = 6;
    life.second += 10;
    let mut life = life.next();
    life.second += 5;
    life.beat();
    life.tally.given = 1;
    life.second += 20;
    let last = life.seen(|seen, now, unix| life.book.close(seen, &life.key, now, unix));
    life.write(&last);
    life.tally.given = 2;
    assert_eq!(life.due(), last, "nothing is said after the end");
    let mut life = life.next();
    life.passes(30);
    let log = life.log().await;
    assert_eq!((log.totals.queued, log.lost), (5, 1), "two were counted and not written");
    assert_eq!(words(&log), ["start", "start", "stop", "start"]);
    assert_eq!(log.events[1].2, Event::Start { clean: false });
    assert_eq!(log.events[3].2, Event::Start { clean: true });
}

#[tokio::test]
async fn changes_of_the_rules_of_the_day_have_their_line_at_once() {
    let mut life = Life::first();
    life.beat();
    (life.state, life.tally.given) = (HELD, 3);
    life.passes(1);
    assert_eq!(life.log().await.totals.queued, 3, "counted up to the hold");
    for _ in 0..5 {
        life.state = OPEN;
        life.beat();
        life.state = HELD;
        life.beat();
    }
    assert_eq!(words(&life.log().await), ["start", "held"], "flickering is told once a second at most");
    (life.state, life.open) = (OPEN, true);
    life.passes(2);
    life.open = false;
    life.statements = vec![r#"{"rules":{},"key":"b1"}"#.to_owned(), r#"{"commitment":1}"#.to_owned()];
    life.passes(1);
    life.passes(1);
    let refused = Some("shareable".to_owned());
    life.book.tell(Event::Reload { taken: false, generation: 1, rules: "r".to_owned(), refused });
    life.passes(1);
    life.epoch = 2;
    life.passes(1);
    let told =
        ["start", "held", "open_by_order", "released", "draw", "order_ended", "draw", "reload", "epoch"];
    let log = life.log().await;
    assert_eq!(words(&log), told);
    assert!(matches!(&log.events[6].2, Event::Draw { statement, .. } if statement == "commitment"));
    let mut life = life.next();
    life.passes(5);
    assert_eq!(words(&life.log().await).len(), told.len() + 1, "a restart tells nothing twice");
}

#[tokio::test]
async fn whoever_came_before_the_opening_is_counted_once() {
    let mut life = Life::first();
    life.beat();
    life.drawn = 40;
    life.passes(60);
    let mut life = life.next();
    life.beat();
    life.drawn = 45;
    life.passes(60);
    let log = life.log().await;
    assert_eq!((log.totals.queued, log.totals.arrived), (45, 45));
}

#[tokio::test]
async fn a_long_log_is_served_in_parts_also_after_a_restart() {
    let mut life = Life::first();
    for given in 0..2 * PART + 30 {
        life.tally.given = given;
        life.passes(60);
    }
    let (all, head) = (life.log().await, life.book.head());
    assert_eq!(all.totals.queued, 2 * PART + 29);
    for whole in [(0, true), (1, true), (2, false)] {
        assert_eq!(life.book.part(whole.0).await.unwrap().1, whole.1, "{whole:?}");
    }
    assert!(life.book.part(3).await.is_none());
    let life = life.next();
    assert_eq!((life.book.head(), life.log().await.totals), (head, all.totals));
}

#[tokio::test]
async fn a_disk_that_fails_for_long_delays_lines_and_loses_no_count() {
    let mut life = Life::first();
    life.beat();
    for given in 1..=200 {
        life.tally.given = given;
        life.second += 60;
        life.due();
        life.book.tell(Event::Released);
    }
    assert!(life.due().len() <= WAITING_MAX);
    for _ in 0..5 {
        life.passes(60);
    }
    assert_eq!(life.log().await.totals.queued, 200);
}

#[tokio::test]
async fn the_end_is_told_once_and_nobody_is_counted_after_it() {
    let mut life = Life::first();
    life.beat();
    life.tally = Tally { given: 5, seated: 3, over: 1, ..Tally::default() };
    life.state = HELD;
    life.passes(1);
    (life.state, life.erased, life.tally.over) = (("ended", None), Some(vec!["people".to_owned()]), 3);
    life.beat();
    let log = life.log().await;
    assert_eq!(words(&log), ["start", "held", "ended"], "at once, and not as a release");
    assert_eq!((log.totals.queued, log.totals.done), (5, 3));
    life.tally.given = 6;
    life.book.refuse(Why::Closed);
    life.passes(60);
    let mut life = life.next();
    life.passes(60);
    life.tally.given = 2;
    life.passes(60);
    let log = life.log().await;
    assert_eq!(words(&log), ["start", "held", "ended", "start"]);
    assert_eq!((log.totals.queued, log.totals.refused.closed), (5, 1));
}
