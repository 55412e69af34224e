//! `[[endpoint]]`, `[pool.NAME]`, `[stock.NAME]`.

use std::collections::BTreeSet;

use http::HeaderValue;

use super::super::raw::{RawEndpoint, RawPool, RawScenario};
use super::super::{Endpoint, Pool};
use super::{Judge, element, pool_index};
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::lab::origin::HEALTH;

/// What endpoints say about being stored, unless the scenario says otherwise: what frameworks say.
const ORDINARY: &str = "no-cache";

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    let pools: Vec<&str> = raw.pool.keys().map(String::as_str).collect();
    let stocks: Vec<&str> = raw.stock.keys().map(String::as_str).collect();
    for (index, end) in raw.endpoint.iter().enumerate() {
        let path = element("endpoint", index);
        twice(judge, &path, index);
        reserved(judge, &path, end);
        if let Some(pool) = &end.pool {
            judge.name(&path.key("pool"), pool, &pools, "[pool.NAME]");
        }
        if let Some(stock) = &end.sells {
            judge.name(&path.key("sells"), stock, &stocks, "[stock.NAME]");
        }
        let header = end.cache_control.as_deref().unwrap_or(ORDINARY);
        judge.refuse_if(HeaderValue::from_str(header).is_err(), || {
            let help = "write it as it stands in an answer: `\"public, max-age=60\"`";
            let message = format!("`{path}.cache_control` cannot stand in a header");
            Finding::error(path.key("cache_control"), message, help)
        });
    }
    let ids: BTreeSet<&str> = raw.endpoint.iter().map(|end| end.id.0.0.as_str()).collect();
    if ids.len() < raw.endpoint.len() {
        // One of two that are called alike is called something else, and nobody knows what.
        judge.findings.taint(at(&["endpoint"]));
    }
    for name in raw.pool.keys() {
        let path = at(&["pool", name]);
        let used = raw.endpoint.iter().any(|end| end.pool.as_ref() == Some(name));
        judge.refuse_if(!used, || {
            let help = format!("write `pool = \"{name}\"` in an endpoint, or remove the pool");
            let message = format!("no endpoint needs the pool `{name}`");
            Finding::warning(path.clone(), message, help).about(at(&["endpoint"]))
        });
    }
    for name in raw.stock.keys() {
        let used = raw.endpoint.iter().any(|end| end.sells.as_ref() == Some(name));
        judge.refuse_if(!used, || {
            let help = format!("write `sells = \"{name}\"` in an endpoint, or remove the stock");
            let message = format!("no endpoint sells the stock `{name}`");
            Finding::warning(at(&["stock", name]), message, help).about(at(&["endpoint"]))
        });
    }
}

/// Names and paths tell endpoints apart.
fn twice(judge: &mut Judge<'_, '_>, path: &KeyPath, index: usize) {
    let raw = judge.raw;
    let Some(end) = raw.endpoint.get(index) else { return };
    let before = || raw.endpoint.iter().take(index);
    if let Some(first) = before().position(|other| other.id == end.id) {
        let message = format!("two endpoints are called `{}`", end.id.0.0);
        let help = "give each a name of its own";
        judge.add(
            Finding::error(path.key("id"), message, help)
                .related(element("endpoint", first).key("id"), "here, too"),
        );
    } else if let Some(first) = before().position(|other| other.path == end.path) {
        let message = format!("two endpoints have the path `{}`", end.path.0.0);
        let help = "give each a path of its own, whatever its method";
        judge.add(
            Finding::error(path.key("path"), message, help)
                .related(element("endpoint", first).key("path"), "here, too"),
        );
    }
}

fn reserved(judge: &mut Judge<'_, '_>, path: &KeyPath, end: &RawEndpoint) {
    let ours = end.path.0.0.starts_with("/.tornello") || end.path.0.0 == HEALTH;
    judge.refuse_if(ours, || {
        let message =
            format!("`{}` is not a path for pages: it is the gateway's, or for probes", end.path.0.0);
        Finding::error(path.key("path"), message, "choose another path")
    });
}

pub(super) fn build(raw: &RawScenario, end: &RawEndpoint) -> Endpoint {
    Endpoint {
        id: end.id.0.0.clone(),
        path: end.path.0.0.clone(),
        method: end.method,
        pool: end.pool.as_ref().and_then(|name| pool_index(raw, name)),
        service: end.service_s.span(),
        personal: end.personal,
        ends_session: end.ends_session,
        idempotency_key: end.idempotency_key,
        sells: end.sells.as_ref().and_then(|name| raw.stock.keys().position(|id| id == name)),
        cache_control: end.cache_control.clone().unwrap_or_else(|| ORDINARY.to_owned()),
        bytes: end.bytes,
    }
}

pub(super) fn pool(id: &str, raw: &RawPool) -> Pool {
    let (id, thrash) = (id.to_owned(), raw.thrash);
    Pool { id, slots: raw.slots, bounded: raw.bounded, zombies: raw.zombies, thrash }
}
