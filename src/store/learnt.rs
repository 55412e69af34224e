//! What was learnt of upstreams, and of the people of rooms: kept so that a restart need not find it anew.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::moment::UnixTime;
use crate::admission::room::Habits;
use crate::admission::seats::Insiders;
use crate::admission::shows::Shown;

/// After this long an upstream is taken to be another: milliseconds.
const GOOD_FOR: u64 = 3_600_000;
/// What did not move is written down again after so long: milliseconds.
const KEEP_FRESH: u64 = 600_000;
/// What has moved by less than this part is not written down again.
const MOVED: f64 = 0.05;
/// The same for the number of people inside.
const CROWD_MOVED: f64 = 0.2;
/// The same for the part of those called that come.
const SHARE_MOVED: f64 = 0.05;

/// What was learnt of one upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// Most requests that were unfinished there.
    pub limit: f64,
    /// Seconds that a request of each route takes when nobody waits.
    pub baselines: BTreeMap<String, f64>,
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= MOVED * other.abs()
}

impl Learnt {
    fn is_like(&self, known: &Self) -> bool {
        let same = |(name, seconds): (&String, &f64)| {
            known.baselines.get(name).is_some_and(|other| near(*seconds, *other))
        };
        near(self.limit, known.limit)
            && self.baselines.len() == known.baselines.len()
            && self.baselines.iter().all(same)
    }
}

/// What is written down of it, and of rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// When it was written, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What was learnt.
    pub learnt: Subject,
}

/// What something was learnt of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An upstream at these addresses.
    Upstream(Vec<String>, Learnt),
    /// The people of a room.
    Room(Habits),
    /// The gateway itself: it was there.
    Alive,
}

impl Subject {
    /// Hardly anything else than `known`.
    fn is_like(&self, known: &Self) -> bool {
        match (self, known) {
            (Self::Upstream(here, learnt), Self::Upstream(there, known)) => {
                here == there && learnt.is_like(known)
            }
            (Self::Room(learnt), Self::Room(known)) => {
                insiders_are_like(learnt.insiders, known.insiders)
                    && calls_are_like(learnt.calls, known.calls)
            }
            _ => false,
        }
    }

    /// The name under which it is kept.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        match self {
            Self::Upstream(..) => upstream_key(name),
            Self::Room(_) => room_key(name),
            Self::Alive => ALIVE_KEY.to_owned(),
        }
    }
}

/// The name under which it is kept when the gateway was last there.
pub const ALIVE_KEY: &str = "alive";

/// The name under which an upstream's lesson is kept.
#[must_use]
pub fn upstream_key(name: &str) -> String {
    format!("upstream {name}")
}

/// The name under which a room's lesson is kept.
#[must_use]
pub fn room_key(name: &str) -> String {
    format!("room {name}")
}

fn insiders_are_like(one: Option<Insiders>, other: Option<Insiders>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one == other };
    // How often people ask swings; it only says how soon they come back.
    near(one.kappa, other.kappa) && (one.active - other.active).abs() <= CROWD_MOVED * other.active
}

fn calls_are_like(one: Option<Shown>, other: Option<Shown>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one == other };
    let rate = |shown: Shown| shown.came / (shown.came + shown.missed).max(f64::MIN_POSITIVE);
    (rate(one) - rate(other)).abs() <= SHARE_MOVED
        && (one.delay_s - other.delay_s).abs() <= CROWD_MOVED * one.delay_s
}

impl Lesson {
    /// That the gateway was there at `unix`.
    #[must_use]
    pub fn alive(unix: UnixTime) -> Self {
        Self { unix_ms: unix.0, learnt: Subject::Alive }
    }

    /// Time between when it was written and `now`, whichever is earlier.
    #[must_use]
    pub fn distance(&self, now: UnixTime) -> Duration {
        Duration::from_millis(now.0.abs_diff(self.unix_ms))
    }

    /// It says what is `learnt` by `now`, or hardly anything else, so that it need not be written down again.
    #[must_use]
    pub fn tells(&self, learnt: &Subject, now: UnixTime) -> bool {
        let is_fresh = now.0.checked_sub(self.unix_ms).is_some_and(|age| age < KEEP_FRESH);
        is_fresh && learnt.is_like(&self.learnt)
    }

    fn is_good(&self, now: UnixTime) -> bool {
        now.0.checked_sub(self.unix_ms).is_some_and(|age| age <= GOOD_FOR)
    }

    /// What of it holds now for an upstream at `addresses`: nothing once it is old, or was of another.
    #[must_use]
    pub fn for_upstream(self, addresses: &[String], now: UnixTime) -> Option<Learnt> {
        let is_good = self.is_good(now);
        match self.learnt {
            Subject::Upstream(of, learnt) => {
                (is_good && of == addresses && learnt.limit.is_finite()).then_some(learnt)
            }
            Subject::Room(_) | Subject::Alive => None,
        }
    }

    /// What of it holds now for a room whose gateway was there until `down` ago. What moves is written, so it
    /// held until then; of those who were inside fewer come back the longer it is ago.
    #[must_use]
    pub fn for_room(&self, now: UnixTime, down: Duration) -> Option<Habits> {
        match &self.learnt {
            Subject::Room(habits) if self.is_good(now) => Some(habits.after(down)),
            _ => None,
        }
    }

    /// Of those who were cut off in a room by an earlier restart the last is still to come back by so long.
    #[must_use]
    pub fn until_back(&self, now: UnixTime) -> Duration {
        let Subject::Room(habits) = &self.learnt else { return Duration::ZERO };
        let back = Duration::try_from_secs_f64(habits.back_s).unwrap_or_default();
        back.saturating_sub(self.distance(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(limit: f64, seconds: f64) -> Learnt {
        Learnt { limit, baselines: BTreeMap::from([("all".to_owned(), seconds)]) }
    }

    #[test]
    fn it_holds_for_the_same_upstream_for_an_hour() {
        let addresses = ["one:80".to_owned()];
        let of = Subject::Upstream(addresses.to_vec(), learnt(40.0, 0.1));
        let lesson = Lesson { unix_ms: 5, learnt: of };
        let text = serde_json::to_string(&lesson).unwrap();
        assert_eq!(serde_json::from_str::<Lesson>(&text).unwrap(), lesson, "{text}");
        let after = |ms| lesson.clone().for_upstream(&addresses, UnixTime(ms));
        assert_eq!((after(5), after(5 + GOOD_FOR)), (Some(learnt(40.0, 0.1)), Some(learnt(40.0, 0.1))));
        assert_eq!((after(4), after(6 + GOOD_FOR)), (None, None), "of the future, and old");
        assert_eq!(lesson.for_upstream(&["two:80".to_owned()], UnixTime(5)), None);
    }

    #[test]
    fn of_those_who_were_inside_fewer_come_back_the_longer_it_is_ago() {
        let lesson = Lesson { unix_ms: 0, learnt: room(100.0, 0.8, 2.0) };
        let after = |ms, down| lesson.for_room(UnixTime(ms), Duration::from_secs(down)).unwrap();
        let active = |ms, down| after(ms, down).insiders.unwrap().active;
        assert!((active(0, 0) - 100.0).abs() < 1e-9 && (36.0..38.0).contains(&active(10_000, 10)));
        assert!((active(500_000, 0) - 100.0).abs() < 1e-9, "nothing moved while the gateway was there");
        assert!(active(300_000, 300) < 1e-3, "nobody");
        assert_eq!(lesson.for_room(UnixTime(GOOD_FOR + 1), Duration::ZERO), None);
    }

    #[test]
    fn who_is_still_to_come_back_from_an_earlier_restart_is_known() {
        let Subject::Room(habits) = room(100.0, 0.8, 2.0) else { unreachable!() };
        let lesson = Lesson { unix_ms: 5_000, learnt: Subject::Room(Habits { back_s: 60.0, ..habits }) };
        assert_eq!(lesson.until_back(UnixTime(15_000)), Duration::from_secs(50));
        assert_eq!(lesson.until_back(UnixTime(500_000)), Duration::ZERO);
        let broken = Lesson { unix_ms: 5_000, learnt: Subject::Room(Habits { back_s: f64::NAN, ..habits }) };
        assert_eq!(broken.until_back(UnixTime(5_000)), Duration::ZERO);
    }

    /// Of a hundred inside, each of whom asks every ten seconds.
    fn room(active: f64, rate: f64, delay_s: f64) -> Subject {
        let insiders = Some(Insiders { kappa: 0.3, active, cycle_s: 10.0 });
        let calls = Some(Shown { came: 50.0 * rate, missed: 50.0 * (1.0 - rate), delay_s, claims: 50.0 });
        Subject::Room(Habits { insiders, calls, back_s: 0.0 })
    }

    #[test]
    fn of_a_room_is_news_what_has_moved() {
        let lesson = Lesson { unix_ms: 0, learnt: room(100.0, 0.8, 2.0) };
        let knows = |learnt: Subject, ms| lesson.tells(&learnt, UnixTime(ms));
        assert!(knows(room(119.0, 0.8, 2.0), 0) && knows(room(100.0, 0.84, 2.2), 0));
        assert!(!knows(room(0.0, 0.8, 2.0), 0), "they have gone");
        assert!(!knows(room(100.0, 0.7, 2.0), 0) && !knows(room(100.0, 0.8, 3.0), 0));
        assert!(knows(room(100.0, 0.8, 2.0), KEEP_FRESH - 1) && !knows(room(100.0, 0.8, 2.0), KEEP_FRESH));
        let future = Lesson { unix_ms: 1, learnt: room(100.0, 0.8, 2.0) };
        assert!(
            !future.tells(&room(100.0, 0.8, 2.0), UnixTime(0)),
            "after a step back it would not be believed"
        );
    }

    #[test]
    fn what_was_written_before_calls_were_kept_is_read() {
        let old = r#"{"unix_ms":5,"learnt":{"room":{"kappa":0.3,"active":7.0,"cycle_s":1.5}}}"#;
        let habits = serde_json::from_str::<Lesson>(old).unwrap();
        let habits = habits.for_room(UnixTime(5), Duration::ZERO).unwrap();
        assert!((habits.insiders.unwrap().active - 7.0).abs() < 1e-9 && habits.calls.is_none());
        let nobody = Habits { insiders: None, calls: None, back_s: 3.0 };
        for learnt in [room(100.0, 0.8, 2.0), Subject::Room(nobody), Subject::Alive] {
            let lesson = Lesson { unix_ms: 5, learnt };
            let text = serde_json::to_string(&lesson).unwrap();
            assert_eq!(serde_json::from_str::<Lesson>(&text).unwrap(), lesson, "{text}");
        }
    }

    #[test]
    fn only_what_moved_is_news() {
        let known = learnt(40.0, 0.1);
        assert!(learnt(41.0, 0.104).is_like(&known));
        assert!(!learnt(43.0, 0.1).is_like(&known) && !learnt(40.0, 0.2).is_like(&known));
        assert!(!Learnt { baselines: BTreeMap::new(), ..known.clone() }.is_like(&known));
    }
}
