//! TLS towards the crowd: which certificate, which versions, and files that change.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tornello::app::{self, Options, watch};

use crate::stage::{Gate, Origin, placed, until};

/// Takes any certificate: which one it was is what is looked at.
#[derive(Debug)]
pub(crate) struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A self-signed certificate and its key as files.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) leaf: CertificateDer<'static>,
}

impl Pair {
    pub(crate) fn write(folder: &Path, name: &str, hosts: &[&str]) -> Self {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).unwrap();
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, leaf: made.cert.der().clone() }
    }

    pub(crate) fn line(&self) -> String {
        format!("{{ certificate = {:?}, key = {:?} }}", self.certificate, self.key)
    }
}

pub(crate) fn settings(origin: SocketAddr, pairs: &[&Pair], more: &str) -> String {
    let lines: Vec<String> = pairs.iter().map(|pair| pair.line()).collect();
    format!(
        r#"https = "127.0.0.1:0"
[tls]
certificates = [{}]
{more}
[upstream.app]
addresses = ["{origin}"]
[route.all]
upstream = "app"
"#,
        lines.join(", ")
    )
}

async fn connect(to: SocketAddr, name: &str, alpn: &[&str]) -> Result<TlsStream<TcpStream>, std::io::Error> {
    over(TcpStream::connect(to).await?, name, alpn).await
}

/// TLS on a connection that is open, whoever answers.
pub(crate) async fn over(
    stream: TcpStream,
    name: &str,
    alpn: &[&str],
) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

async fn shown(to: SocketAddr, name: &str) -> CertificateDer<'static> {
    let stream = connect(to, name, &[]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// One HTTP/1.1 connection over TLS.
struct Session(hyper::client::conn::http1::SendRequest<Empty<bytes::Bytes>>);

impl Session {
    async fn open(to: SocketAddr, name: &str) -> Self {
        let stream = connect(to, name, &["http/1.1"]).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn get(&mut self, host: &str) -> (u16, String) {
        self.0.ready().await.unwrap();
        let request = http::Request::get("/").header("host", host).body(Empty::new()).unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_asked_for_chooses_the_certificate_and_the_first_serves_the_rest() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let first = Pair::write(folder.path(), "first", &["first.example", "*.wild.example"]);
    let second = Pair::write(folder.path(), "second", &["second.example", "exact.wild.example"]);
    let gate = Gate::start(&settings(origin.address, &[&first, &second], "")).await;
    let to = gate.running.listen[1];
    for (name, pair) in [
        ("first.example", &first),
        ("second.example", &second),
        ("SECOND.example", &second),
        ("any.wild.example", &first),
        ("exact.wild.example", &second),
        ("deep.any.wild.example", &first),
        ("unknown.example", &first),
        ("127.0.0.1", &first),
    ] {
        assert!(shown(to, name).await == pair.leaf, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_host_that_the_certificate_is_not_for_is_misdirected() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let first = Pair::write(folder.path(), "first", &["first.example", "*.wild.example"]);
    let second = Pair::write(folder.path(), "second", &["second.example"]);
    let gate = Gate::start(&settings(origin.address, &[&first, &second], "")).await;
    let to = gate.running.listen[1];
    let mut session = Session::open(to, "first.example").await;
    let (status, seen) = session.get("first.example").await;
    assert_eq!(status, 200);
    assert!(seen.contains("x-forwarded-proto: https\n"), "{seen}");
    assert_eq!(session.get("any.wild.example:8443").await.0, 200, "the same certificate is for it too");
    assert_eq!(session.get("second.example").await.0, 421);
    assert_eq!(session.get("first.example").await.0, 200, "and the connection goes on");
    let mut stranger = Session::open(to, "unknown.example").await;
    assert_eq!(stranger.get("unknown.example").await.0, 421);
    assert_eq!(stranger.get("first.example").await.0, 200);
    assert_eq!(origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_negotiated() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let pair = Pair::write(folder.path(), "a", &["a.example"]);
    let gate = Gate::start(&settings(origin.address, &[&pair], "")).await;
    let to = gate.running.listen[1];
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = connect(to, "a.example", offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen, "{offered:?}");
    }
    assert!(connect(to, "a.example", &["spdy/3"]).await.is_err(), "nothing in common");
    let stream = connect(to, "a.example", &["h2"]).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://a.example/x").body(Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&seen).contains("host: a.example\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_and_unauthenticated_ciphers_are_refused() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let pair = Pair::write(folder.path(), "a", &["a.example"]);
    let gate = Gate::start(&settings(origin.address, &[&pair], "")).await;
    let strict = Gate::start(&settings(origin.address, &[&pair], "min_version = \"1.3\"")).await;
    let agrees = |gate: &Gate, options: &[&str]| {
        let to = gate.running.listen[1].to_string();
        let mut command = Command::new("openssl");
        command.args(["s_client", "-servername", "a.example", "-connect", &to]).args(options);
        let done = command.stdin(Stdio::null()).output().unwrap();
        done.status.success()
    };
    let seclevel = "DEFAULT:@SECLEVEL=0";
    assert!(agrees(&gate, &["-tls1_3"]) && agrees(&strict, &["-tls1_3"]));
    assert!(agrees(&gate, &["-tls1_2"]) && !agrees(&strict, &["-tls1_2"]));
    assert!(agrees(&gate, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]));
    assert!(!agrees(&gate, &["-tls1_1", "-cipher", seclevel]));
    assert!(!agrees(&gate, &["-tls1", "-cipher", seclevel]));
    for weak in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"] {
        let cipher = format!("{weak}:@SECLEVEL=0");
        assert!(!agrees(&gate, &["-tls1_2", "-cipher", &cipher]), "{weak}");
    }
    let closed = &gate.running.proxy.witness.metrics.connections_closed;
    until("they are counted", || async {
        (closed.with_label_values(&["tls_handshake"]).get() >= 5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_under_load_and_a_bad_pair_never_takes_effect() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let old = Pair::write(folder.path(), "site", &["a.example"]);
    let other = Pair::write(folder.path(), "other", &["a.example"]);
    let state = tempfile::tempdir().unwrap();
    let text = placed(&settings(origin.address, &[&old], ""), state.path());
    let file = folder.path().join("tornello.toml");
    std::fs::write(&file, &text).unwrap();
    let (parsed, _) = tornello::config::parse(&text, "tornello.toml").unwrap();
    let options = Options { file: Some(file), text, ..Options::default() };
    let running = app::start(parsed, options).await.unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(watch::follow(Arc::clone(&running.reloader), stopped));
    let to = running.listen[1];
    let mut kept = Session::open(to, "a.example").await;
    assert_eq!(kept.get("a.example").await.0, 200);
    let (finish, finished) = tokio::sync::watch::channel(false);
    let load: Vec<_> = (0..4)
        .map(|_| {
            let finished = finished.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while !*finished.borrow() {
                    assert_eq!(Session::open(to, "a.example").await.get("a.example").await.0, 200);
                    done += 1;
                }
                done
            })
        })
        .collect();
    let renewed = Pair::write(folder.path(), "site", &["a.example"]);
    until("the renewed certificate is shown", || async {
        (shown(to, "a.example").await == renewed.leaf).then_some(())
    })
    .await;
    std::fs::copy(&other.key, &old.key).unwrap();
    let report = until("the wrong key is refused", || async {
        running.reloader.last().filter(|report| !report.applied)
    })
    .await;
    assert!(report.diagnostics.contains("is not the key of") && report.diagnostics.contains("site.key"));
    assert!(shown(to, "a.example").await == renewed.leaf, "what was good stays");
    for (bad, wanted) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\n!", "site.pem")] {
        std::fs::write(&old.certificate, bad).unwrap();
        let report = running.reloader.reload().await;
        assert!(!report.applied && report.diagnostics.contains(wanted), "{}", report.diagnostics);
    }
    std::fs::remove_file(&old.certificate).unwrap();
    let report = running.reloader.reload().await;
    assert!(report.diagnostics.contains("cannot be read"), "{}", report.diagnostics);
    assert!(shown(to, "a.example").await == renewed.leaf);
    finish.send_replace(true);
    for worker in load {
        assert!(worker.await.unwrap() > 0);
    }
    assert_eq!(kept.get("a.example").await.0, 200, "a connection of before goes on");
}

#[test]
fn check_says_what_is_wrong_with_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Pair::write(folder.path(), "one", &["a"]), Pair::write(folder.path(), "two", &["a"]));
    let mixed = Pair { key: two.key.clone(), ..one.clone() };
    let file = folder.path().join("tornello.toml");
    let check = |pair: &Pair, more: &[&str]| {
        let text = placed(&settings("127.0.0.1:19".parse().unwrap(), &[pair], ""), folder.path());
        std::fs::write(
            &file,
            text.replace("127.0.0.1:0", "127.0.0.1:7").replacen("1:7", "1:8", 1).replacen("1:7", "1:9", 1),
        )
        .unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_tornello"))
            .args(["check", "--config"])
            .arg(&file)
            .args(more)
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    assert_eq!(check(&one, &[]).0, Some(0), "{}", check(&one, &[]).1);
    let (code, said) = check(&mixed, &[]);
    assert!(code == Some(2) && said.contains("is not the key of") && said.contains("two.key"), "{said}");
    let (code, said) = check(&mixed, &["--json"]);
    assert!(code == Some(2) && said.contains("tls.certificates"), "{said}");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&one.key, open).unwrap();
    assert!(check(&one, &[]).1.contains("may be read by everybody"));
    std::fs::write(&one.certificate, expired()).unwrap();
    assert!(check(&one, &[]).1.contains("is not the key of"), "another key");
}

/// A certificate of long ago.
fn expired() -> String {
    let mut of = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
    of.not_before = rcgen::date_time_ymd(2001, 1, 1);
    of.not_after = rcgen::date_time_ymd(2002, 1, 1);
    of.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

#[tokio::test]
async fn an_expired_certificate_is_warned_of_and_still_shown() {
    let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echo().await);
    let pair = Pair::write(folder.path(), "a", &["a.example"]);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut of = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    of.not_before = rcgen::date_time_ymd(2001, 1, 1);
    of.not_after = rcgen::date_time_ymd(2002, 1, 1);
    std::fs::write(&pair.certificate, of.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&pair.key, key.serialize_pem()).unwrap();
    let gate = Gate::start(&settings(origin.address, &[&pair], "")).await;
    let report = gate.running.reloader.reload().await;
    assert!(!report.applied, "there is no file to reload");
    let text = placed(&settings(origin.address, &[&pair], ""), gate.state.path());
    let report = gate.running.reloader.apply(&text, "t").await;
    assert!(report.applied && report.diagnostics.contains("has expired"), "{report:?}");
    assert!(connect(gate.running.listen[1], "a.example", &[]).await.is_ok());
}
