//! Plays what breaks at the origin, on the scenario's timeline. Kills are not the origin's to play.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::flag::Flag;
use super::pool::Lane;
use super::scenario::{Errors, FaultKind, Scenario};

/// From now on. `lanes` are the scenario's pools; `alive` says whether the origin is there at all.
pub(super) fn play(scenario: &Scenario, lanes: &[Arc<Lane>], alive: &Arc<Flag>) -> Vec<AbortHandle> {
    let played = scenario.faults.iter().filter_map(|fault| {
        let (kind, at, until) = (fault.kind, fault.at, fault.until?);
        let switch = match kind {
            FaultKind::Slots { pool, slots } => {
                let healthy = scenario.pools.get(pool)?.slots;
                Switch::Slots { lane: Arc::clone(lanes.get(pool)?), meanwhile: slots, healthy }
            }
            FaultKind::Stall { pool } => Switch::Stall(Arc::clone(lanes.get(pool)?)),
            FaultKind::Errors { pool, errors } => Switch::Errors(Arc::clone(lanes.get(pool)?), errors),
            FaultKind::Slowness { pool, times } => Switch::Slowness(Arc::clone(lanes.get(pool)?), times),
            FaultKind::OriginDead => Switch::Dead { lanes: lanes.to_vec(), alive: Arc::clone(alive) },
            FaultKind::Kill(_) => return None,
        };
        Some(tokio::spawn(flip(switch, at, until)).abort_handle())
    });
    played.collect()
}

/// Something that breaks and is mended.
enum Switch {
    Slots { lane: Arc<Lane>, meanwhile: usize, healthy: usize },
    Stall(Arc<Lane>),
    Errors(Arc<Lane>, Errors),
    Slowness(Arc<Lane>, f64),
    Dead { lanes: Vec<Arc<Lane>>, alive: Arc<Flag> },
}

async fn flip(switch: Switch, at: Duration, until: Duration) {
    tokio::time::sleep(at).await;
    switch.set(true);
    tokio::time::sleep(until.saturating_sub(at)).await;
    switch.set(false);
}

impl Switch {
    fn set(&self, broken: bool) {
        match self {
            Self::Slots { lane, meanwhile, healthy } => {
                lane.set_slots(if broken { *meanwhile } else { *healthy })
            }
            Self::Stall(lane) => lane.stall(broken),
            Self::Errors(lane, errors) => lane.set_errors(if broken { *errors } else { Errors::of(0.0) }),
            Self::Slowness(lane, times) => lane.set_slowness(if broken { *times } else { 1.0 }),
            Self::Dead { lanes, alive } => {
                alive.set(!broken);
                for lane in lanes {
                    lane.clear();
                }
            }
        }
    }
}
