//! Takes randomness for a draw: a round of drand, or the secrets of the parties, told by an operator.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Shared;

/// The line `{"drand":…}` or `{"reveals":…}` of the draw of `room`, as body.
pub(super) async fn randomness(State((desk, _)): Shared, Path(room): Path<String>, body: Bytes) -> Response {
    let live = desk.proxy.live.load_full();
    let Some(room) = live.rooms.get(&room) else {
        return (StatusCode::NOT_FOUND, "there is no such room\n").into_response();
    };
    // One line, however it was written.
    let line = serde_json::from_slice::<serde_json::Value>(&body).map(|told| told.to_string());
    let told = match line {
        Ok(line) => room.line.offer(&line).await.map_err(|error| error.to_string()),
        Err(error) => Err(format!("not JSON: {error}")),
    };
    match told {
        Ok(true) => {
            tracing::info!(room = room.line.name, "randomness was given to the draw");
            Json(json!({ "room": room.line.name, "state": "drawn" })).into_response()
        }
        Ok(false) => {
            let why = "believed, but not written down yet: the disk fails; it is tried again\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        Err(why) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")).into_response(),
    }
}
