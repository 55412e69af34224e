//! A page's WebSocket, from Chromium through the gateway to a real server.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::day::until;
use super::driver::Browser;
use crate::stage::{Gate, Origin};
use crate::tunnels::Server;

const PAGE: &str = r#"<!doctype html><title>socket</title><p id="said"></p><script>
const socket = new WebSocket(`ws://${location.host}/socket`);
socket.onopen = () => socket.send("hello");
socket.onmessage = event => { said.textContent += event.data; if (event.data === "hello") socket.send(" again"); };
</script>"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_talks_to_its_server_over_a_socket() {
    let Some(browser) = Browser::open(super::ENGLISH).await else { return };
    let (server, origin) = (
        Server::start(),
        Origin::start(None, |_| {
            let mut page = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
            page.headers_mut().insert("content-type", "text/html".parse().unwrap());
            page
        })
        .await,
    );
    let gate = Gate::start(&format!(
        r#"
[upstream.pages]
addresses = ["{}"]
[upstream.sockets]
addresses = ["{}"]
[route.pages]
upstream = "pages"
[route.sockets]
path = "/socket"
upstream = "sockets"
"#,
        origin.address, server.address
    ))
    .await;
    browser.goto(&format!("http://{}/", gate.site())).await.unwrap();
    until("the server answered twice", async || (browser.text("#said").await == "hello again").then_some(()))
        .await;
    assert_eq!(gate.running.proxy.live.load().clusters["sockets"].tunnels.open(), 1);
}
