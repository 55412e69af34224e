//! What one exchange with an upstream is, whichever engine carries it: parts of a request go in, events of an answer come out.
//!
//! An exchange runs in a task of its own. Its caller holds the other ends of the two channels; dropping them is the hang-up. A
//! channel of parts that closes without [`Part::End`] is an upload that was never finished and must not look finished upstream.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of an answer read on and thrown away for a caller who left, before the connection is closed instead.
pub(crate) const DISCARD_BYTES_MAX: usize = 64 * 1024;

/// A piece of the request after its head.
#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
}

/// A piece of the answer, in order.
#[derive(Debug)]
pub(crate) enum Event {
    Early(StatusCode),
    Head(StatusCode),
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    Fault(Fault),
}

/// Why there is no (whole) answer; `unsent` only if not one byte of the request can have left this machine.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) what: String,
    pub(crate) unsent: bool,
}

impl Fault {
    pub(crate) fn maybe_sent(what: impl ToString) -> Self {
        Self { what: what.to_string(), unsent: false }
    }

    pub(crate) fn unsent(what: impl ToString) -> Self {
        Self { what: what.to_string(), unsent: true }
    }
}

/// What is known of the request's body before it is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Empty,
    Known(u64),
    Unknown,
}

/// A request as a proxy's downstream half hands it over.
pub(crate) struct Order {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) length: Length,
    pub(crate) head_deadline: Duration,
    pub(crate) parts: mpsc::Receiver<Part>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// What became of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Pooled,
    Closed,
}

/// The sink of an exchange: it goes on, within [`DISCARD_BYTES_MAX`], when nobody listens any more.
pub(crate) struct Listener {
    events: mpsc::Sender<Event>,
    discarded: usize,
}

impl Listener {
    pub(crate) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, discarded: 0 }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }

    /// False once more was thrown away than finishing an exchange is worth.
    pub(crate) async fn tell(&mut self, event: Event) -> bool {
        let bytes = if let Event::Data(data) = &event { data.len() } else { 0 };
        if self.events.send(event).await.is_err() {
            self.discarded += bytes;
        }
        self.discarded <= DISCARD_BYTES_MAX
    }

    pub(crate) fn sender(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }
}

/// The caller's ends of an exchange under way.
pub(crate) struct Call {
    pub(crate) parts: mpsc::Sender<Part>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) task: JoinHandle<Connection>,
}

/// Everything an exchange answered, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) early: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) whole: bool,
    pub(crate) fault: Option<Fault>,
    pub(crate) pooled: bool,
}

impl Answer {
    /// What went wrong, in words.
    pub(crate) fn why(&self) -> &str {
        self.fault.as_ref().map_or("no fault was told", |fault| &fault.what)
    }
}

impl Call {
    /// Listens to the end, giving up (and cancelling the exchange) after `patience` without an event.
    pub(crate) async fn answer(self, patience: Duration) -> Answer {
        let Self { parts, mut events, mut task } = self;
        let mut answer = Answer::default();
        loop {
            match tokio::time::timeout(patience, events.recv()).await {
                Err(_) => {
                    task.abort();
                    answer.fault = Some(Fault::maybe_sent("stuck"));
                    return answer;
                }
                Ok(None) => break,
                Ok(Some(Event::Early(status))) => answer.early.push(status.as_u16()),
                Ok(Some(Event::Head(status))) => answer.status = status.as_u16(),
                Ok(Some(Event::Data(data))) => answer.body.extend_from_slice(&data),
                Ok(Some(Event::Trailers(trailers))) => answer.trailers = Some(trailers),
                Ok(Some(Event::End)) => answer.whole = true,
                Ok(Some(Event::Fault(fault))) => answer.fault = Some(fault),
            }
        }
        drop(parts);
        match tokio::time::timeout(patience, &mut task).await {
            Ok(Ok(connection)) => answer.pooled = connection == Connection::Pooled,
            _ => task.abort(),
        }
        answer
    }

    /// Waits for the head and returns its status.
    pub(crate) async fn head(&mut self, patience: Duration) -> Option<u16> {
        loop {
            match tokio::time::timeout(patience, self.events.recv()).await.ok()?? {
                Event::Head(status) => return Some(status.as_u16()),
                Event::Early(_) => {}
                _ => return None,
            }
        }
    }

    /// Waits until `bytes` bytes of body (or tunnel) have arrived and returns them.
    pub(crate) async fn bytes(&mut self, bytes: usize, patience: Duration) -> Option<Vec<u8>> {
        let mut got = Vec::new();
        while got.len() < bytes {
            match tokio::time::timeout(patience, self.events.recv()).await.ok()?? {
                Event::Data(data) => got.extend_from_slice(&data),
                _ => return None,
            }
        }
        Some(got)
    }

    /// Waits for the head and then for `bytes` bytes of the body.
    pub(crate) async fn bytes_after_head(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let patience = Duration::from_secs(3);
        self.head(patience).await?;
        self.bytes(bytes, patience).await
    }
}
