//! `tornello status`: what a running gateway does.

use http::Method;
use serde_json::Value;

use super::ask::ask;
use super::out::say;
use super::{OK, RUNTIME, Whom};

/// Show what a running gateway does.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Which one.
    #[command(flatten)]
    pub whom: Whom,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

impl Status {
    /// Prints it.
    #[must_use]
    pub fn execute(self) -> u8 {
        let body = match ask(&self.whom, Method::GET, "/status") {
            Ok((_, body)) => body,
            Err(error) => {
                eprintln!("error: {error}");
                return RUNTIME;
            }
        };
        if self.json {
            say(String::from_utf8_lossy(&body));
            return OK;
        }
        let status: Value = serde_json::from_slice(&body).unwrap_or_default();
        let of = |kind: &str| status.get(kind).and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, room) in of("rooms") {
            let text =
                |key: &str| room.get(key).map(|value| value.to_string().replace('"', "")).unwrap_or_default();
            say(format_args!(
                "room {name}: {} · waiting {} · inside {} of {} seats · front row {} · called and not yet come {} · called up to {}",
                text("state"),
                text("waiting"),
                text("active"),
                text("seats"),
                text("front_row"),
                text("outstanding_calls"),
                text("cursor"),
            ));
        }
        for (name, upstream) in of("upstreams") {
            let text = |key: &str| upstream.get(key).map(ToString::to_string).unwrap_or_default();
            say(format_args!(
                "upstream {name}: up {} · limit {} · in flight {} · queued {} · stalled {}",
                text("up"),
                text("limit"),
                text("in_flight"),
                text("queued"),
                text("stalled"),
            ));
        }
        OK
    }
}
