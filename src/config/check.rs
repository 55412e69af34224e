//! What `tornello check` says about a file.

use serde_json::{Value, json};

use super::spelling::number;
use super::{Diagnostic, Settings, count, parse, render, to_json};

/// The verdict on a file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Whether the file may take effect; else the exit code is 2.
    pub good: bool,
    /// For a person: every diagnostic, then one line that sums up.
    pub text: String,
    /// For a program: `{"good": ..., "errors": n, "warnings": n, "diagnostics": [...]}`.
    pub json: Value,
}

/// Checks a file. `colour` adds terminal colours to the text.
#[must_use]
pub fn check(text: &str, file_name: &str, colour: bool) -> Checked {
    let (settings, found) = match parse(text, file_name) {
        Ok((settings, warnings)) => (Some(settings), warnings),
        Err(found) => (None, found),
    };
    let mut json = to_json(&found);
    if let Some(object) = json.as_object_mut() {
        object.insert("good".to_owned(), json!(settings.is_some()));
    }
    let shown = match &settings {
        Some(settings) => {
            format!("{}{}\n", warnings(&found, text, colour), summary(settings, &found, file_name))
        }
        None => render(&found, text, colour),
    };
    Checked { good: settings.is_some(), text: shown, json }
}

fn warnings(found: &[Diagnostic], text: &str, colour: bool) -> String {
    if found.is_empty() {
        return String::new();
    }
    let shown = render(found, text, colour);
    shown.strip_suffix(&format!("{}\n", count(found))).unwrap_or(&shown).to_owned()
}

/// `tornello.toml is good: 1 upstream, 1 room, 2 routes; people come in at 0.0.0.0:80 (1 warning)`
fn summary(settings: &Settings, found: &[Diagnostic], file_name: &str) -> String {
    let parts = [
        number(settings.upstreams.len(), "upstream"),
        number(settings.rooms.len(), "room"),
        number(settings.routes.len(), "route"),
    ];
    let listen: Vec<String> =
        settings.boot.listen.iter().map(|listener| listener.address.to_string()).collect();
    let warned = if found.is_empty() { String::new() } else { format!(" ({})", count(found)) };
    format!("{file_name} is good: {}; people come in at {}{warned}", parts.join(", "), listen.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = include_str!("../../config/minimal.toml");

    #[test]
    fn a_good_file_is_summed_up() {
        let checked = check(MINIMAL, "minimal.toml", false);
        assert!(checked.good && checked.json["good"] == true);
        let wanted = "minimal.toml is good: 1 upstream, 1 room, 1 route; people come in at 0.0.0.0:80\n";
        assert_eq!(checked.text, wanted);
    }

    #[test]
    fn warnings_come_before_the_verdict() {
        let text = MINIMAL.replace("[room.main]", "[room.main]\nopen = true\n[room.spare]");
        let checked = check(&text, "minimal.toml", false);
        assert!(checked.good && checked.json["warnings"] == 2);
        assert!(checked.text.starts_with("warning: "));
        assert!(checked.text.ends_with("people come in at 0.0.0.0:80 (2 warnings)\n"), "{}", checked.text);
    }

    #[test]
    fn a_bad_file_is_bad_in_both_forms() {
        let checked = check("[listen]\n", "t.toml", false);
        assert!(!checked.good && checked.json["good"] == false && checked.json["errors"] == 2);
        assert!(checked.text.ends_with("2 errors\n"));
    }
}
