//! The gateway is killed, and started again by whoever looks after it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::gateway::Gateway;
use crate::clock::Clock;
use crate::lab::account::Kill;
use crate::lab::site::Site;
use crate::lab::tally::Tally;

/// From the kill to the first connection that is accepted again: the process starts, reads its
/// configuration and its journal, and listens. As measured live on one machine.
pub(super) const RESTART: Duration = Duration::from_millis(150);

/// Kills the gateway at these times from now, for so long, and notes each kill when the gateway is back.
pub(super) async fn play(
    kills: Vec<(Duration, Duration)>,
    gateway: Arc<Gateway>,
    tally: Arc<Tally>,
    killed: Arc<Mutex<Vec<Kill>>>,
) {
    let clock: Clock = gateway.clock();
    let began = clock.now();
    for (at, away) in kills {
        tokio::time::sleep_until(clock.instant(began.after(at))).await;
        let (now, in_flight) = (clock.now(), tally.ledger().under_way().len() as u64);
        gateway.kill();
        tokio::time::sleep(away).await;
        // It was built from the same settings before; if that fails now, it stays away.
        let back = gateway.revive().await.is_ok();
        killed.lock().unwrap_or_else(PoisonError::into_inner).push(Kill {
            at_s: now.since(began).as_secs_f64(),
            process: "gateway".to_owned(),
            in_flight,
            back_s: back.then(|| clock.now().since(began).as_secs_f64()),
        });
    }
}
