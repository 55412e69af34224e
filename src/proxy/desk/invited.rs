//! Whoever joins a room that asks for a code says it here. Guessing is bounded, and a slip is no guess.

use http::{Response, StatusCode};

use super::Visit;
use super::form::Form;
use super::tries::Tries;
use crate::admission::Refusal;
use crate::pages::PlaceState;
use crate::proxy::body::Answer;
use crate::proxy::invitation::Uninvited;
use crate::proxy::record::Record;
use crate::proxy::refuse;

/// Programs show their code in this header.
pub(super) const HEADER: &str = "tornello-invitation";
/// Wrong codes. One in 2^65 is a code: of a million invitations one is found after 10^13 guesses, and ten thousand
/// networks make a hundred thousand a second at most. There is no bound for all together, which would keep out the invited.
const TRIES: Tries = Tries::of_codes(0x696e_7669_7465_5f31);

/// Why nobody joins by that.
#[derive(Debug)]
pub(super) enum Outside {
    /// No code was shown.
    Asked,
    /// What was shown is no code.
    Misread,
    /// It is none of the list.
    Unknown,
    /// Too many codes were none.
    TooOften(Refusal),
}

impl Outside {
    /// The word in JSON and logs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Asked => "no_invitation",
            Self::Misread => "invitation_misread",
            Self::Unknown => "invitation_unknown",
            Self::TooOften(_) => "over_quota",
        }
    }

    /// What the page says.
    pub(super) fn page(&self) -> PlaceState {
        match self {
            Self::Misread => PlaceState::Misread,
            Self::Unknown => PlaceState::Uninvited,
            Self::Asked | Self::TooOften(_) => PlaceState::Invited,
        }
    }
}

impl Visit<'_> {
    /// Nothing else says who this is, and a code would.
    pub(super) fn asks_for_code(&self) -> bool {
        self.who.person.is_none() && self.live.invitations.is_some()
    }

    /// Whoever shows a code of the list is the person whom it names.
    pub(super) fn let_in_by_code(&mut self, text: &str) -> Result<(), Outside> {
        let Some(invitations) = &self.live.invitations else { return Err(Outside::Asked) };
        let paid = self.pay(&TRIES).map_err(Outside::TooOften)?;
        let found = invitations.person(text, &self.proxy.event);
        if found != Err(Uninvited::Unknown) {
            self.give_back(&paid);
        }
        match found {
            Ok(person) => {
                (self.who.person, self.who.user, self.who.shared) = (Some(person), person.user(), false);
                Ok(())
            }
            Err(Uninvited::Misread) => Err(Outside::Misread),
            Err(Uninvited::Unknown) => Err(Outside::Unknown),
        }
    }

    /// Says so, and asks for a code.
    pub(super) fn outside(&self, outside: &Outside, form: Option<&Form>, record: Record) -> Response<Answer> {
        if let Outside::TooOften(refusal) = outside {
            return refuse::refuse(self.live, refusal, self.asked, record);
        }
        if form.is_some() {
            return self.place_in((outside.page(), 0), form, None, record);
        }
        let (status, title) = match outside {
            Outside::Misread => {
                (StatusCode::UNPROCESSABLE_ENTITY, "This is no code: a letter is wrong or missing")
            }
            Outside::Unknown => (StatusCode::FORBIDDEN, "Nobody is invited by this code"),
            Outside::Asked | Outside::TooOften(_) => {
                (StatusCode::FORBIDDEN, "A place needs the code of an invitation")
            }
        };
        self.refusal((status, outside.word(), title), record)
    }
}
