//! The operators' side, on a thread and runtime of its own, so that it answers when the data path
//! drowns.
//!
//! - `GET /live`: 200 while the process runs.
//! - `GET /ready`: 200 while it takes connections; 503 from the stop signal on.
//! - `GET /metrics`: Prometheus text.
//! - `GET /status`: rooms, upstreams and the last reload, JSON.
//! - `POST /rooms/ROOM/revoke`, a ticket or pass as body: it is worth nothing from now on.
//! - `POST /rooms/ROOM/draw`, randomness as body: what the draw waits for.
//! - `POST /explain/ticket`, a code or a number as body, `?room=ROOM&lane=LANE`: where its place
//!   stands.
//! - `POST /rooms/ROOM/end`: the event is over, for good; who was there is erased.
//! - `POST /reload`: reads the configuration again; 200 if it is in force, 422 if it is refused.
//!
//! Bind it to loopback or a private network: who reaches it may reload and revoke. All but looks are refused that a
//! browser makes for a web page, so that none can do either from an operator's desk.

mod draw;
mod end;
mod revoke;
mod ticket;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admission::knee::{KneeFacts, Verdict};
use crate::admission::lane::LaneFacts;
use crate::app::reload::Reloader;
use crate::proxy::Proxy;
use crate::proxy::board::state;
use crate::proxy::lane;
use crate::proxy::live::Room;

/// What the operators' side can see and do.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The request path.
    pub proxy: Arc<Proxy>,
    /// Puts configurations in place.
    pub reloader: Arc<Reloader>,
    /// True from the stop signal on.
    pub stop: watch::Receiver<bool>,
}

/// Serves on a thread of its own until the process ends.
///
/// # Errors
/// If there is no thread or no runtime.
pub fn serve(listener: TcpListener, desk: Desk) -> std::io::Result<()> {
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let data_path = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("admin".into()).spawn(move || {
        let mut stop = desk.stop.clone();
        let serving = async move {
            let listener = TcpListener::from_std(listener)?;
            let routes = Router::new()
                .route("/live", get(|| async { "live\n" }))
                .route("/ready", get(ready))
                .route("/metrics", get(metrics))
                .route("/status", get(status))
                .route("/reload", post(reload))
                .route("/explain/ticket", post(ticket::explain))
                .route("/rooms/{room}/revoke", post(revoke::revoke))
                .route("/rooms/{room}/draw", post(draw::randomness))
                .route("/rooms/{room}/end", post(end::end))
                .layer(middleware::from_fn(refuse_pages))
                .with_state((desk, data_path));
            let serve = axum::serve(listener, routes);
            tokio::select! {
                served = serve => served,
                () = drained(&mut stop) => Ok(()),
            }
        };
        if let Err(error) = runtime.block_on(serving) {
            tracing::error!(%error, "the admin listener ended");
        }
    })?;
    Ok(())
}

/// Readiness is answered through the drain; the sender is dropped when that is over.
async fn drained(stop: &mut watch::Receiver<bool>) {
    while stop.changed().await.is_ok() {}
}

type Shared = State<(Desk, tokio::runtime::Handle)>;

async fn ready(State((desk, _)): Shared) -> Response {
    if *desk.stop.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

async fn metrics(State((desk, _)): Shared) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, desk.proxy.witness.metrics.text()).into_response()
}

async fn status(State((desk, _)): Shared) -> Json<Value> {
    let live = desk.proxy.live.load_full();
    let now = desk.proxy.clock.now();
    let rooms: serde_json::Map<String, Value> = live
        .rooms
        .iter()
        .map(|(name, room)| {
            let facts = room.line.facts(&room.settings.policy);
            let (word, reason) = state(facts.state);
            let told = json!({
                "state": word, "reason": reason, "epoch": facts.epoch, "cursor": facts.cursor,
                "issued": facts.issued, "waiting": facts.issued - facts.cursor, "seats": facts.seats,
                "active": facts.active, "front_row": facts.front_row, "outstanding_calls": facts.outstanding,
                "calls_per_second": facts.rate, "show_rate": facts.show_rate, "kappa": facts.kappa,
                "late": facts.late, "remaining": facts.remaining, "lanes": lanes(room),
            });
            (name.clone(), told)
        })
        .collect();
    let upstreams: serde_json::Map<String, Value> = live
        .clusters
        .iter()
        .map(|(name, cluster)| {
            let facts = cluster.gate.facts(now);
            let addresses: Vec<Value> = cluster
                .addresses()
                .into_iter()
                .map(|(address, up, in_flight)| json!({ "address": address.to_string(), "up": up, "in_flight": in_flight }))
                .collect();
            let rules = cluster.gate.policy();
            let told = json!({
                "limit": facts.limit, "floor": rules.floor, "ceiling": rules.ceiling,
                "law": rules.law.word(), "knee": cluster.gate.knee().map(knee),
                "in_flight": facts.in_flight, "queued": facts.queued,
                "stalled": facts.stalled, "up": !cluster.is_down(), "addresses": addresses,
            });
            (name.clone(), told)
        })
        .collect();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"), "generation": live.generation,
        "connections": desk.proxy.witness.metrics.connections.get(),
        "rooms": rooms, "upstreams": upstreams, "last_reload": desk.reloader.last(),
    }))
}

/// The lanes of a room, none where there is one line.
fn lanes(room: &Room) -> Value {
    let weight = |name: &str| {
        let lanes = &room.settings.policy.lanes;
        lanes.iter().find(|lane| lane.name == name).map_or(1, |lane| lane.weight)
    };
    let told = |(name, facts): (String, LaneFacts)| {
        json!({
            "name": name, "weight": weight(&name), "cursor": facts.cursor, "issued": facts.issued,
            "waiting": facts.issued - facts.cursor, "calls_per_second": facts.rate,
            "front_row": facts.front_row, "late": facts.late, "called": facts.called, "seated": facts.seated,
        })
    };
    lane::lanes(room).into_iter().map(told).collect()
}

/// What the law of a limit believes.
fn knee(facts: KneeFacts) -> Value {
    let cut = facts.last_cut.map(|cut| {
        let verdict = cut.verdict.map(Verdict::word);
        json!({ "cause": cut.cause.word(), "verdict": verdict, "from": cut.from, "to": cut.to })
    });
    json!({
        "phase": facts.phase.word(), "baseline_ms": 1_000.0 * facts.baseline_s,
        "in_flight": facts.in_flight, "queue": facts.queue, "limited": facts.limited, "last_cut": cut,
    })
}

/// No page changes anything, whatever the route: it stands before all of them, also before those that are still to be
/// written. A browser says of each of its requests but a plain look that a page is behind it.
async fn refuse_pages(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_from_a_page = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if is_from_a_page && !request.method().is_safe() {
        return (StatusCode::FORBIDDEN, "not from a web page\n").into_response();
    }
    next.run(request).await
}

async fn reload(State((desk, data_path)): Shared) -> Response {
    // On the data path's runtime: what a reload starts must live there.
    let reloader = Arc::clone(&desk.reloader);
    match data_path.spawn(async move { reloader.reload().await }).await {
        Ok(report) => {
            let status = if report.applied { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            (status, Json(report)).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
