//! Ends the event of a room, for good.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Shared, is_from_a_page};
use crate::app::EndError;

/// Everybody of `room` is out, and what could lead to them is erased.
pub(super) async fn end(State((desk, _)): Shared, Path(room): Path<String>, headers: HeaderMap) -> Response {
    if is_from_a_page(&headers) {
        return (StatusCode::FORBIDDEN, "not from a web page\n").into_response();
    }
    match desk.reloader.end(&room).await {
        Ok(ending) => {
            let told =
                json!({ "room": room, "state": "ended", "at_ms": ending.at_ms, "erased": ending.erased() });
            Json(told).into_response()
        }
        Err(EndError::Unknown) => (StatusCode::NOT_FOUND, "there is no such room\n").into_response(),
        Err(error) => {
            tracing::error!(room, %error, "the event did not end");
            let why = "nothing has ended: the disk fails; ask again\n";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}
