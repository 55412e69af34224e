//! Texts that name something on the network or in HTTP: addresses, hosts, paths, headers, names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use http::HeaderName;
use ipnet::IpNet;

use super::text::{Format, Misfit};

const NAME_MAX: usize = 40;

impl Format for SocketAddr {
    const NAME: &'static str = "socket-address";
    const EXAMPLE: &'static str = "0.0.0.0:80";

    fn read(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| {
            let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            let remedy = match (text.parse::<IpAddr>(), text.parse::<u16>(), port) {
                (Ok(IpAddr::V6(ip)), ..) => format!("write address and port: `\"[{ip}]:80\"`"),
                (Ok(ip), ..) => format!("write address and port: `\"{ip}:80\"`"),
                (_, Ok(port), _) | (.., Some(port)) => format!(
                    "write an IP address and a port: `\"0.0.0.0:{port}\"` for everybody, `\"127.0.0.1:{port}\"` for this machine"
                ),
                _ => "write an IP address and a port: `\"0.0.0.0:80\"` or `\"[::]:80\"`".to_owned(),
            };
            Misfit::new("is not an address to listen at", remedy)
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Format for IpNet {
    const NAME: &'static str = "network";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn read(text: &str) -> Result<Self, Misfit> {
        let net = text.parse::<Self>().or_else(|_| text.parse::<IpAddr>().map(Self::from));
        let net = net.map_err(|_| {
            Misfit::new(
                "is not a network",
                "write an address or a network: `\"10.0.0.7\"`, `\"10.0.0.0/8\"`, `\"fd00::/8\"`",
            )
        })?;
        if net.trunc() == net {
            return Ok(net);
        }
        let (wide, one) = (net.trunc(), Self::from(net.addr()));
        Err(Misfit::new(
            "has bits set behind its prefix",
            format!("write `\"{wide}\"` for the network or `\"{one}\"` for the one machine"),
        ))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Format for HeaderName {
    const NAME: &'static str = "header-name";
    const EXAMPLE: &'static str = "x-user-id";

    fn read(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| {
            Misfit::new(
                "is not a header name",
                "write letters, digits and `-` only, without `:` and spaces: `\"x-user-id\"`",
            )
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Format for PathBuf {
    const NAME: &'static str = "directory";
    const EXAMPLE: &'static str = "/var/lib/tornello";

    fn read(text: &str) -> Result<Self, Misfit> {
        let path = Self::from(text);
        if path.is_absolute() && !text.contains('\0') {
            return Ok(path);
        }
        Err(Misfit::new(
            "is not an absolute path",
            "write the whole path, `\"/var/lib/tornello\"`: a relative one would depend on where the service starts",
        ))
    }

    fn write(&self) -> String {
        self.display().to_string()
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $format:literal, $example:literal, $judge:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(pub(super) String);

        impl Format for $name {
            const NAME: &'static str = $format;
            const EXAMPLE: &'static str = $example;

            fn read(text: &str) -> Result<Self, Misfit> {
                let judge: fn(&str) -> Result<(), Misfit> = $judge;
                judge(text).map(|()| Self(text.to_owned()))
            }

            fn write(&self) -> String {
                self.0.clone()
            }
        }
    };
}

text_type!(
    /// `host:port` of an upstream; IPv6 in brackets.
    HostPort, "host-port", "10.0.0.5:8080", judge_host_port
);
text_type!(
    /// The name of a cookie.
    CookieName, "cookie-name", "session", judge_cookie
);
text_type!(
    /// A host as a route matches it: lower case, no port.
    Host, "host", "www.example.org", judge_host
);
text_type!(
    /// A path as requests are judged by it: normalised, no slash at the end.
    UrlPath, "url-path", "/", judge_path
);
text_type!(
    /// What an operator calls a room, route, quota or upstream; stands in URLs, cookies and metrics.
    Name, "name", "main", judge_name
);
text_type!(
    /// A language tag in lower case.
    Language, "language", "it", judge_language
);

fn judge_host_port(text: &str) -> Result<(), Misfit> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let port = if scheme == "https" { 443 } else { 80 };
        let plain = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
        if judge_host_port(&plain).is_err() {
            return Err(Misfit::new("is a URL", "write host and port only: `\"10.0.0.5:8080\"`"));
        }
        return Err(Misfit::new("is a URL", format!("write host and port only: `\"{plain}\"`")).meant(plain));
    }
    if text.contains('/') {
        return Err(Misfit::new("has a path", "write host and port only; a path belongs to a route"));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(
            Misfit::new("has no port", format!("write `\"[{text}]:80\"`")).meant(format!("[{text}]:80"))
        );
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let remedy = format!("write `\"{text}:80\"`, with the port the upstream listens at");
        return Err(Misfit::new("has no port", remedy).meant(format!("{text}:80")));
    };
    if port.parse::<u16>().ok().is_none_or(|port| port == 0) {
        return Err(Misfit::new(
            "has no port from 1 to 65535",
            format!("write `\"{host}:80\"`, with the port the upstream listens at"),
        ));
    }
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let legal = match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => is_host(&host.to_ascii_lowercase()),
    };
    if legal {
        return Ok(());
    }
    Err(Misfit::new(
        "is not host and port",
        "write `\"10.0.0.5:8080\"`, `\"app.internal:8080\"` or `\"[fd00::5]:8080\"`",
    ))
}

/// A DNS name in lower case, or an IPv4 address.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    // A last label of digits makes it an address, and then it must be a whole one.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

fn judge_host(text: &str) -> Result<(), Misfit> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if is_host(text) || bracketed.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()) {
        return Ok(());
    }
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split(['/', ':']).next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    if text.contains('*') {
        let remedy = "write one route for each host, or leave `host` out to match all of them";
        return Err(Misfit::new("has a wildcard, which hosts do not support", remedy));
    }
    if !text.is_ascii() {
        return Err(Misfit::new("is not ASCII", "write the name as DNS has it, `xn--...` (punycode)"));
    }
    let remedy = if is_host(&bare) {
        format!("write `\"{bare}\"`: lower case, without scheme, port and path")
    } else {
        "write a name such as `\"www.example.org\"`, or leave `host` out to match every host".to_owned()
    };
    Err(Misfit::new("is not a host", remedy))
}

fn judge_path(text: &str) -> Result<(), Misfit> {
    if let Some((path, _)) = text.split_once(['?', '#', '*']) {
        let path = normalise(path).unwrap_or_else(|| "/".to_owned());
        let remedy = format!("a path matches everything below it, whatever the query: write `\"{path}\"`");
        return Err(Misfit::new("has a query, a fragment or a wildcard", remedy).meant(path));
    }
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if let Some(bad) = text.chars().find(|c| !c.is_ascii() || !legal(u8::try_from(*c).unwrap_or(0))) {
        let escaped: String =
            bad.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(Misfit::new(
            format!("has a character, {bad:?}, that URLs escape"),
            format!("write `{escaped}` in its place"),
        ));
    }
    let Some(normal) = normalise(text) else {
        return Err(Misfit::new(
            "has a broken escape",
            "write `%` with two hexadecimal digits, `%25` for the sign itself",
        ));
    };
    if normal == text {
        return Ok(());
    }
    let remedy =
        format!("write `\"{normal}\"`: requests are judged in this form, and it matches everything below it");
    Err(Misfit::new("is not the normal form of a path", remedy).meant(normal))
}

/// The form in which a path is judged; `None` if an escape is broken.
fn normalise(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved {
            plain.push(char::from(byte))
        } else {
            plain.push_str(&format!("%{byte:02X}"))
        }
        rest = after.get(2..)?;
    }
    plain.push_str(rest);
    let mut segments = Vec::new();
    for segment in plain.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

fn judge_name(text: &str) -> Result<(), Misfit> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if starts && text.len() <= NAME_MAX && text.bytes().all(legal) {
        return Ok(());
    }
    let mut near: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if u8::try_from(c).is_ok_and(legal) { c } else { '-' })
        .take(NAME_MAX)
        .collect();
    near = near.trim_matches(['-', '_']).to_owned();
    let near = if near.is_empty() { "main".to_owned() } else { near };
    let wrong = "is not a name that can stand in URLs, cookies and metrics";
    let remedy = format!("write lower-case letters, digits, `-` and `_`, at most {NAME_MAX}: `{near}`");
    Err(Misfit::new(wrong, remedy).meant(near))
}

fn judge_cookie(text: &str) -> Result<(), Misfit> {
    let separator = |b: u8| b"()<>@,;:\\\"/[]?={}".contains(&b);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !separator(b)) {
        return Ok(());
    }
    Err(Misfit::new(
        "is not a cookie name",
        "write the name alone, without `=`, `;` and spaces: `\"session\"`",
    ))
}

fn judge_language(text: &str) -> Result<(), Misfit> {
    let mut parts = text.split('-');
    let primary =
        parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase()));
    let rest = parts.all(|p| {
        (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    if primary && rest {
        return Ok(());
    }
    Err(Misfit::new("is not a language tag", "write a tag in lower case: `it`, `en`, `de`, `pt-br`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for path in ["/", "/domanda", "/a/b", "/a%20b", "/a%2Fb", "/~x"] {
            assert!(judge_path(path).is_ok(), "{path}");
        }
        for (path, normal) in [
            ("", "/"),
            ("domanda", "/domanda"),
            ("/domanda/", "/domanda"),
            ("/a//b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/%61", "/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/../..", "/"),
            ("/a/*", "/a"),
            ("/a?b=c", "/a"),
        ] {
            let remedy = judge_path(path).unwrap_err().remedy;
            assert!(remedy.contains(&format!("`\"{normal}\"`")), "{path}: {remedy}");
        }
        assert!(judge_path("/%zz").unwrap_err().wrong.contains("broken escape"));
        assert!(judge_path("/%").unwrap_err().wrong.contains("broken escape"));
        assert!(judge_path("/%è").is_err());
        assert!(judge_path("/è").unwrap_err().remedy.contains("%C3%A8"));
    }

    #[test]
    fn hosts_have_neither_scheme_nor_port() {
        for host in ["example.org", "a-b.example", "10.0.0.1", "[::1]", "localhost"] {
            assert!(judge_host(host).is_ok(), "{host}");
        }
        for host in ["Example.org", "https://example.org/x", "example.org:80", "example.org."] {
            assert!(judge_host(host).unwrap_err().remedy.contains("`\"example.org\"`"), "{host}");
        }
        for host in ["", "*.example.org", "città.it", "a..b", "10.0.0.256"] {
            assert!(judge_host(host).is_err(), "{host}");
        }
    }

    #[test]
    fn upstream_addresses_are_host_and_port() {
        for address in ["10.0.0.5:8080", "app:80", "App.Internal:8080", "[fd00::5]:8080"] {
            assert!(judge_host_port(address).is_ok(), "{address}");
        }
        for (address, remedy) in [
            ("http://10.0.0.5:8080/", "\"10.0.0.5:8080\""),
            ("https://app", "\"app:443\""),
            ("app", "\"app:80\""),
            ("app:0", "\"app:80\""),
            ("app:99999", "\"app:80\""),
            ("fd00::5", "\"[fd00::5]:80\""),
            (":80", "app.internal"),
        ] {
            let found = judge_host_port(address).unwrap_err().remedy;
            assert!(found.contains(remedy), "{address}: {found}");
        }
    }

    #[test]
    fn networks_say_what_they_mean() {
        assert!(IpNet::read("10.0.0.7").is_ok());
        assert!(IpNet::read("10.0.0.7/8").unwrap_err().remedy.contains("\"10.0.0.0/8\""));
        assert!(IpNet::read("ten").is_err());
    }

    #[test]
    fn names_and_languages_are_plain() {
        assert!(judge_name("main-2").is_ok());
        assert!(judge_name("Main Room").unwrap_err().remedy.contains("`main-room`"));
        assert!(judge_name("").is_err() && judge_name("-").is_err());
        assert!(judge_language("pt-br").is_ok());
        assert!(judge_language("italiano!").is_err() && judge_language("IT").is_err());
    }
}
