//! Forwarded chains: only trusted hops speak, and what a client wrote before them says nothing.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use tornello::config::settings::ForwardedHeader;
use tornello::proxy::chain::vouched;

/// First byte: which header, and whether the peer is trusted. The rest: its lines.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let (header, name) = match choice & 1 {
        0 => (ForwardedHeader::XForwardedFor, "x-forwarded-for"),
        _ => (ForwardedHeader::Forwarded, "forwarded"),
    };
    let lines = rest.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let lines: Vec<HeaderValue> = lines.collect();
    let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let is_trusted = |address: IpAddr| trusted.iter().any(|net: &ipnet::IpNet| net.contains(&address));
    let client = |lines: &[HeaderValue], peer: &str| {
        let mut fields = HeaderMap::new();
        lines.iter().for_each(|line| {
            fields.append(name, line.clone());
        });
        vouched(&fields, peer.parse().unwrap(), header, &trusted).client
    };
    let stranger = client(&lines, "192.0.2.1");
    assert_eq!(stranger, "192.0.2.1".parse::<IpAddr>().unwrap(), "a stranger speaks for itself only");

    let found = client(&lines, "::ffff:10.0.0.1");
    assert_eq!(found, found.to_canonical(), "one spelling an address");
    assert_eq!(found, client(&lines, "10.0.0.1"), "mapped or not, the same peer");

    // Whatever stands before the first hop that is not trusted was written by who is not trusted.
    let forged = match header {
        ForwardedHeader::XForwardedFor => "203.0.113.9, 10.1.1.1",
        ForwardedHeader::Forwarded => "for=203.0.113.9, for=10.1.1.1",
    };
    let mut longer = vec![HeaderValue::from_static(forged)];
    longer.extend(lines.iter().cloned());
    if !is_trusted(found) {
        assert_eq!(client(&longer, "10.0.0.1"), found, "a forged line changed the client");
    }
    // On the right stands who was last: it is believed when trusted, and is the client when not.
    let last = |hop: &'static str| {
        let mut lines = lines.clone();
        lines.push(HeaderValue::from_static(hop));
        client(&lines, "10.0.0.1")
    };
    let (near, far) = match header {
        ForwardedHeader::XForwardedFor => ("10.2.2.2", "198.51.100.7"),
        ForwardedHeader::Forwarded => ("for=10.2.2.2", "for=198.51.100.7;proto=https"),
    };
    assert_eq!(last(far), "198.51.100.7".parse::<IpAddr>().unwrap());
    if !is_trusted(found) && lines.len() < 8 && !rest.contains(&b',') {
        assert_eq!(last(near), found, "a trusted hop hides nobody");
    }
}
