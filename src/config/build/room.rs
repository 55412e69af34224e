//! `[room.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Judge, lane};
use crate::admission::UnixTime;
use crate::admission::opening::Opening;
use crate::admission::policy::{PollRule, RoomPolicy};
use crate::admission::slots::SlotRule;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::quiet;
use crate::config::raw::{RawOnePlacePer, RawRoom, RawSource};
use crate::config::settings::{DrawSettings, OnePlacePer, RoomSettings, SlotSettings, WebhookSettings};
use crate::config::spelling::{did_you_mean, list};
use crate::proof::draw::reveal::{self, Party};

/// Languages that the waiting page speaks.
const LANGUAGES: [&str; 5] = ["it", "en", "de", "fr", "sl"];
/// Places are given so long before an opening, unless the operator says otherwise.
const PREQUEUE: Duration = Duration::from_secs(3_600);
const MESSAGE_MAX: usize = 500;
const QUIET_MAX: usize = 8;
/// A night that is put over the whole day by mistake closes a room for good.
const AWAKE_MIN: Duration = Duration::from_secs(3_600);
/// A year like any other: it begins with 2026.
const QUIET_YEAR: UnixTime = UnixTime(1_767_225_600_000);
/// A called client looks at the board at least this often while its call stands.
const LOOKS_PER_CALL: u32 = 3;

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    for (name, room) in &raw.room {
        let path = at(&["room", name]);
        seats(judge, &path, room);
        times(judge, &path, room);
        quiet(judge, &path, room);
        opening(judge, &path, room);
        draw(judge, &path, room);
        lane::judge(judge, &path, room);
        switches(judge, &path, room);
        people(judge, &path, room);
        messages(judge, &path, room);
        dependencies(judge, &path, room);
        webhook(judge, &path, room);
        let used = raw.route.values().any(|route| route.room.as_ref() == Some(name));
        judge.refuse_if(!used, || {
            let help = format!("write `room = \"{name}\"` in a route, or remove the room");
            Finding::warning(path, format!("no route leads into the room `{name}`"), help)
                .about(at(&["route"]))
        });
    }
    lane::judge_claims(judge);
    shares(judge);
}

/// People can only be told apart where something names them.
fn people(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let identity = &judge.raw.identity;
    let nobody_named = identity.jwt.is_none() && identity.header.is_none() && identity.invitations.is_none();
    let nobody_named = nobody_named && !super::listen::asks_for_certificates(&judge.raw.listen);
    let person = room.one_place_per == RawOnePlacePer::Person;
    judge.refuse_if(person && nobody_named, || {
        let help = "set `identity.jwt`, `identity.header` or `identity.invitations`, give an address of `listen.https` a `client_ca`, or write `one_place_per = \"browser\"`";
        Finding::error(path.key("one_place_per"), "nothing says who a person is", help)
            .about(at(&["identity"]))
    });
    // A lot has its person from the start.
    judge.refuse_if(person && room.draw.is_some() && !room.require_identity, || {
        let help = "write `require_identity = true`, or `one_place_per = \"browser\"`, or remove `draw`";
        let message =
            "whoever takes several lots, and says only after the draw who they are, would choose the best";
        Finding::error(path.key("one_place_per"), message, help).related(path.key("draw"), "the draw")
    });
    let sources = [identity.jwt.is_some(), identity.header.is_some(), identity.invitations.is_some()];
    let sources = sources.into_iter().chain([super::listen::asks_for_certificates(&judge.raw.listen)]);
    let several = sources.filter(|is| *is).count() > 1;
    judge.refuse_if(person && room.draw.is_some() && several, || {
        let help = "keep one of `identity.jwt`, `identity.header`, `identity.invitations` and `client_ca`, or write `one_place_per = \"browser\"`, or remove `draw`";
        let message = "several sources name people: whoever chooses which one to show has a lot by each";
        Finding::error(path.key("one_place_per"), message, help)
            .related(path.key("draw"), "the draw")
            .about(at(&["identity"]))
    });
    judge.refuse_if(room.require_identity && !person, || {
        let help = "write `one_place_per = \"person\"`, or remove `require_identity`";
        let message = "people must say who they are, and nothing comes of it";
        Finding::error(path.key("require_identity"), message, help).about(path.key("one_place_per"))
    });
}

fn seats(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let (path, seats) = (path.key("seats"), &room.seats);
    judge.refuse_if(seats.floor > seats.ceiling, || {
        let help = format!("write a `floor` of at most {}, or raise `ceiling`", seats.ceiling);
        let message = format!("`{path}.floor` is {}, above the ceiling of {}", seats.floor, seats.ceiling);
        Finding::error(path.key("floor"), message, help).related(path.key("ceiling"), "the ceiling")
    });
}

fn times(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let poll = path.key("poll");
    judge.refuse_if(room.poll.min.0 > room.poll.max.0, || {
        let help = format!("write a `min` of at most {:?}, or raise `max`", room.poll.max);
        let message =
            format!("`{poll}.min` is {:?}, above the maximum of {:?}", room.poll.min, room.poll.max);
        Finding::error(poll.key("min"), message, help).related(poll.key("max"), "the maximum")
    });
    let least = room.poll.min.0.saturating_mul(LOOKS_PER_CALL);
    judge.refuse_if(room.call.0 < least, || {
        let help =
            format!("write a `call` of at least {:?}, or lower `poll.min`", crate::config::text::Text(least));
        let message = format!(
            "a call stands for {:?}, but people look only every {:?}: most would miss it",
            room.call, room.poll.min
        );
        Finding::error(path.key("call"), message, help).related(poll.key("min"), "people look this often")
    });
    judge.refuse_if(room.idle.0 > room.session.0, || {
        let help = format!("write an `idle` of at most {:?}, or raise `session`", room.session);
        let message =
            format!("`{path}.idle` is {:?}, longer than the session of {:?}", room.idle, room.session);
        Finding::error(path.key("idle"), message, help).related(path.key("session"), "the session")
    });
}

fn quiet(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    judge.refuse_if(room.quiet.len() > QUIET_MAX, || {
        let message = format!("`{path}` has quiet hours {} times a day", room.quiet.len());
        Finding::error(path.key("quiet"), message, format!("write at most {QUIET_MAX}"))
    });
    let hours: Vec<_> = room.quiet.iter().take(QUIET_MAX).map(|hours| hours.0.clone()).collect();
    judge.refuse_if(quiet::least_awake(&hours, QUIET_YEAR) < AWAKE_MIN, || {
        let message = format!("`{path}` calls people for less than an hour on some day");
        let help = "write hours that leave more of each day, or `hold = true` to call nobody at all";
        Finding::error(path.key("quiet"), message, help)
    });
}

fn opening(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    judge.refuse_if(room.prequeue.is_some() && room.opens_at.is_none(), || {
        let help = "say when the room opens, as in `opens_at = \"2026-12-08T09:00[Europe/Rome]\"`, or remove `prequeue`";
        let message = format!("`{path}` gives places before an opening, and has none");
        Finding::error(path.key("prequeue"), message, help)
    });
}

fn draw(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    judge.refuse_if(room.draw.is_some() && room.opens_at.is_none(), || {
        let help = "say when, as in `opens_at = \"2026-12-08T09:00[Europe/Rome]\"`: all who are there by then are drawn";
        Finding::error(path.key("draw"), format!("`{path}` draws lots at its opening, and has none"), help)
    });
    judge.refuse_if(room.draw != Some(RawSource::Parties) && !room.parties.is_empty(), || {
        let help = "write `draw = \"parties\"`, or remove `parties`";
        Finding::error(
            path.key("parties"),
            format!("the parties of `{path}` are not asked for anything"),
            help,
        )
    });
    let checked = reveal::check(&parties(room));
    if let (Some(RawSource::Parties), Err(error)) = (room.draw, checked) {
        let key = if room.parties.is_empty() { "draw" } else { "parties" };
        let help = "name two at least, one of them `outside = true`, each with the `commitment` that `tornello draw secret` makes for it";
        judge.add(Finding::error(path.key(key), error.to_string(), help));
    }
}

fn parties(room: &RawRoom) -> Vec<Party> {
    let party = |party: &crate::config::raw::RawParty| Party {
        name: party.name.clone(),
        outside: party.outside,
        commitment: party.commitment.clone(),
    };
    room.parties.iter().map(party).collect()
}

fn switches(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let (hold, open) = (path.key("hold"), path.key("open"));
    if room.hold && room.open {
        let help = "set one of the two to `false`: `hold` calls nobody in, `open` lets everybody through";
        let message = format!("`{path}` is both held and open");
        judge.add(Finding::error(open, message, help).related(hold, "held here"));
        return;
    }
    judge.refuse_if(room.open, || {
        let help = "set `open = false` when the emergency is over";
        Finding::warning(open, format!("`{path}` is open: everybody passes, and nobody has a place"), help)
    });
    judge.refuse_if(room.hold && room.message.is_empty(), || {
        let help = "say why in `message`: `message = { it = \"...\", en = \"...\" }`";
        Finding::warning(hold, format!("`{path}` is held and does not say why"), help)
            .about(path.key("message"))
    });
}

fn dependencies(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let upstreams: Vec<&String> = judge.raw.upstream.keys().collect();
    for (at, wanted) in room.depends_on.iter().enumerate() {
        if upstreams.contains(&wanted) {
            continue;
        }
        let message = format!("there is no upstream `{wanted}`");
        let near = did_you_mean(wanted, upstreams.iter().map(|name| name.as_str()));
        let help = near.map_or_else(
            || format!("add `[upstream.{wanted}]`, or use {}", list(&upstreams)),
            |near| format!("did you mean `{near}`?"),
        );
        judge.add(Finding::error(path.key("depends_on").index(at), message, help));
    }
}

fn webhook(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    let Some(webhook) = &room.webhook else { return };
    judge.refuse_if(web_address(&webhook.url).is_none(), || {
        let path = path.key("webhook").key("url");
        let help = "write an address that begins with `https://` (or `http://`, within a network of yours)";
        Finding::error(path.clone(), format!("`{path}` is no address of the web"), help)
    });
    let is_clear = web_address(&webhook.url).is_some_and(|url| url.scheme_str() == Some("http"));
    judge.refuse_if(is_clear && webhook.ca.is_some(), || {
        let path = path.key("webhook").key("ca");
        let message = format!("`{path}` vouches for nobody: what `http://` leads to is not verified");
        Finding::error(path, message, "write `https://` in `url`, or remove `ca`")
    });
}

/// An address that can be posted to.
fn web_address(text: &str) -> Option<http::Uri> {
    let url: http::Uri = text.parse().ok()?;
    let web = matches!(url.scheme_str(), Some("https" | "http"));
    let bare = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    (web && bare && url.host().is_some_and(|host| !host.is_empty())).then_some(url)
}

fn messages(judge: &mut Judge<'_, '_>, path: &KeyPath, room: &RawRoom) {
    for (language, text) in &room.message {
        let path = path.key("message").key(language);
        judge.refuse_if(text.trim().is_empty(), || {
            Finding::error(path.clone(), format!("`{path}` is empty"), "write the message, or remove the key")
        });
        let length = text.chars().count();
        judge.refuse_if(length > MESSAGE_MAX, || {
            let help = format!("write at most {MESSAGE_MAX}; people read it on a telephone");
            Finding::error(path.clone(), format!("`{path}` has {length} characters"), help)
        });
        let primary = language.split('-').next().unwrap_or_default();
        judge.refuse_if(!LANGUAGES.contains(&primary), || {
            let help = "write `it`, `en`, `de`, `fr` or `sl`";
            Finding::warning(path.clone(), format!("the waiting page does not speak `{language}`"), help)
        });
    }
}

/// Rooms before one upstream share its limit.
fn shares(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    for upstream in raw.upstream.keys() {
        let rooms: BTreeMap<&String, &RawRoom> = raw
            .route
            .values()
            .filter(|route| &route.upstream == upstream)
            .filter_map(|route| raw.room.get_key_value(route.room.as_ref()?))
            .collect();
        let sum: f64 = rooms.values().map(|room| room.seats.share).sum();
        let Some((last, _)) = rooms.last_key_value().filter(|_| rooms.len() > 1 && sum > 1.0 + 1e-9) else {
            continue;
        };
        let names: Vec<&str> = rooms.keys().map(|name| name.as_str()).collect();
        let names = list(&names);
        let help = format!(
            "set `seats.share` so that the sum is at most 1, as in `seats = {{ share = {:.2} }}`",
            1.0 / f64::from(u32::try_from(rooms.len()).unwrap_or(u32::MAX))
        );
        let message = format!("the rooms {names} together take {sum:.2} of the limit of `{upstream}`");
        let all = rooms.keys().map(|name| at(&["room", name]));
        let finding =
            Finding::warning(at(&["room", last, "seats", "share"]), message, help).about(at(&["route"]));
        judge.add(all.fold(finding, Finding::about));
    }
}

pub(super) fn build(name: &str, raw: &RawRoom, invitations: bool) -> RoomSettings {
    let (policy_lanes, lanes) = lane::build(raw);
    RoomSettings {
        policy: RoomPolicy {
            seats_floor: raw.seats.floor,
            seats_ceiling: raw.seats.ceiling,
            share: raw.seats.share,
            call: raw.call.0,
            idle: raw.idle.0,
            session: raw.session.0,
            poll: PollRule {
                min: raw.poll.min.0,
                max: raw.poll.max.0,
                divisor: raw.poll.divisor,
                budget: raw.poll.budget,
            },
            hold: raw.hold,
            open: raw.open,
            lanes: policy_lanes,
        },
        lanes,
        opening: raw.opens_at.as_ref().map(|opens| Opening {
            at: opens.0.at,
            prequeue: raw.prequeue.as_ref().map_or(PREQUEUE, |prequeue| prequeue.0),
        }),
        draw: raw.draw.map(|source| match source {
            RawSource::Drand => DrawSettings::Drand,
            RawSource::Parties => DrawSettings::Parties(parties(raw)),
        }),
        one_place_per: match raw.one_place_per {
            RawOnePlacePer::Browser => OnePlacePer::Browser,
            RawOnePlacePer::Person => OnePlacePer::Person,
        },
        require_identity: raw.require_identity,
        invites: raw.require_identity && invitations,
        depends_on: raw.depends_on.clone(),
        messages: raw.message.clone(),
        status: http::StatusCode::from_u16(raw.status).unwrap_or(http::StatusCode::SERVICE_UNAVAILABLE),
        page_asks: raw.page_asks,
        title: raw.title.clone().unwrap_or_else(|| name.to_owned()),
        webhook: raw.webhook.as_ref().and_then(|webhook| {
            let (secret, ahead) = (webhook.secret.0.clone(), webhook.ahead.0);
            let ca = webhook.ca.as_ref().map(|file| file.0.clone());
            Some(WebhookSettings { url: web_address(&webhook.url)?, secret, ahead, ca })
        }),
        quiet: raw.quiet.iter().map(|hours| hours.0.clone()).collect(),
        slots: SlotSettings {
            offer: raw.slots.offer && raw.lanes.is_empty(),
            rule: SlotRule { after: raw.slots.after.0, length: raw.slots.length.0 },
            zone: raw.slots.zone.0.0.clone(),
        },
    }
}
