//! Arguments → command. Exit code 0: ok, 1: failed while running, 2: configuration or command line.

use std::process::ExitCode;

use clap::Parser;
use tornello::cli::Arguments;

fn main() -> ExitCode {
    ExitCode::from(Arguments::parse().command.execute())
}
