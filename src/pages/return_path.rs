//! Where to go after joining or claiming: a path on this host and nowhere else.
//!
//! The path comes from a form field, a query or `Referer`, so it is as hostile as any input: what a
//! browser could read as another host (`//x`, `/\x`, control characters it strips) is no path.

use http::HeaderMap;
use http::header::{HOST, REFERER};

use super::language::Language;

/// Longest path that is carried along; a longer one is answered with "/".
const LONGEST: usize = 2048;

/// A path with query on this host: starts with one slash, printable ASCII, no fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath(String);

impl Default for ReturnPath {
    fn default() -> Self {
        Self("/".into())
    }
}

impl ReturnPath {
    /// The path in `text`, or none if it is not one, or leads to our own endpoints.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.split('#').next().unwrap_or_default();
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let here = path.starts_with('/') && !path.starts_with("//");
        let ours = path.starts_with("/.tornello");
        (plain && here && !ours && path.len() <= LONGEST).then(|| Self(path.into()))
    }

    /// The path of the page that sent this request, if that page is on the host `host` (with port, as
    /// in `Host`). This is how the form without JavaScript finds back: the page that holds it is the
    /// same for everybody and cannot name an address.
    #[must_use]
    pub fn from_referer(headers: &HeaderMap, host: &str) -> Option<Self> {
        let referer = headers.get(REFERER)?.to_str().ok()?;
        let rest = referer.strip_prefix("https://").or_else(|| referer.strip_prefix("http://"))?;
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at)?;
        if !authority.eq_ignore_ascii_case(host) {
            return None;
        }
        if path.is_empty() {
            return Some(Self::default());
        }
        Self::parse(path).or_else(|| Self::carried(path))
    }

    /// The page of this host on which a link or form of ours was.
    #[must_use]
    pub fn of_page(headers: &HeaderMap) -> Option<Self> {
        Self::from_referer(headers, headers.get(HOST)?.to_str().ok()?)
    }

    /// What the address of the queue carries along.
    fn carried(path: &str) -> Option<Self> {
        let path = path.split('#').next().unwrap_or_default();
        let (address, query) = path.split_once('?')?;
        let queue = address.starts_with("/.tornello/rooms/") && address.ends_with("/queue");
        Self::parse(&query_value(query, "return").filter(|_| queue)?)
    }

    /// The path as it stands in `Location` or `href`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The address of the place page.
#[must_use]
pub fn place_link(room: &str, back: &ReturnPath, language: Option<Language>) -> String {
    let mut link = format!("/.tornello/rooms/{}/place?return={}", encoded(room), encoded(back.as_str()));
    if let Some(language) = language {
        link.push_str("&lang=");
        link.push_str(language.tag());
    }
    link
}

/// The address of the waiting page in one language; without `back` it asks the browser where it comes from.
#[must_use]
pub fn queue_link(room: &str, language: Language, back: Option<&ReturnPath>) -> String {
    let mut link = format!("/.tornello/rooms/{}/queue?lang={}", encoded(room), language.tag());
    if let Some(back) = back {
        link.push_str("&return=");
        link.push_str(&encoded(back.as_str()));
    }
    link
}

/// The first value of `name` in an `application/x-www-form-urlencoded` text.
#[must_use]
pub fn query_value(text: &str, name: &str) -> Option<String> {
    let pair = text.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?;
    let mut bytes = pair.1.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}

/// Percent-encodes everything that is not unreserved.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_form_value_is_read_back() {
        assert_eq!(query_value("a=1&return=%2Fwallet%3Fx%3D1", "return").as_deref(), Some("/wallet?x=1"));
        assert_eq!(query_value("return=%zz", "return"), None);
    }

    #[test]
    fn the_queue_carries_the_way_back_and_nothing_else_does() {
        let from = |referer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REFERER, referer.parse().unwrap());
            ReturnPath::from_referer(&headers, "here").map(|back| back.0)
        };
        let back = ReturnPath::parse("/a?b=c&d").unwrap();
        let link = queue_link("sala", Language::DEFAULT, Some(&back));
        assert_eq!(from(&format!("https://here{link}")).as_deref(), Some("/a?b=c&d"));
        assert_eq!(from(&format!("https://there{link}")), None);
        for bad in ["//x", "https://x", "/.tornello/x", "%5C%5Cx"] {
            assert_eq!(from(&format!("https://here/.tornello/rooms/sala/queue?return={bad}")), None, "{bad}");
        }
        assert_eq!(from("https://here/.tornello/rooms/sala/place?return=%2Fa"), None);
    }

    #[test]
    fn only_paths_of_this_host_pass() {
        for good in ["/", "/a/b?c=d&e=%20", "/a//b", "/?x=//evil", "/.well-known/x"] {
            assert_eq!(ReturnPath::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(ReturnPath::parse("/a#b").unwrap().as_str(), "/a");
        for bad in [
            "",
            "a",
            "//evil.example",
            "/\\evil",
            "\\/evil",
            "https://evil",
            "/a\r\nSet-Cookie: x",
            "/\t/evil",
            " /",
            "/ ",
            "/è",
            "javascript:alert(1)",
            "/.tornello/v1/rooms/x/claims",
            "#/a",
        ] {
            assert_eq!(ReturnPath::parse(bad), None, "{bad:?}");
        }
        assert_eq!(ReturnPath::parse(&format!("/{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn a_referer_counts_only_from_the_same_host() {
        let of = |referer: &str, host| {
            let mut headers = HeaderMap::new();
            headers.insert(REFERER, referer.parse().unwrap());
            ReturnPath::from_referer(&headers, host).map(|path| path.0)
        };
        assert_eq!(of("https://a.it/x?y=1", "a.it").as_deref(), Some("/x?y=1"));
        assert_eq!(of("http://A.it:8080/x", "a.it:8080").as_deref(), Some("/x"));
        assert_eq!(of("https://a.it", "a.it").as_deref(), Some("/"));
        for other in [
            "https://b.it/x",
            "https://a.it@b.it/x",
            "https://a.it.b.it/",
            "ftp://a.it/",
            "x",
            "https://a.it?x",
        ] {
            assert_eq!(of(other, "a.it"), None, "{other}");
        }
        assert_eq!(ReturnPath::from_referer(&HeaderMap::new(), "a.it"), None);
    }

    #[test]
    fn the_link_carries_path_and_language() {
        let back = ReturnPath::parse("/a?b=c&d=\"").unwrap();
        let english = Language::from_tag("en");
        assert_eq!(
            place_link("sala 1", &back, english),
            "/.tornello/rooms/sala%201/place?return=%2Fa%3Fb%3Dc%26d%3D%22&lang=en"
        );
    }

    proptest! {
        #[test]
        fn a_path_never_names_another_host(text in "[/\\\\a.:@#?\t\r ]{0,12}") {
            if let Some(path) = ReturnPath::parse(&text) {
                let mut start = path.as_str().bytes();
                prop_assert_eq!(start.next(), Some(b'/'));
                prop_assert!(!matches!(start.next(), Some(b'/' | b'\\')));
            }
        }
    }
}
