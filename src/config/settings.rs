//! What is true after validation. The rest of the program sees only these types.
//!
//! `Boot` needs a restart to change; everything else is hot. Units are in the types.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::admission::Class;
use crate::admission::opening::Opening;
use crate::admission::pace::PacePolicy;
use crate::admission::policy::{LimitPolicy, QueuePolicy, Quota, RoomPolicy};
use crate::admission::slots::SlotRule;
use crate::config::quiet::QuietHours;
use crate::pages::Look;
use crate::proof::draw::reveal::Party;

/// A whole validated configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Read once, at start.
    pub boot: Boot,
    /// Certificates.
    pub tls: TlsSettings,
    /// Everything about connections and clients that may change while running.
    pub edge: EdgeSettings,
    /// How a client is recognised.
    pub identity: IdentitySettings,
    /// How our pages look, and what they link to.
    pub pages: Look,
    /// Upstream clusters by name.
    pub upstreams: BTreeMap<String, UpstreamSettings>,
    /// Quotas by name.
    pub quotas: BTreeMap<String, QuotaSettings>,
    /// Waiting rooms by name.
    pub rooms: BTreeMap<String, RoomSettings>,
    /// Routes by name. At least one.
    pub routes: BTreeMap<String, RouteSettings>,
    /// The bucket that requests changing our own state pay at.
    pub door: QuotaSettings,
    /// Most bytes that all token buckets together may take.
    pub buckets_bytes: u64,
}

/// What only a restart can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Where the crowd is met, cleartext before TLS. Never empty.
    pub listen: Vec<Listener>,
    /// Where operators are met.
    pub admin: SocketAddr,
    /// Worker threads of the data path; at least 1.
    pub threads: usize,
    /// Where keys and high-water marks are kept.
    pub state_directory: PathBuf,
}

/// A socket of the crowd's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// Connections are encrypted by us.
    pub tls: bool,
    /// Connections begin with a PROXY protocol header from a trusted proxy.
    pub proxy_protocol: bool,
    /// Clients are asked for a certificate by these authorities, by their place in [`TlsSettings::client_cas`].
    pub client_ca: Option<usize>,
}

/// Certificates and what is spoken with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// In the order of the file; the first serves clients that name no known host. Never empty where a
    /// listener encrypts.
    pub certificates: Vec<CertificateFiles>,
    /// TLS 1.3 only.
    pub only_v13: bool,
    /// Files of authorities that vouch for clients, each once.
    pub client_cas: Vec<PathBuf>,
}

/// The two files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Caps and deadlines of the crowd's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections at once from one prefix (IPv4 address, IPv6 /64); trusted proxies are exempt.
    pub max_connections_per_prefix: usize,
    /// Most requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// From the first byte of a request head to its end, and from a new connection to its first byte.
    pub head_timeout: Duration,
    /// From the end of an exchange to the first byte of the next head.
    pub idle_timeout: Duration,
    /// Most bytes of a request head.
    pub max_head: usize,
    /// Most bytes of a target; at most `max_head`.
    pub max_target: usize,
    /// Most fields of a request head.
    pub max_fields: usize,
    /// How fast clients must send bodies and take answers.
    pub pace: PacePolicy,
    /// How long requests under way may take after the stop signal.
    pub drain: Duration,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Origins whose pages may speak the waiting protocol, as browsers write them.
    pub cors_origins: Vec<String>,
    /// Answer 503 instead of 429 over quota, for old clients that hammer on 429.
    pub legacy_503_for_429: bool,
    /// Whose traces go on to the upstream.
    pub trace: TraceRule,
}

/// Whose `traceparent` and `tracestate` are passed on; the others' are taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceRule {
    /// Those of trusted proxies.
    #[default]
    Trusted,
    /// Everybody's.
    Always,
    /// Nobody's.
    Never,
}

/// Which header carries the chain of addresses that a trusted proxy vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
}

/// A source of a bucket key that proves no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A cookie of this name.
    Cookie(String),
    /// The `Authorization` header.
    Authorization,
}

/// Where the keys are by which signed tokens are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file (JWKS).
    File(PathBuf),
    /// An address, `https://`, that is fetched in the background.
    Address(String),
}

/// Which signed tokens (JWT) name a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// Whose keys.
    pub keys: KeySource,
    /// `iss` must be this.
    pub issuer: String,
    /// `aud` must hold this.
    pub audience: String,
    /// Where the token is; `None`: `Authorization: Bearer`.
    pub cookie: Option<String>,
    /// The claim that names the person.
    pub claim: String,
    /// Claims that prove something else of them: at most 32.
    pub proofs: Vec<ClaimProof>,
    /// How far the issuer's clock may be off.
    pub leeway: Duration,
    /// A token that is not good is refused; else it counts as none.
    pub refuses: bool,
}

/// Who is invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationSettings {
    /// The file of marks.
    pub list: PathBuf,
    /// The file of the key that makes marks of codes.
    pub key: PathBuf,
}

impl IdentitySettings {
    /// Users are told apart by more than their address.
    #[must_use]
    pub fn tells_apart(&self) -> bool {
        self.names_people() || self.credential.is_some()
    }

    /// Something proves who a person is.
    #[must_use]
    pub fn names_people(&self) -> bool {
        self.jwt.is_some() || self.header.is_some() || self.invitations.is_some() || self.certificates
    }

    /// What tells one person from another, a text each: whoever is named by another one is another person. A
    /// certificate's person is its issuer and subject, which files of authorities do not say: they are renewed and
    /// read again while people wait, so they are not part of it.
    #[must_use]
    pub fn persons_by(&self) -> Vec<String> {
        let token = self.jwt.as_ref().map(|jwt| format!("token of {} ({})", jwt.issuer, jwt.claim));
        let header = self.header.as_ref().map(|name| format!("header {name}"));
        let certificate = self.certificates.then(|| "certificate".to_owned());
        let invitation = self.invitations.as_ref().map(|_| "invitation".to_owned());
        [token, header, certificate, invitation].into_iter().flatten().collect()
    }
}

/// How a client is recognised, first source that yields wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// Signed tokens that name a person.
    pub jwt: Option<JwtSettings>,
    /// Codes that name a person when a place is taken.
    pub invitations: Option<InvitationSettings>,
    /// Some address asks clients for a certificate, which names a person.
    pub certificates: bool,
    /// A header that only trusted proxies may set; names a person.
    pub header: Option<http::HeaderName>,
    /// A bucket key only.
    pub credential: Option<Credential>,
    /// Where the chain of addresses is.
    pub forwarded: ForwardedHeader,
}

/// A quota for a user, one for those who cannot be told apart, and a wide one for the network of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// For one user: an identity, a credential, a pass, a ticket.
    pub user: Quota,
    /// For all together who show nothing but one address.
    pub address: Quota,
    /// For one address prefix, whoever its users are. Shared addresses are people: keep it wide.
    pub prefix: Quota,
}

/// One address of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSettings {
    /// `host:port`; names are resolved in the background.
    pub address: String,
    /// Relative share of the load; at least 1.
    pub weight: u32,
    /// Takes no new requests.
    pub drain: bool,
}

impl UpstreamSettings {
    /// Where it is, as the operator wrote it.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.addresses.iter().map(|one| one.address.clone()).collect()
    }
}

/// How addresses are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    /// Path of an HTTP probe that must answer 200; `None` probes that a TCP connection opens.
    pub path: Option<String>,
    /// Time between two probes.
    pub interval: Duration,
    /// Longest time a probe may take.
    pub timeout: Duration,
    /// Failed probes in a row that take an address out; at least 1.
    pub unhealthy: usize,
    /// Good probes in a row that bring it back; at least 1.
    pub healthy: usize,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    #[default]
    Http1,
    /// HTTP/2, by ALPN over TLS, by prior knowledge in cleartext.
    Http2,
}

/// How connections to an upstream are encrypted, and who may answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name that its certificate must carry; `None`: the host of the address.
    pub server_name: Option<String>,
    /// Who may vouch for it; `None`: those that the system trusts.
    pub ca: Option<PathBuf>,
}

/// An upstream cluster: several addresses, one limit.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// Never empty.
    pub addresses: Vec<AddressSettings>,
    /// What it speaks.
    pub protocol: Protocol,
    /// `None` is cleartext.
    pub tls: Option<UpstreamTls>,
    /// Limit of unfinished requests.
    pub limit: LimitPolicy,
    /// The queue before it.
    pub queue: QueuePolicy,
    /// Longest time to open a connection.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept. Should be less than the upstream's own keep-alive.
    pub keep_alive: Duration,
    /// Probes.
    pub health: HealthSettings,
    /// Send `Tornello-Limit` with each request, so that the upstream can check promise 1 itself.
    pub announce_limit: bool,
    /// With what requests from inside are signed for the upstream.
    pub pass_key: Option<PathBuf>,
    /// Most tunnels and event streams at once, outside the limit.
    pub tunnels: u32,
}

/// Of whom there is one place in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnePlacePer {
    /// Of each browser that keeps its cookies.
    #[default]
    Browser,
    /// Of each person who is identified; of each browser of the others.
    Person,
}

impl OnePlacePer {
    /// As configurations and rules call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Person => "person",
        }
    }
}

/// A waiting room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomSettings {
    /// The rules of the line.
    pub policy: RoomPolicy,
    /// Who belongs in each lane but the first, in this order; empty where there is one line.
    pub lanes: Vec<LaneSettings>,
    /// When it opens; `None` is always open.
    pub opening: Option<Opening>,
    /// How the order of those who are there at the opening is drawn; `None` is by arrival.
    pub draw: Option<DrawSettings>,
    /// Of whom there is one place.
    pub one_place_per: OnePlacePer,
    /// Nobody gets in or in line whom nothing identifies.
    pub require_identity: bool,
    /// Whoever is not known is asked for the code of an invitation.
    pub invites: bool,
    /// Names in `upstreams` without which nobody inside gets on: the room is held while one is out.
    pub depends_on: Vec<String>,
    /// Operator's message by language tag.
    pub messages: BTreeMap<String, String>,
    /// Status of the waiting page: 503, 429, 202 or 200.
    pub status: http::StatusCode,
    /// The page asks whoever is called, and does not go in by itself.
    pub page_asks: bool,
    /// Shown as the title of the service on the page.
    pub title: String,
    /// Where turns are announced; `None`: nowhere.
    pub webhook: Option<WebhookSettings>,
    /// Whether and when slots are offered.
    pub slots: SlotSettings,
    /// When nobody who waits is called.
    pub quiet: Vec<QuietHours>,
}

/// Slots of those who wait for long.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotSettings {
    /// Any are offered.
    pub offer: bool,
    /// When, and how long they are.
    pub rule: SlotRule,
    /// By whose clocks times are told where a browser does not know its own.
    pub zone: TimeZone,
}

/// A lane that somebody must prove to belong in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneSettings {
    /// Its name.
    pub name: String,
    /// What proves it.
    pub belongs: Belongs,
}

/// What proves that somebody belongs in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// Their signed token says so.
    Claim(ClaimProof),
    /// A trusted proxy says so.
    Header {
        /// The header.
        name: http::HeaderName,
        /// What it says.
        value: String,
    },
    /// They come from one of these.
    Addresses(Vec<ipnet::IpNet>),
}

/// A claim of a signed token that proves something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimProof {
    /// Its name.
    pub claim: String,
    /// What it is, or what the list holds that it is.
    pub value: String,
}

/// Where those who asked for it are announced before their turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Posted to; `http` or `https`, with a host.
    pub url: http::Uri,
    /// The file of the secret that signs.
    pub secret: PathBuf,
    /// How long before the expected turn.
    pub ahead: Duration,
    /// Who may vouch for the receiver over `https`; `None`: those that the system trusts.
    pub ca: Option<PathBuf>,
}

/// Whose randomness decides a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrawSettings {
    /// The first round of drand that is late enough.
    Drand,
    /// The secrets of these.
    Parties(Vec<Party>),
}

/// What happens upstream when the client hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClientGone {
    /// Read on, discard, then free the permit: the upstream is still at work.
    #[default]
    Finish,
    /// Close the upstream connection: the upstream is known to stop.
    Cancel,
}

/// Host and path prefix → upstream, room, quota, class, timeouts.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSettings {
    /// Lower-case host without port; `None` matches every host.
    pub host: Option<String>,
    /// Normalised prefix, matched at segment borders, longest first.
    pub path: String,
    /// A name in `upstreams`.
    pub upstream: String,
    /// A name in `rooms`.
    pub room: Option<String>,
    /// A name in `quotas`.
    pub quota: Option<String>,
    /// Class of requests that hold no pass; P0 and `optional` are everybody's.
    pub class: Class,
    /// Can be done without: P3 whoever asks, and refused at once while a queue stands.
    pub optional: bool,
    /// Share of the upstream's limit beyond which it lets other routes of its class go first, in (0, 1].
    pub share: f64,
    /// From dispatch to the head of the response, absolute.
    pub timeout: Duration,
    /// A tunnel or event stream in which nothing moves for this long is ended.
    pub tunnel_idle: Duration,
    /// Longest request body, bytes.
    pub body_limit: u64,
    /// What happens upstream when the client hangs up.
    pub on_client_gone: OnClientGone,
    /// Prefixes below `path` that skip room and quota (login callbacks, payment returns, health).
    pub bypass_paths: Vec<String>,
    /// Clients from here skip room and quota.
    pub bypass_addresses: Vec<ipnet::IpNet>,
    /// Requests of which a trusted proxy says this skip room and quota.
    pub bypass_header: Option<(http::HeaderName, String)>,
    /// Most bypassing requests at once, inside the upstream's limit.
    pub bypass_limit: u32,
    /// The answers may be stored by shared caches. Refused on routes with a room or an identity.
    pub shared: bool,
}
