//! The public log of a room, for everybody who wants to count again.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;

use super::answers::shared_json;
use super::draw::{FOR_GOOD, statements};
use super::{Visit, own};
use crate::pages::Reason;
use crate::proxy::body::Answer;
use crate::proxy::record::Record;
use crate::proxy::refuse;
use crate::store::book::PART;

impl Visit<'_> {
    /// `log`: how long it is, and where its parts are.
    pub(super) fn log(&self, record: Record) -> Response<Answer> {
        let line = &self.room.line;
        let head = line.book.head();
        let entries = head.map_or(0, |head| head.index + 1);
        let body = json!({
            "v": 1, "room": line.name, "entries": entries, "head": head.map(|head| head.to_string()),
            "part": PART, "parts": entries.div_ceil(PART),
        });
        own(record, "log", shared_json(Bytes::from(body.to_string())))
    }

    /// `log/PART`: its lines. A whole part stays as it is.
    pub(super) async fn log_part(&self, part: &str, record: Record) -> Response<Answer> {
        let Ok(part) = part.parse() else {
            return refuse::problem(self.live, self.asked, record, Reason::NotFound, None);
        };
        let Some((lines, whole)) = self.room.line.book.part(part).await else {
            return refuse::problem(self.live, self.asked, record, Reason::NotFound, None);
        };
        let mut answer = statements(lines);
        if whole {
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(FOR_GOOD));
        }
        own(record, "log", answer)
    }
}
