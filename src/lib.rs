//! Tornello: a request is identified, takes a token from its user's bucket, passes the waiting room,
//! holds a permit while the upstream answers, and its latency moves the limit.

pub mod admission;
pub mod config;
pub mod pages;
