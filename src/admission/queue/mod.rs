//! The fair queue before an upstream's limit: who gets the next free permit, and who gets none.
//!
//! *Between classes*: each has a part of the limit that is its own while it wants it. A class below its
//! part goes first, the one furthest below before others, P0 before all at a tie; what nobody claims is
//! shared out by the same parts (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996). Nothing is
//! reserved: a permit that is free goes to whoever waits.
//! *Within a class*: round robin over users, so that nobody is served sooner for asking more often, and a
//! route that holds more than its share of the limit lets the others' go first.
//! *Bounds*: every entry has a deadline; there is room for so many entries, and one user may take no more
//! of them than are left (dynamic thresholds: Choudhury and Hahne, IEEE/ACM ToN 1998), so that no
//! user fills the queue. Who stands higher pushes out who stands lowest. While a queue stands (nobody
//! got through it quickly for a while, see [`Standing`]), P2 and P3 that waited long are turned away.
//!
//! Invariants: a permit is handed out only by [`FairQueue::go`] and [`FairQueue::pop`], each counted
//! until [`FairQueue::done`]. Whoever is in the queue when there is room for a request is there only
//! because its user holds as many permits as one user may.

mod line;
mod standing;

use std::collections::BTreeMap;

use super::law::ROUTE_CLASSES;
use super::moment::Moment;
use super::policy::QueuePolicy;
use super::{Class, UserKey};
use line::{Entry, Line};
pub use standing::{Pace, Standing};

/// Who asks for a permit, and for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asking {
    /// How much it matters.
    pub class: Class,
    /// Whose turn it takes; `None` where nobody is known: it stands for itself.
    pub user: Option<UserKey>,
    /// The key is one user's and not an address that many may share: a cap for one user applies.
    pub personal: bool,
    /// The route's number at its upstream, see [`Gate::route_class`](crate::store::gate::Gate::route_class).
    pub route: u8,
    /// The route's share of the limit while others wait, in (0, 1].
    pub share: f64,
    /// Can be done without: turned away at once while a queue stands.
    pub optional: bool,
}

/// A place in the queue, by which it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    class: Class,
    who: Who,
    number: u64,
}

/// What a permit holds of the queue's counts until it is [done](FairQueue::done).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    class: Class,
    route: u8,
    user: Option<UserKey>,
}

impl Held {
    /// The route that it was given for.
    #[must_use]
    pub fn route(&self) -> u8 {
        self.route
    }
}

/// Why somebody got no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turned {
    /// No place left in the queue, or none for this user.
    Full,
    /// Not in time.
    Late,
    /// A queue stands, and it waited longer than its class may then.
    Shed,
    /// A queue stands, and it can be done without.
    Optional,
    /// Somebody of a higher class took its place in a full queue.
    PushedOut,
}

impl Turned {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Full, Self::Late, Self::Shed, Self::Optional, Self::PushedOut];

    /// The reason's name in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::Shed => "shed",
            Self::Optional => "optional",
            Self::PushedOut => "pushed_out",
        }
    }
}

/// Whose turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    User(UserKey),
    /// A request of nobody known, by its number.
    Lone(u64),
}

/// How far a class's turn moves on with each permit, times its part.
const STRIDE: u64 = 1 << 32;

/// Those who wait for a permit, and what those hold who have one. `T` is what an entry stands for.
#[derive(Debug)]
pub struct FairQueue<T> {
    lines: [Line<T>; Class::ALL.len()],
    routes: Box<[u32; ROUTE_CLASSES]>,
    /// Permits of users that a cap applies to.
    users: BTreeMap<UserKey, u32>,
    /// The start tag of the request let through last without being owed it.
    virtual_time: u64,
    number: u64,
    pace: Pace,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            lines: Default::default(),
            routes: Box::new([0; ROUTE_CLASSES]),
            users: BTreeMap::new(),
            virtual_time: 0,
            number: 0,
            pace: Pace::default(),
        }
    }
}

impl<T> FairQueue<T> {
    /// Whether a request may go at once where there is room; counts it in if so. Whoever waits then
    /// waits for a permit of its own user's.
    pub fn go(&mut self, policy: &QueuePolicy, asking: &Asking) -> Option<Held> {
        let user = asking.user.filter(|_| asking.personal);
        if self.is_at_cap(policy, user) {
            return None;
        }
        let virtual_time = self.virtual_time;
        let line = self.line_mut(asking.class);
        if line.waiting() == 0 {
            line.tag = line.tag.max(virtual_time);
        }
        self.virtual_time = virtual_time.max(line.tag);
        Some(self.count_in(policy, asking.class, asking.route, user))
    }

    /// Puts a request into the queue, worthless after `deadline`. With its place comes whoever was
    /// pushed out for it.
    ///
    /// # Errors
    /// [`Turned::Full`] or [`Turned::Optional`], with the entry back.
    pub fn push(
        &mut self,
        policy: &QueuePolicy,
        asking: &Asking,
        deadline: Moment,
        now: Moment,
        waiter: T,
    ) -> Result<(Place, Option<T>), (Turned, T)> {
        if asking.optional && self.stands() {
            return Err((Turned::Optional, waiter));
        }
        self.number += 1;
        let number = self.number;
        let who = asking.user.map_or(Who::Lone(number), Who::User);
        let free = policy.length.saturating_sub(self.len());
        let mut pushed_out = None;
        if free == 0 {
            pushed_out = self.push_out(asking.class);
            if pushed_out.is_none() {
                return Err((Turned::Full, waiter));
            }
        } else if self.line(asking.class).waiting_for(who) >= free {
            return Err((Turned::Full, waiter));
        }
        let virtual_time = self.virtual_time;
        let line = self.line_mut(asking.class);
        if line.waiting() == 0 {
            // Nobody saves up what it did not want.
            line.tag = line.tag.max(virtual_time);
        }
        let entry = Entry {
            number,
            route: asking.route,
            share: asking.share,
            personal: asking.personal,
            optional: asking.optional,
            since: now,
            deadline,
            waiter,
        };
        line.push(who, entry);
        Ok((Place { class: asking.class, who, number }, pushed_out))
    }

    /// The next to get a permit, counted in, under a limit of `limit`; entries out of time are dropped on
    /// the way. `None` if nobody waits who may go.
    pub fn pop(&mut self, policy: &QueuePolicy, limit: u32, now: Moment) -> Option<(Held, T)> {
        while let Some((class, owed)) = self.next_class(policy, limit) {
            let routes = &self.routes;
            let over = |route: u8, share: f64| {
                let held = routes.get(usize::from(route)).copied().unwrap_or(0);
                f64::from(held) + 1.0 > (share * f64::from(limit)).max(1.0)
            };
            let who = self.line(class).first(over)?;
            let user = self.line(class).user(who);
            if self.is_at_cap(policy, user) {
                self.line_mut(class).park(who);
                continue;
            }
            let entry = self.line_mut(class).take(who)?;
            if entry.deadline < now {
                continue;
            }
            let waited = now.since(entry.since);
            self.line_mut(class).served(waited);
            if !owed {
                self.virtual_time = self.virtual_time.max(self.line(class).tag);
            }
            return Some((self.count_in(policy, class, entry.route, user), entry.waiter));
        }
        None
    }

    /// Takes a waiting request out, wherever it stands.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        self.line_mut(place.class).remove(place.who, place.number).map(|entry| entry.waiter)
    }

    /// A permit is free again.
    pub fn done(&mut self, held: Held) {
        let line = self.line_mut(held.class);
        debug_assert!(line.holds > 0, "more permits given back than taken");
        line.holds = line.holds.saturating_sub(1);
        if let Some(route) = self.routes.get_mut(usize::from(held.route)) {
            *route = route.saturating_sub(1);
        }
        let Some(user) = held.user else { return };
        if let Some(holds) = self.users.get_mut(&user) {
            *holds = holds.saturating_sub(1);
            if *holds == 0 {
                self.users.remove(&user);
            }
        }
        self.lines.iter_mut().for_each(|line| line.unpark(Who::User(user)));
    }

    /// Looks whether a queue stands, about twenty times a second, and gives back who is turned away for
    /// it.
    pub fn tick(&mut self, pace: Pace, now: Moment) -> Vec<(Turned, T)> {
        self.pace = pace;
        self.lines.iter_mut().for_each(|line| line.look(pace, now));
        let (optional, mut turned) = (self.stands(), Vec::new());
        for (class, line) in Class::ALL.into_iter().zip(&mut self.lines) {
            if optional && class == Class::Bulk {
                turned.extend(line.drain(|entry| entry.optional).map(|waiter| (Turned::Optional, waiter)));
            }
            if line.standing.stands() && matches!(class, Class::Entry | Class::Bulk) {
                let long = |entry: &Entry<T>| now.since(entry.since) > pace.target * 2;
                turned.extend(line.drain(long).map(|waiter| (Turned::Shed, waiter)));
            }
        }
        turned
    }

    /// A queue stands in some class: the upstream is asked for more than it can do.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.lines.iter().any(|line| line.standing.stands())
    }

    /// Who waits, by class.
    #[must_use]
    pub fn waiting(&self) -> [usize; Class::ALL.len()] {
        self.lines.each_ref().map(Line::waiting)
    }

    /// Permits that are held, by class.
    #[must_use]
    pub fn holds(&self) -> [u32; Class::ALL.len()] {
        self.lines.each_ref().map(|line| line.holds)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.iter().map(Line::waiting).sum()
    }

    /// Nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.waiting() == 0)
    }

    fn is_at_cap(&self, policy: &QueuePolicy, user: Option<UserKey>) -> bool {
        let (Some(cap), Some(user)) = (policy.per_user, user) else { return false };
        self.users.get(&user).is_some_and(|holds| *holds >= cap)
    }

    fn count_in(&mut self, policy: &QueuePolicy, class: Class, route: u8, user: Option<UserKey>) -> Held {
        let part = u64::from(policy.part(class).max(1));
        let line = self.line_mut(class);
        line.holds += 1;
        line.tag = line.tag.saturating_add(STRIDE / part);
        if let Some(held) = self.routes.get_mut(usize::from(route)) {
            *held += 1;
        }
        let user = user.filter(|_| policy.per_user.is_some());
        if let Some(user) = user {
            *self.users.entry(user).or_default() += 1;
        }
        Held { class, route, user }
    }

    /// The class whose turn it is, and whether the permit is owed to it.
    fn next_class(&self, policy: &QueuePolicy, limit: u32) -> Option<(Class, bool)> {
        let whole: u64 = Class::ALL.iter().map(|class| u64::from(policy.part(*class))).sum();
        let ready = || Class::ALL.into_iter().filter(|class| self.line(*class).is_ready());
        let held = |class: Class| u64::from(self.line(class).holds);
        let part = |class: Class| u64::from(policy.part(class));
        let owed = ready()
            .filter(|class| (held(*class) + 1) * whole <= part(*class) * u64::from(limit))
            // The first of equals is the higher class.
            .min_by(|a, b| (held(*a) * part(*b)).cmp(&(held(*b) * part(*a))));
        let free = || ready().min_by_key(|class| self.line(*class).tag);
        owed.map(|class| (class, true)).or_else(|| free().map(|class| (class, false)))
    }

    /// Makes room for a request of `class`: the newest entry of whose turn comes last in the lowest class
    /// below it.
    fn push_out(&mut self, class: Class) -> Option<T> {
        let lower = Class::ALL.into_iter().filter(|other| *other > class).rev();
        let lowest = lower.into_iter().find(|other| self.line(*other).waiting() > 0)?;
        self.line_mut(lowest).remove_last().map(|entry| entry.waiter)
    }

    fn line(&self, class: Class) -> &Line<T> {
        let [finish, admitted, entry, bulk] = &self.lines;
        match class {
            Class::Finish => finish,
            Class::Admitted => admitted,
            Class::Entry => entry,
            Class::Bulk => bulk,
        }
    }

    fn line_mut(&mut self, class: Class) -> &mut Line<T> {
        let [finish, admitted, entry, bulk] = &mut self.lines;
        match class {
            Class::Finish => finish,
            Class::Admitted => admitted,
            Class::Entry => entry,
            Class::Bulk => bulk,
        }
    }
}

#[cfg(test)]
mod tests;
