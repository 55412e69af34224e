//! Who gets HTML: people who open a page. Scripts, images, previews and programs get problem+json.
//!
//! `Sec-Fetch-*` says so outright where the browser sends it; `Accept` decides for older ones.
//! Weights are thousandths (RFC 9110: three decimals). At most 64 list items are read.

use http::header::{ACCEPT, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, Method};

const MOST_ITEMS: usize = 64;

// Read on every request: as names, they are not parsed again each time.
static DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
static MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
static PURPOSES: [HeaderName; 3] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-moz"),
];

/// A navigation shows its answer to a person; what asks for data or might never be seen does not.
#[must_use]
pub fn wants_html(headers: &HeaderMap) -> bool {
    if is_speculative(headers) {
        return false;
    }
    let dest = text(headers, &DEST);
    match (dest, text(headers, &MODE)) {
        (Some(dest), _) => matches!(dest, "document" | "iframe" | "frame"),
        (None, Some(mode)) => mode == "navigate",
        (None, None) => {
            !headers.contains_key(&REQUESTED_WITH) && !headers.contains_key(UPGRADE) && accepts_html(headers)
        }
    }
}

/// Whether a person opens this address, for which a page is wanted, as a page of its own. Only GET: a
/// HEAD changes nothing and a POST cannot be repeated, so neither may take a place or a pass.
#[must_use]
pub fn is_navigation(method: &Method, headers: &HeaderMap, html: bool) -> bool {
    html && *method == Method::GET && text(headers, &DEST).is_none_or(|dest| dest == "document")
}

/// Whether this is one of our own forms, sent by a browser without JavaScript.
#[must_use]
pub fn is_html_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") && wants_html(headers)
}

/// Prefetch, prerender and previews: the answer may never be seen.
fn is_speculative(headers: &HeaderMap) -> bool {
    let prefetched = |name| {
        text(headers, name).is_some_and(|value| value.split([',', ';']).any(|part| part.trim() == "prefetch"))
    };
    PURPOSES.iter().any(prefetched)
}

/// `*/*` alone is curl or a library, not a person; a tie with JSON goes to HTML.
fn accepts_html(headers: &HeaderMap) -> bool {
    let (mut html, mut xhtml, mut text, mut json) = (None, None, None, 0);
    for (range, weight) in ranges(headers, &ACCEPT) {
        let range = range.to_ascii_lowercase();
        match range.as_str() {
            "text/html" => html = html.max(Some(weight)),
            "application/xhtml+xml" => xhtml = xhtml.max(Some(weight)),
            "text/*" => text = text.max(Some(weight)),
            "application/json" => json = json.max(weight),
            _ if range.ends_with("+json") => json = json.max(weight),
            _ => {}
        }
    }
    let html = html.or(xhtml).or(text).unwrap_or(0);
    html > 0 && html >= json
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The items of a weighted list with their weights in thousandths; malformed ones are left out.
pub(super) fn ranges<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, u16)> + use<'a> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).take(MOST_ITEMS).filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let mut weight = 1000;
        for part in parts {
            if let Some((key, value)) = part.split_once('=')
                && key.trim().eq_ignore_ascii_case("q")
            {
                weight = thousandths(value.trim())?;
            }
        }
        Some((range, weight))
    })
}

/// `0`, `1`, `0.123`, `1.000`; anything else is no weight. More than three decimals are cut.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let whole: u16 = match whole {
        "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut fraction = 0;
    for digit in decimals.bytes().chain(*b"000").take(3) {
        fraction = fraction * 10 + u16::from(digit - b'0');
    }
    (whole + fraction <= 1000).then_some(whole + fraction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn navigates(method: &Method, headers: &HeaderMap) -> bool {
        is_navigation(method, headers, wants_html(headers))
    }

    #[test]
    fn fetch_metadata_outweighs_accept() {
        let html = ("accept", "text/html");
        assert!(wants_html(&of(&[("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")])));
        assert!(wants_html(&of(&[("sec-fetch-mode", "navigate"), ("accept", "*/*")])));
        for dest in ["empty", "image", "script", "style", "", "Document"] {
            assert!(!wants_html(&of(&[("sec-fetch-dest", dest), html])), "{dest:?}");
        }
        for mode in ["cors", "no-cors", "same-origin", "websocket"] {
            assert!(!wants_html(&of(&[("sec-fetch-mode", mode), html])), "{mode}");
        }
    }

    #[test]
    fn what_may_never_be_seen_is_no_navigation() {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("x-requested-with", "XMLHttpRequest"),
            ("upgrade", "websocket"),
        ] {
            let headers = of(&[(name, value), ("accept", "text/html")]);
            assert!(!wants_html(&headers) && !navigates(&Method::GET, &headers), "{name}: {value}");
        }
    }

    #[test]
    fn accept_is_read_with_its_weights() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("TEXT/HTML", true),
            ("text/*;q=0.1", true),
            ("application/xhtml+xml", true),
            ("text/html;q=0.5, application/json;q=0.5", true),
            ("text/html;level=1;q=0.2, application/json;q=0.1", true),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0.5, application/problem+json;q=0.6", false),
            ("text/html;q=0, text/*", false),
            ("text/html;q=0.0", false),
            ("*/*", false),
            ("application/json", false),
            ("image/avif,image/webp,*/*;q=0.8", false),
            ("", false),
            ("text/html;q=1.5", false),
            ("text/html;q=.5", false),
            (",;=, text/html;;, ,", true),
        ] {
            assert_eq!(wants_html(&of(&[("accept", accept)])), html, "{accept:?}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }

    #[test]
    fn only_a_top_level_get_is_a_navigation() {
        let page = of(&[("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")]);
        assert!(navigates(&Method::GET, &page));
        assert!(navigates(&Method::GET, &of(&[("accept", "text/html")])));
        for method in [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
            assert!(!navigates(&method, &page), "{method}");
        }
        let frame = of(&[("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")]);
        assert!(wants_html(&frame) && !navigates(&Method::GET, &frame));
    }

    #[test]
    fn our_forms_are_recognised() {
        let kind = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert!(is_html_form(&of(&[kind, ("accept", "text/html")])));
        assert!(!is_html_form(&of(&[kind, ("accept", "*/*")])));
        assert!(!is_html_form(&of(&[("content-type", "text/plain"), ("accept", "text/html")])));
    }

    proptest! {
        #[test]
        fn no_header_panics_and_weights_stay_in_range(value in "[ -~]{0,80}") {
            let headers = of(&[("accept", &value), ("accept-language", &value)]);
            let _ = (wants_html(&headers), super::super::Language::negotiate(&headers));
            for (range, weight) in ranges(&headers, &ACCEPT) {
                prop_assert!(!range.is_empty() && weight <= 1000);
            }
        }

        #[test]
        fn the_heavier_of_html_and_json_wins(html in 1u16..=1000, json in 0u16..=1000) {
            let q = |n: u16| format!("{}.{:03}", n / 1000, n % 1000);
            let accept = format!("application/json;q={}, text/html;q={}", q(json), q(html));
            prop_assert_eq!(wants_html(&of(&[("accept", &accept)])), html >= json);
        }
    }
}
