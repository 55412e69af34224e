//! One device in one person's hand: walks the steps to the goal, and meets what comes instead.
//!
//! Nothing here knows whether there is a gateway. A page is a step taken; an offered place is waited
//! in; anything else is tried again by the retry rule until patience, counted from the intended
//! arrival, is over. People with several devices go on with the first that gets in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::chance::Chance;
use super::client::{Client, Reply, Silence};
use super::crowd::World;
use super::origin::PERSON;
use super::passport::Passport;
use super::plan::Plan;
use super::retry::{Retry, Setback};
use super::scenario::{Endpoint, Method, People};
use super::step::Outcome;
use super::trace::{End, Trace};
use crate::admission::Moment;

/// What the devices of one person know of each other.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// The device that got in, plus one; 0 while none has.
    lead: AtomicUsize,
    /// The number that got in; 0 while none has.
    pub(super) number: AtomicU64,
}

/// Why a walk ends before the goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Patience is over.
    GaveUp,
    /// Turned away, and not one to try again.
    Failed,
    /// Told that nothing is left.
    SoldOut,
    /// Another device of the same person got in.
    Elsewhere,
}

/// One device.
pub(super) struct Device<'a> {
    pub(super) world: &'a World,
    pub(super) people: &'a People,
    pub(super) plan: &'a Plan,
    pub(super) trace: &'a mut Trace,
    pub(super) chance: Chance,
    pub(super) client: Client,
    pub(super) passport: Passport,
    /// Holds, or has held, a ticket: patience is the longer one.
    pub(super) placed: bool,
    /// The room and the number held last.
    pub(super) held: Option<(String, u64)>,
    pub(super) refreshes: u32,
    pub(super) away: Option<std::net::Ipv4Addr>,
    /// How often F5 is pressed while nothing comes, if it is.
    pub(super) f5: Option<Duration>,
    pub(super) closes_for: Option<Duration>,
    pub(super) hang_up_from: Option<usize>,
    pub(super) retry: Retry,
    index: usize,
    person: Arc<Person>,
    timeout: Duration,
    arrival: Moment,
}

impl<'a> Device<'a> {
    pub(super) fn new(
        world: &'a World,
        people: &'a People,
        plan: &'a Plan,
        index: usize,
        person: Arc<Person>,
        trace: &'a mut Trace,
    ) -> Self {
        let arrival = plan.arrivals.get(index).copied().unwrap_or_default();
        let class = world.scenario.classes.get(plan.class);
        Self {
            world,
            people,
            plan,
            trace,
            chance: Chance::new(world.seed, (plan.person << 8) | (index as u64 + 1)),
            client: Client::new(&world.target, plan.home, world.tally.ledger()),
            passport: Passport::new(plan.app, &plan.language).without_cookies(!plan.app && plan.no_cookies),
            placed: false,
            held: None,
            refreshes: people.refreshes,
            away: plan.away,
            index,
            person,
            timeout: class.map_or(Duration::from_secs(1), |class| class.timeout),
            retry: Retry::new(people.retry, people.retry_gap, world.scenario.time_scale),
            f5: (plan.presses_f5 && !plan.app).then_some(people.f5_every),
            closes_for: plan.closes_for,
            hang_up_from: plan.hang_up_from,
            arrival: world.began.after(arrival),
        }
    }

    /// Lives the leg through, and notes how it ended.
    pub(super) async fn live(mut self) {
        let outcome = self.walk().await;
        let seeks = self.world.seeks(self.plan.class);
        let ended = self.world.clock.now();
        match outcome {
            Ok(()) => {
                self.trace.end = End::Completed;
                if seeks {
                    self.world.tally.completed();
                }
            }
            Err(stop @ (Stop::GaveUp | Stop::Failed | Stop::SoldOut)) => {
                self.trace.end = match stop {
                    Stop::SoldOut => End::SoldOut,
                    Stop::Failed => End::Failed,
                    Stop::GaveUp | Stop::Elsewhere => End::GaveUp,
                };
                if seeks && self.index == 0 {
                    self.world.tally.gave_up();
                }
                self.leave().await;
            }
            // The person has not ended, only this device.
            Err(Stop::Elsewhere) => return self.leave().await,
        }
        self.trace.ended = Some(ended);
    }

    async fn walk(&mut self) -> Result<(), Stop> {
        tokio::time::sleep(self.arrival.since(self.world.clock.now())).await;
        if self.index == 0 && self.world.seeks(self.plan.class) {
            self.world.tally.arrived();
        }
        let plan = self.plan;
        for (walked, step) in plan.steps.iter().enumerate() {
            if walked > 0 {
                let think = self.people.think.draw(&mut self.chance);
                self.pause(think).await?;
            }
            self.take(walked, *step).await?;
        }
        Ok(())
    }

    /// Asks for one step until its page is there.
    async fn take(&mut self, walked: usize, step: usize) -> Result<(), Stop> {
        loop {
            self.go_on()?;
            match self.ask(walked, step).await {
                Outcome::Page => return Ok(()),
                Outcome::SoldOut => return Err(Stop::SoldOut),
                Outcome::Place(room) => {
                    if self.wait(&room, walked, step).await? {
                        return Ok(());
                    }
                }
                Outcome::Setback(setback) => {
                    self.suffer(setback).await?;
                    if matches!(setback, Setback::Refused { .. }) {
                        self.start_over(walked).await?;
                    }
                }
            }
        }
    }

    async fn suffer(&mut self, setback: Setback) -> Result<(), Stop> {
        let Some(pause) = self.retry.after(setback, &mut self.chance) else { return Err(Stop::Failed) };
        self.pause(pause).await
    }

    /// Somebody in a browser whose form was refused looks at the first page again: if there is a line
    /// by now, that is where it is offered. It is not offered to forms.
    async fn start_over(&mut self, walked: usize) -> Result<(), Stop> {
        let (Some(step), Some(first)) = (self.plan.steps.get(walked), self.plan.steps.first()) else {
            return Ok(());
        };
        let posts = self.endpoint(*step).is_some_and(|end| end.method == Method::Post);
        if self.plan.app || !posts {
            return Ok(());
        }
        match self.ask(0, *first).await {
            Outcome::Place(room) => self.wait(&room, 0, *first).await.map(drop),
            Outcome::SoldOut => Err(Stop::SoldOut),
            Outcome::Page | Outcome::Setback(_) => Ok(()),
        }
    }

    /// Sends one request of whatever kind, and takes the cookies of the answer.
    pub(super) async fn send(
        &mut self,
        request: &Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Reply, Silence> {
        self.trace.requests += 1;
        if self.plan.program {
            self.world.tally.bot_request();
        } else {
            self.world.tally.request();
        }
        let reply = self.client.ask(request, timeout).await.inspect_err(|silence| {
            self.trace.broken += u64::from(*silence == Silence::Broken);
        })?;
        if self.passport.stamp(&reply.headers) {
            self.admitted();
        }
        Ok(reply)
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// This device got in: the others of the same person are put away. The first time counts.
    pub(super) fn admitted(&mut self) {
        let first = self.person.lead.compare_exchange(0, self.index + 1, Relaxed, Relaxed).is_ok();
        if let Some((_, number)) = self.held.as_ref().filter(|_| first) {
            self.person.number.store(*number, Relaxed);
        }
        if self.trace.admitted.is_none() && self.plan.program {
            self.world.tally.bot_admitted();
        }
        self.trace.admitted.get_or_insert(self.world.clock.now());
        self.trace.admissions = self.passport.passes;
    }

    /// The number with which this person got in.
    pub(super) fn person(&self) -> &Person {
        &self.person
    }

    /// Whether there is reason to go on.
    pub(super) fn go_on(&self) -> Result<(), Stop> {
        let lead = self.person.lead.load(Relaxed);
        if lead != 0 && lead != self.index + 1 {
            return Err(Stop::Elsewhere);
        }
        if self.patience().is_zero() { Err(Stop::GaveUp) } else { Ok(()) }
    }

    fn patience(&self) -> Duration {
        let (spinner, ticket) = self.plan.patience;
        let whole = if self.placed { ticket } else { spinner };
        whole.saturating_sub(self.world.clock.now().since(self.arrival))
    }

    /// Waits, but not beyond patience.
    pub(super) async fn pause(&self, pause: Duration) -> Result<(), Stop> {
        tokio::time::sleep(pause.min(self.patience())).await;
        self.go_on()
    }

    pub(super) fn endpoint(&self, step: usize) -> Option<&'a Endpoint> {
        self.world.scenario.endpoints.get(step)
    }

    /// The beginning of any request of this person.
    pub(super) fn start(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, self.world.host.clone())
            .header(PERSON, self.plan.person)
    }
}

/// The end of any request.
pub(super) fn finish(request: http::request::Builder, body: Bytes) -> Request<Full<Bytes>> {
    request.body(Full::new(body)).expect("methods, paths and header values were checked with the scenario")
}
