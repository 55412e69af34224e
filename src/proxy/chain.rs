//! The forwarded chain: from whom a request comes, by what trusted proxies say.
//!
//! Each proxy appends to the chain, so it is read from right to left: a hop is believed while a trusted
//! proxy vouches for it, and the first that none vouches for is the client. Whatever a client wrote
//! stands left of that and is never reached. A hop that cannot be read (`unknown`, `_hidden`, an empty
//! element, nonsense) ends the chain: whoever wrote it is the last that is known. Works on bytes, in
//! time linear in the fields, over at most `HOPS_MAX` hops.

use std::net::{IpAddr, Ipv6Addr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::config::settings::ForwardedHeader;

/// `X-Forwarded-For`
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Most hops that are walked.
const HOPS_MAX: usize = 32;

/// What is known of a client through the proxies in front of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Its address: the peer's own if no trusted proxy says otherwise. IPv4 is never written as IPv6.
    pub client: IpAddr,
    /// A trusted peer says that the client's connection is encrypted.
    pub https: bool,
    /// The peer is trusted.
    pub peer_trusted: bool,
}

/// Whether `address` may vouch for others.
#[must_use]
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|net| net.contains(&address))
}

/// Walks the chain that `header` holds.
#[must_use]
pub fn vouched(headers: &HeaderMap, peer: IpAddr, header: ForwardedHeader, trusted: &[IpNet]) -> Vouched {
    let mut known = Vouched { client: peer.to_canonical(), https: false, peer_trusted: true };
    if !is_trusted(peer, trusted) {
        return Vouched { peer_trusted: false, ..known };
    }
    let (name, quoting) = match header {
        ForwardedHeader::XForwardedFor => (FORWARDED_FOR, false),
        ForwardedHeader::Forwarded => (FORWARDED, true),
    };
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let hops = lines.iter().rev().flat_map(|line| from_right(line.as_bytes(), b',', quoting));
    for hop in hops.take(HOPS_MAX) {
        let said = if quoting { parameter(hop, "for") } else { Some(hop.trim_ascii()) };
        let Some(next) = said.and_then(node) else { break };
        known.client = next.to_canonical();
        known.https = quoting && parameter(hop, "proto").is_some_and(is_https);
        if !is_trusted(next, trusted) {
            break;
        }
    }
    if !quoting {
        let mut said = headers.get_all(FORWARDED_PROTO).iter();
        known.https = said.next().is_some_and(|scheme| is_https(scheme.as_bytes())) && said.next().is_none();
    }
    known
}

fn is_https(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"https")
}

/// The parts of a list from right to left. With `quoting`, a separator within quotes parts nothing.
fn from_right(list: &[u8], separator: u8, quoting: bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let cut = text.iter().enumerate().rposition(|(at, byte)| {
            quoted ^= quoting && *byte == b'"' && !is_escaped(text, at);
            !quoted && *byte == separator
        });
        let (left, part) = match cut.and_then(|cut| text.split_at_checked(cut)) {
            Some((left, part)) => (Some(left), part.get(1..)?),
            None => (None, text),
        };
        rest = left;
        Some(part)
    })
}

/// An odd number of backslashes stands before.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The value of a parameter of one element of `Forwarded` (RFC 7239 §4). `None` if it is not there, is
/// there twice, or is quoted in a way that no address needs.
fn parameter<'a>(element: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let mut found = from_right(element, b';', true).filter_map(|pair| {
        let (name, value) = pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?)?;
        name.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()).then_some(value.get(1..)?.trim_ascii())
    });
    let (Some(value), None) = (found.next(), found.next()) else { return None };
    let Some(inner) = value.strip_prefix(b"\"") else { return Some(value) };
    inner.strip_suffix(b"\"").filter(|inner| !inner.iter().any(|byte| matches!(byte, b'"' | b'\\')))
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; a port may be hidden
/// (`_name`).
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        (IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?), port)
    } else {
        let (inner, port) = text.split_at_checked(text.find(':')?)?;
        (IpAddr::V4(inner.parse().ok()?), port)
    };
    is_port(port).then_some(address)
}

fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    let hidden = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match port.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(hidden),
        None => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    }
}

/// The element by which we continue `Forwarded`.
#[must_use]
pub fn element(peer: IpAddr, host: &str, https: bool) -> String {
    let scheme = if https { "https" } else { "http" };
    match peer.to_canonical() {
        IpAddr::V4(v4) => format!("for={v4};host=\"{host}\";proto={scheme}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\";host=\"{host}\";proto={scheme}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trusted() -> [IpNet; 2] {
        ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]
    }

    fn walk(header: ForwardedHeader, lines: &[impl AsRef<[u8]>], peer: &str) -> Vouched {
        let name = match header {
            ForwardedHeader::XForwardedFor => FORWARDED_FOR,
            ForwardedHeader::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line.as_ref()).unwrap());
        }
        vouched(&headers, peer.parse().unwrap(), header, &trusted())
    }

    fn client(lines: &[&str], peer: &str) -> String {
        walk(ForwardedHeader::XForwardedFor, lines, peer).client.to_string()
    }

    fn client_7239(lines: &[&str]) -> String {
        walk(ForwardedHeader::Forwarded, lines, "10.0.0.1").client.to_string()
    }

    #[test]
    fn the_chain_is_walked_from_right_to_left_over_trusted_hops_only() {
        assert_eq!(client(&["1.1.1.1, 192.0.2.7"], "10.0.0.1"), "192.0.2.7");
        assert_eq!(client(&["192.0.2.7, 10.0.0.9"], "10.0.0.1"), "192.0.2.7");
        assert_eq!(client(&["192.0.2.7", "10.0.0.9"], "10.0.0.1"), "192.0.2.7");
        assert_eq!(client(&["192.0.2.7"], "203.0.113.5"), "203.0.113.5", "an untrusted peer cannot speak");
        assert_eq!(client(&["192.0.2.7, unknown"], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["192.0.2.7,"], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["[2001:db8::1]:443"], "fd00::1"), "2001:db8::1");
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
        assert_eq!(client(&["::ffff:192.0.2.7"], "::ffff:10.0.0.1"), "192.0.2.7");
        assert_eq!(client(&["192.0.2.7:+80"], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        for (line, found) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:47011\"", "192.0.2.7"),
            ("for=192.0.2.43, FOR=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("proto=https ; for=192.0.2.60", "192.0.2.60"),
            ("for=\"192.0.2.7:_gate\"", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a,b\"", "192.0.2.7"),
            ("for=192.0.2.7, for=10.0.0.9", "192.0.2.7"),
            // What a client can put into a host that its proxy quotes stays in the quotes.
            ("host=\"a;for=6.6.6.6\";for=192.0.2.7", "192.0.2.7"),
            ("for=192.0.2.7;host=\"a\\\";for=6.6.6.6;x=\\\"\"", "192.0.2.7"),
            // A client's open quote does not swallow what the proxy appended.
            ("for=\"6.6.6.6, for=192.0.2.7", "192.0.2.7"),
            // Unreadable: the proxy itself is the last that is known.
            ("for=unknown", "10.0.0.1"),
            ("for=_SEVKISEK", "10.0.0.1"),
            ("for=\"192.0.2.7", "10.0.0.1"),
            ("for=192.0.2.7;for=192.0.2.8", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client_7239(&[line]), found, "{line}");
        }
        assert_eq!(client_7239(&["for=6.6.6.6", "for=192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn only_a_trusted_peer_says_that_it_is_encrypted() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let https = |headers: &HeaderMap, peer: &str| {
            vouched(headers, peer.parse().unwrap(), ForwardedHeader::XForwardedFor, &trusted()).https
        };
        assert!(https(&headers, "10.0.0.1") && !https(&headers, "192.0.2.1"));
        headers.append("x-forwarded-proto", "http".parse().unwrap());
        assert!(!https(&headers, "10.0.0.1"), "two words are none");
        let said = |lines: &[&str]| walk(ForwardedHeader::Forwarded, lines, "10.0.0.1").https;
        assert!(said(&["for=192.0.2.7;proto=https"]) && said(&["for=192.0.2.7;proto=https, for=10.0.0.2"]));
        assert!(!said(&["for=6.6.6.6;proto=https, for=192.0.2.7;proto=http"]));
    }

    #[test]
    fn our_element_is_read_back() {
        for peer in ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"] {
            let peer: IpAddr = peer.parse().unwrap();
            let line = element(peer, "www.example.org", true);
            let read = walk(ForwardedHeader::Forwarded, &[line], "10.0.0.1");
            assert_eq!((read.client, read.https), (peer.to_canonical(), true));
        }
    }

    /// A hop as a generator makes it: how it is written, and what it means.
    #[derive(Clone, Debug)]
    struct Hop {
        written: String,
        meant: Option<IpAddr>,
    }

    fn hop(quoted: bool) -> impl Strategy<Value = Hop> {
        (0u8..8, 1u8..250, 0u8..4, any::<u16>()).prop_map(move |(kind, host, form, port)| {
            let address = match kind {
                0 | 1 => format!("10.0.0.{host}"),
                2 => format!("192.0.2.{host}"),
                3 => format!("2001:db8::{host:x}"),
                4 => format!("fd00::{host:x}"),
                5 => format!("::ffff:10.0.0.{host}"),
                6 => "unknown".to_owned(),
                _ => ["_hidden", "", "1.2.3", "10.0.0.1x", "é", "a b", "[::1"][usize::from(host) % 7]
                    .to_owned(),
            };
            let meant: Option<IpAddr> = address.parse().ok();
            let six = meant.is_some_and(|address| address.is_ipv6());
            let node = match (meant.is_some(), six, form) {
                (true, true, 0) if !quoted => address,
                (true, true, 1) => format!("[{address}]:{port}"),
                (true, true, 2) => format!("[{address}]:_p"),
                (true, true, _) => format!("[{address}]"),
                (true, false, 1) => format!("{address}:{port}"),
                _ => address,
            };
            let written = match (quoted, form) {
                (false, _) => node,
                (true, 0 | 3) if !six => format!("for={node};proto=http"),
                (true, 2) => format!("host=\"x, y;for=6.6.6.6\";FOR=\"{node}\""),
                (true, _) => format!("proto=https;for=\"{node}\""),
            };
            Hop { written, meant }
        })
    }

    /// The model: from the right, go on while the one who speaks is trusted and says something.
    fn model(hops: &[Hop], peer: IpAddr) -> IpAddr {
        let trusts = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(v4) => v4.octets()[0] == 10,
            IpAddr::V6(v6) => v6.octets()[0] == 0xfd,
        };
        let mut client = peer;
        for hop in hops.iter().rev() {
            match hop.meant {
                Some(next) if trusts(client) => client = next,
                _ => break,
            }
        }
        client.to_canonical()
    }

    fn lines(hops: &[Hop], breaks: &[u8]) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (hop, gap) in hops.iter().zip(breaks.iter().cycle()) {
            match (gap, lines.last_mut()) {
                (0, _) | (_, None) => lines.push(hop.written.clone()),
                (1, Some(line)) => *line = format!("{line},{}", hop.written),
                (_, Some(line)) => *line = format!("{line} , {}", hop.written),
            }
        }
        lines
    }

    fn peers() -> impl Strategy<Value = &'static str> {
        prop::sample::select(&["10.0.0.1", "fd00::1", "::ffff:10.9.9.9", "192.0.2.99", "2001:db8::99"][..])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn x_forwarded_for_agrees_with_a_model(
            hops in prop::collection::vec(hop(false), 0..8), breaks in prop::collection::vec(0u8..3, 8), peer in peers(),
        ) {
            let found = walk(ForwardedHeader::XForwardedFor, &lines(&hops, &breaks), peer).client;
            prop_assert_eq!(found, model(&hops, peer.parse().unwrap()));
        }

        #[test]
        fn forwarded_agrees_with_a_model(
            hops in prop::collection::vec(hop(true), 0..8), breaks in prop::collection::vec(0u8..3, 8), peer in peers(),
        ) {
            let found = walk(ForwardedHeader::Forwarded, &lines(&hops, &breaks), peer).client;
            prop_assert_eq!(found, model(&hops, peer.parse().unwrap()));
        }

        /// Whatever a client writes, what its proxy appends decides; from an untrusted peer nothing does.
        #[test]
        fn a_client_changes_nothing(
            lies in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), Just(b';'), 0x20u8..0x7f, 0x80u8..], 0..40), 0..3),
            same_line in any::<bool>(),
        ) {
            for (header, appended) in [(ForwardedHeader::XForwardedFor, "192.0.2.7"), (ForwardedHeader::Forwarded, "for=\"[2001:db8::7]:80\"")] {
                let mut told = lies.clone();
                let alone = walk(header, &told, "203.0.113.5");
                prop_assert_eq!((alone.client.to_string(), alone.https), ("203.0.113.5".to_owned(), false));
                match told.last_mut() {
                    Some(line) if same_line => { line.extend(b", "); line.extend(appended.bytes()); }
                    _ => told.push(appended.into()),
                }
                let honest = walk(header, &[appended], "10.0.0.1").client;
                prop_assert_eq!(walk(header, &told, "10.0.0.1").client, honest);
            }
        }
    }

    /// A head full of hops costs no more than its bytes.
    #[test]
    fn the_walk_is_bounded() {
        let long = "10.0.0.7, ".repeat(3_000);
        assert_eq!(client(&[long.trim_end_matches(", ")], "10.0.0.1"), "10.0.0.7");
        let escapes = "\\\"".repeat(16_000);
        assert_eq!(client_7239(&[&escapes]), "10.0.0.1");
    }
}
