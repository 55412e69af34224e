//! `tornello init`: the smallest real configuration for a service.

use super::OK;
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
    /// Prints it.
    #[must_use]
    pub fn execute(self) -> u8 {
        print!("{}", starter(&self.upstream, self.room.as_deref()));
        OK
    }
}
