//! The gateway over real sockets: as a library where a test looks inside, as a process where the
//! process is what is tested. Port 0 everywhere; tests wait on values, not on durations.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod scripted;
mod stage;

mod browser;
mod faults;
mod forwarding;
mod framing;
mod hostile;
mod isolation;
mod permits;
mod process;
mod reload;
mod tidy;
mod upstream;
mod waiting;
