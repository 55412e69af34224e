//! Envoy: the adaptive concurrency filter with the values of its documentation, for the paths of the
//! pools only.

use std::fmt::Write as _;

use super::{Plan, words};

const FILTER: &str = "envoy.filters.http.adaptive_concurrency";

pub(super) fn configuration(plan: &Plan<'_>) -> (String, Vec<String>) {
    let Plan { site, origin, ways, .. } = plan;
    let mut routes = String::new();
    for way in ways {
        let key = if way.path == "/" { "prefix" } else { "path_separated_prefix" };
        let _ = write!(
            routes,
            "              - match: {{ {key}: \"{}\" }}\n                route: {{ cluster: origin, timeout: 10s }}\n",
            way.path
        );
        if way.pool.is_none() {
            let _ = write!(
                routes,
                "                typed_per_filter_config:\n                  {FILTER}:\n                    \
                 \"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig\n                    disabled: true\n"
            );
        }
    }
    let text = format!(
        r#"static_resources:
  listeners:
  - address: {{ socket_address: {{ address: {site_ip}, port_value: {site_port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: crowd
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
{routes}          http_filters:
          - name: {FILTER}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency
              gradient_controller_config:
                sample_aggregate_percentile: {{ value: 90 }}
                concurrency_limit_params: {{ concurrency_update_interval: 0.1s }}
                min_rtt_calc_params: {{ jitter: {{ value: 10 }}, interval: 60s, request_count: 50 }}
              enabled: {{ default_value: true, runtime_key: adaptive_concurrency.enabled }}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: origin
    connect_timeout: 2s
    type: STATIC
    circuit_breakers: {{ thresholds: [{{ max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 }}] }}
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: {origin_ip}, port_value: {origin_port} }} }} }}
"#,
        site_ip = site.ip(),
        site_port = site.port(),
        origin_ip = origin.ip(),
        origin_port = origin.port(),
    );
    (text, words("-c FILE --log-level error --use-dynamic-base-id"))
}
