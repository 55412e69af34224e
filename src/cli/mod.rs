//! The commands, one file each.

pub mod check;
pub mod demo;
pub mod draw;
pub mod end;
pub mod explain;
pub mod init;
pub mod invite;
pub mod lab_origin;
pub mod page;
pub mod rehearse;
pub mod reload;
pub mod run;
pub mod rush;
pub mod status;
pub mod verify;

mod ask;
mod interrupt;
mod out;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Everything went well.
pub const OK: u8 = 0;
/// Something failed while running.
pub const RUNTIME: u8 = 1;
/// The configuration or the command line is wrong.
pub const CONFIGURATION: u8 = 2;

/// Turns a click day into a fair, visible queue instead of an outage.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Run(run::Run),
    /// Check a configuration: everything that is wrong with it, at once.
    Check(check::Check),
    /// Play a click day on this machine, without the gateway and with it.
    Demo(demo::Demo),
    /// Take part in a draw, or bring it its randomness.
    Draw(draw::Draw),
    /// End the event of a room, for good: nobody is in any more, and who was there is erased.
    End(end::End),
    /// Say in words why a limit is what it is, or where a place stands.
    Explain(explain::Explain),
    /// Write the smallest real configuration for a service.
    Init(init::Init),
    /// Make codes by which people are invited.
    Invite(invite::Invite),
    /// Look at the pages that people see.
    Page(page::Page),
    /// Rehearse a click day in virtual time, through a configuration.
    Rehearse(rehearse::Rehearse),
    /// Make a running gateway read its configuration again.
    Reload(reload::Reload),
    /// Play a click day live: a crowd against the service alone, and against the gateway.
    Rush(rush::Rush),
    /// The origin of a scenario, for `rush`.
    #[command(hide = true)]
    LabOrigin(lab_origin::LabOrigin),
    /// Show what a running gateway does.
    Status(status::Status),
    /// Check, offline, what a gateway signed: receipts, boards, draws, logs.
    Verify(verify::Verify),
}

/// Which running gateway is meant.
#[derive(Debug, clap::Args)]
pub struct Whom {
    /// Configuration file of the running gateway; its admin address is taken from there.
    #[arg(long, default_value = "/etc/tornello/tornello.toml")]
    pub config: PathBuf,
    /// Admin address, instead of the configuration's.
    #[arg(long)]
    pub admin: Option<std::net::SocketAddr>,
}

impl Command {
    /// Does it; returns the exit code.
    #[must_use]
    pub fn execute(self) -> u8 {
        match self {
            Self::Run(run) => run.execute(),
            Self::Check(check) => check.execute(),
            Self::Demo(demo) => demo.execute(),
            Self::Draw(draw) => draw.execute(),
            Self::End(end) => end.execute(),
            Self::Explain(explain) => explain.execute(),
            Self::Init(init) => init.execute(),
            Self::Invite(invite) => invite.execute(),
            Self::Page(page) => page.execute(),
            Self::Rehearse(rehearse) => rehearse.execute(),
            Self::Reload(reload) => reload.execute(),
            Self::Rush(rush) => rush.execute(),
            Self::LabOrigin(origin) => origin.execute(),
            Self::Status(status) => status.execute(),
            Self::Verify(verify) => verify.execute(),
        }
    }
}

/// What ends a command early.
pub type Failure = Box<dyn std::error::Error>;

/// Does `work` on every core; says what went wrong with it. Returns the exit code.
fn to_the_end(work: impl Future<Output = Result<u8, Failure>>) -> u8 {
    let done = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| {
        complain(&*error);
        RUNTIME
    })
}

/// Says on standard error what went wrong, with every cause behind it.
pub fn complain(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}
