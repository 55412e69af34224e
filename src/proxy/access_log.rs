//! The access log: one JSON line a request, written by a thread of its own.
//!
//! The request path only appends bytes to a buffer; nobody waits for a disk. If the reader is too
//! slow, lines are dropped and counted rather than memory eaten.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::Metrics;

/// Most bytes held for the writer.
const BUFFER_MAX: usize = 4 * 1024 * 1024;
/// Longest time that a line waits for others.
const PAUSE: Duration = Duration::from_millis(50);

/// Where lines go.
#[derive(Debug)]
pub struct AccessLog {
    state: Mutex<State>,
    wake: Condvar,
    metrics: Arc<Metrics>,
    on: bool,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    closed: bool,
}

impl AccessLog {
    /// Starts the writer on standard output; `on = false` makes a log that drops everything.
    #[must_use]
    pub fn start(on: bool, metrics: Arc<Metrics>) -> Arc<Self> {
        let log = Arc::new(Self { state: Mutex::default(), wake: Condvar::new(), metrics, on });
        if on {
            let writer = Arc::clone(&log);
            let spawned = std::thread::Builder::new().name("access-log".into()).spawn(move || writer.run());
            if let Err(error) = spawned {
                tracing::error!(%error, "no thread for the access log");
            }
        }
        log
    }

    /// Appends one line, which `write` makes.
    pub fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.on {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.buffer.len() >= BUFFER_MAX {
            self.metrics.log_dropped.inc();
            return;
        }
        write(&mut state.buffer);
        state.buffer.push(b'\n');
    }

    /// Writes what is left and ends the writer.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.wake.notify_all();
    }

    fn run(&self) {
        let mut full = Vec::new();
        loop {
            let closed = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = self.wake.wait_timeout_while(state, PAUSE, |state| !state.closed);
                let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut state.buffer, &mut full);
                state.closed
            };
            // A reader that went away must not end the service; there is nowhere to say so.
            let _ = std::io::stdout().lock().write_all(&full);
            full.clear();
            if closed {
                return;
            }
        }
    }
}
