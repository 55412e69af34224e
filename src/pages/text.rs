//! The words of one language, from its TOML table. What a page needs and a table lacks is an error
//! when the pages are built, never an empty line on somebody's screen.

use std::collections::BTreeMap;

use minijinja::Value;
use serde::Deserialize;

use super::language::Language;
use super::overlay::Overlay;

/// Keys and words of one part of the pages.
pub(super) type Section = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meta {
    /// The language's own name.
    pub(super) name: String,
    /// `ltr` or `rtl`.
    pub(super) direction: String,
    /// Stands between groups of three digits.
    pub(super) thousands: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) meta: Meta,
    pub(super) page: Section,
    pub(super) waiting: Section,
    pub(super) live: Section,
    pub(super) place: Section,
    pub(super) status: Section,
    pub(super) rules: Section,
    pub(super) visit: Section,
    pub(super) retry: Section,
    pub(super) notice: BTreeMap<String, Section>,
    #[serde(skip, default = "default_language")]
    language: Language,
}

fn default_language() -> Language {
    Language::DEFAULT
}

impl Texts {
    /// The texts of a language, the operator's among them.
    pub(super) fn load(language: Language, overlay: &Overlay) -> Result<Self, String> {
        let table = overlay.texts(language)?;
        let texts: Self =
            table.try_into().map_err(|error| format!("texts of language {}: {error}", language.tag()))?;
        Ok(Self { language, ..texts })
    }

    /// A whole number with the language's grouping.
    pub(super) fn figure(&self, n: u64) -> String {
        let digits = n.to_string();
        let mut out = String::with_capacity(digits.len() * 2);
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push_str(&self.meta.thousands);
            }
            out.push(digit);
        }
        out
    }

    /// A text with its plural form for `n`, `{n}` filled in.
    pub(super) fn counted(&self, section: &Section, key: &str, n: u64) -> String {
        let form = section.get(&format!("{key}_{}", self.language.plural(n)));
        let form = form.or_else(|| section.get(&format!("{key}_other")));
        form.map_or_else(String::new, |text| text.replace("{n}", &self.figure(n)))
    }

    /// A text of the live page.
    pub(super) fn live(&self, key: &str) -> &str {
        self.live.get(key).map_or("", String::as_str)
    }
}

/// A section as a template sees it; a missing key is an error there.
pub(super) fn value(section: &Section) -> Value {
    Value::from_pairs(section.iter().map(|(key, text)| (key.as_str(), Value::from(text))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn words_of(text: &str) -> Vec<String> {
        let mut braces: Vec<String> =
            text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0.into())).collect();
        braces.sort();
        braces
    }

    /// Keys without their plural form, with the words in braces that they use.
    fn shape(texts: &Texts) -> BTreeSet<(String, String, Vec<String>)> {
        let sections = [
            ("page", &texts.page),
            ("waiting", &texts.waiting),
            ("live", &texts.live),
            ("place", &texts.place),
            ("status", &texts.status),
            ("rules", &texts.rules),
            ("visit", &texts.visit),
            ("retry", &texts.retry),
        ];
        let notices = texts.notice.iter().map(|(name, section)| (name.as_str(), section));
        let mut shape = BTreeSet::new();
        for (name, section) in sections.into_iter().chain(notices) {
            for (key, text) in section {
                assert!(!text.trim().is_empty(), "{name}.{key} is empty");
                let braces = words_of(text);
                let form = ["_one", "_two", "_few"].iter().find(|form| key.ends_with(**form));
                if let Some(form) = form {
                    let stem = key.trim_end_matches(form);
                    let other = section.get(&format!("{stem}_other"));
                    let other = other.unwrap_or_else(|| panic!("{name}.{stem} has no _other"));
                    // Only where "one" is 1 and nothing else may the figure be left out.
                    let without: Vec<String> =
                        words_of(other).into_iter().filter(|word| word != "n").collect();
                    let silent = *form == "_one" && texts.language.plural(101) != "one" && braces == without;
                    assert!(silent || braces == words_of(other), "{name}.{key}: {braces:?}");
                    continue;
                }
                if let Some(stem) = key.strip_suffix("_other").filter(|stem| *stem != "held") {
                    for form in texts.language.forms() {
                        assert!(section.contains_key(&format!("{stem}_{form}")), "{name}.{stem}_{form}");
                    }
                }
                shape.insert((name.into(), key.clone(), braces));
            }
        }
        shape
    }

    #[test]
    fn every_language_has_every_text_with_the_same_blanks() {
        let first = shape(&Texts::load(Language::DEFAULT, &Overlay::default()).unwrap());
        assert!(first.len() > 100);
        for language in Language::all() {
            let texts = Texts::load(language, &Overlay::default()).unwrap();
            let other = shape(&texts);
            let difference: Vec<_> = first.symmetric_difference(&other).collect();
            assert!(difference.is_empty(), "{}: {difference:?}", language.tag());
            assert!(matches!(texts.meta.direction.as_str(), "ltr" | "rtl"));
        }
    }

    #[test]
    fn numbers_are_grouped_and_counted() {
        let it = Texts::load(Language::from_tag("it").unwrap(), &Overlay::default()).unwrap();
        let en = Texts::load(Language::from_tag("en").unwrap(), &Overlay::default()).unwrap();
        for (n, italian) in [(0, "0"), (999, "999"), (1000, "1.000"), (1_234_567, "1.234.567")] {
            assert_eq!(it.figure(n), italian);
        }
        assert_eq!(en.figure(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(it.counted(&it.retry, "minutes", 1), "Puoi riprovare tra un minuto.");
        assert_eq!(en.counted(&en.retry, "minutes", 1200), "You can try again in 1,200 minutes.");
    }

    #[test]
    fn every_notice_has_its_words() {
        for language in Language::all() {
            let texts = Texts::load(language, &Overlay::default()).unwrap();
            for reason in super::super::Reason::ALL {
                assert!(texts.notice.contains_key(reason.notice()), "{}: {reason:?}", language.tag());
            }
        }
    }
}
