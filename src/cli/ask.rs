//! One question to a running gateway's admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;

use super::Whom;
use super::check::load;

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks; the error is for people.
pub(super) fn ask(whom: &Whom, method: Method, path: &str) -> Result<(StatusCode, Bytes), String> {
    let configured = || load(&whom.config).map(|(settings, _)| settings.boot.admin);
    let Some(admin) = whom.admin.or_else(configured) else {
        return Err("the admin address is not known; name it with --admin HOST:PORT".to_owned());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let asking = tokio::time::timeout(PATIENCE, exchange(admin, method, path));
        asking.await.unwrap_or_else(|_| Err(format!("{admin} did not answer in {} s", PATIENCE.as_secs())))
    })
}

async fn exchange(admin: SocketAddr, method: Method, path: &str) -> Result<(StatusCode, Bytes), String> {
    let tell = |error: &dyn std::fmt::Display| format!("{admin}: {error}; is the gateway running?");
    let stream = tokio::net::TcpStream::connect(admin).await.map_err(|error| tell(&error))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| tell(&error))?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", admin.to_string());
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| tell(&error))?;
    let response = sender.send_request(request).await.map_err(|error| tell(&error))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| tell(&error))?;
    Ok((status, body.to_bytes()))
}
