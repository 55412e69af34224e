//! PROXY protocol: a header is found in the same place however the bytes come, and never beyond them.

use tornello::edge::proxy_header::{Header, parse};

/// Longest header that is taken.
const LENGTH_MAX: usize = 4 * 1024;

/// All of it is what a peer sent first.
pub(crate) fn run(bytes: &[u8]) {
    let whole = parse(bytes);
    if let Header::Whole { source, length } = whole {
        assert!(length <= bytes.len() && length <= LENGTH_MAX && length > 0);
        assert_eq!(parse(&bytes[..length]), whole, "what follows belongs to the client");
        for shorter in 0..length {
            assert_eq!(parse(&bytes[..shorter]), Header::Partial, "{shorter} of {length}: {source:?}");
        }
    }
    if whole == Header::Partial {
        assert!(bytes.len() < LENGTH_MAX, "it is waited for without end");
    }
    if whole == Header::Bad {
        let longer = [bytes, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"].concat();
        assert_eq!(parse(&longer), Header::Bad, "more bytes mended it");
    }
}
