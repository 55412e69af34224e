//! One question to a running gateway's admin listener.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

use super::Whom;

/// The admin address that a file names, also if something else in it is wrong: that is when operators
/// need to ask.
fn configured(file: &Path) -> Result<SocketAddr, String> {
    let unknown = |why: &dyn std::fmt::Display| {
        format!("the admin address is not known ({}: {why}); name it with --admin HOST:PORT", file.display())
    };
    let text = std::fs::read_to_string(file).map_err(|error| unknown(&error))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| unknown(&error.message()))?;
    let named = table.get("listen").and_then(|listen| listen.get("admin")).and_then(toml::Value::as_str);
    named.unwrap_or(ADMIN_DEFAULT).parse().map_err(|error| unknown(&error))
}

/// Where the gateway's admin listener is unless the file says otherwise.
const ADMIN_DEFAULT: &str = "127.0.0.1:9901";
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks; the error is for people.
pub(super) fn ask(whom: &Whom, method: Method, path: &str) -> Result<(StatusCode, Bytes), String> {
    ask_with(whom, method, path, Bytes::new())
}

/// Asks for what takes its time.
pub(super) fn ask_patiently(
    whom: &Whom,
    method: Method,
    path: &str,
    patience: Duration,
) -> Result<(StatusCode, Bytes), String> {
    ask_within(whom, method, path, Bytes::new(), patience)
}

/// Asks with a body.
pub(super) fn ask_with(
    whom: &Whom,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), String> {
    ask_within(whom, method, path, body, PATIENCE)
}

fn ask_within(
    whom: &Whom,
    method: Method,
    path: &str,
    body: Bytes,
    patience: Duration,
) -> Result<(StatusCode, Bytes), String> {
    let admin = match whom.admin {
        Some(admin) => admin,
        None => configured(&whom.config)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let asking = tokio::time::timeout(patience, exchange(admin, method, path, body));
        asking.await.unwrap_or_else(|_| Err(format!("{admin} did not answer in {} s", patience.as_secs())))
    })
}

async fn exchange(
    admin: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), String> {
    let tell = |error: &dyn std::fmt::Display| {
        format!(
            "{admin}: {error}; is the gateway running, and was its admin address changed without a restart?"
        )
    };
    let stream = tokio::net::TcpStream::connect(admin).await.map_err(|error| tell(&error))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| tell(&error))?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", admin.to_string());
    let request = request.body(Full::new(body)).map_err(|error| tell(&error))?;
    let response = sender.send_request(request).await.map_err(|error| tell(&error))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| tell(&error))?;
    Ok((status, body.to_bytes()))
}
