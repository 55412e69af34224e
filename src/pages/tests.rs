//! What every page must keep: size, policy, escaping, and the same bytes for everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, RETRY_AFTER, SET_COOKIE};
use http::{Response, StatusCode};
use minijinja::HtmlEscape;
use sha2::{Digest, Sha256};

use super::*;

const XSS: [&str; 6] = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "<!--<script>",
    "&lt;b&gt;]]>",
    "{{ 7*7 }}{% for x in y %}",
];

fn room(name: &str, title: &str, message: Option<&str>) -> RoomPage {
    let messages = message.map(|text| ("it".to_owned(), text.to_owned())).into_iter().collect();
    RoomPage {
        name: name.into(),
        title: title.into(),
        messages,
        status: StatusCode::SERVICE_UNAVAILABLE,
        lanes: false,
        asks: false,
        invites: false,
        idle: Duration::from_secs(600),
        slots: Some(Duration::from_secs(900)),
    }
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn retry() -> RetryAfter {
    RetryAfter::after(Duration::from_secs(5))
}

fn language(tag: &str) -> Language {
    Language::from_tag(tag).unwrap()
}

/// Every page there is, of one room.
fn every_page(pages: &Pages, room: &str) -> Vec<Response<Bytes>> {
    use PlaceState as State;
    let back = ReturnPath::parse("/prenota?giorno=1&ora=2").unwrap();
    let mut all = Vec::new();
    for language in Language::all() {
        all.push(pages.waiting(room, language, Coding::Identity, retry()).unwrap());
        all.extend(Reason::ALL.map(|reason| pages.notice(reason, language, "01JAB-cd", Some(retry()))));
        let states = [
            State::Waiting,
            State::Called,
            State::FrontRow,
            State::Late,
            State::Slot,
            State::Admitted,
            State::Done,
            State::Unknown,
            State::Left,
            State::UsedCode,
            State::Moved,
            State::Invited,
            State::Misread,
            State::Uninvited,
            State::Ended,
        ];
        for state in states {
            for standstill in [None, Some(Standstill::Upstream)] {
                all.push(pages.place(&facts(room, state, standstill, &back, language)).unwrap());
            }
        }
    }
    all
}

fn facts<'a>(
    room: &'a str,
    state: PlaceState,
    standstill: Option<Standstill>,
    back: &'a ReturnPath,
    language: Language,
) -> PlaceFacts<'a> {
    let wait = Some(Estimate { low: 12, high: 18 });
    let time = Some("10:03");
    let call = Some(CallMinutes { minutes: 7, more: true });
    let visit = Some(CallMinutes { minutes: 42, more: true });
    PlaceFacts {
        room,
        state,
        number: 4711,
        lane: None,
        ahead: 1032,
        wait,
        call,
        visit,
        slot: None,
        code: None,
        standstill,
        redraw: None,
        opens_in: None,
        time,
        moving: None,
        word: "w",
        back,
        language,
    }
}

/// The contents of all inline blocks `<tag>...</tag>` that a browser runs.
fn blocks<'a>(page: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    page.split(&open).skip(1).map(|part| part.split(&close).next().unwrap()).collect()
}

fn data(page: &str) -> serde_json::Value {
    let start = page.split("<script type=\"application/json\" id=\"data\">").nth(1).unwrap();
    serde_json::from_str(start.split("</script>").next().unwrap()).unwrap()
}

/// A page without its data block, whose `<` are all escaped: JSON has its own rules.
fn markup(page: &str) -> String {
    let Some((before, rest)) = page.split_once("<script type=\"application/json\" id=\"data\">") else {
        return page.to_owned();
    };
    let (data, after) = rest.split_once("</script>").unwrap();
    assert!(!data.contains(['<', '>', '&']));
    format!("{before}{after}")
}

#[test]
fn the_waiting_page_fits_the_first_flight() {
    let long = "Oggi le prenotazioni chiudono alle 18. ".repeat(12);
    let pages =
        Pages::build(&[room("sala", "Prenotazione della carta d'identità", Some(&long))], &Look::default())
            .unwrap();
    for language in Language::all() {
        let page = pages.waiting("sala", language, Coding::Identity, retry()).unwrap();
        let zipped = pages.waiting("sala", language, Coding::Gzip, retry()).unwrap();
        let fields: usize =
            zipped.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let (tag, wire) = (language.tag(), zipped.body().len() + fields);
        assert!(wire <= 14_000, "{tag}: {wire} bytes with the head");
        assert!(page.body().len() <= 42_500, "{tag}: {} bytes", page.body().len());
    }
}

#[test]
fn compressed_is_the_same_page() {
    let pages = Pages::build(&[room("sala", "Titolo", Some("Messaggio"))], &Look::default()).unwrap();
    for language in Language::all() {
        let plain = pages.waiting("sala", language, Coding::Identity, retry()).unwrap();
        let zipped = pages.waiting("sala", language, Coding::Gzip, retry()).unwrap();
        let mut read = Vec::new();
        GzDecoder::new(&zipped.body()[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, plain.body()[..]);
        let mut fields = zipped.headers().clone();
        assert_eq!(fields.remove(CONTENT_ENCODING).unwrap(), "gzip");
        assert_eq!((zipped.status(), &fields), (plain.status(), plain.headers()));
    }
}

#[test]
fn the_policy_allows_exactly_the_inline_blocks() {
    let pages = Pages::build(&[room("sala", "Titolo", None)], &Look::default()).unwrap();
    for page in every_page(&pages, "sala") {
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let (styles, scripts) = (blocks(text(&page), "style"), blocks(text(&page), "script"));
        assert_eq!(styles.len(), 1);
        let mut expected = BTreeSet::new();
        for block in styles.iter().chain(&scripts) {
            assert!(!block.is_empty());
            expected.insert(format!("'sha256-{}'", STANDARD.encode(Sha256::digest(block))));
        }
        let hashes: BTreeSet<String> =
            policy.split([' ', ';']).filter(|word| word.starts_with("'sha256-")).map(str::to_owned).collect();
        assert_eq!(hashes, expected);
        assert!(policy.starts_with("default-src 'none'; "));
        for rule in ["form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !text(&page).contains(" style="));
    }
}

#[test]
fn nothing_is_asked_from_elsewhere_and_nothing_reloads_itself() {
    let pages = Pages::build(&[room("sala", "Titolo", Some("Messaggio"))], &Look::default()).unwrap();
    for page in every_page(&pages, "sala") {
        let page = text(&page);
        for word in
            ["http:", "https:", "=\"//", "url(", "@import", "<link", "<img", "http-equiv", "<iframe", " src="]
        {
            assert!(!page.contains(word), "{word} in a page");
        }
    }
}

#[test]
fn every_page_is_ours_alone_and_says_so() {
    let pages = Pages::build(&[room("sala", "Titolo", None)], &Look::default()).unwrap();
    for page in every_page(&pages, "sala") {
        let headers = page.headers();
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["vary"], "Accept, Accept-Encoding, Accept-Language, Cookie");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "same-origin");
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert!(!headers.contains_key(SET_COOKIE));
        let tag = headers[CONTENT_LANGUAGE].to_str().unwrap();
        assert!(text(&page).contains(&format!("<html lang=\"{tag}\"")));
        let must = matches!(page.status().as_u16(), 429 | 503);
        assert_eq!(headers.contains_key(RETRY_AFTER), must);
        assert_eq!(text(&page).matches("<main>").count(), 1);
        assert!(!text(&page).contains(['\u{E000}', '\u{E001}']), "a gap was left open");
    }
}

#[test]
fn everybody_gets_the_same_bytes_and_builds_agree() {
    let rooms = [room("a", "A", Some("m")), room("b", "B", None)];
    let (one, two) =
        (Pages::build(&rooms, &Look::default()).unwrap(), Pages::build(&rooms, &Look::default()).unwrap());
    let first = one.waiting("a", language("it"), Coding::Identity, retry()).unwrap();
    let again = one
        .waiting("a", language("it"), Coding::Identity, RetryAfter::after(Duration::from_secs(90)))
        .unwrap();
    assert_eq!(first.body().as_ptr(), again.body().as_ptr(), "shared, not copied");
    assert_eq!(
        (&first.headers()[RETRY_AFTER], &again.headers()[RETRY_AFTER]),
        (&"5".parse().unwrap(), &"90".parse().unwrap())
    );
    let zipped = |pages: &Pages| pages.waiting("a", language("it"), Coding::Gzip, retry()).unwrap();
    assert_eq!(zipped(&one).body().as_ptr(), zipped(&one).body().as_ptr());
    assert_eq!(zipped(&one).body(), zipped(&two).body());
    assert_eq!(first.body(), two.waiting("a", language("it"), Coding::Identity, retry()).unwrap().body());
    assert_ne!(first.body(), one.waiting("b", language("it"), Coding::Identity, retry()).unwrap().body());
    assert_ne!(first.body(), one.waiting("a", language("en"), Coding::Identity, retry()).unwrap().body());
    assert!(one.waiting("c", language("it"), Coding::Identity, retry()).is_none());
}

#[test]
fn the_waiting_page_holds_one_language_and_leads_to_the_others() {
    let pages = Pages::build(&[room("sala", "Titolo", None)], &Look::default()).unwrap();
    for asked in Language::all() {
        let page = pages.waiting("sala", asked, Coding::Identity, retry()).unwrap();
        let tag = asked.tag();
        assert_eq!(text(&page).matches("class=\"pane").count(), 1);
        assert!(
            text(&page)
                .contains(&format!("<div class=\"pane first\" id=\"{tag}\" lang=\"{tag}\" dir=\"ltr\">"))
        );
        for other in Language::all().filter(|other| *other != asked) {
            let link = HtmlEscape(&queue_link("sala", other, None)).to_string();
            let link = format!("<a href=\"{link}\" lang=\"{0}\" hreflang=\"{0}\">", other.tag());
            assert!(text(&page).contains(&link), "{link}");
        }
        let named = pages.queue("sala", asked, Coding::Identity).unwrap();
        assert_eq!((named.status(), named.body()), (StatusCode::OK, page.body()));
        assert!(!named.headers().contains_key(RETRY_AFTER));
    }
}

#[test]
fn a_notice_holds_every_language_and_the_asked_one_is_first_seen() {
    let pages = Pages::build(&[], &Look::default()).unwrap();
    for asked in Language::all() {
        let page = pages.notice(Reason::Internal, asked, "x", None);
        let tag = asked.tag();
        assert!(text(&page).contains(&format!("<div class=\"pane first\" id=\"{tag}\" lang=\"{tag}\"")));
        for other in Language::all().filter(|other| *other != asked) {
            let tag = other.tag();
            assert!(text(&page).contains(&format!("<div class=\"pane\" id=\"{tag}\" lang=\"{tag}\"")));
            assert!(text(&page).contains(&format!("<a href=\"#{tag}\" lang=\"{tag}\" hreflang=\"{tag}\">")));
        }
        assert!(page.body().len() <= 14_000, "{} bytes", page.body().len());
    }
}

#[test]
fn words_of_the_operator_stay_words() {
    for payload in XSS {
        let pages = Pages::build(&[room("sala", payload, Some(payload))], &Look::default()).unwrap();
        let clean = Pages::build(&[room("sala", "x", Some("x"))], &Look::default()).unwrap();
        for (page, clean) in every_page(&pages, "sala").iter().zip(every_page(&clean, "sala")) {
            let (page, clean) = (markup(text(page)), markup(text(&clean)));
            for mark in ["<script", "<img", "<!--", "onmouseover='", "\"><", "49"] {
                let (found, expected) = (page.matches(mark).count(), clean.matches(mark).count());
                assert_eq!(found, expected, "{payload}: {mark}");
            }
        }
        let page = pages.waiting("sala", language("it"), Coding::Identity, retry()).unwrap();
        assert_eq!(data(text(&page))["title"], payload);
    }
}

#[test]
fn what_clients_send_stays_text() {
    let pages = Pages::build(&[room("sala", "x", None)], &Look::default()).unwrap();
    for payload in XSS {
        let page = pages.notice(Reason::Internal, language("it"), payload, None);
        assert_eq!(text(&page).matches("<script").count() + text(&page).matches("<img").count(), 0);
        let escaped = HtmlEscape(payload).to_string();
        assert_eq!(text(&page).matches(&escaped).count(), Language::all().count(), "{payload}");
        let path: String = format!("/{payload}").replace(' ', "+");
        let Some(back) = ReturnPath::parse(&path) else { panic!("{path}") };
        let facts = facts("sala", PlaceState::Admitted, None, &back, language("en"));
        let page = pages.place(&facts).unwrap();
        assert_eq!(text(&page).matches("<script").count() + text(&page).matches("<img").count(), 0);
    }
}

#[test]
fn a_message_is_shown_in_the_readers_language_or_marked_as_another() {
    let mut sala = room("sala", "Titolo", Some("Chiude alle 18"));
    let pages = Pages::build(std::slice::from_ref(&sala), &Look::default()).unwrap();
    let page = pages.waiting("sala", language("it"), Coding::Identity, retry()).unwrap();
    assert!(text(&page).contains("<p data-f=\"text\">Chiude alle 18</p>"));
    let page = pages.waiting("sala", language("en"), Coding::Identity, retry()).unwrap();
    assert!(text(&page).contains("<p data-f=\"text\" lang=\"it\">Chiude alle 18</p>"));
    sala.messages = BTreeMap::new();
    let pages = Pages::build(&[sala], &Look::default()).unwrap();
    let page = pages.waiting("sala", language("en"), Coding::Identity, retry()).unwrap();
    assert!(text(&page).contains("data-f=\"message\" hidden>"));
}

#[test]
fn the_place_page_shows_where_one_stands() {
    let pages = Pages::build(&[room("sala", "Titolo", None)], &Look::default()).unwrap();
    let back = ReturnPath::parse("/prenota?giorno=1&ora=2").unwrap();
    let show = |state, standstill, tag| {
        let page = pages.place(&facts("sala", state, standstill, &back, language(tag))).unwrap();
        text(&page).to_owned()
    };
    let waiting = show(PlaceState::Waiting, None, "it");
    for part in [
        "<dd>1.032</dd>",
        "<dd>4.711</dd>",
        "<dd>da 12 a 18 minuti</dd>",
        "Dati delle 10:03",
        "place?return=%2Fprenota%3Fgiorno%3D1%26ora%3D2&amp;lang=de",
    ] {
        assert!(waiting.contains(part), "{part} not in {waiting}");
    }
    assert!(!waiting.contains("claims") && !waiting.contains("tickets") && !waiting.contains("extension"));
    assert!(waiting.contains("rooms&#x2f;sala&#x2f;leave") && waiting.contains("Rinuncio al posto"));
    assert!(show(PlaceState::Waiting, None, "fr").contains("<dd>1\u{202f}032</dd>"));
    let held = show(PlaceState::Waiting, Some(Standstill::Upstream), "it");
    assert!(held.contains("La coda è ferma perché") && !held.contains("da 12"));
    let called = show(PlaceState::Called, None, "en");
    assert!(called.contains("action=\"&#x2f;.tornello&#x2f;v1&#x2f;rooms&#x2f;sala&#x2f;claims\""));
    assert!(called.contains("name=\"return\" value=\"&#x2f;prenota?giorno=1&amp;ora=2\""));
    assert!(show(PlaceState::Unknown, None, "it").contains("rooms&#x2f;sala&#x2f;tickets"));
    assert!(pages.place(&facts("altra", PlaceState::Waiting, None, &back, language("it"))).is_err());
}

#[test]
fn a_page_promises_only_what_it_does() {
    const STAY: [&str; 10] = [
        "lascia aperta",
        "keep this page open",
        "Lassen Sie diese Seite geöffnet",
        "laissez cette page ouverte",
        "pustite to stran odprto",
        "questa pagina lo dice",
        "this page says so",
        "steht es auf dieser Seite",
        "cette page l’indiquera",
        "bo to pisalo na tej strani",
    ];
    let sala = room("sala", "Titolo", None);
    let asks = RoomPage { name: "asks".into(), asks: true, ..sala.clone() };
    let pages = Pages::build(&[sala, asks], &Look::default()).unwrap();
    let back = ReturnPath::default();
    let show = |state, standstill| {
        let page = pages.place(&facts("sala", state, standstill, &back, language("en"))).unwrap();
        text(&page).to_owned()
    };
    // Nothing comes by itself to who has no scripts: there is a way to look again.
    for (state, standstill) in [
        (PlaceState::Prequeue, None),
        (PlaceState::Prequeue, Some(Standstill::Draw)),
        (PlaceState::Late, None),
        (PlaceState::SoldOut, None),
    ] {
        let page = show(state, standstill);
        assert!(STAY.iter().all(|words| !page.contains(words)), "{state:?}: {page}");
        assert!(page.contains(">Update</a>"), "{state:?}: {page}");
    }
    let moved = show(PlaceState::Moved, None);
    assert!(moved.contains("type it on this page") && moved.contains("sala/arrival"), "{moved}");
    // Who is asked is not taken in.
    let live = |name| {
        let page = pages.waiting(name, language("en"), Coding::Identity, retry()).unwrap();
        text(&page).to_owned()
    };
    let (taken, asked) = ("takes you in when it is your turn", "you then go in by pressing a button");
    assert!(live("sala").contains(taken) && !live("sala").contains(asked));
    assert!(live("asks").contains(asked) && !live("asks").contains(taken));
}

#[test]
fn a_notice_names_its_reference_and_when_to_come_back() {
    let pages = Pages::build(&[], &Look::default()).unwrap();
    let page = |reason, seconds: Option<u64>| {
        let retry = seconds.map(|seconds| RetryAfter::after(Duration::from_secs(seconds)));
        pages.notice(reason, language("it"), "ABC-123", retry)
    };
    let down = page(Reason::UpstreamDown, Some(61));
    assert_eq!((down.status().as_u16(), &down.headers()[RETRY_AFTER]), (503, &"61".parse().unwrap()));
    assert!(text(&down).contains("Puoi riprovare tra 2 minuti. Tornerà"));
    assert!(text(&down).contains("You can try again in 2 minutes. It will"));
    assert_eq!(text(&down).matches("ABC-123").count(), Language::all().count());
    let timeout = page(Reason::GatewayTimeout, None);
    assert!(timeout.status() == 504 && !timeout.headers().contains_key(RETRY_AFTER));
    assert!(!text(&timeout).contains("riprovare"));
    assert_eq!(page(Reason::OverQuota, None).headers()[RETRY_AFTER], "5");
    assert!(!text(&page(Reason::UpstreamDown, Some(86_400))).contains("riprovare"));
}
