//! Limits in virtual time: the real limiter between a crowd and an upstream of known capacity.
//!
//! `scenarios` are the rows of the comparison matrix, `bounds` hold `knee` to them, `properties` hold
//! the limiter to what must never happen, and `sweep` compares the laws over random upstreams.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "numbers here are small, and times are compared with copies of themselves"
)]

mod bounds;
mod cost;
mod origin;
mod play;
mod properties;
mod scenarios;
mod setting;
mod sweep;
mod trace;
