//! Every page that people may meet, with invented data, for those who write, translate or judge them.
//!
//! The pages are the real ones, scripts included: what a gateway would answer them is invented in
//! `api.rs`. A state is a room of that name, so one address shows one state.

mod api;
mod sheet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION, REFERER};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use tokio::net::TcpListener;

use crate::pages::{
    CallMinutes, Coding, Estimate, Language, Look, Pages, PlaceFacts, PlaceState, RetryAfter, ReturnPath,
    RoomPage, RoomStatus, RuleFacts, SlotTimes, StatusFacts, Theme, query_value,
};
pub use sheet::{SHEETS, Sheet, Shows};

const SERVICE: &str = "Bonus Mobilità 2026";

/// All pages in each theme.
struct Preview(Vec<(Theme, Pages)>);

/// Serves the pages on `listener` until the task ends.
///
/// # Errors
/// A text or template that cannot be used, or a socket that broke.
pub async fn serve(
    listener: TcpListener,
    look: &Look,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let rooms: Vec<RoomPage> = SHEETS.iter().map(room).collect();
    let themes = Theme::ALL.map(|theme| {
        let look = Look { theme, ..look.clone() };
        Pages::build(&rooms, &look).map(|pages| (theme, pages))
    });
    let preview = Preview(themes.into_iter().collect::<Result<_, String>>()?);
    let router = Router::new().fallback(answer).with_state(Arc::new(preview));
    axum::serve(listener, router).await?;
    Ok(())
}

fn room(sheet: &Sheet) -> RoomPage {
    let messages = api::MESSAGE.iter().filter(|_| sheet.says_something());
    RoomPage {
        name: sheet.name.to_owned(),
        title: SERVICE.to_owned(),
        messages: messages
            .map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        status: StatusCode::SERVICE_UNAVAILABLE,
        lanes: false,
        asks: sheet.name == "call",
        invites: sheet.name == "invitation",
        idle: Duration::from_secs(600),
        slots: (sheet.name == "waiting").then_some(Duration::from_secs(600)),
    }
}

async fn answer(
    State(preview): State<Arc<Preview>>,
    method: Method,
    uri: Uri,
    fields: HeaderMap,
) -> Response<Body> {
    preview.answer(&method, &uri, &fields).map(Body::from)
}

impl Preview {
    fn answer(&self, method: &Method, uri: &Uri, fields: &HeaderMap) -> Response<Bytes> {
        let parts: Vec<&str> = uri.path().split('/').skip(1).collect();
        match parts.as_slice() {
            [""] => page(index()),
            [".tornello", "v1", "rooms", name, end] => match sheet::find(name) {
                Some(_) if fields.get(CONTENT_TYPE).is_some() => back(fields),
                Some(sheet) => api::answer(sheet, method, end),
                None => missing(),
            },
            [".tornello", "rooms", name, end] => self.own(name, end, uri, fields),
            [".tornello", "status"] => {
                let tag = query_value(uri.query().unwrap_or_default(), "lang").unwrap_or_default();
                see_other(&format!("/{}/{tag}/status-up", theme(fields).name()))
            }
            [theme, tag, name] => self.sheet(theme, tag, name).unwrap_or_else(missing),
            _ => missing(),
        }
    }

    fn sheet(&self, theme: &str, tag: &str, name: &str) -> Option<Response<Bytes>> {
        let (_, pages) = self.0.iter().find(|(known, _)| known.name() == theme)?;
        let language = Language::from_tag(tag)?;
        let sheet = sheet::find(name)?;
        let mut shown = match sheet.shows {
            Shows::Live => {
                let retry = RetryAfter::after(Duration::from_secs(5));
                pages.waiting(sheet.name, language, Coding::Identity, retry)?
            }
            Shows::Notice(reason) => {
                let retry = RetryAfter::after(Duration::from_secs(150));
                pages.notice(reason, language, "9f3c2a7b51d0e864", Some(retry))
            }
            Shows::Status(health) => {
                let room = |title, state, reason, waiting| RoomStatus { title, state, reason, waiting };
                let rooms = vec![
                    room(SERVICE, "queueing", None, 12_345),
                    room("Carta d'identità", "held", Some("upstream"), 2),
                    room("Anagrafe", "open", None, 0),
                ];
                let facts = StatusFacts { health, rooms, time: "10:03:25 UTC".into(), language };
                pages.status(&facts).ok()?
            }
            Shows::Rules(person) => {
                let facts = RuleFacts {
                    room: sheet.name,
                    title: SERVICE,
                    call: Duration::from_secs(600),
                    idle: Duration::from_secs(600),
                    session: Duration::from_secs(5400),
                    extensions: 10,
                    seats: (10, 100_000),
                    poll: (Duration::from_secs(5), Duration::from_secs(120)),
                    slots: Some((Duration::from_secs(900), Duration::from_secs(1_800))),
                    quiet: "22:00-07:00 Europe/Rome",
                    person,
                    lanes: &[],
                    lots: person,
                    language,
                };
                pages.rules(&facts).ok()?
            }
            Shows::Place(state, standstill) => {
                let is_before = state == PlaceState::Prequeue && standstill.is_none();
                let back = ReturnPath::default();
                let taken = state == PlaceState::Slot;
                let until = "11:07 (Europe/Rome)".into();
                let slot = SlotTimes { from: "10:37".into(), until, taken, from_ms: 0 };
                let facts = PlaceFacts {
                    room: sheet.name,
                    state,
                    number: 4711,
                    lane: None,
                    ahead: 1032,
                    wait: Some(Estimate { low: 12, high: 18 }),
                    call: Some(CallMinutes { minutes: 7, more: true }),
                    visit: Some(CallMinutes { minutes: 42, more: true }),
                    slot: Some(&slot),
                    code: None,
                    standstill,
                    redraw: (sheet.name == "place-redraw").then_some("10:37 (Europe/Rome)"),
                    opens_in: is_before.then_some(62),
                    time: Some("10:03"),
                    moving: None,
                    word: "w",
                    back: &back,
                    language,
                };
                pages.place(&facts).ok()?
            }
        };
        // Browsers show it whatever its status; tools that look at pages may not.
        *shown.status_mut() = StatusCode::OK;
        Some(shown)
    }

    /// The switch of languages leads to our own addresses.
    fn own(&self, name: &str, end: &str, uri: &Uri, fields: &HeaderMap) -> Response<Bytes> {
        let query = uri.query().unwrap_or_default();
        let tag = query_value(query, "lang").unwrap_or_default();
        let theme = theme(fields);
        match end {
            // A script asks for the page itself; a link leads to its address.
            "queue" if query_value(query, "return").is_some() => {
                self.sheet(theme.name(), &tag, name).unwrap_or_else(missing)
            }
            "queue" | "place" | "rules" => see_other(&format!("/{}/{tag}/{name}", theme.name())),
            _ => missing(),
        }
    }
}

/// The theme of the page that asks.
fn theme(fields: &HeaderMap) -> Theme {
    let referer = fields.get(REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = |theme: &Theme| referer.contains(&format!("/{}/", theme.name()));
    Theme::ALL.into_iter().find(named).unwrap_or_default()
}

fn back(fields: &HeaderMap) -> Response<Bytes> {
    see_other(fields.get(REFERER).and_then(|value| value.to_str().ok()).unwrap_or("/"))
}

fn see_other(path: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        answer.headers_mut().insert(LOCATION, path);
    }
    answer
}

fn missing() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(b"no such page\n"));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

fn page(text: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

/// A table: a line for each state, a link for each language and theme.
fn index() -> String {
    let mut rows = String::new();
    for sheet in SHEETS {
        let mut links = String::new();
        for theme in Theme::ALL.map(Theme::name) {
            for language in Language::all() {
                let (tag, name) = (language.tag(), sheet.name);
                links.push_str(&format!("<td><a href=\"/{theme}/{tag}/{name}\">{theme}&nbsp;{tag}</a></td>"));
            }
        }
        rows.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td>{links}</tr>\n",
            sheet.name, sheet.meaning
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Every page</title>\n\
         <style>body{{font-family:sans-serif}}td,th{{padding:.25rem .5rem;text-align:start}}</style>\n</head>\n\
         <body>\n<main>\n<h1>Every page, with invented data</h1>\n<table>\n<tbody>\n{rows}</tbody>\n</table>\n\
         </main>\n</body>\n</html>\n"
    )
}
