//! Faults of TOML itself, each with a remedy.

use toml::Spanned;
use toml::de::DeTable;

use super::document::KeyPath;
use super::findings::{Finding, Findings};

/// What the parser's messages begin with, and what to do then.
const REMEDIES: [(&str, &str); 13] = [
    ("duplicate key", "keep one of the two: every key and every table stands once"),
    ("invalid basic string", "close the text with `\"`"),
    ("invalid multi-line", "close the text with the three quotes it began with"),
    ("invalid literal string", "close the text with `'`"),
    ("key with no value", "write `key = value`"),
    ("unclosed table", "close the name of the table with `]`"),
    ("unclosed array", "close the list with `]`"),
    ("unclosed inline table", "close the table with `}`, on the same line"),
    ("invalid unquoted key", "write keys with letters, digits, `-` and `_`"),
    ("missing escaped value", "write `\\\\` for a backslash, or put the text between `'`"),
    ("cannot extend", "this name has a value already: keep one of the two"),
    ("invalid boolean", "write `true` or `false`, in lower case"),
    ("unexpected key or value", "begin a new line"),
];

/// The document, or every fault of its syntax: one a line, since the second is mostly an echo.
pub(super) fn parse<'t>(text: &'t str, findings: &mut Findings<'_>) -> Option<Spanned<DeTable<'t>>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(table);
    }
    let mut faults: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    faults.sort_by_key(|(span, _)| span.start);
    let line = |byte: usize| text.get(..byte).map_or(0, |before| before.matches('\n').count());
    faults.dedup_by_key(|(span, _)| line(span.start));
    for (span, message) in faults {
        let help = remedy(message, text.get(span.clone()).unwrap_or_default());
        findings
            .add_at(Finding::error(KeyPath::default(), format!("this is not TOML: {message}"), help), span);
    }
    None
}

fn remedy(message: &str, there: &str) -> String {
    if message.starts_with("string values must be quoted") {
        return match there.trim() {
            "" => "write a value after `=`".to_owned(),
            word => format!("put it in quotes: `{word:?}`"),
        };
    }
    if there == ":" {
        return "write `key = value`; `:` is YAML".to_owned();
    }
    let known = REMEDIES.into_iter().find(|(beginning, _)| message.starts_with(beginning));
    known.map_or("see https://toml.io for how to write it", |(_, remedy)| remedy).to_owned()
}
