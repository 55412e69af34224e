//! Who asks: from a request to keys. Nothing here is kept or logged in clear.
//!
//! First source that yields: a signed token, a header that a trusted proxy set, a certificate that was verified
//! (these name a person), a pass or ticket, a credential (a bucket key only, never proof of one person), the address.

use std::hash::Hasher;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use ipnet::IpNet;
use sha2::Sha256;
use siphasher::sip::SipHasher13;
use siphasher::sip128::Hasher128;

use super::chain::is_trusted;
use super::jwt::{Jwt, NotBelieved};
use crate::admission::ticket::{Claims, KeyRing, Kind, RoomId};
use crate::admission::{PersonKey, PrefixKey, UnixTime, UserKey};
use crate::config::settings::{Credential, IdentitySettings};

/// Longest identity that is looked at, bytes. Beyond it the source yields nothing.
const IDENTITY_MAX: usize = 512;
/// Most tokens of one kind that a request may show.
const CANDIDATES_MAX: usize = 4;

/// The keys behind every hash of an identity.
#[derive(Clone, Debug)]
pub struct EventKey {
    mac: Hmac<Sha256>,
    sip: [u8; 16],
}

impl EventKey {
    /// From 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let mac: Hmac<Sha256> = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        let derived: [u8; 32] =
            mac.clone().chain_update(b"tornello-address-v1").finalize().into_bytes().into();
        let [a, b, ..] = derived.as_chunks::<16>().0 else { return Self { mac, sip: [0; 16] } };
        let mut sip = *a;
        for (to, from) in sip.iter_mut().zip(b) {
            *to ^= from;
        }
        Self { mac, sip }
    }

    /// The key of a person: `HMAC(event key, identity)`, 128 bit of it.
    #[must_use]
    pub fn person(&self, source: &str, identity: &[u8]) -> PersonKey {
        let mac = self.mac.clone().chain_update(source).chain_update([0]).chain_update(identity);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let [half, ..] = full.as_chunks::<16>().0 else { return PersonKey([0; 16]) };
        PersonKey(*half)
    }

    /// A name for bytes that nobody else can make another text for.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> u128 {
        let mut hasher = siphasher::sip128::SipHasher24::new_with_key(&self.sip);
        hasher.write(bytes);
        hasher.finish128().as_u128()
    }

    /// The key of an address cut to `bits_v4` or `bits_v6`.
    fn prefix(&self, address: IpAddr, bits_v4: u32, bits_v6: u32) -> PrefixKey {
        let cut = match address.to_canonical() {
            IpAddr::V4(v4) => u128::from(v4.to_bits() & (u32::MAX << (32 - bits_v4))) | 1 << 127 | 1 << 32,
            IpAddr::V6(v6) => v6.to_bits() & (u128::MAX << (128 - bits_v6)),
        };
        let mut hasher = SipHasher13::new_with_key(&self.sip);
        hasher.write_u32(bits_v4);
        hasher.write_u128(cut);
        PrefixKey(hasher.finish())
    }

    /// A ticket holder's key, so that logs do not tell the number.
    #[must_use]
    pub fn keyed(&self, holder: UserKey) -> UserKey {
        let mut hasher = SipHasher13::new_with_key(&self.sip);
        hasher.write_u64(holder.0);
        UserKey(hasher.finish())
    }

    /// One subscriber: an IPv4 address, an IPv6 /64.
    #[must_use]
    pub fn subscriber(&self, address: IpAddr) -> PrefixKey {
        self.prefix(address, 32, 64)
    }

    /// One network: an IPv4 /24, an IPv6 /48.
    #[must_use]
    pub fn network(&self, address: IpAddr) -> PrefixKey {
        self.prefix(address, 24, 48)
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Whose bucket.
    pub user: UserKey,
    /// Whose wide bucket.
    pub network: PrefixKey,
    /// Whom a trusted source names.
    pub person: Option<PersonKey>,
    /// What a signed token proves of them besides, see [`Jwt::person`].
    pub proofs: u32,
    /// Shows a proof of who asks that is not good, where that is refused.
    pub not_believed: bool,
    /// Known by the address alone, which many may share.
    pub shared: bool,
    /// Whose bucket it would be by the address alone.
    pub address: UserKey,
    /// Shows a ticket or a pass of a place that has moved to another device since: it counts for nothing.
    pub moved: bool,
    /// A ticket of the route's room that verified.
    pub ticket: Option<Claims>,
    /// A pass of the route's room that verified.
    pub pass: Option<Claims>,
}

/// What identification needs besides the request.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Which sources count.
    pub settings: &'a IdentitySettings,
    /// Who may vouch for others.
    pub trusted: &'a [IpNet],
    /// Keys of tickets and passes.
    pub ring: &'a KeyRing,
    /// Key of identities.
    pub event: &'a EventKey,
    /// Checks signed tokens, by the time of now.
    pub jwt: Option<(&'a Jwt, UnixTime)>,
    /// Issuer and subject of the client's certificate, which was verified.
    pub subject: Option<&'a [u8]>,
    /// The crowd's side is encrypted: only cookies bound to this host count.
    pub secure: bool,
}

/// Recognises a client. `room` is the route's, by name and id.
#[must_use]
pub fn identify(
    headers: &HeaderMap,
    peer: IpAddr,
    client: IpAddr,
    room: Option<(&str, RoomId)>,
    sources: &Sources<'_>,
) -> Identity {
    let token = |kind, header, cookie_kind: &str| {
        let (name, id) = room?;
        let shown = headers.get_all(header).iter().map(http::HeaderValue::as_bytes);
        let ours = cookies(headers).filter(|(found, _)| is_ours(found, cookie_kind, name, sources.secure));
        // A sibling host can set a cookie of our name: it hides none that is good.
        let verified = |text: &[u8]| sources.ring.verify(kind, text).ok().filter(|claims| claims.room == id);
        shown.chain(ours.map(|(_, value)| value)).take(CANDIDATES_MAX).find_map(verified)
    };
    let (ticket, pass) =
        (token(Kind::Ticket, TICKET_HEADER, "ticket"), token(Kind::Pass, PASS_HEADER, "pass"));
    let signed = signed(headers, sources);
    let not_believed = signed == Err(NotBelieved) && sources.jwt.is_some_and(|(jwt, _)| jwt.settings.refuses);
    let signed = signed.ok().flatten();
    let proofs = signed.map_or(0, |(_, proofs)| proofs);
    // What a proxy shows is its own, and not of those behind it.
    let shows_own = !is_trusted(peer, sources.trusted);
    let certified =
        || sources.subject.filter(|_| shows_own).map(|subject| sources.event.person("certificate", subject));
    let person =
        signed.map(|(person, _)| person).or_else(|| named(headers, peer, sources)).or_else(certified);
    let known = person
        .map(|person| person.user())
        .or_else(|| pass.or(ticket).map(|claims| sources.event.keyed(claims.user_key())))
        .or_else(|| credential(headers, sources));
    let address = UserKey(sources.event.subscriber(client).0);
    let user = known.unwrap_or(address);
    let (network, shared) = (sources.event.network(client), known.is_none());
    Identity { user, network, person, proofs, not_believed, shared, address, moved: false, ticket, pass }
}

/// Apps that hold no cookies send their ticket in this header.
pub const TICKET_HEADER: &str = "tornello-ticket";
/// Apps that hold no cookies send their pass in this header.
pub const PASS_HEADER: &str = "tornello-pass";

/// Whether a cookie is ours, of this kind and for this room.
fn is_ours(found: &[u8], kind: &str, room: &str, secure: bool) -> bool {
    let bound = found.strip_prefix(b"__Host-");
    if secure && bound.is_none() {
        return false;
    }
    let plain = bound.unwrap_or(found);
    let rest = plain.strip_prefix(b"tornello-").and_then(|rest| rest.strip_prefix(kind.as_bytes()));
    rest.and_then(|rest| rest.strip_prefix(b"-")) == Some(room.as_bytes())
}

/// Whom a signed token names; `None` where there is none.
fn signed(headers: &HeaderMap, sources: &Sources<'_>) -> Result<Option<(PersonKey, u32)>, NotBelieved> {
    let Some((jwt, now)) = sources.jwt else { return Ok(None) };
    let person = |token: &[u8]| jwt.person(token, sources.event, now);
    let Some(name) = &jwt.settings.cookie else {
        let token = headers.get(AUTHORIZATION).and_then(|field| bearer(field.as_bytes()));
        return token.filter(|token| !token.is_empty()).map(person).transpose();
    };
    let shown = cookies(headers).filter(|(found, token)| *found == name.as_bytes() && !token.is_empty());
    let mut named = Ok(None);
    // A sibling host can set a cookie of that name: it hides none that is good.
    for (_, token) in shown.take(CANDIDATES_MAX) {
        named = person(token).map(Some);
        if named.is_ok() {
            break;
        }
    }
    named
}

/// The token of `Bearer TOKEN`.
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn named(headers: &HeaderMap, peer: IpAddr, sources: &Sources<'_>) -> Option<PersonKey> {
    let header = sources.settings.header.as_ref()?;
    // Of several, one is somebody else's guess: a proxy that appends would let people choose who they are.
    let mut all = headers.get_all(header).iter();
    let value = all.next().filter(|_| all.next().is_none())?.as_bytes();
    let believed = is_trusted(peer, sources.trusted) && !value.is_empty() && value.len() <= IDENTITY_MAX;
    believed.then(|| sources.event.person("header", value))
}

fn credential(headers: &HeaderMap, sources: &Sources<'_>) -> Option<UserKey> {
    let value = match sources.settings.credential.as_ref()? {
        Credential::Cookie(name) => cookie(headers, name.as_bytes())?,
        Credential::Authorization => headers.get(AUTHORIZATION)?.as_bytes(),
    };
    let usable = !value.is_empty() && value.len() <= IDENTITY_MAX * 16;
    usable.then(|| sources.event.person("credential", value).user())
}

/// The value of the first cookie of that name.
fn cookie<'a>(headers: &'a HeaderMap, wanted: &[u8]) -> Option<&'a [u8]> {
    cookies(headers).find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// All cookies, name and value. Works on bytes: somebody else's odd cookie must not hide ours.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((name, value.get(1..)?))
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ipv6_subscriber_is_a_64_and_mapped_addresses_are_ipv4() {
        let key = EventKey::new(&[1; 32]);
        let subscriber = |address: &str| key.subscriber(address.parse().unwrap());
        assert_eq!(subscriber("2001:db8::1"), subscriber("2001:db8::ffff:1"));
        assert_ne!(subscriber("2001:db8::1"), subscriber("2001:db8:0:1::1"));
        assert_eq!(subscriber("::ffff:192.0.2.7"), subscriber("192.0.2.7"));
        assert_ne!(subscriber("192.0.2.7"), subscriber("192.0.2.8"));
    }

    #[test]
    fn a_header_names_a_person_only_behind_a_trusted_proxy() {
        let settings =
            IdentitySettings { header: Some("x-user".parse().unwrap()), ..IdentitySettings::default() };
        let (trusted, event) = (["10.0.0.0/8".parse().unwrap()], EventKey::new(&[1; 32]));
        let ring = KeyRing::new(crate::admission::ticket::Key::new(1, &[1; 32]), Vec::new());
        let sources = Sources {
            settings: &settings,
            trusted: &trusted,
            ring: &ring,
            event: &event,
            jwt: None,
            subject: None,
            secure: false,
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-user", "RSSMRA80A01H501U".parse().unwrap());
        let from = |peer: &str| {
            let peer = peer.parse().unwrap();
            identify(&headers, peer, peer, None, &sources)
        };
        assert!(from("10.0.0.1").person.is_some());
        assert!(from("192.0.2.1").person.is_none());
        assert_eq!(from("10.0.0.1").user, from("10.0.0.2").user);
        assert_ne!(from("10.0.0.1").user, from("192.0.2.1").user);
        // One that the client wrote, and the proxy's behind it: nobody, in either order.
        for other in ["BNCGLI80A41H501X", "RSSMRA80A01H501U"] {
            let mut headers = headers.clone();
            headers.append("x-user", other.parse().unwrap());
            let peer = "10.0.0.1".parse().unwrap();
            assert!(identify(&headers, peer, peer, None, &sources).person.is_none());
        }
    }

    proptest! {
        /// Every address of a subscriber has its key, and no other address has.
        #[test]
        fn a_key_is_a_64_or_an_ipv4_address(one in any::<u128>(), two in any::<u64>(), bit in 0u32..128, four in any::<u32>()) {
            let key = EventKey::new(&[7; 32]);
            let subscriber = |bits: u128| key.subscriber(IpAddr::V6(bits.into()));
            let neighbour = (one >> 64 << 64) | u128::from(two);
            let v4 = |bits: u128| IpAddr::V6(bits.into()).to_canonical().is_ipv4();
            prop_assume!(!v4(one) && !v4(neighbour) && !v4(one ^ (1 << bit)));
            prop_assert_eq!(subscriber(one), subscriber(neighbour));
            prop_assert_eq!(subscriber(one) == subscriber(one ^ (1 << bit)), bit < 64);
            let plain = IpAddr::V4(four.into());
            let mapped = IpAddr::V6(Ipv4Addr::from(four).to_ipv6_mapped());
            prop_assert_eq!(key.subscriber(plain), key.subscriber(mapped));
            prop_assert_eq!(key.network(plain), key.network(mapped));
            prop_assert_ne!(key.subscriber(plain), key.subscriber(IpAddr::V4((four ^ (1 << (bit % 32))).into())));
        }
    }
}
