//! `tornello init`: the smallest real configuration for a service.

use super::out::put;
use super::{CONFIGURATION, OK};
use crate::config::starter;

/// Write the smallest real configuration to standard output.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Where the service is: `host:port`.
    #[arg(long)]
    pub upstream: String,
    /// Path before which people may have to wait, for example `/apply/`.
    #[arg(long)]
    pub room: Option<String>,
}

impl Init {
    /// Prints it; 2 if the service cannot be reached in the way asked for.
    #[must_use]
    pub fn execute(self) -> u8 {
        if self.upstream.starts_with("https://") {
            eprintln!("error: TLS towards the upstream is not supported yet");
            eprintln!("  help: name a cleartext address of the service: --upstream HOST:PORT");
            return CONFIGURATION;
        }
        put(starter(&self.upstream, self.room.as_deref()));
        OK
    }
}
