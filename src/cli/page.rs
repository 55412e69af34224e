//! `tornello page`: the pages that people see.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use tokio::net::TcpListener;

use super::out::say;
use super::{CONFIGURATION, OK, to_the_end};
use crate::pages::Look;
use crate::preview;

/// Look at the pages that people see.
#[derive(Debug, clap::Args)]
pub struct Page {
    /// What to do with them.
    #[command(subcommand)]
    pub command: PageCommand,
}

/// What can be done with pages.
#[derive(Debug, Subcommand)]
pub enum PageCommand {
    /// Serve every page in all states, languages and themes, with invented data.
    Preview(Preview),
}

/// Serve every page with invented data.
#[derive(Debug, clap::Args)]
pub struct Preview {
    /// Where.
    #[arg(long, default_value = "127.0.0.1:8400")]
    pub listen: SocketAddr,
    /// Allow an address that other machines reach.
    #[arg(long)]
    pub public: bool,
    /// Take links and telephone number from this configuration.
    #[arg(long)]
    pub config: Option<PathBuf>,
}

impl Page {
    /// Serves until it is stopped.
    #[must_use]
    pub fn execute(self) -> u8 {
        let PageCommand::Preview(preview) = self.command;
        if !preview.listen.ip().is_loopback() && !preview.public {
            eprintln!("error: {} is reached by other machines; say so with --public", preview.listen.ip());
            return CONFIGURATION;
        }
        let look = match &preview.config {
            None => Look::default(),
            Some(path) => match super::check::load(path) {
                Some((settings, _)) => settings.pages,
                None => return CONFIGURATION,
            },
        };
        to_the_end(async move {
            let listener = TcpListener::bind(preview.listen).await?;
            say(format_args!("every page: http://{}/", listener.local_addr()?));
            tokio::select! {
                served = preview::serve(listener, &look) => served.map_err(|error| error.to_string())?,
                stopped = tokio::signal::ctrl_c() => stopped?,
            }
            Ok(OK)
        })
    }
}
