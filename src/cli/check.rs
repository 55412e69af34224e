//! `tornello check`: everything that is wrong with a configuration, at once.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::out::say;
use super::{CONFIGURATION, OK};
use crate::app::assemble::{AssembleError, check_files};
use crate::app::certificates;
use crate::clock::Clock;
use crate::config::{self, Diagnostic, Settings, Severity};
use crate::lab::scenario::Source;

/// Check a configuration, or a scenario of a click day.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Configuration file.
    #[arg(long, default_value = "/etc/tornello/tornello.toml")]
    pub config: PathBuf,
    /// Check a scenario instead: the name of one that ships, or a file.
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["config", "schema"])]
    pub scenario: Option<String>,
    /// Diagnostics as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print the JSON schema of the configuration instead.
    #[arg(long)]
    pub schema: bool,
}

impl Check {
    /// 0 if the configuration could take effect, or the scenario be played, else 2.
    #[must_use]
    pub fn execute(self) -> u8 {
        if self.schema {
            say(config::schema_text());
            return OK;
        }
        if let Some(name) = &self.scenario {
            return scenario(name, self.json);
        }
        if !self.json {
            let Some((settings, _)) = load(&self.config) else { return CONFIGURATION };
            for shortage in crate::app::machine::Machine::read().shortages(&settings) {
                eprintln!("warning: {shortage}");
            }
            say(format_args!("{}: good", self.config.display()));
            return OK;
        }
        let Some(text) = read(&self.config) else { return CONFIGURATION };
        let (code, diagnostics) = match parse(&text, &self.config) {
            Ok((_, warnings)) => (OK, warnings),
            Err(diagnostics) => (CONFIGURATION, diagnostics),
        };
        say(config::to_json(&diagnostics));
        code
    }
}

/// Judges a scenario.
fn scenario(name: &str, json: bool) -> u8 {
    let source = match Source::find(name) {
        Ok(source) => source,
        Err(message) => {
            eprintln!("{message}");
            return CONFIGURATION;
        }
    };
    let judged = source.read();
    let (code, found) = match &judged {
        Ok((_, warnings)) => (OK, warnings),
        Err(found) => (CONFIGURATION, found),
    };
    if json {
        say(config::to_json(found));
        return code;
    }
    if !found.is_empty() {
        eprintln!("{}", config::render(found, &source.text, colour()));
    }
    if let Ok((scenario, _)) = &judged {
        say(format_args!("{}: good: {scenario}", source.name));
    }
    code
}

/// Whether standard error takes colours.
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Reads and validates a configuration, and gives its text as well; says what is wrong with it on standard error.
#[must_use]
pub fn load(file: &Path) -> Option<(Settings, String)> {
    let text = read(file)?;
    let colour = colour();
    match parse(&text, file) {
        Ok((settings, warnings)) => {
            if !warnings.is_empty() {
                eprintln!("{}", config::render(&warnings, &text, colour));
            }
            Some((settings, text))
        }
        Err(diagnostics) => {
            eprintln!("{}", config::render(&diagnostics, &text, colour));
            None
        }
    }
}

/// Judges a configuration together with the certificates and the authorities that it names.
fn parse(text: &str, file: &Path) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    let name = file.display().to_string();
    let (settings, mut found) = config::parse(text, &name)?;
    found.extend(certificates::check(&settings.tls, Clock::start().unix(), text, &name));
    if let Err(error) = check_files(&settings) {
        found.push(authorities(&error, text, &name));
    }
    if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(found);
    }
    Ok((settings, found))
}

/// What is wrong with the authorities of an upstream or with a page, where its table begins.
fn authorities(error: &AssembleError, text: &str, file: &str) -> Diagnostic {
    let authorities = "name a file of certificate authorities in PEM form that the service may read";
    let (table, help) = match error {
        AssembleError::Transport { upstream, .. } => (format!("[upstream.{upstream}]"), authorities),
        AssembleError::Pages(_) => {
            ("[pages]".to_owned(), "correct that file in `pages.folder`, or take it away to have ours")
        }
        AssembleError::Invitations(_) => {
            ("invitations".to_owned(), "`tornello invite make` writes both files, which the service may read")
        }
        _ => (String::new(), authorities),
    };
    let start = text.find(&table).unwrap_or(0);
    Diagnostic {
        severity: Severity::Error,
        message: error.to_string(),
        key: table.trim_matches(['[', ']']).to_owned(),
        file: file.to_owned(),
        line: text.get(..start).map_or(1, |before| before.matches('\n').count() + 1),
        column: 1,
        span: start..start + table.len(),
        related: None,
        note: None,
        help: help.to_owned(),
    }
}

fn read(file: &Path) -> Option<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Some(text),
        Err(error) => {
            eprintln!("error: {} cannot be read: {error}", file.display());
            eprintln!(
                "  help: name the file with --config FILE; `tornello init --upstream HOST:PORT` writes one"
            );
            None
        }
    }
}
