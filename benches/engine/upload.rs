//! A request body fed by a channel, which tells whether it came to its end and errs when its caller left before that.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::exchange::Part;

/// The caller hung up before the end of its upload.
#[derive(Debug)]
pub(crate) struct Abandoned;

impl std::fmt::Display for Abandoned {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the caller left before the end of its upload")
    }
}

impl std::error::Error for Abandoned {}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Upload {
    parts: Option<mpsc::Receiver<Part>>,
    /// Bytes still to come, where the length is known.
    length: Option<u64>,
    ended: Arc<AtomicBool>,
}

impl Upload {
    pub(crate) fn empty() -> Self {
        Self { parts: None, length: Some(0), ended: Arc::new(AtomicBool::new(true)) }
    }

    pub(crate) fn new(parts: mpsc::Receiver<Part>, length: Option<u64>) -> Self {
        Self { parts: Some(parts), length, ended: Arc::default() }
    }

    /// True once the whole body was handed over.
    pub(crate) fn ended(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ended)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        let Some(parts) = &mut self.parts else { return Poll::Ready(None) };
        Poll::Ready(match ready!(parts.poll_recv(context)) {
            None => Some(Err(Abandoned)),
            Some(Part::Data(data)) => {
                if let Some(left) = &mut self.length {
                    *left = left.saturating_sub(data.len() as u64);
                    // hyper asks for nothing more once it has as much as was promised.
                    if *left == 0 {
                        self.ended.store(true, Relaxed);
                    }
                }
                Some(Ok(Frame::data(data)))
            }
            Some(Part::Trailers(trailers)) => {
                self.ended.store(true, Relaxed);
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(Part::End) => {
                self.parts = None;
                self.ended.store(true, Relaxed);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
