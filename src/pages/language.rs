//! The languages we speak, and the best one for an `Accept-Language`.
//!
//! A language is a text file and one line here. The first is the default.

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE as COOKIE_FIELD};

use super::negotiate::ranges;

/// A language that every page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(&'static str);

/// Tag and texts.
const SOURCES: [(Language, &str); 5] = [
    (Language("it"), include_str!("text/it.toml")),
    (Language("en"), include_str!("text/en.toml")),
    (Language("de"), include_str!("text/de.toml")),
    (Language("fr"), include_str!("text/fr.toml")),
    (Language("sl"), include_str!("text/sl.toml")),
];

/// A cookie with the language that somebody chose on one of our pages. Nothing else is in it.
const COOKIE: &[u8] = b"tornello-language=";

impl Language {
    /// Shown to those who ask for none of ours.
    pub const DEFAULT: Self = Self("it");

    /// All languages, in the order of the switch.
    pub fn all() -> impl Iterator<Item = Self> {
        SOURCES.iter().map(|(language, _)| *language)
    }

    /// The language called `tag`: its primary subtag decides (`it-CH` is `it`), case does not matter.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::all().find(|language| language.0.eq_ignore_ascii_case(primary))
    }

    /// The BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.0
    }

    /// The language of these headers: the one that was chosen on a page of ours, else the one that
    /// `Accept-Language` prefers among ours (RFC 9110 weights, RFC 4647 lookup by primary subtag); the
    /// default when it names none.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Self {
        Self::chosen(headers).unwrap_or_else(|| Self::preferred(headers))
    }

    fn chosen(headers: &HeaderMap) -> Option<Self> {
        let crumbs =
            headers.get_all(COOKIE_FIELD).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
        let mut tags = crumbs.filter_map(|crumb| crumb.trim_ascii_start().strip_prefix(COOKIE));
        tags.find_map(|tag| Self::from_tag(std::str::from_utf8(tag).ok()?))
    }

    fn preferred(headers: &HeaderMap) -> Self {
        let mut best: Option<(Self, u16)> = None;
        let mut refused = Vec::new();
        let mut any = 0;
        for (range, weight) in ranges(headers, &ACCEPT_LANGUAGE) {
            match Self::from_tag(range) {
                Some(language) if weight == 0 => refused.push(language),
                Some(language) if best.is_none_or(|(_, other)| weight > other) => {
                    best = Some((language, weight));
                }
                Some(_) => {}
                None if range == "*" => any = weight,
                None => {}
            }
        }
        match best {
            Some((language, _)) => language,
            // "Anything but Italian" is a wish that we can meet.
            None if any > 0 || !refused.is_empty() => {
                Self::all().find(|language| !refused.contains(language)).unwrap_or(Self::DEFAULT)
            }
            None => Self::DEFAULT,
        }
    }

    pub(super) fn source(self) -> &'static str {
        SOURCES.iter().find(|(language, _)| *language == self).map_or("", |(_, source)| source)
    }

    /// The plural forms that a counted text has in this language.
    #[cfg(test)]
    pub(super) fn forms(self) -> &'static [&'static str] {
        if self.0 == "sl" { &["one", "two", "few", "other"] } else { &["one", "other"] }
    }

    /// The CLDR plural category of a whole number.
    pub(super) fn plural(self, n: u64) -> &'static str {
        match (self.0, n) {
            ("fr", 0) => "one",
            ("sl", _) => match n % 100 {
                1 => "one",
                2 => "two",
                3 | 4 => "few",
                _ => "other",
            },
            (_, 1) => "one",
            _ => "other",
        }
    }
}

/// One value for each language.
#[derive(Debug)]
pub(super) struct PerLanguage<T>(Vec<(Language, T)>);

impl<T> PerLanguage<T> {
    pub(super) fn build(mut make: impl FnMut(Language) -> Result<T, String>) -> Result<Self, String> {
        let values: Result<Vec<_>, String> = Language::all().map(|it| Ok((it, make(it)?))).collect();
        values.map(Self)
    }

    pub(super) fn of(&self, language: Language) -> &T {
        let found = self.0.iter().find(|(other, _)| *other == language);
        &found.expect("built for every language, and a Language is one of them").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, header.parse().unwrap());
        assert_eq!(Language::negotiate(&headers).tag(), expected, "{header:?}");
    }

    #[test]
    fn weights_decide_and_italian_is_the_default() {
        assert_eq!(Language::negotiate(&HeaderMap::new()), Language::DEFAULT);
        check("en", "en");
        check("en-GB,en;q=0.9,it;q=0.8", "en");
        check("it;q=0.5, EN-us;q=0.51", "en");
        check("de-AT, fr;q=0.9, en;q=0.1", "de");
        check("sl", "sl");
        check("fr-CH, de;q=0.9", "fr");
        check("es, pt;q=0.9", "it");
        check("*", "it");
        check("it;q=0, *", "en");
        check("it;q=0", "en");
        check("it;q=0, en;q=0", "de");
        check("it;q=0, en;q=0, de;q=0, fr;q=0, sl;q=0", "it");
        check("en;q=0, *;q=0.5", "it");
        check("en;q=0.3, it;q=0.3", "en");
    }

    #[test]
    fn odd_headers_are_survived() {
        for odd in ["", ",,,", ";q=1", "en;q=", "en;q=2", "en;q=-1", "en;q=nan", "-", "q=1;en", "english"] {
            check(odd, "it");
        }
        check("en ; Q=0.7", "en");
        check("xx;q=nan, en", "en");
        check(&format!("{}en", "es,".repeat(30)), "en");
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_LANGUAGE, "es".parse().unwrap());
        headers.append(ACCEPT_LANGUAGE, "en;q=0.2".parse().unwrap());
        assert_eq!(Language::negotiate(&headers).tag(), "en");
    }

    #[test]
    fn what_was_chosen_on_a_page_outweighs_the_browser() {
        for (cookie, expected) in [
            ("tornello-language=sl", "sl"),
            ("a=b; tornello-language=fr; c=d", "fr"),
            ("tornello-language=xx", "en"),
            ("tornello-language=", "en"),
            ("x-tornello-language=fr", "en"),
            ("tornello-language=xx; tornello-language=de", "de"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, "en".parse().unwrap());
            headers.insert(COOKIE_FIELD, cookie.parse().unwrap());
            assert_eq!(Language::negotiate(&headers).tag(), expected, "{cookie}");
        }
    }

    #[test]
    fn plurals_follow_the_language() {
        assert_eq!((Language("it").plural(0), Language("it").plural(1)), ("other", "one"));
        assert_eq!((Language("fr").plural(0), Language("fr").plural(2)), ("one", "other"));
        assert_eq!((Language("sl").plural(102), Language("sl").plural(3)), ("two", "few"));
    }
}
