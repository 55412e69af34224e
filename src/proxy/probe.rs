//! Whether an address answers: a connection that opens, or a path that answers 200.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::BodyExt;

use super::connection::open;
use super::forward::Head;
use super::transport::Transport;
use super::upload::Upload;
use crate::admission::Moment;
use crate::config::settings::HealthSettings;

/// Most bytes of a probe's answer that are read.
const ANSWER_MAX: usize = 64 * 1024;

/// Probes an address, which stands as `entry` in the configuration, within its time.
///
/// # Errors
/// What was wrong, in words.
pub async fn probe(
    address: SocketAddr,
    entry: &str,
    transport: &Arc<Transport>,
    rules: &HealthSettings,
) -> Result<(), String> {
    match tokio::time::timeout(rules.timeout, ask(address, entry, transport, rules.path.as_deref())).await {
        Ok(answered) => answered,
        Err(_) => Err("no answer in time".to_owned()),
    }
}

async fn ask(
    address: SocketAddr,
    entry: &str,
    transport: &Arc<Transport>,
    path: Option<&str>,
) -> Result<(), String> {
    // A connection of its own: how long it has rested is nobody's question.
    let opened = open(transport, address, entry, Moment(0)).await;
    let mut connection = opened.map_err(|error| error.0)?;
    let Some(path) = path else { return Ok(()) };
    let target: Uri = path.parse().map_err(|_| format!("{path} is no path"))?;
    let mut fields = HeaderMap::new();
    let host = HeaderValue::try_from(transport.probe_host(entry)).map_err(|error| error.to_string())?;
    fields.insert(HOST, host);
    fields.insert(USER_AGENT, HeaderValue::from_static("tornello-probe"));
    let head = Head { method: Method::GET, target, fields };
    let sent = connection.send(head.with(Upload::empty(), transport)).await;
    let response = sent.map_err(|error| error.into_error().to_string())?;
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
