//! Texts that name machines: addresses to listen at, networks, upstreams, hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::{Format, Misfit, text_type};

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

text_type!(
    /// `host:port` of an upstream; IPv6 in brackets.
    HostPort, "host-port", "10.0.0.5:8080", judge_host_port
);

text_type!(
    /// A host as a route matches it: lower case, no port.
    Host, "host", "www.example.org", judge_host
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
