//! A scenario: who comes, when, what they want, how they behave, and what stands behind.
//!
//! Everything that decides the outcome of a leg is in the file; nothing of it is in the code. What is
//! held here has been checked: names are resolved to indices, shares lie in [0, 1], nobody is without
//! a step to take.

mod build;
mod raw;

use std::time::Duration;

use serde::Deserialize;

use super::law::{Arrival, Span};

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
    /// What breaks, and when.
    pub faults: Vec<Fault>,
}

/// People, or programs, of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its name.
    pub id: String,
    /// How many.
    pub people: usize,
    /// When they come.
    pub arrival: Arrival,
    /// After this long a client gives an unanswered request up.
    pub timeout: Duration,
    /// What sets them apart.
    pub conduct: Conduct,
}

/// How a class behaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Conduct {
    /// People with a goal and with patience.
    People(People),
    /// Programs that ask at a rate and listen to nothing.
    Bots(Bots),
}

/// How people behave.
#[derive(Clone, Debug, PartialEq)]
pub struct People {
    /// The way to their goal, as indices of endpoints. Never empty.
    pub steps: Vec<usize>,
    /// Part of the way that is walked more than once.
    pub repeat: Option<Repeat>,
    /// Share that uses the app (JSON, ticket and pass in headers); the rest use a browser.
    pub app_share: f64,
    /// Share of people with 1, 2, ... devices.
    pub devices: Vec<f64>,
    /// Share of people behind a shared address.
    pub nat_share: f64,
    /// How many shared addresses there are.
    pub nat_addresses: u16,
    /// Languages and their shares.
    pub locale: Vec<(String, f64)>,
    /// Time between an answer and the next step.
    pub think: Span,
    /// What they do when a request fails.
    pub retry: RetryRule,
    /// Time until a person, not a program, tries again.
    pub retry_gap: Span,
    /// How long they stay.
    pub patience: Patience,
    /// Share of those who leave a line without saying so.
    pub silent_leave: f64,
    /// Reloads of the page while waiting.
    pub refreshes: u32,
    /// Share that changes address while waiting.
    pub change_ip: f64,
    /// Share that breaks one request off after it was sent.
    pub hang_up: f64,
}

/// A stretch of the way, walked once or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// First step of it.
    pub from: usize,
    /// Last step of it.
    pub to: usize,
    /// Share of people who walk it 1, 2, ... times.
    pub times: Vec<f64>,
}

/// Programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Bots {
    /// What they ask for, in turn.
    pub steps: Vec<usize>,
    /// Requests per second, each.
    pub rate_rps: f64,
    /// How many owners they have.
    pub identities: usize,
}

/// Seconds that a person stays, counted from the intended arrival.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// While nobody has told them their place.
    pub spinner: f64,
    /// Once they hold a ticket.
    pub ticket: f64,
}

/// What a client does when a request failed or was refused.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RetryRule {
    /// The person presses again, whatever was said.
    Hammer,
    /// The app of December 2020: 3 attempts, 0.5·2ⁿ + U(0, 1) s apart, on 429 and silence only; then the person presses.
    Io2020,
    /// The app of 8 December in the evening: waits 1.6ⁿ s, n ≤ 4; then the person presses.
    IoBackoff,
    /// Waits as `Retry-After` says; without one, the person presses.
    RetryAfter,
    /// The first failure is the last.
    None,
}

/// The method of an endpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Changes something.
    Post,
}

/// Something that can be asked of the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name.
    pub id: String,
    /// Its exact path.
    pub path: String,
    /// Its method.
    pub method: Method,
    /// The pool that does the work; without one the answer just takes its time.
    pub pool: Option<usize>,
    /// How long the work takes.
    pub service: Span,
    /// The answer belongs to the one who asked, and says whose it is.
    pub personal: bool,
    /// The answer ends the session.
    pub ends_session: bool,
    /// Size of the answer's body.
    pub bytes: usize,
}

/// Workers behind one queue without end.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub id: String,
    /// Workers.
    pub slots: usize,
    /// Works also for those who have left. Otherwise what is still queued for them is dropped.
    pub zombies: bool,
}

/// Fewer (or more) workers for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// From the leg's start.
    pub at: Duration,
    /// From the leg's start; then the pool has its slots again.
    pub until: Duration,
    /// Which pool.
    pub pool: usize,
    /// Workers meanwhile.
    pub slots: usize,
}

impl Scenario {
    /// Reads a scenario. `name` is the file's, for the message.
    ///
    /// # Errors
    /// The first fault found, with file, line and column.
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        let raw = toml::from_str(text).map_err(|error| {
            let at = build::position(text, error.span().map_or(0, |span| span.start));
            format!("{name}:{at}: {}", error.message())
        })?;
        build::scenario(raw).map_err(|fault| {
            let at = build::position(text, fault.at);
            format!("{name}:{at}: {}", fault.message)
        })
    }

    /// The scenario that ships with the program.
    ///
    /// # Errors
    /// None, unless the shipped file is broken; a test reads it.
    pub fn shipped() -> Result<Self, String> {
        Self::parse(super::DEFAULT_SCENARIO, "s-cb.toml")
    }

    /// The same with `people` of those who want something scarce, and all others in proportion.
    #[must_use]
    pub fn with_people(mut self, people: usize) -> Self {
        let before: usize =
            self.classes.iter().filter(|class| self.seeks(class)).map(|class| class.people).sum();
        for class in &mut self.classes {
            class.people = (class.people.saturating_mul(people) + before / 2) / before.max(1);
        }
        self
    }

    /// Whether these people want something of a pool: they are the ones of whom the report counts how
    /// many reached their goal. The others must merely not suffer.
    #[must_use]
    pub fn seeks(&self, class: &Class) -> bool {
        let Conduct::People(people) = &class.conduct else { return false };
        people.steps.iter().filter_map(|step| self.endpoints.get(*step)).any(|end| end.pool.is_some())
    }

    /// Work of one such person in a pool, in seconds, by the means of the laws.
    #[must_use]
    pub fn work_s(&self, people: &People) -> f64 {
        let cost = |step: &usize| {
            self.endpoints.get(*step).filter(|end| end.pool.is_some()).map_or(0.0, |end| end.service.mean_s())
        };
        let once: f64 = people.steps.iter().map(cost).sum();
        let Some(repeat) = &people.repeat else { return once };
        let stretch: f64 =
            people.steps.iter().skip(repeat.from).take(repeat.to + 1 - repeat.from).map(cost).sum();
        let total: f64 = repeat.times.iter().sum();
        let more: f64 =
            repeat.times.iter().enumerate().map(|(extra, share)| extra as f64 * share / total).sum();
        once + more * stretch
    }
}

#[cfg(test)]
mod tests;
