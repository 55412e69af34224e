//! A place moves to another device: a short code is given to whoever holds it, and typed there.
//!
//! It moves and is not copied: from then on the ticket of the first device counts for nothing. Until the code is
//! used that device keeps the place, and the answer that was lost can be asked for again by whoever says the
//! same word with the code.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;

use super::answers::{Why, json_answer};
use super::form::Form;
use super::tries::Tries;
use super::{Visit, own};
use crate::admission::Refusal;
use crate::admission::handoff::{Code, LASTS, Mark, NoCode, NotGiven};
use crate::admission::moves::NotMoved;
use crate::admission::room::Claim;
use crate::admission::ticket::Claims;
use crate::pages::{Moving, PlaceState, Reason};
use crate::proxy::body::Answer;
use crate::proxy::headers::{cookie, set_cookie};
use crate::proxy::letters::Letters;
use crate::proxy::person;
use crate::proxy::record::Record;
use crate::proxy::refuse;

/// Programs show the code in this header.
pub(super) const HEADER: &str = "tornello-handoff";
/// And in this one a word of their own, by which they can ask again whose answer was lost.
pub(super) const TRY_HEADER: &str = "tornello-try";
/// Longest such word that counts.
const TRY_MAX: usize = 64;
/// Four letters name a code, eight are its secret, and by the last one a slip is found.
const LETTERS: usize = 13;
const NAME: usize = 4;
/// After so many letters stands a hyphen.
const HYPHENS: [usize; 2] = [4, 8];
/// Whatever is typed that is shorter is one of these, and no ticket.
const TYPED_MAX: usize = 40;
/// So many names are tried, of which one in ten may be taken.
const NAMES_TRIED: usize = 8;

/// Wrong codes. Each code allows five of its own beside.
const TYPED: Tries = Tries::of_codes(0x6861_6e64_6f66_665f);
/// Codes that are given to one holder of a ticket.
const ASKED: Tries = Tries {
    salt: 0x6861_6e64_6f66_6631,
    one: (Duration::from_secs(3), 20),
    network: (Duration::from_millis(100), 1_000),
};

/// Why no place comes by that.
#[derive(Debug)]
pub(super) enum NoArrival {
    /// It is no code.
    Misread,
    /// It was never given, or is over, or was used.
    Unknown,
    /// The place is one of somebody who has signed in, and this is not them.
    Foreign,
    /// Too many were none.
    TooOften(Refusal),
    /// Who is here is told by an invitation, which is typed instead.
    Invited,
    /// No word came with it.
    Wordless,
    /// It cannot be written down at the moment, or another device is asking for it.
    NotKept,
}

/// What was not kept in time may be after a kill: then the word tells whose it is.
const ASK_AGAIN: &str =
    "It could not be written down in time; ask again with the same code and the same word.";

const INVITED: Why<'_> =
    (StatusCode::CONFLICT, "handoff_invited", "Type your invitation on the other device");

/// What somebody typed is no ticket, but may be a code of these.
pub(super) fn is_short(typed: &str) -> bool {
    !typed.is_empty() && typed.len() < TYPED_MAX
}

fn code(letters: &Letters<LETTERS>) -> Code {
    let value = |some: &[u8]| some.iter().fold(0, |value, letter| value << 5 | u64::from(*letter));
    let (name, rest) = letters.letters().split_at(NAME);
    let secret = rest.split_last().map_or(0, |(_, secret)| value(secret));
    Code { name: u32::try_from(value(name)).unwrap_or_default(), secret }
}

impl Visit<'_> {
    /// A code by which the place can be moved.
    pub(super) fn hand_off(&mut self, form: Option<&Form>, record: Record) -> Response<Answer> {
        let Some(ticket) = self.who.ticket else { return self.no_ticket(form, record) };
        if self.stand(ticket).claim == Claim::Done {
            return self.not_given(form, (StatusCode::GONE, "done", "This number was used"), record);
        }
        if self.room.settings.invites {
            return self.not_given(form, INVITED, record);
        }
        // Whoever else is behind this address has their own.
        let holder = || self.proxy.event.keyed(ticket.user_key());
        let whose = self.who.person.map_or_else(holder, |person| person.user());
        if let Err(refusal) = self.pay_as(whose.0, &ASKED) {
            return refuse::refuse(self.live, &refusal, self.asked, record);
        }
        let too_often = self.room.line.at_last(ticket).moves == u8::MAX;
        let given = if too_often { None } else { self.give_code(&ticket) };
        let Some(text) = given else {
            let full =
                (StatusCode::SERVICE_UNAVAILABLE, "handoff_full", "No code can be given at the moment");
            return self.not_given(form, full, record);
        };
        if form.is_some() {
            self.moving = Some(Moving::Code(text));
            return self.place_of(form, record);
        }
        let body =
            json!({ "room": self.room.line.name, "code": text, "expires_in_ms": super::millis(LASTS) });
        own(record, "handoff", json_answer(StatusCode::CREATED, &body))
    }

    fn give_code(&self, ticket: &Claims) -> Option<String> {
        for _ in 0..NAMES_TRIED {
            let random = self.proxy.random_id();
            let letters = Letters::<LETTERS>::new(random.first_chunk()?);
            match self.room.line.handoffs(|codes| codes.offer(ticket, code(&letters), self.now)) {
                Ok(()) => return Some(letters.text(&HYPHENS)),
                Err(NotGiven::NameTaken) => {}
                Err(NotGiven::Full) => return None,
            }
        }
        None
    }

    fn not_given(&self, form: Option<&Form>, why: Why<'_>, record: Record) -> Response<Answer> {
        if form.is_some() { self.place_of(form, record) } else { self.refusal(why, record) }
    }

    /// A code was typed here: its place comes to this device.
    pub(super) async fn arrive(
        &mut self,
        typed: &str,
        word: Option<&str>,
        form: Option<&Form>,
        record: Record,
    ) -> Response<Answer> {
        let ticket = match self.take_over(typed, word).await {
            Ok(ticket) => ticket,
            Err(why) => return self.no_arrival(&why, form, record),
        };
        (self.who.ticket, self.who.moved) = (Some(ticket), false);
        if person::settle(self.proxy, self.room, &mut self.who, None, self.now)
            && !(self.place_kept().await && self.room.line.ends_kept().await)
        {
            return self.no_arrival(&NoArrival::NotKept, form, record);
        }
        let ticket = self.who.ticket.unwrap_or(ticket);
        self.coded = form.is_some();
        let standing = self.stand(ticket);
        let mut answer = match form {
            Some(_) => self.place_with(form, Some(&standing), record),
            None => own(record, "arrived", self.told(StatusCode::OK, &standing)),
        };
        let token = self.proxy.ring.sign(&ticket);
        let cookie = cookie("ticket", &self.room.line.name, &token, self.asked.secure);
        set_cookie(answer.headers_mut(), &cookie);
        answer
    }

    async fn take_over(&mut self, typed: &str, word: Option<&str>) -> Result<Claims, NoArrival> {
        if self.room.settings.invites {
            return Err(NoArrival::Invited);
        }
        let letters = Letters::<LETTERS>::read(typed).map_err(|_| NoArrival::Misread)?;
        let word = word.filter(|word| !word.is_empty() && word.len() <= TRY_MAX);
        let word = word.ok_or(NoArrival::Wordless)?;
        let paid = self.pay(&TYPED).map_err(NoArrival::TooOften)?;
        let bytes = [b"tornello-handoff-v1", letters.letters().as_slice(), word.as_bytes()].concat();
        // Zero stands for none where it is kept.
        let mark: Mark = self.proxy.event.digest(&bytes).max(1);
        let (line, unix) = (&self.room.line, self.proxy.clock.unix());
        match line.handoffs(|codes| codes.take(code(&letters), Some(mark), self.now)) {
            Ok((ticket, again)) => {
                // Before the disk is waited for: it was no guess.
                self.give_back(&paid);
                let ticket = line.resolve(ticket);
                let last = line.at_last(ticket);
                match last.moves.checked_sub(ticket.moves) {
                    Some(0) => self.move_here(ticket, code(&letters), mark).await,
                    Some(1) if again => Ok(last),
                    _ => Err(NoArrival::Unknown),
                }
            }
            Err(NoCode) => {
                let found = line.unanswered(mark, unix).ok_or(NoArrival::Unknown)?;
                self.give_back(&paid);
                Ok(found)
            }
        }
    }

    /// A place of somebody who has signed in is theirs on every device, and nobody else's.
    async fn move_here(&mut self, ticket: Claims, code: Code, mark: Mark) -> Result<Claims, NoArrival> {
        let line = &self.room.line;
        let moved = match line.move_place(&ticket, Some(mark), self.proxy.clock.unix()).await {
            Ok(moved) => Ok(moved),
            Err(NotMoved::Held) => {
                person::look(self.room, &mut self.who, &self.proxy.event);
                let mine = self.who.ticket.filter(|_| self.who.person.is_some());
                let mine = mine.filter(|mine| person::is_same(mine, &ticket));
                mine.ok_or(NoArrival::Foreign)
            }
            Err(NotMoved::Gone) => Err(NoArrival::Unknown),
            Err(NotMoved::Busy | NotMoved::NotKept | NotMoved::TooOften) => Err(NoArrival::NotKept),
        };
        if matches!(moved, Err(NoArrival::Foreign | NoArrival::NotKept)) {
            line.handoffs(|codes| codes.give_back(code));
        }
        moved
    }

    fn no_arrival(&mut self, why: &NoArrival, form: Option<&Form>, record: Record) -> Response<Answer> {
        let (status, reason, title, moving) = match why {
            NoArrival::TooOften(refusal) => return refuse::refuse(self.live, refusal, self.asked, record),
            NoArrival::NotKept => {
                return refuse::problem(self.live, self.asked, record, Reason::Held, Some(ASK_AGAIN));
            }
            NoArrival::Invited if form.is_some() && self.who.ticket.is_none() => {
                return self.place_in((PlaceState::Invited, 0), form, None, record);
            }
            NoArrival::Invited => return self.not_given(form, INVITED, record),
            NoArrival::Wordless => {
                let title =
                    "Send a word of your own in Tornello-Try: by it the answer can be asked for again";
                return self.not_given(
                    form,
                    (StatusCode::UNPROCESSABLE_ENTITY, "handoff_wordless", title),
                    record,
                );
            }
            NoArrival::Misread => {
                let title = "This is no code: a letter is wrong or missing";
                (StatusCode::UNPROCESSABLE_ENTITY, "handoff_misread", title, Moving::Misread)
            }
            NoArrival::Unknown => {
                let title = "This code is over; ask for another one where the place is";
                (StatusCode::NOT_FOUND, "handoff_unknown", title, Moving::Unknown)
            }
            NoArrival::Foreign => {
                let title = "This place is of somebody who has signed in; sign in to find it";
                (StatusCode::FORBIDDEN, "handoff_foreign", title, Moving::Foreign)
            }
        };
        if form.is_some() {
            self.moving = Some(moving);
            return self.place_of(form, record);
        }
        self.refusal((status, reason, title), record)
    }

    /// The ticket that is shown was good until its place moved.
    pub(super) fn has_moved(&self) -> bool {
        let left =
            self.who.ticket.is_some() || self.who.pass.is_some() || person::counts(self.room, &self.who);
        self.who.moved && !left
    }

    /// Says so.
    pub(super) fn moved(&self, form: Option<&Form>, record: Record) -> Response<Answer> {
        if form.is_some() {
            return self.place_in((PlaceState::Moved, 0), form, None, record);
        }
        let title = "Your place has moved to another device";
        let told = self.refusal((StatusCode::GONE, "moved", title), record);
        if self.by_field { told } else { self.forget(told) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::handoff::{NAMES, SECRETS};

    #[test]
    fn all_letters_of_a_code_count_and_it_has_40_bits_of_secret() {
        let of = |random: [u8; LETTERS]| code(&Letters::new(&random));
        let most = of([31; LETTERS]);
        assert_eq!((most.name, most.secret), (NAMES - 1, SECRETS - 1));
        assert_eq!((of([0; LETTERS]).name, of([0; LETTERS]).secret), (0, 0));
        for at in 0..LETTERS - 1 {
            let mut random = [7; LETTERS];
            random[at] = 8;
            let (one, other) = (of([7; LETTERS]), of(random));
            assert_eq!((one.name != other.name, one.secret != other.secret), (at < NAME, at >= NAME));
        }
        assert_eq!(Letters::<LETTERS>::new(&[1; LETTERS]).text(&HYPHENS).len(), 15);
        assert!(is_short("ABCD-EFGH-JKMNP") && !is_short("") && !is_short(&"a".repeat(79)));
    }
}
