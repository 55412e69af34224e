//! The operator's own words, templates and style, laid over ours: a folder that holds only what is other.
//!
//! - `LANG.toml`: texts, by section and key, with the blanks of ours.
//! - `waiting.html`, `place.html`, `notice.html`, `status.html`, `rules.html`: templates instead of ours.
//! - `style.css`: laid after the theme's.
//!
//! The pages' policy lets nothing of it load or run, so what would be blocked is refused here, where
//! somebody reads it.

use std::collections::BTreeSet;
use std::path::Path;

use super::language::Language;

/// Templates that may be replaced; the frame around them holds the policy's promises, and is ours.
const TEMPLATES: [&str; 5] = ["waiting.html", "place.html", "notice.html", "status.html", "rules.html"];
/// What the policy blocks, or what would ask somebody else.
const BLOCKED: [&str; 12] = [
    "<script",
    "<style",
    "<img",
    "<link",
    "<iframe",
    "<object",
    "<embed",
    "<base",
    "http-equiv",
    " style=",
    "url(",
    "@import",
];

/// What lies over our pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay {
    texts: Vec<(Language, toml::Table)>,
    templates: Vec<(&'static str, String)>,
    /// The operator's style, or nothing.
    pub(super) style: String,
}

impl Overlay {
    /// Reads a folder; `None` is none.
    pub(super) fn read(folder: Option<&Path>) -> Result<Self, String> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        let mut overlay = Self::default();
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            let wrong = |why: String| format!("{}: {why}", path.display());
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            let language = name
                .strip_suffix(".toml")
                .and_then(|tag| Language::from_tag(tag).filter(|language| language.tag() == tag));
            if let Some(language) = language {
                let table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
                overlay.texts.push((language, table));
            } else if let Some(template) = TEMPLATES.into_iter().find(|known| *known == name) {
                harmless(&text).map_err(wrong)?;
                overlay.templates.push((template, text));
            } else if name == "style.css" {
                harmless(&text).map_err(wrong)?;
                overlay.style = text;
            } else {
                return Err(wrong("is neither a text, a template nor style.css".into()));
            }
        }
        Ok(overlay)
    }

    /// The operator's template in the place of ours.
    pub(super) fn template<'a>(&'a self, name: &str, ours: &'a str) -> &'a str {
        self.templates.iter().find(|(own, _)| *own == name).map_or(ours, |(_, text)| text)
    }

    /// Our texts of a language with the operator's words in their places.
    pub(super) fn texts(&self, language: Language) -> Result<toml::Table, String> {
        let mut ours: toml::Table = toml::from_str(language.source())
            .map_err(|error| format!("texts of language {}: {error}", language.tag()))?;
        for (_, own) in self.texts.iter().filter(|(other, _)| *other == language) {
            lay(&mut ours, own, "").map_err(|why| format!("{}.toml: {why}", language.tag()))?;
        }
        Ok(ours)
    }
}

/// Every key must be one of ours, and every text have the blanks of the one that it replaces.
fn lay(ours: &mut toml::Table, own: &toml::Table, path: &str) -> Result<(), String> {
    for (key, value) in own {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (ours.get_mut(key), value) {
            (Some(toml::Value::Table(ours)), toml::Value::Table(own)) => lay(ours, own, &path)?,
            (Some(toml::Value::String(ours)), toml::Value::String(own)) => {
                if own.trim().is_empty() {
                    return Err(format!("`{path}` is empty"));
                }
                let (needed, given) = (blanks(ours), blanks(own));
                if needed != given {
                    let list = |all: &BTreeSet<&str>| {
                        let braced: Vec<String> = all.iter().map(|name| format!("{{{name}}}")).collect();
                        if braced.is_empty() { "none".to_owned() } else { braced.join(" ") }
                    };
                    return Err(format!(
                        "`{path}` has the blanks {}, it needs {}",
                        list(&given),
                        list(&needed)
                    ));
                }
                ours.clone_from(own);
            }
            (None, _) => return Err(format!("`{path}` is no text of ours")),
            _ => return Err(format!("`{path}` is not what it is in ours: a text, or a table of texts")),
        }
    }
    Ok(())
}

fn blanks(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect()
}

fn harmless(text: &str) -> Result<(), String> {
    let small = text.to_ascii_lowercase();
    match BLOCKED.into_iter().find(|word| small.contains(word)) {
        Some(word) => Err(format!("`{word}` stands in it, which the pages' policy blocks")),
        None if small.contains("</style") => Err("`</style` stands in it".into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Coding, Look, Pages, RetryAfter, RoomPage};
    use super::*;

    fn look(files: &[(&str, &str)]) -> (tempfile::TempDir, Look) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let look = Look { folder: Some(folder.path().to_owned()), ..Look::default() };
        (folder, look)
    }

    fn built(files: &[(&str, &str)]) -> Result<Pages, String> {
        let (_folder, look) = look(files);
        let room = RoomPage {
            name: "sala".into(),
            title: "Titolo".into(),
            messages: [].into(),
            status: http::StatusCode::OK,
            lanes: false,
            asks: false,
            invites: false,
            idle: std::time::Duration::from_secs(600),
            slots: None,
        };
        Pages::build(&[room], &look)
    }

    #[test]
    fn words_templates_and_style_of_the_operator_take_the_place_of_ours() {
        let pages = built(&[
            ("it.toml", "[live]\nheading_joining = \"C'è fila\"\n"),
            ("style.css", "h1{color:rebeccapurple}"),
            ("notice.html", "<h1>{{ notice.heading }}!</h1>"),
            (".keep", ""),
        ])
        .unwrap();
        let show = |tag| {
            let language = Language::from_tag(tag).unwrap();
            let page = pages.waiting("sala", language, Coding::Identity, RetryAfter::DEFAULT).unwrap();
            String::from_utf8(page.body().to_vec()).unwrap()
        };
        assert!(show("it").contains("C&#x27;è fila") && show("it").contains("h1{color:rebeccapurple}"));
        assert!(show("en").contains("There is a queue"));
        let notice = pages.notice(super::super::Reason::Internal, Language::DEFAULT, "x", None);
        assert!(std::str::from_utf8(notice.body()).unwrap().contains("<h1>Qualcosa non ha funzionato!</h1>"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place() {
        for (name, text, said) in [
            (
                "it.toml",
                "[live]\nheading_joined = \"x\"",
                "it.toml: `live.heading_joined` is no text of ours",
            ),
            (
                "en.toml",
                "[live]\ntitle_waiting = \"x\"",
                "`live.title_waiting` has the blanks none, it needs {n}",
            ),
            ("en.toml", "[live]\nupdated = \"{clock}\"", "has the blanks {clock}, it needs {time}"),
            ("de.toml", "[live]\nupdated = \" \"", "`live.updated` is empty"),
            ("fr.toml", "live = 1", "`live` is not what it is in ours"),
            ("sl.toml", "[live", "sl.toml: "),
            ("es.toml", "", "is neither a text, a template nor style.css"),
            ("layout.html", "", "is neither a text, a template nor style.css"),
            ("notice.html", "<h1 STYLE=\"color:red\">", "` style=` stands in it"),
            ("notice.html", "{{ notice.nothing }}", "notice.html"),
            ("place.html", "{% if %}", "place.html"),
            ("rules.html", "{{ nothing }}", "rules.html"),
            ("status.html", "{{ nothing }}", "status.html"),
            ("place.html", "{{ nothing }}", "place.html"),
            ("style.css", "body{background:url(https://x/y.png)}", "`url(` stands in it"),
        ] {
            let error = built(&[(name, text)]).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
        let huge: String =
            (0..4000).map(|n: u32| format!(".a{:x}{{top:{n}px}}", n.wrapping_mul(2_654_435_761))).collect();
        assert!(built(&[("style.css", &huge)]).unwrap_err().contains("bytes compressed"));
        assert!(Overlay::read(Some(Path::new("/nowhere"))).unwrap_err().contains("/nowhere"));
    }
}
