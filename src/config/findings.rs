//! Collects what is wrong while a file is judged.
//!
//! A value that was found faulty goes on as a stand-in, so that the rest of the file can be judged in
//! the same run. What is said about such a value afterwards would be noise: it is dropped here.

use std::ops::Range;

use super::diagnostics::{Diagnostic, Severity, position};
use super::document::{Document, KeyPath};

/// One thing that is wrong, before its place is known in lines and columns.
#[derive(Debug)]
pub(crate) struct Finding {
    severity: Severity,
    path: KeyPath,
    message: String,
    help: String,
    note: Option<String>,
    /// Other values that it depends on.
    about: Vec<KeyPath>,
    related: Option<(KeyPath, String)>,
}

impl Finding {
    pub(crate) fn error(path: KeyPath, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { severity: Severity::Error, path, message, help, note: None, about: Vec::new(), related: None }
    }

    pub(crate) fn warning(path: KeyPath, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message, help) }
    }

    /// Says why the rule exists.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// Names another value that it depends on.
    pub(crate) fn about(mut self, path: KeyPath) -> Self {
        self.about.push(path);
        self
    }

    /// Names another value that it depends on, and shows it.
    pub(crate) fn related(self, path: KeyPath, label: impl Into<String>) -> Self {
        Self { related: Some((path.clone(), label.into())), ..self.about(path) }
    }
}

/// All that was found in one file.
#[derive(Debug)]
pub(crate) struct Findings<'t> {
    text: &'t str,
    file: &'t str,
    diagnostics: Vec<Diagnostic>,
    tainted: Vec<KeyPath>,
}

impl<'t> Findings<'t> {
    pub(crate) fn new(text: &'t str, file: &'t str) -> Self {
        Self { text, file, diagnostics: Vec::new(), tainted: Vec::new() }
    }

    /// Adds a finding at these bytes.
    pub(crate) fn add_at(&mut self, finding: Finding, span: Range<usize>) {
        self.push(finding, span, None);
    }

    /// Adds a finding at the place of its path, unless it is about a value that stands in for a faulty one.
    pub(crate) fn add(&mut self, finding: Finding, document: &Document<'_>) {
        if self.is_tainted(&finding.path) || finding.about.iter().any(|path| self.is_tainted(path)) {
            return;
        }
        let span = document.locate(&finding.path);
        let related = finding.related.clone().map(|(path, label)| (document.locate(&path), label));
        self.push(finding, span, related);
    }

    fn push(&mut self, finding: Finding, span: Range<usize>, related: Option<(Range<usize>, String)>) {
        let (line, column) = position(self.text, span.start);
        self.diagnostics.push(Diagnostic {
            severity: finding.severity,
            message: finding.message,
            key: finding.path.to_string(),
            file: self.file.to_owned(),
            line,
            column,
            span,
            related,
            note: finding.note,
            help: finding.help,
        });
    }

    /// Marks a value as faulty and already spoken of.
    pub(crate) fn taint(&mut self, path: KeyPath) {
        self.tainted.push(path);
    }

    pub(crate) fn is_tainted(&self, path: &KeyPath) -> bool {
        self.tainted.iter().any(|tainted| tainted.overlaps(path))
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Everything found, in the order of the file.
    pub(crate) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.severity));
        self.diagnostics
    }
}
