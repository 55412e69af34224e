//! Templates of an operator are proved before anybody sees them: every page that is made only when
//! somebody asks is made once, in each language and state.

use std::time::Duration;

use http::StatusCode;

use super::language::Language;
use super::place::{self, CallMinutes, PlaceFacts, PlaceState, SlotTimes, Standstill};
use super::return_path::ReturnPath;
use super::rules::RuleFacts;
use super::status::{Health, RoomStatus, StatusFacts};
use super::waiting::RoomPage;
use super::{Coding, Pages};

/// Most bytes of a compressed waiting page: it shall come in one flight.
const FLIGHT: usize = 14_000;
const STATES: [PlaceState; 18] = [
    PlaceState::Waiting,
    PlaceState::Prequeue,
    PlaceState::Late,
    PlaceState::Slot,
    PlaceState::Called,
    PlaceState::NoCookies,
    PlaceState::FrontRow,
    PlaceState::Admitted,
    PlaceState::Done,
    PlaceState::Left,
    PlaceState::UsedCode,
    PlaceState::Moved,
    PlaceState::Invited,
    PlaceState::Misread,
    PlaceState::Uninvited,
    PlaceState::Unknown,
    PlaceState::SoldOut,
    PlaceState::Ended,
];

pub(super) fn every_page(pages: &Pages, rooms: &[RoomPage]) -> Result<(), String> {
    let invented = RoomPage {
        name: "room".into(),
        title: "Room".into(),
        messages: [("it".to_owned(), "Messaggio".to_owned())].into(),
        status: StatusCode::OK,
        lanes: false,
        asks: false,
        invites: false,
        slots: None,
        idle: Duration::from_secs(600),
    };
    for language in Language::all() {
        for room in rooms {
            let zipped =
                pages.waiting.page(&room.name, language, Coding::Gzip).map_or(0, |page| page.body.len());
            if zipped > FLIGHT {
                let tag = language.tag();
                return Err(format!("the waiting page ({tag}) is {zipped} bytes compressed, above {FLIGHT}"));
            }
        }
        for state in STATES {
            place(pages, &invented, state, language)?;
        }
        let room = || RoomStatus { title: "Room", state: "held", reason: Some("operator"), waiting: 2 };
        for health in [Health::Up, Health::Down] {
            pages.status(&StatusFacts { health, rooms: vec![room()], time: "10:03".into(), language })?;
        }
        pages.rules(&RuleFacts {
            room: "room",
            title: "Room",
            call: Duration::from_secs(600),
            idle: Duration::from_secs(600),
            session: Duration::from_secs(3600),
            extensions: 10,
            seats: (1, 1000),
            poll: (Duration::from_secs(5), Duration::from_secs(120)),
            slots: Some((Duration::from_secs(900), Duration::from_secs(1_800))),
            quiet: "22:00-07:00 Europe/Rome",
            person: true,
            lanes: &[],
            lots: true,
            language,
        })?;
    }
    Ok(())
}

fn place(pages: &Pages, room: &RoomPage, state: PlaceState, language: Language) -> Result<(), String> {
    for (standstill, taken) in
        [(None, false), (Some(Standstill::Operator), true), (Some(Standstill::Draw), true)]
    {
        let slot = SlotTimes { from: "10:37".into(), until: "11:07 (UTC)".into(), taken, from_ms: 0 };
        let facts = PlaceFacts {
            room: &room.name,
            state,
            number: 2,
            lane: None,
            ahead: 1,
            wait: None,
            call: Some(CallMinutes { minutes: 2, more: true }),
            visit: Some(CallMinutes { minutes: 2, more: true }),
            slot: Some(&slot),
            code: None,
            standstill,
            redraw: Some("11:07 (UTC)"),
            opens_in: Some(2),
            time: Some("10:03"),
            moving: None,
            word: "w",
            back: &ReturnPath::default(),
            language,
        };
        place::render(&pages.layout, Some(room), &facts)?;
    }
    Ok(())
}
