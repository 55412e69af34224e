//! A slot as an entry for a calendar (RFC 5545). It names the service and the time, and nobody.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};
use jiff::Timestamp;

use super::language::Language;
use super::layout::Layout;

/// Longest line, in bytes, without its end.
const LINE_MAX: usize = 75;
/// The calendar reminds so long before.
const REMINDER: &str = "-PT5M";

/// What an entry says.
#[derive(Clone, Copy, Debug)]
pub struct CalendarFacts<'a> {
    /// The name of the service, for people.
    pub title: &'a str,
    /// Names the entry, and nothing else.
    pub uid: &'a str,
    /// When it begins and ends, in milliseconds since 1970.
    pub times_ms: (u64, u64),
    /// When it is told.
    pub now_ms: u64,
    /// Where to come back to.
    pub url: &'a str,
    /// Of its words.
    pub language: Language,
}

pub(super) fn entry(layout: &Layout, facts: &CalendarFacts<'_>) -> Response<Bytes> {
    let texts = layout.texts(facts.language);
    let words = |key: &str| texts.place.get(key).map_or("", String::as_str);
    let summary = words("calendar_title").replace("{service}", facts.title);
    let (from_ms, until_ms) = facts.times_ms;
    let lines = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Tornello//Slot//EN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}", facts.uid),
        format!("DTSTAMP:{}", stamp(facts.now_ms)),
        format!("DTSTART:{}", stamp(from_ms)),
        format!("DTEND:{}", stamp(until_ms)),
        format!("SUMMARY;LANGUAGE={}:{}", facts.language.tag(), escaped(&summary)),
        format!("DESCRIPTION;LANGUAGE={}:{}", facts.language.tag(), escaped(words("calendar_text"))),
        format!("URL:{}", facts.url),
        "CLASS:PRIVATE".to_owned(),
        "BEGIN:VALARM".to_owned(),
        "ACTION:DISPLAY".to_owned(),
        format!("DESCRIPTION;LANGUAGE={}:{}", facts.language.tag(), escaped(&summary)),
        format!("TRIGGER:{REMINDER}"),
        "END:VALARM".to_owned(),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ];
    let mut body = String::new();
    lines.iter().for_each(|line| fold(line, &mut body));
    let mut answer = Response::new(Bytes::from(body));
    let fields = [
        (CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"slot.ics\""),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fields {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// A moment in UTC.
fn stamp(ms: u64) -> String {
    let moment = i64::try_from(ms / 1_000).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A text as a value: what would end it, or begin another, is escaped; other control characters go.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A line with its end, in pieces that are not too long; no character is cut in two.
fn fold(line: &str, out: &mut String) {
    let mut room = LINE_MAX;
    for c in line.chars() {
        if c.len_utf8() > room {
            out.push_str("\r\n ");
            room = LINE_MAX - 1;
        }
        room -= c.len_utf8();
        out.push(c);
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pages::Look;

    fn body(title: &str, language: Language) -> String {
        let layout = Layout::load(&Look::default()).unwrap();
        let facts = CalendarFacts {
            title,
            uid: "0123456789abcdef@tornello",
            times_ms: (1_796_716_800_000, 1_796_718_600_999),
            now_ms: 1_796_700_000_123,
            url: "https://www.example.org/domanda?a=1",
            language,
        };
        String::from_utf8(entry(&layout, &facts).into_body().to_vec()).unwrap()
    }

    fn unfolded(body: &str) -> String {
        body.replace("\r\n ", "")
    }

    #[test]
    fn an_entry_is_what_the_rfc_asks_for_in_every_language() {
        for language in Language::all() {
            let body = body("Carta, identità; \\ e \u{7}\nSPID", language);
            assert!(!body.replace("\r\n", "").contains(['\r', '\n']), "{body}");
            assert!(body.split("\r\n").all(|line| line.len() <= 75), "{body}");
            let lines = unfolded(&body);
            for line in [
                "UID:0123456789abcdef@tornello",
                "DTSTAMP:20261208T032000Z",
                "DTSTART:20261208T080000Z",
                "DTEND:20261208T083000Z",
                "URL:https://www.example.org/domanda?a=1",
            ] {
                assert_eq!(lines.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {body}");
            }
            assert!(lines.contains("Carta\\, identità\\; \\\\ e \\nSPID"), "{lines}");
            assert!(lines.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:"), "{lines}");
            assert!(lines.ends_with("END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"), "{lines}");
            let begin_with = |word: &str| lines.lines().filter(|line| line.starts_with(word)).count();
            assert_eq!((begin_with("BEGIN:"), begin_with("END:")), (3, 3));
        }
    }

    proptest! {
        /// Whatever an operator calls the service: one value, whole, in lines that fit.
        #[test]
        fn any_title_stays_one_value(title in "\\PC{0,200}") {
            let body = body(&title, Language::DEFAULT);
            prop_assert!(body.split("\r\n").all(|line| line.len() <= 75));
            prop_assert!(unfolded(&body).contains(&escaped(&title)));
            prop_assert_eq!(unfolded(&body).matches("\r\n").count(), 19);
        }
    }
}
