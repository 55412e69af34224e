//! Who is at the other end of a connection of the crowd's side.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

/// What a connection tells of its other end, the same for all its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address: of the socket, or what a trusted load balancer said of it.
    pub address: SocketAddr,
    /// The connection is encrypted by us.
    pub secure: bool,
    /// What was shown to it; `None` in the clear.
    pub shown: Option<Arc<Shown>>,
    /// Issuer and subject of the certificate that the client showed, which was verified: see [`subject`].
    pub subject: Option<Arc<[u8]>>,
}

/// The certificate that was shown on a connection.
#[derive(Debug)]
pub struct Shown {
    /// The host that the client named before the connection was encrypted.
    pub name: Option<String>,
    /// The certificate is for that host.
    pub fits: bool,
    /// The certificate.
    pub leaf: CertificateDer<'static>,
}

impl Shown {
    /// Whether the certificate is for `host`.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        // What nearly every request asks for: the host that the certificate was chosen for.
        if self.fits && self.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(host)) {
            return true;
        }
        is_for(&self.leaf, host)
    }
}

/// Whether a certificate is for `host`, a name or an address.
#[must_use]
pub fn is_for(leaf: &CertificateDer<'_>, host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(leaf), ServerName::try_from(host)) else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

/// The subject of a certificate, if it has one, with its issuer before it and the length of that: two authorities may
/// name two people alike. DER.
#[must_use]
pub fn subject(leaf: &CertificateDer<'_>) -> Option<Arc<[u8]>> {
    let parsed = webpki::EndEntityCert::try_from(leaf).ok()?;
    let (issuer, subject) = (parsed.issuer(), parsed.subject());
    let length = u64::try_from(issuer.len()).ok()?.to_le_bytes();
    (!subject.is_empty()).then(|| [length.as_slice(), issuer, subject].concat().into())
}

impl Peer {
    /// A peer whose connection is not encrypted by us.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, secure: false, shown: None, subject: None }
    }

    /// A peer on a connection that we encrypt.
    #[must_use]
    pub fn encrypted(address: SocketAddr, shown: Shown) -> Self {
        Self { address, secure: true, shown: Some(Arc::new(shown)), subject: None }
    }
}
