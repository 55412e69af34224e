//! Who comes, and how they behave.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::law::{Arrival, Span};

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
#[expect(clippy::large_enum_variant, reason = "there are a handful of classes")]
pub enum Conduct {
    /// People with a goal and with patience.
    People(People),
    /// Programs that ask at a rate.
    Bots(Bots),
}

/// How people behave. Shares lie between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct People {
    /// The way to their goal, as indices of endpoints. Never empty.
    pub steps: Vec<usize>,
    /// Part of the way that is walked more than once.
    pub repeat: Option<Repeat>,
    /// How often each walks the whole way, one case after the other. At least 1.
    pub cases: u32,
    /// How many of the last steps end the session: they are walked once, after the last case.
    pub closing: usize,
    /// Share that uses the app (JSON, ticket and pass in headers); the rest use a browser.
    pub app_share: f64,
    /// Share of the browsers that run no scripts: they wait by reloading the page.
    pub no_script: f64,
    /// Share of the browsers that keep no cookies.
    pub no_cookies: f64,
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
    /// Share of the browsers' people who press F5 while nothing comes.
    pub f5_share: f64,
    /// How often those press it.
    pub f5_every: Duration,
    /// How long they stay.
    pub patience: Patience,
    /// Share of those who leave a line without saying so.
    pub silent_leave: f64,
    /// Reloads of the page while waiting.
    pub refreshes: u32,
    /// Share that changes address while waiting.
    pub change_ip: f64,
    /// Share that closes the page while waiting and comes back.
    pub close_tab: f64,
    /// How long those are away.
    pub away: Span,
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
    /// Whether they wait where a place is offered. Otherwise they ask on, whatever the answer.
    pub honours_ticket: bool,
}

/// Seconds that a person stays, counted from the intended arrival; drawn once for each person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// While nobody has told them their place.
    pub spinner: Span,
    /// Once they hold a ticket; never less than the other.
    pub ticket: Span,
}

/// What a client does when a request failed or was refused.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
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
