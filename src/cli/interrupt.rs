//! Ctrl-C and SIGTERM as a wish, not an end: what runs is told, and ends with what it has.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Becomes true at the first signal; the second ends the process as if it had not been handled.
///
/// # Errors
/// If signals cannot be handled.
pub(super) fn interrupted() -> std::io::Result<watch::Receiver<bool>> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (say, heard) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        eprintln!("\ninterrupted: ending with what was measured");
        say.send_replace(true);
        // The sender lives on: a closed channel says nothing.
        std::future::pending::<()>().await;
    });
    Ok(heard)
}
