//! Who may store an answer on its way to the client.
//!
//! A cache in front of us that stores one person's page shows it to others. So what we know to be
//! personal says so itself, whatever the upstream says of it.

use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Who may store an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storing {
    /// Whoever the upstream allows to.
    AsTold,
    /// The client alone.
    Client,
    /// Nobody.
    Nobody,
}

/// Whether a request shows who asks, to the upstream.
#[must_use]
pub fn is_personal(request: &HeaderMap) -> bool {
    request.contains_key(AUTHORIZATION) || request.contains_key(COOKIE)
}

/// Makes an answer say it. One that sets a cookie is for its client at most.
pub fn restrict(headers: &mut HeaderMap, storing: Storing) {
    match storing {
        Storing::Nobody => nobody(headers),
        Storing::Client => client(headers),
        Storing::AsTold if headers.contains_key(SET_COOKIE) => client(headers),
        Storing::AsTold => {}
    }
}

/// The client's from now on, and stored by nobody.
pub fn nobody(headers: &mut HeaderMap) {
    let is_kept_by = |name: &str| matches!(name, "etag" | "expires" | "last-modified");
    take_out(headers, |name| speaks_to_shared(name) || is_kept_by(name));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
}

/// Only the client itself may store it, for as long as the upstream says.
fn client(headers: &mut HeaderMap) {
    let told: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|line| line.to_str().unwrap_or("no-store").split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    let for_shared = |told: &str| {
        let name = told.split('=').next().unwrap_or_default().trim_end();
        matches!(name, "" | "public" | "private" | "s-maxage" | "proxy-revalidate")
    };
    // A list of fields in quotes has commas of its own; nothing of worth is lost by saying less.
    let rest = if told.iter().any(|directive| directive.contains('"')) {
        vec!["no-cache"]
    } else {
        told.iter().map(String::as_str).filter(|directive| !for_shared(directive)).collect()
    };
    let said = [&["private"][..], &rest].concat().join(", ");
    let said = HeaderValue::try_from(said).unwrap_or(HeaderValue::from_static("private, no-store"));
    headers.insert(CACHE_CONTROL, said);
    take_out(headers, speaks_to_shared);
}

/// What speaks to caches in front of us by name, over the head of `Cache-Control`.
fn speaks_to_shared(name: &str) -> bool {
    matches!(name, "age" | "edge-control" | "pragma" | "surrogate-control" | "x-accel-expires")
        || (name.ends_with("cache-control") && name != "cache-control")
}

fn take_out(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let unwanted = |name: &&HeaderName| unwanted(name.as_str());
    let names: Vec<HeaderName> = headers.keys().filter(unwanted).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restricted(lines: &[(&'static str, &str)], storing: Storing) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        restrict(&mut headers, storing);
        let mut left: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        left
    }

    const HOSTILE: [(&str, &str); 9] = [
        ("cache-control", "public, max-age=600"),
        ("cache-control", "S-MaxAge=900, must-revalidate"),
        ("cdn-cache-control", "max-age=600"),
        ("cloudflare-cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("x-accel-expires", "600"),
        ("age", "1"),
        ("pragma", "cache"),
        ("etag", "\"x\""),
    ];

    #[test]
    fn nobody_stores_what_is_nobody_elses() {
        assert_eq!(restricted(&HOSTILE, Storing::Nobody), ["cache-control: private, no-store"]);
        assert_eq!(restricted(&[], Storing::Nobody), ["cache-control: private, no-store"]);
    }

    #[test]
    fn the_client_alone_may_store_for_as_long_as_the_upstream_says() {
        assert_eq!(
            restricted(&HOSTILE, Storing::Client),
            ["cache-control: private, max-age=600, must-revalidate", "etag: \"x\""]
        );
        assert_eq!(restricted(&[], Storing::Client), ["cache-control: private"]);
        for (told, said) in [
            ("no-store", "private, no-store"),
            ("private=\"x, public\"", "private, no-cache"),
            ("public,,", "private"),
            ("s-maxage = 3, max-age=1", "private, max-age=1"),
        ] {
            let left = restricted(&[("cache-control", told)], Storing::Client);
            assert_eq!(left, [format!("cache-control: {said}")], "{told}");
        }
    }

    #[test]
    fn an_answer_that_sets_a_cookie_is_for_its_client_at_most() {
        let lines = [("cache-control", "public, max-age=60"), ("set-cookie", "a=1")];
        assert_eq!(
            restricted(&lines, Storing::AsTold),
            ["cache-control: private, max-age=60", "set-cookie: a=1"]
        );
        assert_eq!(restricted(&lines[..1], Storing::AsTold), ["cache-control: public, max-age=60"]);
    }
}
