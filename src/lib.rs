//! Tornello: a request is identified, takes a token from its user's bucket, passes the waiting room,
//! holds a permit while the upstream answers, and its latency moves the limit.
//!
//! # The map
//!
//! - [`admission`]: the decisions. Pure: time, policy and random bytes are arguments.
//! - [`store`]: what lives on. The only locks and the only durable state.
//! - [`proxy`]: the request path, from a head to an answer. `proxy::handle` reads like the sentence.
//! - [`edge`]: sockets towards the crowd.
//! - [`pages`]: refusals as bytes: waiting page, notices, problem+json.
//! - [`proof`]: what is signed, and how anybody checks it: boards, receipts, draws.
//! - [`preview`]: every page with invented data.
//! - [`config`]: from TOML to validated settings.
//! - [`app`]: builds each part once, serves, reloads, drains.
//! - [`admin`]: the operators' side.
//! - [`lab`]: a click day on one machine: origin, crowd, scenarios, report.
//! - [`cli`]: the commands.
//! - [`metrics`], [`clock`]: leaves.
//!
//! # Invariants
//!
//! - Arrows point inward only: `cli → app → edge, proxy, admin, config → store → admission`;
//!   `admission` imports nothing of ours.
//! - A request loads the configuration once and reads the decision in one non-async function.
//! - No request is sent to an upstream while as many as its limit are unfinished there.
//! - Policy is an argument, never a field of the state: a reload is one pointer store.

pub mod admin;
pub mod admission;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod edge;
pub mod lab;
pub mod metrics;
pub mod pages;
pub mod preview;
pub mod proof;
pub mod proxy;
pub mod store;
