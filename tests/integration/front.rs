//! Behind nginx with the configuration that we ship: who asks is known, nobody sees what is another's, what
//! must be sent once is, and the board is carried by the front.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use crate::daemon::Daemon;
use crate::nginx::{self, around};
use crate::stage::{Gate, Got, Origin, ask, get, now, until};
use crate::tls::{Pair, over};

const HOST: &str = "www.example.org";
const ROOM: &str = "/.tornello/v1/rooms/main";
const PEOPLE: u8 = 100;

/// Somebody with an address and a network (an IPv4 /24) of their own.
pub(crate) struct Person {
    pub(crate) address: Ipv4Addr,
    pub(crate) front: SocketAddr,
}

impl Person {
    pub(crate) async fn ask(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Got {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((self.address, 0).into()).unwrap();
        let stream = over(socket.connect(self.front).await.unwrap(), HOST, &["http/1.1"]).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        Got { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    async fn navigates(&self, path: &str, more: &[(&str, &str)]) -> Got {
        let fields =
            [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        self.ask(Method::GET, path, &[&fields, more].concat()).await
    }
}

/// The front that we ship before `gate`, with the certificate of `pair`.
async fn shipped(gate: SocketAddr, pair: &Pair) -> Daemon {
    nginx::start(tempfile::tempdir().unwrap(), |folder, site| configuration(folder, site, gate, pair)).await
}

/// The file as it is, with nothing put in but addresses and paths.
fn configuration(folder: &Path, site: SocketAddr, gate: SocketAddr, pair: &Pair) -> String {
    let mut text = include_str!("../../config/nginx-front.conf").to_owned();
    let plain = format!("listen unix:{}/plain;", folder.display());
    for (ours, theirs) in [
        ("listen 80;", plain.as_str()),
        ("listen 443 ssl", &format!("listen {site} ssl")),
        ("127.0.0.1:8080", &gate.to_string()),
        ("/var/lib/nginx/tornello", &folder.join("cache").display().to_string()),
        ("/etc/nginx/tornello.pem", &pair.certificate.display().to_string()),
        ("/etc/nginx/tornello.key", &pair.key.display().to_string()),
    ] {
        assert_eq!(text.matches(ours).count(), 1, "{ours}");
        text = text.replace(ours, theirs);
    }
    around(folder, &text)
}

/// Looks at the board that reached the gateway itself.
async fn looks(gate: &Gate) -> u64 {
    let metrics = get(gate.running.admin, "/metrics").await.text();
    let line =
        metrics.lines().find(|line| line.contains("reason=\"board\"") && line.contains("requests_total"));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_people_join_through_nginx_as_it_is_shipped() {
    let origin = Origin::echo().await;
    // Two changes a day for each network: more people than two would not get in, were all the same.
    let gate = Gate::start(&format!(
        r#"
[edge]
trusted_proxies = ["127.0.0.1"]
[door]
rate = "2/d"
prefix = {{ rate = "2/d" }}
[upstream.app]
addresses = ["{}"]
[room.main]
seats = {{ floor = 1, ceiling = 1 }}
[route.all]
upstream = "app"
room = "main"
"#,
        origin.address
    ))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let nginx = shipped(gate.site(), &Pair::write(folder.path(), "front", &[HOST])).await;
    let person = |number: u8| Person { address: Ipv4Addr::new(127, 1, number, 1), front: nginx.site };

    // Who comes in is known by the address of the connection, whatever else was said.
    let first = person(200);
    let lies = [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-real-ip", "198.51.100.7"),
        ("true-client-ip", "198.51.100.7"),
        ("forwarded", "for=198.51.100.7;proto=http"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("x-original-url", "/198.51.100.7"),
    ];
    let inside = first.navigates("/domanda?anno=2026", &lies).await;
    assert_eq!(inside.status, StatusCode::OK, "{}", inside.text());
    let (seen, pass) = (inside.text(), inside.cookie().unwrap());
    assert!(pass.starts_with("__Host-tornello-pass-main="), "over TLS, so {pass}");
    assert!(seen.starts_with("GET /domanda?anno=2026\n"), "{seen}");
    for line in ["x-real-ip: 127.1.200.1", "x-forwarded-proto: https", &format!("host: {HOST}")] {
        assert!(seen.lines().any(|said| said == line), "{line} is not in\n{seen}");
    }
    assert!(!seen.contains("198.51.100.7") && !seen.contains("evil"), "{seen}");

    // All at once; each gets a place, and a place of their own.
    let mut joining = tokio::task::JoinSet::new();
    for number in 1..=PEOPLE {
        let person = person(number);
        joining.spawn(async move {
            let page = person.navigates("/", &[]).await;
            assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "the queue's page, and none of nginx");
            assert!(page.headers["cache-control"].to_str().unwrap().contains("no-store"));
            assert!(page.text().contains("/.tornello/v1/rooms/main"), "{}", page.text());
            let joined = person.ask(Method::POST, &format!("{ROOM}/tickets"), &[]).await;
            assert_eq!(joined.status, StatusCode::CREATED, "{}", joined.text());
            let cookie = joined.cookie().unwrap();
            let place = person.ask(Method::GET, &format!("{ROOM}/ticket"), &[("cookie", &cookie)]).await;
            assert_eq!(place.json()["number"], joined.json()["number"]);
            (joined.json()["number"].as_u64().unwrap(), cookie)
        });
    }
    let places = joining.join_all().await;
    let numbers: BTreeSet<u64> = places.iter().map(|(number, _)| *number).collect();
    let cookies: BTreeSet<&String> = places.iter().map(|(_, cookie)| cookie).collect();
    assert_eq!(numbers, (1..=u64::from(PEOPLE)).collect(), "one number each, and no join sent twice");
    assert_eq!(cookies.len(), usize::from(PEOPLE));
    let issued = until("the board shows them", || async {
        let board = ask(gate.site(), Method::GET, &format!("{ROOM}/board"), &[]).await.json();
        board["board"]["issued"].as_u64().filter(|issued| *issued >= u64::from(PEOPLE))
    })
    .await;
    assert_eq!(issued, u64::from(PEOPLE), "a number was given to nobody");

    // Whoever inside comes back is inside, also among those who wait.
    assert_eq!(first.navigates("/", &[("cookie", &pass)]).await.status, StatusCode::OK);

    // Who has spent their two changes is told so in the gateway's words; others are not.
    let one = person(1);
    let again = async || one.ask(Method::POST, &format!("{ROOM}/tickets"), &[]).await;
    assert_eq!(again().await.status, StatusCode::CREATED);
    let refused = again().await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let other = person(201).ask(Method::POST, &format!("{ROOM}/tickets"), &[]).await;
    assert_eq!(other.status, StatusCode::CREATED);

    // The board is the front's to carry: it asks once a second, however many look.
    let (before, begun) = (looks(&gate).await, now());
    let mut looking = tokio::task::JoinSet::new();
    for number in 1..=PEOPLE {
        let person = person(number);
        looking.spawn(async move {
            for _ in 0..5 {
                let board = person.ask(Method::GET, &format!("{ROOM}/board"), &[]).await;
                assert_eq!(
                    (board.status, &board.headers["cache-control"]),
                    (StatusCode::OK, &"public, max-age=1".parse().unwrap())
                );
            }
        });
    }
    looking.join_all().await;
    let (asked, most) = (looks(&gate).await - before, begun.elapsed().as_secs() + 2);
    assert!((1..=most).contains(&asked), "{asked} of 500 looks reached the gateway, {most} at most should");
}

/// A gateway that answers a GET and breaks off at the next request of a connection, whatever it is; counts
/// what came.
async fn breaks_off(gets: Arc<AtomicU64>, posts: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (gets, posts) = (Arc::clone(&gets), Arc::clone(&posts));
            tokio::spawn(async move {
                let mut answered = false;
                let mut head = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    head.push(byte);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let post = head.starts_with(b"POST");
                    if post { &posts } else { &gets }.fetch_add(1, Ordering::SeqCst);
                    head.clear();
                    if answered || post {
                        return;
                    }
                    answered = true;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_goes_once_through_nginx_as_it_is_shipped_also_when_it_breaks() {
    let (gets, posts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let gate = breaks_off(Arc::clone(&gets), Arc::clone(&posts)).await;
    let folder = tempfile::tempdir().unwrap();
    let nginx = shipped(gate, &Pair::write(folder.path(), "front", &[HOST])).await;
    let person = Person { address: Ipv4Addr::new(127, 0, 1, 1), front: nginx.site };
    for round in 1..=10 {
        // Leaves a connection open on which the join is sent, and breaks.
        assert_eq!(person.ask(Method::GET, "/", &[]).await.status, StatusCode::OK, "round {round}");
        let joined = person.ask(Method::POST, &format!("{ROOM}/tickets"), &[]).await;
        assert_eq!(joined.status, StatusCode::BAD_GATEWAY, "round {round}");
        assert_eq!(posts.load(Ordering::SeqCst), round, "a join was sent again");
    }
    // What may be repeated is, on a fresh connection: nobody sees a connection that was closed meanwhile.
    let before = gets.load(Ordering::SeqCst);
    assert_eq!(person.ask(Method::GET, "/", &[]).await.status, StatusCode::OK);
    assert_eq!(person.ask(Method::GET, "/", &[]).await.status, StatusCode::OK);
    assert_eq!(gets.load(Ordering::SeqCst), before + 3, "the second broke and was sent again");
}
