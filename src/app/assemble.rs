//! From validated settings to the live configuration: names looked up, pages rendered, and everything
//! that did not change carried over.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;
use tokio::sync::Notify;

use super::lanes;
use crate::admission::extensions::EXTENSIONS;
use crate::admission::late::{CALLS_UNASKED, SHARE};
use crate::admission::policy::RoomPolicy;
use crate::admission::room::RoomMarks;
use crate::admission::slots;
use crate::clock::Clock;
use crate::config::quiet::QuietHours;
use crate::config::settings::{QuotaSettings, RoomSettings, Settings};
use crate::pages::{Pages, RoomPage};
use crate::proof::hex;
use crate::proxy::Random;
use crate::proxy::cluster::Cluster;
use crate::proxy::invitation::Invitations;
use crate::proxy::jwt::Jwt;
use crate::proxy::live::{Live, Quota, Room, Route, one_lot, sort_routes, source, vouched};
use crate::proxy::pass_proof::PassProof;
use crate::proxy::transport::{Transport, TransportError};
use crate::proxy::webhook::Webhook;
use crate::store::book::Book;
use crate::store::gate::Gate;
use crate::store::journal::{Journal, JournalError};
use crate::store::learnt::{ALIVE_KEY, Lesson, room_key, upstream_key};
use crate::store::line::{Left, Line, Lottery};
use crate::store::lots::Lots;
use crate::store::slots::doubt;

/// Longest time that a new name may take to resolve before the configuration is put in place.
const RESOLVE_WAIT: Duration = Duration::from_millis(500);
/// Longest wait for what was learnt of new upstreams.
const LESSONS_WAIT: Duration = Duration::from_secs(1);

/// Whether the upstreams of a configuration are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstreams {
    /// Names are resolved, addresses probed.
    Real,
    /// Somebody stands in for them: no name is looked up and nothing is connected to.
    Played,
}

/// What a configuration is built with.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// Where rooms left off.
    pub journal: Arc<Journal>,
    /// Where rooms say that they need numbers.
    pub hungry: Arc<Notify>,
    /// Reads the time.
    pub clock: Clock,
    /// What is behind.
    pub upstreams: Upstreams,
    /// Keeps apart what must not march in step with other gateways before the same upstream.
    pub seed: u64,
    /// Where new keys come from.
    pub random: Random,
}

/// A configuration could not be built, although it was valid.
#[derive(Debug)]
pub enum AssembleError {
    /// The durable state cannot be read.
    Journal(JournalError),
    /// A page cannot be rendered.
    Pages(String),
    /// A draw cannot be held as it is configured.
    Draw {
        /// The room.
        room: String,
        /// Why.
        why: String,
    },
    /// The public log of a room cannot be gone on with.
    Log {
        /// The room.
        room: String,
        /// Why.
        why: String,
    },
    /// Nobody could be recognised.
    Identity(String),
    /// Nobody could be invited.
    Invitations(String),
    /// What is to be proved to an upstream cannot be signed.
    PassKey {
        /// Its name.
        upstream: String,
        /// Why.
        why: String,
    },
    /// An upstream cannot be verified.
    Transport {
        /// Its name.
        upstream: String,
        /// Why.
        error: TransportError,
    },
    /// Turns cannot be announced.
    Webhook {
        /// The room's name.
        room: String,
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for AssembleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Journal(_) => f.write_str("a room cannot be taken up where it was left"),
            Self::Pages(why) => write!(f, "a page cannot be made: {why}"),
            Self::Draw { room, why } => write!(f, "room.{room}.draw: {why}"),
            Self::Log { room, why } => {
                write!(f, "the public log of room.{room} cannot be gone on with: {why}")
            }
            Self::Identity(why) => write!(f, "identity.jwt: {why}"),
            Self::Invitations(why) => write!(f, "identity.invitations: {why}"),
            Self::PassKey { upstream, why } => write!(f, "upstream.{upstream}.pass_key: {why}"),
            Self::Transport { upstream, error } => write!(f, "upstream.{upstream}.tls: {error}"),
            Self::Webhook { room, why } => write!(f, "room.{room}.webhook: {why}"),
        }
    }
}

impl std::error::Error for AssembleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) => Some(error),
            Self::Pages(_)
            | Self::Draw { .. }
            | Self::Log { .. }
            | Self::Identity(_)
            | Self::Invitations(_)
            | Self::PassKey { .. }
            | Self::Transport { .. }
            | Self::Webhook { .. } => None,
        }
    }
}

/// Builds a configuration; takes over from `previous` whatever goes on.
///
/// # Errors
/// [`AssembleError`]; nothing was put in place.
pub async fn assemble(
    workshop: &Workshop,
    mut settings: Settings,
    previous: Option<&Live>,
) -> Result<Live, AssembleError> {
    if workshop.upstreams == Upstreams::Played {
        // A rehearsal begins when rooms are open.
        for room in settings.rooms.values_mut() {
            (room.opening, room.draw) = (None, None);
        }
    }
    let clusters = clusters(workshop, &settings, previous).await?;
    let mut rooms = BTreeMap::new();
    for (name, room) in &settings.rooms {
        let built = build_room(workshop, &settings, name, room, &clusters, previous)?;
        if previous.is_none_or(|live| !live.rooms.contains_key(name)) {
            // Before anybody can ask: not even for a moment is a room open too early.
            built.follow_opening(workshop.clock.unix());
        }
        rooms.insert(name.clone(), Arc::new(built));
    }
    let mut routes: Vec<Arc<Route>> = Vec::new();
    for (name, route) in &settings.routes {
        let Some(cluster) = clusters.get(&route.upstream) else { continue };
        let old = previous.and_then(|live| live.routes.iter().find(|old| *old.name == **name));
        let key = cluster.settings.pass_key.as_deref();
        let proof = key.map(PassProof::read).transpose();
        let pass_proof =
            proof.map_err(|why| AssembleError::PassKey { upstream: route.upstream.clone(), why })?;
        routes.push(Arc::new(Route {
            pass_proof,
            name: Arc::from(name.as_str()),
            settings: route.clone(),
            cluster: Arc::clone(cluster),
            route_class: cluster.gate.route_class(name),
            room: route.room.as_ref().and_then(|room| rooms.get(room)).map(Arc::clone),
            quota: route.quota.as_ref().and_then(|name| Some(quota(name, *settings.quotas.get(name)?))),
            bypassing: old.map_or_else(|| Arc::new(AtomicU32::new(0)), |old| Arc::clone(&old.bypassing)),
        }));
    }
    sort_routes(&mut routes);
    // Routes have told their class.
    let is_new = |name: &&String| previous.is_none_or(|live| !live.clusters.contains_key(*name));
    let names: Vec<String> = clusters.keys().filter(is_new).cloned().collect();
    for (name, lesson) in lessons(&workshop.journal, names).await {
        if let Some(cluster) = clusters.get(&name)
            && let Some(learnt) = lesson.for_upstream(&cluster.settings.places(), workshop.clock.unix())
        {
            cluster.gate.take_up(&learnt);
            tracing::info!(upstream = name, limit = learnt.limit, "goes on from what was learnt of it");
        }
    }
    let pages = Pages::build(&room_pages(&settings), &settings.pages).map_err(AssembleError::Pages)?;
    let jwt = jwt(workshop, &settings, previous)?;
    let invitations = invitations(workshop, &settings, previous).await?;
    let generation = previous.map_or(1, |live| live.generation + 1);
    let door = quota("the door", settings.door);
    let vouched = vouched(&settings);
    Ok(Live { settings, routes, rooms, clusters, jwt, invitations, pages, door, vouched, generation })
}

async fn clusters(
    workshop: &Workshop,
    settings: &Settings,
    previous: Option<&Live>,
) -> Result<BTreeMap<String, Arc<Cluster>>, AssembleError> {
    let mut transports = match workshop.upstreams {
        Upstreams::Real => transports(settings.clone()).await?,
        Upstreams::Played => BTreeMap::new(),
    };
    let mut clusters = BTreeMap::new();
    for (name, upstream) in &settings.upstreams {
        let old = previous.and_then(|live| live.clusters.get(name));
        let played = workshop.upstreams == Upstreams::Played;
        let transport = transports.remove(name);
        let Some(mut transport) = transport.or_else(|| played.then(Arc::default)) else { continue };
        if let Some(old) = old.filter(|old| old.transport.is_like(&transport)) {
            transport = Arc::clone(&old.transport);
        }
        let unchanged =
            |old: &&Arc<Cluster>| old.settings == *upstream && Arc::ptr_eq(&old.transport, &transport);
        if let Some(old) = old.filter(unchanged) {
            clusters.insert(name.clone(), Arc::clone(old));
            continue;
        }
        let gate = old.map_or_else(
            || Gate::new(upstream.limit, upstream.queue, workshop.seed, workshop.clock),
            |old| Arc::clone(&old.gate),
        );
        let cluster = Cluster::new(name, upstream.clone(), transport, gate, old.map(|old| &**old));
        if played {
            cluster.suppose();
        } else {
            if tokio::time::timeout(RESOLVE_WAIT, cluster.discover()).await.is_err() {
                tracing::warn!(upstream = name, "its names are not resolved yet");
            }
            tokio::spawn(Cluster::look_after(Arc::downgrade(&cluster), workshop.clock));
        }
        clusters.insert(name.clone(), cluster);
    }
    Ok(clusters)
}

/// Goes on with the keys that are known, unless others are asked for.
fn jwt(
    workshop: &Workshop,
    settings: &Settings,
    previous: Option<&Live>,
) -> Result<Option<Arc<Jwt>>, AssembleError> {
    let Some(wanted) = &settings.identity.jwt else { return Ok(None) };
    let old = previous.and_then(|live| live.jwt.as_ref());
    if let Some(old) = old.filter(|old| old.settings == *wanted) {
        return Ok(Some(Arc::clone(old)));
    }
    let jwt = Jwt::build(wanted.clone()).map_err(AssembleError::Identity)?;
    if let Some(old) = old {
        jwt.take_over(old);
    }
    if workshop.upstreams == Upstreams::Real {
        tokio::spawn(Jwt::look_after(Arc::downgrade(&jwt), workshop.clock));
    }
    Ok(Some(jwt))
}

/// Goes on with the list that is known, unless another list or key is asked for. A long list is read away
/// from those who are being served.
async fn invitations(
    workshop: &Workshop,
    settings: &Settings,
    previous: Option<&Live>,
) -> Result<Option<Arc<Invitations>>, AssembleError> {
    let Some(wanted) = &settings.identity.invitations else { return Ok(None) };
    let (wanted, old) = (wanted.clone(), previous.and_then(|live| live.invitations.clone()));
    let before = old.clone();
    let built = tokio::task::spawn_blocking(move || Invitations::build(wanted, before.as_ref())).await;
    let built = built.map_err(|error| error.to_string()).and_then(|built| built);
    let invitations = built.map_err(AssembleError::Invitations)?;
    let goes_on = old.is_some_and(|old| Arc::ptr_eq(&old, &invitations));
    if !goes_on && workshop.upstreams == Upstreams::Real {
        tokio::spawn(Invitations::look_after(Arc::downgrade(&invitations)));
    }
    Ok(Some(invitations))
}

/// What was learnt of upstreams. A disk that fails or does not answer keeps no configuration from being
/// put in place: then their limits are found anew.
async fn lessons(journal: &Arc<Journal>, names: Vec<String>) -> Vec<(String, Lesson)> {
    if names.is_empty() {
        return Vec::new();
    }
    let read = move |journal: &Journal| {
        let lesson = |name: String| {
            let lesson = journal.lesson(&upstream_key(&name));
            lesson.ok().flatten().map(|lesson| (name, lesson))
        };
        names.into_iter().filter_map(lesson).collect()
    };
    if journal.is_in_memory() {
        return read(journal);
    }
    let journal = Arc::clone(journal);
    let reading = tokio::task::spawn_blocking(move || read(&journal));
    tokio::time::timeout(LESSONS_WAIT, reading).await.map(Result::unwrap_or_default).unwrap_or_default()
}

/// Reads the certificate authorities of all upstreams, off the threads that serve.
async fn transports(settings: Settings) -> Result<BTreeMap<String, Arc<Transport>>, AssembleError> {
    let building = tokio::task::spawn_blocking(move || build_transports(&settings));
    let built = building.await.map_err(|error| AssembleError::Pages(error.to_string()))?;
    built.map_err(|(upstream, error)| AssembleError::Transport { upstream, error })
}

fn build_transports(
    settings: &Settings,
) -> Result<BTreeMap<String, Arc<Transport>>, (String, TransportError)> {
    let build = |(name, upstream)| match Transport::build(upstream) {
        Ok(transport) => Ok((String::clone(name), Arc::new(transport))),
        Err(error) => Err((String::clone(name), error)),
    };
    settings.upstreams.iter().map(build).collect()
}

/// What `check` reads besides the configuration itself.
///
/// # Errors
/// [`AssembleError`], as a start or a reload would have it.
pub fn check_files(settings: &Settings) -> Result<(), AssembleError> {
    Pages::build(&room_pages(settings), &settings.pages).map_err(AssembleError::Pages)?;
    if let Some(jwt) = &settings.identity.jwt {
        Jwt::build(jwt.clone()).map_err(AssembleError::Identity)?;
    }
    if let Some(invitations) = &settings.identity.invitations {
        Invitations::build(invitations.clone(), None).map_err(AssembleError::Invitations)?;
    }
    for (name, room) in &settings.rooms {
        webhook(name, room)?;
    }
    for (name, upstream) in &settings.upstreams {
        let read = upstream.pass_key.as_deref().map(PassProof::read).transpose();
        read.map_err(|why| AssembleError::PassKey { upstream: name.clone(), why })?;
    }
    let built = build_transports(settings);
    built.map(drop).map_err(|(upstream, error)| AssembleError::Transport { upstream, error })
}

fn build_room(
    workshop: &Workshop,
    settings: &Settings,
    name: &str,
    room: &RoomSettings,
    clusters: &BTreeMap<String, Arc<Cluster>>,
    previous: Option<&Live>,
) -> Result<Room, AssembleError> {
    let old = previous.and_then(|live| live.rooms.get(name));
    let line = match old {
        Some(old) => Arc::clone(&old.line),
        None => {
            let marks = workshop.journal.marks(name).map_err(AssembleError::Journal)?;
            let over = workshop.journal.over(name).map_err(AssembleError::Journal)?;
            let mut random = [0; 32];
            workshop.random.fill(&mut random);
            let people = workshop.journal.people(name, random);
            let (secret, people) = people.map_err(AssembleError::Journal)?;
            let lanes = workshop.journal.lanes(name, marks.epoch.max(1)).map_err(AssembleError::Journal)?;
            let book = Book::open(&workshop.journal, name)
                .map_err(|why| AssembleError::Log { room: name.to_owned(), why: why.to_string() })?;
            let ending = workshop.journal.ending(name).map_err(AssembleError::Journal)?;
            let slots =
                workshop.journal.slots(name, workshop.clock.unix()).map_err(AssembleError::Journal)?;
            let moves = workshop.journal.moves(name).map_err(AssembleError::Journal)?;
            let doubts = book.left_at().and_then(|then| doubt(then, slots.unix));
            if let Some(why) = doubts.filter(|_| !slots.spans.is_empty()) {
                tracing::warn!(room = name, slots = slots.spans.len(), "{why}");
            }
            let reminders = workshop.journal.reminders(name).map_err(AssembleError::Journal)?;
            let left = Left { marks, lanes, over, secret, people, book, ending, slots, moves, reminders };
            let (hungry, now) = (Arc::clone(&workshop.hungry), workshop.clock.now());
            let line = Line::restore(name, &room.policy, left, hungry, now);
            let over = line.ended().is_some();
            line.set_lots(lottery(workshop, settings, (name, room), marks, over)?);
            line.draw();
            let lesson = workshop.journal.lesson(&room_key(name)).ok().flatten();
            let unix = workshop.clock.unix();
            let alive = workshop.journal.lesson(ALIVE_KEY).ok().flatten();
            // A state of before has no sign of life but this.
            let last = alive.as_ref().or(lesson.as_ref());
            let down = last.map(|last| last.distance(unix)).unwrap_or_default();
            if let Some(habits) = lesson.as_ref().and_then(|lesson| lesson.for_room(unix, down)) {
                line.with(|room| room.take_up(&habits));
            }
            if line.awaits_draw() || line.with(|room| room.is_waited_in()) {
                let before = lesson.map(|lesson| lesson.until_back(unix)).unwrap_or_default();
                line.with(|room| room.cut_off(down, before, now));
            }
            line
        }
    };
    let behind = settings.routes.values().filter(|route| route.room.as_deref() == Some(name));
    let mut names: Vec<&String> = behind.map(|route| &route.upstream).collect();
    names.sort();
    names.dedup();
    let depends_on = room.depends_on.iter().filter_map(|name| clusters.get(name)).map(Arc::clone).collect();
    let clusters = names.into_iter().filter_map(|name| clusters.get(name)).map(Arc::clone).collect();
    let message_id = message_id(room);
    let messages = serde_json::json!({ "id": message_id, "text": room.messages });
    let rules = rules(name, room);
    let webhook = if workshop.upstreams == Upstreams::Real { webhook(name, room)? } else { None };
    let built = Room {
        line,
        settings: room.clone(),
        clusters,
        depends_on,
        message_id,
        messages: Bytes::from(messages.to_string()),
        rules_hash: hex(&Sha256::digest(&rules)),
        rules: Bytes::from(rules),
        webhook,
        one_lot: one_lot(room, &settings.identity),
        superseded: AtomicBool::new(false),
    };
    if old.is_none() {
        lanes::begin(&built);
    }
    Ok(built)
}

/// The draw of a room that is taken up again. What was frozen stands in the store; the configuration must agree,
/// unless the event is `over`: then nothing comes of it any more.
fn lottery(
    workshop: &Workshop,
    settings: &Settings,
    (name, room): (&str, &RoomSettings),
    marks: RoomMarks,
    over: bool,
) -> Result<Lottery, AssembleError> {
    let wrong =
        |why: &dyn std::fmt::Display| AssembleError::Draw { room: name.to_owned(), why: why.to_string() };
    let (lines, leaves) = workshop.journal.lots(name).map_err(AssembleError::Journal)?;
    if lines.is_empty() {
        return match &room.draw {
            None => Ok(Lottery::Never),
            Some(_) if over => Ok(Lottery::Never),
            // Nobody could come in time, and places went by arrival.
            Some(_) if room.opening.is_none_or(|it| it.shut(workshop.clock.unix()).is_none()) => {
                Ok(Lottery::Never)
            }
            Some(_) if marks.reserved > 0 => {
                Err(wrong(&"numbers were given in this room before; a draw needs a room with another name"))
            }
            Some(_) => Ok(Lottery::Awaited),
        };
    }
    let seed = workshop.journal.board_seed().map_err(AssembleError::Journal)?;
    let key = SigningKey::from_bytes(&seed.unwrap_or_default()).verifying_key();
    let lots = Lots::restore(lines, leaves, key).map_err(|error| wrong(&error))?;
    let frozen = lots.rules();
    let opening = room.opening.zip(room.draw.as_ref());
    let agrees = opening.is_some_and(|(opening, draw)| {
        let persons = (frozen.one_lot_per, frozen.identified_by.clone());
        frozen.opens_at_ms == opening.at.0
            && frozen.randomness == source(draw, frozen.opens_at_ms)
            && persons == one_lot(room, &settings.identity)
    });
    if !agrees && !over {
        return Err(wrong(
            &"its rules are frozen since the first could come; `opens_at`, `draw`, `parties`, `one_place_per` and who names a person must be what they were (another draw needs a room with another name)",
        ));
    }
    Ok(Lottery::Held(Box::new(lots)))
}

fn webhook(name: &str, room: &RoomSettings) -> Result<Option<Arc<Webhook>>, AssembleError> {
    let built = room.webhook.as_ref().map(Webhook::build).transpose();
    let built = built.map_err(|why| AssembleError::Webhook { room: name.to_owned(), why })?;
    Ok(built.map(Arc::new))
}

/// The rules by which people are called, in full and in one writing, so that a receipt can name them.
fn rules(name: &str, room: &RoomSettings) -> String {
    let RoomPolicy { call, idle, session, poll, seats_floor, seats_ceiling, .. } = &room.policy;
    let mut rules = serde_json::json!({
        "v": 1, "room": name, "title": room.title,
        "order": if room.draw.is_some() { "lots" } else { "arrival" }, "one_place_per": room.one_place_per.word(),
        "require_identity": room.require_identity,
        "call_ms": call.as_millis(), "extensions": EXTENSIONS, "visit_extensions": EXTENSIONS,
        "late": { "share": SHARE, "calls_unasked": CALLS_UNASKED },
        "idle_ms": idle.as_millis(), "session_ms": session.as_millis(),
        "seats": { "floor": seats_floor, "ceiling": seats_ceiling },
        "poll": { "min_ms": poll.min.as_millis(), "max_ms": poll.max.as_millis() },
        "quiet": room.quiet.iter().map(QuietHours::text).collect::<Vec<_>>(),
        "slots": room.slots.offer.then(|| {
            let rule = &room.slots.rule;
            serde_json::json!({ "after_ms": rule.after.as_millis(), "length_ms": rule.length.as_millis(), "share": slots::SHARE })
        }),
    });
    if let (false, Some(rules)) = (room.policy.lanes.is_empty(), rules.as_object_mut()) {
        rules.insert("lanes".to_owned(), lanes::told(room));
    }
    if let (Some(opening), Some(rules)) = (&room.opening, rules.as_object_mut()) {
        rules.insert("opens_at_ms".to_owned(), opening.at.0.into());
        rules.insert("places_from_ms".to_owned(), opening.first_place().0.into());
    }
    rules.to_string()
}

/// Names a message by its content, so that pages fetch it again only when it changed.
fn message_id(room: &RoomSettings) -> Option<String> {
    if room.messages.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    for (language, text) in &room.messages {
        hash.update(language);
        hash.update([0]);
        hash.update(text);
        hash.update([0]);
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    Some(format!("{a:02x}{b:02x}{c:02x}{d:02x}"))
}

/// A quota with buckets of its own: the salt depends on the name alone, so that a reload keeps what
/// was spent.
fn quota(name: &str, settings: QuotaSettings) -> Quota {
    let mut hasher = SipHasher13::new_with_keys(0x746f_726e, 0x656c_6c6f);
    name.hash(&mut hasher);
    Quota { salt: hasher.finish(), settings }
}

fn room_pages(settings: &Settings) -> Vec<RoomPage> {
    let page = |(name, room): (&String, &RoomSettings)| RoomPage {
        name: name.clone(),
        title: room.title.clone(),
        messages: room.messages.clone(),
        status: room.status,
        lanes: !room.policy.lanes.is_empty(),
        asks: room.page_asks,
        invites: room.invites,
        idle: room.policy.idle,
        slots: room.slots.offer.then_some(room.slots.rule.after),
    };
    settings.rooms.iter().map(page).collect()
}

/// Today's limits reach the gates, which live on.
pub fn govern(live: &Live) {
    for room in live.rooms.values().filter(|room| room.settings.draw.is_none()) {
        room.line.forgo_draw();
    }
    for cluster in live.clusters.values() {
        cluster.gate.govern(cluster.settings.limit, cluster.settings.queue);
    }
}
