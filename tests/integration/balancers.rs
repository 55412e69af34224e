//! Behind load balancers that forward bytes and say whose they are by the PROXY protocol, TLS being ended here:
//! Debian's nginx (`stream`, version 1) and HAProxy (`send-proxy-v2`). Each person has a bucket of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use http::{Method, StatusCode};
use tornello::app::{Options, start};
use tornello::config::parse;

use crate::daemon::Daemon;
use crate::front::Person;
use crate::nginx;
use crate::stage::{Gate, Origin};
use crate::tls::Pair;

const HOST: &str = "www.example.org";
const HAPROXY: &str = "/usr/sbin/haproxy";
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A HAProxy that forwards bytes.
async fn haproxy(gate: SocketAddr) -> Daemon {
    assert!(Path::new(HAPROXY).exists(), "{HAPROXY} is missing: apt-get install haproxy");
    Daemon::start(tempfile::tempdir().unwrap(), |folder, site| {
        let file = folder.join("haproxy.cfg");
        let text = format!(
            "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n\
             listen front\n  bind {site}\n  server gate {gate} send-proxy-v2\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(HAPROXY);
        command.args(["-db", "-f"]).arg(&file);
        command
    })
    .await
}

/// An nginx that forwards bytes.
async fn stream_nginx(gate: SocketAddr) -> Daemon {
    assert!(Path::new(STREAM).exists(), "{STREAM} is missing: apt-get install libnginx-mod-stream");
    nginx::start(tempfile::tempdir().unwrap(), |folder, site| {
        format!(
            "load_module {STREAM};\ndaemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr crit;\n\
             events {{ worker_connections 256; }}\n\
             stream {{ server {{ listen {site}; proxy_pass {gate}; proxy_protocol on; }} }}\n",
            folder.display()
        )
    })
    .await
}

/// A gateway whose TLS listener demands the header, and lets everybody ask twice a day.
async fn gate(origin: &Origin, pair: &Pair) -> Gate {
    let state = tempfile::tempdir().unwrap();
    let text = format!(
        r#"[listen]
http = "127.0.0.1:0"
https = [{{ address = "127.0.0.1:0", proxy_protocol = true }}]
admin = "127.0.0.1:0"
state_directory = {:?}
[tls]
certificates = [{}]
[edge]
trusted_proxies = ["127.0.0.1"]
[quota.twice]
rate = "2/d"
prefix = {{ rate = "2/d" }}
[upstream.app]
addresses = ["{}"]
[route.all]
upstream = "app"
quota = "twice"
"#,
        state.path().display().to_string(),
        pair.line(),
        origin.address
    );
    let (settings, _) = parse(&text, "test.toml").unwrap_or_else(|wrong| panic!("{wrong:?}"));
    Gate { running: start(settings, Options::default()).await.unwrap(), state }
}

/// Everybody asks as often as they may, and once more; all come by the same front.
async fn each_has_a_bucket(front: SocketAddr) {
    let person = |number: u8| Person { address: Ipv4Addr::new(127, 1, number, 1), front };
    let lies = [("x-forwarded-for", "198.51.100.7"), ("x-real-ip", "198.51.100.7")];
    for number in 1..=20 {
        let (person, name) = (person(number), format!("127.1.{number}.1"));
        for _ in 0..2 {
            let got = person.ask(Method::GET, "/domanda", &lies).await;
            assert_eq!(got.status, StatusCode::OK, "{name}: {}", got.text());
            let seen = got.text();
            assert!(seen.contains(&format!("x-forwarded-for: {name}\n")), "{name}: {seen}");
            assert!(seen.contains("x-forwarded-proto: https\n"), "{name}: {seen}");
            assert!(!seen.contains("198.51.100.7") && !seen.contains("127.0.0.1,"), "{name}: {seen}");
        }
        let third = person.ask(Method::GET, "/domanda", &lies).await;
        assert_eq!(third.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_balancer_that_forwards_bytes_each_person_has_a_bucket_of_their_own() {
    let (origin, folder) = (Origin::echo().await, tempfile::tempdir().unwrap());
    let pair = Pair::write(folder.path(), "gate", &[HOST]);
    let behind_nginx = gate(&origin, &pair).await;
    let front = stream_nginx(behind_nginx.running.listen[1]).await;
    each_has_a_bucket(front.site).await;
    let behind_haproxy = gate(&origin, &pair).await;
    let front = haproxy(behind_haproxy.running.listen[1]).await;
    each_has_a_bucket(front.site).await;
}
