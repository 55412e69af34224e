//! Judges a whole head and says where its body ends (RFC 9112 §3, §5, §6).

use super::field::{cut, field, is_token, line};
use super::refusal::Refusal;
use super::target::{is_host, target};

/// A method longer than any that exists.
const METHOD_MAX: usize = 32;

/// How much a head may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head, its empty line included.
    pub head: usize,
    /// Bytes of the target.
    pub target: usize,
    /// Fields.
    pub fields: usize,
}

/// Where the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
}

/// What the fields say that matters here.
#[derive(Debug, Default)]
struct Fields {
    host: bool,
    length: Option<u64>,
    chunked: bool,
}

/// Judges a head with its empty line, as [`Scan`](super::scan::Scan) found it.
///
/// # Errors
/// The first fault.
pub fn judge(head: &[u8], limits: &Limits) -> Result<Framing, Refusal> {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let (first, mut rest) = line(head).ok_or(Refusal::RequestLine)?;
    let old = request_line(first, limits)?;
    let mut fields = Fields::default();
    let mut left = limits.fields;
    while let Some((text, after)) = line(rest) {
        rest = after;
        if text.is_empty() {
            break;
        }
        left = left.checked_sub(1).ok_or(Refusal::TooManyFields)?;
        let (name, value) = field(text)?;
        fields.note(name, value, old)?;
    }
    if !fields.host {
        return Err(Refusal::HostMissing);
    }
    match (fields.length, fields.chunked) {
        (Some(_), true) => Err(Refusal::LengthAndCoding),
        (_, true) => Ok(Framing::Chunked),
        (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// What to say of a head that is longer than allowed: the target's fault if it is that long by itself.
#[must_use]
pub fn overlong(bytes: &[u8], limits: &Limits) -> Refusal {
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let after = cut(bytes, b' ').map_or(&b""[..], |(_, after)| after);
    let end = memchr::memchr2(b' ', b'\r', after).unwrap_or(after.len());
    if end > limits.target { Refusal::TargetTooLong } else { Refusal::HeadTooLong }
}

/// Judges a request line; true for HTTP/1.0.
fn request_line(line: &[u8], limits: &Limits) -> Result<bool, Refusal> {
    if line.contains(&b'\r') {
        return Err(Refusal::BareCr);
    }
    let (method, rest) = cut(line, b' ').ok_or(Refusal::RequestLine)?;
    if !is_token(method) {
        return Err(Refusal::Method);
    }
    let (aim, version) = cut(rest, b' ').ok_or(Refusal::RequestLine)?;
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Refusal::Version),
        _ => return Err(Refusal::RequestLine),
    };
    if method == b"CONNECT" || method.len() > METHOD_MAX {
        return Err(Refusal::MethodUnknown);
    }
    if aim.len() > limits.target {
        return Err(Refusal::TargetTooLong);
    }
    target(aim, method)?;
    Ok(old)
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &[u8], old: bool) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if std::mem::replace(&mut self.host, true) {
                    return Err(Refusal::HostRepeated);
                }
                if !is_host(value) {
                    return Err(Refusal::Host);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(Refusal::Expectation);
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = length(value)?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::LengthRepeated);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if old {
                    return Err(Refusal::CodingInOld);
                }
                if std::mem::replace(&mut self.chunked, true) {
                    return Err(Refusal::Coding);
                }
                coding(value)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Digits only, and no more than an `i64` of some upstream can hold.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Length);
    }
    let number = value
        .iter()
        .try_fold(0_i64, |number, digit| number.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
    number.and_then(|number| u64::try_from(number).ok()).ok_or(Refusal::Length)
}

/// Exactly `chunked`. Another coding before it is one that we do not know, anything else leaves the end
/// of the body open.
fn coding(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let last = names.next_back().unwrap_or_default();
    let known = |name: &[u8]| {
        [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    if last.eq_ignore_ascii_case(b"chunked") && names.all(known) {
        Err(Refusal::CodingUnknown)
    } else {
        Err(Refusal::Coding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: 1024, target: 16, fields: 4 };

    fn fields(text: &str) -> Result<Framing, Refusal> {
        judge(format!("POST / HTTP/1.1\r\nHost: a\r\n{text}\r\n\r\n").as_bytes(), &LIMITS)
    }

    fn first(text: &str) -> Result<Framing, Refusal> {
        judge(format!("{text}\r\nHost: a\r\n\r\n").as_bytes(), &LIMITS)
    }

    #[test]
    fn a_body_ends_in_one_way() {
        assert_eq!(fields("X: y"), Ok(Framing::Length(0)));
        assert_eq!(fields("Content-Length: 5"), Ok(Framing::Length(5)));
        assert_eq!(fields("content-length:\t9223372036854775807 "), Ok(Framing::Length(i64::MAX as u64)));
        assert_eq!(fields("Transfer-Encoding: Chunked"), Ok(Framing::Chunked));
        for (bad, refusal) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Refusal::LengthAndCoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", Refusal::LengthAndCoding),
            ("Content-Length: 5\r\nContent-Length: 5", Refusal::LengthRepeated),
            ("Content-Length: 5, 5", Refusal::Length),
            ("Content-Length: +5", Refusal::Length),
            ("Content-Length: -5", Refusal::Length),
            ("Content-Length: 0x5", Refusal::Length),
            ("Content-Length:", Refusal::Length),
            ("Content-Length: 9223372036854775808", Refusal::Length),
            ("Content-Length: 00000000000000000005", Refusal::Length),
            ("Transfer-Encoding: gzip, chunked", Refusal::CodingUnknown),
            ("Transfer-Encoding: identity", Refusal::Coding),
            ("Transfer-Encoding: chunked, gzip", Refusal::Coding),
            ("Transfer-Encoding: chunked, chunked", Refusal::Coding),
            ("Transfer-Encoding: xchunked", Refusal::Coding),
            ("Transfer-Encoding: chunked,", Refusal::Coding),
            ("Transfer-Encoding: chunked;q=1", Refusal::Coding),
            ("Transfer-Encoding: \"chunked\"", Refusal::Coding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Refusal::Coding),
            ("Transfer-Encoding:", Refusal::Coding),
            ("Expect: 200-ok", Refusal::Expectation),
            ("Host: b", Refusal::HostRepeated),
        ] {
            assert_eq!(fields(bad), Err(refusal), "{bad}");
        }
    }

    #[test]
    fn a_request_line_is_three_words() {
        assert_eq!(first("GET /0123456789abcde HTTP/1.1"), Ok(Framing::Length(0)));
        for (bad, refusal) in [
            ("GET /0123456789abcdef HTTP/1.1", Refusal::TargetTooLong),
            ("GET /", Refusal::RequestLine),
            ("GET", Refusal::RequestLine),
            ("GET  / HTTP/1.1", Refusal::RequestLine),
            ("GET / HTTP/1.1 ", Refusal::RequestLine),
            ("GET / HTTP/1.1x", Refusal::RequestLine),
            ("GET / http/1.1", Refusal::RequestLine),
            ("GET / HTTP/2.0", Refusal::Version),
            ("GET / HTTP/1.2", Refusal::Version),
            ("GET\t/ HTTP/1.1", Refusal::Method),
            ("G{T / HTTP/1.1", Refusal::Method),
            ("CONNECT a:80 HTTP/1.1", Refusal::MethodUnknown),
            ("GET /\rHTTP/1.1", Refusal::BareCr),
        ] {
            assert_eq!(first(bad), Err(refusal), "{bad}");
        }
    }

    #[test]
    fn limits_hold_at_their_border() {
        let with = |count: usize| fields(&vec!["X: y"; count].join("\r\n"));
        assert_eq!((with(3), with(4)), (Ok(Framing::Length(0)), Err(Refusal::TooManyFields)));
        let none = judge(b"GET / HTTP/1.0\r\n\r\n", &LIMITS);
        assert_eq!(none, Err(Refusal::HostMissing));
        let old = judge(b"GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &LIMITS);
        assert_eq!(old, Err(Refusal::CodingInOld));
        assert_eq!(overlong(b"GET /0123456789abcdef", &LIMITS), Refusal::TargetTooLong);
        assert_eq!(overlong(b"GET / HTTP/1.1\r\nX: 0123456789abcdef", &LIMITS), Refusal::HeadTooLong);
    }
}
