//! HAProxy: `maxconn` for the server, and `timeout queue` half as long as a client waits, so that whoever
//! leaves the queue is mostly still there. Without `option abortonclose`: with it a slot is free as soon
//! as its client is gone while the origin works on, and the limit is none (44 of 1,200 instead of 765).

use std::fmt::Write as _;

use super::{Plan, words};

pub(super) fn configuration(plan: &Plan<'_>) -> (String, Vec<String>) {
    let Plan { site, origin, ways, patience, connections, .. } = plan;
    let mut text = format!(
        "global\n    maxconn {connections}\n\
         defaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n\
         \x20   timeout server 10s\n    timeout http-keep-alive 30s\n    timeout queue {}ms\n\
         frontend crowd\n    bind {site}\n",
        patience.as_millis() / 2,
    );
    for (index, way) in ways.iter().enumerate().filter(|(_, way)| way.path != "/") {
        let _ = writeln!(text, "    acl way{index} path {0}\n    acl way{index} path_beg {0}/", way.path);
        let backend = way.pool.as_ref().map_or("rest", |(name, _)| name.as_str());
        let _ = writeln!(text, "    use_backend {backend} if way{index}");
    }
    text.push_str("    default_backend rest\n");
    let _ = writeln!(text, "backend rest\n    server origin {origin}");
    let mut pools: Vec<_> = ways.iter().filter_map(|way| way.pool.as_ref()).collect();
    pools.sort();
    pools.dedup();
    for (name, limit) in pools {
        let _ = writeln!(text, "backend {name}\n    server origin {origin} maxconn {limit}");
    }
    (text, words("-db -f FILE"))
}
