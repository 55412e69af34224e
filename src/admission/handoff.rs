//! Codes by which a place moves to another device: short, for a few minutes, once.
//!
//! Whoever holds a ticket gets a code and types it on the other device. The first part of a code names it, the
//! rest is its secret: so whoever guesses has few tries at each, and a code at which too many were wrong is
//! over. The place itself stays where it is until the right one was typed, see [`super::moves`].
//!
//! Kept in memory: after a restart every code is over, and no place. Memory: about a hundred bytes a code, `MOST`
//! at most.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Moment;
use super::ticket::Claims;

/// For how long a code counts.
pub const LASTS: Duration = Duration::from_secs(300);
/// After so many wrong secrets it is over.
pub const TRIES: u8 = 5;
/// Names of codes.
pub const NAMES: u32 = 1 << 20;
/// Secrets of a name: 40 bits.
pub const SECRETS: u64 = 1 << 40;
/// Most codes at once: a tenth of the names, so that a free one is found.
const MOST: usize = 100_000;

/// A code, as two numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Below [`NAMES`].
    pub name: u32,
    /// Below [`SECRETS`].
    pub secret: u64,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

/// What tells one use of a code from another: of the code and a word of whoever typed it.
pub type Mark = u128;

/// Why no code is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotGiven {
    /// Another one is called so: try another name.
    NameTaken,
    /// Too many are out.
    Full,
}

/// A code that was never given, or is over, or was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCode;

#[derive(Clone, Copy, Debug)]
struct Offer {
    secret: u64,
    ticket: Claims,
    until: Moment,
    tries: u8,
    /// By whom it was used, if it was.
    used: Option<Option<Mark>>,
}

/// The codes of one room.
#[derive(Debug, Default)]
pub struct Handoffs {
    offers: BTreeMap<u32, Offer>,
    /// The code of a place, by its number as tickets hold it.
    places: BTreeMap<u64, u32>,
    /// All names, in the order in which they end.
    ends: VecDeque<(Moment, u32)>,
}

impl Handoffs {
    /// Gives a ticket this code, which must come from chance. One that its place had before is over.
    ///
    /// # Errors
    /// [`NotGiven`]; then an earlier one still counts.
    pub fn offer(&mut self, ticket: &Claims, code: Code, now: Moment) -> Result<(), NotGiven> {
        self.forget_old(now);
        let place = ticket.written_number();
        if self.offers.contains_key(&code.name) {
            return Err(NotGiven::NameTaken);
        }
        if self.offers.len() >= MOST && !self.places.contains_key(&place) {
            return Err(NotGiven::Full);
        }
        if let Some(earlier) = self.places.insert(place, code.name) {
            self.offers.remove(&earlier);
        }
        let until = now.after(LASTS);
        let offer = Offer { secret: code.secret, ticket: *ticket, until, tries: TRIES, used: None };
        self.offers.insert(code.name, offer);
        if self.ends.len() >= 2 * MOST {
            // Those of places that asked for another one since.
            let offers = &self.offers;
            self.ends.retain(|(until, name)| offers.get(name).is_some_and(|offer| offer.until == *until));
        }
        self.ends.push_back((until, code.name));
        Ok(())
    }

    /// The ticket whose code this is, and whether the same use was made of it before: the answer may have been
    /// lost. It is used now.
    ///
    /// # Errors
    /// [`NoCode`]; a wrong secret costs the name a try.
    pub fn take(&mut self, code: Code, mark: Option<Mark>, now: Moment) -> Result<(Claims, bool), NoCode> {
        self.forget_old(now);
        let offer = self.offers.get_mut(&code.name).ok_or(NoCode)?;
        if offer.secret != code.secret {
            offer.tries -= 1;
            if offer.tries == 0 {
                self.remove(code.name);
            }
            return Err(NoCode);
        }
        match offer.used {
            None => {
                offer.used = Some(mark);
                Ok((offer.ticket, false))
            }
            Some(used) if mark.is_some() && used == mark => Ok((offer.ticket, true)),
            Some(_) => Err(NoCode),
        }
    }

    /// Nothing came of the use of a code: it can be used again.
    pub fn give_back(&mut self, code: Code) {
        if let Some(offer) = self.offers.get_mut(&code.name).filter(|offer| offer.secret == code.secret) {
            offer.used = None;
        }
    }

    fn forget_old(&mut self, now: Moment) {
        while let Some((_, name)) = self.ends.pop_front_if(|(until, _)| *until <= now) {
            // The name may be another code's by now.
            if self.offers.get(&name).is_some_and(|offer| offer.until <= now) {
                self.remove(name);
            }
        }
    }

    fn remove(&mut self, name: u32) {
        let Some(offer) = self.offers.remove(&name) else { return };
        let place = offer.ticket.written_number();
        if self.places.get(&place) == Some(&name) {
            self.places.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::admission::UnixTime;
    use crate::admission::ticket::{Kind, RoomId};

    fn ticket(number: u64) -> Claims {
        let (room, time) = (RoomId(1), UnixTime(1_000));
        Claims { kind: Kind::Ticket, room, epoch: 1, number, index: None, time, id: [7; 16], moves: 0 }
    }

    fn code(name: u32, secret: u64) -> Code {
        Code { name, secret }
    }

    fn at(seconds: u64) -> Moment {
        Moment::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_code_counts_once_for_five_minutes_and_the_last_of_a_place_alone() {
        let mut codes = Handoffs::default();
        codes.offer(&ticket(4), code(1, 10), at(0)).unwrap();
        assert_eq!(codes.offer(&ticket(5), code(1, 11), at(0)), Err(NotGiven::NameTaken));
        codes.offer(&ticket(4), code(2, 20), at(1)).unwrap();
        assert_eq!(codes.take(code(1, 10), None, at(2)), Err(NoCode), "another was given since");
        assert_eq!(codes.take(code(2, 20), Some(9), at(2)), Ok((ticket(4), false)));
        assert_eq!(codes.take(code(2, 20), Some(9), at(3)), Ok((ticket(4), true)), "the answer was lost");
        for other in [None, Some(8)] {
            assert_eq!(codes.take(code(2, 20), other, at(3)), Err(NoCode), "somebody else");
        }
        codes.give_back(code(2, 20));
        assert_eq!(codes.take(code(2, 20), None, at(4)), Ok((ticket(4), false)));
        assert_eq!(codes.take(code(2, 20), None, at(4)), Err(NoCode), "nobody can say that it was the same");
        codes.offer(&ticket(6), code(3, 30), at(10)).unwrap();
        codes.offer(&ticket(7), code(4, 40), at(11)).unwrap();
        assert_eq!(codes.take(code(3, 30), None, at(310)), Err(NoCode), "it is over");
        assert_eq!(codes.take(code(4, 40), None, at(310)), Ok((ticket(7), false)));
        codes.offer(&ticket(8), code(3, 31), at(320)).unwrap();
        assert_eq!(codes.take(code(3, 31), None, at(619)), Ok((ticket(8), false)), "the name is free again");
        codes.forget_old(at(9_999));
        assert!(codes.offers.is_empty() && codes.places.is_empty() && codes.ends.is_empty());
    }

    #[test]
    fn after_five_wrong_tries_a_code_is_over_and_others_are_not() {
        let mut codes = Handoffs::default();
        codes.offer(&ticket(4), code(1, 10), at(0)).unwrap();
        codes.offer(&ticket(5), code(2, 20), at(0)).unwrap();
        for wrong in 0..5 {
            assert_eq!(codes.take(code(1, wrong), None, at(1)), Err(NoCode));
            assert_eq!(codes.take(code(9, wrong), None, at(1)), Err(NoCode));
        }
        assert_eq!(codes.take(code(1, 10), None, at(1)), Err(NoCode));
        assert_eq!(codes.take(code(2, 20), None, at(1)), Ok((ticket(5), false)));
        codes.offer(&ticket(4), code(1, 10), at(2)).unwrap();
        for wrong in 0..4 {
            assert_eq!(codes.take(code(1, wrong), None, at(2)), Err(NoCode));
        }
        assert_eq!(codes.take(code(1, 10), None, at(2)), Ok((ticket(4), false)), "four are not five");
    }

    #[test]
    fn there_are_so_many_and_no_more_and_those_that_are_over_make_room() {
        let mut codes = Handoffs::default();
        for name in 0..u32::try_from(MOST).unwrap() {
            codes.offer(&ticket(name.into()), code(name, 1), at(0)).unwrap();
        }
        assert_eq!(codes.offer(&ticket(1 << 30), code(NAMES - 1, 1), at(299)), Err(NotGiven::Full));
        codes.offer(&ticket(7), code(NAMES - 2, 1), at(299)).expect("whoever has one gets another");
        codes.offer(&ticket(1 << 30), code(NAMES - 1, 1), at(300)).expect("they are over");
        assert_eq!(codes.offers.len(), 2);
        for name in 0..u32::try_from(MOST * 3).unwrap() {
            codes.offer(&ticket(7), code(name, 1), at(301)).expect("it has one at a time");
        }
        assert!(codes.ends.len() <= 2 * MOST, "those that it had before are forgotten in time");
    }

    proptest! {
        /// Whatever is asked and typed: a code gives its ticket at most once, in time, and to its secret alone.
        #[test]
        fn nobody_has_a_place_twice(steps in prop::collection::vec((0u32..4, 0u64..3, 0u64..6, any::<bool>(), 0u64..120), 1..200)) {
            let (mut codes, mut now) = (Handoffs::default(), 0);
            let mut given: BTreeMap<u32, (u64, u64, u64)> = BTreeMap::new();
            for (name, secret, place, asks, pause) in steps {
                now += pause;
                if asks {
                    if codes.offer(&ticket(place), code(name, secret), at(now)).is_ok() {
                        given.retain(|_, (_, of, _)| *of != place);
                        given.insert(name, (secret, place, now));
                    }
                    continue;
                }
                if let Ok((got, again)) = codes.take(code(name, secret), None, at(now)) {
                    let (right, of, since) = given.remove(&name).expect("it was given and not used");
                    prop_assert!(!again && right == secret && got == ticket(of) && now < since + 300);
                }
            }
        }
    }
}
