//! Rehearsals: a click day in virtual time, through the gateway's own decisions.

pub mod request;
pub mod session;
pub mod words;
