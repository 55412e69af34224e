//! A Chromium of its own for each test, driven through chromedriver.
//!
//! Both end with the [`Browser`], also when the test panics: the session is closed first, chromedriver
//! is then killed by its handle, and Chromium hangs on a pipe from it, so that it cannot outlive it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::day::{ask, until};
use super::window::PHONE;

const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";
const SKIP: &str = "TORNELLO_SKIP_BROWSER";
/// How many browsers may be open at once: one for each core of a small machine.
static BROWSERS: Semaphore = Semaphore::const_new(2);
const TRIES: u32 = 3;

/// What a person has set in the browser.
#[derive(Clone, Copy)]
pub(super) struct Habits {
    pub(super) language: &'static str,
    pub(super) javascript: bool,
    pub(super) cookies: bool,
}

/// A browser with one window. Speaks to pages through [`Client`].
pub(super) struct Browser {
    client: Client,
    session: String,
    driver: Driver,
    _profile: tempfile::TempDir,
    /// `None` for one that is open beside another, in whose turn it is.
    _turn: Option<SemaphorePermit<'static>>,
}

impl Browser {
    /// Opens one; `None` only if the environment says in so many words that there shall be none.
    pub(super) async fn open(habits: Habits) -> Option<Self> {
        if !may_open() {
            return None;
        }
        for program in [CHROMIUM, CHROMEDRIVER] {
            assert!(
                Path::new(program).exists(),
                "{program} is missing: apt-get install chromium chromium-driver; or set {SKIP}=1 to leave browser tests out"
            );
        }
        let turn = turn().await;
        Some(Self::start(habits, Some(turn)).await)
    }

    /// Opens a second one, in the same turn: two tests that each had one and waited for another would wait
    /// for each other. It is to go before the first does.
    pub(super) async fn beside(&self, habits: Habits) -> Self {
        Self::start(habits, None).await
    }

    async fn start(habits: Habits, turn: Option<SemaphorePermit<'static>>) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let driver = Driver::start(profile.path()).await;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(profile.path(), habits));
        let client = builder.connect(&format!("http://{}", driver.address)).await.unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Self { client, session, driver, _profile: profile, _turn: turn }
    }

    /// What a script that returns something returns on the page.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// What a reader sees in the first visible element that `css` finds; empty if there is none.
    pub(super) async fn text(&self, css: &str) -> String {
        for element in self.client.find_all(Locator::Css(css)).await.unwrap_or_default() {
            // An element may be gone with its page before it is asked.
            let Ok(true) = element.is_displayed().await else { continue };
            let Ok(text) = element.text().await else { continue };
            return text;
        }
        String::new()
    }

    /// Clicks on the first visible element that `css` finds, as soon as there is one.
    pub(super) async fn click(&self, css: &str) {
        until(css, async || self.press(css).await.then_some(())).await;
    }

    /// Clicks on the first visible element that `css` finds; false if there is none just now. The page
    /// that a click leads to may come a moment after the click.
    pub(super) async fn press(&self, css: &str) -> bool {
        for element in self.client.find_all(Locator::Css(css)).await.unwrap_or_default() {
            if element.is_displayed().await.unwrap_or(false) {
                return element.click().await.is_ok();
            }
        }
        false
    }

    /// What the console has said since it was asked last, without network's own lines: those only
    /// repeat the status of each answer, and 503 is the waiting page's.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().unwrap().iter();
        let told = entries.filter(|entry| entry["source"] != "network");
        told.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A viewport of exactly this size, in CSS pixels, at `scale` pixels each.
    pub(super) async fn view(&self, width: u32, height: u32, scale: f64) {
        let params = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    /// Whether the person has set dark colours.
    pub(super) async fn dark(&self, dark: bool) {
        self.prefers(&[("prefers-color-scheme", if dark { "dark" } else { "light" })]).await;
    }

    /// What the person has set, by the names of media features; all else is as it comes.
    pub(super) async fn prefers(&self, set: &[(&str, &str)]) {
        let features: Vec<Value> =
            set.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let params = json!({ "features": features });
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    /// What the browser calls itself, and which language it says that it wants.
    pub(super) async fn named(&self, name: &str) {
        let params = json!({ "userAgent": name, "acceptLanguage": name });
        let command = json!({ "cmd": "Network.setUserAgentOverride", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    /// A telephone with a touch screen, until its tab is closed.
    pub(super) async fn becomes_a_phone(&self) {
        const NAME: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
            Chrome/140.0.0.0 Mobile Safari/537.36";
        let (width, height) = PHONE;
        for (command, params) in [
            (
                "Emulation.setDeviceMetricsOverride",
                json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": true }),
            ),
            ("Emulation.setTouchEmulationEnabled", json!({ "enabled": true, "maxTouchPoints": 5 })),
            ("Emulation.setUserAgentOverride", json!({ "userAgent": NAME })),
        ] {
            self.command("goog/cdp/execute", json!({ "cmd": command, "params": params })).await;
        }
    }

    /// A command that the client does not have, by its path in the session.
    pub(super) async fn command(&self, name: &str, body: Value) -> Value {
        let path = format!("/session/{}/{name}", self.session);
        let fields = [("content-type", "application/json")];
        let reply = ask(self.driver.address, Method::POST, &path, &fields, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["value"].take()
    }
}

/// Whether browsers shall be opened; says so if not.
pub(super) fn may_open() -> bool {
    let skip = std::env::var_os(SKIP).is_some_and(|skip| skip == "1");
    if skip {
        // Past the test harness, which swallows what passing tests print with macros.
        let note = format!("NOT RUN: a browser test, because {SKIP}=1\n");
        std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    !skip
}

/// Waits until one more browser may be open.
pub(super) async fn turn() -> SemaphorePermit<'static> {
    BROWSERS.acquire().await.unwrap()
}

impl std::ops::Deref for Browser {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.driver.quit(&self.session);
    }
}

fn capabilities(profile: &Path, habits: Habits) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--no-first-run",
        "--remote-debugging-pipe",
        "--window-size=1000,760",
        &profile,
    ];
    let mut settings = json!({ "intl.accept_languages": habits.language });
    if !habits.javascript {
        settings["profile.managed_default_content_settings.javascript"] = json!(2);
    }
    if !habits.cookies {
        settings["profile.managed_default_content_settings.cookies"] = json!(2);
    }
    let wanted = json!({
        "goog:chromeOptions": { "binary": CHROMIUM, "args": arguments, "prefs": settings },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    let Value::Object(wanted) = wanted else { unreachable!("an object was written") };
    wanted
}

struct Driver {
    process: Child,
    address: SocketAddr,
}

impl Driver {
    /// chromedriver does not say which port it took, so it is given a free one; another process may
    /// be quicker to take it, and then another is tried.
    async fn start(temporary: &Path) -> Self {
        for _ in 0..TRIES {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let mut command = Command::new(CHROMEDRIVER);
            command.arg(format!("--port={}", address.port()));
            // It leaves things behind, which go with the profile.
            command.env("TMPDIR", temporary);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut driver = Self { process: command.spawn().unwrap(), address };
            let up = until("chromedriver answers or ends", async || {
                if driver.process.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                tokio::net::TcpStream::connect(address).await.ok().map(|_| true)
            });
            if up.await {
                return driver;
            }
        }
        panic!("chromedriver did not start in {TRIES} tries");
    }

    /// Closes a session and waits for its Chromium to be gone; blocks, and must not fail in a panic.
    fn quit(&self, session: &str) {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            self.address
        );
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read(&mut [0; 1024]);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
