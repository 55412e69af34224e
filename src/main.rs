//! Arguments → command. Exit code 0: ok, 1: failed while running, 2: configuration or command line.

use std::process::ExitCode;

use clap::Parser;
use tornello::cli::Arguments;

/// Gives back what a crowd needed when it has gone, and takes less time than the system's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ExitCode::from(Arguments::parse().command.execute())
}
