//! Fetches keys from their issuer, off the request path.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest time that it may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer.
const BYTES_MAX: usize = 256 * 1024;

/// What stands at `address`, verified by the authorities that the system trusts. Redirects are not followed.
pub(super) async fn get(address: &str) -> Result<Bytes, String> {
    match tokio::time::timeout(PATIENCE, fetch(address)).await {
        Ok(got) => got.map_err(|why| format!("{address}: {why}")),
        Err(_) => Err(format!("{address} does not answer within {} s", PATIENCE.as_secs())),
    }
}

async fn fetch(address: &str) -> Result<Bytes, String> {
    let uri: Uri = address.parse().map_err(|error| format!("{error}"))?;
    let host = uri.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme() != Some(&Scheme::HTTP);
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let socket = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
    if !secure {
        return exchange(TokioIo::new(socket), &uri).await;
    }
    let config =
        tokio::task::spawn_blocking(trusting_the_system).await.map_err(|error| error.to_string())??;
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    exchange(TokioIo::new(shaken.map_err(|error| error.to_string())?), &uri).await
}

async fn exchange<S>(socket: S, uri: &Uri) -> Result<Bytes, String>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(socket).await.map_err(|error| error.to_string())?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(target).header(HOST, authority).header(ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("answers {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
    };
    tokio::pin!(asked);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        got = &mut asked => got,
        ended = &mut connection => {
            ended.map_err(|error| error.to_string())?;
            asked.await
        }
    }
}

fn trusting_the_system() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system trusts no authority; install ca-certificates".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
