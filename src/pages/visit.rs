//! The script by which pages of the service warn before a visit ends, with one line in each of them: what
//! limits people's time must say so in time, and give more (WCAG 2.2.1). The same bytes for everybody.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};
use serde::Serialize;

use super::language::Language;
use super::layout::{Layout, squeeze};
use super::text::Section;
use super::waiting::RoomPage;

/// How long before its end a visit is warned of, in ms. A shorter idle time is halved: a warning that stands
/// from the start warns of nothing.
const WARN_MS: u128 = 120_000;

/// For each room, ready.
#[derive(Debug)]
pub(super) struct VisitScripts(HashMap<String, Bytes>);

/// What the script reads.
#[derive(Serialize)]
struct Data<'a> {
    base: &'a str,
    language: &'a str,
    warn_ms: u128,
    more: BTreeMap<&'a str, &'a str>,
    text: BTreeMap<&'a str, &'a Section>,
}

impl VisitScripts {
    pub(super) fn build(layout: &Layout, rooms: &[RoomPage]) -> Result<Self, String> {
        let code = squeeze(include_str!("templates/visit.js"));
        let script = |room: &RoomPage| {
            let texts = || Language::all().map(|language| (language.tag(), layout.texts(language)));
            let data = Data {
                base: &room.base(),
                language: Language::DEFAULT.tag(),
                warn_ms: WARN_MS.min(room.idle.as_millis() / 2),
                more: texts().map(|(tag, texts)| (tag, texts.live("more_time"))).collect(),
                text: texts().map(|(tag, texts)| (tag, &texts.visit)).collect(),
            };
            let data =
                serde_json::to_string(&data).map_err(|error| format!("the script of visits: {error}"))?;
            let script = format!("(() => {{\n\"use strict\";\nconst data = {data};\n{code}\n}})();\n");
            Ok((room.name.clone(), Bytes::from(script)))
        };
        rooms.iter().map(script).collect::<Result<_, String>>().map(Self)
    }

    pub(super) fn of(&self, room: &str) -> Option<Response<Bytes>> {
        let mut script = Response::new(Bytes::clone(self.0.get(room)?));
        let fields = [
            (CONTENT_TYPE, "text/javascript; charset=utf-8"),
            (CACHE_CONTROL, "public, max-age=300"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        for (name, value) in fields {
            script.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Some(script)
    }
}
