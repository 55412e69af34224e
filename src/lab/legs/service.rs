//! The gateway's configuration for a scenario: what an operator would write for that service, or what
//! the operator did write, brought to this machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use toml::{Table, Value};

use super::Trouble;
use crate::lab::Scenario;
use crate::lab::scenario::{Class, Conduct, Endpoint};

/// A pool of more workers than this is known to who writes its limit.
const KNOWN_FROM: usize = 200;
/// What is not behind a pool.
const REST: &str = "rest";

/// What an operator would write for the scenario's service, its times divided by the scenario's time
/// scale. One upstream and one room for each pool. The limit is not told: it starts wrong, and finds
/// its way.
#[must_use]
pub fn configuration(scenario: &Scenario, origin: SocketAddr) -> String {
    let scaled = |real_s: f64| format!("\"{:.0}ms\"", (real_s * 1_000.0 / scenario.time_scale).max(1.0));
    let mut text = String::from(
        "[edge]\nmax_connections_per_prefix = 20000\ndrain = \"10s\"\n\n\
         [door]\nprefix = { rate = \"5000/s\", burst = 10000 }\n",
    );
    for (index, pool) in scenario.pools.iter().enumerate() {
        let slowest = scenario.endpoints.iter().filter(|end| end.pool == Some(index));
        let slowest_s = slowest.map(|end| end.service.mean_s()).fold(0.010, f64::max);
        let name = name(&pool.id);
        // Wide enough for the pool, whatever it is: a ceiling is there for what nobody foresaw.
        let limit = (4 * pool.slots).max(200);
        // Who runs hundreds of workers knows about how many; a limit found from 20 would take its time.
        let known = if pool.slots > KNOWN_FROM { pool.slots } else { 0 };
        let (initial, floor) = (known.max(20), known.max(4));
        let seats = (limit as f64 * rest_per_work(scenario, index)).ceil().max(500.0);
        let _ = write!(
            text,
            "\n[upstream.{name}]\naddresses = [\"{origin}\"]\nannounce_limit = true\n\
             limit = {{ initial = {initial}, floor = {floor}, ceiling = {limit}, wait = \"400ms\", stall = \"{:.0}ms\" }}\n\
             \n[room.{name}]\ntitle = \"{}\"\nseats = {{ floor = 4, ceiling = {seats} }}\ncall = {}\nidle = {}\nsession = {}\n\
             poll = {{ min = {}, max = {}, divisor = 10, budget = {} }}\n",
            (slowest_s * 9_000.0).max(3_000.0),
            scenario.name,
            scaled(600.0),
            idle(scenario, index),
            scaled(1_800.0),
            scaled(5.0),
            scaled(120.0),
            polling_budget(scenario),
        );
    }
    let _ = write!(
        text,
        "\n[upstream.{REST}]\naddresses = [\"{origin}\"]\n\
         limit = {{ initial = 50, floor = 10, ceiling = 500, wait = \"400ms\" }}\n"
    );
    for (number, (path, way)) in routes(scenario).into_iter().enumerate() {
        let named = |pool: usize| scenario.pools.get(pool).map(|pool| name(&pool.id));
        let upstream = way.pool.and_then(named).unwrap_or_else(|| REST.to_owned());
        let _ = write!(
            text,
            "\n[route.r{number}]\npath = \"{path}\"\nupstream = \"{upstream}\"\ntimeout = \"10s\"\n"
        );
        if let Some(room) = way.room.and_then(named) {
            let _ = writeln!(text, "room = \"{room}\"");
        }
    }
    text
}

/// How long a session lasts for each second that the pool works on it, on average over those who come
/// for the pool; at least 1.
fn rest_per_work(scenario: &Scenario, pool: usize) -> f64 {
    let (mut lasts_s, mut work_s) = (0.0, 0.0);
    for class in &scenario.classes {
        let Conduct::People(people) = &class.conduct else { continue };
        let work = scenario.work_in_pool_s(people, pool);
        if work > 0.0 {
            lasts_s += class.people as f64 * scenario.session_s(people);
            work_s += class.people as f64 * work;
        }
    }
    if work_s > 0.0 { (lasts_s / work_s).max(1.0) } else { 1.0 }
}

/// Looks a second that are borne: 5,000 by the gateway itself. Whoever expects so many people that each
/// would look less than once a minute has a cache in front of the board.
fn polling_budget(scenario: &Scenario) -> usize {
    (scenario.seekers() / 60).max(5_000)
}

/// How long a pass may rest: ten sessions of those who come for the pool, and never longer than the
/// gateway's own default. A seat that somebody left without a word is of use to nobody.
fn idle(scenario: &Scenario, pool: usize) -> String {
    let seeking = scenario.classes.iter().filter_map(|class| match &class.conduct {
        Conduct::People(people) if scenario.work_in_pool_s(people, pool) > 0.0 => Some(people),
        _ => None,
    });
    let session_s = seeking.map(|people| scenario.session_s(people)).fold(0.0, f64::max);
    let longest_s = 600.0 / scenario.time_scale;
    format!("\"{:.0}ms\"", (10.0 * session_s).min(longest_s).max(2.0) * 1_000.0)
}

/// A pool's name as configurations take it.
pub(super) fn name(pool: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = pool.chars().map(plain).collect();
    if name == REST { format!("{name}-pool") } else { name }
}

/// What a page stands behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// The pool that does the work.
    pub(super) pool: Option<usize>,
    /// The pool whose room one must have passed.
    pub(super) room: Option<usize>,
}

/// What each endpoint stands behind. A room guards a whole walk: besides the pages that need the pool,
/// those personal ones that nobody else asks for, so that people wait before they begin, and the end of
/// their session is heard.
fn ways(scenario: &Scenario) -> Vec<Way> {
    let mut ways: Vec<Way> =
        scenario.endpoints.iter().map(|end| Way { pool: end.pool, room: end.pool }).collect();
    let steps = |class: &Class| match &class.conduct {
        Conduct::People(people) => people.steps.clone(),
        Conduct::Bots(bots) => bots.steps.clone(),
    };
    let (seeking, others): (Vec<_>, Vec<_>) =
        scenario.classes.iter().partition(|class| scenario.seeks(class));
    let theirs: Vec<usize> = others.into_iter().flat_map(steps).collect();
    for steps in seeking.into_iter().map(steps) {
        let pool = |step: &usize| scenario.endpoints.get(*step).and_then(|end| end.pool);
        let Some(room) = steps.iter().find_map(pool) else { continue };
        for step in steps {
            let personal = scenario.endpoints.get(step).is_some_and(|end| end.personal || end.pool.is_some());
            if personal
                && (pool(&step).is_some() || !theirs.contains(&step))
                && let Some(way) = ways.get_mut(step)
            {
                way.room = Some(room);
            }
        }
    }
    ways
}

/// The fewest paths by which every endpoint comes to its place, when the longest path decides.
pub(super) fn routes(scenario: &Scenario) -> BTreeMap<String, Way> {
    let mut routes = BTreeMap::from([("/".to_owned(), Way::default())]);
    let mut shortest: Vec<(&Endpoint, Way)> = scenario.endpoints.iter().zip(ways(scenario)).collect();
    shortest.sort_by_key(|(end, _)| end.path.len());
    for (end, way) in shortest {
        let above = |path: &str| {
            let below = end.path.strip_prefix(path);
            path == "/" || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let nearest = routes.iter().filter(|(path, _)| above(path)).max_by_key(|(path, _)| path.len());
        if nearest.is_none_or(|(_, nearest)| *nearest != way) {
            routes.insert(end.path.clone(), way);
        }
    }
    routes
}

/// An operator's own configuration with this machine's origin behind every upstream, and a word about
/// each thing that had to go. Where it listens and keeps its state is replaced when it is started.
///
/// # Errors
/// If it is no TOML.
pub fn rewritten(text: &str, origin: SocketAddr) -> Result<(Table, Vec<String>), Trouble> {
    let mut table: Table = toml::from_str(text).map_err(|error| Trouble(error.to_string()))?;
    let listen = table.get("listen").and_then(Value::as_table).cloned().unwrap_or_default();
    let mut words: Vec<String> = listen
        .iter()
        .filter(|(key, _)| *key != "threads")
        .map(|(key, was)| match key.as_str() {
            "http" | "admin" => format!("listen.{key}: a free port of 127.0.0.1, instead of {was}"),
            "state_directory" => format!("listen.{key}: a new folder, gone after the leg, instead of {was}"),
            _ => format!("listen.{key}: left out, it was {was}"),
        })
        .collect();
    if table.remove("tls").is_some() {
        words.push("tls: left out; the crowd comes in the clear".to_owned());
    }
    if let Some(Value::Table(upstreams)) = table.get_mut("upstream") {
        for (name, upstream) in upstreams.iter_mut() {
            let Value::Table(upstream) = upstream else { continue };
            upstream.insert("addresses".into(), Value::Array(vec![Value::String(origin.to_string())]));
            words.push(format!("upstream.{name}.addresses: the scenario's origin, {origin}"));
            for key in ["tls", "protocol"] {
                if upstream.remove(key).is_some() {
                    words.push(format!(
                        "upstream.{name}.{key}: left out; the origin speaks HTTP/1.1 in the clear"
                    ));
                }
            }
            let health = upstream.get_mut("health").and_then(Value::as_table_mut);
            if health.is_some_and(|health| health.remove("path").is_some()) {
                words.push(format!("upstream.{name}.health.path: left out; the origin has not that page"));
            }
        }
    }
    Ok((table, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::lab::scenario::{SHIPPED, Source};

    fn routed(scenario: &Scenario) -> Vec<(String, Option<usize>, Option<usize>)> {
        routes(scenario).into_iter().map(|(path, way)| (path, way.pool, way.room)).collect()
    }

    fn shipped(name: &str) -> Scenario {
        Source::find(name).unwrap().read().unwrap().0
    }

    #[test]
    fn what_an_operator_would_write_is_good() {
        for (name, _) in SHIPPED {
            let text = configuration(&shipped(name), ([127, 0, 0, 1], 9).into());
            let parsed = config::parse(&format!("[listen]\nhttp = \"127.0.0.1:0\"\n{text}"), name);
            assert!(matches!(&parsed, Ok((_, warnings)) if warnings.is_empty()), "{text}\n{parsed:#?}");
        }
    }

    #[test]
    fn every_page_comes_to_its_pool_and_a_whole_walk_is_behind_its_room() {
        let line = |path: &str, pool, room| (path.to_owned(), pool, room);
        assert_eq!(routed(&shipped("s-cb")), [line("/", None, None), line("/wallet", Some(0), Some(0))]);
        let bici = [
            line("/", None, None),
            line("/bonus/login", Some(0), Some(0)),
            line("/bonus/voucher", None, Some(0)),
        ];
        assert_eq!(routed(&shipped("s-bb")), bici);
        let inps = [
            line("/", None, None),
            line("/domanda", None, Some(0)),
            line("/domanda/invio", Some(0), Some(0)),
        ];
        assert_eq!(routed(&shipped("s-in")), inps);
    }

    #[test]
    fn a_page_outside_the_pool_but_below_its_path_has_a_route_of_its_own() {
        let mut scenario = shipped("s-cb");
        let mut help = scenario.endpoints[0].clone();
        (help.path, help.pool) = ("/wallet/card/help".to_owned(), None);
        scenario.endpoints.push(help);
        assert!(routed(&scenario).contains(&("/wallet/card/help".to_owned(), None, None)));
    }

    #[test]
    fn an_operators_file_is_brought_here_and_what_had_to_go_is_said() {
        let text = "[listen]\nhttp = \"0.0.0.0:80\"\n[tls]\nmin_version = \"1.3\"\n\
                    [upstream.app]\naddresses = [\"10.0.0.5:8080\"]\nprotocol = \"http2\"\ntls = {}\nhealth = { path = \"/up\" }\n\
                    [route.all]\nupstream = \"app\"\n";
        let (table, words) = rewritten(text, ([127, 0, 0, 1], 9).into()).unwrap();
        assert_eq!(words.len(), 6, "{words:#?}");
        let text = toml::to_string(&table).unwrap();
        let (settings, _) = config::parse(&text, "rewritten").unwrap();
        assert_eq!(settings.upstreams.len(), 1);
        assert!(text.contains("127.0.0.1:9") && !text.contains("10.0.0.5") && !text.contains("/up"));
    }
}
