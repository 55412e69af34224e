//! The real binary under crowds that upload, cancel and dawdle. A target of its own, one test at a time,
//! so that nothing else runs beside it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is its purpose"
)]

mod cancels;
mod gateway;
mod posts;
mod slow;
mod uploads;
