//! Waiting for something to come about.

use std::future::Future;
use std::time::{Duration, Instant};

/// Waits until `look` gives something, and says what was waited for if it does not within ten seconds.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "tests of real processes read the real time")]
fn now() -> Instant {
    Instant::now()
}
