//! What a limit has learnt of its upstream, kept so that a restart need not find it anew.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::moment::UnixTime;
use crate::admission::seats::Insiders;

/// After this long an upstream is taken to be another: milliseconds.
const GOOD_FOR: u64 = 3_600_000;
/// What has moved by less than this part is not written down again.
const MOVED: f64 = 0.05;
/// The same for the number of people inside.
const CROWD_MOVED: f64 = 0.2;

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
    /// The people inside a room.
    Room(Insiders),
}

impl Subject {
    /// Hardly anything else than `known`, so that it need not be written down again.
    #[must_use]
    pub fn is_like(&self, known: &Self) -> bool {
        match (self, known) {
            (Self::Upstream(here, learnt), Self::Upstream(there, known)) => {
                here == there && learnt.is_like(known)
            }
            (Self::Room(learnt), Self::Room(known)) => {
                // How often people ask swings; it only says how soon they come back.
                near(learnt.kappa, known.kappa)
                    && (learnt.active - known.active).abs() <= CROWD_MOVED * known.active
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
        }
    }
}

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

impl Lesson {
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
            Subject::Room(_) => None,
        }
    }

    /// What of it holds now for a room. Of those who were inside fewer come back the longer it is ago.
    #[must_use]
    pub fn for_room(self, now: UnixTime) -> Option<Insiders> {
        let age = Duration::from_millis(now.0.saturating_sub(self.unix_ms));
        match self.learnt {
            Subject::Room(insiders) if self.is_good(now) => Some(insiders.after(age)),
            _ => None,
        }
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
        let inside = Insiders { kappa: 0.3, active: 100.0, cycle_s: 10.0 };
        let lesson = Lesson { unix_ms: 0, learnt: Subject::Room(inside) };
        let after = |ms| lesson.clone().for_room(UnixTime(ms)).unwrap().active;
        assert!((after(0) - 100.0).abs() < 1e-9 && (36.0..38.0).contains(&after(10_000)));
        assert!(after(300_000) < 1e-3, "nobody");
        let others = Subject::Room(Insiders { active: 119.0, ..inside });
        let gone = Subject::Room(Insiders { active: 0.0, ..inside });
        assert!(others.is_like(&lesson.learnt) && !gone.is_like(&lesson.learnt) && gone.is_like(&gone));
    }

    #[test]
    fn only_what_moved_is_news() {
        let known = learnt(40.0, 0.1);
        assert!(learnt(41.0, 0.104).is_like(&known));
        assert!(!learnt(43.0, 0.1).is_like(&known) && !learnt(40.0, 0.2).is_like(&known));
        assert!(!Learnt { baselines: BTreeMap::new(), ..known.clone() }.is_like(&known));
    }
}
