//! A room's webhook: tells the body's own app or mail whose turn comes soon. Signed, never redirected, verified
//! over TLS like an upstream, a connection for each message.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::transport::{Line, Transport};
use super::wire::Socket;
use crate::admission::UnixTime;
use crate::config::settings::{Protocol, UpstreamTls, WebhookSettings};
use crate::proof::hex;
use crate::store::reminders::WebhookKey;

/// Longest time that one try may take, from the name to the head of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Shortest secret, in bytes.
const SECRET_MIN: usize = 32;

/// Where a room's turns are announced. Built anew at each reload.
#[derive(Debug)]
pub struct Webhook {
    /// What the operator decided.
    pub settings: WebhookSettings,
    /// Host and port.
    entry: String,
    transport: Transport,
    secret: Secret,
    key: WebhookKey,
}

/// Signs; shown to nobody.
struct Secret(Hmac<Sha256>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A message was not taken.
#[derive(Debug)]
pub struct NotTaken {
    /// Why, in words.
    pub why: String,
    /// It may be another time.
    pub again: bool,
}

impl NotTaken {
    fn yet(why: impl ToString) -> Self {
        Self { why: why.to_string(), again: true }
    }
}

impl Webhook {
    /// Makes ready what `settings` say. Reads the secret, and who may vouch for the receiver.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn build(settings: &WebhookSettings) -> Result<Self, String> {
        let file = settings.secret.display();
        let read =
            std::fs::read(&settings.secret).map_err(|error| format!("{file} cannot be read: {error}"))?;
        let secret = read.trim_ascii();
        if secret.len() < SECRET_MIN {
            return Err(format!("{file} holds {} bytes, a secret has {SECRET_MIN} at least", secret.len()));
        }
        let secret: Hmac<Sha256> = Hmac::new_from_slice(secret).map_err(|error| error.to_string())?;
        let key = WebhookKey::of(&secret);
        let encrypted = settings.url.scheme_str() == Some("https");
        let tls = encrypted.then(|| UpstreamTls { server_name: None, ca: settings.ca.clone() });
        let transport = Transport::of(Protocol::Http1, tls.as_ref()).map_err(|error| error.to_string())?;
        let port = settings.url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        let entry = format!("{}:{port}", settings.url.host().unwrap_or_default());
        Ok(Self { settings: settings.clone(), entry, transport, secret: Secret(secret), key })
    }

    /// By which those are sealed in the state who asked to be told.
    #[must_use]
    pub fn key(&self) -> &WebhookKey {
        &self.key
    }

    /// Posts a message that is called `id`, the same at each try.
    ///
    /// # Errors
    /// [`NotTaken`], if no 2xx came in time.
    pub async fn post(&self, id: &str, body: Bytes, now: UnixTime) -> Result<(), NotTaken> {
        let posted = tokio::time::timeout(PATIENCE, self.try_post(id, body, now)).await;
        posted.unwrap_or_else(|_| Err(NotTaken::yet("no answer in time")))
    }

    async fn try_post(&self, id: &str, body: Bytes, now: UnixTime) -> Result<(), NotTaken> {
        let stream = TcpStream::connect(&self.entry).await.map_err(NotTaken::yet)?;
        let line = self.transport.secure(Socket::new(stream), &self.entry).await;
        match line.map_err(|error| NotTaken::yet(error.0))? {
            Line::Clear(stream) => self.say(stream, id, body, now).await,
            Line::Encrypted(stream) => self.say(*stream, id, body, now).await,
        }
    }

    async fn say<S>(&self, stream: S, id: &str, body: Bytes, now: UnixTime) -> Result<(), NotTaken>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(NotTaken::yet)?;
        let driving = tokio::spawn(connection);
        let url = &self.settings.url;
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(HOST, url.authority().map_or("", |authority| authority.as_str()))
            .header(USER_AGENT, "tornello")
            .header(CONTENT_TYPE, "application/json")
            .header("tornello-delivery", id)
            .header("tornello-signature", self.signature(&body, now))
            .body(Full::new(body))
            .map_err(|error| NotTaken { why: error.to_string(), again: false })?;
        let answer = sender.send_request(request).await;
        // What the answer says besides its status is nobody's question.
        driving.abort();
        let status = answer.map_err(NotTaken::yet)?.status();
        if status.is_success() {
            return Ok(());
        }
        let again = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        Err(NotTaken { why: format!("answered {}", status.as_u16()), again })
    }

    /// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the time, a point, and the body.
    fn signature(&self, body: &[u8], now: UnixTime) -> String {
        let seconds = now.0 / 1000;
        let mac = self.secret.0.clone().chain_update(format!("{seconds}.")).chain_update(body);
        format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
    }
}
