//! Follows a chunked body to its end (RFC 9112 §7.1), byte by byte where it is framing and by the
//! whole where it is data.

use super::refusal::Refusal;

/// Most bytes of chunk extensions in one body; the engine's own bound is twice that.
const EXTENSIONS_MAX: u32 = 8 * 1024;
/// Most digits of a chunk size, leading zeros included.
const DIGITS_MAX: u8 = 16;

/// Where in a chunked body a reader is.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    place: Place,
    extensions: u32,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Size {
        digits: u8,
        size: u64,
    },
    /// Spaces after the size: an extension must follow.
    Space {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeFeed {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataFeed,
    Trailers,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { place: Place::Size { digits: 0, size: 0 }, extensions: 0 }
    }
}

impl Chunks {
    /// The last chunk has been read; what follows is the trailer section.
    #[must_use]
    pub fn at_trailers(&self) -> bool {
        matches!(self.place, Place::Trailers)
    }

    /// Reads on; returns how many bytes belong to the chunks. Fewer than all at the trailers, and
    /// before a fault, which the next call tells.
    ///
    /// # Errors
    /// The first fault.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Place::Data { left } = self.place {
                let here = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX).min(left);
                at += usize::try_from(here).unwrap_or(usize::MAX);
                self.place = if here == left { Place::DataReturn } else { Place::Data { left: left - here } };
                continue;
            }
            if self.at_trailers() {
                break;
            }
            match self.step(*byte) {
                Ok(place) => self.place = place,
                Err(refusal) if at == 0 => return Err(refusal),
                // What is good goes first, so that the verdict does not depend on how the bytes came.
                Err(_) => break,
            }
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<Place, Refusal> {
        match (self.place, byte) {
            (Place::Size { digits, size }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                let size = size << 4 | u64::from(digit);
                // One bit below what fits, so that no reader with signed numbers wraps round.
                if digits == DIGITS_MAX || size > i64::MAX.unsigned_abs() {
                    return Err(Refusal::ChunkSize);
                }
                Ok(Place::Size { digits: digits + 1, size })
            }
            (Place::Size { digits: 1.., size }, b'\r') => Ok(Place::SizeFeed { size }),
            (Place::Size { digits: 1.., size }, b';') => Ok(Place::Extension { size }),
            (Place::Size { digits: 1.., size } | Place::Space { size }, b' ' | b'\t') => {
                self.count()?;
                Ok(Place::Space { size })
            }
            (Place::Space { size }, b';') => Ok(Place::Extension { size }),
            (Place::Size { .. } | Place::Space { .. }, _) => Err(Refusal::ChunkSize),
            (Place::Extension { size }, b'\r') => Ok(Place::SizeFeed { size }),
            (Place::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count()?;
                Ok(Place::Extension { size })
            }
            (Place::Extension { .. }, _) => Err(Refusal::ChunkExtension),
            (Place::SizeFeed { size: 0 }, b'\n') => Ok(Place::Trailers),
            (Place::SizeFeed { size }, b'\n') => Ok(Place::Data { left: size }),
            (Place::SizeFeed { .. }, _) => Err(Refusal::ChunkSize),
            (Place::DataReturn, b'\r') => Ok(Place::DataFeed),
            (Place::DataFeed, b'\n') => Ok(Place::Size { digits: 0, size: 0 }),
            (Place::DataReturn | Place::DataFeed, _) => Err(Refusal::ChunkEnd),
            (place @ (Place::Data { .. } | Place::Trailers), _) => Ok(place),
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS_MAX { Err(Refusal::ChunkExtension) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut chunks = Chunks::default();
        let length = chunks.advance(bytes)?;
        if length < bytes.len() && !chunks.at_trailers() {
            chunks.advance(&bytes[length..])?;
        }
        Ok((length, chunks.at_trailers()))
    }

    #[test]
    fn chunks_end_where_they_say() {
        assert_eq!(read(b"5\r\nhello\r\n0\r\n\r\n"), Ok((13, true)));
        assert_eq!(read(b"00A;x=\"y z\"\r\n0123456789\r\n0000\r\nX: y\r\n"), Ok((31, true)));
        assert_eq!(read(b"5 \t;x\r\nhello\r\n"), Ok((14, false)));
        for (bad, refusal) in [
            (&b"\r\n"[..], Refusal::ChunkSize),
            (b"5\nhello", Refusal::ChunkSize),
            (b"5\rhello", Refusal::ChunkSize),
            (b"5 \r\nhello", Refusal::ChunkSize),
            (b" 5\r\nhello", Refusal::ChunkSize),
            (b"+5\r\nhello", Refusal::ChunkSize),
            (b"0x5\r\nhello", Refusal::ChunkSize),
            (b"8000000000000000\r\n", Refusal::ChunkSize),
            (b"00000000000000005\r\n", Refusal::ChunkSize),
            (b"5;x\nhello", Refusal::ChunkExtension),
            (b"5;x\0\r\nhello", Refusal::ChunkExtension),
            (b"5\r\nhello!\r\n", Refusal::ChunkEnd),
            (b"5\r\nhello\n0\r\n", Refusal::ChunkEnd),
            (b"5\r\nhello0\r\n", Refusal::ChunkEnd),
        ] {
            assert_eq!(read(bad), Err(refusal), "{}", bad.escape_ascii());
        }
        assert_eq!(read(b"7fffffffffffffff\r\n"), Ok((18, false)));
    }

    #[test]
    fn extensions_have_a_bound_over_the_whole_body() {
        let chunk = [&b"1;"[..], &[b'x'; 4096], b"\r\na\r\n"].concat();
        assert!(read(&chunk.repeat(2)).is_ok());
        assert_eq!(read(&[chunk.repeat(2), b"1;x".to_vec()].concat()), Err(Refusal::ChunkExtension));
    }
}
