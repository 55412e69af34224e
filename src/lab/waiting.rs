//! A device in a waiting room: joins, looks at the board by its rule, claims when called, and does
//! what people do meanwhile: reload, change network, lose patience.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::client::{Reply, Silence};
use super::law::seconds;
use super::person::{Device, Stop, finish};
use super::room::{self, Board, Claim, Offer, POLL_JITTER, Place};
use super::scenario::Method;
use super::step::Outcome;

/// The waiting page's pause after a look that failed, in real seconds: this, twice as long after each more in a row,
/// up to `LULL_MAX_S`.
const LULL_S: f64 = 2.0;
const LULL_MAX_S: f64 = 60.0;
/// The longest pause that a page believes.
const TOLD_MAX: Duration = Duration::from_secs(300);
/// In the front row where no pause is told.
const FRONT_ROW: Duration = Duration::from_secs(1);
/// A reload falls on a look at the board with this chance, while there are reloads left.
const RELOADS: f64 = 0.3;

/// Who waits without scripts asks for the page this often, in real seconds: the counter of the room of
/// November 2020 went on every 30.
const LOOK_AGAIN_S: f64 = 30.0;

/// What a claim led to.
enum Turn {
    In,
    FrontRow(Duration),
    NotYet(Duration),
    NoTicket,
    Failed(Option<Duration>),
}

/// Looks that failed, one after another, as the waiting page counts them.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    /// The pause after one more failure, before jitter, which must not undercut the pause that was told.
    fn lull(&mut self, told: Option<Duration>, time_scale: f64) -> Duration {
        let own = seconds((LULL_S * f64::from(1 << self.0.min(5))).min(LULL_MAX_S) / time_scale);
        self.0 += 1;
        told.map_or(own, |told| told.min(TOLD_MAX).div_f64(1.0 - POLL_JITTER).max(own))
    }
}

impl Device<'_> {
    /// Waits in a room until let in. True if the page of `step` was seen on the way.
    pub(super) async fn wait(&mut self, room: &str, walked: usize, step: usize) -> Result<bool, Stop> {
        let began = self.world.clock.now();
        let waited = self.wait_on(room, walked, step).await;
        self.trace.waited += self.world.clock.now().since(began);
        waited
    }

    async fn wait_on(&mut self, room: &str, walked: usize, step: usize) -> Result<bool, Stop> {
        // A pass that was refused is worth nothing, and shown again would be refused again.
        self.trace.burnt_turns += u64::from(self.passport.pass.take().is_some());
        let world = self.world;
        let _waits = world.seeks(self.plan.class).then(|| world.tally.waits());
        if self.plan.no_script && !self.plan.app {
            return self.wait_without_script(room, walked, step).await;
        }
        let mut failures = Failures::default();
        let mut place = self.join(room, None).await?;
        let mut pause = room::pause(place.poll_after_ms);
        let mut called = place.state != "waiting";
        loop {
            if called {
                match self.claim(room).await? {
                    Turn::In => {
                        self.admitted();
                        return Ok(false);
                    }
                    Turn::FrontRow(told) => {
                        failures = Failures::default();
                        self.pause_about(told).await?;
                        continue;
                    }
                    Turn::NotYet(told) => {
                        failures = Failures::default();
                        pause = told;
                    }
                    Turn::Failed(told) => {
                        self.pause_about(failures.lull(told, self.world.scenario.time_scale)).await?;
                        continue;
                    }
                    Turn::NoTicket => {
                        self.trace.lost_places += 1;
                        self.passport.drop_ticket();
                        place = self.join(room, None).await?;
                        pause = room::pause(place.poll_after_ms);
                    }
                }
            }
            self.pause_about(self.f5.map_or(pause, |every| pause.min(every))).await?;
            if self.comes_back().await? || self.reloads(step) {
                // A called ticket claims by itself, so a reload may bring the page.
                match self.ask(walked, step).await {
                    Outcome::Page => return Ok(true),
                    Outcome::SoldOut => return Err(Stop::SoldOut),
                    Outcome::Place(_) | Outcome::Setback(_) => {}
                }
                place = self.join(room, Some(&place)).await?;
            }
            match self.look(room).await {
                Ok(board) if board.remaining == Some(0) => return Err(Stop::SoldOut),
                Ok(board) => {
                    failures = Failures::default();
                    called = board.calls(&place);
                    self.trace.stood.extend(board.stands_still().then(|| self.world.clock.now()));
                    if !called
                        && let Some((low, high)) = board.announces(place.number, world.scenario.time_scale)
                    {
                        let now = self.world.clock.now();
                        let told = [now.after(low), now.after(high)];
                        self.trace.announced = self.trace.announced.or(Some(told.into()));
                        self.trace.told.push((now, told));
                    }
                    if board.epoch != place.epoch {
                        place = self.join(room, Some(&place)).await?;
                    }
                    pause = board.look_again(place.number);
                }
                Err(told) => pause = failures.lull(told, world.scenario.time_scale),
            }
        }
    }

    /// Joins by the button of the page and then asks for the page again and again: a called ticket
    /// claims by itself.
    async fn wait_without_script(&mut self, room: &str, walked: usize, step: usize) -> Result<bool, Stop> {
        let look_again = seconds(LOOK_AGAIN_S / self.world.scenario.time_scale);
        let mut joined = false;
        loop {
            if !joined {
                joined = self.press_join(room).await;
            }
            self.pause_about(self.f5.map_or(look_again, |every| look_again.min(every))).await?;
            self.comes_back().await?;
            match self.ask(walked, step).await {
                Outcome::Page => return Ok(true),
                Outcome::SoldOut => return Err(Stop::SoldOut),
                Outcome::Place(_) => joined &= self.passport.ticket.is_some(),
                Outcome::Setback(_) => {}
            }
        }
    }

    /// Presses the button of the waiting page. True if that gave a place.
    async fn press_join(&mut self, room: &str) -> bool {
        let join = self.start("POST", &room::path(room, "tickets"));
        let join = join.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form = Bytes::from(format!("lang={}", self.plan.language));
        let request = finish(self.passport.show(join, true), form);
        let reply = self.send(&request, self.timeout()).await;
        let joined = reply.is_ok_and(|reply| reply.status == StatusCode::SEE_OTHER);
        if joined {
            let now = self.world.clock.now();
            self.trace.definite(now);
            self.trace.placed.get_or_insert(now);
            self.placed = true;
        }
        joined
    }

    /// Moves to another network, or closes the page, if that is what this person does and has not done
    /// yet. True if the page was closed and is opened again.
    async fn comes_back(&mut self) -> Result<bool, Stop> {
        if let Some(away) = self.away.take() {
            self.client.move_to(away);
        }
        let Some(away) = self.closes_for.take() else { return Ok(false) };
        self.client.close();
        self.pause(away).await?;
        Ok(true)
    }

    /// Whether they reload the page now. A form is not sent again for that.
    fn reloads(&mut self, step: usize) -> bool {
        if self.endpoint(step).is_none_or(|endpoint| endpoint.method == Method::Post) {
            return false;
        }
        if self.f5.is_some() {
            return true;
        }
        let now = self.refreshes > 0 && self.chance.happens(RELOADS);
        self.refreshes -= u32::from(now);
        now
    }

    async fn pause_about(&mut self, pause: Duration) -> Result<(), Stop> {
        let pause = self.chance.jitter(pause, POLL_JITTER);
        self.pause(pause).await
    }

    /// Takes a place, or presents the ticket held. A number above the one held before is a place lost.
    async fn join(&mut self, room: &str, held: Option<&Place>) -> Result<Place, Stop> {
        let mut failures = Failures::default();
        loop {
            let reply = self.speak("POST", &room::path(room, "tickets")).await;
            if let Some(place) = reply.as_ref().ok().and_then(place) {
                let now = self.world.clock.now();
                self.trace.definite(now);
                self.trace.placed.get_or_insert(now);
                self.placed = true;
                self.passport.ticket = Some(place.ticket.clone());
                self.held = Some((room.to_owned(), place.number));
                let worse = |held: &Place| held.epoch == place.epoch && place.number > held.number;
                self.trace.lost_places += u64::from(held.is_some_and(worse));
                if place.state == "done" {
                    // A walk that was finished elsewhere, or one that begins anew: a new place.
                    self.passport.drop_ticket();
                    self.pause(FRONT_ROW).await?;
                    continue;
                }
                return Ok(place);
            }
            if reply.as_ref().is_ok_and(|reply| matches!(room::offer(reply), Offer::Refusal(_))) {
                self.trace.definite(self.world.clock.now());
            }
            let told = reply.ok().as_ref().and_then(room::retry_after);
            self.pause_about(failures.lull(told, self.world.scenario.time_scale)).await?;
        }
    }

    /// The board, or the pause that was told in its place.
    async fn look(&mut self, room: &str) -> Result<Board, Option<Duration>> {
        let reply = self.speak("GET", &room::path(room, "board")).await.map_err(|_| None)?;
        let board = reply.status.is_success().then(|| room::board(&reply.body)).flatten();
        board.ok_or_else(|| room::retry_after(&reply))
    }

    async fn claim(&mut self, room: &str) -> Result<Turn, Stop> {
        self.go_on()?;
        let Ok(reply) = self.speak("POST", &room::path(room, "claims")).await else {
            return Ok(Turn::Failed(None));
        };
        let claim: Option<Claim> = serde_json::from_slice(&reply.body).ok();
        let told = claim.as_ref().and_then(|claim| claim.poll_after_ms).map(room::pause);
        Ok(match reply.status.as_u16() {
            200 => {
                if let Some(pass) = claim.and_then(|claim| claim.pass) {
                    self.passport.let_in(pass);
                }
                Turn::In
            }
            202 => Turn::FrontRow(told.unwrap_or(FRONT_ROW)),
            410 if claim.is_some_and(|claim| claim.state.as_deref() == Some("sold_out")) => {
                return Err(Stop::SoldOut);
            }
            401 | 403 | 404 | 410 => Turn::NoTicket,
            _ => told.map_or_else(|| Turn::Failed(room::retry_after(&reply)), Turn::NotYet),
        })
    }

    /// Says goodbye to a place that will not be used, unless one is of the silent kind, or the place
    /// is the one with which another device got in.
    pub(super) async fn leave(&mut self) {
        let silent = self.chance.happens(self.people.silent_leave);
        let Some((room, number)) = self.held.take() else { return };
        if !silent && number != self.person().number.load(Relaxed) {
            // Nobody waits for the answer.
            let _ = self.speak("DELETE", &room::path(&room, "ticket")).await;
        }
    }

    /// A request to the room itself.
    async fn speak(&mut self, method: &str, path: &str) -> Result<Reply, Silence> {
        let request = self.passport.show(self.start(method, path), false);
        let request = finish(request, Bytes::new());
        let reply = self.send(&request, self.timeout()).await?;
        self.trace.waiting_bytes += reply.bytes();
        Ok(reply)
    }
}

fn place(reply: &Reply) -> Option<Place> {
    reply.status.is_success().then(|| serde_json::from_slice(&reply.body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_nobody_asks_half_as_often_each_time() {
        let mut failures = Failures::default();
        let lulls: Vec<u64> = (0..7).map(|_| failures.lull(None, 1.0).as_secs()).collect();
        assert_eq!(lulls, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(Failures(1).lull(None, 20.0).as_millis(), 200, "in a compressed day");
    }

    #[test]
    fn a_pause_that_is_told_is_not_undercut() {
        let told = Some(Duration::from_secs(10));
        let least =
            |failures: &mut Failures| failures.lull(told, 1.0).mul_f64(1.0 - POLL_JITTER).as_secs_f64();
        assert!((least(&mut Failures::default()) - 10.0).abs() < 1e-6);
        assert!((least(&mut Failures(4)) - 0.7 * 32.0).abs() < 1e-6, "nor is the own one");
    }
}
