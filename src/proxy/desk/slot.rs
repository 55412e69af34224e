//! Times to come back at: what is offered, what was taken, and its entry for a calendar.

use std::time::Duration;

use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answers::{json_answer, problem_answer};
use super::form::Form;
use super::{NOT_DURABLE, Standing, Visit, millis, own};
use crate::admission::UnixTime;
use crate::admission::lane::place;
use crate::admission::passes::PassId;
use crate::admission::room::{Claim, Room};
use crate::admission::slots::Slot;
use crate::admission::ticket::Claims;
use crate::config::quiet;
use crate::pages::{CalendarFacts, Language, Reason, ReturnPath, SlotTimes, query_value};
use crate::proof::hex;
use crate::proxy::body::Answer;
use crate::proxy::record::Record;
use crate::proxy::refuse;

/// Whoever has a slot need not ask before it; who does, is asked to come again in time.
const POLL_MAX_MS: u64 = 3_600_000;

/// The slot of a place: taken, or to be had.
#[derive(Clone, Copy, Debug)]
pub(super) enum PlaceSlot {
    /// It is there for the asking.
    Offered(Slot),
    /// Its holder may go away.
    Taken(Slot),
}

impl PlaceSlot {
    fn slot(self) -> Slot {
        match self {
            Self::Offered(slot) | Self::Taken(slot) => slot,
        }
    }
}

impl Standing {
    /// It has a slot and is not up yet.
    pub(super) fn is_away(&self) -> bool {
        let waits = matches!(self.claim, Claim::Waiting { .. }) && !self.called;
        waits && matches!(self.slot, Some(PlaceSlot::Taken(_)))
    }
}

impl Visit<'_> {
    /// The slot of a ticket, if it has one or may have one.
    pub(super) fn slot_of(&self, ticket: &Claims) -> Option<PlaceSlot> {
        let pass = ticket.pass(&self.proxy.ring, ticket.time);
        self.room.line.with(|line| self.slot_in(line, ticket.number, &pass.id))
    }

    /// The same, where the room is at hand.
    pub(super) fn slot_in(&self, line: &Room, number: u64, pass: &PassId) -> Option<PlaceSlot> {
        let taken = line.slot(number, self.now).map(PlaceSlot::Taken);
        taken.or_else(|| {
            let (policy, slots) = (&self.room.settings.policy, &self.room.settings.slots);
            let offer =
                slots.offer.then(|| line.slot_offer(policy, &slots.rule, number, pass, self.now)).flatten();
            offer.map(PlaceSlot::Offered)
        })
    }

    /// A slot is taken. Asked twice, it is the same. Whoever says which one was `shown`, and would get one
    /// at quite another time by now, gets none, and is shown that.
    pub(super) async fn take_slot(
        &self,
        form: Option<&Form>,
        shown: Option<u64>,
        record: Record,
    ) -> Response<Answer> {
        let Some(ticket) = self.who.ticket else {
            return match form {
                Some(form) => own(record, "no_ticket", self.to_place(form)),
                None => refuse::problem(self.live, self.asked, record, Reason::NoTicket, None),
            };
        };
        let (settings, number) = (&self.room.settings, ticket.number);
        let pass = ticket.pass(&self.proxy.ring, ticket.time);
        let fits = |slot: Slot| {
            shown.is_none_or(|shown| is_near(shown, self.times_ms(slot).0, settings.slots.rule.length))
        };
        // Nobody pays for what is not given, and nothing is given that was not paid for.
        let pays = matches!(self.slot_of(&ticket), Some(PlaceSlot::Offered(slot)) if fits(slot));
        if pays && let Err(refusal) = self.pay_for_slot() {
            return refuse::refuse(self.live, &refusal, self.asked, record);
        }
        let (slot, other) = self.room.line.with(|line| {
            let (policy, slots) = (&settings.policy, &settings.slots);
            if let Some(PlaceSlot::Offered(slot)) = self.slot_in(line, number, &pass.id)
                && !fits(slot)
            {
                (None, Some(slot))
            } else if slots.offer && pays {
                (line.take_slot(policy, &slots.rule, number, &pass.id, self.now), None)
            } else {
                (line.slot(number, self.now), None)
            }
        });
        if slot.is_some() && !self.room.line.slots_kept().await {
            return refuse::problem(self.live, self.asked, record, Reason::Held, Some(NOT_DURABLE));
        }
        let room = &self.room.line.name;
        match (form, slot) {
            (Some(form), _) if self.coded => self.place_of(Some(form), record),
            (Some(form), _) => own(record, "slot", self.to_place(form)),
            (None, Some(slot)) => {
                let slot = self.told_slot(PlaceSlot::Taken(slot));
                let body = json!({ "room": room, "state": "slot", "number": place(number), "slot": slot });
                own(record, "slot", json_answer(StatusCode::OK, &body))
            }
            (None, None) => {
                let (reason, title) = match other {
                    Some(_) => ("slot_moved", "The time to book is another one by now"),
                    None => ("no_slot", "There is no time to book at the moment"),
                };
                let slot = other.map(|slot| self.told_slot(PlaceSlot::Offered(slot)));
                let body = json!({
                    "type": "about:blank", "title": title, "status": 409, "reason": reason, "room": room,
                    "slot": slot,
                });
                own(record, reason, problem_answer(StatusCode::CONFLICT, &body))
            }
        }
    }

    /// The slot as an entry for a calendar.
    ///
    /// It leads back to where its link says, else to the page that the link was on.
    pub(super) fn calendar(
        &self,
        page: Option<ReturnPath>,
        form: Option<&Form>,
        record: Record,
    ) -> Response<Answer> {
        let ticket = self.who.ticket;
        let Some((ticket, PlaceSlot::Taken(slot))) =
            ticket.and_then(|ticket| Some((ticket, self.slot_of(&ticket)?)))
        else {
            if self.has_moved() {
                return self.moved(form, record);
            }
            return refuse::problem(self.live, self.asked, record, Reason::NoTicket, None);
        };
        let query = self.asked.query.as_deref().unwrap_or_default();
        let back = || query_value(query, "return").and_then(|path| ReturnPath::parse(&path));
        let back = form.map(|form| form.back.clone()).or_else(back).or(page).unwrap_or_default();
        let named = || query_value(query, "lang").and_then(|tag| Language::from_tag(&tag));
        let language = form.and_then(|form| form.language).or_else(named).unwrap_or(self.asked.language);
        let (scheme, host) = (if self.asked.secure { "https" } else { "http" }, &self.asked.host);
        let port = self.asked.port.map_or_else(String::new, |port| format!(":{port}"));
        let mut uid = Sha256::new();
        uid.update(b"tornello-slot-v1");
        uid.update(ticket.room.0.to_le_bytes());
        uid.update(ticket.id);
        let uid = uid.finalize();
        let facts = CalendarFacts {
            title: &self.room.settings.title,
            uid: &format!("{}@tornello", hex(uid.get(..16).unwrap_or_default())),
            times_ms: self.times_ms(slot),
            now_ms: self.proxy.clock.unix().0,
            url: &format!("{scheme}://{host}{port}{}", back.as_str()),
            language,
        };
        let entry = self.live.pages.calendar(&facts);
        own(record, "calendar", entry.map(|body| Answer::Own(Some(body))))
    }

    /// What programs are told of a slot, by the clock of the wall.
    pub(super) fn told_slot(&self, slot: PlaceSlot) -> Value {
        let (from_ms, until_ms) = self.times_ms(slot.slot());
        let taken = matches!(slot, PlaceSlot::Taken(_));
        json!({ "state": if taken { "taken" } else { "offered" }, "from_ms": from_ms, "until_ms": until_ms })
    }

    /// What people without scripts are told of a slot, by the clocks of the room's zone.
    pub(super) fn written_slot(&self, slot: PlaceSlot) -> SlotTimes {
        let (from_ms, until_ms) = self.times_ms(slot.slot());
        SlotTimes {
            from: self.written(UnixTime(from_ms)),
            until: self.written_with_zone(UnixTime(until_ms)),
            taken: matches!(slot, PlaceSlot::Taken(_)),
            from_ms,
        }
    }

    /// A time by the clocks of the room's zone, with its day if that is not today.
    fn written(&self, time: UnixTime) -> String {
        let zone = &self.room.settings.slots.zone;
        let at = |UnixTime(ms)| {
            let moment = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            moment.unwrap_or_default().to_zoned(zone.clone())
        };
        let (today, time) = (at(self.proxy.clock.unix()).date(), at(time));
        let format = if time.date() == today { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        time.strftime(format).to_string()
    }

    /// The same, with the zone.
    pub(super) fn written_with_zone(&self, time: UnixTime) -> String {
        let zone = self.room.settings.slots.zone.iana_name().unwrap_or_default();
        format!("{} ({zone})", self.written(time))
    }

    /// How long whoever has a slot may stay away.
    pub(super) fn away_ms(&self, slot: PlaceSlot) -> u64 {
        let least = millis(self.room.settings.policy.poll.min);
        millis(slot.slot().from).clamp(least, POLL_MAX_MS.max(least))
    }

    fn times_ms(&self, slot: Slot) -> (u64, u64) {
        let (now, quiet) = (self.proxy.clock.unix(), &self.room.settings.quiet);
        (quiet::over(quiet, now, slot.from).0, quiet::over(quiet, now, slot.until).0)
    }
}

/// A slot begins about when its taker was shown: at most as much earlier or later as it is long.
fn is_near(shown_ms: u64, begins_ms: u64, length: Duration) -> bool {
    shown_ms.abs_diff(begins_ms) <= millis(length)
}
