//! The model that stands for the request limiter, whose law needs single requests and their answers.
//!
//! A `fixed` limit is what it is. `aimd` settles where the mean time to the first byte is the latency
//! that the operator bears: with `slots` workers and `s` of service a request that is at `slots ·
//! latency / s` requests in flight (Little's law), times [`AIMD_SETTLES`] because it saws below that.
//! Any other law looks for the knee, and settles at [`KNEE_SETTLES`] times the workers. A limit moves
//! only while it holds somebody back, and then goes 63 % of the way in [`RAMP_S`].
//!
//! All were fitted to the small forms, rehearsed request by request from a limit that began at a
//! quarter of the workers; the test `fit` makes the fit again. `AIMD_SETTLES` is theory.
//!
//! The seats of the room, κ included, are not modelled: the room measures what this says is in flight.

use crate::admission::policy::{LawPolicy, LimitPolicy};

/// Mean of the sawtooth over where it is cut: between 0.9 and 1.
const AIMD_SETTLES: f64 = 0.95;
/// Limit over workers where a law that looks for the knee settles.
pub(super) const KNEE_SETTLES: f64 = 1.5;
/// So many standard deviations above the mean is what requests in flight touch within a second.
const TOUCHES: f64 = 3.0;
/// Time constant of the way there, in seconds.
pub(super) const RAMP_S: f64 = 16.0;

/// A law that looks for the knee tries, cuts too deep and lets too many wait at times; this, over the root
/// of the workers, of what they could do comes to nothing: chance is the law's trouble, and falls so.
const LOSS: f64 = 0.5;

/// What a report says of it.
pub const NOTE: &str = "limiter: modelled, not played. A law that looks for the knee settles at 1.5 times the workers, and \
     goes 63 % of the way in 16 s: fitted to S-CB, S-BB and S-IN, rehearsed request by request from a limit of a \
     quarter of the workers, where single runs settled between 0.8 and 4.4 times. It moves only while it holds \
     somebody back, as the law does. Of the work of n workers 0.5 / √n is taken to come to nothing while it looks";

/// The limit of one upstream, over time.
#[derive(Clone, Debug)]
pub(super) struct LimitModel {
    limit: f64,
}

impl LimitModel {
    pub(super) fn new(policy: &LimitPolicy) -> Self {
        Self { limit: f64::from(policy.initial) }
    }

    /// Most requests that may be unfinished.
    pub(super) fn limit(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to two u32")]
        let whole = self.limit as u32;
        whole
    }

    /// `elapsed_s` later: `slots` workers, `service_s` a request, `wanted` requests that would be in
    /// flight if nothing held them back.
    pub(super) fn follow(
        &mut self,
        policy: &LimitPolicy,
        slots: usize,
        service_s: f64,
        wanted: u64,
        elapsed_s: f64,
    ) {
        let target = match policy.law {
            LawPolicy::Fixed => {
                self.limit = f64::from(policy.initial);
                self.limit
            }
            _ => settles(policy, slots, service_s),
        };
        // What is in flight varies by nature, and a law grows when it touched the limit at any time.
        let wanted = wanted as f64 + TOUCHES * (wanted as f64).sqrt();
        let held_back = wanted >= self.limit.floor();
        if slots > 0 && held_back {
            self.limit += (target - self.limit) * (1.0 - (-elapsed_s / RAMP_S).exp());
        }
        self.limit = self.limit.clamp(f64::from(policy.floor), f64::from(policy.ceiling));
    }
}

/// The part of the work of so many that is of use.
pub(super) fn useful(policy: &LimitPolicy, slots: usize) -> f64 {
    let loss = if policy.law == LawPolicy::Fixed { 0.0 } else { LOSS };
    1.0 - loss / (slots.max(1) as f64).sqrt()
}

fn settles(policy: &LimitPolicy, slots: usize, service_s: f64) -> f64 {
    if let LawPolicy::Aimd { latency } = policy.law {
        AIMD_SETTLES * slots as f64 * (latency.as_secs_f64() / service_s.max(1e-6)).max(1.0)
    } else {
        KNEE_SETTLES * slots as f64
    }
}
