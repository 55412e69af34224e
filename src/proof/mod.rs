//! What the gateway signs and anybody can check, offline: boards, receipts.
//!
//! Text in, text out: no clock, no file, no key of ours.

pub mod receipt;
pub mod sealed;

/// Bytes as people write them into files.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
