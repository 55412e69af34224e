//! From a scenario and an operator's configuration to a [`Day`].
//!
//! The room is found as the gateway would find it: by the route of the first thing that people ask for.
//! What the scenario asks for and this level does not play is listed, never dropped in silence.

use super::day::{Day, Door, Errand, GROUPS_MAX, Group, Pool, Step};
use crate::config::settings::{RouteSettings, Settings};
use crate::lab::scenario::{Class, Conduct, FaultKind, People, Scenario};
use crate::proxy::path::is_under;

impl Day {
    /// The day of a scenario before the rooms of a configuration.
    ///
    /// # Errors
    /// Why the two do not fit together, and what to do about it.
    pub fn read(scenario: &Scenario, settings: &Settings, seed: u64) -> Result<Self, String> {
        let seekers: Vec<(&Class, &People)> = scenario
            .classes
            .iter()
            .filter(|class| scenario.seeks(class))
            .filter_map(|class| match &class.conduct {
                Conduct::People(people) => Some((class, people)),
                Conduct::Bots(_) => None,
            })
            .collect();
        if seekers.is_empty() || seekers.len() > GROUPS_MAX {
            return Err(format!("between 1 and {GROUPS_MAX} classes must want something of a pool"));
        }
        let pool = scarcest(scenario, &seekers);
        let (room, limit) = {
            let mut routes =
                seekers.iter().map(|(class, people)| route_of(scenario, settings, class, people, pool));
            let (first, route) = routes.next().unwrap_or_else(|| Err("nobody wants anything".to_owned()))?;
            for other in routes {
                let (other, _) = other?;
                if other != first {
                    return Err(format!(
                        "people wait in two rooms, `{first}` and `{other}`: the session level rehearses one; \
                         rehearse the classes apart"
                    ));
                }
            }
            // Of all that stands behind the room, the limit of what is scarce is the one that is played.
            let limit = settings.upstreams.get(&route.upstream).map(|upstream| upstream.limit);
            let room = settings.rooms.get(first).ok_or_else(|| format!("no room is called `{first}`"))?;
            (room, limit.ok_or_else(|| format!("room `{first}` stands before no upstream"))?)
        };
        let horizon_s = scenario.horizon.as_secs_f64();
        let beat_s = super::beat_s(horizon_s);
        let groups = seekers.iter().map(|(class, people)| group(scenario, class, people, pool, beat_s));
        let most =
            seekers.iter().map(|(_, people)| people.nat_share / f64::from(people.nat_addresses.max(1)));
        Ok(Self {
            name: scenario.name.clone(),
            seed,
            horizon_s,
            opens_s: scenario.opens.map_or(0.0, |opens| opens.as_secs_f64()),
            beat_s,
            groups: groups.collect(),
            pool: workers(scenario, pool),
            stock: scenario.stocks.first().map(|stock| stock.units),
            room: room.policy.clone(),
            limit,
            door: Door {
                network_per_s: 1e9 / settings.door.prefix.interval_ns() as f64,
                network_share: most.fold(0.0, f64::max),
            },
            absent: absent(scenario, pool),
        })
    }
}

/// The pool that can do the fewest of those sessions.
fn scarcest(scenario: &Scenario, seekers: &[(&Class, &People)]) -> usize {
    let load = |pool: usize| {
        let work =
            seekers.iter().map(|(class, people)| class.people as f64 * scenario.work_in_pool_s(people, pool));
        work.sum::<f64>() / scenario.pools.get(pool).map_or(1, |pool| pool.slots.max(1)) as f64
    };
    (0..scenario.pools.len()).max_by(|a, b| load(*a).total_cmp(&load(*b))).unwrap_or(0)
}

/// The room in which these people wait, and the route that leads to what is scarce: that of the first
/// step that the pool answers, else of the first that any does.
fn route_of<'s>(
    scenario: &Scenario,
    settings: &'s Settings,
    class: &Class,
    people: &People,
    pool: usize,
) -> Result<(&'s str, &'s RouteSettings), String> {
    let ends = || people.steps.iter().filter_map(|step| scenario.endpoints.get(*step));
    let scarce = ends().find(|end| end.pool == Some(pool)).or_else(|| ends().find(|end| end.pool.is_some()));
    let path = scarce.map_or("/", |end| end.path.as_str());
    let fits = |route: &&RouteSettings| is_under(path, &route.path);
    let longest =
        settings.routes.values().filter(fits).max_by_key(|route| (route.path.len(), route.host.is_none()));
    let route = longest.ok_or_else(|| {
        format!(
            "no route of the configuration leads to `{path}`, which class `{}` asks for: add one",
            class.id
        )
    })?;
    let room = route.room.as_deref().ok_or_else(|| {
        format!(
            "the route `{}` to `{path}` has no room, and the session level rehearses rooms: write `room = \"…\"`",
            route.path
        )
    })?;
    Ok((room, route))
}

fn group(scenario: &Scenario, class: &Class, people: &People, pool: usize, beat_s: f64) -> Group {
    let horizon_s = scenario.horizon.as_secs_f64();
    let ends = (1_u32..).map(|beat| f64::from(beat) * beat_s).take_while(|end| *end <= horizon_s + beat_s);
    let steps: Vec<Step> = people
        .steps
        .iter()
        .filter_map(|step| scenario.endpoints.get(*step))
        .map(|end| Step { scarce: end.pool == Some(pool), service: end.service })
        .collect();
    let asked = || people.steps.iter().filter_map(|step| scenario.endpoints.get(*step));
    Group {
        id: class.id.clone(),
        people: class.people as u64,
        come_by: ends.map(|end| class.arrival.come_by(end)).collect(),
        devices: people.devices.clone(),
        patience: people.patience.ticket,
        silent_leave: people.silent_leave,
        close_tab: people.close_tab,
        away: people.away,
        errand: Errand {
            steps,
            repeat: people.repeat.clone(),
            cases: people.cases,
            think: people.think,
            ends: asked().any(|end| end.ends_session),
            units: asked().filter(|end| end.sells.is_some()).count() as u64 * u64::from(people.cases),
        },
    }
}

fn workers(scenario: &Scenario, index: usize) -> Pool {
    let Some(pool) = scenario.pools.get(index) else {
        return Pool { id: String::new(), slots: vec![(0.0, 0)], thrash: 0.0 };
    };
    let mut slots = vec![(0.0, pool.slots)];
    for fault in &scenario.faults {
        let meanwhile = match fault.kind {
            FaultKind::Slots { pool, slots } if pool == index => slots,
            FaultKind::Stall { pool } if pool == index => 0,
            FaultKind::OriginDead => 0,
            _ => continue,
        };
        slots.push((fault.at.as_secs_f64(), meanwhile));
        slots.extend(fault.until.map(|until| (until.as_secs_f64(), pool.slots)));
    }
    slots.sort_by(|a, b| a.0.total_cmp(&b.0));
    Pool { id: pool.id.clone(), slots, thrash: pool.thrash }
}

/// What is not played, in words.
fn absent(scenario: &Scenario, pool: usize) -> Vec<String> {
    let mut absent = vec![
        "the leg WITHOUT a gateway: what a crowd does to a service that nobody protects is decided by single \
         requests, by which of them time out and are sent again, and this level has none; a model of it would be a \
         guess. Where the day can be made smaller (people and slots divided by the same number, until at most \
         20,000 people are left), `--level request` plays both legs"
            .to_owned(),
        "slots to come back at, a draw among those present at the opening, one place for each person: no \
         rehearsal plays them, whatever the configuration says"
            .to_owned(),
    ];
    let others: Vec<&str> = scenario
        .classes
        .iter()
        .filter(|class| !scenario.seeks(class))
        .map(|class| class.id.as_str())
        .collect();
    if !others.is_empty() {
        absent.push(format!("those who want nothing scarce: {}", others.join(", ")));
    }
    if scenario.pools.len() > 1 {
        let known = scenario.pools.get(pool).map_or("", |pool| pool.id.as_str());
        absent.push(format!(
            "queues before any pool but `{known}`, the scarcest: their work only takes its time"
        ));
    }
    for fault in &scenario.faults {
        let at_s = fault.at.as_secs_f64();
        match fault.kind {
            FaultKind::Errors { .. } => absent.push(format!("the errors from {at_s} s on")),
            FaultKind::Slowness { .. } => absent.push(format!("the slowness from {at_s} s on")),
            FaultKind::Kill(_) => absent.push(format!("the kill at {at_s} s")),
            FaultKind::Slots { .. } | FaultKind::Stall { .. } | FaultKind::OriginDead => {}
        }
    }
    absent
}
