//! nginx: `limit_conn` for all requests of a pool together. It has no queue: beyond the limit it answers
//! 503. It waits for the origin also when the client left (`proxy_ignore_client_abort`), so that its
//! count is true.

use std::fmt::Write as _;

use super::{Plan, words};

pub(super) fn configuration(plan: &Plan<'_>) -> (String, Vec<String>) {
    let Plan { folder, site, origin, ways, connections, .. } = plan;
    let folder = folder.display();
    let mut text = format!(
        "daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nworker_processes auto;\n\
         events {{ worker_connections {connections}; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n\
         \x20 fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n\
         \x20 limit_conn_status 503;\n  limit_conn_log_level info;\n\
         \x20 upstream origin {{ server {origin} max_fails=0; keepalive 64; }}\n"
    );
    let mut pools: Vec<_> = ways.iter().filter_map(|way| way.pool.as_ref()).collect();
    pools.sort();
    pools.dedup();
    for (name, _) in pools {
        let _ = writeln!(text, "  limit_conn_zone $server_name zone={name}:1m;");
    }
    let _ = writeln!(
        text,
        "  server {{\n    listen {site} backlog=20000;\n    server_name all;\n    keepalive_requests 100000;\n\
         \x20   proxy_http_version 1.1;\n    proxy_set_header Connection \"\";\n    proxy_read_timeout 10s;"
    );
    for way in ways {
        let matching: &[String] = match way.path.as_str() {
            "/" => &["/".to_owned()],
            path => &[format!("= {path}"), format!("^~ {path}/")],
        };
        for matching in matching {
            let limit = way.pool.as_ref().map_or_else(String::new, |(name, limit)| {
                format!(" limit_conn {name} {limit}; proxy_ignore_client_abort on;")
            });
            let _ = writeln!(text, "    location {matching} {{{limit} proxy_pass http://origin; }}");
        }
    }
    text.push_str("  }\n}\n");
    (text, words("-c FILE"))
}
