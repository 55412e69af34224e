//! The waiting page: rendered and compressed once for each room and language, the same bytes for
//! everybody. It holds no address, ticket or time; what is personal the page fetches by itself. So
//! its compressed length tells nobody anything.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use minijinja::context;
use serde::Serialize;

use super::coding::Coding;
use super::language::{Language, PerLanguage};
use super::layout::{Layout, Page, Switch};
use super::prepared::{Prepared, page_headers};
use super::return_path::{encoded, queue_link};
use super::rules::rules_link;
use super::text::{Section, value};

/// What a room says on its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPage {
    /// The room's name in addresses.
    pub name: String,
    /// The name of the service, for people.
    pub title: String,
    /// The operator's message by language tag.
    pub messages: BTreeMap<String, String>,
    /// Status of the waiting page: 503, 429, 202 or 200.
    pub status: StatusCode,
    /// There are several lines, and the page says in which one somebody is.
    pub lanes: bool,
    /// Whoever is called is asked, and not taken in by the page.
    pub asks: bool,
    /// Whoever is not known is asked for the code of an invitation.
    pub invites: bool,
    /// How long whoever is inside may do nothing while somebody waits; at most the longest visit.
    pub idle: Duration,
    /// Whoever is expected to wait longer is offered a time to come back at; `None`: nobody is.
    pub slots: Option<Duration>,
}

impl RoomPage {
    /// The API of the room.
    pub(super) fn base(&self) -> String {
        format!("/.tornello/v1/rooms/{}", encoded(&self.name))
    }

    /// The operator's message for readers of `language`, and its own language if that is another.
    pub(super) fn message(&self, language: Language) -> (&str, Option<&str>) {
        match self.messages.get(language.tag()) {
            Some(text) => (text, None),
            None => self.messages.iter().next().map_or(("", None), |(tag, text)| (text, Some(tag))),
        }
    }
}

#[derive(Debug)]
pub(super) struct Waiting(HashMap<String, (RoomPage, PerLanguage<Codings>)>);

/// One page, both ways.
#[derive(Debug)]
struct Codings {
    plain: Prepared,
    gzip: Prepared,
}

impl Waiting {
    pub(super) fn build(layout: &Layout, rooms: &[RoomPage]) -> Result<Self, String> {
        let built = rooms.iter().map(|room| {
            let pages = PerLanguage::build(|language| prepare(layout, room, language))?;
            Ok((room.name.clone(), (room.clone(), pages)))
        });
        built.collect::<Result<_, String>>().map(Self)
    }

    pub(super) fn page(&self, room: &str, language: Language, coding: Coding) -> Option<&Prepared> {
        let (_, pages) = self.0.get(room)?;
        let page = pages.of(language);
        Some(match coding {
            Coding::Identity => &page.plain,
            Coding::Gzip => &page.gzip,
        })
    }

    pub(super) fn room(&self, name: &str) -> Option<&RoomPage> {
        self.0.get(name).map(|(room, _)| room)
    }
}

/// What the script reads: where to ask, and the words for what changes.
#[derive(Serialize)]
struct Data<'a> {
    room: &'a str,
    title: &'a str,
    base: &'a str,
    thousands: &'a str,
    asks: bool,
    slots: Option<f64>,
    text: &'a Section,
}

fn prepare(layout: &Layout, room: &RoomPage, language: Language) -> Result<Codings, String> {
    let base = room.base();
    let texts = layout.texts(language);
    // Nobody reads of invitations where there are none.
    let mut words = texts.live.clone();
    words.retain(|key, _| room.invites || !key.contains("invitation"));
    let data = embedded(&Data {
        room: &room.name,
        title: &room.title,
        base: &base,
        thousands: &texts.meta.thousands,
        asks: room.asks,
        slots: room.slots.map(|after| after.as_secs_f64() / 60.0),
        text: &words,
    })?;
    let heading = texts.live("heading_joining");
    let link = |language| queue_link(&room.name, language, None);
    let page = Page {
        language,
        title: format!("{heading} · {}", room.title),
        service: &room.title,
        data: Some(&data),
        switch: Switch::Links(&link),
    };
    let body = layout.page(&page, |pane| {
        let texts = layout.texts(pane);
        let (message, message_language) = room.message(pane);
        layout.render(
            "waiting.html",
            context! {
                base => &base,
                rules => rules_link(&room.name, pane),
                rules_words => texts.rules.get("link"),
                tag => pane.tag(),
                page => value(&texts.page),
                waiting => value(&texts.waiting),
                live => value(&texts.live),
                lanes => room.lanes,
                invites => room.invites,
                asks => room.asks,
                message,
                message_language,
            },
        )
    })?;
    let headers = page_headers(language, &layout.style, Some(&layout.script))?;
    let plain = Prepared { status: room.status, headers, body: Bytes::from(body) };
    Ok(Codings { gzip: plain.gzipped()?, plain })
}

/// JSON that cannot end the `<script>` element it stands in: `<`, `>` and `&` occur in JSON only
/// inside strings, where an escape means the same.
fn embedded(data: &impl Serialize) -> Result<String, String> {
    let json = serde_json::to_string(data).map_err(|error| format!("data of the waiting page: {error}"))?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}
