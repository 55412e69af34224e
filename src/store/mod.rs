//! Everything that lives on through a reload: buckets, gates, lines, and what is durable.
//!
//! The only locks and the only durable state. Each lock is held for a few lines, never across an
//! `await`; no guard leaves this folder.

pub mod book;
pub mod buckets;
pub mod gate;
pub mod journal;
mod lanes;
pub mod learnt;
pub mod line;
pub mod lots;
pub mod reminders;
pub mod slots;
