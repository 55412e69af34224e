//! Whose turn it is on a connection: what the guard has to know of the answers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

/// Shared by the guard of a connection and the service that answers on it.
#[derive(Debug, Default)]
pub struct Turn {
    answered: AtomicU32,
    tunnel: AtomicBool,
}

impl Turn {
    /// Answers whose last byte was handed to the engine; counts round.
    #[must_use]
    pub fn answered(&self) -> u32 {
        self.answered.load(Ordering::Acquire)
    }

    /// From here on the connection speaks another protocol, whose bytes are not judged.
    pub fn become_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    /// The connection speaks another protocol.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }
}

/// The body of an answer; ends its turn when the engine lets go of it.
#[derive(Debug)]
pub struct Turned<B> {
    body: B,
    turn: Arc<Turn>,
}

impl<B> Turned<B> {
    /// The body of the answer to the request whose turn it is.
    #[must_use]
    pub fn new(body: B, turn: Arc<Turn>) -> Self {
        Self { body, turn }
    }
}

impl<B> Drop for Turned<B> {
    fn drop(&mut self) {
        self.turn.answered.fetch_add(1, Ordering::AcqRel);
    }
}

impl<B: Body + Unpin> Body for Turned<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
