//! What is wrong with a configuration, where, and what to write instead.
//!
//! Shown as rustc shows errors, as one line for a log, or as JSON. A diagnostic without a remedy is
//! a fault of ours.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

use super::spelling::number;

/// Whether a diagnostic keeps a configuration from taking effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without full stop.
    pub message: String,
    /// Path of the key, `room.main.poll.min`; empty for the file as a whole.
    pub key: String,
    /// Name of the file as the caller gave it.
    pub file: String,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
    /// Bytes of the text that are meant.
    pub span: Range<usize>,
    /// Another place that belongs to it: bytes, and why they matter.
    pub related: Option<(Range<usize>, String)>,
    /// Why the rule exists, where that is not plain.
    pub note: Option<String>,
    /// What to write instead.
    pub help: String,
}

impl Diagnostic {
    /// One that is found outside of the configuration, shown where `needle` stands in its text.
    #[must_use]
    pub fn at_text(
        fatal: bool,
        text: &str,
        needle: &str,
        file: &str,
        key: &str,
        message: &str,
        help: &str,
    ) -> Self {
        let start = text.find(needle).filter(|_| !needle.is_empty());
        let span = start.map_or(0..0, |start| start..start + needle.len());
        let (line, column) = position(text, span.start);
        Self {
            severity: if fatal { Severity::Error } else { Severity::Warning },
            message: message.to_owned(),
            key: key.to_owned(),
            file: file.to_owned(),
            line,
            column,
            span,
            related: None,
            note: None,
            help: help.to_owned(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, message, file, line, column, help, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}: {message}; help: {help}")
    }
}

/// Line and column, both from 1 and in characters, of a byte of `text`.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

/// The diagnostics as a person reads them, ending with a line that counts them.
///
/// `text` is the file they are about. `colour` adds terminal colours.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], text: &str, colour: bool) -> String {
    let base = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = base.decor_style(DecorStyle::Ascii);
    let mut shown = String::new();
    for diagnostic in diagnostics {
        shown.push_str(&renderer.render(&[group(diagnostic, text)]));
        shown.push_str("\n\n");
    }
    shown.push_str(&count(diagnostics));
    shown.push('\n');
    shown
}

fn group<'a>(diagnostic: &'a Diagnostic, text: &'a str) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let snippet = Snippet::source(text)
        .path(diagnostic.file.as_str())
        .annotation(AnnotationKind::Primary.span(within(text, &diagnostic.span)))
        .annotations(
            diagnostic
                .related
                .iter()
                .map(|(span, label)| AnnotationKind::Context.span(within(text, span)).label(label.as_str())),
        );
    let note = diagnostic.note.iter().map(|note| Level::NOTE.message(note.as_str()));
    level
        .primary_title(diagnostic.message.as_str())
        .element(snippet)
        .elements(note)
        .element(Level::HELP.message(diagnostic.help.as_str()))
}

/// The span cut to whole characters of the text, so that no span can make the renderer fail.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end).max(start)
}

/// `2 errors, 1 warning`, or `no errors`.
#[must_use]
pub fn count(diagnostics: &[Diagnostic]) -> String {
    match (of(diagnostics, Severity::Error), of(diagnostics, Severity::Warning)) {
        (0, 0) => "no errors".to_owned(),
        (errors, 0) => number(errors, "error"),
        (0, warnings) => number(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", number(errors, "error"), number(warnings, "warning")),
    }
}

fn of(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// The diagnostics for a program: `{"errors": n, "warnings": n, "diagnostics": [...]}`.
#[must_use]
pub fn to_json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    let list = diagnostics.iter().map(|d| {
        json!({
            "severity": d.severity.to_string(),
            "message": d.message,
            "key": d.key,
            "file": d.file,
            "line": d.line,
            "column": d.column,
            "span": { "start": d.span.start, "end": d.span.end },
            "note": d.note,
            "help": d.help,
        })
    });
    json!({
        "errors": of(diagnostics, Severity::Error),
        "warnings": of(diagnostics, Severity::Warning),
        "diagnostics": list.collect::<Vec<_>>(),
    })
}
