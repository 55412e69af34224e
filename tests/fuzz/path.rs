//! Targets: one normal form, which another reading of the same bytes agrees with, and which is what
//! the upstream gets.

use std::net::SocketAddr;
use std::sync::OnceLock;

use http::{Request, Uri};
use tornello::config::Settings;
use tornello::proxy::asked::Asked;
use tornello::proxy::path::{is_under, without_parameters};
use tornello::proxy::{Peer, normalise};

static SETTINGS: OnceLock<Settings> = OnceLock::new();

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = text.split('?').next().unwrap();
    if let Ok(normal) = normalise(path) {
        assert_eq!(normalise(&normal).as_deref(), Ok(&*normal), "not its own normal form");
        assert_eq!(walked(path), walked(&normal), "leads elsewhere than {normal:?}");
        is_normal(&normal);
        if let Ok(bare) = without_parameters(&normal) {
            assert_eq!(without_parameters(&bare).as_deref(), Ok(&*bare));
            let cut = |segment: &str| segment.split(';').next().unwrap().to_owned();
            let cut: Vec<String> = normal.split('/').map(cut).collect();
            assert_eq!(cut.join("/"), *bare);
            // A route covers what lies below it and nothing else.
            for (end, _) in bare.match_indices('/').skip(1) {
                assert!(is_under(&bare, &bare[..end]), "{bare:?} is below {:?}", &bare[..end]);
                assert!(!is_under(&format!("{}x", &bare[..end]), &bare[..end]) || end == 0);
            }
        }
    }
    asked(text);
}

/// What hyper lets through as a target goes up as it was judged, and is judged the same again.
fn asked(text: &str) {
    let Ok(uri) = Uri::try_from(text) else { return };
    let settings = SETTINGS.get_or_init(|| {
        let minimal = include_str!("../../config/minimal.toml");
        tornello::config::parse(minimal, "minimal.toml").unwrap().0
    });
    let host = uri.authority().map_or("example.org", |authority| authority.as_str()).to_owned();
    let read = |uri: Uri| {
        let peer = Peer::plain(SocketAddr::from(([192, 0, 2, 1], 1)));
        let request = Request::builder().uri(uri).header("host", &host).body(());
        Asked::read(&request.ok()?, &peer, settings).ok()
    };
    let Some(asked) = read(uri.clone()) else { return };
    let target = asked.target();
    assert_eq!((target.path(), target.query()), (&*asked.path, uri.query()), "sent on as {target}");
    let again = read(target).expect("what is sent on can be judged");
    assert_eq!((&*again.path, again.bare()), (&*asked.path, asked.bare()));
}

/// Where a path leads when everything is decoded first. Encoded slashes are refused, so this is the
/// same walk.
fn walked(path: &str) -> Vec<Vec<u8>> {
    let (mut plain, mut rest) = (Vec::new(), path.as_bytes());
    while let [byte, after @ ..] = rest {
        let escape =
            after.get(..2).filter(|_| *byte == b'%').map(|digits| std::str::from_utf8(digits).unwrap());
        let value = escape.map(|digits| u8::from_str_radix(digits, 16).expect("a whole escape"));
        plain.push(value.unwrap_or(*byte));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    let mut stack: Vec<Vec<u8>> = Vec::new();
    for segment in plain.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => assert!(stack.pop().is_some(), "above the root"),
            name => stack.push(name.to_vec()),
        }
    }
    stack
}

fn is_normal(path: &str) {
    assert!(path.starts_with('/') && !path.contains("//"), "{path:?}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{path:?}");
    assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")), "{path:?}");
    for escape in path.split('%').skip(1) {
        let digits = escape.get(..2).expect("a whole escape");
        let byte = u8::from_str_radix(digits, 16).expect("hexadecimal");
        assert!(!digits.bytes().any(|digit| digit.is_ascii_lowercase()), "{path:?}");
        assert!(!byte.is_ascii_alphanumeric() && !b"-._~/\\\0".contains(&byte), "{path:?}");
    }
}
