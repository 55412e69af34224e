//! Finds where a head, or a trailer section, ends. Goes on where it stopped when more bytes come.

use super::field::is_token_byte;
use super::refusal::Refusal;

/// How far a section of lines has been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// Bytes looked at.
    seen: usize,
    /// Where the line under way begins.
    line: usize,
    /// Where the first line begins: after the one empty line that a head may have before it.
    first: usize,
    trailers: bool,
}

impl Scan {
    /// Of a head.
    #[must_use]
    pub fn head() -> Self {
        Self::default()
    }

    /// Of a trailer section, which may be nothing but its empty line.
    #[must_use]
    pub fn trailers() -> Self {
        Self { trailers: true, ..Self::default() }
    }

    /// The length of the section if all of it is there. `bytes` begin with those of the last call.
    /// Only the first `max` bytes are looked at, so that the verdict does not depend on how they came.
    ///
    /// # Errors
    /// Bare LF, a line that begins with a bare CR, too many empty lines, a first byte that begins no method.
    pub fn find(&mut self, bytes: &[u8], max: usize) -> Result<Option<usize>, Refusal> {
        let bytes = bytes.get(..max).unwrap_or(bytes);
        loop {
            // What is no HTTP at all, a TLS handshake say, must not wait for a line end.
            let begins = bytes.get(self.first).is_none_or(|byte| *byte == b'\r' || is_token_byte(*byte));
            if !self.trailers && !begins {
                return Err(if bytes.get(self.first) == Some(&b'\n') {
                    Refusal::BareLf
                } else {
                    Refusal::Method
                });
            }
            // Neither must a CR that ends no line.
            let after = bytes.get(self.line + 1).is_some_and(|byte| *byte != b'\n');
            if bytes.get(self.line) == Some(&b'\r') && after {
                return Err(Refusal::BareCr);
            }
            let fresh = bytes.get(self.seen..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', fresh) else {
                self.seen = bytes.len();
                return Ok(None);
            };
            let feed = self.seen + found;
            if feed == 0 || bytes.get(feed - 1) != Some(&b'\r') {
                return Err(Refusal::BareLf);
            }
            let (empty, first) = (feed - 1 == self.line, self.line == self.first);
            self.seen = feed + 1;
            self.line = feed + 1;
            match (empty, first && !self.trailers) {
                (true, true) if self.first == 0 => self.first = feed + 1,
                (true, true) => return Err(Refusal::EmptyLines),
                (true, false) => return Ok(Some(feed + 1)),
                (false, _) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        let whole = |bytes: &[u8]| Scan::head().find(bytes, 100);
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest"), Ok(Some(27)));
        assert_eq!(whole(b"\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(20)));
        assert_eq!(whole(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Err(Refusal::EmptyLines));
        assert_eq!(whole(b"GET / HTTP/1.1\n\n"), Err(Refusal::BareLf));
        assert_eq!(whole(b"\nGET / HTTP/1.1\n\n"), Err(Refusal::BareLf));
        assert_eq!(whole(b"\x16\x03\x01"), Err(Refusal::Method));
        assert_eq!(whole(b"\r\r"), Err(Refusal::BareCr));
        assert_eq!(whole(b"GET / HTTP/1.1\r\n\rX"), Err(Refusal::BareCr));
        assert_eq!(whole(b"\r\n\x16"), Err(Refusal::Method));
        let bytes = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut scan = Scan::head();
        for length in 0..bytes.len() {
            assert_eq!(scan.find(&bytes[..length], 100), Ok(None), "{length}");
        }
        assert_eq!(scan.find(bytes, 100), Ok(Some(bytes.len())));
        assert_eq!(Scan::head().find(bytes, bytes.len() - 1), Ok(None));
    }

    #[test]
    fn a_trailer_section_may_be_empty() {
        assert_eq!(Scan::trailers().find(b"\r\nGET", 100), Ok(Some(2)));
        assert_eq!(Scan::trailers().find(b"A: b\r\n\r\nGET", 100), Ok(Some(8)));
        assert_eq!(Scan::trailers().find(b"\n", 100), Err(Refusal::BareLf));
    }
}
