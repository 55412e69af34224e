//! gRPC from end to end: Google's library on both sides, all kinds of calls, their metadata, their ends.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::stage::{Gate, until};
use crate::tls::Pair;
use crate::upstreams::text;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/grpc/server.py");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/grpc/client.py");

/// A server of `grpcio`. Killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new("/usr/bin/python3");
        let mut child = command.arg(SERVER).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server says its port; python3-grpcio is needed");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets the client make the calls of a play; afterwards no permit is held.
async fn play(gate: &Gate, target: String, play: &'static str, ca: Option<String>) {
    let client = tokio::task::spawn_blocking(move || {
        Command::new("/usr/bin/python3").args([CLIENT, &target, play]).args(ca).output().unwrap()
    });
    let output = client.await.unwrap();
    let held = output.status.success() && output.stdout.ends_with(b"all of it held\n");
    assert!(held, "{play}: {}", String::from_utf8_lossy(&output.stderr));
    until("no permit is held", || async { (gate.in_flight("app") == 0).then_some(()) }).await;
}

async fn play_clear(route: &str, name: &'static str) {
    let server = Server::start(&[]);
    let gate = Gate::start(&text(server.address, "protocol = \"http2\"", route)).await;
    play(&gate, gate.site().to_string(), name, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_kinds_of_calls_keep_messages_metadata_and_status() {
    play_clear("", "kinds").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_keep_status_details_and_metadata() {
    play_clear("", "errors").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_cancelled_calls_reach_the_server() {
    play_clear("on_client_gone = \"cancel\"", "ends").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_quota_is_refused_as_exhausted() {
    let quota = "quota = \"few\"\n[quota.few]\nrate = \"1/d\"\nburst = 1\n";
    play_clear(quota, "refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_server_that_is_gone_is_told_so() {
    let mut server = Server::start(&[]);
    let gate = Gate::start(&text(server.address, "protocol = \"http2\"", "")).await;
    server.kill();
    play(&gate, gate.site().to_string(), "unavailable", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_over_tls_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::write(folder.path(), "a", &["localhost"]);
    let (certificate, key) = (pair.certificate.display().to_string(), pair.key.display().to_string());
    let server = Server::start(&[&key, &certificate]);
    let tls = format!("tls = {{ server_name = \"localhost\", ca = {certificate:?} }}");
    let upstream =
        text(server.address, &format!("protocol = \"http2\"\n{tls}"), "on_client_gone = \"cancel\"");
    let listen = format!(
        "https = \"127.0.0.1:0\"\n[tls]\ncertificates = [{{ certificate = {certificate:?}, key = {key:?} }}]\n"
    );
    let gate = Gate::start(&(listen + &upstream)).await;
    let target = format!("localhost:{}", gate.running.listen[1].port());
    for name in ["kinds", "errors", "ends"] {
        play(&gate, target.clone(), name, Some(certificate.clone())).await;
    }
}
