//! One person, one place, against the real binary: on all devices, in all browsers, through all that happens.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::process::{Process, configuration};
use crate::stage::{Got, Origin, ask, until};

const ROOM: &str = "/.tornello/v1/rooms/main";
pub(crate) const ISSUER: &str = "https://login.example";

/// Whoever signs people in.
pub(crate) struct Issuer(Ed25519KeyPair);

impl Issuer {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn keys(&self) -> String {
        let key = URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": key }] }).to_string()
    }

    pub(crate) fn signed(&self, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&json!({ "alg": "EdDSA", "kid": "k1" })), encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes())))
    }

    fn of(&self, person: &str) -> String {
        self.signed(&json!({ "iss": ISSUER, "aud": "bonus", "sub": person, "exp": unix() + 3_600 }))
    }
}

#[expect(clippy::disallowed_methods, reason = "tokens carry wall time")]
pub(crate) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// One seat, people known by a token in the cookie `login`; `jwt` and `room` are further keys of theirs.
fn configured(folder: &Path, origin: &Origin, keys: &str, jwt: &str, room: &str) {
    let file =
        configuration(folder, origin.address, &format!("one_place_per = \"person\"\nidle = \"1s\"\n{room}"));
    let text = std::fs::read_to_string(&file).unwrap();
    let identity = format!(
        "[identity]\njwt = {{ keys = \"{keys}\", issuer = \"{ISSUER}\", audience = \"bonus\", cookie = \"login\"{jwt} }}\n\
         [door]\nrate = \"1000/s\"\nburst = 100000\n"
    );
    std::fs::write(file, format!("{text}{identity}")).unwrap();
}

/// A browser: its cookies, of which the answers set some.
#[derive(Default)]
struct Browser(Vec<(String, String)>);

impl Browser {
    fn signed_in(token: &str) -> Self {
        let mut browser = Self::default();
        browser.sign_in(token);
        browser
    }

    fn sign_in(&mut self, token: &str) {
        self.set(&format!("login={token}"));
    }

    fn set(&mut self, cookie: &str) {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        self.0.retain(|(known, _)| known != name);
        if !cookie.contains("Max-Age=0") {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    async fn ask(&mut self, process: &Process, method: Method, path: &str, navigates: bool) -> Got {
        let cookies: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("cookie", cookies.as_str())];
        if navigates {
            headers.extend([
                ("accept", "text/html"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ]);
        }
        let got = ask(process.site, method, path, &headers).await;
        for cookie in got.headers.get_all("set-cookie") {
            self.set(cookie.to_str().unwrap());
        }
        got
    }

    async fn join(&mut self, process: &Process) -> Value {
        self.ask(process, Method::POST, &format!("{ROOM}/tickets"), false).await.json()
    }

    async fn look(&mut self, process: &Process) -> Value {
        self.ask(process, Method::GET, &format!("{ROOM}/ticket"), false).await.json()
    }

    async fn visit(&mut self, process: &Process) -> StatusCode {
        self.ask(process, Method::GET, "/", true).await.status
    }
}

impl Browser {
    /// Tries until it is in.
    async fn goes_in(&mut self, process: &Process) {
        for _ in 0..200 {
            if self.visit(process).await == StatusCode::OK {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not in after ten seconds: {}", self.look(process).await);
    }
}

/// The one seat is taken by somebody who comes back often enough.
async fn crowded(process: &Process) -> Browser {
    let mut first = Browser::default();
    assert_eq!(first.visit(process).await, StatusCode::OK);
    assert_eq!(first.visit(process).await, StatusCode::OK);
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_has_one_ticket_on_every_device_through_reload_and_kill() {
    let (folder, origin, issuer) = (tempfile::tempdir().unwrap(), Origin::echo().await, Issuer::new(1));
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, issuer.keys()).unwrap();
    configured(folder.path(), &origin, keys.to_str().unwrap(), "", "");
    let mut process = Process::start(folder.path(), None);
    crowded(&process).await;
    let anna = issuer.of("RSSMRA80A01H501U");
    let (mut phone, mut desktop) = (Browser::signed_in(&anna), Browser::signed_in(&anna));
    let mut other = Browser::signed_in(&issuer.of("VRDLGI75B02F205X"));
    let (first, second, third) =
        (phone.join(&process).await, desktop.join(&process).await, other.join(&process).await);
    assert_eq!((&first["number"], &third["number"]), (&json!(1), &json!(2)), "{first} {third}");
    assert_eq!(first["ticket"], second["ticket"]);
    // Eight devices of one person at once are one person.
    for person in 0..100 {
        let token = issuer.of(&format!("BNCLRA90C41L{person}K"));
        let mut tabs: Vec<Browser> = (0..8).map(|_| Browser::signed_in(&token)).collect();
        let joining = tabs.iter_mut().map(|tab| tab.join(&process));
        let at_once = futures(joining.collect()).await;
        assert!(at_once.iter().all(|place| place["ticket"] == at_once[0]["ticket"]), "{at_once:?}");
        assert_eq!(at_once[0]["number"], 3 + person, "no number is taken in vain");
    }
    configured(folder.path(), &origin, keys.to_str().unwrap(), "", "page_asks = true");
    until("the reload", || async { (process.generation().await == 2).then_some(()) }).await;
    assert_eq!(Browser::signed_in(&anna).look(&process).await["ticket"], first["ticket"]);
    drop(process); // kill -9
    process = Process::start(folder.path(), None);
    for mut device in [Browser::signed_in(&anna), phone, desktop] {
        let place = device.look(&process).await;
        assert_eq!((&place["ticket"], &place["number"]), (&first["ticket"], &json!(1)), "{place}");
    }
    // Nothing tells who they are: neither log nor state.
    let mut all = process.access.lock().unwrap().clone() + &process.log.lock().unwrap();
    drop(process);
    all += &String::from_utf8_lossy(&std::fs::read(folder.path().join("state/tornello.redb")).unwrap());
    for name in ["RSSMRA80A01H501U", "VRDLGI75B02F205X"] {
        assert!(!all.contains(name) && !all.contains(&URL_SAFE_NO_PAD.encode(&name[..15])), "{name}");
    }
}

/// All of them at once.
async fn futures<F: Future<Output = Value>>(all: Vec<F>) -> Vec<Value> {
    let mut pinned: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<Value>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, done) in pinned.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = one.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_took_places_in_four_browsers_keeps_the_first_and_is_served_once() {
    let (folder, origin, issuer) = (tempfile::tempdir().unwrap(), Origin::echo().await, Issuer::new(1));
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, issuer.keys()).unwrap();
    configured(folder.path(), &origin, keys.to_str().unwrap(), "", "");
    let mut process = Process::start(folder.path(), None);
    let mut inside = crowded(&process).await;
    let mut tabs: Vec<Browser> = (0..4).map(|_| Browser::default()).collect();
    let mut single = Browser::default();
    for (tab, number) in tabs.iter_mut().zip([1, 2, 4, 5]) {
        assert_eq!(tab.join(&process).await["number"], number);
        if number == 2 {
            assert_eq!(single.join(&process).await["number"], 3);
        }
        assert_eq!(inside.visit(&process).await, StatusCode::OK);
    }
    let lost: Vec<String> = tabs.iter().map(|tab| tab.0[0].1.clone()).collect();
    let token = issuer.of("RSSMRA80A01H501U");
    // The worst one signs in first.
    for (at, number) in [(3, 5), (1, 2), (2, 2), (0, 1)] {
        tabs[at].sign_in(&token);
        assert_eq!(tabs[at].join(&process).await["number"], number, "tab {at}");
        assert_eq!(inside.visit(&process).await, StatusCode::OK);
    }
    for _ in 0..2 {
        for ticket in &lost[1..] {
            let mut thief = Browser::default();
            thief.set(&format!("tornello-ticket-main={ticket}"));
            assert_eq!(thief.look(&process).await["state"], "done", "given up, also without a sign-in");
        }
        for tab in &mut tabs {
            assert_eq!(tab.look(&process).await["number"], 1);
        }
        drop(process); // kill -9
        process = Process::start(folder.path(), None);
    }
    // Nobody else is inside after the kill: the person goes in, with all tabs as one, then the other one.
    tabs[2].goes_in(&process).await;
    for tab in &mut tabs {
        assert_eq!(tab.visit(&process).await, StatusCode::OK);
    }
    let status: Value = ask(process.admin, Method::GET, "/status", &[]).await.json();
    assert_eq!(status["rooms"]["main"]["active"], 1, "one seat for four tabs: {status}");
    single.goes_in(&process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_computer_does_not_hand_on_a_place_and_two_devices_take_one_seat() {
    let (folder, origin, issuer) = (tempfile::tempdir().unwrap(), Origin::echo().await, Issuer::new(1));
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, issuer.keys()).unwrap();
    configured(folder.path(), &origin, keys.to_str().unwrap(), "", "require_identity = true");
    let process = Process::start(folder.path(), None);
    let (anna, bruno, carla) = (issuer.of("anna"), issuer.of("bruno"), issuer.of("carla"));
    let (mut phone, mut desktop) = (Browser::signed_in(&anna), Browser::signed_in(&anna));
    for _ in 0..2 {
        for device in [&mut phone, &mut desktop] {
            assert_eq!(device.visit(&process).await, StatusCode::OK, "one person, one seat");
        }
    }
    let mut shared = Browser::signed_in(&bruno);
    assert_eq!(shared.visit(&process).await, StatusCode::SERVICE_UNAVAILABLE, "the seat is taken");
    assert_eq!(desktop.visit(&process).await, StatusCode::OK);
    let of_bruno = shared.join(&process).await;
    shared.sign_in(&carla);
    let of_carla = shared.join(&process).await;
    assert_eq!((&of_bruno["number"], &of_carla["number"]), (&json!(1), &json!(2)));
    assert_eq!(Browser::signed_in(&bruno).look(&process).await["ticket"], of_bruno["ticket"]);
    let mut nobody = Browser::default();
    assert_eq!(nobody.visit(&process).await, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.join(&process).await["reason"], "not_believed");
    // A pass that is still there from the one before leads the next one nowhere, and begins nothing new.
    let mut left = Browser(phone.0.clone());
    left.set("login=; Max-Age=0");
    assert_eq!(left.join(&process).await["reason"], "not_believed", "no place for whoever has an old pass");
    phone.sign_in(&bruno);
    assert_eq!(phone.visit(&process).await, StatusCode::SERVICE_UNAVAILABLE, "that visit is Anna's");
    assert_eq!(phone.look(&process).await["ticket"], of_bruno["ticket"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_counts_as_none_or_is_refused_and_keys_are_hot() {
    let (folder, origin, issuer) = (tempfile::tempdir().unwrap(), Origin::echo().await, Issuer::new(1));
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, issuer.keys()).unwrap();
    configured(folder.path(), &origin, keys.to_str().unwrap(), "", "");
    let process = Process::start(folder.path(), None);
    crowded(&process).await;
    let claims = |changes: Value| {
        let mut claims = json!({ "iss": ISSUER, "aud": "bonus", "sub": "anna", "exp": unix() + 3_600 });
        changes.as_object().unwrap().iter().for_each(|(key, value)| claims[key] = value.clone());
        claims
    };
    let good = issuer.of("anna");
    let bad = [
        ("forged", Issuer::new(2).of("anna")),
        ("out of date", issuer.signed(&claims(json!({ "exp": unix() - 60 })))),
        ("for another service", issuer.signed(&claims(json!({ "aud": "mensa" })))),
        ("cut", good[..good.len() - 8].to_owned()),
    ];
    let mine = Browser::signed_in(&good).join(&process).await;
    let mut numbers = vec![mine["number"].clone()];
    for (why, token) in &bad {
        let number = Browser::signed_in(token).join(&process).await["number"].clone();
        assert!(!numbers.contains(&number), "{why}: somebody else's place, or none: {number}");
        numbers.push(number);
    }
    configured(folder.path(), &origin, keys.to_str().unwrap(), ", otherwise = \"refuse\"", "");
    until("the reload", || async { (process.generation().await == 2).then_some(()) }).await;
    for (why, token) in &bad {
        let mut browser = Browser::signed_in(token);
        assert_eq!(browser.visit(&process).await, StatusCode::UNAUTHORIZED, "{why}");
        let got = browser.ask(&process, Method::POST, &format!("{ROOM}/tickets"), false).await;
        assert_eq!(
            (got.status, &got.json()["reason"]),
            (StatusCode::UNAUTHORIZED, &json!("not_believed")),
            "{why}"
        );
        assert!(got.headers.contains_key("www-authenticate"), "{why}");
    }
    assert_eq!(Browser::signed_in(&good).look(&process).await["ticket"], mine["ticket"]);
    std::fs::write(&keys, Issuer::new(2).keys()).unwrap();
    until("the old key is not believed", || async {
        (Browser::signed_in(&good).visit(&process).await == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    std::fs::write(&keys, "{").unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let new = Issuer::new(2).of("anna");
    assert_eq!(
        Browser::signed_in(&new).look(&process).await["ticket"],
        mine["ticket"],
        "the last good keys stay"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_an_address_and_stay_when_it_is_gone() {
    let (folder, issuer) = (tempfile::tempdir().unwrap(), Issuer::new(1));
    let origin = Origin::echo().await;
    let keys = issuer.keys();
    let login =
        Origin::start(None, move |_| http::Response::new(http_body_util::Full::from(keys.clone()))).await;
    configured(folder.path(), &origin, &format!("http://{}/jwks", login.address), "", "");
    let process = Process::start(folder.path(), None);
    crowded(&process).await;
    let token = issuer.of("anna");
    let mine = until("the keys are here", || async {
        let (one, two) = (
            Browser::signed_in(&token).join(&process).await,
            Browser::signed_in(&token).join(&process).await,
        );
        (one["ticket"] == two["ticket"]).then_some(one)
    })
    .await;
    drop(login);
    assert_eq!(Browser::signed_in(&issuer.of("anna")).look(&process).await["ticket"], mine["ticket"]);
}
