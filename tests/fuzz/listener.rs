//! The whole listener: any bytes into a running gateway, before an upstream that reads what comes to
//! the letter.
//!
//! Gateway, client and upstream share one thread, so that an input is over when nothing moves any more
//! and not when a time is up. What reaches the upstream is never more requests than the gateway judged,
//! and each of them is whole and clean.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::core::Collector as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tornello::app::{self, Options, Running};

use crate::upstream::{self, Seen};

/// Looks without a change after which nothing moves any more.
const QUIET_LOOKS: usize = 24;
/// After the client said its last word, the gateway ends the connection within this time.
const END: Duration = Duration::from_secs(8);

struct Gateway {
    runtime: Runtime,
    running: Running,
    seen: Seen,
}

thread_local! {
    /// libFuzzer calls from one thread, and a runtime of one thread stays on it.
    static GATEWAY: OnceLock<Gateway> = const { OnceLock::new() };
}

/// First byte: where the rest is cut in two writes, in eighths of its length.
pub(crate) fn run(bytes: &[u8]) {
    let Some((cut, rest)) = bytes.split_first() else { return };
    let (first, second) = rest.split_at(rest.len() * usize::from(cut % 8) / 8);
    GATEWAY.with(|gateway| {
        let gateway = gateway.get_or_init(Gateway::start);
        gateway.runtime.block_on(gateway.exchange(first, second));
    });
}

impl Gateway {
    fn start() -> Self {
        // Sockets are looked at between any two steps: see `exchange`.
        let runtime = Builder::new_current_thread().enable_all().event_interval(1).build().unwrap();
        let state = crate::state("listener");
        let (running, seen) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let seen = Seen::default();
            tokio::spawn(upstream::serve(listener, seen.clone()));
            let text = CONFIGURATION
                .replace("STATE", &state.display().to_string())
                .replace("UPSTREAM", &address.to_string());
            let settings = match tornello::config::parse(&text, "fuzz.toml") {
                Ok((settings, _)) => settings,
                Err(wrong) => panic!("{}", tornello::config::render(&wrong, &text, false)),
            };
            (app::start(settings, Options::default()).await.unwrap(), seen)
        });
        Self { runtime, running, seen }
    }

    async fn exchange(&self, first: &[u8], second: &[u8]) {
        let (requests, judged) = (self.seen.requests(), self.judged());
        let mut client = TcpStream::connect(self.running.listen[0]).await.unwrap();
        client.set_nodelay(true).unwrap();
        let mut answer = Vec::new();
        for part in [first, second] {
            // A gateway that closed already takes no more.
            let _ = client.write_all(part).await;
            self.quiet(&client, &mut answer).await;
        }
        let _ = client.shutdown().await;
        match tokio::time::timeout(END, client.read_to_end(&mut answer)).await {
            // A reset is an end, too.
            Ok(_) => drop(client),
            Err(_) => panic!("the connection was not ended"),
        }
        self.quiet_gateway().await;
        if let Some(wrong) = self.seen.wrong() {
            panic!("the upstream got what it should not: {wrong}");
        }
        let (requests, judged) = (self.seen.requests() - requests, self.judged() - judged);
        assert!(requests <= judged, "{requests} requests reached the upstream, {judged} were judged");
        let http2 = [first, second].concat().starts_with(b"PRI * HTTP/2.0");
        assert!(answer.is_empty() || http2 || answer.starts_with(b"HTTP/1."), "an answer that is none");
    }

    /// Reads until nothing moves any more.
    async fn quiet(&self, client: &TcpStream, answer: &mut Vec<u8>) {
        let (mut looks, mut before) = (0, (0, 0));
        while looks < QUIET_LOOKS {
            let mut piece = [0; 4096];
            match client.try_read(&mut piece) {
                Ok(0) => return,
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                Err(_) => tokio::task::yield_now().await,
            }
            let now = (answer.len(), self.seen.bytes());
            looks = if now == before { looks + 1 } else { 0 };
            before = now;
        }
    }

    async fn quiet_gateway(&self) {
        for _ in 0..QUIET_LOOKS {
            tokio::task::yield_now().await;
        }
    }

    /// Requests on which the gateway decided.
    fn judged(&self) -> u64 {
        let families = self.running.proxy.witness.metrics.requests.collect();
        let counters = families.iter().flat_map(|family| family.get_metric());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        counters.map(|metric| metric.get_counter().get_value() as u64).sum()
    }
}

const CONFIGURATION: &str = r#"
[listen]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
state_directory = "STATE"
[door]
rate = "1000000/s"
[upstream.app]
addresses = ["UPSTREAM"]
health = { interval = "10m" }
limit = { law = "fixed", initial = 1000 }
[room.sala]
[route.all]
upstream = "app"
[route.sala]
path = "/sala"
upstream = "app"
room = "sala"
"#;
