//! The target of a request and the host that it is for (RFC 9112 §3.2, RFC 3986).

use super::field::cut;
use super::refusal::Refusal;

/// Judges a target for its method. Routing by path is judged later, on the normal form.
///
/// # Errors
/// Illegal bytes, a form that does not fit, user information.
pub fn target(target: &[u8], method: &[u8]) -> Result<(), Refusal> {
    if target == b"*" {
        return if method == b"OPTIONS" { Ok(()) } else { Err(Refusal::TargetForm) };
    }
    if target.first() == Some(&b'/') {
        return path_and_query(target);
    }
    if !target.iter().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::Target);
    }
    let after = |scheme: &[u8]| {
        let start = target.get(..scheme.len())?;
        if start.eq_ignore_ascii_case(scheme) { target.get(scheme.len()..) } else { None }
    };
    let rest = after(b"http://").or_else(|| after(b"https://")).ok_or(Refusal::TargetForm)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(Refusal::Target)?;
    if authority.contains(&b'@') {
        return Err(Refusal::UserInformation);
    }
    if !is_host(authority) {
        return Err(Refusal::Host);
    }
    path_and_query(rest)
}

fn path_and_query(target: &[u8]) -> Result<(), Refusal> {
    let (path, query) = cut(target, b'?').unwrap_or((target, b""));
    if path.iter().all(|byte| is_path_byte(*byte)) && query.iter().all(|byte| is_query_byte(*byte)) {
        Ok(())
    } else {
        Err(Refusal::Target)
    }
}

/// `pchar` and `/`, and what browsers leave as it is.
fn is_path_byte(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\''
        | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'/' | b'%' | b'[' | b']' | b'|')
}

fn is_query_byte(byte: u8) -> bool {
    is_path_byte(byte) || matches!(byte, b'?' | b'{' | b'}' | b'\\' | b'^' | b'`')
}

/// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
#[must_use]
pub fn is_host(host: &[u8]) -> bool {
    let (name, port) = if let Some(inner) = host.strip_prefix(b"[") {
        let Some((address, port)) = cut(inner, b']') else { return false };
        let text = std::str::from_utf8(address).unwrap_or_default();
        if text.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        (None, port)
    } else {
        let colon = memchr::memchr(b':', host).unwrap_or(host.len());
        let Some((name, port)) = host.split_at_checked(colon) else { return false };
        (Some(name), port)
    };
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let named = |name: &[u8]| (1..=255).contains(&name.len()) && name.iter().all(letter);
    name.is_none_or(named) && is_port(port)
}

/// Nothing, or a colon and a number up to 65535.
fn is_port(port: &[u8]) -> bool {
    let Some(digits) = port.strip_prefix(b":") else { return port.is_empty() };
    let text = std::str::from_utf8(digits).unwrap_or_default();
    digits.iter().all(u8::is_ascii_digit) && digits.len() <= 5 && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_fit_their_methods() {
        for (good, method) in [
            ("/", "GET"),
            ("/a;b?c=d/e?f", "GET"),
            ("/[a]|b?{x}\\^`", "GET"),
            ("*", "OPTIONS"),
            ("http://example.org", "GET"),
            ("HTTP://example.org:8080/a?b", "GET"),
            ("https://[::1]:8080?b", "GET"),
        ] {
            assert_eq!(target(good.as_bytes(), method.as_bytes()), Ok(()), "{good}");
            assert!(good.parse::<http::Uri>().is_ok(), "{good}");
        }
        for (bad, refusal) in [
            ("", Refusal::TargetForm),
            ("*", Refusal::TargetForm),
            ("a", Refusal::TargetForm),
            ("example.org:80", Refusal::TargetForm),
            ("ftp://example.org/", Refusal::TargetForm),
            ("http:///a", Refusal::Host),
            ("http://u@example.org/", Refusal::UserInformation),
            ("http://u:p@example.org/", Refusal::UserInformation),
            ("/#a", Refusal::Target),
            ("/a\"b", Refusal::Target),
            ("/{a}", Refusal::Target),
            ("/\\a", Refusal::Target),
            ("/?a#b", Refusal::Target),
            ("/\u{e9}", Refusal::Target),
        ] {
            assert_eq!(target(bad.as_bytes(), b"GET"), Err(refusal), "{bad}");
        }
    }

    #[test]
    fn hosts_are_hosts() {
        for good in ["a", "example.org", "example.org.:80", "10.0.0.1:8080", "[::1]", "[::1]:80", "a_b"] {
            assert!(is_host(good.as_bytes()), "{good}");
            assert!(good.parse::<http::uri::Authority>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:x",
            "a:65536",
            "a:0000080",
            "a b",
            "a,b",
            "u@a",
            "a/b",
            "a?b",
            "a#b",
            "[::1",
            "[]",
            "[a]",
            "::1",
            "a:80:80",
            "a%00b",
            "[::1]x",
            "\u{e9}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    /// What is passed on, the engine reads; what it would refuse with an answer of its own, we refuse.
    #[test]
    fn every_byte_that_passes_is_one_that_the_engine_reads() {
        for byte in 0..=255 {
            for prefix in [&b"/a"[..], b"/?a", b"http://example.org/a", b"http://example.org?a"] {
                let text = [prefix, &[byte], b"z"].concat();
                if target(&text, b"GET").is_ok() {
                    assert!(http::Uri::try_from(&text[..]).is_ok(), "{}", text.escape_ascii());
                }
            }
        }
    }
}
