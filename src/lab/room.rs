//! The waiting protocol as a client reads it: offers, places, boards, and the poll rule.
//!
//! Lenient where the protocol may grow (unknown fields), strict where a client depends on it. Pure.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;

use super::client::Reply;
use crate::admission::poll::PollRule as Rule;
use crate::pages::Estimate;

/// Where rooms live.
const ROOMS: &str = "/.tornello/v1/rooms/";
/// Polls spread by this share either way.
pub(super) const POLL_JITTER: f64 = 0.3;
/// No pause that a server names is shorter, so that a client never spins.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The answer to a join.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) state: String,
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) ticket: String,
    pub(super) poll_after_ms: u64,
}

/// The answer to a claim.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) state: Option<String>,
    pub(super) pass: Option<String>,
    pub(super) poll_after_ms: Option<u64>,
}

/// A board, without what this client does not need.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct Board {
    pub(super) state: String,
    pub(super) epoch: u64,
    pub(super) cursor: u64,
    pub(super) rate: f64,
    /// How uncertain a wait at that pace is; nothing while nobody knows.
    pub(super) spread: Option<f64>,
    /// Units that are left, if they are counted.
    pub(super) remaining: Option<u64>,
    pub(super) poll: PollRule,
}

/// The poll rule of a board.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct PollRule {
    min_ms: u64,
    max_ms: u64,
    divisor: u32,
    scale: f64,
}

#[derive(Deserialize)]
struct SignedBoard {
    board: Board,
}

#[derive(Deserialize)]
struct Problem {
    reason: Option<String>,
    join: Option<String>,
}

/// What an answer that is not the wanted page means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// A place in this room's line.
    Place(String),
    /// No, for a reason, with a time.
    Refusal(Duration),
    /// Nothing that a person could act on.
    Nothing,
}

/// What the answer offers.
pub(super) fn offer(reply: &Reply) -> Offer {
    let problem: Option<Problem> = is_json(reply).then(|| serde_json::from_slice(&reply.body).ok()).flatten();
    let retry_after = retry_after(reply);
    let named = match &problem {
        Some(problem) => problem.join.as_deref().and_then(room_in),
        None => std::str::from_utf8(&reply.body).ok().and_then(room_in),
    };
    if let Some(room) = named {
        return Offer::Place(room.to_owned());
    }
    let reasoned = match &problem {
        Some(problem) => problem.reason.as_ref().is_some_and(|reason| !reason.is_empty()),
        // A page for people: the reason is in its words.
        None => !reply.body.is_empty(),
    };
    match retry_after {
        Some(pause) if reasoned && matches!(reply.status.as_u16(), 429 | 503) => Offer::Refusal(pause),
        _ => Offer::Nothing,
    }
}

/// `Retry-After` in seconds.
pub(super) fn retry_after(reply: &Reply) -> Option<Duration> {
    reply.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The name of the room that a text speaks of.
fn room_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(ROOMS)?;
    let name = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).next()?;
    (!name.is_empty()).then_some(name)
}

fn is_json(reply: &Reply) -> bool {
    let kind = reply.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    kind.starts_with("application/json") || kind.starts_with("application/problem+json")
}

/// The path of something of a room.
pub(super) fn path(room: &str, what: &str) -> String {
    format!("{ROOMS}{room}/{what}")
}

/// A board from its bytes.
pub(super) fn board(body: &[u8]) -> Option<Board> {
    serde_json::from_slice::<SignedBoard>(body).ok().map(|signed| signed.board)
}

/// A pause that a server named in milliseconds.
pub(super) fn pause(ms: u64) -> Duration {
    Duration::from_millis(ms).max(PAUSE_MIN)
}

impl Board {
    /// Whether this number has been called. A new epoch needs asking, too.
    pub(super) fn calls(&self, place: &Place) -> bool {
        self.epoch != place.epoch || place.number <= self.cursor
    }

    /// Whether nobody is called.
    pub(super) fn stands_still(&self) -> bool {
        self.state == "held"
    }

    /// Between when and when from now this number will be let in, as the waiting page tells people: where
    /// the line stands still it says that, and no time. It says whole minutes; where times are compressed, its
    /// minutes are compressed with them, or "in less than a minute" would be true of any wait.
    pub(super) fn announces(&self, number: u64, time_scale: f64) -> Option<(Duration, Duration)> {
        if self.stands_still() {
            return None;
        }
        let ahead = number.saturating_sub(self.cursor).saturating_sub(1);
        let told = Estimate::of(ahead, self.rate / time_scale, self.spread)?;
        let compressed = |minutes: u64| super::law::seconds(minutes as f64 * 60.0 / time_scale);
        Some((compressed(told.low), compressed(told.high)))
    }

    /// When to look again, before jitter: the wait that is left over the divisor, within bounds.
    pub(super) fn look_again(&self, number: u64) -> Duration {
        let PollRule { min_ms, max_ms, divisor, scale } = self.poll;
        let rule = Rule {
            min: Duration::from_millis(min_ms),
            max: Duration::from_millis(max_ms.max(min_ms)),
            divisor,
            budget: 1,
        };
        let ahead = number.saturating_sub(self.cursor).saturating_sub(1);
        rule.pause(ahead, self.rate, scale.max(1.0)).max(PAUSE_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn reply(status: u16, kind: &str, retry_after: Option<&str>, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        if let Some(pause) = retry_after {
            headers.insert(RETRY_AFTER, pause.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn at_rate(rate: f64) -> Board {
        Board {
            state: "queueing".into(),
            epoch: 1,
            cursor: 100,
            rate,
            spread: Some(0.25),
            remaining: None,
            poll: PollRule { min_ms: 5_000, max_ms: 120_000, divisor: 10, scale: 1.0 },
        }
    }

    #[test]
    fn a_problem_that_names_a_room_offers_a_place() {
        let body =
            r#"{"status":503,"reason":"waiting","join":"/.tornello/v1/rooms/cards/tickets","retry_after":5}"#;
        let waiting = reply(503, "application/problem+json", Some("5"), body);
        assert_eq!(offer(&waiting), Offer::Place("cards".into()));
    }

    #[test]
    fn so_does_a_page() {
        for path in ["/.tornello/v1/rooms/cards/tickets", "/.tornello/v1/rooms/cards"] {
            let body = format!(r#"<body data-room="{path}">"#);
            assert_eq!(offer(&reply(503, "text/html", Some("5"), &body)), Offer::Place("cards".into()));
        }
        assert_eq!(offer(&reply(503, "text/html", None, "/.tornello/v1/rooms/")), Offer::Nothing);
    }

    #[test]
    fn a_refusal_needs_a_reason_and_a_time() {
        let saturated = r#"{"status":503,"reason":"saturated"}"#;
        let json = "application/problem+json";
        assert_eq!(offer(&reply(503, json, Some("2"), saturated)), Offer::Refusal(Duration::from_secs(2)));
        assert_eq!(offer(&reply(503, json, None, saturated)), Offer::Nothing);
        assert_eq!(offer(&reply(503, json, Some("2"), "{}")), Offer::Nothing);
        assert_eq!(offer(&reply(503, "text/html", Some("2"), "")), Offer::Nothing);
        assert_eq!(offer(&reply(502, "text/html", Some("2"), "bad gateway")), Offer::Nothing);
    }

    #[test]
    fn the_poll_rule() {
        // 400 ahead at 10/s: 40 s, over 10 is 4 s, raised to the minimum.
        assert_eq!(at_rate(10.0).look_again(501), Duration::from_secs(5));
        assert_eq!(at_rate(1.0).look_again(501), Duration::from_secs(40));
        assert_eq!(at_rate(0.1).look_again(501), Duration::from_secs(120));
        assert_eq!(at_rate(0.0).look_again(501), Duration::from_secs(15));
    }

    #[test]
    fn a_wait_is_announced_in_minutes_that_are_compressed_with_all_other_times() {
        let seconds = |s| Duration::from_secs(s);
        // 1,200 numbers at 2/s: ten minutes, told as 8 to 13.
        assert_eq!(at_rate(2.0).announces(1_300, 1.0), Some((seconds(480), seconds(780))));
        assert_eq!(at_rate(40.0).announces(1_300, 20.0), Some((seconds(24), seconds(39))));
        assert_eq!(at_rate(0.0).announces(1_300, 20.0), None);
        let held = Board { state: "held".into(), ..at_rate(2.0) };
        assert_eq!(held.announces(1_300, 1.0), None, "the page says that the line stands still");
    }

    #[test]
    fn a_call_is_a_number_at_or_below_the_cursor() {
        let place = |number, epoch| Place {
            state: "waiting".into(),
            epoch,
            number,
            ticket: String::new(),
            poll_after_ms: 1,
        };
        assert!(at_rate(1.0).calls(&place(100, 1)));
        assert!(!at_rate(1.0).calls(&place(101, 1)));
        assert!(at_rate(1.0).calls(&place(101, 2)), "an epoch that changed must be asked about");
    }

    #[test]
    fn the_board_of_the_protocol_is_read() {
        let text = r#"{"board":{"v":1,"room":"R","epoch":1,"state":"queueing","reason":null,"cursor":1200,
            "issued":4800,"rate":12.5,"spread":0.4,"show_rate":0.83,"remaining":null,"message":null,
            "poll":{"min_ms":5000,"max_ms":120000,"divisor":10,"scale":1.0},"generation":17,
            "time_ms":1793318400000},"key":"k1","sig":"x"}"#;
        let board = board(text.as_bytes()).unwrap();
        assert_eq!((board.cursor, board.epoch), (1200, 1));
    }
}
