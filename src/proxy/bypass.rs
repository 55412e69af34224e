//! Past the room and the quota, within a counted budget: callbacks and other paths, staff by address or by what a
//! trusted proxy says.
//!
//! A budget is a number of requests at once, of a route and of all its ways together. They count in the upstream's
//! limit as all others do. Where it is spent a request is judged like any other: whoever is inside goes on, and
//! whoever would have to wait is told so much, since a callback cannot wait in a line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderMap;

use super::Proxy;
use super::asked::Asked;
use super::live::Route;
use crate::admission::{Class, Refusal};

/// What is spent may be free again so soon.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request may pass by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By its path.
    Path,
    /// By the address of its client.
    Address,
    /// By what a trusted proxy says.
    Header,
}

impl Way {
    /// The word in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Address => "address",
            Self::Header => "header",
        }
    }

    /// How much it matters: what comes back from a login or a payment finishes something.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Path => Class::Finish,
            Self::Address | Self::Header => Class::Admitted,
        }
    }
}

/// A bypassing request under way; counts until dropped.
#[derive(Debug)]
pub struct Bypass(Arc<AtomicU32>);

impl Drop for Bypass {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a request may pass by its route's room and quota, and why. `path` says that its path may.
pub(super) fn way(route: &Route, path: bool, asked: &Asked, fields: &HeaderMap) -> Option<Way> {
    let settings = &route.settings;
    let client = asked.client.to_canonical();
    if path {
        Some(Way::Path)
    } else if settings.bypass_addresses.iter().any(|net| net.contains(&client)) {
        Some(Way::Address)
    } else {
        let (name, value) = settings.bypass_header.as_ref().filter(|_| asked.peer_trusted)?;
        let mut all = fields.get_all(name).iter();
        let only = all.next().filter(|_| all.next().is_none())?;
        (only.as_bytes() == value.as_bytes()).then_some(Way::Header)
    }
}

/// Takes a place of the route's budget, and counts whether there was one.
pub(super) fn take(proxy: &Proxy, route: &Route, way: Way) -> Option<Bypass> {
    let taken = route.bypassing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
        (now < route.settings.bypass_limit).then_some(now + 1)
    });
    let result = if taken.is_ok() { "passed" } else { "spent" };
    proxy.witness.metrics.bypassed.with_label_values(&[&*route.name, way.word(), result]).inc();
    taken.is_ok().then(|| Bypass(Arc::clone(&route.bypassing)))
}

/// What whoever might have passed by is told instead of having to wait.
pub(super) fn spent(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Waiting { .. } | Refusal::Closed { .. } | Refusal::OverQuota { .. } => {
            Refusal::BypassSpent { retry_after: RETRY_AFTER }
        }
        other => other,
    }
}
