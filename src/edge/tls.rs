//! TLS towards the crowd: certificates from files, chosen by the host that a client names.
//!
//! rustls speaks TLS 1.2 with authenticated ciphers and TLS 1.3, never anything older or weaker. No
//! early data: it could be replayed. Whoever names no host, or one that no certificate is for, is shown
//! the first certificate: old programs and health checks by address must get on, and a person's browser
//! then says more than a broken handshake would. Requests for hosts that the certificate shown is not
//! for are answered 421.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::key_files::{Flaw, Judged, KeyFiles};
use crate::admission::UnixTime;
use crate::config::settings::TlsSettings;
use crate::proxy::peer::{Shown, is_for};

/// A label that nobody's host has: a certificate that is for it too has a wildcard there.
const NOBODY: &str = "tornello-asks-for-a-wildcard";

/// What TLS listeners serve with. Exchanged whole; connections that are open go on.
#[derive(Debug)]
pub struct Tls {
    /// For rustls, where clients are asked for nothing.
    config: Arc<ServerConfig>,
    /// For rustls, where they are asked for a certificate: by the place of the authorities.
    asking: Vec<Arc<ServerConfig>>,
    certificates: Arc<Certificates>,
}

/// The TLS in force, and what outlives its exchange.
#[derive(Debug)]
pub struct TlsDoor {
    current: ArcSwapOption<Tls>,
    /// Keys of session tickets, which rotate by themselves.
    tickets: Arc<dyn ProducesTickets>,
}

impl TlsDoor {
    /// No certificates yet.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new() -> Result<Self, rustls::Error> {
        Ok(Self { current: ArcSwapOption::empty(), tickets: Ticketer::new()? })
    }

    /// Builds what would serve with these files; nothing is put in place.
    ///
    /// # Errors
    /// Every flaw of every file.
    pub fn build(&self, settings: &TlsSettings, files: &KeyFiles, now: UnixTime) -> Judged<Option<Arc<Tls>>> {
        let (keys, flaws) = files.certified(now)?;
        if keys.is_empty() {
            return Ok((None, flaws));
        }
        let versions = if settings.only_v13 { &[&TLS13][..] } else { &[&TLS13, &TLS12][..] };
        let certificates = Arc::new(Certificates { keys });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Certificates>::clone(&certificates);
        let provider = Arc::new(ring::default_provider());
        let wrong = |error: &dyn std::fmt::Display| vec![Flaw::of_all(error.to_string())];
        let build = |verifier: Option<Arc<dyn ClientCertVerifier>>| {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)
                .map_err(|error| wrong(&error))?;
            let builder = match &verifier {
                Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
                None => builder.with_no_client_auth(),
            };
            let mut config = builder.with_cert_resolver(Arc::clone(&resolver));
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            if verifier.is_none() {
                config.ticketer = Arc::clone(&self.tickets);
            } else {
                // A session that is taken up again would not be verified again.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
            }
            Ok::<_, Vec<Flaw>>(Arc::new(config))
        };
        let mut asking = Vec::new();
        for authorities in files.authorities()? {
            let verifier = WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(&provider));
            let verifier = verifier.allow_unauthenticated().build().map_err(|error| wrong(&error))?;
            asking.push(build(Some(verifier))?);
        }
        Ok((Some(Arc::new(Tls { config: build(None)?, asking, certificates })), flaws))
    }

    /// Serves with it from the next connection on.
    pub fn put(&self, tls: Option<Arc<Tls>>) {
        self.current.store(tls);
    }

    /// What serves now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Tls>> {
        self.current.load_full()
    }
}

impl Tls {
    /// How a listener speaks that asks for certificates by these authorities, or for none.
    #[must_use]
    pub fn config(&self, client_ca: Option<usize>) -> Option<&Arc<ServerConfig>> {
        client_ca.map_or(Some(&self.config), |place| self.asking.get(place))
    }

    /// What a client that named this host was shown.
    #[must_use]
    pub fn shown(&self, name: Option<&str>) -> Option<Shown> {
        let leaf = self.certificates.choose(name)?.end_entity_cert().ok()?.clone().into_owned();
        let fits = name.is_some_and(|name| is_for(&leaf, name));
        Some(Shown { name: name.map(str::to_owned), fits, leaf })
    }
}

/// Certificates in the order of the file.
#[derive(Debug)]
struct Certificates {
    keys: Vec<Arc<CertifiedKey>>,
}

impl Certificates {
    /// The certificate for a host: one that names it, else one whose wildcard covers it, else the first.
    fn choose(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let first = self.keys.first();
        let (Some(name), true) = (name, self.keys.len() > 1) else { return first };
        let sibling = name.split_once('.').map(|(_, parent)| format!("{NOBODY}.{parent}"));
        let mut covering = None;
        for key in self.keys.iter().filter(|key| leaf(key).is_some_and(|leaf| is_for(leaf, name))) {
            let wildcard =
                sibling.as_deref().is_some_and(|host| leaf(key).is_some_and(|leaf| is_for(leaf, host)));
            if !wildcard {
                return Some(key);
            }
            covering = covering.or(Some(key));
        }
        covering.or(first)
    }
}

fn leaf(key: &CertifiedKey) -> Option<&CertificateDer<'static>> {
    key.cert.first()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name()).map(Arc::clone)
    }
}
