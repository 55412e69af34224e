//! Who waits may ask, through the body's app, to be told before the turn: by a token that is the body's own
//! word for them.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Body;
use serde::Deserialize;
use serde_json::json;

use super::answers::json_answer;
use super::form::read_small;
use super::{NOT_DURABLE, Visit, millis, own};
use crate::admission::lane::place;
use crate::admission::reminders::{Not, TOKEN_MAX};
use crate::admission::room::Claim;
use crate::pages::Reason;
use crate::proxy::body::Answer;
use crate::proxy::record::Record;
use crate::proxy::refuse;

const BAD_TOKEN: &str = "Send {\"token\": \"...\"}: your own word for this person, 1 to 256 bytes.";

#[derive(Deserialize)]
struct Wish {
    token: Box<str>,
}

impl Visit<'_> {
    /// Registers the token of whoever waits with this ticket, or forgets it.
    pub(super) async fn remind<B>(&mut self, request: Request<B>, record: Record) -> Response<Answer>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (live, asked) = (self.live, self.asked);
        let refused = |reason, detail, record| refuse::problem(live, asked, record, reason, detail);
        let Some(webhook) = &self.room.webhook else { return refused(Reason::NotFound, None, record) };
        let forgets = request.method() == Method::DELETE;
        let body = match read_small(request).await {
            Ok((_, body)) => body,
            Err(reason) => return refused(reason, None, record),
        };
        self.look_again();
        let Some(standing) = self.standing() else {
            let moved = self.has_moved();
            return if moved { self.moved(None, record) } else { refused(Reason::NoTicket, None, record) };
        };
        let (name, number) = (&self.room.line.name, standing.ticket.number);
        if number == 0 {
            return self
                .refusal((StatusCode::CONFLICT, "undrawn", "There are no numbers before the draw"), record);
        }
        if forgets {
            if self.room.line.reminders(|all| all.forget(number)).is_err() {
                return self.too_late(record);
            }
            if !self.room.line.reminders_kept().await {
                return refused(Reason::Held, Some(NOT_DURABLE), record);
            }
            let body = json!({ "room": name, "number": place(number), "reminder": false });
            return own(record, "forgotten", json_answer(StatusCode::OK, &body));
        }
        let wish = serde_json::from_slice::<Wish>(&body).ok();
        let wish = wish.filter(|wish| !wish.token.is_empty() && wish.token.len() <= TOKEN_MAX);
        let Some(Wish { token }) = wish else { return refused(Reason::BadRequest, Some(BAD_TOKEN), record) };
        if standing.called || !matches!(standing.claim, Claim::Waiting { .. }) {
            return self
                .refusal((StatusCode::CONFLICT, "called", "This number does not wait any more"), record);
        }
        let line = &self.room.line;
        // A reload may be younger than the last beat.
        line.follow_webhook(self.live.generation, Some(webhook.key()));
        // Asked where the end forgets everybody: nobody is kept who came while it did.
        let registered = line.reminders(|all| line.ended().is_none().then(|| all.register(number, token)));
        let Some(registered) = registered else { return refused(Reason::Ended, None, record) };
        match registered {
            Ok(()) if !line.reminders_kept().await => refused(Reason::Held, Some(NOT_DURABLE), record),
            Ok(()) => {
                let ahead = millis(webhook.settings.ahead);
                let body =
                    json!({ "room": name, "number": place(number), "reminder": true, "ahead_ms": ahead });
                own(record, "reminder", json_answer(StatusCode::OK, &body))
            }
            Err(Not::Told) => self.too_late(record),
            Err(Not::Full) => self.refusal(
                (StatusCode::SERVICE_UNAVAILABLE, "reminders_full", "Nobody else can be told at the moment"),
                record,
            ),
        }
    }

    /// Too late: the message is gone, or on its way.
    fn too_late(&self, record: Record) -> Response<Answer> {
        self.refusal((StatusCode::CONFLICT, "told", "The turn was told already, or is being told"), record)
    }
}
