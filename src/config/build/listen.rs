//! `[listen]` and `[tls]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Judge;
use crate::config::document::{KeyPath, at};
use crate::config::findings::Finding;
use crate::config::raw::{RawCertificate, RawListen, RawListener, RawTls, RawTlsVersion};
use crate::config::settings::{Boot, CertificateFiles, Listener, TlsSettings};

pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    addresses(judge);
    admin(judge);
    certificates(judge);
}

/// Every socket of the crowd's side with the place where the file names it.
fn sockets(raw: &RawListen) -> Vec<(KeyPath, &'static str, RawListener)> {
    let mut sockets = Vec::new();
    for (key, listeners) in [("http", &raw.http), ("https", &raw.https)] {
        let Some(listeners) = listeners else { continue };
        let path = at(&["listen", key]);
        for (index, listener) in listeners.to_vec().into_iter().enumerate() {
            let place = if listeners.is_list() { path.index(index) } else { path.clone() };
            sockets.push((place, key, listener));
        }
    }
    sockets
}

/// Whether two sockets cannot both be bound.
fn clash(one: SocketAddr, two: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    let same_family = one.is_ipv4() == two.is_ipv4();
    let same = one.ip() == two.ip() || (same_family && (any(one.ip()) || any(two.ip())));
    one.port() == two.port() && one.port() != 0 && same
}

fn addresses(judge: &mut Judge<'_, '_>) {
    let raw = judge.raw;
    let sockets = sockets(&raw.listen);
    judge.refuse_if(sockets.is_empty(), || {
        let help = "add `http = \"0.0.0.0:80\"`, or `https = \"0.0.0.0:443\"` and `[tls]`";
        Finding::error(at(&["listen"]), "missing key `http` in `[listen]`", help)
    });
    for (second, (place, key, listener)) in sockets.iter().enumerate() {
        let address = listener.address();
        let mut before = sockets.iter().take(second);
        if let Some((first, _, _)) = before.find(|(_, _, first)| clash(first.address(), address)) {
            let message = format!("`listen.{key}` has {address} twice over");
            judge.add(
                Finding::error(place.clone(), message, "remove one of the two")
                    .related(first.clone(), "taken here"),
            );
        }
        judge.refuse_if(clash(address, raw.listen.admin.0), || {
            let port = raw.listen.admin.0.port();
            let help = format!(
                "give `listen.admin` a port of its own: `admin = \"127.0.0.1:{}\"`",
                other_port(port)
            );
            let message = format!("the crowd and the operators would meet at the same address, {address}");
            Finding::error(place.clone(), message, help)
                .related(at(&["listen", "admin"]), "the operators' address")
        });
        judge.refuse_if(listener.client_ca().is_some() && *key == "http", || {
            let help = "move the address to `https`, or remove `client_ca`";
            let message = "nobody shows a certificate in the clear";
            Finding::error(place.key("client_ca"), message, help)
        });
        judge.refuse_if(listener.proxy_protocol() && raw.edge.trusted_proxies.is_empty(), || {
            let help = "set `edge.trusted_proxies` to the load balancers that write the header";
            let message =
                format!("nobody may connect to {address}: its PROXY headers are believed from nobody");
            Finding::error(place.clone(), message, help).about(at(&["edge", "trusted_proxies"]))
        });
    }
}

fn admin(judge: &mut Judge<'_, '_>) {
    let admin = judge.raw.listen.admin.0;
    judge.refuse_if(!is_private(admin.ip()), || {
        let help = format!(
            "write `admin = \"127.0.0.1:{}\"`, or an address of your management network",
            admin.port()
        );
        Finding::warning(
            at(&["listen", "admin"]),
            format!("`listen.admin` is open to the world at {admin}"),
            help,
        )
        .note("the admin listener has no password: who reaches it operates the gateway")
    });
}

fn other_port(port: u16) -> u16 {
    if port == 9901 { 9902 } else { 9901 }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn certificates(judge: &mut Judge<'_, '_>) {
    let (https, tls) = (&judge.raw.listen.https, &judge.raw.tls);
    let list = at(&["tls", "certificates"]);
    judge.refuse_if(https.is_some() && tls.certificates.is_empty(), || {
        let help = "add `[tls]` with `certificates = [{ certificate = \"/etc/tornello/fullchain.pem\", key = \"/etc/tornello/privkey.pem\" }]`";
        Finding::error(at(&["listen", "https"]), "`listen.https` has no certificate to show", help)
            .about(list.clone())
    });
    judge.refuse_if(https.is_none() && !tls.certificates.is_empty(), || {
        let help = "add `https = \"0.0.0.0:443\"` to `[listen]`, or remove the key";
        Finding::warning(list.clone(), "`tls.certificates` has no effect without `listen.https`", help)
            .about(at(&["listen", "https"]))
    });
    for (second, entry) in tls.certificates.iter().enumerate() {
        let same = |first: &RawCertificate| first.certificate.0 == entry.certificate.0;
        if let Some(first) = tls.certificates.iter().take(second).position(same) {
            let message = format!("`{}` stands in `{list}` twice", entry.certificate.0.display());
            judge.add(
                Finding::error(list.index(second), message, "remove one of the two")
                    .related(list.index(first), "and here"),
            );
        }
    }
}

pub(super) fn boot(raw: &RawListen) -> Boot {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let authorities = client_cas(raw);
    let listen = sockets(raw).into_iter().map(|(_, key, listener)| Listener {
        address: listener.address(),
        tls: key == "https",
        proxy_protocol: listener.proxy_protocol(),
        client_ca: listener.client_ca().and_then(|file| authorities.iter().position(|known| known == file)),
    });
    Boot {
        listen: listen.collect(),
        admin: raw.admin.0,
        threads: raw.threads.and_then(|threads| usize::try_from(threads).ok()).unwrap_or(cores),
        state_directory: raw.state_directory.0.clone(),
    }
}

/// Each file of authorities that vouch for clients, once.
fn client_cas(raw: &RawListen) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for (_, _, listener) in sockets(raw) {
        if let Some(file) = listener.client_ca().filter(|file| !files.iter().any(|known| known == file)) {
            files.push(file.to_owned());
        }
    }
    files
}

/// Some address asks for certificates of clients.
pub(super) fn asks_for_certificates(raw: &RawListen) -> bool {
    !client_cas(raw).is_empty()
}

pub(super) fn tls(raw: &RawTls, listen: &RawListen) -> TlsSettings {
    let files = |raw: &RawCertificate| CertificateFiles {
        certificate: raw.certificate.0.clone(),
        key: raw.key.0.clone(),
    };
    TlsSettings {
        certificates: raw.certificates.iter().map(files).collect(),
        only_v13: raw.min_version == RawTlsVersion::V13,
        client_cas: client_cas(listen),
    }
}

/// The addresses of the crowd's side.
pub(super) fn own(raw: &RawListen) -> Vec<SocketAddr> {
    sockets(raw).iter().map(|(_, _, listener)| listener.address()).collect()
}
