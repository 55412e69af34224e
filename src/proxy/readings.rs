//! The ways in which an upstream may read a path, besides ours.
//!
//! We send the normal form; an upstream, its framework or a rewrite of its own may decode it again, take
//! `\` for `/`, cut parameters at `;`, end at an encoded `?`, `#` or NUL, or accept overlong UTF-8. A
//! path is sent on only if each of these readings stays on the route on which it was judged. Most paths
//! have but one reading, which is found by one look.

use super::path::BadPath;

/// Rounds of decoding that are looked into; what is encoded more often is refused.
const ROUNDS: usize = 3;
/// Longest path that is read in every way, bytes.
const LENGTH_MAX: usize = 4_096;

/// Every other reading of a normal path, as plain bytes.
///
/// # Errors
/// [`BadPath`] if it cannot be known in reasonable time.
pub fn others(path: &str) -> Result<Vec<Vec<u8>>, BadPath> {
    if !has_structure(path.as_bytes()) {
        return Ok(Vec::new());
    }
    if path.contains(';') {
        return Err(BadPath("parameters beside an encoded delimiter"));
    }
    if path.len() > LENGTH_MAX {
        return Err(BadPath("an encoded delimiter in so long a path"));
    }
    let mut found = Vec::new();
    let mut plain = path.as_bytes().to_vec();
    for _ in 0..ROUNDS {
        let next = decode(&plain);
        if next == plain {
            return Ok(found);
        }
        plain = next;
        for ways in 0..8u8 {
            let on = |way: u8| ways & way != 0;
            let mut bytes = plain.clone();
            if on(1) {
                bytes = slashes(&bytes);
            }
            if on(2) {
                bytes = cut(&bytes);
            }
            if on(4) {
                bytes.truncate(
                    bytes.iter().position(|byte| matches!(byte, b'?' | b'#' | 0)).unwrap_or(bytes.len()),
                );
            }
            let resolved = resolve(&bytes);
            if !found.contains(&resolved) {
                found.push(resolved);
            }
        }
    }
    if decode(&plain) == plain { Ok(found) } else { Err(BadPath("a path encoded many times over")) }
}

/// Escapes that hide something by which paths are parted: another escape, `;`, `?` or `#`. Slashes,
/// backslashes, NULs and overlong forms never get here.
fn has_structure(path: &[u8]) -> bool {
    memchr::memchr(b'%', path).is_some()
        && path.windows(3).any(|escape| matches!(escape, b"%25" | b"%3B" | b"%3F" | b"%23"))
}

/// Decodes each escape once; what is none stays.
#[must_use]
pub fn decode(path: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let pair = (digit(after.first()), digit(after.get(1)));
        rest = after;
        match pair {
            (Some(high), Some(low)) if *byte == b'%' => {
                out.extend(u8::try_from(high << 4 | low));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// Backslashes and overlong ASCII as what they are taken for.
fn slashes(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let (plain, used) = match (byte, after) {
            (0xc0 | 0xc1, [tail @ 0x80..=0xbf, ..]) => ((byte & 1) << 6 | (tail & 0x3f), 2),
            (0xe0, [middle @ 0x80..=0x81, tail @ 0x80..=0xbf, ..]) => ((middle & 1) << 6 | (tail & 0x3f), 3),
            _ => (*byte, 1),
        };
        out.push(if plain == b'\\' { b'/' } else { plain });
        rest = rest.get(used..).unwrap_or_default();
    }
    out
}

/// Each segment up to its first `;`.
fn cut(path: &[u8]) -> Vec<u8> {
    let names = path.split(|byte| *byte == b'/').map(|part| part.split(|byte| *byte == b';').next());
    names.map(Option::unwrap_or_default).collect::<Vec<_>>().join(&b'/')
}

/// Empty and dot segments gone; those above the root stay there.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let mut out = vec![b'/'];
    out.extend(kept.join(&b'/'));
    out
}

/// Whether a reading lies under `prefix`, at a border of a segment or of what some take for one, in
/// whatever case.
#[must_use]
pub fn covers(prefix: &[u8], reading: &[u8]) -> bool {
    let Some((head, rest)) = reading.split_at_checked(prefix.len()) else { return false };
    head.eq_ignore_ascii_case(prefix)
        && (prefix.ends_with(b"/")
            || matches!(rest.first(), None | Some(b'/' | b'\\' | b';' | b'?' | b'#' | 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(path: &str, as_what: &str) -> bool {
        others(path).unwrap().iter().any(|reading| reading == as_what.as_bytes())
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        for path in ["/", "/wallet/a", "/caff%C3%A8/%E8", "/a%20b", "/a;v=1/b", "/100%2B"] {
            assert!(others(path).unwrap().is_empty(), "{path}");
        }
    }

    #[test]
    fn what_an_upstream_may_make_of_a_path_is_found() {
        for (path, reading) in [
            ("/x%252F..%252Fwallet", "/wallet"),
            ("/%252e%252e/wallet", "/wallet"),
            ("/%2577allet", "/wallet"),
            ("/x/..%3B/wallet", "/wallet"),
            ("/wallet%3Bv=1/a", "/wallet/a"),
            ("/wallet%3Fx", "/wallet"),
            ("/wallet%23", "/wallet"),
            ("/wallet%2500.png", "/wallet"),
            ("/x%255c..%255cwallet", "/wallet"),
            ("/x%25c0%25af..%25c0%25afwallet", "/wallet"),
            ("/x%25e0%2580%25af..%25e0%2580%25afwallet", "/wallet"),
            ("/x%3F%255c..%255cwallet", "/wallet"),
            ("/%25252e%25252e/wallet", "/wallet"),
        ] {
            assert!(reads(path, reading), "{path} as {reading}: {:?}", others(path));
        }
        assert!(!reads("/search/100%25add", "/wallet"));
    }

    #[test]
    fn what_cannot_be_known_in_reasonable_time_is_refused() {
        assert!(others("/%252525252e").is_err());
        assert!(others("/a;b%3B").is_err());
        assert!(others(&format!("/%3B{}", "a".repeat(LENGTH_MAX))).is_err());
    }

    #[test]
    fn a_reading_lies_under_a_prefix_in_whatever_case() {
        assert!(covers(b"/wallet", b"/WALLET/a") && covers(b"/", b"/a") && covers(b"/a", b"/A"));
        assert!(!covers(b"/wallet", b"/wallets") && !covers(b"/wallet", b"/wal"));
    }
}
