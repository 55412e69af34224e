//! The origin alone, as the crowd of a leg without a gateway meets it.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::network::{HOP, Way, both_ways, pass};
use crate::clock::Clock;
use crate::lab::client::Reply;
use crate::lab::origin::Origin;
use crate::lab::site::{Answering, Line, Opening, Site};

/// The origin, open to everybody.
#[derive(Debug)]
pub(super) struct Bare {
    origin: Arc<Origin>,
    clock: Clock,
    seed: u64,
    opened: AtomicU64,
}

impl Bare {
    pub(super) fn new(origin: Arc<Origin>, clock: Clock, seed: u64) -> Arc<Self> {
        Arc::new(Self { origin, clock, seed, opened: AtomicU64::new(0) })
    }
}

impl Site for Bare {
    fn open(self: Arc<Self>, _: Ipv4Addr) -> Opening {
        Box::pin(async move {
            let mut way = Way::new(self.seed, self.opened.fetch_add(1, Relaxed), HOP);
            pass(way.set_up()).await;
            if !self.origin.alive().is_up() {
                return None;
            }
            let (origin, way) = (Arc::clone(&self.origin), Mutex::new(way));
            Some(Arc::new(Direct { origin, way }) as Arc<dyn Line>)
        })
    }

    fn host(&self) -> String {
        "origin.rehearsal".to_owned()
    }

    fn clock(&self) -> Clock {
        self.clock
    }
}

/// A connection to it.
#[derive(Debug)]
struct Direct {
    origin: Arc<Origin>,
    way: Mutex<Way>,
}

impl Line for Direct {
    fn ask(self: Arc<Self>, request: Request<Full<Bytes>>) -> Answering {
        Box::pin(async move {
            let (there, back) = both_ways(&self.way);
            let answered = async {
                pass(there).await;
                let answer = self.origin.answer(request.uri().path(), request.headers()).await;
                let (head, body) = answer.into_parts();
                let body = body.take();
                pass(back).await;
                Reply { status: head.status, headers: head.headers, body }
            };
            tokio::select! {
                biased;
                () = self.origin.alive().until(false) => None,
                reply = answered => Some(reply),
            }
        })
    }
}
