//! The rules page: by which rules a room works, rendered from the configuration in force, so that it
//! cannot say anything else than what is done.

use std::time::Duration;

use http::StatusCode;
use minijinja::{Value, context};

use super::language::Language;
use super::layout::{Layout, Page, Switch};
use super::prepared::{Prepared, page_headers};
use super::return_path::encoded;
use super::text::{Texts, value};
use crate::admission::policy::LanePolicy;

/// The rules of a room in force.
#[derive(Clone, Copy, Debug)]
pub struct RuleFacts<'a> {
    /// The room's name.
    pub room: &'a str,
    /// The name of the service, for people.
    pub title: &'a str,
    /// How long a call stands.
    pub call: Duration,
    /// When an unused visit may end.
    pub idle: Duration,
    /// The longest visit.
    pub session: Duration,
    /// How often a call, and a visit, may be extended.
    pub extensions: u8,
    /// Fewest and most people inside at once.
    pub seats: (u32, u32),
    /// The shortest and longest time between two looks of the page.
    pub poll: (Duration, Duration),
    /// From which wait on slots are offered, and how long they are; `None` where none are.
    pub slots: Option<(Duration, Duration)>,
    /// When nobody is called, every day; empty if that never is.
    pub quiet: &'a str,
    /// Whether those who are there at the opening are drawn by lot.
    pub lots: bool,
    /// The lines and their weights, if there are several.
    pub lanes: &'a [LanePolicy],
    /// Whether a trusted proxy names the person.
    pub person: bool,
    /// The language of the page.
    pub language: Language,
}

/// The address of a room's rules.
pub(super) fn rules_link(room: &str, language: Language) -> String {
    format!("/.tornello/rooms/{}/rules?lang={}", encoded(room), language.tag())
}

pub(super) fn render(layout: &Layout, facts: &RuleFacts<'_>) -> Result<Prepared, String> {
    let texts = layout.texts(facts.language);
    let rule = |key: &str| texts.rules.get(key).map_or("", String::as_str);
    let span = |time: Duration| written(texts, time);
    let filled = |key: &str, blanks: &[(&str, String)]| {
        let fill = |text: String, (name, words): &(&str, String)| text.replace(&format!("{{{name}}}"), words);
        blanks.iter().fold(rule(key).to_owned(), fill)
    };
    let item = |heading: &str, text: String| context! { heading => rule(heading), text };
    let (floor, ceiling) = (texts.figure(facts.seats.0.into()), texts.figure(facts.seats.1.into()));
    let (often, seldom) = (span(facts.poll.0), span(facts.poll.1));
    let place = match (facts.person, facts.lots) {
        (true, true) => "place_lot",
        (true, false) => "place_person",
        (false, _) => "place_browser",
    };
    let mut items: Vec<Value> = vec![
        item("order_heading", rule(if facts.lots { "order_lots" } else { "order" }).to_owned()),
        item("place_heading", rule(place).to_owned()),
        item("call_heading", filled("call", &[("call", span(facts.call))])),
        item(
            "visit_heading",
            filled(
                "visit",
                &[
                    ("idle", span(facts.idle)),
                    ("session", span(facts.session)),
                    ("times", texts.figure(facts.extensions.into())),
                ],
            ),
        ),
        item("seats_heading", filled("seats", &[("floor", floor), ("ceiling", ceiling)])),
        item("poll_heading", filled("poll", &[("min", often), ("max", seldom)])),
        item("data_heading", rule("data").to_owned()),
        item("books_heading", rule("books").to_owned()),
    ];
    if !facts.lanes.is_empty() {
        let lane = |lane: &LanePolicy| format!("{} ({})", lane.name, texts.figure(lane.weight.into()));
        let lanes: Vec<String> = facts.lanes.iter().map(lane).collect();
        items.insert(1, item("lanes_heading", filled("lanes", &[("lanes", lanes.join(", "))])));
    }
    if let Some((after, length)) = facts.slots {
        let text = filled("slots", &[("after", span(after)), ("length", span(length))]);
        items.insert(3, item("slots_heading", text));
    }
    if !facts.quiet.is_empty() {
        items.insert(3, item("quiet_heading", filled("quiet", &[("hours", facts.quiet.to_owned())])));
    }
    let values = context! {
        rules => value(&texts.rules),
        items,
        machine => format!("/.tornello/v1/rooms/{}/rules", encoded(facts.room)),
        log => format!("/.tornello/v1/rooms/{}/log", encoded(facts.room)),
        keys => "/.tornello/v1/keys",
    };
    let link = |language| rules_link(facts.room, language);
    let page = Page {
        language: facts.language,
        title: format!("{} · {}", rule("title"), facts.title),
        service: facts.title,
        data: None,
        switch: Switch::Links(&link),
    };
    let body = layout.page(&page, |_| layout.render("rules.html", values.clone()))?;
    let headers = page_headers(facts.language, &layout.style, None)?;
    Ok(Prepared { status: StatusCode::OK, headers, body: body.into() })
}

/// A time in its two largest units: "1 h 30 min", "45 s".
fn written(texts: &Texts, time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let unit = |text: &str, blank: &str, n: u64| text.replace(blank, &n.to_string());
    let hours = || unit(texts.live("hours"), "{h}", h);
    let minutes = || unit(texts.live("minutes"), "{m}", m);
    let rest = || unit(texts.rules.get("seconds").map_or("", String::as_str), "{s}", s);
    match (h, m, s) {
        (0, 0, _) => rest(),
        (0, _, 0) => minutes(),
        (0, _, _) => format!("{} {}", minutes(), rest()),
        (_, 0, _) => hours(),
        _ => format!("{} {}", hours(), minutes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_two_units() {
        let texts = Texts::load(Language::DEFAULT, &super::super::overlay::Overlay::default()).unwrap();
        for (seconds, words) in [
            (1, "1 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (86_400, "24 h"),
        ] {
            assert_eq!(written(&texts, Duration::from_secs(seconds)), words);
        }
        assert_eq!(written(&texts, Duration::from_millis(200)), "1 s");
    }
}
