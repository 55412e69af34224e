//! The place page: where one person stands, for browsers without JavaScript. Personal, so never
//! stored; it does not reload itself, because nobody could stop it.

use bytes::Bytes;
use http::{Response, StatusCode};
use minijinja::context;

use super::estimate::Estimate;
use super::language::Language;
use super::layout::{Layout, Page, Switch};
use super::prepared::{Prepared, page_headers};
use super::return_path::{ReturnPath, encoded, place_link};
use super::text::{Texts, value};
use super::waiting::RoomPage;

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceState {
    /// In the line.
    Waiting,
    /// Among those whose order will be drawn.
    Prequeue,
    /// Was called and did not come; will be called again.
    Late,
    /// Has chosen a later time.
    Slot,
    /// May claim.
    Called,
    /// May claim, but asked to go in from a browser that keeps no cookies: a seat would be used up by nobody.
    NoCookies,
    /// Has claimed; the next free seat.
    FrontRow,
    /// Holds a pass.
    Admitted,
    /// The pass is over.
    Done,
    /// No valid ticket came with the request.
    Unknown,
    /// The place was just given up.
    Left,
    /// A code was shown, by a browser that has no other place, whose number is used or given up.
    UsedCode,
    /// The place has moved to another device, and this one has it no more.
    Moved,
    /// Only whoever is invited has a place: the code is asked for.
    Invited,
    /// The same, and what was typed is no code.
    Misread,
    /// The same, and nobody is invited by what was typed.
    Uninvited,
    /// Nothing is left of what people wait for.
    SoldOut,
    /// The room is over.
    Ended,
}

/// Why the line stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// The operator holds it.
    Operator,
    /// The upstream does not answer.
    Upstream,
    /// What people need on the way does not answer.
    Dependency,
    /// We are recovering.
    Recovery,
    /// The draw is awaited.
    Draw,
    /// Nobody is called at this hour.
    Quiet,
}

/// How long a call stands, or a visit may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallMinutes {
    /// Whole minutes that are left.
    pub minutes: u64,
    /// It can be extended.
    pub more: bool,
}

/// A time to come back at, written for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTimes {
    /// It begins.
    pub from: String,
    /// It ends, by the clocks of the zone that is named.
    pub until: String,
    /// Its holder has it; else it is offered.
    pub taken: bool,
    /// It begins, in milliseconds since 1970: what is taken shall be what was shown.
    pub from_ms: u64,
}

/// What the place page shows.
#[derive(Clone, Copy, Debug)]
pub struct PlaceFacts<'a> {
    /// The room's name.
    pub room: &'a str,
    /// Where the ticket stands.
    pub state: PlaceState,
    /// Its number.
    pub number: u64,
    /// Its lane, where there are several.
    pub lane: Option<&'a str>,
    /// People in front.
    pub ahead: u64,
    /// The wait, if it is known.
    pub wait: Option<Estimate>,
    /// The time of the call, if the number is called.
    pub call: Option<CallMinutes>,
    /// The time of the visit, if the holder is inside.
    pub visit: Option<CallMinutes>,
    /// The time to come back at, taken or offered.
    pub slot: Option<&'a SlotTimes>,
    /// The code of the place, for browsers without cookies; empty where there is none yet. `None` for others.
    pub code: Option<&'a str>,
    /// Why nobody goes in, if so.
    pub standstill: Option<Standstill>,
    /// When another draw is decided, the first one being void, written for people.
    pub redraw: Option<&'a str>,
    /// Minutes to the opening, before it.
    pub opens_in: Option<u64>,
    /// The time of these facts, written for people.
    pub time: Option<&'a str>,
    /// What came of moving the place.
    pub moving: Option<&'a Moving>,
    /// By this word a form is known when it is sent again.
    pub word: &'a str,
    /// Where the service is.
    pub back: &'a ReturnPath,
    /// Shown first.
    pub language: Language,
}

/// What came of moving a place to another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moving {
    /// This is to be typed there.
    Code(String),
    /// What was typed here is no code.
    Misread,
    /// What was typed here counts no more.
    Unknown,
    /// It is of somebody who has signed in.
    Foreign,
}

pub(super) fn render(
    layout: &Layout,
    room: Option<&RoomPage>,
    facts: &PlaceFacts<'_>,
) -> Result<Response<Bytes>, String> {
    let room = room.ok_or_else(|| format!("no pages were built for room {:?}", facts.room))?;
    let service = room.title.as_str();
    let title = format!("{} · {service}", heading(layout.texts(facts.language), facts.state));
    let link = |language| place_link(facts.room, facts.back, Some(language));
    let page = Page { language: facts.language, title, service, data: None, switch: Switch::Links(&link) };
    let body = layout.page(&page, |language| pane(layout, room, facts, language))?;
    let headers = page_headers(facts.language, &layout.style, None)?;
    Ok(Prepared { status: StatusCode::OK, headers, body: body.into() }.response(None))
}

fn pane(
    layout: &Layout,
    room: &RoomPage,
    facts: &PlaceFacts<'_>,
    language: Language,
) -> Result<String, String> {
    let texts = layout.texts(language);
    let place = |key: &str| texts.place.get(key).map_or("", String::as_str);
    let waiting_now = facts.state == PlaceState::Waiting;
    let looks = waiting_now
        || matches!(
            facts.state,
            PlaceState::Prequeue | PlaceState::Late | PlaceState::Slot | PlaceState::SoldOut
        );
    let times = |text: &str| {
        let slot = facts.slot.map(|slot| text.replace("{from}", &slot.from).replace("{until}", &slot.until));
        slot.unwrap_or_default()
    };
    let slot = times(texts.live("slot"));
    let drawing = drawing(texts, facts);
    let offered = facts.slot.filter(|slot| !slot.taken && waiting_now);
    let lead = match facts.state {
        PlaceState::Waiting => "",
        PlaceState::Prequeue => &drawing,
        PlaceState::Late => place("late"),
        PlaceState::Slot => &slot,
        PlaceState::Called => place("called_text"),
        PlaceState::NoCookies => texts.live("no_cookies"),
        PlaceState::FrontRow => place("front_row_text"),
        PlaceState::Left => place("left_text"),
        PlaceState::UsedCode => place("used_text"),
        PlaceState::Moved => texts.live("moved"),
        PlaceState::Admitted => place("admitted_text"),
        PlaceState::Done => texts.live("done"),
        PlaceState::Unknown => place("unknown_text"),
        PlaceState::Invited => texts.live("invitation"),
        PlaceState::Misread => texts.live("invitation_misread"),
        PlaceState::Uninvited => texts.live("invitation_unknown"),
        PlaceState::SoldOut => place("sold_out"),
        PlaceState::Ended => texts.live("ended"),
    };
    let (end, button) = match facts.state {
        PlaceState::Called | PlaceState::NoCookies | PlaceState::FrontRow | PlaceState::Late => {
            ("claims", texts.live("enter"))
        }
        PlaceState::Done | PlaceState::Left | PlaceState::UsedCode | PlaceState::Moved => {
            ("tickets", texts.live("rejoin"))
        }
        PlaceState::Unknown => ("tickets", texts.waiting.get("join").map_or("", String::as_str)),
        PlaceState::Waiting
        | PlaceState::Prequeue
        | PlaceState::Slot
        | PlaceState::Admitted
        | PlaceState::Invited
        | PlaceState::Misread
        | PlaceState::Uninvited
        | PlaceState::SoldOut
        | PlaceState::Ended => ("", ""),
    };
    let (handoff, refused) = match facts.moving {
        Some(Moving::Code(code)) => (Some(texts.live("handoff_given").replace("{code}", code)), None),
        Some(Moving::Misread) => (None, Some(texts.live("handoff_misread"))),
        Some(Moving::Unknown) => (None, Some(texts.live("handoff_unknown"))),
        Some(Moving::Foreign) => (None, Some(texts.live("handoff_foreign"))),
        None => (None, None),
    };
    let note = facts.standstill.filter(|_| waiting_now).map(|why| match why {
        Standstill::Operator => texts.live("held_operator").to_owned(),
        Standstill::Upstream => texts.live("held_upstream").to_owned(),
        Standstill::Dependency => texts.live("held_dependency").to_owned(),
        Standstill::Recovery => texts.live("held_recovery").to_owned(),
        Standstill::Draw => redraw(texts, facts).unwrap_or_else(|| texts.live("held_draw").to_owned()),
        Standstill::Quiet => texts.live("held_quiet").to_owned(),
    });
    let countdown = facts
        .opens_in
        .filter(|_| facts.state != PlaceState::Ended)
        .map(|minutes| texts.live("opens_in").replace("{time}", &span(texts, minutes)));
    let base = room.base();
    // Who is not recognised may have no cookies: what is taken then comes with a code.
    let unknown = facts.state == PlaceState::Unknown;
    let code = facts.code.or(unknown.then_some(""));
    let called = matches!(facts.state, PlaceState::Called | PlaceState::NoCookies);
    let call = facts.call.filter(|_| called);
    let visit = facts.visit.filter(|_| facts.state == PlaceState::Admitted);
    let stands = call.map(|call| standing(texts, call.minutes));
    let lasts = visit.map(|visit| texts.counted(&texts.place, "visit", visit.minutes.max(1)));
    let (message, message_language) = room.message(language);
    layout.render(
        "place.html",
        context! {
            tag => language.tag(),
            heading => heading(texts, facts.state),
            lead,
            countdown,
            waiting_now,
            ahead => texts.figure(facts.ahead),
            number => texts.figure(facts.number),
            lane => facts.lane,
            handoff,
            refused,
            // Whoever is invited types the invitation there instead.
            hands => !room.invites && (leaves(facts.state) || facts.state == PlaceState::Prequeue),
            // What moved away comes back by a code of the other device.
            arrives => !room.invites && facts.state == PlaceState::Moved,
            word => facts.word,
            wait => wait(texts, facts),
            note,
            asks_code => code.is_some(),
            code => code.unwrap_or_default(),
            base => base.clone(),
            action => (!end.is_empty()).then(|| format!("{base}/{end}")),
            button,
            invitation => asks_for_invitation(facts.state).then(|| format!("{base}/tickets")),
            call => stands.or(lasts),
            extension => call.or(visit).filter(|call| call.more).map(|_| format!("{base}/extension")),
            offer => offered.map(|_| times(place("slot_offer"))),
            slot => offered.map(|_| format!("{base}/slot")),
            slot_from => offered.map(|slot| slot.from_ms),
            calendar => (facts.state == PlaceState::Slot).then(|| format!("{base}/slot.ics")),
            calendar_link => format!("{base}/slot.ics?lang={}&return={}", language.tag(), encoded(facts.back.as_str())),
            leave => leaves(facts.state).then(|| format!("{base}/leave")),
            return => facts.back.as_str(),
            go => facts.state == PlaceState::Admitted,
            look => looks.then(|| place_link(facts.room, facts.back, Some(language))),
            updated => facts.time.map(|time| texts.live("updated").replace("{time}", time)),
            message,
            message_language,
            page => value(&texts.page),
            live => value(&texts.live),
            place => value(&texts.place),
            waiting => value(&texts.waiting),
        },
    )
}

fn heading(texts: &Texts, state: PlaceState) -> &str {
    let place = |key: &str| texts.place.get(key).map_or("", String::as_str);
    match state {
        PlaceState::Waiting => texts.live("heading_waiting"),
        PlaceState::Prequeue => texts.live("heading_prequeue"),
        PlaceState::Late => texts.live("heading_late"),
        PlaceState::Slot => texts.live("heading_slot"),
        PlaceState::Called | PlaceState::FrontRow => texts.live("heading_turn"),
        PlaceState::NoCookies => texts.waiting.get("code_heading").map_or("", String::as_str),
        PlaceState::Left => place("left_heading"),
        PlaceState::UsedCode => place("used_heading"),
        PlaceState::Moved => texts.live("heading_moved"),
        PlaceState::Admitted => place("admitted_heading"),
        PlaceState::Done => texts.live("heading_done"),
        PlaceState::Unknown => place("unknown_heading"),
        PlaceState::Invited | PlaceState::Misread | PlaceState::Uninvited => texts.live("heading_invitation"),
        PlaceState::SoldOut => texts.live("heading_sold_out"),
        PlaceState::Ended => texts.live("heading_ended"),
    }
}

/// How far the draw is, for whoever is drawn.
fn drawing(texts: &Texts, facts: &PlaceFacts<'_>) -> String {
    let is_open = facts.standstill == Some(Standstill::Draw);
    let words = || {
        let key = if is_open { "drawing" } else { "prequeue" };
        texts.place.get(key).cloned().unwrap_or_default()
    };
    redraw(texts, facts).filter(|_| is_open).unwrap_or_else(words)
}

/// The first draw is void.
fn redraw(texts: &Texts, facts: &PlaceFacts<'_>) -> Option<String> {
    facts.redraw.map(|time| texts.live("held_redraw").replace("{time}", time))
}

/// How long a call still stands, as `waiting_view.js` says it.
fn standing(texts: &Texts, minutes: u64) -> String {
    if minutes == 0 {
        return texts.live("call_last").to_owned();
    }
    texts.counted(&texts.live, "call", minutes)
}

/// The code of an invitation is asked for.
fn asks_for_invitation(state: PlaceState) -> bool {
    matches!(state, PlaceState::Invited | PlaceState::Misread | PlaceState::Uninvited)
}

/// There is a place to give up.
fn leaves(state: PlaceState) -> bool {
    use PlaceState as State;
    matches!(
        state,
        State::Waiting
            | State::Slot
            | State::Called
            | State::NoCookies
            | State::FrontRow
            | State::Late
            | State::Admitted
    )
}

/// The wait in words, as `waiting_view.js` says it.
fn wait(texts: &Texts, facts: &PlaceFacts<'_>) -> String {
    if facts.standstill.is_some() {
        return texts.live("wait_stopped").into();
    }
    let Some(Estimate { low, high }) = facts.wait else { return texts.live("wait_unknown").into() };
    let between =
        |key: &str, low: &str, high: &str| texts.live(key).replace("{low}", low).replace("{high}", high);
    match (low, high) {
        (1440.., _) => between("wait_over", &span(texts, 1440), ""),
        (0, _) => texts.counted(&texts.live, "wait_under", high),
        (_, ..=90) => between("wait_minutes", &low.to_string(), &high.to_string()),
        _ => between("wait_long", &span(texts, low), &span(texts, high)),
    }
}

/// A length of time, as `waiting_view.js` says it.
fn span(texts: &Texts, minutes: u64) -> String {
    let (h, m) = (minutes / 60, minutes % 60);
    let key = match (h, m) {
        (0, _) => "minutes",
        (_, 0) => "hours",
        _ => "hours_minutes",
    };
    texts.live(key).replace("{h}", &h.to_string()).replace("{m}", &m.to_string())
}
