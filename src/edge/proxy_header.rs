//! PROXY protocol, versions 1 and 2: what a load balancer that only moves bytes says of who connects.

use std::io;
use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncRead;

use super::ahead::Ahead;

/// Longest header. Addresses take at most 232 bytes; the rest is for what load balancers add.
const LENGTH_MAX: usize = 4 * 1024;
/// Both versions are taken; what load balancers add is not read.
const PARSE: ParseConfig = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };

/// The header at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// More bytes are needed.
    Partial,
    /// There is none, or a broken one.
    Bad,
    /// A whole one.
    Whole {
        /// Who connects; `None` if the load balancer speaks for itself.
        source: Option<SocketAddr>,
        /// Bytes of the header; what follows is the client's.
        length: usize,
    },
}

/// Reads the header at the start of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> Header {
    if !begins(bytes) {
        return Header::Bad;
    }
    match ProxyHeader::parse(bytes, PARSE) {
        Ok((_, length)) if length > LENGTH_MAX || !ends(bytes, length) => Header::Bad,
        Ok((header, length)) => match header.proxied_address() {
            None => Header::Whole { source: None, length },
            Some(address) if address.protocol == Protocol::Stream => {
                Header::Whole { source: Some(address.source), length }
            }
            // A datagram's address says nothing of a TCP connection.
            Some(_) => Header::Bad,
        },
        Err(Error::BufferTooShort) if bytes.len() < LENGTH_MAX && may_begin(bytes) => Header::Partial,
        Err(_) => Header::Bad,
    }
}

const V1: &[u8] = b"PROXY ";
/// Longest header of version 1, its end included (PROXY protocol §2.1).
const V1_MAX: usize = 107;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whether these bytes are the beginning of a header of either version, as far as they go: whoever speaks
/// something else is not kept waiting for more. The parser does not look at every one of them.
fn begins(bytes: &[u8]) -> bool {
    [V1, V2].iter().any(|start| bytes.iter().zip(*start).all(|(byte, wanted)| byte == wanted))
}

/// Whether a header of version 1 is one line and ends as it must; version 2 says its length.
fn ends(bytes: &[u8], length: usize) -> bool {
    let line = bytes.get(..length).and_then(|line| line.strip_suffix(b"\r\n"));
    bytes.first() != V1.first() || line.is_some_and(|line| length <= V1_MAX && !line.contains(&b'\n'))
}

/// Whether more bytes can make these a header. Version 1 is one line: what its end does not complete,
/// nothing does.
fn may_begin(bytes: &[u8]) -> bool {
    bytes.first() != V1.first() || !bytes.contains(&b'\n')
}

/// Takes the header off a stream; what follows it stays. The source, if the header names one.
///
/// # Errors
/// `InvalidData` without a good header, else those of the stream.
pub async fn take<S: AsyncRead + Unpin>(stream: &mut Ahead<S>) -> io::Result<Option<SocketAddr>> {
    loop {
        match parse(stream.seen()) {
            Header::Bad => return Err(io::ErrorKind::InvalidData.into()),
            Header::Whole { source, length } => {
                stream.consume(length);
                return Ok(source);
            }
            Header::Partial => {
                if !stream.look(LENGTH_MAX).await? {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_signature_is_looked_at() {
        assert_eq!(parse(b"PROXY\xdaUNKNOWN\r\n"), Header::Bad);
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Header::Whole { source: None, length: 15 });
        assert_eq!(parse(b"PROXY UNKNOWN\n"), Header::Bad);
        assert_eq!(parse(b"PROXY UNKNOWNX\n"), Header::Bad);
        assert_eq!(parse(b"PROXY UNKNOWN\nPROXY UNKNOWN\r\n"), Header::Bad);
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 92], b"\r\n"].concat();
        assert_eq!(parse(&long), Header::Bad, "108 bytes");
        assert_eq!(parse(b""), Header::Partial);
    }
}
