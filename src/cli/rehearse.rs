//! `tornello rehearse`: a click day in virtual time, before it comes, through the operator's own
//! configuration.

use std::io::IsTerminal;
use std::path::PathBuf;

use super::check::load;
use super::{CONFIGURATION, OK, RUNTIME, complain};
use crate::config;
use crate::lab::rehearse::session::{self, Day, Outcome};
use crate::lab::rehearse::words::words;
use crate::lab::report::{Mode, Report, page, table};
use crate::lab::scenario::Source;
use crate::lab::{LegSummary, Scenario};

/// Rehearse a click day: how long will people wait, when is it over, what is in the way.
///
/// Nothing is sent anywhere: people, service and time are virtual; the waiting room, its rules and
/// what it decides are the configuration's own.
#[derive(Debug, clap::Args)]
pub struct Rehearse {
    /// Scenario: the name of a shipped one (national, cashback, bonus-bici, inps), or a file.
    pub scenario: String,
    /// The configuration that is rehearsed.
    #[arg(long, default_value = "/etc/tornello/tornello.toml")]
    pub config: PathBuf,
    /// Seed of the crowd, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Play the day once more with more workers, to see what they buy: so many, or 1 % if that is more.
    #[arg(long, value_name = "WORKERS", default_value_t = 1)]
    pub more: usize,
    /// One JSON object, and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
    /// Write the report to this file as well: one page with pictures, to be read and printed.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl Rehearse {
    /// Rehearses and reports. 0 if it was played, whatever came of it.
    #[must_use]
    pub fn execute(self) -> u8 {
        let (scenario, text) = match self.read() {
            Ok(read) => read,
            Err(message) => {
                eprintln!("{message}");
                return CONFIGURATION;
            }
        };
        let Some((settings, _)) = load(&self.config) else { return CONFIGURATION };
        let seed = self.seed.unwrap_or(scenario.seed);
        let day = match Day::read(&scenario, &settings, seed) {
            Ok(day) => day,
            Err(message) => {
                eprintln!("error: {} before {}: {message}", self.scenario, self.config.display());
                return CONFIGURATION;
            }
        };
        let report = self.rehearse(&scenario, &text, &day);
        match self.tell(&report) {
            Ok(()) => OK,
            Err(error) => {
                complain(&*error);
                RUNTIME
            }
        }
    }

    fn read(&self) -> Result<(Scenario, String), String> {
        let source = Source::find(&self.scenario)?;
        let (scenario, _) = Scenario::read(&source.text, &source.name)
            .map_err(|found| config::render(&found, &source.text, std::io::stderr().is_terminal()))?;
        Ok((scenario, source.text))
    }

    fn rehearse(&self, scenario: &Scenario, text: &str, day: &Day) -> Report {
        let outcome = self.play("the day", day);
        let workers = day.pool.slots.iter().map(|(_, slots)| *slots).max().unwrap_or_default();
        let more = self.more.max(workers / 100);
        let then = (self.more > 0).then(|| {
            let day = Day { pool: day.pool.with_more(more), ..day.clone() };
            self.play("the day with more workers", &day)
        });
        let leg: LegSummary = session::summary(day, &outcome);
        let mut limits = vec![session::NOTE.to_owned()];
        limits.extend(day.absent.iter().map(|what| format!("absent: {what}")));
        let mode = Mode::Rehearsed { level: "session".to_owned(), limits };
        let mut report = Report::new(scenario, text, day.seed, mode, vec![leg]);
        report.words = words(&session::findings(day, &outcome, then.as_ref().map(|then| (more, then))));
        report.words.extend(session::figures(&outcome));
        report
    }

    fn play(&self, what: &str, day: &Day) -> Outcome {
        let terminal = std::io::stderr().is_terminal();
        let outcome = session::rehearse(day, |share| {
            if terminal {
                eprint!("\r{what}: {:>3.0} %", share * 100.0);
            }
        });
        if terminal {
            eprint!("\r{:40}\r", "");
        }
        outcome
    }

    fn tell(&self, report: &Report) -> Result<(), Box<dyn std::error::Error>> {
        if let Some(file) = &self.html {
            std::fs::write(file, page(report))?;
        }
        if self.json {
            println!("{}", report.json()?);
        } else {
            println!("{}", table(report));
        }
        Ok(())
    }
}
