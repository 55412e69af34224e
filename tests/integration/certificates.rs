//! A certificate of the client's names a person, where an address asks for it.

use std::path::Path;
use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::stage::{Gate, Origin, until};
use crate::tls::{Anybody, Pair};

const ROOM: &str = "/.tornello/v1/rooms/main";

/// Whoever signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn write(&self, file: &Path) {
        std::fs::write(file, self.0.pem()).unwrap();
    }

    /// Each time by another key, as when one is renewed.
    fn signs(&self, name: &str, until_year: i32) -> Shown {
        let (mut params, key) = (named(name), KeyPair::generate().unwrap());
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
        let signed = params.signed_by(&key, &*self.0).unwrap();
        (vec![signed.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

/// Takes a place with this certificate, or none; what the handshake or the request says that fails.
async fn joins(to: std::net::SocketAddr, shown: Option<Shown>) -> Result<(StatusCode, Value), String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let config = match shown {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("a.example").unwrap();
    let stream = TcpStream::connect(to).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = Request::post(format!("{ROOM}/tickets")).header("host", "a.example");
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    // In TLS 1.3 a client learns only now that its certificate was not taken.
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (status, body) = (response.status(), response.into_body().collect().await.unwrap().to_bytes());
    Ok((status, serde_json::from_slice(&body).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_a_person_and_one_that_is_not_good_is_refused() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let pair = Pair::write(folder.path(), "a", &["a.example"]);
    let (ours, theirs) = (Authority::new("Ours"), Authority::new("Theirs"));
    let file = folder.path().join("clients.pem");
    ours.write(&file);
    let text = |more: &str| {
        let address = origin.address;
        let certificate = pair.line();
        format!(
            r#"https = [{{ address = "127.0.0.1:0", client_ca = {file:?} }}, "127.0.0.1:0"]
[tls]
certificates = [{certificate}]
{more}
[upstream.app]
addresses = ["{address}"]
[room.main]
seats = {{ floor = 1, ceiling = 1 }}
one_place_per = "person"
require_identity = true
[route.all]
upstream = "app"
room = "main"
"#
        )
    };
    let gate = Gate::start(&text("")).await;
    let [_, asks, silent] = gate.running.listen[..] else { panic!("{:?}", gate.running.listen) };
    let anna = ours.signs("Anna", 4096);
    let (status, first) = joins(asks, Some(anna)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (status, again) = joins(asks, Some(ours.signs("Anna", 4096))).await.unwrap();
    assert_eq!((status, &again["ticket"]), (StatusCode::OK, &first["ticket"]), "by another key: {again}");
    let (_, other) = joins(asks, Some(ours.signs("Bruno", 4096))).await.unwrap();
    assert_ne!(other["number"], first["number"]);

    let none = joins(asks, None).await.unwrap();
    assert_eq!(none.0, StatusCode::UNAUTHORIZED, "whoever shows none goes on, and is nobody: {}", none.1);
    let unasked = joins(silent, Some(ours.signs("Anna", 4096))).await.unwrap();
    assert_eq!(unasked.0, StatusCode::UNAUTHORIZED, "it is not asked for there");
    for (bad, why) in [
        (theirs.signs("Anna", 4096), "an authority that nobody named"),
        (ours.signs("Anna", 2020), "it has run out"),
    ] {
        assert!(joins(asks, Some(bad)).await.is_err(), "{why}");
    }

    let behind = Gate::start(&text("[edge]\ntrusted_proxies = [\"127.0.0.0/8\"]")).await;
    let proxy = joins(behind.running.listen[1], Some(ours.signs("Proxy", 4096))).await.unwrap();
    assert_eq!(proxy.0, StatusCode::UNAUTHORIZED, "it is not those behind it: {}", proxy.1);

    theirs.write(&file);
    gate.apply(&text("min_version = \"1.3\"")).await;
    let (_, alike) = until("the other authority counts", || async {
        joins(asks, Some(theirs.signs("Anna", 4096))).await.ok()
    })
    .await;
    assert_ne!(alike["number"], first["number"], "two authorities may name two people alike");
    assert!(joins(asks, Some(ours.signs("Anna", 4096))).await.is_err(), "the first one does not any more");

    std::fs::write(&file, "no certificate").unwrap();
    let text = format!("[listen]\nhttp = \"127.0.0.1:0\"\n{}", text(""));
    let config = folder.path().join("tornello.toml");
    std::fs::write(&config, text).unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_tornello"))
        .args(["check", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(!check.status.success() && said.contains("clients.pem` has no certificate"), "{said}");
    let plain = "[listen]\nhttp = { address = \"127.0.0.1:0\", client_ca = \"/x.pem\" }\n[upstream.a]\naddresses = [\"127.0.0.1:1\"]\n[route.a]\nupstream = \"a\"\n";
    let wrong = tornello::config::parse(plain, "t").unwrap_err();
    assert!(wrong.iter().any(|wrong| wrong.message.contains("in the clear")), "{wrong:?}");
}
