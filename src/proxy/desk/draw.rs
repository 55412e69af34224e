//! The draw of a room, for everybody who wants to do it again; and where a ticket stands in it.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::answers::{json_answer, shared_json};
use super::{Visit, own};
use crate::pages::Reason;
use crate::proof::{hex, receipt};
use crate::proxy::body::Answer;
use crate::proxy::record::Record;
use crate::proxy::refuse;

/// Tickets in one answer.
const PART: u32 = 1_000;
/// What was drawn or told stays as it is.
pub(super) const FOR_GOOD: &str = "public, max-age=86400";

impl Visit<'_> {
    /// `draw`, `draw/proof`, `draw/tickets/PART`: the last two hold a line for each who came.
    pub(super) fn draw(&self, of: &str, record: Record) -> Response<Answer> {
        let line = &self.room.line;
        let part = of.strip_prefix("tickets/").map(str::parse::<u32>);
        let told = match (of, part) {
            ("", _) => line.with_lots(|lots| lots.lines().join("\n") + "\n").map(statements),
            (_, Some(Ok(part))) => line.drawn().and_then(|drawn| {
                let lines = drawn.lines(part.checked_mul(PART)?, PART);
                (!lines.is_empty()).then(|| {
                    let mut answer = statements(lines);
                    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(FOR_GOOD));
                    answer
                })
            }),
            ("proof", _) => return self.proof(record),
            _ => None,
        };
        match told {
            Some(answer) => own(record, "draw", answer),
            None => refuse::problem(self.live, self.asked, record, Reason::NotFound, None),
        }
    }

    /// The hashes that lead from the leaf of a ticket to what was committed to.
    fn proof(&self, record: Record) -> Response<Answer> {
        let found = self.who.ticket.and_then(|ticket| {
            let index = ticket.index?;
            let place = self.room.line.with_lots(|lots| lots.inclusion(index)).flatten()?;
            Some((ticket, index, place))
        });
        let Some((ticket, index, place)) = found else {
            if self.has_moved() {
                return self.moved(None, record);
            }
            return refuse::problem(self.live, self.asked, record, Reason::NoTicket, None);
        };
        let path: Vec<String> = place.path.iter().map(|hash| hex(hash)).collect();
        let body = json!({
            "room": self.room.line.name, "ticket": index, "leaf": hex(&receipt::leaf(&ticket.id, index.into())),
            "count": place.count, "root": hex(&place.root), "path": path,
        });
        own(record, "draw_proof", json_answer(StatusCode::OK, &body))
    }
}

/// Statements, a line each.
pub(super) fn statements(text: impl Into<Bytes>) -> Response<Answer> {
    let mut answer = shared_json(text.into());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    answer
}
