//! What is wrong with certificates and keys, shown where the configuration names their files.

use crate::config::Diagnostic;
use crate::config::settings::TlsSettings;
use crate::edge::key_files::{Flaw, KeyFiles};
use crate::edge::tls::TlsDoor;

use crate::admission::UnixTime;

/// Reads the files that a configuration names and judges them. At least one error if they cannot serve.
///
/// `text` is the configuration, `name` what diagnostics call its file.
#[must_use]
pub fn check(settings: &TlsSettings, now: UnixTime, text: &str, name: &str) -> Vec<Diagnostic> {
    let built = TlsDoor::new()
        .map_err(|error| vec![Flaw::of_all(error.to_string())])
        .and_then(|door| door.build(settings, &KeyFiles::read(settings), now));
    let flaws = match built {
        Ok((_, warnings)) => warnings,
        Err(flaws) => flaws,
    };
    shown(&flaws, text, name)
}

/// Flaws as diagnostics of the configuration in `text`.
#[must_use]
pub fn shown(flaws: &[Flaw], text: &str, name: &str) -> Vec<Diagnostic> {
    let shown = |flaw: &Flaw| {
        let file = flaw.file.display().to_string();
        Diagnostic::at_text(flaw.fatal, text, &file, name, "tls.certificates", &flaw.what, flaw.remedy)
    };
    flaws.iter().map(shown).collect()
}
