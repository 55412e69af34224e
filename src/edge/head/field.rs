//! One field line (RFC 9110 §5, RFC 9112 §5).

use super::refusal::Refusal;

/// `tchar` (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+'
        | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// A token: at least one byte, all of them `tchar`.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// `bytes` before and after the first `border`.
#[must_use]
pub fn cut(bytes: &[u8], border: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(border, bytes)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Takes a line off the front; its LF is known to follow a CR.
#[must_use]
pub fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = cut(bytes, b'\n')?;
    Some((line.strip_suffix(b"\r")?, rest))
}

/// Name and value of a field line, without the spaces around the value.
///
/// # Errors
/// What makes it none: folded, no token before the colon, a control byte.
pub fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::Folded);
    }
    let (name, value) = cut(line, b':').ok_or(Refusal::FieldName)?;
    if !is_token(name) {
        return Err(Refusal::FieldName);
    }
    if let Some(control) = value.iter().find(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
        return Err(if *control == b'\r' { Refusal::BareCr } else { Refusal::ControlByte });
    }
    Ok((name, trim(value)))
}

/// Without spaces and tabs around.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Fields that frame a message, route it or say who asks: never in a trailer (RFC 9110 §6.5.1).
const NOT_TRAILERS: [&str; 22] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Judges a trailer section, its empty line included.
///
/// # Errors
/// [`Refusal::Trailer`], whatever is wrong.
pub fn trailers(mut section: &[u8], max: usize) -> Result<(), Refusal> {
    let mut left = max;
    while let Some((text, rest)) = line(section) {
        if text.is_empty() {
            return Ok(());
        }
        let (name, _) = field(text).map_err(|_| Refusal::Trailer)?;
        let barred = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        let forwarding = name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"x-forwarded-"));
        left = left.checked_sub(1).ok_or(Refusal::Trailer)?;
        if forwarding || NOT_TRAILERS.iter().any(barred) {
            return Err(Refusal::Trailer);
        }
        section = rest;
    }
    Err(Refusal::Trailer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_strictly() {
        assert_eq!(field(b"Host: \t example.org \t"), Ok((&b"Host"[..], &b"example.org"[..])));
        assert_eq!(field(b"X:"), Ok((&b"X"[..], &b""[..])));
        assert_eq!(field(b"X:a\xe9:b"), Ok((&b"X"[..], &b"a\xe9:b"[..])));
        for (line, refusal) in [
            (&b" X: a"[..], Refusal::Folded),
            (b"\tX: a", Refusal::Folded),
            (b"X : a", Refusal::FieldName),
            (b": a", Refusal::FieldName),
            (b"X a", Refusal::FieldName),
            (b"X\0: a", Refusal::FieldName),
            (b"X: a\0", Refusal::ControlByte),
            (b"X: a\x7f", Refusal::ControlByte),
            (b"X: a\rb", Refusal::BareCr),
        ] {
            assert_eq!(field(line), Err(refusal), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn trailers_neither_frame_nor_route() {
        assert_eq!(trailers(b"\r\n", 1), Ok(()));
        assert_eq!(trailers(b"Digest: a\r\n\r\n", 1), Ok(()));
        for bad in [
            &b"Content-Length: 1\r\n\r\n"[..],
            b"transfer-encoding: chunked\r\n\r\n",
            b"X-Forwarded-For: 1\r\n\r\n",
            b"A : b\r\n\r\n",
            b"A: b\r\nB: c\r\n\r\n",
        ] {
            assert_eq!(trailers(bad, 1), Err(Refusal::Trailer), "{}", bad.escape_ascii());
        }
    }
}
