//! What every row of the matrix is made of: a request in the making, and the verdict of a cell.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::mpsc;

use super::Engine;
use super::exchange::{Call, Length, Order, Part};

/// Longer than anything a healthy engine needs here; short enough to find a deadlock in time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// An upload larger than all that lies between us and an upstream that does not read.
pub(crate) const FLOOD: usize = 12 * 1024 * 1024;
/// An answer that takes longer than that upload, so that the two must overlap.
pub(crate) const DELUGE: usize = 4 * FLOOD;
/// What a flood is cut into.
pub(crate) const PIECE: usize = 64 * 1024;

/// What a row found: kept or lost, and how.
pub(crate) struct Verdict {
    pub(crate) kept: bool,
    pub(crate) how: String,
}

impl Verdict {
    pub(crate) fn new(kept: bool, how: impl ToString) -> Self {
        Self { kept, how: how.to_string() }
    }

    /// Kept if there is no complaint.
    pub(crate) fn without(complaints: &[String], praise: &str) -> Self {
        if complaints.is_empty() { Self::new(true, praise) } else { Self::new(false, complaints.join("; ")) }
    }
}

/// A request in the making; `start` runs its exchange in a task of its own.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) length: Length,
    pub(crate) head_deadline: Duration,
}

pub(crate) fn get(path: &'static str) -> Ask {
    Ask {
        method: Method::GET,
        path,
        headers: HeaderMap::new(),
        length: Length::Empty,
        head_deadline: Duration::from_secs(5),
    }
}

pub(crate) fn post(path: &'static str, length: Length) -> Ask {
    Ask { method: Method::POST, length, ..get(path) }
}

impl Ask {
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    pub(crate) fn start(self, engine: &Arc<Engine>) -> Call {
        let (parts, parts_taken) = mpsc::channel(4);
        let (events_given, events) = mpsc::channel(4);
        let order = Order {
            method: self.method,
            path: self.path,
            headers: self.headers,
            length: self.length,
            head_deadline: self.head_deadline,
            parts: parts_taken,
            events: events_given,
        };
        let engine = Arc::clone(engine);
        let task = tokio::spawn(async move { engine.exchange(order).await });
        Call { parts, events, task }
    }
}

pub(crate) async fn send(call: &Call, data: &'static [u8]) -> bool {
    call.parts.send(Part::Data(Bytes::from_static(data))).await.is_ok()
}

/// The next exchange must get its own answer, over whichever connection.
pub(crate) async fn next_is_own(engine: &Arc<Engine>) -> bool {
    let answer = get("/next").start(engine).answer(PATIENCE).await;
    answer.whole && answer.body == b"/next"
}
