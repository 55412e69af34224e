//! `[listen]` and `[tls]` as the file holds them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::text::Text;

/// `[listen]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-example" = "http = \"0.0.0.0:80\""))]
pub(crate) struct RawListen {
    /// Where the crowd is met in the clear, HTTP/1.1 and HTTP/2 by prior knowledge: one address and port,
    /// or a list of them, each plain or as `{ address, proxy_protocol }`; port 0 takes a free one.
    /// Default: none, if there is `https`. Restart.
    pub(crate) http: Option<RawListeners>,
    /// Where the crowd is met over TLS, written like `http`; needs `tls.certificates`. Default: none. Restart.
    pub(crate) https: Option<RawListeners>,
    /// Where operators are met: health, metrics, administration. It has no password: keep it private. Restart.
    #[serde(default = "admin")]
    pub(crate) admin: Text<SocketAddr>,
    /// Worker threads of the data path. Default: as many as the machine has cores. Restart.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) threads: Option<u32>,
    /// Where signing keys and high-water marks are kept. Restart.
    #[serde(default = "state_directory")]
    pub(crate) state_directory: Text<PathBuf>,
}

fn admin() -> Text<SocketAddr> {
    Text::of("127.0.0.1:9901")
}

fn state_directory() -> Text<PathBuf> {
    Text::of("/var/lib/tornello")
}

/// One address, or a list of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawListeners {
    Plain(Text<SocketAddr>),
    Table(RawListenerTable),
    #[schemars(extend("minItems" = 1))]
    Many(Vec<RawListener>),
}

/// One of several addresses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawListener {
    Plain(Text<SocketAddr>),
    Table(RawListenerTable),
}

/// An address with what is special about it
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawListenerTable {
    /// Address and port; port 0 takes a free one. Restart.
    pub(crate) address: Text<SocketAddr>,
    /// Every connection begins with a PROXY protocol header, version 1 or 2, from one of
    /// `edge.trusted_proxies`; all others are closed. Restart.
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
    /// Clients are asked for a certificate from these authorities, a PEM file, and are a person by its issuer and subject;
    /// whoever shows none goes on without one. Only in `https`. Read again when it changes. Default: none. Restart.
    pub(crate) client_ca: Option<Text<PathBuf>>,
}

impl RawListener {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Plain(address) => address.0,
            Self::Table(table) => table.address.0,
        }
    }

    pub(crate) fn proxy_protocol(&self) -> bool {
        matches!(self, Self::Table(table) if table.proxy_protocol)
    }

    pub(crate) fn client_ca(&self) -> Option<&Path> {
        match self {
            Self::Plain(_) => None,
            Self::Table(table) => table.client_ca.as_ref().map(|file| file.0.as_path()),
        }
    }
}

impl RawListeners {
    /// Whether the file writes a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::Many(_))
    }

    pub(crate) fn to_vec(&self) -> Vec<RawListener> {
        match self {
            Self::Plain(address) => vec![RawListener::Plain(address.clone())],
            Self::Table(table) => vec![RawListener::Table(table.clone())],
            Self::Many(many) => many.clone(),
        }
    }
}

/// `[tls]`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTls {
    /// Certificates and their keys, PEM files. The names that a certificate is for choose it; the first
    /// one serves clients that name no host or an unknown one. Read again whenever the files change. Hot.
    pub(crate) certificates: Vec<RawCertificate>,
    /// Oldest version that is spoken. Hot.
    pub(crate) min_version: RawTlsVersion,
}

/// One of `certificates`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCertificate {
    /// The certificate and the chain that leads to its authority, `fullchain.pem`. Hot.
    #[schemars(extend("examples" = ["/etc/tornello/fullchain.pem"]))]
    pub(crate) certificate: Text<PathBuf>,
    /// Its private key, `privkey.pem`. Hot.
    #[schemars(extend("examples" = ["/etc/tornello/privkey.pem"]))]
    pub(crate) key: Text<PathBuf>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum RawTlsVersion {
    /// TLS 1.2, with authenticated ciphers only
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3
    #[serde(rename = "1.3")]
    V13,
}
