//! The upstream killed, hung, slowed while people wait: a definite answer within a second to whoever
//! waits or arrives, within the route's timeout to whoever is inside; no place lost; service resumes
//! by itself.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::stage::{Gate, Origin, ask, now, until, visit};

const ROOM: &str = "/.tornello/v1/rooms/main";

fn text(address: std::net::SocketAddr) -> String {
    format!(
        r#"
[door]
rate = "1000/s"
burst = 10000
[upstream.app]
addresses = ["{address}"]
limit = {{ law = "fixed", initial = 8, floor = 1, ceiling = 100, wait = "200ms", stall = "1s" }}
health = {{ interval = "200ms", timeout = "200ms", unhealthy = 1, healthy = 1 }}
[room.main]
seats = {{ floor = 2, ceiling = 2 }}
poll = {{ min = "100ms", max = "1s" }}
[route.all]
path = "/"
upstream = "app"
room = "main"
timeout = "1500ms"
"#
    )
}

struct Scene {
    gate: Gate,
    passes: Vec<String>,
    tickets: Vec<(String, u64)>,
}

/// Two inside, five waiting.
async fn scene(origin: &Origin) -> Scene {
    let gate = Gate::start(&text(origin.address)).await;
    let mut passes = Vec::new();
    for _ in 0..2 {
        passes.push(visit(gate.site(), "/", "").await.cookie().unwrap());
    }
    let mut tickets = Vec::new();
    for _ in 0..5 {
        let joined = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await.json();
        tickets.push((joined["ticket"].as_str().unwrap().to_owned(), joined["number"].as_u64().unwrap()));
    }
    Scene { gate, passes, tickets }
}

impl Scene {
    /// Whoever waits or arrives has a definite answer within a second, and the same place as before.
    async fn everybody_is_answered(&self) {
        for (ticket, number) in &self.tickets {
            let begun = now();
            let got =
                ask(self.gate.site(), Method::GET, &format!("{ROOM}/ticket"), &[("tornello-ticket", ticket)])
                    .await;
            assert_eq!((got.status, got.json()["number"].as_u64()), (StatusCode::OK, Some(*number)));
            assert!(begun.elapsed() < Duration::from_secs(1));
        }
        let begun = now();
        let page = visit(self.gate.site(), "/", "").await;
        assert!(page.status == StatusCode::SERVICE_UNAVAILABLE && page.headers.contains_key("retry-after"));
        let joined = ask(self.gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await;
        assert_eq!(joined.status, StatusCode::CREATED, "{}", joined.text());
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    async fn board(&self) -> serde_json::Value {
        ask(self.gate.site(), Method::GET, &format!("{ROOM}/board"), &[]).await.json()["board"].clone()
    }

    async fn is_held(&self) {
        until("the line is held and says why", || async {
            let board = self.board().await;
            (board["state"] == "held" && board["reason"] == "upstream").then_some(())
        })
        .await;
    }

    /// The line moves again: the first in it gets in, in order.
    async fn resumes(&self) {
        let first = &self.tickets[0].0;
        until("the board says that the line moves", || async {
            (self.board().await["state"] != "held").then_some(())
        })
        .await;
        until("somebody inside is served again", || async {
            (visit(self.gate.site(), "/", &self.passes[0]).await.status == StatusCode::OK).then_some(())
        })
        .await;
        self.gate.running.proxy.live.load().rooms["main"].line.with(|room| {
            for pass in &self.passes {
                let token = pass.split_once('=').unwrap().1;
                let claims = self
                    .gate
                    .running
                    .proxy
                    .ring
                    .verify(tornello::admission::ticket::Kind::Pass, token.as_bytes())
                    .unwrap();
                room.end(&claims.id, self.gate.running.proxy.clock.now());
            }
        });
        until("the first in line gets in", || async {
            let got =
                ask(self.gate.site(), Method::POST, &format!("{ROOM}/claims"), &[("tornello-ticket", first)])
                    .await;
            (got.status == StatusCode::OK).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_killed_and_comes_back() {
    let origin = Origin::echo().await;
    let address = origin.address;
    let scene = scene(&origin).await;
    drop(origin);
    scene.is_held().await;
    scene.everybody_is_answered().await;
    let begun = now();
    let inside = visit(scene.gate.site(), "/", &scene.passes[0]).await;
    assert!(inside.status.is_server_error() && begun.elapsed() < Duration::from_secs(1));
    let _back = Origin::start(Some(address), |_| http::Response::new(http_body_util::Full::default())).await;
    scene.resumes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_hangs_and_recovers() {
    let origin = Origin::echo().await;
    let scene = scene(&origin).await;
    origin.delay(60_000);
    let begun = now();
    let (one, two) = tokio::join!(visit(scene.gate.site(), "/", &scene.passes[0]), async {
        scene.is_held().await;
        scene.everybody_is_answered().await;
    });
    assert_eq!(one.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(
        begun.elapsed() < Duration::from_millis(4_000),
        "within the route's timeout: {:?}",
        begun.elapsed()
    );
    let () = two;
    origin.delay(0);
    scene.resumes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_slows_down() {
    let origin = Origin::echo().await;
    let scene = scene(&origin).await;
    origin.delay(700);
    let slow = visit(scene.gate.site(), "/", &scene.passes[0]).await;
    assert_eq!(slow.status, StatusCode::OK, "slow is not dead");
    scene.everybody_is_answered().await;
    origin.delay(0);
    scene.resumes().await;
}

/// One of two addresses dies: nobody notices, but for a request that was under way there.
#[tokio::test(flavor = "multi_thread")]
async fn the_other_address_carries_on() {
    let (one, two) = (Origin::echo().await, Origin::echo().await);
    let gate = Gate::start(&format!(
        r#"
[upstream.app]
addresses = ["{}", "{}"]
health = {{ interval = "200ms", timeout = "200ms", unhealthy = 1, healthy = 1 }}
[route.all]
path = "/"
upstream = "app"
"#,
        one.address, two.address
    ))
    .await;
    let went = |origin: &Origin| origin.truth.requests.load(std::sync::atomic::Ordering::SeqCst);
    for _ in 0..40 {
        assert_eq!(crate::stage::get(gate.site(), "/").await.status, StatusCode::OK);
    }
    assert!(went(&one) > 0 && went(&two) > 0, "{} and {}", went(&one), went(&two));
    drop(one);
    for request in 0..40 {
        assert_eq!(crate::stage::get(gate.site(), "/").await.status, StatusCode::OK, "request {request}");
    }
}
