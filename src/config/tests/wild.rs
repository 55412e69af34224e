//! Whatever is in the file: an answer, never a panic, and every answer can be shown.

use proptest::prelude::*;

use super::GOOD;
use crate::config::{Severity, parse, render, to_json};

fn survives(text: &str) {
    let found = match parse(text, "wild.toml") {
        Ok((_, found)) => found,
        Err(found) => {
            let refused = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
            assert!(refused, "refused without a word");
            found
        }
    };
    for diagnostic in &found {
        assert!(diagnostic.line >= 1 && diagnostic.line <= text.matches('\n').count() + 1);
        assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty());
    }
    assert!(!render(&found, text, false).is_empty());
    assert!(to_json(&found)["diagnostics"].is_array());
}

/// Pieces that are near enough to the truth to reach the deep checks.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,6}",
        Just("\"0s\"".to_owned()),
        Just("\"".to_owned()),
        Just("= { }".to_owned()),
        Just("[]".to_owned()),
        Just("-1".to_owned()),
        Just("9999999999999999999999".to_owned()),
        Just("0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF".to_owned()),
        Just("1e999".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("\"%\"".to_owned()),
        Just("\"999999999999999999999d\"".to_owned()),
        Just("\"99999999999999999999EiB\"".to_owned()),
        Just("\r\n\t".to_owned()),
        Just("\u{feff}".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_lines(text in "([a-z_.]{1,8}|\\[[a-z.]{1,12}\\]|[a-z]{1,6} = [\"{}0-9a-z,.:/ \\[\\]]{0,12}\n){0,20}") {
        survives(&text);
    }

    /// The good file with up to four pieces put in place of others.
    #[test]
    fn any_mutation(cuts in prop::collection::vec((0..GOOD.len(), 0usize..24, piece()), 1..5)) {
        let mut text = GOOD.to_owned();
        for (start, length, piece) in cuts {
            let start = text.floor_char_boundary(start.min(text.len()));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &piece);
        }
        survives(&text);
    }

    /// The good file with one value replaced by another of any type.
    #[test]
    fn any_value(line in 0usize..29, piece in piece()) {
        let changed = GOOD.lines().enumerate().map(|(number, text)| match text.split_once(" = ") {
            Some((key, _)) if number == line => format!("{key} = {piece}\n"),
            _ => format!("{text}\n"),
        });
        survives(&changed.collect::<String>());
    }
}
