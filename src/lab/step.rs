//! One request for one step, and what its answer is: the page, a place in a line, or a setback.
//!
//! A page counts only if it is the asker's own. Some requests are broken off after they were sent,
//! because some people do that, and because no account of unfinished requests may suffer from it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

use super::client::{Reply, Silence};
use super::law::seconds;
use super::origin::{STEP, canary};
use super::person::{Device, finish};
use super::retry::Setback;
use super::room::{self, Offer};
use super::scenario::{Endpoint, Method};

/// A request that is broken off is broken off this long after it was sent.
const HANG_UP_AFTER_S: (f64, f64) = (0.002, 0.008);

/// What a request for a step led to.
#[derive(Debug)]
pub(super) enum Outcome {
    Page,
    Place(String),
    Setback(Setback),
    /// Nothing is left of what they came for.
    SoldOut,
}

impl Device<'_> {
    /// One request for a step.
    pub(super) async fn ask(&mut self, walked: usize, step: usize) -> Outcome {
        let Some(endpoint) = self.endpoint(step) else { return Outcome::Page };
        let request = self.request(endpoint, walked);
        let hang_up = self.hang_up_time(walked, endpoint);
        let broken_off = hang_up.is_some();
        let press = self.f5.filter(|every| !broken_off && *every < self.timeout());
        let timeout = hang_up.or(press).unwrap_or(self.timeout());
        let asked = self.world.clock.now();
        let reply = self.send(&request, timeout).await;
        if broken_off && matches!(reply, Err(Silence::Timeout)) {
            (self.hang_up_from, self.trace.hung_up) = (None, true);
            return Outcome::Setback(Setback::Silence);
        }
        let took = self.world.clock.now().since(asked).as_micros();
        self.trace.page_us.push(u32::try_from(took).unwrap_or(u32::MAX));
        match reply {
            Ok(reply) => self.read(&reply, endpoint),
            Err(Silence::Timeout) if press.is_some() => Outcome::Setback(Setback::Pressed),
            Err(_) => Outcome::Setback(Setback::Silence),
        }
    }

    fn read(&mut self, reply: &Reply, endpoint: &Endpoint) -> Outcome {
        let status = reply.status.as_u16();
        match room::offer(reply) {
            Offer::Place(room) => Outcome::Place(room),
            Offer::Refusal(pause) => {
                self.trace.definite(self.world.clock.now());
                Outcome::Setback(Setback::Refused { status, retry_after: Some(pause) })
            }
            Offer::Nothing if reply.status.is_success() && self.is_mine(reply, endpoint) => {
                self.trace.definite(self.world.clock.now());
                if endpoint.pool.is_some() {
                    self.admitted();
                }
                self.retry.served();
                self.trace.pages += 1;
                if self.plan.program {
                    self.world.tally.bot_served();
                }
                Outcome::Page
            }
            // What the origin says when its stock is gone, and what any gateway passes on.
            Offer::Nothing if reply.status == StatusCode::GONE => {
                self.trace.definite(self.world.clock.now());
                Outcome::SoldOut
            }
            Offer::Nothing => {
                self.trace.bare_refusals += 1;
                let retry_after = room::retry_after(reply);
                Outcome::Setback(Setback::Refused { status, retry_after })
            }
        }
    }

    /// A personal page must carry the canary of this person; any other's is a leak.
    fn is_mine(&mut self, reply: &Reply, endpoint: &Endpoint) -> bool {
        if !endpoint.personal {
            return true;
        }
        let body = String::from_utf8_lossy(&reply.body);
        let mine = body.contains(&canary(self.world.seed, self.plan.person));
        if !mine && body.contains("canary=") {
            self.trace.foreign_canaries += 1;
        }
        mine
    }

    /// Who is about to break off: only what reaches the pool, so not before they have been let in.
    fn hang_up_time(&mut self, walked: usize, endpoint: &Endpoint) -> Option<Duration> {
        let due = self.hang_up_from.is_some_and(|from| walked >= from) && endpoint.pool.is_some();
        if !due || (self.placed && self.trace.admitted.is_none()) {
            return None;
        }
        Some(seconds(self.chance.between(HANG_UP_AFTER_S.0, HANG_UP_AFTER_S.1)))
    }

    fn request(&self, endpoint: &Endpoint, walked: usize) -> Request<Full<Bytes>> {
        let method = match endpoint.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let body = match endpoint.method {
            Method::Get => Bytes::new(),
            Method::Post => Bytes::from_static(b"card=4111111111111111"),
        };
        let step = u64::from(self.plan.first_step) + walked as u64;
        let mut request = self.start(method, &endpoint.path).header(STEP, step);
        if endpoint.idempotency_key {
            request = request.header("idempotency-key", format!("{}-{step}", self.plan.person));
        }
        finish(self.passport.show(request, true), body)
    }
}
