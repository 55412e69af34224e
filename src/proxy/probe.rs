//! Whether an address answers: a connection that opens, or a path that answers 200.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::BodyExt;

use super::body::Upload;
use super::connection::open;
use crate::config::settings::HealthSettings;

/// Most bytes of a probe's answer that are read.
const ANSWER_MAX: usize = 64 * 1024;

/// Probes an address within its time.
///
/// # Errors
/// What was wrong, in words.
pub async fn probe(address: SocketAddr, rules: &HealthSettings) -> Result<(), String> {
    match tokio::time::timeout(rules.timeout, ask(address, rules.path.as_deref(), rules.timeout)).await {
        Ok(answered) => answered,
        Err(_) => Err("no answer in time".to_owned()),
    }
}

async fn ask(address: SocketAddr, path: Option<&str>, timeout: Duration) -> Result<(), String> {
    let mut connection = open(address, timeout).await.map_err(|error| error.0)?;
    let Some(path) = path else { return Ok(()) };
    let mut request = Request::new(Upload::empty());
    *request.uri_mut() = path.parse().map_err(|_| format!("{path} is no path"))?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("tornello-probe"));
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("tornello-probe"));
    let sent = connection.sender.send_request(request).await;
    let response = sent.map_err(|error| error.to_string())?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(format!("{path} answered {}", status.as_u16()));
    }
    // Read to its end, so that upstreams do not log a client that broke off.
    let mut body = response.into_body();
    let mut left = ANSWER_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Bytes::len));
        if left == 0 {
            break;
        }
    }
    Ok(())
}
