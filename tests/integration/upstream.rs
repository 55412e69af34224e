//! TLS towards upstreams: who answers is verified, and what cannot be verified gets nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::{Gate, get, placed, until};
use crate::upstreams::{Upstream2, before, mirror, text};

/// An authority with one certificate, and its file.
pub(crate) struct Authority {
    folder: TempDir,
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut rules = rcgen::CertificateParams::new(Vec::new()).unwrap();
        rules.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rules.self_signed(&authority_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(rules, authority_key);
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder, certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn ca(&self) -> String {
        self.file("ca.pem")
    }

    pub(crate) fn server(&self, alpn: &[&str]) -> Arc<ServerConfig> {
        use rustls::pki_types::pem::PemObject;
        let chain = rustls::pki_types::CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// The upstream's TLS as the file says it.
    fn tls(&self, name: &str) -> String {
        format!("tls = {{ server_name = \"{name}\", ca = \"{}\" }}", self.ca())
    }
}

/// An upstream of HTTP/1.1 over TLS that counts connections and answers `ok`.
async fn upstream1(tls: Arc<ServerConfig>) -> (std::net::SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::<std::sync::atomic::AtomicUsize>::default();
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, count) = (Arc::clone(&tls), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await else {
                    return;
                };
                let mut buffer = [0; 4096];
                let mut first = true;
                while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    if std::mem::take(&mut first) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_over_tls_is_verified_and_its_connections_are_used_again() {
    let authority = Authority::of("app.example.org");
    let (address, connections) = upstream1(authority.server(&[])).await;
    let gate = before(address, &authority.tls("app.example.org"), "").await;
    for _ in 0..20 {
        let got = get(gate.site(), "/").await;
        assert_eq!((got.status, &got.body[..]), (StatusCode::OK, &b"ok"[..]));
    }
    // Session tickets of TLS 1.3 come after the handshake; they are no reason to throw a connection away.
    let opened = connections.load(Ordering::SeqCst);
    assert!(opened <= 3, "{opened} connections for 20 requests in a row");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_cannot_be_verified_gets_nothing() {
    let (authority, stranger) = (Authority::of("app.example.org"), Authority::of("app.example.org"));
    let (address, connections) = upstream1(authority.server(&[])).await;
    for (tls, why) in [
        (authority.tls("other.example.org"), "another name"),
        (stranger.tls("app.example.org"), "another authority"),
        ("tls = { server_name = \"app.example.org\" }".to_owned(), "the system does not know it"),
    ] {
        let gate = before(address, &tls, "").await;
        let got = get(gate.site(), "/").await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{why}: {}", got.text());
        until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0, "a request was sent to whom nobody vouched for");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_over_tls_is_agreed_on_by_alpn_or_not_spoken() {
    let authority = Authority::of("app.example.org");
    let upstream = Upstream2::start(Some(authority.server(&["h2"])), 100, mirror).await;
    let settings = format!("protocol = \"http2\"\n{}", authority.tls("app.example.org"));
    let gate = before(upstream.address, &settings, "").await;
    let seen = get(gate.site(), "/").await.text();
    assert!(seen.contains("GET https://") && seen.contains("HTTP/2.0"), "{seen}");
    for alpn in [&[][..], &["http/1.1"][..]] {
        let (address, connections) = upstream1(authority.server(alpn)).await;
        let gate = before(address, &settings, "").await;
        assert_eq!(get(gate.site(), "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_speak_http2_gets_no_request() {
    let script = crate::upstreams::Script::start().await;
    script.says_text("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let gate = before(script.address, "protocol = \"http2\"", "").await;
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!script.text().contains("x-request-id"), "{}", script.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_speak_what_requests_speak() {
    let authority = Authority::of("app.example.org");
    let upstream = Upstream2::start(
        Some(authority.server(&["h2"])),
        100,
        async |request: http::Request<hyper::body::Incoming>| {
            let status = match request.uri().to_string().as_str() {
                "https://app.example.org/health" => 200,
                _ => 500,
            };
            http::Response::builder().status(status).body(crate::upstreams::full("")).unwrap()
        },
    )
    .await;
    let health = "health = { path = \"/health\", interval = \"100ms\", timeout = \"100ms\", unhealthy = 1, healthy = 1 }";
    let good = format!("protocol = \"http2\"\n{}\n{health}", authority.tls("app.example.org"));
    let gate = before(upstream.address, &good, "").await;
    let is_up = |gate: &Gate| {
        let live = gate.running.proxy.live.load();
        !live.clusters["app"].is_down()
    };
    let probed = upstream.connections.load(Ordering::SeqCst);
    until("it was probed twice", || async {
        (upstream.connections.load(Ordering::SeqCst) >= probed + 2).then_some(())
    })
    .await;
    assert!(is_up(&gate));
    gate.apply(&text(upstream.address, &good.replace("http2", "http1"), "")).await;
    until("a probe that speaks something else fails", || async { (!is_up(&gate)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_checked_before_they_are_in_force_and_read_again_at_each_reload() {
    let (authority, stranger) = (Authority::of("app.example.org"), Authority::of("app.example.org"));
    let (address, _connections) = upstream1(authority.server(&[])).await;
    let good = text(address, &authority.tls("app.example.org"), "");
    let gate = Gate::start(&good).await;
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK);
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd.pem");
    for (content, why) in [
        (None, "cannot be read"),
        (Some("no certificate at all"), "holds no certificate"),
        (Some("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"), "is no authority"),
    ] {
        if let Some(content) = content {
            std::fs::write(&odd, content).unwrap();
        }
        let text = good.replace(&authority.ca(), &odd.display().to_string());
        let report = gate.running.reloader.apply(&placed(&text, gate.state.path()), "test.toml").await;
        assert!(!report.applied && report.diagnostics.contains(why), "{why}: {}", report.diagnostics);
        let (found, _) = tornello::config::parse(&placed(&text, gate.state.path()), "test.toml").unwrap();
        let error = tornello::app::assemble::check_files(&found).expect_err(why).to_string();
        assert!(error.contains("upstream.app.tls") && error.contains(why), "{error}");
    }
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::OK, "the old one is in force");
    // The same configuration, another file under the same name.
    std::fs::copy(stranger.ca(), authority.ca()).unwrap();
    gate.apply(&good).await;
    assert_eq!(get(gate.site(), "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// A process that ends with its test.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real server: nginx of Debian, over TLS.
#[tokio::test(flavor = "multi_thread")]
async fn nginx_over_tls_serves_files_ranges_and_takes_uploads() {
    let authority = Authority::of("app.example.org");
    let root = authority.folder.path().display().to_string();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rules = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log; events {{}}\n\
         http {{ access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;\n\
         uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
         server {{ listen {free} ssl; server_name app.example.org; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; ssl_certificate_key {};\n\
         location /files {{ alias {root}; }} location / {{ return 200 \"$ssl_protocol $host\"; }} }} }}\n",
        authority.file("cert.pem"),
        authority.file("key.pem")
    );
    std::fs::write(authority.file("nginx.conf"), rules).unwrap();
    let _nginx = Child(
        std::process::Command::new("/usr/sbin/nginx")
            .args(["-p", &root, "-c", &authority.file("nginx.conf"), "-e", &authority.file("error.log")])
            .spawn()
            .unwrap(),
    );
    until("nginx listens", || async { tokio::net::TcpStream::connect(free).await.ok() }).await;
    let gate = before(free, &authority.tls("app.example.org"), "").await;
    let curl = async |arguments: &[&str], path: &str| {
        let mut command = std::process::Command::new("curl");
        command.args(["-sS", "-i", "--max-time", "20"]).args(arguments);
        command.arg(format!("http://{}{path}", gate.site()));
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let got = curl(&["-H", "host: app.example.org"], "/").await;
    assert!(got.starts_with("HTTP/1.1 200") && got.ends_with("TLSv1.3 app.example.org"), "{got}");
    let got = curl(&["-r", "1-5"], "/files/cert.pem").await;
    assert!(got.starts_with("HTTP/1.1 206") && got.ends_with("----B"), "{got}");
    let got = curl(&["-I"], "/files/cert.pem").await;
    let length = format!("content-length: {}", authority.certificate.len());
    assert!(got.starts_with("HTTP/1.1 200") && got.contains(&length), "{got}");
    let got = curl(&["-H", "expect: 100-continue", "-d", &"x".repeat(100_000)], "/").await;
    assert!(got.contains("HTTP/1.1 200"), "{got}");
    for _ in 0..10 {
        assert_eq!(get(gate.site(), "/files/ca.pem").await.status, StatusCode::OK);
    }
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}
