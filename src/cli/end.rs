//! `tornello end`: ends the event of a room, for good.

use std::time::Duration;

use http::{Method, StatusCode};

use super::ask::ask_patiently;
use super::out::say;
use super::{CONFIGURATION, OK, RUNTIME, Whom};

/// All that is kept is written anew, and the old file is written over.
const PATIENCE: Duration = Duration::from_secs(600);

/// End the event of a room, for good: nobody is in any more, and who was there is erased.
#[derive(Debug, clap::Args)]
pub struct End {
    /// The room's name in the configuration.
    room: String,
    /// It cannot be taken back: everybody who waits or is inside is out, and no ticket is worth anything.
    #[arg(long)]
    for_good: bool,
    /// Which gateway.
    #[command(flatten)]
    whom: Whom,
}

impl End {
    /// 0 if it has ended, 2 if that was not meant or there is no such room, 1 if it could not be done.
    #[must_use]
    pub fn execute(self) -> u8 {
        if !self.for_good {
            eprintln!(
                "error: this cannot be taken back: everybody who waits or is inside is out, and who they were is erased\n  \
                 help: `tornello end {} --for-good`",
                self.room
            );
            return CONFIGURATION;
        }
        match ask_patiently(&self.whom, Method::POST, &format!("/rooms/{}/end", self.room), PATIENCE) {
            Ok((StatusCode::OK, body)) => {
                let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let erased = told.get("erased").map(ToString::to_string).unwrap_or_default();
                say(format_args!("ended; erased: {erased}"));
                OK
            }
            Ok((status, body)) => {
                eprintln!("error: {}", String::from_utf8_lossy(&body).trim());
                if status == StatusCode::NOT_FOUND { CONFIGURATION } else { RUNTIME }
            }
            Err(error) => {
                eprintln!("error: {error}");
                RUNTIME
            }
        }
    }
}
