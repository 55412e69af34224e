//! The real binary under crowds that upload, cancel, flood and dawdle. A target of its own, so that
//! nothing else runs beside it; a test that measures times has the machine to itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod cancels;
mod floods;
mod gateway;
mod joins;
mod memory;
mod posts;
mod slow;
mod uploads;
mod wire;
