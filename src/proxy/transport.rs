//! What a cluster's connections are made of: HTTP/1.1 or HTTP/2, in cleartext or over TLS.
//!
//! Who answers is always verified: against the authorities in the operator's file or those that the
//! system trusts, and under the name that the operator gave or that the address has.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::ConnectError;
use super::wire::Socket;
use crate::config::settings::{Protocol, UpstreamSettings, UpstreamTls};

/// How connections of one cluster are made. Two clusters' are the same only if they are one value, so
/// that nothing pooled under older rules is used under newer ones. The default is HTTP/1.1 in cleartext.
#[derive(Debug, Default)]
pub struct Transport {
    /// What is spoken.
    pub protocol: Protocol,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    config: Arc<ClientConfig>,
    /// The operator's word; else the host of the address is expected.
    server_name: Option<ServerName<'static>>,
    /// Of all authorities, so that a reload notices another file under the same name.
    authorities: [u8; 32],
}

/// The authorities that shall vouch for an upstream cannot be had.
#[derive(Debug)]
pub struct TransportError(pub String);

impl std::fmt::Display for TransportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Transport {
    /// Makes ready what `settings` say. Reads files.
    ///
    /// # Errors
    /// [`TransportError`] with the file and what is wrong with it.
    pub fn build(settings: &UpstreamSettings) -> Result<Self, TransportError> {
        Self::of(settings.protocol, settings.tls.as_ref())
    }

    /// Makes ready connections that speak `protocol`, encrypted as `tls` says. Reads files.
    ///
    /// # Errors
    /// [`TransportError`] with the file and what is wrong with it.
    pub fn of(protocol: Protocol, tls: Option<&UpstreamTls>) -> Result<Self, TransportError> {
        let tls = tls.map(|tls| Tls::build(tls, protocol)).transpose()?;
        Ok(Self { protocol, tls })
    }

    /// Whether connections made by one are as good as those made by the other.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let seen = |transport: &Self| {
            let tls = transport.tls.as_ref();
            (transport.protocol, tls.map(|tls| (tls.server_name.clone(), tls.authorities)))
        };
        seen(self) == seen(other)
    }

    /// Over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// The host that a probe asks for: over TLS the name that is verified, because many servers refuse a
    /// request for any other.
    #[must_use]
    pub fn probe_host(&self, entry: &str) -> String {
        let name = self.tls.as_ref().and_then(|tls| tls.name(entry));
        name.map_or_else(|| "tornello-probe".to_owned(), |name| name.to_str().into_owned())
    }

    /// Encrypts a fresh connection to an address that stands as `entry` in the configuration; hands it
    /// back as it is where cleartext was asked for.
    pub(super) async fn secure(&self, socket: Socket, entry: &str) -> Result<Line, ConnectError> {
        let Some(tls) = &self.tls else { return Ok(Line::Clear(socket)) };
        let name = tls.name(entry).ok_or_else(|| ConnectError(format!("{entry} has no name to verify")))?;
        let shaken = TlsConnector::from(Arc::clone(&tls.config)).connect(name.clone(), socket).await;
        let stream =
            shaken.map_err(|error| ConnectError(format!("TLS with `{}` failed: {error}", name.to_str())))?;
        let chosen = stream.get_ref().1.alpn_protocol();
        if self.protocol == Protocol::Http2 && chosen != Some(b"h2") {
            let why = "the upstream does not offer HTTP/2 (ALPN `h2`); `protocol = \"http1\"` would do";
            return Err(ConnectError(why.to_owned()));
        }
        Ok(Line::Encrypted(Box::new(stream)))
    }
}

/// An open connection, nothing said on it yet.
#[derive(Debug)]
pub(super) enum Line {
    Clear(Socket),
    Encrypted(Box<TlsStream<Socket>>),
}

impl Tls {
    fn build(settings: &UpstreamTls, protocol: Protocol) -> Result<Self, TransportError> {
        let found = match &settings.ca {
            Some(file) => from_file(file)?,
            None => from_system()?,
        };
        let mut authorities = Sha256::new();
        let mut roots = RootCertStore::empty();
        for certificate in found {
            authorities.update(Sha256::digest(&certificate));
            let added = roots.add(certificate);
            // Of the system's many one may be odd; of the operator's file each is meant.
            if let (Err(error), Some(file)) = (added, &settings.ca) {
                let why = format!("{} holds a certificate that is no authority: {error}", file.display());
                return Err(TransportError(why));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = versions.map_err(|error| TransportError(error.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let server_name = settings.server_name.clone().map(ServerName::try_from).transpose();
        let server_name = server_name.map_err(|error| TransportError(format!("server_name: {error}")))?;
        Ok(Self { config: Arc::new(config), server_name, authorities: authorities.finalize().into() })
    }

    fn name(&self, entry: &str) -> Option<ServerName<'static>> {
        let host = || entry.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']).to_owned());
        self.server_name.clone().or_else(|| ServerName::try_from(host()?).ok())
    }
}

fn from_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let shown = file.display();
    let read =
        std::fs::read(file).map_err(|error| TransportError(format!("{shown} cannot be read: {error}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TransportError(format!("{shown} holds no certificate (PEM)"))),
        Err(error) => Err(TransportError(format!("{shown} is no PEM: {error}"))),
    }
}

fn from_system() -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(TransportError(format!(
            "the system trusts no authority{why}; install ca-certificates, or name a file in `ca`"
        )));
    }
    Ok(found.certs)
}
