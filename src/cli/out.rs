//! What a command says on standard output.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stdout};

/// Prints a line. Where nobody reads any more (`tornello explain … | head`) it is dropped, and the command goes
/// on: what it does does not depend on who listens.
///
/// # Panics
/// If standard output fails in another way: a file that is cut off in silence looks whole.
pub(super) fn say(line: impl Display) {
    put(format_args!("{line}\n"));
}

/// The same, without an end of line.
///
/// # Panics
/// As [`say`].
pub(super) fn put(text: impl Display) {
    match write!(stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("standard output: {error}"),
        _ => {}
    }
}
