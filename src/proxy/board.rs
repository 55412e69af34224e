//! The board: the public state of a room, the same bytes for all, signed.
//!
//! The signature is Ed25519 over the exact bytes of the `board` object, so that anybody can keep one
//! and prove later what was shown.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use serde::Serialize;

use crate::admission::UnixTime;
use crate::admission::lane::LaneFacts;
use crate::admission::policy::PollRule;
use crate::admission::room::{HoldReason, RoomFacts, RoomState};
use crate::admission::ticket::Claims;
use crate::proof::log::Head;
use crate::proof::receipt;
use crate::proof::sealed::seal;

/// Signs boards.
#[derive(Clone)]
pub struct BoardKey(SigningKey);

impl std::fmt::Debug for BoardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoardKey")
    }
}

#[derive(Serialize)]
struct Board<'a> {
    v: u8,
    room: &'a str,
    epoch: u32,
    state: &'static str,
    reason: Option<&'static str>,
    cursor: u64,
    issued: u64,
    rate: f64,
    spread: Option<f64>,
    show_rate: f64,
    remaining: Option<u64>,
    message: Option<&'a str>,
    poll: Poll,
    generation: u64,
    time_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draw: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lanes: Vec<Lane<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redraw_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_ms: Option<(u64, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stood_still_s: Option<u64>,
}

/// A line of its own. Its numbers are the places within it.
#[derive(Serialize)]
struct Lane<'a> {
    name: &'a str,
    cursor: u64,
    issued: u64,
    rate: f64,
    spread: Option<f64>,
}

#[derive(Serialize)]
struct Poll {
    min_ms: u128,
    max_ms: u128,
    divisor: u32,
    scale: f64,
}

/// What a board says besides the room's own facts.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The room's name.
    pub room: &'a str,
    /// How often to look again.
    pub poll: &'a PollRule,
    /// The [`scale`] of that.
    pub scale: f64,
    /// Id of the operator's message.
    pub message: Option<&'a str>,
    /// Generation of the configuration.
    pub generation: u64,
    /// Server time.
    pub time: UnixTime,
    /// When the room opens, before that.
    pub opens: Option<UnixTime>,
    /// The hash of the commitment to those who are drawn, from then on.
    pub draw: Option<&'a str>,
    /// Its lanes, if it has several.
    pub lanes: &'a [(String, LaneFacts)],
    /// When another draw is decided, the first one being void.
    pub redraw: Option<UnixTime>,
    /// The last line of the public log.
    pub log: Option<Head>,
    /// When nobody is called, now or next.
    pub quiet: Option<(UnixTime, UnixTime)>,
    /// For how long the times of those who have slots have stood still, while there are any.
    pub stood_still: Option<Duration>,
}

impl BoardKey {
    /// From 32 secret bytes.
    #[must_use]
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What signs.
    #[must_use]
    pub fn signing(&self) -> &SigningKey {
        &self.0
    }

    /// The public half, base64.
    #[must_use]
    pub fn public(&self) -> String {
        STANDARD.encode(self.0.verifying_key().as_bytes())
    }

    /// The board's bytes.
    #[must_use]
    pub fn board(&self, facts: &RoomFacts, notice: &Notice<'_>) -> Bytes {
        let (state, reason) = state(facts.state);
        let board = Board {
            v: 1,
            room: notice.room,
            epoch: facts.epoch,
            state,
            reason,
            cursor: facts.cursor,
            issued: facts.issued,
            rate: hundredths(facts.rate),
            spread: facts.spread.map(hundredths),
            show_rate: hundredths(facts.show_rate),
            remaining: facts.remaining,
            message: notice.message,
            poll: Poll {
                min_ms: notice.poll.min.as_millis(),
                max_ms: notice.poll.max.as_millis(),
                divisor: notice.poll.divisor,
                scale: hundredths(notice.scale),
            },
            generation: notice.generation,
            time_ms: notice.time.0,
            opens_ms: notice.opens.map(|UnixTime(opens_ms)| opens_ms),
            draw: notice.draw,
            lanes: notice.lanes.iter().map(lane).collect(),
            redraw_ms: notice.redraw.map(|UnixTime(redraw_ms)| redraw_ms),
            log: notice.log.map(|head| head.to_string()),
            quiet_ms: notice.quiet.map(|(begins, ends)| (begins.0, ends.0)),
            stood_still_s: notice.stood_still.map(|still| still.as_secs()),
        };
        // Numbers and short strings only: this cannot fail.
        let board = serde_json::to_string(&board).unwrap_or_default();
        Bytes::from(seal("board", &board, &self.0))
    }

    /// The receipt of a ticket's place in `room`, taken under the rules with this hash.
    #[must_use]
    pub fn receipt(&self, room: &str, rules: &str, ticket: &Claims) -> Bytes {
        Bytes::from(seal("receipt", &receipt::body(room, rules, ticket), &self.0))
    }
}

/// The poll rule's scale: of each lane by itself, if there are several.
#[must_use]
pub fn scale(rule: &PollRule, facts: &RoomFacts, lanes: &[(String, LaneFacts)]) -> f64 {
    if lanes.is_empty() {
        return rule.scale(facts.issued - facts.cursor, facts.rate);
    }
    let lines: Vec<_> = lanes.iter().map(|(_, lane)| (lane.issued - lane.cursor, lane.rate)).collect();
    rule.scale_of(&lines)
}

/// State and reason as they are written on boards and metrics.
#[must_use]
pub fn state(state: RoomState) -> (&'static str, Option<&'static str>) {
    match state {
        RoomState::Closed => ("closed", None),
        RoomState::Prequeue => ("prequeue", None),
        RoomState::Open => ("open", None),
        RoomState::Queueing => ("queueing", None),
        RoomState::Held(reason) => ("held", Some(reason_name(reason))),
        RoomState::Ended => ("ended", None),
    }
}

/// The word for why a line stands still.
#[must_use]
pub fn reason_name(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Operator => "operator",
        HoldReason::Upstream => "upstream",
        HoldReason::Dependency => "dependency",
        HoldReason::Store => "recovery",
        HoldReason::Draw => "draw",
        HoldReason::Quiet => "quiet",
    }
}

fn lane((name, facts): &(String, LaneFacts)) -> Lane<'_> {
    Lane {
        name,
        cursor: facts.cursor,
        issued: facts.issued,
        rate: hundredths(facts.rate),
        spread: facts.spread.map(hundredths),
    }
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signature, Verifier};

    #[test]
    fn a_board_is_small_and_its_signature_covers_its_bytes() {
        let key = BoardKey::new(&[5; 32]);
        let facts = RoomFacts {
            state: RoomState::Held(HoldReason::Upstream),
            epoch: 1,
            cursor: 99_999_999,
            issued: 123_456_789,
            rate: 12.345_678,
            spread: Some(0.4),
            show_rate: 0.876_5,
            active: 10,
            front_row: 2,
            outstanding: 5,
            late: 3,
            seats: 12,
            kappa: 0.5,
            remaining: Some(558_000),
        };
        let poll = PollRule {
            min: Duration::from_secs(5),
            max: Duration::from_secs(120),
            divisor: 10,
            budget: 1_000,
        };
        let hash = "0".repeat(64);
        let notice = Notice {
            room: "bonus-mobilita",
            poll: &poll,
            scale: 1.25,
            message: Some("a1b2c3d4"),
            generation: 17,
            time: UnixTime(1_793_318_400_000),
            opens: None,
            quiet: None,
            stood_still: Some(Duration::from_secs(86_400)),
            draw: Some(&hash),
            lanes: &[],
            redraw: None,
            log: Some(Head { index: 525_600, hash: [9; 32] }),
        };
        let bytes = key.board(&facts, &notice);
        assert!(bytes.len() <= 600, "{}", bytes.len());
        let text = std::str::from_utf8(&bytes).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            (&parsed["board"]["state"], &parsed["board"]["reason"]),
            (&"held".into(), &"upstream".into())
        );
        assert_eq!(parsed["board"]["lanes"], serde_json::Value::Null, "one line has no lanes");
        let board = &text[text.find(":{").unwrap() + 1..text.find(r#","key""#).unwrap()];
        let signature = STANDARD.decode(parsed["sig"].as_str().unwrap()).unwrap();
        let verifying = key.0.verifying_key();
        verifying.verify(board.as_bytes(), &Signature::from_slice(&signature).unwrap()).unwrap();
    }
}
