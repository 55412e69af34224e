//! `tornello rehearse`: a click day in virtual time, before it comes, through the operator's own
//! configuration.

use std::io::IsTerminal;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use super::check::load;
use super::out::{put, say};
use super::{CONFIGURATION, OK, RUNTIME, complain};
use crate::config::{self, Settings};
use crate::lab::rehearse::request::{Rehearsal, settings_for};
use crate::lab::rehearse::session::{self, Day, Outcome};
use crate::lab::rehearse::words::words;
use crate::lab::report::{Mode, Report, page, table};
use crate::lab::scenario::{Level, Source};
use crate::lab::{Kind, LegSummary, Scenario};

/// Rehearse a click day: how long will people wait, when is it over, what is in the way.
///
/// Nothing is sent anywhere: people, service and time are virtual; what the gateway decides is decided
/// by its own code and the configuration. Days of up to 20,000 people are played request by request,
/// without and with the gateway; larger ones by sessions.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Rehearse {
    /// Scenario: the name of a shipped one (minimal, s-cb, s-bb, s-in, cashback, bonus-bici, inps,
    /// national), or a file.
    pub scenario: String,
    /// The configuration that is rehearsed, instead of one written for the scenario.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How finely: every request, or sessions only. Default: by the number of people.
    #[arg(long, value_enum)]
    pub level: Option<Detail>,
    /// Seed of the crowd, instead of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Play so many seeds, one after the other, each its own day.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub seeds: NonZeroU64,
    /// Play the day once more with more workers, to see what they buy: so many, or 1 % if that is more.
    #[arg(long, value_name = "WORKERS", default_value_t = 1)]
    pub more: usize,
    /// Print the scenario as it is written, to begin a day of your own from, and play nothing.
    #[arg(long)]
    pub print: bool,
    /// One JSON object (an array of them for several seeds), and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
    /// Write the report to this file as well: one page with pictures, to be read and printed.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Nothing is sent anywhere: people, service and time are virtual; what the gateway decides is decided by
its own code and the configuration. Days of up to 20,000 people are played request by request, without
and with the gateway; larger ones by sessions.

A day of your own:
  tornello rehearse minimal --print > mine.toml     # then change it
  tornello check --scenario mine.toml               # all that is wrong with it
  tornello rehearse mine.toml --config tornello.toml --html mine.html
  tornello rush mine.toml                           # the same, live, on this machine";

/// How finely a day is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Detail {
    /// Every request of every person.
    Request,
    /// Sessions: join, call, claim, end.
    Session,
}

/// More people who want something scarce than this are played by sessions.
const REQUEST_MAX: usize = 20_000;

type Failure = Box<dyn std::error::Error>;

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
        if self.print {
            put(text);
            return OK;
        }
        let Some(settings) = self.settings(&scenario) else { return CONFIGURATION };
        let first = self.seed.unwrap_or(scenario.seed);
        let seeds = (first..).take(usize::try_from(self.seeds.get()).unwrap_or(usize::MAX));
        let detail = self.level.unwrap_or_else(|| detail(&scenario));
        let mut reports = Vec::new();
        for seed in seeds {
            let played = match detail {
                Detail::Request => self.by_request(&scenario, &text, &settings, seed),
                Detail::Session => match Day::read(&scenario, &settings, seed) {
                    Ok(day) => Ok(self.by_session(&scenario, &text, &day)),
                    Err(message) => {
                        eprintln!("error: {} before this configuration: {message}", self.scenario);
                        return CONFIGURATION;
                    }
                },
            };
            match played {
                Ok(report) => reports.push(report),
                Err(error) => {
                    complain(&*error);
                    return RUNTIME;
                }
            }
        }
        match self.tell(&reports) {
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

    /// The operator's settings, or those that one would write for the scenario.
    fn settings(&self, scenario: &Scenario) -> Option<Settings> {
        if let Some(file) = &self.config {
            return load(file).map(|(settings, _)| settings);
        }
        settings_for(scenario).map_err(|message| eprintln!("{message}")).ok()
    }

    fn by_request(
        &self,
        scenario: &Scenario,
        text: &str,
        settings: &Settings,
        seed: u64,
    ) -> Result<Report, Failure> {
        let rehearsal = Rehearsal { scenario: Arc::new(scenario.clone()), seed };
        rehearsal.report(text, settings, self.more).map_err(|error| -> Failure { error })
    }

    fn by_session(&self, scenario: &Scenario, text: &str, day: &Day) -> Report {
        let outcome = self.play("the day", day);
        let workers = day.pool.slots.iter().map(|(_, slots)| *slots).max().unwrap_or_default();
        let more = self.more.max(workers / 100);
        let more =
            (self.more > 0).then(|| session::more(day, &outcome, more, |what, day| self.play(what, day)));
        let leg: LegSummary = session::summary(day, &outcome);
        let mut limits = vec![session::NOTE.to_owned()];
        limits.extend(day.absent.iter().map(|what| format!("absent: {what}")));
        let mode = Mode::Rehearsed { level: "session".to_owned(), limits };
        let mut report = Report::new(scenario, text, day.seed, mode, vec![leg]);
        report.words = words(&session::findings(day, &outcome, more));
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

    fn tell(&self, reports: &[Report]) -> Result<(), Failure> {
        let Some(first) = reports.first() else { return Ok(()) };
        if let Some(file) = &self.html {
            std::fs::write(file, page(first))?;
        }
        match (self.json, reports) {
            (true, [one]) => say(one.json()?),
            (true, all) => {
                let all = all.iter().map(Report::json).collect::<Result<Vec<_>, _>>()?;
                say(format_args!("[{}]", all.join(",")));
            }
            (false, all) => {
                say(format_args!("{}\n", first.words.join("\n")));
                say(table(first));
                if all.len() > 1 {
                    say(spread(all));
                }
            }
        }
        Ok(())
    }
}

fn detail(scenario: &Scenario) -> Detail {
    if scenario.level == Level::Session || scenario.seekers() > REQUEST_MAX {
        Detail::Session
    } else {
        Detail::Request
    }
}

/// A figure of a leg.
type Figure = fn(&LegSummary) -> Option<f64>;

/// What several seeds say of the leg with the gateway: median, lowest, highest.
fn spread(reports: &[Report]) -> String {
    let figures: [(&str, Figure); 4] = [
        ("people served", |leg| Some(leg.completed as f64)),
        ("time to the goal, median, s", |leg| leg.goal_p50_s),
        ("time to the goal, 99 %, s", |leg| leg.goal_p99_s),
        ("over after, s", |leg| Some(leg.elapsed_s)),
    ];
    let mut text = format!("Over {} seeds, with the gateway: median (lowest to highest)\n", reports.len());
    for (name, of) in figures {
        let legs = reports.iter().filter_map(|report| report.first(&Kind::Gateway));
        let mut found: Vec<f64> = legs.filter_map(of).collect();
        found.sort_by(f64::total_cmp);
        let at = |index: usize| found.get(index).copied().unwrap_or_default();
        let (low, high) = (at(0), at(found.len().saturating_sub(1)));
        text.push_str(&format!("  {name:<28} {:>9.1} ({low:.1} to {high:.1})\n", at(found.len() / 2)));
    }
    text
}
