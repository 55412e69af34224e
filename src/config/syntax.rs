//! Faults of TOML itself, each with a remedy.

/// What the parser found, and what to do about it.
pub(super) fn explain(message: &str) -> (String, String) {
    (format!("this is not TOML: {message}"), String::new())
}
