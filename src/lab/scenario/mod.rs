//! A scenario: who comes, when, what they want, how they behave, and what stands behind.
//!
//! Everything that decides the outcome of a leg is in the file; nothing of it is in the code. What is
//! held here has been checked: names are resolved to indices, shares lie in [0, 1], nobody is without
//! a step to take.

mod build;
mod class;
mod means;
mod raw;
mod service;
mod shipped;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::findings::Findings;
use crate::config::{self, Diagnostic};

pub use class::{Bots, Class, Conduct, Patience, People, Repeat, RetryRule};
pub use service::{Endpoint, Errors, Fault, FaultKind, Method, Pool, Stock, Victim};
pub use shipped::{SHIPPED, Source};

/// A checked scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name, for the report.
    pub name: String,
    /// Seed used unless another is asked for.
    pub seed: u64,
    /// Longest that a leg lasts.
    pub horizon: Duration,
    /// By how much real times were divided; only for behaviours known in real seconds.
    pub time_scale: f64,
    /// Who comes. Never empty.
    pub classes: Vec<Class>,
    /// What can be asked for. Never empty.
    pub endpoints: Vec<Endpoint>,
    /// The scarce parts behind the endpoints.
    pub pools: Vec<Pool>,
    /// What there is only so much of.
    pub stocks: Vec<Stock>,
    /// What breaks, and when.
    pub faults: Vec<Fault>,
    /// T0: when what they come for opens. Who is there before it is there as early as everybody else,
    /// so that order counts from here on. Nothing is kept shut before it.
    pub opens: Option<Duration>,
    /// How long a called person had, in the room that history had, to get in; only for those who
    /// play such a room.
    pub turn: Option<Duration>,
    /// How it can be played.
    pub level: Level,
}

/// How finely a scenario can be played.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every request of every person: by `rush`, or rehearsed.
    #[default]
    Request,
    /// Too many people for that: only sessions, rehearsed.
    Session,
}

impl Scenario {
    /// Reads a scenario. `name` is the file's, for the messages.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the file; at least one is an error. Warnings of a
    /// scenario that is good come with it.
    pub fn read(text: &str, name: &str) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut findings = Findings::new(text, name);
        let scenario = Self::judge(text, &mut findings);
        match scenario {
            Some(scenario) => Ok((scenario, findings.into_diagnostics())),
            None => Err(findings.into_diagnostics()),
        }
    }

    fn judge<'t>(text: &'t str, findings: &mut Findings<'t>) -> Option<Self> {
        let help = "see the keys and their values in config/scenarios/s-cb.toml";
        let (raw, document) = config::read(text, raw::schema(), help, findings)?;
        build::scenario(build::Judge { raw: &raw, document: &document, findings })
    }

    /// Reads a scenario, without its warnings.
    ///
    /// # Errors
    /// All that is wrong with it, as a person reads it.
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        match Self::read(text, name) {
            Ok((scenario, _)) => Ok(scenario),
            Err(found) => Err(config::render(&found, text, false)),
        }
    }

    /// The scenario that the demo plays.
    ///
    /// # Errors
    /// None, unless the shipped file is broken; a test reads it.
    pub fn shipped() -> Result<Self, String> {
        Self::parse(super::DEFAULT_SCENARIO, "s-cb.toml")
    }

    /// The same with `people` of those who want something scarce, and all others, and what there is for
    /// them, in proportion.
    #[must_use]
    pub fn with_people(mut self, people: usize) -> Self {
        let before = self.seekers();
        let scaled = |number: usize| (number.saturating_mul(people) + before / 2) / before.max(1);
        for class in &mut self.classes {
            class.people = scaled(class.people);
        }
        for stock in &mut self.stocks {
            stock.units = scaled(usize::try_from(stock.units).unwrap_or(usize::MAX)) as u64;
        }
        self
    }
}

#[cfg(test)]
mod tests;
