//! `tornello explain ticket CODE`: for the help desk, where a place stands and what can be done.

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::ask::ask_with;
use super::super::out::say;
use super::super::{CONFIGURATION, OK, RUNTIME, Whom};

/// For the help desk: where a place stands, what its holder should do, and what can be changed.
#[derive(Debug, clap::Args)]
pub struct Ticket {
    /// The code that the page shows, or the number of a place, as page and receipt say it; `-` reads it from
    /// standard input, so that it stands in no list of processes.
    #[arg(allow_hyphen_values = true)]
    code: String,
    /// The room, where a number is given and there are several.
    #[arg(long)]
    room: Option<String>,
    /// The lane, where a number is given that is none of a receipt and the room has several lanes.
    #[arg(long)]
    lane: Option<String>,
    /// Tell it as JSON.
    #[arg(long)]
    json: bool,
    /// Which gateway.
    #[command(flatten)]
    whom: Whom,
}

impl Ticket {
    /// 0 if it is told, 2 if there is no such code or room, 1 if the gateway could not be asked.
    pub(super) fn execute(self) -> u8 {
        let code = match self.code.as_str() {
            "-" => std::io::read_to_string(std::io::stdin()),
            code => Ok(code.to_owned()),
        };
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let asked = [("room", self.room.as_deref()), ("lane", self.lane.as_deref())];
        let asked = asked.map(|(kind, name)| name.map(|name| (kind, name))).into_iter().flatten();
        let mut query = String::new();
        for (kind, name) in asked {
            if !name.bytes().all(is_of_names) {
                eprintln!("error: there is no {kind} `{name}`");
                return CONFIGURATION;
            }
            query += &format!("{}{kind}={name}", if query.is_empty() { '?' } else { '&' });
        }
        let asked = code.map_err(|error| format!("the code could not be read: {error}")).and_then(|code| {
            let code = Bytes::from(code.trim().to_owned());
            ask_with(&self.whom, Method::POST, &format!("/explain/ticket{query}"), code)
        });
        let body = match asked {
            Ok((StatusCode::OK, body)) => body,
            Ok((status, body)) => {
                eprintln!("error: {}", String::from_utf8_lossy(&body).trim());
                let ours = matches!(status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY);
                return if ours { CONFIGURATION } else { RUNTIME };
            }
            Err(error) => {
                eprintln!("error: {error}");
                return RUNTIME;
            }
        };
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        if self.json {
            say(format_args!("{told:#}"));
        } else {
            let (words, zone) = (Words { told: &told }, TimeZone::system());
            say(words.text(&zone));
        }
        OK
    }
}

/// What a gateway told of a place.
struct Words<'a> {
    told: &'a Value,
}

impl Words<'_> {
    /// All of it, a paragraph for each question that a clerk has.
    fn text(&self, zone: &TimeZone) -> String {
        let parts = [
            ("", self.is(zone)),
            ("What to do: ", self.to_do(zone)),
            ("How long: ", self.how_long(zone)),
            ("Missed calls: ", self.missed()),
            ("You can change: ", self.can().to_owned()),
            ("Nobody can change: ", "the order. No number is moved forward, whoever asks.".to_owned()),
        ];
        let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
        parts.map(|(label, text)| format!("{label}{text}")).collect::<Vec<_>>().join("\n")
    }

    fn word(&self, key: &str) -> &str {
        self.told.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn count(&self, key: &str) -> u64 {
        self.told.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    fn minutes_of(&self, part: &str, key: &str) -> Option<String> {
        let ms = self.told.get(part)?.get(key)?.as_u64()?;
        Some(if ms < 60_000 { "less than a minute".to_owned() } else { plural(ms / 60_000, "minute") })
    }

    fn time_of(&self, ms: Option<u64>, zone: &TimeZone) -> Option<String> {
        let time =
            |ms: u64| Some(Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?.to_zoned(zone.clone()));
        let (time, now) = (time(ms?)?, time(self.count("time_ms"))?);
        let format = if time.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        Some(time.strftime(format).to_string())
    }

    fn slot(&self, zone: &TimeZone) -> Option<(String, String)> {
        let slot = self.told.get("slot")?;
        let at = |key: &str| self.time_of(slot.get(key)?.as_u64(), zone);
        Some((at("from_ms")?, at("until_ms")?))
    }

    fn is(&self, zone: &TimeZone) -> String {
        let ahead = match self.count("ahead") {
            0 => "it is next".to_owned(),
            ahead => self.go_before(ahead),
        };
        let state = match self.word("state") {
            "waiting" => format!("waiting to be called; {ahead}"),
            "slot" => match self.slot(zone) {
                Some((from, until)) => {
                    format!("away, with a time to come back at: between {from} and {until}")
                }
                None => "away, with a time to come back at".to_owned(),
            },
            "called" => "called: it may go in now".to_owned(),
            "front_row" => {
                format!("in the front row: it came in time, and gets one of the next free seats; {ahead}")
            }
            "absent" => {
                "called and came, but nobody was there when a seat was: the page was closed or asleep"
                    .to_owned()
            }
            "late" => format!(
                "late: its call was missed, and it will be called again; {ahead} of those who came back"
            ),
            "admitted" => "inside the service".to_owned(),
            "forgotten" => {
                "forgotten by a restart of the gateway: the next request in its browser takes the pass up again"
                    .to_owned()
            }
            "done" => "over: its visit has ended, or the place was given up before the gateway was started"
                .to_owned(),
            "left" => "over: its holder gave the place up".to_owned(),
            "revoked" => "over: an operator took the place away".to_owned(),
            "sold_out" => "waiting, but nothing is left of what people wait for".to_owned(),
            "prequeue" => "registered for the draw; it has no number before that is held".to_owned(),
            "ended" => "over: the whole event has ended".to_owned(),
            _ => "not known: no such number was given in the numbering of now".to_owned(),
        };
        let number = self.told.get("number").and_then(Value::as_u64);
        let number = number.map_or_else(|| "no number".to_owned(), |number| format!("number {number}"));
        let lane = match self.word("lane") {
            "" => String::new(),
            lane => format!(", lane {lane}"),
        };
        let joined = self.time_of(self.told.get("joined_ms").and_then(Value::as_u64), zone);
        let joined = joined.map_or_else(String::new, |time| format!(", taken at {time}"));
        let moved = self.told.get("moved").and_then(Value::as_bool).unwrap_or_default();
        let by = match self.word("by") {
            _ if moved => " (the place has moved to another device since, and this code counts no more)",
            "pass" => " (the code is a pass)",
            _ => "",
        };
        let place = format!(
            "Room {}{lane}, numbering {}, {number}{joined}{by}: {state}.",
            self.word("room"),
            self.count("epoch")
        );
        match (self.is_over(), self.room()) {
            (false, Some(room)) => format!("{place} {room}"),
            _ => place,
        }
    }

    fn go_before(&self, ahead: u64) -> String {
        let of_its_lane = if self.word("lane").is_empty() { "" } else { " of its lane" };
        let go = if ahead == 1 { "goes" } else { "go" };
        format!("{}{of_its_lane} {go} before it", plural(ahead, "number"))
    }

    fn is_over(&self) -> bool {
        matches!(self.word("state"), "done" | "left" | "revoked" | "ended" | "unknown")
    }

    /// What the room does, where that explains the rest.
    fn room(&self) -> Option<&'static str> {
        let why = match (self.word("room_state"), self.word("room_reason")) {
            ("held", "operator") => "The room stands still: its operator holds it.",
            ("held", "upstream") => "The room stands still: the service behind it does not answer.",
            ("held", "dependency") => {
                "The room stands still: a login or another service that people need does not answer."
            }
            ("held", "recovery") => "The room stands still: the gateway cannot write to its disk.",
            ("held", "draw") => "The room stands still until the lots are drawn.",
            ("held", "quiet") => "The room stands still: at this hour nobody is called who waited before it.",
            ("held", _) => "The room stands still.",
            ("prequeue", _) => "The room has not opened.",
            _ => return None,
        };
        Some(why)
    }

    fn to_do(&self, zone: &TimeZone) -> String {
        let text = match self.word("state") {
            "waiting" => {
                "leave the page open, or come back to it in the same browser. The place is kept when the page is closed; asking more often changes nothing."
            }
            "slot" => match self.slot(zone) {
                Some((from, until)) => {
                    return format!(
                        "come back to the page between {from} and {until}, in the same browser, and go in. Earlier it waits by its number; later it has missed a call."
                    );
                }
                None => "come back to the page in the time that was booked.",
            },
            "called" => {
                "go to the page now, in the same browser, and go in; whoever needs longer presses for more time there."
            }
            "front_row" => "keep the page open and in sight: it goes in by itself.",
            "absent" => {
                "open the page again: it stands first by its number as soon as the page looks, and gets the next free seat."
            }
            "late" => {
                "open the page and leave it open: whoever comes back is called before those who are silent."
            }
            "admitted" => "go on in the service, in the same browser.",
            "forgotten" => "open any page of the service in the same browser, and go on there.",
            "done" | "left" | "revoked" => {
                "open the address of the service again, which gives a new place at the end of the line."
            }
            "sold_out" => "nothing need be done: the place is kept, in case something comes back.",
            "prequeue" => {
                "come back to the page after the opening, in the same browser; arriving earlier gains nothing."
            }
            "ended" => "nothing can be done here any more.",
            _ => {
                "compare the number or the code with the page once more; if both are right, open the address of the service again."
            }
        };
        text.to_owned()
    }

    fn how_long(&self, zone: &TimeZone) -> String {
        match self.word("state") {
            "waiting" if self.word("room_state") == "held" => {
                "nobody can say while the room stands still.".to_owned()
            }
            "waiting" => match self.told.get("wait_minutes").and_then(Value::as_array).map(Vec::as_slice) {
                Some([low, high]) => {
                    let (low, high) = (low.as_u64().unwrap_or_default(), high.as_u64().unwrap_or_default());
                    format!("about {low} to {} at the pace of now.", plural(high, "minute"))
                }
                _ => "not known: the line moves too irregularly, or too short a time, to say.".to_owned(),
            },
            "called" => {
                let more =
                    self.told.get("call").and_then(|call| call.get("extensions")).and_then(Value::as_u64);
                let more = more.map_or_else(String::new, |more| {
                    format!("; it can be extended {}", plural(more, "time"))
                });
                let left = self.minutes_of("call", "ends_in_ms").unwrap_or_else(|| "some time".to_owned());
                format!("the call stands for {left}{more}. Missed, the number is called again.")
            }
            "admitted" => {
                let ends = self.minutes_of("visit", "ends_in_ms").unwrap_or_else(|| "some time".to_owned());
                let idle = self.minutes_of("visit", "idle_in_ms");
                let idle =
                    idle.map_or_else(String::new, |idle| format!(", and {idle} without a page being opened"));
                format!("the visit may last {ends} more{idle}.")
            }
            "front_row" | "absent" => "until a seat falls free.".to_owned(),
            "late" => "not known: a tenth of all calls go to those who missed theirs.".to_owned(),
            "prequeue" => match self.time_of(self.told.get("opens_ms").and_then(Value::as_u64), zone) {
                Some(time) => format!("the room opens at {time}; lots are drawn then."),
                None => "until the lots are drawn.".to_owned(),
            },
            _ => String::new(),
        }
    }

    fn missed(&self) -> String {
        if self.is_over() || self.word("state") == "prequeue" {
            return String::new();
        }
        match self.count("misses") {
            0 => "none.".to_owned(),
            3 => "three or more; it is called again only when its page asks.".to_owned(),
            misses => format!("{misses}; it is called again by itself up to the third."),
        }
    }

    fn can(&self) -> &'static str {
        match self.word("state") {
            "waiting" | "slot" | "called" | "front_row" | "absent" | "late" => {
                "with the code, under \"Do you already have a code?\" on the waiting page, whatever its holder could: look, book a time, ask for more time, give the place up. An operator can take the place away (revoke), and not give it back."
            }
            "admitted" | "forgotten" => "an operator can end the visit (revoke), and not give it back.",
            "sold_out" | "prequeue" => {
                "nothing; an operator can take the place away (revoke) once it has a number."
            }
            _ => "nothing: what is over does not come back.",
        }
    }
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// At 11:00 UTC.
    fn text(more: &Value) -> String {
        let mut told = json!({
            "room": "main", "epoch": 2, "number": 4711, "by": "ticket", "joined_ms": 1_796_720_400_000_u64,
            "ahead": 0, "misses": 0, "room_state": "queueing", "time_ms": 1_796_727_600_000_u64,
        });
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Words { told: &told }.text(&TimeZone::UTC)
    }

    #[test]
    fn each_state_says_what_it_is_what_to_do_and_what_can_be_changed() {
        for (state, is, to_do) in [
            ("waiting", "waiting to be called; it is next", "leave the page open"),
            ("slot", "away", "come back"),
            ("called", "it may go in now", "go to the page now"),
            ("front_row", "front row", "goes in by itself"),
            ("absent", "nobody was there", "open the page again"),
            ("late", "call was missed", "leave it open"),
            ("admitted", "inside", "go on"),
            ("forgotten", "forgotten by a restart", "open any page"),
            ("done", "its visit has ended", "a new place"),
            ("left", "gave the place up", "a new place"),
            ("revoked", "an operator took", "a new place"),
            ("sold_out", "nothing is left", "the place is kept"),
            ("prequeue", "registered for the draw", "after the opening"),
            ("ended", "the whole event", "nothing can be done"),
            ("unknown", "no such number", "compare the number"),
        ] {
            let text = text(&json!({ "state": state }));
            let first = "Room main, numbering 2, number 4711, taken at 09:00: ";
            assert!(text.starts_with(first) && text.contains(is), "{state}: {text}");
            assert!(text.contains("\nWhat to do: ") && text.contains(to_do), "{state}: {text}");
            assert!(
                text.contains("\nYou can change: ") && text.contains("Nobody can change: the order"),
                "{text}"
            );
        }
    }

    #[test]
    fn times_and_counts_are_said_as_they_are() {
        let waits = text(&json!({ "state": "waiting", "ahead": 120, "wait_minutes": [12, 18], "misses": 0 }));
        assert!(waits.contains("120 numbers go before it"), "{waits}");
        assert!(
            waits.contains("How long: about 12 to 18 minutes") && waits.contains("Missed calls: none."),
            "{waits}"
        );
        let office = text(&json!({ "state": "waiting", "ahead": 2, "lane": "offices" }));
        assert!(office.starts_with("Room main, lane offices, numbering 2, number 4711"), "{office}");
        assert!(office.contains("2 numbers of its lane go before it"), "{office}");
        let held =
            json!({ "state": "waiting", "ahead": 1, "room_state": "held", "room_reason": "dependency" });
        let held = text(&held);
        assert!(
            held.contains("1 number goes before it") && held.contains("a login or another service"),
            "{held}"
        );
        assert!(held.contains("nobody can say while the room stands still"), "{held}");
        let called = text(
            &json!({ "state": "called", "misses": 2, "call": { "ends_in_ms": 425_000, "extensions": 1 } }),
        );
        assert!(called.contains("stands for 7 minutes; it can be extended 1 time."), "{called}");
        assert!(called.contains("Missed calls: 2;"), "{called}");
        let slot = json!({ "from_ms": 1_796_731_200_000_u64, "until_ms": 1_796_819_400_000_u64 });
        let slot = text(&json!({ "state": "slot", "slot": slot }));
        assert!(slot.contains("between 12:00 and 2026-12-09 12:30"), "{slot}");
        let visit = json!({ "ends_in_ms": 3_600_000, "idle_in_ms": 59_000, "extensions": 9 });
        let visit = text(&json!({ "state": "admitted", "visit": visit }));
        assert!(visit.contains("60 minutes more, and less than a minute without"), "{visit}");
        let moved = text(&json!({ "state": "waiting", "ahead": 2, "moved": true }));
        assert!(moved.contains("this code counts no more): waiting to be called; 2 numbers"), "{moved}");
        let lots = text(&json!({ "state": "prequeue", "number": null, "opens_ms": 1_796_729_400_000_u64 }));
        assert!(lots.contains("no number") && lots.contains("opens at 11:30"), "{lots}");
    }
}
