//! `tornello reload`: makes a running gateway read its configuration again, and tells what came of it.

use http::{Method, StatusCode};

use super::ask::ask;
use super::out::say;
use super::{CONFIGURATION, OK, RUNTIME, Whom};

/// Make a running gateway read its configuration again.
#[derive(Debug, clap::Args)]
pub struct Reload {
    /// Which one.
    #[command(flatten)]
    pub whom: Whom,
}

impl Reload {
    /// 0 if the configuration is in force, 2 if it was refused, 1 if nobody answered.
    #[must_use]
    pub fn execute(self) -> u8 {
        let (status, body) = match ask(&self.whom, Method::POST, "/reload") {
            Ok(answer) => answer,
            Err(error) => {
                eprintln!("error: {error}");
                return RUNTIME;
            }
        };
        let report: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let diagnostics = report.get("diagnostics").and_then(|text| text.as_str()).unwrap_or_default();
        if !diagnostics.is_empty() {
            eprintln!("{diagnostics}");
        }
        if status != StatusCode::OK {
            eprintln!("refused; the running configuration is unchanged");
            return CONFIGURATION;
        }
        let changes =
            report.get("changes").and_then(|changes| changes.as_array()).cloned().unwrap_or_default();
        for change in changes.iter().filter_map(|change| change.as_str()) {
            say(change);
        }
        let took = report.get("took_ms").and_then(serde_json::Value::as_u64).unwrap_or_default();
        say(format_args!("in force after {took} ms; keys changed: {}", changes.len()));
        OK
    }
}
