//! The status page: whether the service answers and its queues move, for everybody and without a place.
//! It is ours, so it is there when the service is not.

use http::StatusCode;
use minijinja::{Value, context};

use super::language::Language;
use super::layout::{Layout, Page, Switch};
use super::prepared::{Prepared, page_headers};
use super::text::{Texts, value};

/// How much of the service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All of it.
    Up,
    /// A part.
    Partly,
    /// Nothing.
    Down,
}

impl Health {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Partly => "partly",
            Self::Down => "down",
        }
    }
}

/// What is told of a room.
#[derive(Clone, Debug)]
pub struct RoomStatus<'a> {
    /// The name of the service, for people.
    pub title: &'a str,
    /// The state as the board says it.
    pub state: &'a str,
    /// Why the line stands still, as the board says it.
    pub reason: Option<&'a str>,
    /// How many have a number and were not called.
    pub waiting: u64,
}

/// What the status page shows.
#[derive(Clone, Debug)]
pub struct StatusFacts<'a> {
    /// The service behind.
    pub health: Health,
    /// Its rooms.
    pub rooms: Vec<RoomStatus<'a>>,
    /// The time of these facts, written for people.
    pub time: String,
    /// The language of the page.
    pub language: Language,
}

fn link(language: Language) -> String {
    format!("/.tornello/status?lang={}", language.tag())
}

pub(super) fn render(layout: &Layout, facts: &StatusFacts<'_>) -> Result<Prepared, String> {
    let texts = layout.texts(facts.language);
    let status = |key: &str| texts.status.get(key).map_or("", String::as_str);
    let rooms = facts.rooms.iter().map(|room| context! { title => room.title, text => words(texts, room) });
    let values = context! {
        status => value(&texts.status),
        place => value(&texts.place),
        up => facts.health == Health::Up,
        service => status(facts.health.word()),
        rooms => rooms.collect::<Vec<Value>>(),
        self => link(facts.language),
        updated => texts.live("updated").replace("{time}", &facts.time),
    };
    let title = status("title").to_owned();
    let page =
        Page { language: facts.language, title, service: "", data: None, switch: Switch::Links(&link) };
    let body = layout.page(&page, |_| layout.render("status.html", values.clone()))?;
    let headers = page_headers(facts.language, &layout.style, None)?;
    Ok(Prepared { status: StatusCode::OK, headers, body: body.into() })
}

/// State first, then how many wait.
fn words(texts: &Texts, room: &RoomStatus<'_>) -> String {
    let known = |key: String| texts.status.get(&key).map(String::as_str);
    let state = match (room.state, room.reason) {
        ("held", Some(reason)) => texts.live.get(&format!("held_{reason}")).map(String::as_str),
        (state, _) => known(format!("queue_{state}")),
    };
    let state = state.or_else(|| known("queue_queueing".to_owned())).unwrap_or_default();
    if room.waiting == 0 {
        return state.to_owned();
    }
    format!("{state} {}", texts.counted(&texts.status, "waiting", room.waiting))
}
