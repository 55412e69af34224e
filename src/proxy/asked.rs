//! A request as it is judged: what every later step needs to know of it, read once.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Uri};

use super::chain::vouched;
use super::headers::REQUEST_ID;
use super::path::{normalise, without_parameters};
use super::peer::Peer;
use crate::admission::Refusal;
use crate::config::settings::Settings;
use crate::pages::{Coding, Language, is_navigation, wants_html};

/// What the HTTP/2 side found wrong with a request that its parser lets pass; an extension of it.
#[derive(Clone, Copy, Debug)]
pub struct Malformed(pub &'static str);

/// What was asked, by whom as far as the connection tells.
#[derive(Debug)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Host without port, as sent.
    pub host: String,
    /// The port that was asked for, if one was named.
    pub port: Option<u16>,
    /// Normal path, as it is sent on.
    pub path: String,
    /// The path without its parameters, if it has any.
    cut: Option<String>,
    /// Query without `?`.
    pub query: Option<String>,
    /// The connection's peer.
    pub peer: IpAddr,
    /// The client, as far as trusted proxies tell.
    pub client: IpAddr,
    /// Issuer and subject of the certificate that the connection's peer showed, which was verified.
    pub subject: Option<Arc<[u8]>>,
    /// The peer is trusted.
    pub peer_trusted: bool,
    /// The crowd's side is encrypted, by us or by a trusted proxy.
    pub secure: bool,
    /// A gRPC call: refused in gRPC's own words.
    pub grpc: bool,
    /// A page is wanted rather than data.
    pub html: bool,
    /// A person navigates here (no prefetch, no script).
    pub navigation: bool,
    /// The language that fits best.
    pub language: Language,
    /// How a page may be packed.
    pub coding: Coding,
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Refusal::Ambiguous`] for targets that can be read in two ways, [`Refusal::Misdirected`] for a host
    /// that the connection's certificate is not for.
    pub fn read<B>(request: &Request<B>, peer: &Peer, settings: &Settings) -> Result<Self, Refusal> {
        let (headers, uri) = (request.headers(), request.uri());
        let trusted = &settings.edge.trusted_proxies;
        if let Some(Malformed(why)) = request.extensions().get() {
            return Err(Refusal::Ambiguous(why));
        }
        let (host, port) = host(headers, uri)?;
        // A browser may reuse a connection for hosts that its certificate is for, and for no others.
        if peer.shown.as_ref().is_some_and(|shown| !shown.covers(&host)) {
            return Err(Refusal::Misdirected);
        }
        let subject = peer.subject.clone();
        let (encrypted, peer) = (peer.secure, peer.address.ip().to_canonical());
        let known = vouched(headers, peer, settings.identity.forwarded, trusted);
        let path = normalise(uri.path()).map_err(|bad| Refusal::Ambiguous(bad.0))?.into_owned();
        let cut = match without_parameters(&path).map_err(|bad| Refusal::Ambiguous(bad.0))? {
            Cow::Borrowed(_) => None,
            Cow::Owned(bare) => Some(bare),
        };
        let html = wants_html(headers);
        Ok(Self {
            method: request.method().clone(),
            host,
            port: uri.port_u16().or(port),
            path,
            cut,
            query: uri.query().map(str::to_owned),
            peer,
            client: known.client,
            subject,
            peer_trusted: known.peer_trusted,
            secure: encrypted || known.https,
            grpc: is_grpc(headers),
            html,
            navigation: is_navigation(request.method(), headers, html),
            language: Language::negotiate(headers),
            coding: Coding::negotiate(headers),
        })
    }

    /// The path by which routes are chosen: without path parameters (`;…`), which some upstreams ignore.
    #[must_use]
    pub fn bare(&self) -> &str {
        self.cut.as_deref().unwrap_or(&self.path)
    }

    /// The target for the upstream: exactly what was judged.
    #[must_use]
    pub fn target(&self) -> Uri {
        let joined = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        // Path and query were part of a legal target before.
        Uri::try_from(joined).unwrap_or_default()
    }

    /// A request that would lose something if it were not sent on.
    #[must_use]
    pub fn is_unsafe(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
    }

    /// Its reference: the trusted proxy's, else a new one.
    #[must_use]
    pub fn request_id(&self, headers: &HeaderMap, fresh: u64) -> String {
        let given = headers.get(REQUEST_ID).filter(|_| self.peer_trusted);
        let legible = |text: &&str| {
            (8..=64).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let given = given.and_then(|value| value.to_str().ok()).filter(legible);
        given.map_or_else(|| reference(fresh), str::to_owned)
    }
}

/// Whether a request is a gRPC call, by its content type (`application/grpc`, `application/grpc+proto`).
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// A reference of ours.
#[must_use]
pub fn reference(fresh: u64) -> String {
    let mut text = String::with_capacity(16);
    // Sixteen hexadecimal digits; formatting would cost more than all else that is done with them.
    let digits = fresh.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    text
}

/// The one host of a request, and the port that its field names. Exactly one field; an absolute target
/// must name the same (RFC 9112 §3.2.2 lets the target win, but an upstream might read the field).
fn host(headers: &HeaderMap, uri: &Uri) -> Result<(String, Option<u16>), Refusal> {
    let mut fields = headers.get_all(HOST).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(Refusal::Ambiguous("no host, or more than one"));
    };
    let illegible = Refusal::Ambiguous("an illegible host");
    let text = field.to_str().map_err(|_| illegible)?;
    let authority: http::uri::Authority = text.parse().map_err(|_| illegible)?;
    // What follows the name is a port, which may be empty.
    let (host, port) = (authority.host(), authority.port_u16());
    if port.is_none() && !matches!(text.get(host.len()..), Some("" | ":")) {
        return Err(illegible);
    }
    if text.contains('@') {
        return Err(Refusal::Ambiguous("a host with user information"));
    }
    if uri.authority().is_some_and(|target| !target.as_str().eq_ignore_ascii_case(text)) {
        return Err(Refusal::Ambiguous("a target and a host that differ"));
    }
    Ok((host.strip_suffix('.').unwrap_or(host).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_sixteen_digits() {
        for fresh in [0, 0xab, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(reference(fresh), format!("{fresh:016x}"));
        }
    }
}
