//! How a prebuilt page goes over the wire: as it is, or as gzip for whoever takes it.
//!
//! Only gzip: every browser has it, and at the size of our pages brotli would save no packet.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::negotiate::ranges;

/// A content coding (RFC 9110 §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Compressed.
    Gzip,
}

impl Coding {
    /// The coding that `Accept-Encoding` allows: gzip where it is accepted and nothing that we have
    /// is liked better; without the field, as it is (RFC 9110 §12.5.3).
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Self {
        let (mut gzip, mut identity, mut any) = (None, None, None);
        for (range, weight) in ranges(headers, &ACCEPT_ENCODING) {
            let named = |name| range.eq_ignore_ascii_case(name);
            let known = if named("gzip") || named("x-gzip") {
                &mut gzip
            } else if named("identity") {
                &mut identity
            } else if range == "*" {
                &mut any
            } else {
                continue;
            };
            *known = (*known).max(Some(weight));
        }
        let gzip = gzip.or(any).unwrap_or(0);
        if gzip > 0 && gzip >= identity.unwrap_or(0) { Self::Gzip } else { Self::Identity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_to_whoever_takes_it() {
        assert_eq!(Coding::negotiate(&HeaderMap::new()), Coding::Identity);
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Coding::Gzip),
            ("br;q=1.0, GZip;q=0.2", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("*", Coding::Gzip),
            ("gzip;q=0.5, identity;q=0.5", Coding::Gzip),
            ("gzip;q=0.5, identity", Coding::Identity),
            ("gzip;q=0", Coding::Identity),
            ("gzip;q=0, *", Coding::Identity),
            ("*;q=0", Coding::Identity),
            ("br, zstd", Coding::Identity),
            ("identity", Coding::Identity),
            ("gzip;q=2", Coding::Identity),
            ("gzipped", Coding::Identity),
            ("", Coding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
            assert_eq!(Coding::negotiate(&headers), expected, "{accepted:?}");
        }
    }
}
