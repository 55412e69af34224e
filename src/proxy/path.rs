//! The path as it is judged, which is the path that the upstream gets.
//!
//! Routes are decided on one normal form, so that no spelling of a path reaches another route than
//! the upstream would serve it under. What can be read in two ways is refused, not guessed.
//! Normal form (RFC 3986 §6.2.2): escapes of unreserved bytes decoded, others in upper case, dot
//! segments removed, runs of `/` made one.

use std::borrow::Cow;

/// Why a path is refused. The text goes into the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPath(pub &'static str);

/// The normal form of `path` (without query); borrowed if it is normal already.
///
/// # Errors
/// [`BadPath`] for what upstreams read differently: encoded slashes, backslashes and NULs, broken
/// escapes, overlong UTF-8, control or non-ASCII bytes, dot segments above the root.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if !path.starts_with('/') {
        return Err(BadPath("the path does not begin with a slash"));
    }
    if is_normal(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = unescape(path.as_bytes())?;
    resolve(&decoded).map(Cow::Owned)
}

/// Quick look: no escape, no dot segment, no empty segment, nothing odd.
fn is_normal(path: &[u8]) -> bool {
    // Without a way out in the middle, many bytes are looked at together.
    let plain =
        path.iter().fold(true, |plain, byte| plain & !matches!(byte, b'%' | b'\\' | 0..=b' ' | 0x7f..));
    plain && !path.windows(2).any(|pair| matches!(pair, [b'/', b'/' | b'.']))
}

fn unescape(path: &[u8]) -> Result<String, BadPath> {
    let mut out = String::with_capacity(path.len());
    // The byte that the escape just before stood for.
    let mut lead = 0;
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = digits else {
                    return Err(BadPath("a percent sign is not followed by two hexadecimal digits"));
                };
                let escaped = high << 4 | low;
                match (std::mem::replace(&mut lead, escaped), escaped) {
                    (_, 0xc0 | 0xc1) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f) => {
                        return Err(BadPath("overlong UTF-8"));
                    }
                    _ => {}
                }
                match escaped {
                    b'/' | b'\\' | 0 => return Err(BadPath("an encoded slash, backslash or NUL")),
                    plain @ (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {
                        out.push(char::from(plain));
                    }
                    other => {
                        out.push('%');
                        let digits = [other >> 4, other & 15].map(|digit| char::from_digit(digit.into(), 16));
                        out.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
                    }
                }
            }
            b'\\' => return Err(BadPath("a backslash")),
            0..=b' ' | 0x7f.. => return Err(BadPath("a byte that must be escaped")),
            plain => {
                lead = 0;
                out.push(char::from(plain));
            }
        }
    }
    Ok(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn resolve(path: &str) -> Result<String, BadPath> {
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in path.split('/').skip(1) {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop().ok_or(BadPath("the path leads above the root"))?;
            }
            name => kept.push(name),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if directory || kept.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// A normal path with each segment cut at its first `;`.
///
/// # Errors
/// [`BadPath`] if a segment becomes empty or a dot segment by that: upstreams that cut them walk
/// elsewhere than those that do not.
pub fn without_parameters(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if memchr::memchr(b';', path.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(path));
    }
    let mut bare = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let name = segment.split(';').next().unwrap_or_default();
        if name != segment && matches!(name, "" | "." | "..") {
            return Err(BadPath("a dot segment with parameters"));
        }
        bare.push('/');
        bare.push_str(name);
    }
    Ok(Cow::Owned(bare))
}

/// Whether `path` lies under `prefix`, at a segment border: `/a` covers `/a` and `/a/b`, not `/ab`.
#[must_use]
pub fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_path_become_one() {
        for spelling in [
            "/wallet/a",
            "//wallet/a",
            "/./wallet/a",
            "/x/../wallet/a",
            "/%77allet/%61",
            "/wallet//a",
            "/x/%2e%2E/wallet/a",
            "/wallet/./a",
        ] {
            assert_eq!(normalise(spelling).unwrap(), "/wallet/a", "{spelling}");
        }
        assert_eq!(normalise("/wallet/a/..").unwrap(), "/wallet/");
        assert_eq!(normalise("/%e0%a4").unwrap(), "/%E0%A4");
        assert_eq!(normalise("/caff%c3%a8/%e8").unwrap(), "/caff%C3%A8/%E8");
        assert_eq!(normalise("/a;b=c:@!$&'()*+,=").unwrap(), "/a;b=c:@!$&'()*+,=");
        assert_eq!(normalise("/...").unwrap(), "/...");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for path in [
            "",
            "wallet",
            "*",
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a%",
            "/a%4",
            "/a%zz",
            "/..",
            "/a/../..",
            "/%2e%2e/x",
            "/a b",
            "/é",
            "/%c0%af",
            "/%c1%9c",
            "/%e0%80%af",
            "/%f0%80%80%af",
        ] {
            assert!(normalise(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        assert!(is_under("/a", "/a") && is_under("/a/b", "/a") && is_under("/a/b", "/"));
        assert!(!is_under("/ab", "/a") && !is_under("/", "/a"));
    }

    #[test]
    fn parameters_do_not_change_the_route() {
        assert_eq!(without_parameters("/wallet;v=1/card;x").unwrap(), "/wallet/card");
        assert_eq!(without_parameters("/wallet/").unwrap(), "/wallet/");
        for path in ["/a/..;/b", "/a/.;x/b", "/;x/b"] {
            assert!(without_parameters(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn normal_is_normal(path in "/([ -~]|%[0-9a-fA-F]{2}|[./;]|%2[eEfF5]){0,40}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert_eq!(normalise(&normal).unwrap().into_owned(), normal.clone().into_owned());
                prop_assert!(!normal.contains("//") && !normal.split('/').any(|part| part == "." || part == ".."));
                prop_assert!(!normal.contains(['\\', ' ', '\0']) && normal.is_ascii() && normal.starts_with('/'));
                prop_assert!(!normal.contains("%2F") && !normal.contains("%5C") && !normal.contains("%00"));
                // Cutting parameters makes no new dot segment, and decoding once makes no new segment.
                if let Ok(bare) = without_parameters(&normal) {
                    prop_assert_eq!(normalise(&bare).unwrap().into_owned(), bare.clone().into_owned());
                }
            }
        }

        /// Both spellings of each byte come out alike, so that no route can be met by one of them only.
        #[test]
        fn an_escape_is_no_disguise(path in "/[a-zA-Z0-9._~/-]{1,30}", mask in any::<u32>()) {
            let disguised: String = path.bytes().enumerate().map(|(at, byte)| {
                if byte != b'/' && mask >> (at % 32) & 1 == 1 { format!("%{byte:02x}") } else { char::from(byte).to_string() }
            }).collect();
            prop_assert_eq!(normalise(&disguised), normalise(&path));
        }
    }
}
