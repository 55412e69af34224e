//! A click day on one machine: an origin that behaves as overloaded ones do, a crowd, and the account
//! of what both saw.
//!
//! The crowd and the origin know nothing of each other but HTTP, and nothing of the gateway: a person
//! follows the waiting protocol when an answer offers a place, and hammers when none does. So the leg
//! WITHOUT and the leg WITH are the same code, the same people, the same seed; only the address that
//! they call differs.

pub mod account;
pub mod chance;
pub mod crowd;
pub mod law;
pub mod ledger;
pub mod legs;
pub mod live;
pub mod order;
pub mod origin;
pub mod rehearse;
pub mod report;
pub mod scenario;
pub mod tally;

mod bot;
mod client;
mod count;
mod fault;
mod flag;
mod passport;
mod person;
mod plan;
mod pool;
mod retry;
mod room;
mod site;
mod step;
mod stock;
mod trace;
mod truth;
mod waiting;

pub use account::{CountLine, Kill, Kind, LegRecord, Tick};
pub use count::EndpointTruth;
pub use crowd::{Leg, LegOutcome};
pub use origin::{Origin, OriginHandle};
pub use report::{LegSummary, Report};
pub use scenario::Scenario;
pub use site::{Answering, Line, Opening, Site, Target};
pub use tally::Tally;
pub use truth::OriginTruth;

/// The scenario that `tornello demo` plays unless told otherwise: the small form of the cashback day.
pub const DEFAULT_SCENARIO: &str = include_str!("../../config/scenarios/s-cb.toml");

#[cfg(test)]
mod tests;
