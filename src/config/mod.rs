//! From a TOML file to validated settings.
//!
//! Text → spanned document → shape check against the schema → raw types → judgement of what belongs
//! together → [`settings::Settings`]. Every step collects all it finds; a configuration with an error
//! is never returned. Nothing here reads files or the clock.

mod build;
mod check;
mod diagnostics;
mod difference;
pub(crate) mod document;
pub(crate) mod findings;
pub mod quiet;
mod raw;
mod scalar;
pub(crate) mod schema;
pub mod settings;
mod shape;
pub(crate) mod spelling;
mod starter;
mod syntax;
pub(crate) mod text;

pub use check::{Checked, check};
pub use diagnostics::{Diagnostic, Severity, count, render, to_json};
pub use difference::{Change, difference, needs_restart};
pub use schema::schema_text;
pub use settings::Settings;
pub use starter::starter;

use serde::Deserialize;
use serde_json::Value;

use document::{Document, KeyPath};
use findings::{Finding, Findings};

/// Reads a configuration.
///
/// `file_name` is only what diagnostics call the file.
///
/// # Errors
///
/// All that is wrong with it, in the order of the file; at least one is an error. Warnings of a
/// configuration that is good come with the settings.
pub fn parse(text: &str, file_name: &str) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut findings = Findings::new(text, file_name);
    let settings = judge(text, &mut findings);
    match settings {
        Some(settings) => Ok((settings, findings.into_diagnostics())),
        None => Err(findings.into_diagnostics()),
    }
}

fn judge<'t>(text: &'t str, findings: &mut Findings<'t>) -> Option<Settings> {
    let help = "see the keys and their values in config/tornello.toml";
    let (raw, document) = read(text, schema::schema(), help, findings)?;
    build::settings(build::Judge { raw: &raw, document: &document, findings })
}

/// Reads a TOML file whose shape `schema` describes: the value, and the places of its keys. Every fault
/// of syntax and of shape goes to the findings; faulty values are mended, so that a value can be had
/// although there were faults. `help` is said where nothing better is known.
pub(crate) fn read<'t, T: for<'de> Deserialize<'de>>(
    text: &'t str,
    schema: &Value,
    help: &str,
    findings: &mut Findings<'t>,
) -> Option<(T, Document<'t>)> {
    let mut document = Document(syntax::parse(text, findings)?);
    shape::check(&mut document, schema, findings);
    match document.read() {
        Ok(raw) => Some((raw, document)),
        Err((message, span)) => {
            findings.add_at(Finding::error(KeyPath::default(), message, help), span);
            None
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
