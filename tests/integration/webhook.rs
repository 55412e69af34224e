//! Whose turn is near is told to the body's own app: once, signed, off the request path.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::{TcpListener, TcpStream};
use tornello::admission::UnixTime;
use tornello::config::settings::WebhookSettings;
use tornello::proxy::webhook::Webhook;

use crate::process::{Process, configuration};
use crate::stage::{Gate, Got, Origin, ask, get, now, try_ask, until, visit};
use crate::upstream::Authority;
use crate::waiting::room;

const ROOM: &str = "/.tornello/v1/rooms/main";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A message as it was received.
#[derive(Clone)]
struct Message {
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// As a receiver checks it.
    fn is_signed(&self) -> bool {
        let said = self.headers["tornello-signature"].to_str().unwrap();
        let (time, hex) = said.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let mac = <Hmac<Sha256>>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.chain_update(format!("{time}.")).chain_update(&self.body).verify_slice(&bytes).is_ok()
    }
}

/// The body's app: keeps what it gets, and answers as it is told, the first ones otherwise.
async fn receiver(first: Vec<StatusCode>) -> (Origin, Arc<Mutex<Vec<Message>>>) {
    let got = Arc::new(Mutex::new(Vec::new()));
    let (kept, answers) = (Arc::clone(&got), Mutex::new(first));
    let origin = Origin::start(None, move |request| {
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/turns"));
        let message = Message { headers: request.headers().clone(), body: request.body().clone() };
        kept.lock().unwrap().push(message);
        let mut answers = answers.lock().unwrap();
        let status = if answers.is_empty() { StatusCode::NO_CONTENT } else { answers.remove(0) };
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = status;
        answer
    })
    .await;
    (origin, got)
}

fn webhook(folder: &Path, receiver: SocketAddr) -> String {
    let secret = folder.join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    format!(
        "webhook = {{ url = \"http://{receiver}/turns\", secret = {:?}, ahead = \"1h\" }}",
        secret.display().to_string()
    )
}

async fn gate(origin: &Origin, folder: &Path, receiver: SocketAddr) -> Gate {
    Gate::start(&room(origin, 1, &webhook(folder, receiver))).await
}

async fn join(gate: &Gate) -> String {
    let got = ask(gate.site(), Method::POST, &format!("{ROOM}/tickets"), &[]).await;
    got.json()["ticket"].as_str().unwrap().to_owned()
}

async fn remind(gate: &Gate, method: Method, ticket: &str, body: &str) -> Got {
    let fields = [("tornello-ticket", ticket), ("content-type", "application/json")];
    let body = Bytes::from(body.to_owned());
    try_ask(gate.site(), method, &format!("{ROOM}/reminder"), &fields, body).await.unwrap()
}

async fn registers(gate: &Gate, ticket: &str, token: &str) {
    let got = remind(gate, Method::POST, ticket, &format!("{{\"token\":\"{token}\"}}")).await;
    assert_eq!((got.status, &got.json()["reminder"]), (StatusCode::OK, &true.into()), "{}", got.text());
}

/// The visit is over; the seat is free.
async fn goes(gate: &Gate, pass: &str) {
    let body = Bytes::from(pass.to_owned());
    let got = try_ask(gate.running.admin, Method::POST, "/rooms/main/revoke", &[], body).await.unwrap();
    assert_eq!(got.status, StatusCode::OK);
}

fn pass(cookie: &str) -> &str {
    cookie.split_once('=').unwrap().1
}

async fn comes_in(gate: &Gate, ticket: &str) -> String {
    until("the turn", || async {
        let got =
            ask(gate.site(), Method::POST, &format!("{ROOM}/claims"), &[("tornello-ticket", ticket)]).await;
        (got.status == StatusCode::OK).then(|| got.json()["pass"].as_str().unwrap().to_owned())
    })
    .await
}

/// How often each token was told, over all messages.
fn told(messages: &[Message]) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for message in messages {
        for turn in message.json()["turns"].as_array().unwrap() {
            *told.entry(turn["token"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_turn_is_near_is_told_once_and_signed() {
    let (origin, folder) = (Origin::echo().await, tempfile::tempdir().unwrap());
    let (app, got) = receiver(Vec::new()).await;
    let gate = gate(&origin, folder.path(), app.address).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let mut line = Vec::new();
    for _ in 0..30 {
        line.push(join(&gate).await);
    }
    for (person, ticket) in line.iter().enumerate() {
        registers(&gate, ticket, &format!("old-{person}")).await;
        registers(&gate, ticket, &format!("person-{person}")).await;
    }
    let gone = remind(&gate, Method::DELETE, &line[29], "").await;
    assert_eq!((gone.status, &gone.json()["reminder"]), (StatusCode::OK, &false.into()));
    let (long, huge) = (format!("{{\"token\":\"{}\"}}", "x".repeat(257)), "x".repeat(5_000));
    for (ticket, body, status) in [
        (line[3].as_str(), "{\"token\":\"\"}", StatusCode::BAD_REQUEST),
        (line[3].as_str(), "{}", StatusCode::BAD_REQUEST),
        (line[3].as_str(), long.as_str(), StatusCode::BAD_REQUEST),
        (line[3].as_str(), huge.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ("nonsense", "{\"token\":\"x\"}", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(remind(&gate, Method::POST, ticket, body).await.status, status, "{body}");
    }
    assert!(got.lock().unwrap().is_empty(), "nobody's turn is near");

    // One after the other goes in: there is a pace, by which all others' turns come within an hour.
    goes(&gate, pass(&inside)).await;
    for ticket in &line[..3] {
        let pass = comes_in(&gate, ticket).await;
        goes(&gate, &pass).await;
    }
    until("all were told who still wait", || async {
        let told = told(&got.lock().unwrap());
        (3..29).all(|person| told.contains_key(&format!("person-{person}"))).then_some(())
    })
    .await;
    // Told again is nobody, and nobody takes back what was told.
    for ticket in &line[25..29] {
        for method in [Method::POST, Method::DELETE] {
            let late = remind(&gate, method.clone(), ticket, "{\"token\":\"person-again\"}").await;
            let reason = &late.json()["reason"];
            assert_eq!((late.status, reason), (StatusCode::CONFLICT, &"told".into()), "{method}");
        }
    }
    // Whoever asks now is told by the next look, with all whom it finds.
    registers(&gate, &join(&gate).await, "person-30").await;
    until("the next look", || async { told(&got.lock().unwrap()).contains_key("person-30").then_some(()) })
        .await;
    let messages = got.lock().unwrap().clone();
    assert!(messages.iter().all(Message::is_signed));
    let told = told(&messages);
    assert!(told.iter().all(|(token, times)| *times == 1 && token.starts_with("person-")), "{told:?}");
    assert!(!told.contains_key("person-29") && !told.contains_key("person-again"), "{told:?}");
    let soon = messages.iter().flat_map(|message| message.json()["turns"].as_array().unwrap().clone());
    let soon: Vec<Value> = soon.filter(|turn| turn["state"] == "soon").collect();
    assert!(soon.iter().all(|turn| turn["wait_ms"].is_number()), "{soon:?}");
    assert!(soon.iter().any(|turn| turn["ahead"].as_u64() > Some(10)), "{soon:?}");
    let called = remind(&gate, Method::POST, &line[0], "{\"token\":\"x\"}").await;
    assert_eq!((called.status, &called.json()["reason"]), (StatusCode::CONFLICT, &"called".into()));
    let count = format!("tornello_announced_total{{result=\"told\",room=\"main\"}} {}", told.len());
    let metrics = until("they are counted", || async {
        Some(get(gate.running.admin, "/metrics").await.text()).filter(|metrics| metrics.contains(&count))
    });
    assert!(!metrics.await.contains("person-"), "a metric names somebody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_asked_again_and_one_that_hangs_harms_nobody() {
    let (origin, folder) = (Origin::echo().await, tempfile::tempdir().unwrap());
    let (app, got) = receiver(vec![StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS]).await;
    let one = gate(&origin, folder.path(), app.address).await;
    let inside = visit(one.site(), "/", "").await.cookie().unwrap();
    let ticket = join(&one).await;
    registers(&one, &ticket, "anna").await;
    goes(&one, pass(&inside)).await;
    until("it was told at the third try", || async { (got.lock().unwrap().len() == 3).then_some(()) }).await;
    let messages = got.lock().unwrap().clone();
    let delivery = |message: &Message| message.headers["tornello-delivery"].clone();
    assert!(messages.iter().all(|message| delivery(message) == delivery(&messages[0])));
    assert!(messages.iter().all(|message| message.body == messages[0].body && message.is_signed()));
    assert_eq!(messages[0].json()["delivery"], delivery(&messages[0]).to_str().unwrap());

    // Takes connections, and says nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = gate(&origin, folder.path(), deaf.local_addr().unwrap()).await;
    let inside = visit(other.site(), "/", "").await.cookie().unwrap();
    let (first, second) = (join(&other).await, join(&other).await);
    registers(&other, &first, "bruno").await;
    registers(&other, &second, "carla").await;
    goes(&other, pass(&inside)).await;
    let (_held, _) = deaf.accept().await.unwrap();
    let begun = now();
    for ticket in [&first, &second] {
        let pass = comes_in(&other, ticket).await;
        let page = ask(other.site(), Method::GET, "/", &[("tornello-pass", &pass)]).await;
        assert_eq!(page.status, StatusCode::OK);
        goes(&other, &pass).await;
    }
    assert!(!join(&other).await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(4), "somebody waited for it: {:?}", begun.elapsed());
    let metrics = get(other.running.admin, "/metrics").await.text();
    assert!(!metrics.contains("tornello_announced_total{result=\"told\""), "nothing was told");
    // A stop does not wait for it.
    let Gate { running, .. } = other;
    let stopping = tokio::time::timeout(Duration::from_secs(5), running.stop());
    stopping.await.expect("a stop waits for a receiver that hangs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_the_webhook_of_a_busy_line_and_without_one_nobody_stays_registered() {
    let (origin, folder) = (Origin::echo().await, tempfile::tempdir().unwrap());
    let (old, at_old) = receiver(vec![StatusCode::INTERNAL_SERVER_ERROR; 2]).await;
    let (new, at_new) = receiver(Vec::new()).await;
    let (to_old, to_new) = (webhook(folder.path(), old.address), webhook(folder.path(), new.address));
    let gate = Gate::start(&room(&origin, 1, &to_old)).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let mut line = Vec::new();
    for _ in 0..20 {
        line.push(join(&gate).await);
    }
    registers(&gate, &line[19], "carla").await;
    gate.apply(&room(&origin, 1, "")).await;
    until("nobody is registered", || async {
        let live = gate.running.proxy.live.load();
        live.rooms["main"].line.reminders(|all| all.is_empty()).then_some(())
    })
    .await;
    gate.apply(&room(&origin, 1, &to_old)).await;
    goes(&gate, pass(&inside)).await;
    for ticket in &line[..3] {
        let pass = comes_in(&gate, ticket).await;
        goes(&gate, &pass).await;
    }
    registers(&gate, &line[17], "anna").await;
    let got = |messages: &Mutex<Vec<Message>>, least| {
        let messages = messages.lock().unwrap().clone();
        (messages.len() >= least).then_some(messages)
    };
    until("the first try", || async { got(&at_old, 1) }).await;
    gate.apply(&room(&origin, 1, &to_new)).await;
    registers(&gate, &line[18], "bruno").await;
    let messages = until("the other receiver hears of it", || async { got(&at_new, 1) }).await;
    assert_eq!(told(&messages).keys().collect::<Vec<_>>(), ["bruno"]);
    let messages = got(&at_old, 3).expect("what was under way was tried until it was taken");
    assert_eq!(told(&messages).keys().collect::<Vec<_>>(), ["anna"]);
}

/// Whoever asked is told by the process that comes after a kill, once in all; and the state names nobody.
#[tokio::test(flavor = "multi_thread")]
async fn who_asked_is_told_once_through_kills_and_stands_nowhere_in_clear() {
    let (origin, folder) = (Origin::echo().await, tempfile::tempdir().unwrap());
    let (app, got) = receiver(Vec::new()).await;
    configuration(folder.path(), origin.address, &webhook(folder.path(), app.address));
    let post = async |process: &Process, what: &str, ticket: &str, body: &str| {
        let fields = [("tornello-ticket", ticket), ("content-type", "application/json")];
        let (path, body) = (format!("{ROOM}/{what}"), Bytes::from(body.to_owned()));
        try_ask(process.site, Method::POST, &path, &fields, body).await.unwrap()
    };
    let process = Process::start(folder.path(), None);
    let _inside = visit(process.site, "/", "").await.cookie().unwrap();
    let mut line = Vec::new();
    for person in ["anna@example.org", "bruno@example.org", "carla@example.org"] {
        let ticket = post(&process, "tickets", "", "").await.json()["ticket"].as_str().unwrap().to_owned();
        let asked = post(&process, "reminder", &ticket, &format!("{{\"token\":\"{person}\"}}")).await;
        assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
        line.push(ticket);
    }
    let fields = [("tornello-ticket", line[2].as_str())];
    let gone = ask(process.site, Method::DELETE, &format!("{ROOM}/ticket"), &fields).await;
    assert!(gone.status.is_success());
    assert!(got.lock().unwrap().is_empty(), "nobody's turn is near");
    drop(process); // kill -9

    // Nobody is inside any more as far as the next process knows: the first is called.
    let process = Process::start(folder.path(), None);
    let is_told = async |person: &str| {
        until(person, || async { told(&got.lock().unwrap()).contains_key(person).then_some(()) }).await;
    };
    is_told("anna@example.org").await;
    let kept = std::fs::read(folder.path().join("state/tornello.redb")).unwrap();
    assert!(!kept.windows(11).any(|some| some == b"example.org"), "the state names somebody");
    // That it was told is written down with the next beat.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(process);
    let process = Process::start(folder.path(), None);
    let pass = until("the first goes in", || async {
        let claimed = post(&process, "claims", &line[0], "").await;
        (claimed.status == StatusCode::OK).then(|| claimed.json()["pass"].as_str().unwrap().to_owned())
    })
    .await;
    let body = Bytes::from(pass);
    try_ask(process.admin, Method::POST, "/rooms/main/revoke", &[], body).await.unwrap();
    is_told("bruno@example.org").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let messages = got.lock().unwrap().clone();
    let all = ["anna@example.org", "bruno@example.org"].map(|person| (person.to_owned(), 1));
    assert_eq!(told(&messages), BTreeMap::from(all), "each once, and nobody who gave the place up");
    assert!(messages.iter().all(Message::is_signed));
}

/// Takes TLS away before whoever listens at `to`.
async fn terminated(tls: Arc<rustls::ServerConfig>, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let tls = Arc::clone(&tls);
            tokio::spawn(async move {
                let Ok(mut one) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await else { return };
                let mut other = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_receiver_is_told_for_whom_the_operators_authority_vouches_and_nobody_else() {
    let (origin, folder) = (Origin::echo().await, tempfile::tempdir().unwrap());
    let (app, got) = receiver(Vec::new()).await;
    let (authority, stranger) = (Authority::of("127.0.0.1"), Authority::of("127.0.0.1"));
    let (at, of_others) = (
        terminated(authority.server(&[]), app.address).await,
        terminated(Authority::of("app.example.org").server(&[]), app.address).await,
    );
    let clear = webhook(folder.path(), at);
    let settings = |to: SocketAddr, ca: Option<String>| WebhookSettings {
        url: format!("https://{to}/turns").parse().unwrap(),
        secret: folder.path().join("secret"),
        ahead: Duration::from_secs(60),
        ca: ca.map(Into::into),
    };
    for (settings, why) in [
        (settings(at, Some(stranger.ca())), "another authority"),
        (settings(at, None), "the system does not know it"),
        (settings(of_others, Some(authority.ca())), "another name"),
    ] {
        let hook = Webhook::build(&settings).unwrap();
        let said = hook.post("1", Bytes::new(), UnixTime(0)).await.expect_err(why).why;
        assert!(said.contains("TLS with `127.0.0.1` failed: "), "{why}: {said}");
    }
    assert_eq!(got.lock().unwrap().len(), 0, "nobody vouched for it");

    let with_ca = format!("https://{at}/turns\", ca = {:?}, ", authority.ca());
    let encrypted = clear.replace(&format!("http://{at}/turns\", "), &with_ca);
    let gate = Gate::start(&room(&origin, 1, &encrypted)).await;
    let inside = visit(gate.site(), "/", "").await.cookie().unwrap();
    let ticket = join(&gate).await;
    registers(&gate, &ticket, "anna").await;
    goes(&gate, pass(&inside)).await;
    until("it was told", || async { (got.lock().unwrap().len() == 1).then_some(()) }).await;
    let messages = got.lock().unwrap().clone();
    assert!(messages[0].is_signed() && told(&messages).contains_key("anna"));
    let host = messages[0].headers["host"].to_str().unwrap();
    assert_eq!(host, at.to_string());
}

#[test]
fn a_secret_that_is_none_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tornello.toml");
    let check_with = |secret: &str, url: &str, more: &str| {
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        let secret = folder.path().join("secret");
        let webhook = format!("webhook = {{ url = \"{url}\", secret = {secret:?}{more} }}");
        configuration(folder.path(), "127.0.0.1:9".parse().unwrap(), &webhook);
        let output = crate::process::tornello().arg("check").arg("--config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    let check = |secret: &str, url: &str| check_with(secret, url, "");
    let (code, said) = check("short", "http://127.0.0.1:9/turns");
    assert!(code == Some(2) && said.contains("room.main.webhook") && said.contains("32"), "{code:?} {said}");
    let (code, said) = check(SECRET, "ftp://127.0.0.1:9/turns");
    assert!(code == Some(2) && said.contains("no address of the web"), "{code:?} {said}");
    let (code, said) = check(SECRET, "http://127.0.0.1:9/turns");
    assert!(code == Some(0), "{code:?} {said}");
    let file = folder.path().join("ca.pem");
    let ca = format!(", ca = {file:?}");
    let (code, said) = check_with(SECRET, "http://127.0.0.1:9/turns", &ca);
    assert!(code == Some(2) && said.contains("is not verified"), "{code:?} {said}");
    let (code, said) = check_with(SECRET, "https://127.0.0.1:9/turns", &ca);
    assert!(code == Some(2) && said.contains("ca.pem cannot be read"), "{code:?} {said}");
    std::fs::write(&file, "no PEM\n").unwrap();
    let (code, said) = check_with(SECRET, "https://127.0.0.1:9/turns", &ca);
    assert!(code == Some(2) && said.contains("ca.pem holds no certificate"), "{code:?} {said}");
    std::fs::copy(Authority::of("127.0.0.1").ca(), &file).unwrap();
    let (code, said) = check_with(SECRET, "https://127.0.0.1:9/turns", &ca);
    assert!(code == Some(0), "{code:?} {said}");
}
