//! From a TOML file to validated settings.
//!
//! Text → spanned document → shape check against the schema → raw types → judgement of what belongs
//! together → [`settings::Settings`]. Every step collects all it finds; a configuration with an error
//! is never returned. Nothing here reads files or the clock.

mod build;
mod check;
mod diagnostics;
mod difference;
mod document;
mod findings;
mod raw;
mod scalar;
mod schema;
pub mod settings;
mod shape;
mod spelling;
mod starter;
mod syntax;
mod text;

pub use check::{Checked, check};
pub use diagnostics::{Diagnostic, Severity, count, render, to_json};
pub use difference::{Change, difference, needs_restart};
pub use schema::schema_text;
pub use settings::Settings;
pub use starter::starter;

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
    let table = syntax::parse(text, findings)?;
    let mut document = Document(table);
    shape::check(&mut document, findings);
    match document.read() {
        Ok(raw) => build::settings(build::Judge { raw: &raw, document: &document, findings }),
        Err((message, span)) => {
            let help = "see the keys and their values in config/tornello.toml";
            findings.add_at(Finding::error(KeyPath::default(), message, help), span);
            None
        }
    }
}

#[cfg(test)]
mod tests;
