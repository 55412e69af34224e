//! Ends the event of a room, for good.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use std::sync::Arc;

use super::Shared;
use crate::app::EndError;

/// Everybody of `room` is out, and what could lead to them is erased.
pub(super) async fn end(State((desk, data_path)): Shared, Path(room): Path<String>) -> Response {
    let (reloader, asked) = (Arc::clone(&desk.reloader), room.clone());
    // Whoever asks may go meanwhile: what was begun is finished.
    let ending = data_path.spawn(async move { reloader.end(&asked).await }).await;
    match ending.unwrap_or_else(|error| Err(EndError::Broken(error.to_string()))) {
        Ok(ending) => {
            let told =
                json!({ "room": room, "state": "ended", "at_ms": ending.at_ms, "erased": ending.erased() });
            Json(told).into_response()
        }
        Err(EndError::Unknown) => (StatusCode::NOT_FOUND, "there is no such room\n").into_response(),
        Err(error @ EndError::Left(_)) => {
            tracing::error!(room, %error, "the event ended, and something is left of it");
            let why = "it has ended, and what was erased still stands in a file beside the state: it could not be written over; ask again\n";
            (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        }
        Err(error) => {
            tracing::error!(room, %error, "the event did not end");
            let why = "nothing has ended: the disk fails; ask again\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}
