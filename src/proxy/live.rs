//! What one request loads, once: the configuration in force, built.
//!
//! A reload builds another one of these and swaps the pointer. Clusters, gates and lines that did not
//! change are carried over, so that nothing that is under way or waiting notices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::HeaderName;

use super::board::BoardKey;
use super::cluster::Cluster;
use super::identify::{EventKey, Identity};
use super::invitation::Invitations;
use super::jwt::Jwt;
use super::pass_proof::PassProof;
use super::path::is_under;
use super::readings::{covers, decode, others};
use super::webhook::Webhook;
use crate::admission::opening::Shut;
use crate::admission::room::HoldReason;
use crate::admission::ticket::Claims;
use crate::admission::{Class, Refusal, UnixTime};
use crate::config::quiet;
use crate::config::settings::{
    Belongs, DrawSettings, IdentitySettings, LaneSettings, OnePlacePer, QuotaSettings, RoomSettings,
    RouteSettings, Settings,
};
use crate::pages::Pages;
use crate::proof::draw::rules::{OneLotPer, Rules, Source};
use crate::proof::draw::{ROUND_AFTER_OPENING, drand};
use crate::proof::hex;
use crate::store::line::Line;
use crate::store::lots::LotsNews;

/// A room: its line, which lives on, and its rules of today.
#[derive(Debug)]
pub struct Room {
    /// The line.
    pub line: Arc<Line>,
    /// The rules.
    pub settings: RoomSettings,
    /// The clusters behind its routes; its seats follow the one that binds.
    pub clusters: Vec<Arc<Cluster>>,
    /// The clusters without which nobody inside gets on; the room is held while one is out.
    pub depends_on: Vec<Arc<Cluster>>,
    /// Id of the operator's message; `None` if there is none.
    pub message_id: Option<String>,
    /// Its messages as JSON.
    pub messages: bytes::Bytes,
    /// The rules of the line, as JSON.
    pub rules: bytes::Bytes,
    /// SHA-256 of `rules`, in hex.
    pub rules_hash: String,
    /// Where turns are announced, if anywhere.
    pub webhook: Option<Arc<Webhook>>,
    /// Who has one lot, and by what persons are told apart then: the first word of its draw.
    pub one_lot: (OneLotPer, Vec<String>),
    /// A reload is about to put another one in its place: it freezes no rules any more.
    pub superseded: AtomicBool,
}

impl Room {
    /// Shuts the line before its opening, and opens it then.
    pub fn follow_opening(&self, now: UnixTime) {
        let shut = self.settings.opening.and_then(|opening| opening.shut(now));
        let shut = shut.or_else(|| self.line.awaits_draw().then_some(Shut::Draw));
        let opening = self.settings.opening.map(|opening| opening.at);
        self.line.with(|line| line.shut(shut, opening));
    }

    /// When it opens, if that is still to come.
    #[must_use]
    pub fn opens(&self, now: UnixTime) -> Option<UnixTime> {
        self.settings.opening.filter(|opening| opening.shut(now).is_some()).map(|opening| opening.at)
    }

    /// Why nobody is called at this hour who waited before it, if so.
    #[must_use]
    pub fn quiet(&self, now: UnixTime) -> Option<HoldReason> {
        quiet::is_quiet(&self.settings.quiet, now).then_some(HoldReason::Quiet)
    }

    /// What is due of the draw. Where nobody could come before the opening, since nothing ran, there is none.
    pub fn lots_due(&self, key: &BoardKey, now: UnixTime) -> LotsNews {
        if self.line.ended().is_some() {
            return LotsNews::default();
        }
        let shut = self.settings.opening.and_then(|opening| opening.shut(now));
        // A reload may be about to open it later.
        let stays = !self.superseded.load(Ordering::SeqCst);
        if shut.is_none() && stays && self.line.forgo_draw() {
            tracing::warn!(
                room = self.line.name,
                "the opening has passed and nobody came before it: no lots are drawn"
            );
        }
        // Looked at under the line's lock of its draw, as a reload looks at what is frozen.
        let may = || shut == Some(Shut::Prequeue) && !self.superseded.load(Ordering::SeqCst);
        let rules = || may().then(|| self.draw_rules(key)).flatten();
        self.line.lots_due(now, key.signing(), rules)
    }

    /// The rules of the draw that is configured.
    #[must_use]
    pub fn draw_rules(&self, key: &BoardKey) -> Option<Rules> {
        let opens_at_ms = self.settings.opening?.at.0;
        let (one_lot_per, identified_by) = self.one_lot.clone();
        Some(Rules {
            kind: Rules::KIND.to_owned(),
            v: 1,
            room: self.line.name.clone(),
            epoch: self.line.with(|line| line.marks().epoch),
            opens_at_ms,
            line: self.rules_hash.clone(),
            key: hex(key.signing().verifying_key().as_bytes()),
            randomness: source(self.settings.draw.as_ref()?, opens_at_ms),
            one_lot_per,
            identified_by,
        })
    }

    /// What somebody shows, as far as it counts here: a pass from before the opening is one to an earlier
    /// event, and leads past no line.
    pub fn recognise(&self, who: &mut Identity, event: &EventKey) {
        let undrawn = who.ticket.is_some_and(|ticket| ticket.number == 0);
        who.ticket = who.ticket.map(|ticket| self.line.resolve(ticket));
        who.pass =
            who.pass.filter(|pass| self.settings.opening.is_none_or(|opening| pass.time >= opening.at));
        if let (true, None, None, Some(ticket)) = (undrawn, who.person, who.pass, who.ticket) {
            // A ticket that has its number by now shares a bucket with its pass.
            who.user = event.keyed(ticket.user_key());
        }
        self.dismiss(who, event);
    }

    /// What is of a place that has moved to another device counts for nothing, and spends nothing of hers who has
    /// it now.
    pub fn dismiss(&self, who: &mut Identity, event: &EventKey) {
        let gone = |claims: &Option<Claims>| claims.is_some_and(|claims| self.line.is_gone(&claims));
        let (ticket, pass) = (gone(&who.ticket), gone(&who.pass));
        if !ticket && !pass {
            return;
        }
        who.moved = true;
        who.ticket = who.ticket.filter(|_| !ticket);
        who.pass = who.pass.filter(|_| !pass);
        if who.person.is_none() {
            let left = who.pass.or(who.ticket).map(|claims| event.keyed(claims.user_key()));
            (who.user, who.shared) = (left.unwrap_or(who.address), left.is_none());
        }
    }
}

/// Who has one lot in a room that is configured so, and by what persons are told apart then.
#[must_use]
pub fn one_lot(room: &RoomSettings, identity: &IdentitySettings) -> (OneLotPer, Vec<String>) {
    match room.one_place_per {
        OnePlacePer::Browser => (OneLotPer::Browser, Vec::new()),
        OnePlacePer::Person => {
            let invitation = identity.invitations.as_ref().map(Invitations::named_by);
            let by = identity.persons_by().into_iter();
            let by = by.map(|word| invitation.clone().filter(|_| word == "invitation").unwrap_or(word));
            (OneLotPer::Person, by.collect())
        }
    }
}

/// Whose randomness a draw takes that is configured so.
#[must_use]
pub fn source(draw: &DrawSettings, opens_at_ms: u64) -> Source {
    match draw {
        DrawSettings::Drand => {
            let after = u64::try_from(ROUND_AFTER_OPENING.as_millis()).unwrap_or(u64::MAX);
            let round = drand::round_from(UnixTime(opens_at_ms.saturating_add(after)));
            Source::Drand { chain: drand::QUICKNET.to_owned(), round }
        }
        DrawSettings::Parties(parties) => Source::Reveals { parties: parties.clone() },
    }
}

/// A quota with the salt that keeps its buckets apart from others'.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Mixed into bucket keys.
    pub salt: u64,
    /// The rules.
    pub settings: QuotaSettings,
}

/// A route, with everything that it names looked up.
#[derive(Debug)]
pub struct Route {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// What the operator decided.
    pub settings: RouteSettings,
    /// Where it leads.
    pub cluster: Arc<Cluster>,
    /// Its number there, by which the limit's law knows what its requests cost.
    pub route_class: u8,
    /// Proves to the upstream who is inside.
    pub pass_proof: Option<PassProof>,
    /// The room before it.
    pub room: Option<Arc<Room>>,
    /// The quota of its users.
    pub quota: Option<Quota>,
    /// Bypassing requests under way.
    pub bypassing: Arc<AtomicU32>,
}

impl Route {
    /// Whether the path is one of the route's bypass paths.
    #[must_use]
    pub fn is_bypass(&self, path: &str) -> bool {
        self.settings.bypass_paths.iter().any(|prefix| is_under(path, prefix))
    }

    /// How much a request matters here that came in as `entry`: what can be done without is last
    /// whoever asks, and what finishes something first.
    #[must_use]
    pub fn class(&self, entry: Class) -> Class {
        match self.settings.class {
            Class::Finish => Class::Finish,
            _ if self.settings.optional => Class::Bulk,
            _ => entry,
        }
    }
}

/// The configuration in force.
#[derive(Debug)]
pub struct Live {
    /// As validated.
    pub settings: Settings,
    /// Longest prefix first, routes with a host before those without.
    pub routes: Vec<Arc<Route>>,
    /// By name.
    pub rooms: BTreeMap<String, Arc<Room>>,
    /// By name.
    pub clusters: BTreeMap<String, Arc<Cluster>>,
    /// Checks signed tokens; `None` if none count.
    pub jwt: Option<Arc<Jwt>>,
    /// Who is invited; `None` if nobody is asked.
    pub invitations: Option<Arc<Invitations>>,
    /// Prebuilt answers.
    pub pages: Pages,
    /// The quota of requests that change our own state.
    pub door: Quota,
    /// Fields in which trusted proxies name a person, a lane or staff, each once.
    pub vouched: Arc<[HeaderName]>,
    /// Counts up with each configuration put in place.
    pub generation: u64,
}

/// The fields that only trusted proxies may set, by these settings.
#[must_use]
pub fn vouched(settings: &Settings) -> Arc<[HeaderName]> {
    let lane = |lane: &LaneSettings| match &lane.belongs {
        Belongs::Header { name, .. } => Some(name.clone()),
        Belongs::Claim(_) | Belongs::Addresses(_) => None,
    };
    let staff = settings.routes.values().filter_map(|route| Some(route.bypass_header.as_ref()?.0.clone()));
    let lanes = settings.rooms.values().flat_map(|room| room.lanes.iter().filter_map(lane));
    let mut all: Vec<HeaderName> = Vec::new();
    for name in settings.identity.header.iter().cloned().chain(staff).chain(lanes) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.into()
}

impl Live {
    /// The route of a request: its host's routes before those of any host, longest prefix first.
    #[must_use]
    pub fn route(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        self.find(host, |prefix| is_under(path, prefix))
    }

    fn find(&self, host: &str, covers: impl Fn(&str) -> bool) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| {
            let host_fits =
                route.settings.host.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(host));
            host_fits && covers(&route.settings.path)
        })
    }

    /// The route by which a request is judged, and whether it may bypass the route's room and quota.
    /// `path` is normal, `bare` the same without parameters.
    ///
    /// # Errors
    /// [`Refusal::Unrouted`], and [`Refusal::Ambiguous`] if the upstream might read the path as one of
    /// another route. Case counts: where only one case of a prefix has a route, the others are nobody's.
    pub fn judge(&self, host: &str, path: &str, bare: &str) -> Result<(&Arc<Route>, bool), Refusal> {
        let route = self.route(host, bare).ok_or(Refusal::Unrouted)?;
        let bypass = route.is_bypass(bare);
        let (own_host, own_path) = (&route.settings.host, &route.settings.path);
        let same = |found: Option<&Arc<Route>>| {
            found.is_some_and(|found| {
                found.settings.host == *own_host && found.settings.path.eq_ignore_ascii_case(own_path)
            })
        };
        if !same(self.find(host, |prefix| covers(prefix.as_bytes(), bare.as_bytes()))) {
            return Err(Refusal::Ambiguous("the path is written in another case"));
        }
        for reading in others(path).map_err(|bad| Refusal::Ambiguous(bad.0))? {
            let under = |prefix: &String| covers(&decode(prefix.as_bytes()), &reading);
            let stays = same(self.find(host, |prefix| covers(&decode(prefix.as_bytes()), &reading)));
            if !stays || (bypass && !route.settings.bypass_paths.iter().any(under)) {
                return Err(Refusal::Ambiguous("the path can be read as another one"));
            }
        }
        Ok((route, bypass))
    }
}

/// The order in which routes are tried.
pub fn sort_routes(routes: &mut [Arc<Route>]) {
    routes.sort_by(|a, b| {
        let key = |route: &Route| (route.settings.host.is_none(), usize::MAX - route.settings.path.len());
        key(a).cmp(&key(b)).then_with(|| a.settings.path.cmp(&b.settings.path))
    });
}
