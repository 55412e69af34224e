//! The files of certificates and keys: read, understood, judged. What is wrong with them is said with
//! the file and the remedy.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime as PkiTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use sha2::{Digest, Sha256};

use crate::admission::UnixTime;
use crate::config::settings::TlsSettings;

/// A certificate that ends this soon is spoken of.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// It keeps the configuration from taking effect; else it is a warning.
    pub fatal: bool,
    /// Which file; empty if it is about all of them.
    pub file: PathBuf,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What can serve, with what should be looked at; or every flaw, if one of them is fatal.
pub type Judged<T> = Result<(T, Vec<Flaw>), Vec<Flaw>>;

impl Flaw {
    fn fatal(file: &Path, what: impl std::fmt::Display, remedy: &'static str) -> Self {
        Self { fatal: true, file: file.to_owned(), what: format!("`{}` {what}", file.display()), remedy }
    }

    fn warning(file: &Path, what: impl std::fmt::Display, remedy: &'static str) -> Self {
        Self { fatal: false, ..Self::fatal(file, what, remedy) }
    }

    /// A flaw that is of no file in particular.
    #[must_use]
    pub fn of_all(what: String) -> Self {
        let remedy = "report this: the configuration was good";
        Self { fatal: true, file: PathBuf::new(), what, remedy }
    }
}

/// What the files of all certificates hold, as it was at one time.
#[derive(Debug)]
pub struct KeyFiles {
    pairs: Vec<Pair>,
    /// Authorities that vouch for clients.
    authorities: Vec<File>,
}

#[derive(Debug)]
struct Pair {
    certificate: File,
    key: File,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    content: std::io::Result<Vec<u8>>,
    /// Everybody on the machine may read it.
    open: bool,
}

impl File {
    fn read(path: &Path) -> Self {
        let open = std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0);
        Self { path: path.to_owned(), content: std::fs::read(path), open }
    }

    fn bytes(&self) -> Result<&[u8], Flaw> {
        let remedy = "name an existing file that the service's user may read";
        self.content
            .as_deref()
            .map_err(|error| Flaw::fatal(&self.path, format!("cannot be read: {error}"), remedy))
    }
}

impl KeyFiles {
    /// Reads all files, those that cannot be read included.
    #[must_use]
    pub fn read(settings: &TlsSettings) -> Self {
        let pair = |files: &crate::config::settings::CertificateFiles| Pair {
            certificate: File::read(&files.certificate),
            key: File::read(&files.key),
        };
        let authorities = settings.client_cas.iter().map(|file| File::read(file)).collect();
        Self { pairs: settings.certificates.iter().map(pair).collect(), authorities }
    }

    /// Tells one content from another.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let pairs = self.pairs.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
        for file in pairs.chain(&self.authorities) {
            hash.update(file.path.as_os_str().as_encoded_bytes());
            match &file.content {
                Ok(content) => hash.update(Sha256::digest(content)),
                Err(_) => hash.update([0]),
            }
        }
        hash.finalize().into()
    }

    /// The keys, ready to serve, and what should be looked at.
    ///
    /// # Errors
    /// Everything that is wrong, if something forbids to serve with them.
    pub fn certified(&self, now: UnixTime) -> Judged<Vec<Arc<CertifiedKey>>> {
        let (mut keys, mut flaws) = (Vec::new(), Vec::new());
        for pair in &self.pairs {
            match pair.certified() {
                Ok(key) => {
                    flaws.extend(pair.warnings(&key, now));
                    keys.push(Arc::new(key));
                }
                Err(flaw) => flaws.push(flaw),
            }
        }
        if flaws.iter().any(|flaw| flaw.fatal) { Err(flaws) } else { Ok((keys, flaws)) }
    }
}

impl KeyFiles {
    /// Those who vouch for clients, a store for each file.
    ///
    /// # Errors
    /// Every file that has none.
    pub fn authorities(&self) -> Result<Vec<Arc<RootCertStore>>, Vec<Flaw>> {
        let (stores, flaws): (Vec<_>, Vec<_>) =
            self.authorities.iter().map(File::authorities).partition(Result::is_ok);
        if flaws.is_empty() {
            return Ok(stores.into_iter().flatten().map(Arc::new).collect());
        }
        Err(flaws.into_iter().filter_map(Result::err).collect())
    }
}

impl File {
    fn authorities(&self) -> Result<RootCertStore, Flaw> {
        let remedy = "write the certificates of the authorities that clients have theirs from, as PEM";
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.bytes()?) {
            let certificate = certificate
                .map_err(|error| Flaw::fatal(&self.path, format!("is no PEM file: {error}"), remedy))?;
            store.add(certificate).map_err(|error| {
                Flaw::fatal(
                    &self.path,
                    format!("has a certificate that cannot be understood: {error}"),
                    remedy,
                )
            })?;
        }
        if store.is_empty() {
            return Err(Flaw::fatal(&self.path, "has no certificate", remedy));
        }
        Ok(store)
    }
}

impl Pair {
    fn certified(&self) -> Result<CertifiedKey, Flaw> {
        let path = &self.certificate.path;
        let remedy = "write the certificate first, then the chain, as PEM: `fullchain.pem`";
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.bytes()?).collect();
        let chain = chain.map_err(|error| Flaw::fatal(path, format!("is no PEM file: {error}"), remedy))?;
        let leaf = chain.first().ok_or_else(|| Flaw::fatal(path, "holds no certificate", remedy))?;
        ParsedCertificate::try_from(leaf)
            .map_err(|error| Flaw::fatal(path, format!("holds a broken certificate: {error}"), remedy))?;
        let remedy = "write the private key as PEM, without a password: `privkey.pem`";
        let key = PrivateKeyDer::from_pem_slice(self.key.bytes()?)
            .map_err(|error| Flaw::fatal(&self.key.path, format!("holds no private key: {error}"), remedy))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
            Error::InconsistentKeys(_) => Flaw::fatal(
                &self.key.path,
                format!("is not the key of `{}`", path.display()),
                "name the key that the certificate was issued for; renewals write both files",
            ),
            other => Flaw::fatal(&self.key.path, format!("holds a key that cannot be used: {other}"), remedy),
        })
    }

    fn warnings(&self, key: &CertifiedKey, now: UnixTime) -> Vec<Flaw> {
        let path = &self.certificate.path;
        let mut flaws = Vec::new();
        let now = Duration::from_millis(now.0);
        let renew = "renew it; the file is read again by itself";
        match validity(key, now) {
            Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                flaws.push(Flaw::warning(path, "has expired: browsers refuse it", renew));
            }
            Some(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
                let remedy = "check the machine's clock, or the certificate's dates";
                flaws.push(Flaw::warning(path, "is not valid yet: browsers refuse it", remedy));
            }
            _ => {
                let soon = validity(key, now + EXPIRES_SOON);
                if let Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) = soon {
                    flaws.push(Flaw::warning(path, "expires in less than 14 days", renew));
                }
            }
        }
        if self.key.open {
            let remedy = "`chmod 640` it, with a group that only the service has";
            flaws.push(Flaw::warning(&self.key.path, "may be read by everybody on this machine", remedy));
        }
        flaws
    }
}

/// What a client would say of the certificate's dates. Its authority is not known here: the dates are
/// looked at before it.
fn validity(key: &CertifiedKey, now: Duration) -> Option<CertificateError> {
    let leaf = key.cert.first()?;
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let now = PkiTime::since_unix_epoch(now);
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], now, algorithms) {
        Err(Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}
